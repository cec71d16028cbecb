//! The Schedule SOR: which process leads a group of jobs, and when each job ran. It owns the tables `core.lease` and
//! `core.job`.
//!
//! It decides nothing: `app` has the jobs, runs them, and says which are due.

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

pub use domain::{
    InvalidScheduleName, InvalidTimetable, JobRecord, Lease, RunEnd, RunOutcome, RunStart, Schedule, ScheduleName,
    Timetable,
};
#[cfg(test)]
pub use port::MockScheduleSor;
pub use port::ScheduleSor;
pub use routes::routes;

use crate::http::Outward;
use crate::storage::Db;

/// Leases and jobs kept in this database.
pub fn local(db: Db) -> Arc<dyn ScheduleSor> {
    Arc::new(postgres::PostgresSchedule::new(db))
}

/// Leases and jobs kept by another Flamewarden.
pub fn remote(outward: Outward) -> Arc<dyn ScheduleSor> {
    Arc::new(remote::RemoteSchedule::new(outward))
}
