//! The history as the spool delivers to it: each delivery is recorded.

use std::sync::Arc;

use async_trait::async_trait;

use crate::kernel::{AppName, Call, PortResult, RowId, Stored, Trace};
use crate::sor::history::{Assessment, Batch, HistoryPage, HistoryQuery, HistorySor, NewAssessment, Recorded};
use crate::telemetry::{TraceSink, Work, recorded};

/// Who delivers.
const SPOOL: &str = "system:spool";

/// The port, each write of which is recorded as a delivery.
pub(super) struct TracedHistory {
    pub(super) history: Arc<dyn HistorySor>,
    pub(super) sink: Arc<dyn TraceSink>,
}

impl TracedHistory {
    async fn delivered<T>(
        &self,
        trace: Option<Trace>,
        app: &str,
        delivery: impl Future<Output = PortResult<T>>,
    ) -> PortResult<T> {
        recorded(&*self.sink, (Work::Delivery, trace), (app, SPOOL), delivery).await
    }
}

#[async_trait]
impl HistorySor for TracedHistory {
    async fn create(&self, call: &Call, entry: NewAssessment) -> PortResult<Assessment> {
        let app = entry.app_name.clone();
        self.delivered(call.trace(), app.as_str(), self.history.create(call, entry)).await
    }

    async fn create_all(&self, call: &Call, batch: Batch<Recorded>) -> PortResult<Vec<PortResult<RowId>>> {
        self.delivered(call.trace(), "", self.history.create_all(call, batch)).await
    }

    async fn record(&self, call: &Call, entry: NewAssessment) -> PortResult<()> {
        self.history.record(call, entry).await
    }

    async fn list(&self, call: &Call, query: &HistoryQuery) -> PortResult<HistoryPage> {
        self.history.list(call, query).await
    }

    async fn latest(&self, call: &Call, app: &AppName) -> PortResult<Option<Stored<Assessment>>> {
        self.history.latest(call, app).await
    }

    async fn remove(&self, call: &Call, id: RowId) -> PortResult<bool> {
        self.history.remove(call, id).await
    }
}
