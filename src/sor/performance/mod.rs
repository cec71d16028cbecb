//! The Performance SOR: which operation took how long, of this server and of any program that records here by SQL or REST.
//! It owns the schema `perf`.
//!
//! Functions of the schema (migration 0020) record everything, also what programs record by SQL. The tree of a trace is built in
//! Rust, from its rows.

mod domain;
mod names;
mod port;
mod postgres;
mod remote;
mod routes;
mod spans;
mod tree;
mod upkeep;
mod wire;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use domain::{
    Ended, Metric, MetricBatch, Micros, NewMetric, RecordedBatch, RecordedMetric, RejectedMetric, SpanIds,
};
pub use names::{OperationScope, OperationType};
#[cfg(test)]
pub use port::MockOperationSor;
pub use port::OperationSor;
pub use routes::routes;
pub use spans::{
    BegunSpan, EndedSpan, NewSpan, SpanEnd, SpanOutcome, SpanStatus, TracePage, TracePosition, TraceQuery, TraceRoot,
};
pub use tree::{Trace, TraceSpan};
pub use upkeep::OperationUpkeep;

use crate::http::Outward;
use crate::storage::Db;

/// Operations kept in this database.
pub fn local(db: Db) -> Arc<dyn OperationSor> {
    Arc::new(postgres::PostgresOperations::new(db))
}

/// Operations kept by another Flamewarden.
pub fn remote(outward: Outward) -> Arc<dyn OperationSor> {
    Arc::new(remote::RemoteOperations::new(outward))
}
