//! History kept by another Flamewarden, over its public routes.

use async_trait::async_trait;
use chrono::SecondsFormat;
use reqwest::Method;

use super::domain::{Assessment, HistoryPage, HistoryPosition, HistoryQuery, NewAssessment};
use super::port::HistorySor;
use super::wire::{AssessmentBody, HistoryBody, IDEMPOTENCY_KEY, NewAssessmentBody};
use crate::http::{Code, Cursor, Outward, Peer, Repeatable};
use crate::kernel::{AppName, PortError, PortResult, RowId};

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
    async fn create(&self, entry: NewAssessment) -> PortResult<Assessment> {
        let body = NewAssessmentBody::from(&entry);
        let key = entry.idempotency_key.map(|key| key.to_string());
        let repeatable = if key.is_some() { Repeatable::Yes } else { Repeatable::No };
        let row = self.peer.read::<AssessmentBody>(repeatable, |outward| {
            let request = outward.request(Method::POST, outward.url(["history"])).json(&body);
            key.iter().fold(request, |request, key| request.header(IDEMPOTENCY_KEY, key))
        });
        row.await?.map(Assessment::from).ok_or_else(|| PortError::Unavailable("the answer has no row".to_owned()))
    }

    async fn list(&self, query: &HistoryQuery) -> PortResult<HistoryPage> {
        let mut parameters = vec![("limit", query.limit.clamp(1, HistoryQuery::MAX_LIMIT).to_string())];
        for (name, time) in [("from", query.from), ("to", query.to)] {
            parameters.extend(time.map(|time| (name, time.to_rfc3339_opts(SecondsFormat::AutoSi, true))));
        }
        parameters.extend(query.after.as_ref().map(|after| ("cursor", Cursor::encode(after))));
        let body = self.peer.read::<HistoryBody>(Repeatable::Yes, |outward| {
            outward.request(Method::GET, outward.url(["history", query.app_name.as_str()])).query(&parameters)
        });
        let Some(body) = body.await? else { return Ok(HistoryPage { entries: Vec::new(), next: None }) };
        let next = body.next_cursor.map(|text| text.parse::<Cursor<HistoryPosition>>()).transpose();
        let next = next.map_err(|error| PortError::Unavailable(format!("nextCursor {error}")))?;
        Ok(HistoryPage {
            entries: body.history.into_iter().map(Assessment::from).collect(),
            next: next.map(|cursor| cursor.0),
        })
    }

    async fn latest(&self, app: &AppName) -> PortResult<Option<Assessment>> {
        let row = self.peer.read::<AssessmentBody>(Repeatable::Yes, |outward| {
            outward.request(Method::GET, outward.url(["history", app.as_str(), "latest"]))
        });
        Ok(row.await?.map(Assessment::from))
    }

    async fn remove(&self, id: RowId) -> PortResult<bool> {
        // Not repeated: the second try would find nothing and say that there was nothing.
        let done = self.peer.done(Repeatable::No, |outward| {
            outward.request(Method::DELETE, outward.url(["history", &id.get().to_string()]))
        });
        done.await
    }
}
