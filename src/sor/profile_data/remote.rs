//! The profiles of another Flamewarden, read through its public routes.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use moka::future::Cache;
use reqwest::header::RETRY_AFTER;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use url::Url;

use super::domain::{MergedProfile, ProfileQuery};
use super::exchange::{InvalidExport, read_one, read_pair, read_steps};
use super::port::ProfileDataSor;
use super::pyroscope::weight;
use super::timeline::{StepWidth, Timeline};
use super::within::{NotRead, ReadBudget};
use crate::http::{Answer, Code, Outward, TENANT_HEADER, announce, denied};
use crate::kernel::{AppName, Call, Clock, PortError, PortResult, Selector, Tenant, TimeWindow};
use crate::profile::{Budget, LimitName, Profile, ReadError, ReadLimits};
use crate::upstream::is_closed;

/// Exports up to this size, compressed, are read on the thread where they arrive.
const SMALL_BYTES: usize = 64 << 10;
/// An export that inflates to more than this is read on another thread.
const SMALL_INFLATED: u64 = 4 << 20;
/// The largest export that is read. The HTTP client refuses larger answers than its own limit before.
const MAX_BYTES: u64 = 256 << 20;
/// How many bytes of profiles of closed windows are cached.
const CACHE_BYTES: u64 = 32 << 20;
/// How long an export waits for memory.
const PATIENCE: Duration = Duration::from_secs(10);

/// The adapter. It reads profiles with `export`, one call for a window or a pair of windows. Closed windows are cached.
pub(super) struct RemoteProfiles {
    outward: Outward,
    reads: ReadBudget,
    clock: Arc<dyn Clock>,
    closed: Cache<ProfileQuery, MergedProfile>,
}

#[derive(Deserialize)]
struct Apps {
    apps: Vec<AppName>,
}

/// The members of a problem document that are used here.
#[derive(Deserialize)]
struct ProblemMembers {
    code: String,
    detail: String,
}

impl RemoteProfiles {
    pub(super) fn new(outward: Outward, budget: Budget, clock: Arc<dyn Clock>) -> Self {
        let reads =
            ReadBudget { budget, limits: ReadLimits { body: MAX_BYTES, ..ReadLimits::default() }, patience: PATIENCE };
        let weigher =
            |_: &ProfileQuery, merged: &MergedProfile| u32::try_from(weight(&merged.profile)).unwrap_or(u32::MAX);
        let closed = Cache::builder().max_capacity(CACHE_BYTES).weigher(weigher).build();
        Self { outward, reads, clock, closed }
    }

    /// The body of a 200. `None`: the other server says that the app is unknown.
    async fn get(&self, call: &Call, url: Url, tenant: Option<&Tenant>) -> PortResult<Option<Bytes>> {
        let ask = || {
            let request = announce(call, self.outward.request(Method::GET, url.clone()));
            let request = match tenant {
                Some(tenant) => request.header(TENANT_HEADER, tenant.as_str()),
                None => request,
            };
            self.outward.send(call, request)
        };
        let answer = match ask().await {
            // A read can be repeated: if the connection broke, a new one is made, once.
            Err(PortError::Unavailable(_)) => ask().await?,
            answer => answer?,
        };
        judge(answer)
    }

    /// Reads an export. A large one is read on the threads for heavy work, once there is memory for it.
    async fn read<T: Send + 'static>(
        &self,
        body: Bytes,
        read: fn(&[u8], &ReadLimits) -> Result<T, InvalidExport>,
    ) -> PortResult<T> {
        let bad = |error: InvalidExport| PortError::Unavailable(format!("the other server's answer: {error}"));
        if body.len() <= SMALL_BYTES {
            match read(&body, &ReadLimits { inflated: SMALL_INFLATED, ..self.reads.limits }) {
                Err(InvalidExport::Pprof(ReadError::Limit { limit: LimitName::Inflated, .. })) => {}
                done => return done.map_err(bad),
            }
        }
        let reading = move |bytes: &[u8], limits: &ReadLimits| match read(bytes, limits) {
            Err(InvalidExport::Pprof(error)) => Err(error),
            done => Ok(done),
        };
        match self.reads.read(body, 0, None, reading).await {
            Ok((_permit, read)) => read.map_err(bad),
            Err(NotRead::Bad(error)) => Err(bad(error.into())),
            Err(NotRead::Busy) => Err(PortError::Timeout("waiting for memory to read the answer".to_owned())),
            Err(NotRead::Lost(error)) => Err(error),
        }
    }

    /// The window step by step; with or without the stacks.
    async fn steps(
        &self,
        call: &Call,
        query: &ProfileQuery,
        width: StepWidth,
        stacks: bool,
    ) -> PortResult<Option<Timeline<Profile>>> {
        let mut url = self.export_url(query, None);
        url.query_pairs_mut()
            .append_pair("step", &format!("{}s", width.get().num_seconds()))
            .append_pair("stacks", if stacks { "true" } else { "false" });
        match self.get(call, url, query.tenant.as_ref()).await? {
            Some(body) => self.read(body, read_steps).await.map(Some),
            None => Ok(None),
        }
    }

    /// The address of an export, of one window or, with a baseline, of two.
    fn export_url(&self, query: &ProfileQuery, baseline: Option<(TimeWindow, &Selector)>) -> Url {
        let mut url = self.outward.url(["profiles", query.app.as_str(), "export"]);
        url.query_pairs_mut().append_pair("type", query.kind.as_str());
        append_window(&mut url, ["from", "to"], query.window);
        let (window, second) = baseline.unzip();
        let ([selector, baseline_selector], labels) =
            Selector::beside_labels([&query.selector, second.unwrap_or(&query.selector)]);
        if !selector.is_empty() {
            url.query_pairs_mut().append_pair("selector", &selector.to_string());
        }
        if let Some(window) = window {
            append_window(&mut url, ["baselineFrom", "baselineTo"], window);
            // Always sent: without it, the selector of the current window would apply.
            url.query_pairs_mut().append_pair("baselineSelector", &baseline_selector.to_string());
        }
        if !labels.is_empty() {
            url.query_pairs_mut().append_pair("labels", &labels.to_string());
        }
        url
    }
}

