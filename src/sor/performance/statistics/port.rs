use async_trait::async_trait;

use super::{
    Operation, OperationTotals, PerformanceOverview, ScopeFigures, SeriesAnswer, SeriesQuery, SlowOperation,
    SlowestQuery, StatisticsQuery, Trend, TrendQuery, UserFigures,
};
use crate::kernel::{Call, PortResult};
use crate::sor::performance::names::{OperationScope, OperationType};

/// Answers how operations went. Adapters: PostgreSQL, another Flamewarden.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait StatisticsSor: Send + Sync {
    /// The operations of a window, the most frequent first.
    async fn operations(&self, call: &Call, query: &StatisticsQuery) -> PortResult<Vec<Operation>>;

    /// All that is kept of an operation, in one row. `None`: none of that type ended.
    async fn totals(
        &self,
        call: &Call,
        operation_type: &OperationType,
        scope: Option<OperationScope>,
    ) -> PortResult<Option<OperationTotals>>;

    /// An operation by days or hours, newest first. `None`: no operation of that type is known.
    async fn trend(&self, call: &Call, query: &TrendQuery) -> PortResult<Option<Trend>>;

    /// Operations over time, for dashboards.
    async fn series(&self, call: &Call, query: &SeriesQuery) -> PortResult<SeriesAnswer>;

    /// The slowest operations, slowest first.
    async fn slowest(&self, call: &Call, query: &SlowestQuery) -> PortResult<Vec<SlowOperation>>;

    /// How much is recorded, and how many alerts want somebody.
    async fn overview(&self, call: &Call) -> PortResult<PerformanceOverview>;

    /// What operations belong to, within 7 days, the most frequent first.
    async fn scopes(&self, call: &Call, limit: u16) -> PortResult<Vec<ScopeFigures>>;

    /// Who did how much within 24 hours, the most frequent first.
    async fn users(&self, call: &Call, limit: u16) -> PortResult<Vec<UserFigures>>;
}
