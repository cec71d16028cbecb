//! Fetch all, decide, write once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use tokio::time::Instant;

use super::domain::{
    CompareWith, Earlier, FIRST_CHOICE, LAST_CHOICE, Read, Requested, SECOND_CHOICE, Triage, TriageRequest, TypeResult,
    app_has, hold, is_large,
};
use super::entry::history_entry;
use super::recent::{RecentAssessments, View};
use crate::bor::facts::{first_profile, observed, passed_seconds};
use crate::bor::relational::{RelationalPorts, narrowed, tenant_of};
use crate::bor::{Refusal, SorAnswer};
use crate::kernel::{Call, Clock, CostPerCoreHour, Phase, PortError, PortResult, ProfileType, TimeWindow, offload};
use crate::sor::baseline::Baseline;
use crate::sor::profile_data::{MergedProfile, ProfileDataSor, ProfileQuery, StepWidth, Timeline};
use crate::verdict::{Category, ProfileAssessment, Rules, Since, since};

/// What was read of an earlier window of a kind.
type EarlierRead = (ProfileType, CompareWith, TimeWindow, PortResult<Option<MergedProfile>>);

/// How long a triage waits to know since when a category costs more.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longer windows are not read by the minute.
const LONGEST_BY_MINUTE: TimeDelta = TimeDelta::hours(2);
/// How much before a window is read by the minute too, to know what is usual.
const BEFORE: TimeDelta = TimeDelta::hours(1);
/// Profiles of the last seconds are still on their way.
const ON_THEIR_WAY: TimeDelta = TimeDelta::seconds(30);

/// How long one triage may take in all.
const DEADLINE: Duration = Duration::from_secs(40);

/// What triage is made of.
#[derive(Clone)]
pub struct TriageParts {
    /// Where profiles come from.
    pub profiles: Arc<dyn ProfileDataSor>,
    /// Limits and audit trail.
    pub relational: RelationalPorts,
    /// The catalogue.
    pub rules: Arc<Rules>,
    /// What a core costs in an hour, where that was set.
    pub cost: Option<CostPerCoreHour>,
}

/// Triages apps.
#[derive(Clone)]
pub struct TriageService {
    parts: TriageParts,
    recent: Arc<RecentAssessments>,
    deadline: Duration,
}

impl TriageService {
    /// A triage over these ports.
    pub fn new(parts: TriageParts) -> Self {
        Self { parts, recent: Arc::default(), deadline: DEADLINE }
    }

