//! The History SOR: every assessment, the audit trail. It owns the table `triage_history`.
//!
//! BORs record through the [`Spool`], a decorator of the port. No assessment that was answered is lost, and no answer
//! waits for a database or another server. If settings ask for it, [`Repeats`] leaves out assessments that say the same
//! as the last one, and [`Retention`] deletes old ones.

mod batch;
mod bounded;
mod domain;
mod port;
mod postgres;
mod remote;
mod repeats;
mod retention;
mod routes;
mod spool;
mod wire;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use batch::{Batch, MAX_BATCH, NoBatch, Recorded};
pub use bounded::{InvalidRecommendation, Recommendation, TopFunctions};
pub use domain::{
    Assessment, AssessmentSeverity, HistoryPage, HistoryPosition, HistoryQuery, NewAssessment, TooFarAhead,
};
pub use port::HistorySor;
#[cfg(test)]
pub use port::MockHistorySor;
pub use repeats::Repeats;
pub use retention::Retention;
pub use routes::routes;
pub use spool::{Fsync, Spool, SpoolError, SpoolHealth, SpoolSettings};

use crate::http::Outward;
use crate::kernel::Clock;
use crate::storage::Db;

/// The history in this database. The clock tells which assessments are in the future.
pub fn local(db: Db, clock: Arc<dyn Clock>) -> Arc<dyn HistorySor> {
    Arc::new(postgres::PostgresHistory::new(db, clock))
}

/// History kept by another Flamewarden.
pub fn remote(outward: Outward) -> Arc<dyn HistorySor> {
    Arc::new(remote::RemoteHistory::new(outward))
}
