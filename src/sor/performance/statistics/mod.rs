//! Statistics of operations: how often, how long, and since when, from what was rolled up and from rows that are not yet.

mod domain;
mod port;
mod postgres;
mod query;
mod remote;
mod routes;

#[cfg(test)]
pub(super) mod conformance;
#[cfg(test)]
pub(super) mod tests;

use std::sync::Arc;

pub use domain::{
    Figures, LimitStatus, Operation, OperationTotals, PerformanceOverview, ScopeFigures, Series, SeriesAnswer,
    SeriesPoint, SlowOperation, Trend, TrendPoint, UserFigures,
};
#[cfg(test)]
pub use port::MockStatisticsSor;
pub use port::StatisticsSor;
pub use query::{Bucket, GroupBy, SeriesQuery, SlowestQuery, StatisticsQuery, Step, TrendQuery};
pub(super) use routes::routes;

use crate::http::Outward;
use crate::storage::Db;

/// Statistics of the operations in this database.
pub(super) fn local(db: Db) -> Arc<dyn StatisticsSor> {
    Arc::new(postgres::PostgresStatistics::new(db))
}

/// Statistics of operations that another Flamewarden keeps.
pub(super) fn remote(outward: Outward) -> Arc<dyn StatisticsSor> {
    Arc::new(remote::RemoteStatistics::new(outward))
}