    /// The same with another deadline.
    #[cfg(test)]
    pub(super) fn within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.parts.relational.clock
    }

    /// Triages an app and records the assessment.
    ///
    /// # Errors
    /// `AppUnknown`; `Profiles` where no kind could be read.
    pub async fn triage(&self, call: &Call, request: &TriageRequest) -> Result<Triage, Refusal> {
        let call = &call.until(Instant::now() + self.deadline);
        let triage = call.unless_cancelled(self.decide(call, request)).await?;
        let entry = || history_entry(&triage, request.requested_by.clone());
        let history = self.parts.relational.record(call, &request.app, entry).await;
        call.report(Phase::Report, 1, 1);
        Ok(Triage { history, cost: self.parts.cost, ..triage })
    }

    /// Reads and judges.
    async fn decide(&self, call: &Call, request: &TriageRequest) -> Result<Triage, Refusal> {
        let relational = &self.parts.relational;
        let reads = async {
            call.report(Phase::Resolve, 0, 1);
            let service = relational.service(call, &request.app).await;
            call.report(Phase::Resolve, 1, 1);
            let registered = service.known().and_then(Option::as_ref);
            let (selector, tenant) = (narrowed(&request.selector, registered), tenant_of(registered));
            let own = TriageRequest { selector, tenant, ..request.clone() };
            let read = async { tokio::join!(self.reads(call, &own), self.earlier(call, &own), self.since(call, &own)) };
            (read.await, own, service.outcome())
        };
        let (((reads, earlier, since), request, registry), limits) =
            tokio::join!(reads, relational.limits(call, &request.app, None));
        call.report(Phase::Restore, 1, 1);
        let (reads, request) = (reads?, &request);
        let errors: Vec<_> = reads.iter().filter_map(|(_, read)| read.as_ref().err()).collect();
        if errors.len() == reads.len() && !errors.is_empty() {
            return Err(Refusal::all_failed(&errors));
        }
        for error in errors {
            tracing::warn!(app = request.app.as_str(), %error, "a profile could not be read for triage");
        }
        let (of, judged) = (reads.len(), AtomicUsize::new(0));
        let types = join_all(reads.into_iter().map(async |read| {
            let kind = read.0;
            let mut result = self.judge(read, request, &limits).await;
            result.since = since.iter().find(|(of, _)| *of == kind).map(|(_, since)| since.clone()).unwrap_or_default();
            if let Some((_, with, window, read)) = earlier.iter().find(|(of, ..)| *of == kind) {
                let result_then = self.judge_earlier(kind, *window, read.clone()).await;
                result.earlier = Some(Earlier { with: *with, window: *window, result: result_then });
            }
            call.report(Phase::Analyze, judged.fetch_add(1, Ordering::Relaxed) + 1, of);
            result
        }));
        let is_alloc_left_out =
            matches!(&request.types, Requested::Given(kinds) if !kinds.contains(&ProfileType::Alloc));
        let window = Some(request.window);
        let triage = Triage::of(&request.app, window, types.await, is_alloc_left_out, limits, registry);
        call.report(Phase::Policy, 1, 1);
        Ok(triage)
    }

    /// The profiles of the kinds asked; by default of those the app has.
    async fn reads(&self, call: &Call, request: &TriageRequest) -> Result<Vec<Read>, Refusal> {
        let kinds = match &request.types {
            Requested::Given(kinds) => return self.read_all(call, kinds, request).await,
            Requested::Default => FIRST_CHOICE,
        };
        let first = self.read_all(call, kinds, request).await?;
        if first.iter().any(app_has) {
            return Ok(first.into_iter().filter(app_has).collect());
        }
        for choice in [SECOND_CHOICE, LAST_CHOICE] {
            let reads = self.read_all(call, choice, request).await?;
            if reads.iter().any(app_has) {
                return Ok(reads.into_iter().filter(app_has).collect());
            }
        }
        // An app without any data in the window is answered under the kinds that would be read first.
        Ok(first)
    }

    /// The profiles of the same window earlier, if they are asked for, of the kinds that are read first. Their failure is
    /// part of the answer.
    async fn earlier(&self, call: &Call, request: &TriageRequest) -> Vec<EarlierRead> {
        let Some((with, window)) = request.compare.and_then(|with| Some((with, with.window(request.window)?))) else {
            return Vec::new();
        };
        let reads = request.types.first().iter().map(async |kind| {
            let query = ProfileQuery { window, ..request.query(*kind) };
            (*kind, with, window, call.bound(self.parts.profiles.merged(call, &query)).await)
        });
        join_all(reads).await
    }

    /// Finds out since when each category costs more, if an earlier window is asked for. If profiles cannot be read by
    /// the minute, or that takes too long, the answer lacks it.
    async fn since(&self, call: &Call, request: &TriageRequest) -> Vec<(ProfileType, Vec<(Category, Since)>)> {
        if request.compare.is_none() {
            return Vec::new();
        }
        let Some(window) = by_minute(request.window, self.parts.relational.clock.now()) else { return Vec::new() };
        let of = async |kind: ProfileType| {
            let query = ProfileQuery { window, ..request.query(kind) };
            let read = self.parts.profiles.stacks(call, &query, StepWidth::MINUTE).await?;
            let (rules, from) = (Arc::clone(&self.parts.rules), request.window.from());
            let Some(Timeline { meta, steps }) = read else { return Ok(Vec::new()) };
            let versions: Vec<_> = meta.versions.into_iter().map(first_profile).collect();
            offload("judging profiles by the minute", move || since(&rules, kind, &steps, from, &versions)).await
        };
        let call = &call.until(Instant::now() + PATIENCE);
        join_all(request.types.first().iter().map(async |kind| {
            let since: PortResult<_> = call.bound(of(*kind)).await;
            let quiet = |error: &PortError| tracing::debug!(%kind, %error, "profiles could not be read by the minute");
            (*kind, since.inspect_err(quiet).unwrap_or_default())
        }))
        .await
    }

    /// Judges an earlier window, or says why it cannot be.
    async fn judge_earlier(
        &self,
        kind: ProfileType,
        window: TimeWindow,
        read: PortResult<Option<MergedProfile>>,
    ) -> Result<Arc<ProfileAssessment>, String> {
        let merged = match read {
            Ok(Some(merged)) if merged.profile.stack_count() > 0 => merged,
            Ok(_) => return Err(format!("there is no {kind} profile from then, or none is kept that long")),
            Err(error) => return Err(format!("the {kind} profile from then could not be read: {error}")),
        };
        let view = View { kind, time: Some(observed(&merged.meta, window.seconds())), top: 1 };
        if !is_large(&merged) {
            return Ok(self.recent.of(&self.parts.rules, &merged, view));
        }
        let (recent, rules) = (Arc::clone(&self.recent), Arc::clone(&self.parts.rules));
        let judged = offload("judging an earlier profile", move || recent.of(&rules, &merged, view)).await;
        judged.map_err(|error: PortError| error.to_string())
    }

    async fn read_all(
        &self,
        call: &Call,
        kinds: &[ProfileType],
        request: &TriageRequest,
    ) -> Result<Vec<Read>, Refusal> {
        let done = AtomicUsize::new(0);
        let reads = join_all(kinds.iter().map(async |kind| {
            let query = request.query(*kind);
            let read = call.bound(self.parts.profiles.merged(call, &query)).await;
            call.report(Phase::Fetch, done.fetch_add(1, Ordering::Relaxed) + 1, kinds.len());
            read
        }));
        let known =
            |(kind, read): (ProfileType, PortResult<Option<MergedProfile>>)| read.transpose().map(|read| (kind, read));
        let reads: Option<Vec<_>> = kinds.iter().copied().zip(reads.await).map(known).collect();
        match reads {
            Some(reads) => Ok(reads),
            None => Err(Refusal::unknown(&*self.parts.profiles, call, &request.app, self.clock()).await),
        }
    }

    /// Judges one profile: a small one on this thread, a large one on the threads for heavy work.
    async fn judge(
        &self,
        (kind, read): Read,
        request: &TriageRequest,
        limits: &SorAnswer<Vec<Baseline>>,
    ) -> TypeResult {
        let query = Some(request.query(kind));
        let merged = match read {
            Ok(merged) => merged,
            Err(error) => return TypeResult { kind, query, result: Err(error), earlier: None, since: Vec::new() },
        };
        let time = Some(observed(&merged.meta, passed_seconds(request.window, self.clock().now())));
        let view = View { kind, time, top: request.limit };
        let known = limits.known().map(Vec::as_slice);
        if !is_large(&merged) {
            let assessment = self.recent.of(&self.parts.rules, &merged, view);
            return TypeResult {
                kind,
                query,
                result: Ok(hold(assessment, merged, known)),
                earlier: None,
                since: Vec::new(),
            };
        }
        let (recent, rules) = (Arc::clone(&self.recent), Arc::clone(&self.parts.rules));
        let known = known.map(<[Baseline]>::to_vec);
        let work = move || hold(recent.of(&rules, &merged, view), merged, known.as_deref());
        TypeResult { kind, query, result: offload("judging a profile", work).await, earlier: None, since: Vec::new() }
    }
}

#[cfg(test)]
mod tests;

/// The whole minutes of a window and of the hour before it. `None`: the window is too long, or has not begun.
fn by_minute(window: TimeWindow, now: DateTime<Utc>) -> Option<TimeWindow> {
    let to = StepWidth::MINUTE.floor(window.to().min(now - ON_THEIR_WAY));
    let from = StepWidth::MINUTE.floor(window.from() - BEFORE);
    (window.duration() <= LONGEST_BY_MINUTE).then(|| TimeWindow::new(from, to).ok()).flatten()
}
