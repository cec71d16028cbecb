//! Requests that were denied, on their way to the log. Denying one costs no call of the database.

use core::net::IpAddr;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::json;

use super::domain::{AuditMethod, AuditResult, AuditText, NewAuditEntry};
use super::port::AuditSor;
use crate::kernel::{Actor, Call, Clock, PortResult};

/// Entries that wait at most.
const CAPACITY: usize = 10_000;
/// Entries of one call.
const BATCH: usize = 500;
const MINUTE_S: i64 = 60;
/// Who had a credential that nobody has.
const ANONYMOUS: AuditText = AuditText::of("anonymous");

/// A request that was denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeniedRequest {
    /// Whose it was; `None` where its credential is nobody's.
    pub actor: Option<Actor>,
    /// Where it came from.
    pub client: Option<IpAddr>,
    /// What the client calls itself.
    pub agent: Option<String>,
    /// The id of the request.
    pub request_id: Option<String>,
    /// The route by its pattern: `PUT /baselines/{key}`.
    pub route: String,
    /// Why: the code of the answer.
    pub reason: &'static str,
}

/// What is one entry of the log: the minute, client, user, route and reason.
type Key = (i64, Option<IpAddr>, Option<Actor>, String, &'static str);

/// The entry's first request, and how many there were.
type Counted = (DeniedRequest, i32);

/// Counts denied requests and appends one entry to the log for each client, user, route, reason and minute, once the minute
/// is over. A crash loses what waits.
pub struct DeniedRequests {
    log: Option<Arc<dyn AuditSor>>,
    clock: Arc<dyn Clock>,
    waiting: Mutex<HashMap<Key, Counted>>,
}

impl DeniedRequests {
    /// Requests for this log. Without one, they are written to the server's own log.
    pub fn new(log: Option<Arc<dyn AuditSor>>, clock: Arc<dyn Clock>) -> Self {
        metrics::describe_counter!("audit_dropped_total", "Denied requests that did not reach the audit log");
        Self { log, clock, waiting: Mutex::default() }
    }

    /// Notes a request. It waits for nothing; if 10,000 entries wait, it is dropped and counted.
    pub fn note(&self, denied: DeniedRequest) {
        let minute = self.clock.now().timestamp().div_euclid(MINUTE_S);
        let key = (minute, denied.client, denied.actor.clone(), denied.route.clone(), denied.reason);
        self.add(key, (denied, 1));
    }

    fn add(&self, key: Key, (denied, times): Counted) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let full = waiting.len() >= CAPACITY;
        match waiting.entry(key) {
            Entry::Occupied(mut counted) => counted.get_mut().1 = counted.get().1.saturating_add(times),
            Entry::Vacant(_) if full => dropped(times),
            Entry::Vacant(free) => _ = free.insert((denied, times)),
        }
    }

    /// Appends the entries of minutes that are over. To be called every second.
    ///
    /// # Errors
    /// The log's. What was not appended waits for the next call.
    pub async fn deliver(&self, call: &Call) -> PortResult<()> {
        self.deliver_before(call, self.clock.now()).await
    }

    /// Appends all entries, for the end of the server.
    ///
    /// # Errors
    /// As [`DeniedRequests::deliver`].
    pub async fn flush(&self, call: &Call) -> PortResult<()> {
        self.deliver_before(call, DateTime::<Utc>::MAX_UTC).await
    }

    async fn deliver_before(&self, call: &Call, end: DateTime<Utc>) -> PortResult<()> {
        let mut due = self.take(end.timestamp().div_euclid(MINUTE_S));
        let Some(log) = &self.log else {
            for (_, (denied, times)) in due {
                let DeniedRequest { actor, client, route, reason, .. } = denied;
                let user = actor.as_ref().map(ToString::to_string);
                tracing::warn!(?user, ?client, route, reason, times, "requests were denied, and the audit log is off");
                dropped(times);
            }
            return Ok(());
        };
        while !due.is_empty() {
            let batch: Vec<_> = due.drain(..due.len().min(BATCH)).collect();
            let entries = batch.iter().map(|(_, counted)| entry(counted)).collect();
            if let Err(error) = log.append(call, entries).await {
                for (key, counted) in batch.into_iter().chain(due) {
                    self.add(key, counted);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// What is of minutes before this one, in order.
    fn take(&self, minute: i64) -> Vec<(Key, Counted)> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due: Vec<_> = waiting.extract_if(|key, _| key.0 < minute).collect();
        due.sort_by(|(a, _), (b, _)| (a.0, &a.3, a.1, a.4).cmp(&(b.0, &b.3, b.1, b.4)));
        due
    }
}

fn dropped(times: i32) {
    metrics::counter!("audit_dropped_total").increment(u64::from(times.unsigned_abs()));
}

fn entry((denied, times): &Counted) -> NewAuditEntry {
    NewAuditEntry {
        user_id: denied.actor.as_ref().and_then(|actor| AuditText::cut(&actor.to_string())).unwrap_or(ANONYMOUS),
        access_method: denied.actor.as_ref().map_or(AuditMethod::Token, |actor| actor.method.into()),
        action: AuditText::of("request.denied"),
        resource_type: AuditText::of("route"),
        resource_id: AuditText::cut(&denied.route),
        result: AuditResult::Denied,
        times: *times,
        client_ip: denied.client,
        user_agent: denied.agent.as_deref().and_then(AuditText::cut),
        request_id: denied.request_id.as_deref().and_then(AuditText::cut),
        metadata: json!({"reason": denied.reason}).try_into().ok(),
    }
}
