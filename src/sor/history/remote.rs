//! History kept by another Flamewarden, over its public routes.

#[cfg(test)]
mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::SecondsFormat;
use reqwest::Method;
use tokio::time::Instant;

use super::batch::{Batch, Recorded};
use super::domain::{Assessment, HistoryPage, HistoryQuery, NewAssessment};
use super::port::HistorySor;
use super::wire::{AssessmentBody, BatchResultsBody, HistoryBody, NewAssessmentBody, SentBatch};
use crate::http::{Code, Cursor, IDEMPOTENCY_KEY, Outward, Peer, Repeatable, StoredBody};
use crate::kernel::{AppName, Call, PortError, PortResult, RowId, Stored};

/// How long to wait before asking again whether a server takes batches.
const ONE_BY_ONE: Duration = Duration::from_mins(10);

pub(super) struct RemoteHistory {
    peer: Peer,
    /// The route of batches, which older versions do not have.
    batches: Peer,
    /// Until when the other server counts as one without the route.
    one_by_one_until: Mutex<Option<Instant>>,
}

impl RemoteHistory {
    pub(super) fn new(outward: Outward) -> Self {
        Self {
            peer: Peer::new(outward.clone(), Code::HistoryUnknown),
            batches: Peer::new(outward, Code::RouteUnknown),
            one_by_one_until: Mutex::new(None),
        }
    }

    fn one_by_one_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.one_by_one_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends entries in one call. `None` if the other server has no such route.
    async fn create_together(&self, call: &Call, batch: &[Recorded]) -> PortResult<Option<Vec<PortResult<RowId>>>> {
        let body = SentBatch::from(batch);
        let answer = self.batches.read::<BatchResultsBody>(call, Repeatable::Yes, |outward| {
            outward.request(Method::POST, outward.url(["history", "batch"])).json(&body)
        });
        let Some(answer) = answer.await? else { return Ok(None) };
        if answer.results.len() != batch.len() {
            let detail = format!("{} entries were answered with {} results", batch.len(), answer.results.len());
            return Err(PortError::Unavailable(detail));
        }
        Ok(Some(answer.results.into_iter().map(PortResult::from).collect()))
    }

    /// Sends entries with one call each. If one fails for a reason that is not its own, those after it are not tried.
    async fn create_one_by_one(&self, call: &Call, batch: Vec<Recorded>) -> Vec<PortResult<RowId>> {
        let (mut results, mut failure) = (Vec::with_capacity(batch.len()), None);
        for recorded in batch {
            if let Some(failure) = &failure {
                results.push(Err(PortError::clone(failure)));
                continue;
            }
            let call = call.clone().traced(recorded.trace);
            let result = self.create(&call, recorded.into_new()).await.map(|row| row.id);
            let is_own = matches!(result, Err(PortError::Invalid(_) | PortError::Conflict(_) | PortError::Internal(_)));
            failure = result.as_ref().err().filter(|_| !is_own).cloned();
            results.push(result);
        }
        results
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

    async fn create_all(&self, call: &Call, batch: Batch<Recorded>) -> PortResult<Vec<PortResult<RowId>>> {
        let batch = batch.into_inner();
        let known_to_lack = self.one_by_one_until().is_some_and(|until| Instant::now() < until);
        if !known_to_lack {
            if let Some(results) = self.create_together(call, &batch).await? {
                return Ok(results);
            }
            let server = self.peer.outward().base();
            tracing::warn!(%server, "the other server takes no batches of history, it gets them one by one");
            *self.one_by_one_until() = Some(Instant::now() + ONE_BY_ONE);
        }
        Ok(self.create_one_by_one(call, batch).await)
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
            entries: body.history.into_iter().map(StoredBody::into_stored).collect(),
            next: Cursor::next(body.next_cursor)?,
        })
    }

    async fn latest(&self, call: &Call, app: &AppName) -> PortResult<Option<Stored<Assessment>>> {
        let row = self.peer.read::<StoredBody<AssessmentBody>>(call, Repeatable::Yes, |outward| {
            outward.request(Method::GET, outward.url(["history", app.as_str(), "latest"]))
        });
        Ok(row.await?.map(StoredBody::into_stored))
    }

    async fn remove(&self, call: &Call, id: RowId) -> PortResult<bool> {
        self.peer.remove(call, &["history", &id.get().to_string()]).await
    }
}
