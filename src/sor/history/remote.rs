//! History kept by another Flamewarden, over its public routes.

use async_trait::async_trait;
use chrono::SecondsFormat;
use reqwest::Method;

use super::domain::{Assessment, HistoryPage, HistoryQuery, NewAssessment};
use super::port::HistorySor;
use super::wire::{AssessmentBody, HistoryBody, IDEMPOTENCY_KEY, NewAssessmentBody};
use crate::http::{Code, Cursor, Outward, Peer, Repeatable};
use crate::kernel::{AppName, Call, PortResult, RowId};

pub(super) struct RemoteHistory {
    peer: Peer,
}

impl RemoteHistory {
    pub(super) fn new(outward: Outward) -> Self {
        Self { peer: Peer::new(outward, Code::HistoryUnknown) }
    }
}

#[async_trait]
impl HistorySor for RemoteHistory {
    async fn create(&self, call: &Call, entry: NewAssessment) -> PortResult<Assessment> {
        let body = NewAssessmentBody::from(&entry);
        let key = entry.idempotency_key.map(|key| key.to_string());
        let repeatable = if key.is_some() { Repeatable::Yes } else { Repeatable::No };
        let row = self.peer.written::<AssessmentBody>(call, repeatable, |outward| {
            let request = outward.request(Method::POST, outward.url(["history"])).json(&body);
            key.iter().fold(request, |request, key| request.header(IDEMPOTENCY_KEY, key))
        });
        row.await.map(Assessment::from)
    }

    async fn list(&self, call: &Call, query: &HistoryQuery) -> PortResult<HistoryPage> {
        let mut parameters = vec![("limit", query.limit.clamp(1, HistoryQuery::MAX_LIMIT).to_string())];
        for (name, time) in [("from", query.from), ("to", query.to)] {
            parameters.extend(time.map(|time| (name, time.to_rfc3339_opts(SecondsFormat::AutoSi, true))));
        }
        parameters.extend(query.after.as_ref().map(|after| ("cursor", Cursor::encode(after))));
        let body = self.peer.written::<HistoryBody>(call, Repeatable::Yes, |outward| {
            outward.request(Method::GET, outward.url(["history", query.app_name.as_str()])).query(&parameters)
        });
        let body = body.await?;
        Ok(HistoryPage {
            entries: body.history.into_iter().map(Assessment::from).collect(),
            next: Cursor::next(body.next_cursor)?,
        })
    }

    async fn latest(&self, call: &Call, app: &AppName) -> PortResult<Option<Assessment>> {
        let row = self.peer.read::<AssessmentBody>(call, Repeatable::Yes, |outward| {
            outward.request(Method::GET, outward.url(["history", app.as_str(), "latest"]))
        });
        Ok(row.await?.map(Assessment::from))
    }

    async fn remove(&self, call: &Call, id: RowId) -> PortResult<bool> {
        self.peer.remove(call, &["history", &id.get().to_string()]).await
    }
}
