use async_trait::async_trait;

use super::batch::{Batch, Recorded};
use super::domain::{Assessment, HistoryPage, HistoryQuery, NewAssessment};
use crate::kernel::{AppName, Call, PortResult, RowId, Stored};

/// Keeps the audit trail. Adapters: PostgreSQL, another Flamewarden; the spool is a decorator around either.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait HistorySor: Send + Sync {
    /// Keeps an assessment and returns its row. For a known idempotency key it returns the row that exists.
    async fn create(&self, call: &Call, entry: NewAssessment) -> PortResult<Assessment>;

    /// Keeps several assessments in one transaction. Returns for each, in order, its id or why it is not kept; one that
    /// is not kept does not affect the others. For a key that is known, or that the batch holds twice, it returns the
    /// row that exists. So the same batch may be sent again if it fails as a whole.
    async fn create_all(&self, call: &Call, batch: Batch<Recorded>) -> PortResult<Vec<PortResult<RowId>>>;

    /// Takes an assessment without waiting for its row. Once this returns, the assessment is not lost, unless a setting
    /// leaves out repeats. The spool appends it to a file and delivers it later; without a spool it is kept at once.
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