fn append_window(url: &mut Url, [from, to]: [&str; 2], window: TimeWindow) {
    url.query_pairs_mut()
        .append_pair(from, &window.from().timestamp().to_string())
        .append_pair(to, &window.to().timestamp().to_string());
}

fn judge(answer: Answer) -> PortResult<Option<Bytes>> {
    let status = answer.status;
    if status == StatusCode::OK {
        return Ok(Some(answer.body));
    }
    let told = serde_json::from_slice::<ProblemMembers>(&answer.body).ok();
    let code = told.as_ref().and_then(|told| Code::of_id(&told.code));
    // Only a text that another Flamewarden wrote may be shown to the caller.
    let detail = match (told, code) {
        (Some(told), Some(_)) => told.detail,
        _ => format!("the other server answered {}", status.as_u16()),
    };
    let busy = |detail| {
        let seconds = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        PortError::Overloaded { detail, retry_after_s: seconds.unwrap_or(1) }
    };
    Err(match (status.as_u16(), code) {
        (404, Some(Code::AppUnknown)) => return Ok(None),
        (400, Some(_)) => PortError::Invalid(detail),
        (502, Some(Code::ProfileSourceDenied)) => PortError::Denied(detail),
        (401 | 403, _) => denied(&detail),
        (503, Some(Code::ProfileSourceBusy | Code::Overloaded)) | (429, _) => busy(detail),
        (503, Some(Code::NotReady)) => PortError::Starting(detail),
        (504, _) => PortError::Timeout(detail),
        (500, Some(Code::Internal)) => PortError::Internal(detail),
        _ => PortError::Unavailable(detail),
    })
}

#[async_trait]
impl ProfileDataSor for RemoteProfiles {
    async fn apps<'a>(
        &'a self,
        call: &'a Call,
        tenant: Option<&'a Tenant>,
        window: TimeWindow,
    ) -> PortResult<Vec<AppName>> {
        let mut url = self.outward.url(["profiles", "apps"]);
        append_window(&mut url, ["from", "to"], window);
        let nonsense = |why: String| PortError::Unavailable(format!("the other server's apps: {why}"));
        let body = self.get(call, url, tenant).await?.ok_or_else(|| nonsense("unknown".to_owned()))?;
        let Apps { mut apps } = serde_json::from_slice(&body).map_err(|e| nonsense(e.to_string()))?;
        apps.sort();
        apps.dedup();
        Ok(apps)
    }

    async fn merged(&self, call: &Call, query: &ProfileQuery) -> PortResult<Option<MergedProfile>> {
        let closed = is_closed(query.window, self.clock.now());
        if closed && let Some(merged) = self.closed.get(query).await {
            return Ok(Some(merged));
        }
        let Some(body) = self.get(call, self.export_url(query, None), query.tenant.as_ref()).await? else {
            return Ok(None);
        };
        let merged = self.read(body, read_one).await?;
        // An empty answer is not cached: a source that is starting answers with nothing too.
        if closed && merged.profile.stack_count() > 0 {
            self.closed.insert(query.clone(), merged.clone()).await;
        }
        Ok(Some(merged))
    }

    async fn merged_pair(
        &self,
        call: &Call,
        query: &ProfileQuery,
        baseline: TimeWindow,
        baseline_selector: &Selector,
    ) -> PortResult<Option<(MergedProfile, MergedProfile)>> {
        let url = self.export_url(query, Some((baseline, baseline_selector)));
        match self.get(call, url, query.tenant.as_ref()).await? {
            Some(body) => self.read(body, read_pair).await.map(Some),
            None => Ok(None),
        }
    }

    async fn totals(&self, call: &Call, query: &ProfileQuery, width: StepWidth) -> PortResult<Option<Timeline<i64>>> {
        let read = self.steps(call, query, width, false).await?;
        Ok(read.map(|Timeline { meta, steps }| {
            let steps = steps.into_iter().map(|(at, profile)| (at, profile.total(0))).collect();
            Timeline { meta, steps }
        }))
    }

    async fn stacks(
        &self,
        call: &Call,
        query: &ProfileQuery,
        width: StepWidth,
    ) -> PortResult<Option<Timeline<Profile>>> {
        self.steps(call, query, width, true).await
    }
}
