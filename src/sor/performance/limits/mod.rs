//! Limits that are learnt from the past of operations, and alerts of what is over them.

mod alert;
mod baseline;
mod detection;
mod port;
mod postgres;
mod remote;
mod routes;
mod types;

#[cfg(test)]
pub(super) mod conformance;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use alert::{
    Acknowledgement, Coefficient, CorrelationQuery, LatencyAlert, LatencyAlertPage, LatencyAlertQuery, LatencyAlertType,
};
pub use baseline::{
    LatencyBaseline, LatencyBaselineHealth, LatencyBaselinePage, LatencyBaselineQuery, LookbackDays, Multiplier,
    NewLatencyBaseline,
};
pub use detection::{Anomaly, Correlation, Degradation};
pub use port::{LatencyAlertSor, LatencyBaselineSor};
#[cfg(test)]
pub use port::{MockLatencyAlertSor, MockLatencyBaselineSor};
pub(super) use routes::routes;
pub use types::{NewOperationType, OperationCategory, OperationTypeRow, TypicalMs};

use crate::http::Outward;
use crate::storage::Db;

/// The most rows of a page.
const MAX_LIMIT: u16 = 1_000;
/// How many rows a page has if the request names no limit.
const DEFAULT_LIMIT: u16 = 100;

/// Limits of the operations in this database.
pub(super) fn local(db: Db) -> Arc<dyn LatencyBaselineSor> {
    Arc::new(postgres::PostgresLimits::new(db))
}

/// Limits of operations that another Flamewarden keeps.
pub(super) fn remote(outward: Outward) -> Arc<dyn LatencyBaselineSor> {
    Arc::new(remote::RemoteLimits::new(outward))
}

/// Alerts of the operations in this database.
pub(super) fn local_alerts(db: Db) -> Arc<dyn LatencyAlertSor> {
    Arc::new(postgres::PostgresLimits::new(db))
}

/// Alerts of operations that another Flamewarden keeps.
pub(super) fn remote_alerts(outward: Outward) -> Arc<dyn LatencyAlertSor> {
    Arc::new(remote::RemoteLimits::new(outward))
}
