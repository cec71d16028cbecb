//! The Performance SOR: which operation took how long, of this server and of any program that records here by SQL, REST or
//! OpenTelemetry.
//! It owns the schema `perf`.
//!
//! Functions of the schema (migration 0020) record everything, also what programs record by SQL. The tree of a trace is built in
//! Rust, from its rows.

mod domain;
pub mod limits;
pub mod merges;
mod names;
pub mod otlp;
mod port;
mod postgres;
mod remote;
mod rounds;
mod routes;
mod spans;
pub mod statistics;
mod tree;
mod upkeep;
mod window;
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
pub use rounds::{AlertSettings, OperationRounds};
pub use routes::{TraceIntake, TraceIntakeLimits, routes};
pub use spans::{
    BegunSpan, EndedSpan, NewSpan, SpanEnd, SpanOutcome, SpanStatus, TracePage, TracePosition, TraceQuery, TraceRoot,
};
pub use tree::{Trace, TraceSpan};
pub use upkeep::{KeptFor, OperationUpkeep};

use self::limits::{LatencyAlertSor, LatencyBaselineSor};
use self::merges::MergeSor;
use self::statistics::StatisticsSor;
use crate::http::Outward;
use crate::storage::Db;

/// The ports of the room.
pub struct PerformancePorts {
    /// Operations and how long they took.
    pub operations: Arc<dyn OperationSor>,
    /// How often, how long, and since when.
    pub statistics: Arc<dyn StatisticsSor>,
    /// How long operations usually take, and the limits derived from that.
    pub baselines: Arc<dyn LatencyBaselineSor>,
    /// What is over a limit.
    pub alerts: Arc<dyn LatencyAlertSor>,
    /// Merges of branches.
    pub merges: Arc<dyn MergeSor>,
}

/// Operations kept in this database.
pub fn local(db: Db) -> PerformancePorts {
    PerformancePorts {
        operations: Arc::new(postgres::PostgresOperations::new(db.clone())),
        statistics: statistics::local(db.clone()),
        baselines: limits::local(db.clone()),
        alerts: limits::local_alerts(db.clone()),
        merges: merges::local(db),
    }
}

/// Operations kept by another Flamewarden.
pub fn remote(outward: Outward) -> PerformancePorts {
    PerformancePorts {
        operations: Arc::new(remote::RemoteOperations::new(outward.clone())),
        statistics: statistics::remote(outward.clone()),
        baselines: limits::remote(outward.clone()),
        alerts: limits::remote_alerts(outward.clone()),
        merges: merges::remote(outward),
    }
}
