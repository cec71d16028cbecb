//! Fetch all, decide, write once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use super::domain::{
    FIRST_CHOICE, Read, Requested, SECOND_CHOICE, Triage, TriageRequest, TypeResult, app_has, hold, is_large,
};
use super::entry::history_entry;
use super::recent::{RecentAssessments, View};
use crate::bor::facts::{observed, passed_seconds};
use crate::bor::relational::{RelationalPorts, narrowed, tenant_of};
use crate::bor::{Refusal, SorAnswer};
use crate::kernel::{Call, Clock, Phase, PortResult, ProfileType, offload};
use crate::sor::baseline::Baseline;
use crate::sor::profile_data::{MergedProfile, ProfileDataSor};
use crate::verdict::Rules;

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
        Ok(Triage { history, ..triage })
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
            let reads = self.reads(call, &own).await;
            (reads, own, service.outcome())
        };
        let ((reads, request, registry), limits) = tokio::join!(reads, relational.limits(call, &request.app, None));
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
            let result = self.judge(read, request, &limits).await;
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
        let second = self.read_all(call, SECOND_CHOICE, request).await?;
        // An app without any data in the window is answered under the kinds that would be read first.
        Ok(if second.iter().any(app_has) { second.into_iter().filter(app_has).collect() } else { first })
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
            Err(error) => return TypeResult { kind, query, result: Err(error) },
        };
        let time = Some(observed(&merged.meta, passed_seconds(request.window, self.clock().now())));
        let view = View { kind, time, top: request.limit };
        let known = limits.known().map(Vec::as_slice);
        if !is_large(&merged) {
            let assessment = self.recent.of(&self.parts.rules, &merged, view);
            return TypeResult { kind, query, result: Ok(hold(assessment, merged, known)) };
        }
        let (recent, rules) = (Arc::clone(&self.recent), Arc::clone(&self.parts.rules));
        let known = known.map(<[Baseline]>::to_vec);
        let work = move || hold(recent.of(&rules, &merged, view), merged, known.as_deref());
        TypeResult { kind, query, result: offload("judging a profile", work).await }
    }
}

#[cfg(test)]
mod tests;
