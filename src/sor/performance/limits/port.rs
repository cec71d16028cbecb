use async_trait::async_trait;

use super::detection::{Anomaly, Correlation, Degradation};
use super::{
    Acknowledgement, CorrelationQuery, LatencyAlert, LatencyAlertPage, LatencyAlertQuery, LatencyBaseline,
    LatencyBaselineHealth, LatencyBaselinePage, LatencyBaselineQuery, LookbackDays, NewLatencyBaseline,
    NewOperationType, OperationTypeRow,
};
use crate::kernel::{Call, PortResult};

/// Keeps limits of operations, and which types of them there are. Adapters: PostgreSQL, another Flamewarden.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait LatencyBaselineSor: Send + Sync {
    /// Learns a limit, which is in force then. `None`: fewer than 10 operations succeeded in those days.
    async fn learn(&self, call: &Call, new: NewLatencyBaseline) -> PortResult<Option<LatencyBaseline>>;

    /// One page of limits, newest first.
    async fn page(&self, call: &Call, query: &LatencyBaselineQuery) -> PortResult<LatencyBaselinePage>;

    /// The limit of an id.
    async fn get(&self, call: &Call, id: i64) -> PortResult<Option<LatencyBaseline>>;

    /// Puts a limit out of force; whether there is one of that id.
    async fn deactivate(&self, call: &Call, id: i64) -> PortResult<bool>;

    /// How old limits are, and how many alerts they have raised; at most `limit`.
    async fn health(&self, call: &Call, limit: u16) -> PortResult<Vec<LatencyBaselineHealth>>;

    /// The types of operations that are known, by their names; at most `limit`.
    async fn types(&self, call: &Call, limit: u16) -> PortResult<Vec<OperationTypeRow>>;

    /// Tells of a type, or changes what is known of it.
    async fn set_type(&self, call: &Call, new: NewOperationType) -> PortResult<OperationTypeRow>;
}

/// Keeps alerts of operations. Adapters: PostgreSQL, another Flamewarden.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait LatencyAlertSor: Send + Sync {
    /// One page of alerts, newest first.
    async fn page(&self, call: &Call, query: &LatencyAlertQuery) -> PortResult<LatencyAlertPage>;

    /// The alert of an id.
    async fn get(&self, call: &Call, id: i64) -> PortResult<Option<LatencyAlert>>;

    /// Operations that were much slower in the last hour that is over than in those of 7 days before.
    async fn anomalies(&self, call: &Call) -> PortResult<Vec<Anomaly>>;

    /// Operations that were slower in the second half of the days than in the first.
    async fn degradations(&self, call: &Call, days: LookbackDays) -> PortResult<Vec<Degradation>>;

    /// Tracked operations that become slower together.
    async fn correlations(&self, call: &Call, query: &CorrelationQuery) -> PortResult<Vec<Correlation>>;

    /// Says that somebody looks after an alert. `Conflict`: somebody said so before, who stays. `None`: there is none.
    async fn acknowledge(&self, call: &Call, id: i64, who: Acknowledgement) -> PortResult<Option<LatencyAlert>>;
}
