//! The Audit SOR: who changed what, and when. It owns the tables `core.audit_log`, `core.audit_user`, `core.audit_chain`
//! and `core.audit_anchor`.
//!
//! Changes reach the log by triggers of the changed tables, in the same transaction (migration 0016). The other systems of
//! record only say who acts, in the statement that changes something. The port appends what changes no table, such as
//! requests that were [denied](DeniedRequests), lists the log, and verifies it. The log is append-only, and [`AuditChain`]
//! makes changes past the server visible.

mod chain;
mod denied;
mod domain;
mod port;
mod postgres;
mod remote;
mod routes;
mod wire;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use chain::{AuditChain, Unchained};
pub use denied::{DeniedRequest, DeniedRequests};
pub use domain::{
    AuditEntry, AuditHead, AuditMethod, AuditPage, AuditPosition, AuditQuery, AuditResult, AuditText, NewAuditEntry,
    Verification, VerifyLimit,
};
pub use port::AuditSor;
#[cfg(test)]
pub use port::MockAuditSor;
pub use routes::routes;

use crate::http::Outward;
use crate::storage::Db;

/// The log in this database.
pub fn local(db: Db) -> Arc<dyn AuditSor> {
    Arc::new(postgres::PostgresAudit::new(db))
}

/// The log of another Flamewarden.
pub fn remote(outward: Outward) -> Arc<dyn AuditSor> {
    Arc::new(remote::RemoteAudit::new(outward))
}
