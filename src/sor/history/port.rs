use async_trait::async_trait;

use super::batch::{Batch, Recorded};
use super::domain::{Assessment, HistoryPage, HistoryQuery, NewAssessment};
use crate::kernel::{AppName, Call, PortResult, RowId, Stored};

/// Keeps the audit trail. Adapters: PostgreSQL, another Flamewarden; the spool is a decorator around either.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait HistorySor: Send + Sync {
    /// Stores an assessment and returns its row. If the idempotency key is known, it returns the existing row.
    async fn create(&self, call: &Call, entry: NewAssessment) -> PortResult<Assessment>;

    /// Stores several assessments in one transaction. Returns for each, in order, its id or why it was not stored; one
    /// that was not stored does not affect the others. For a key that is known, or that is in the batch twice, it
    /// returns the existing row. So a batch that failed as a whole can be sent again.
    async fn create_all(&self, call: &Call, batch: Batch<Recorded>) -> PortResult<Vec<PortResult<RowId>>>;

    /// Takes an assessment without waiting for its row. Once this returns, the assessment is not lost, unless a setting
    /// leaves out repeats. The spool appends it to a file and delivers it later. Without a spool it is stored at once.
    async fn record(&self, call: &Call, entry: NewAssessment) -> PortResult<()> {
        self.create(call, entry).await.map(drop)
    }

    /// One page of an app's assessments, newest first; empty for an unknown app.
    async fn list(&self, call: &Call, query: &HistoryQuery) -> PortResult<HistoryPage>;

    /// The newest assessment of an app.
    async fn latest(&self, call: &Call, app: &AppName) -> PortResult<Option<Stored<Assessment>>>;

    /// Removes an assessment; whether there was one.
    async fn remove(&self, call: &Call, id: RowId) -> PortResult<bool>;
}
