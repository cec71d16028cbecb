use async_trait::async_trait;

use super::domain::{AuditPage, AuditQuery, NewAuditEntry, Verification, VerifyLimit};
use crate::kernel::{Call, PortResult};

/// Keeps the audit log. Adapters: PostgreSQL, another Flamewarden.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait AuditSor: Send + Sync {
    /// Appends entries, in order, all or none. One that is sent again after an answer that was lost is there twice.
    async fn append(&self, call: &Call, entries: Vec<NewAuditEntry>) -> PortResult<()>;

    /// One page of the log, newest first.
    async fn page(&self, call: &Call, query: &AuditQuery) -> PortResult<AuditPage>;

    /// Verifies the chain from a link on; without one, from its beginning.
    async fn verify(&self, call: &Call, from_seq: Option<i64>, limit: VerifyLimit) -> PortResult<Verification>;
}
