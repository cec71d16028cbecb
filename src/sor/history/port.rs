use async_trait::async_trait;

use super::domain::{Assessment, HistoryPage, HistoryQuery, NewAssessment};
use crate::kernel::{AppName, PortResult, RowId};

/// Keeps the audit trail. Adapters: PostgreSQL, another Flamewarden; the spool is a decorator around either.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait HistorySor: Send + Sync {
    /// Keeps an assessment and answers its row. The same idempotency key again answers the row that exists.
    async fn create(&self, entry: NewAssessment) -> PortResult<Assessment>;

    /// Takes an assessment for keeping, without waiting for its row: once this returns, it is not lost, unless a setting
    /// says that what repeats the last one is left out. The spool appends it to a file and delivers it later; without a
    /// spool it is kept at once.
    async fn record(&self, entry: NewAssessment) -> PortResult<()> {
        self.create(entry).await.map(drop)
    }

    /// One page of an app's assessments, newest first; empty for an app nobody knows.
    async fn list(&self, query: &HistoryQuery) -> PortResult<HistoryPage>;

    /// The newest assessment of an app.
    async fn latest(&self, app: &AppName) -> PortResult<Option<Assessment>>;

    /// Removes an assessment; whether there was one.
    async fn remove(&self, id: RowId) -> PortResult<bool>;
}
