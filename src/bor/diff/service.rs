//! Fetch all, decide, write once.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::domain::{Diff, DiffRequest, compare};
use super::entry::history_entry;
use crate::bor::facts::{limits_of, passed_seconds};
use crate::bor::relational::RelationalPorts;
use crate::bor::{Refusal, SorAnswer};
use crate::kernel::{Call, Clock, Phase, PortResult, offload};
use crate::sor::baseline::Baseline;
use crate::sor::profile_data::{MergedProfile, ProfileDataSor};
use crate::verdict::{Comparison, Rules};

/// How long one diff may take in all.
const DEADLINE: Duration = Duration::from_secs(40);
/// Profiles with more frames are compared on the threads for heavy work.
const LARGE_FRAMES: usize = 100_000;

/// What the diff report is made of.
#[derive(Clone)]
pub struct DiffParts {
    /// Where profiles come from.
    pub profiles: Arc<dyn ProfileDataSor>,
    /// Limits and audit trail.
    pub relational: RelationalPorts,
    /// The catalogue of rules.
    pub rules: Arc<Rules>,
}

/// Compares windows of apps.
#[derive(Clone)]
pub struct DiffService {
    parts: DiffParts,
    deadline: Duration,
}

impl DiffService {
    /// A diff report over these ports.
    pub fn new(parts: DiffParts) -> Self {
        Self { parts, deadline: DEADLINE }
    }

    /// The same with another deadline.
    #[cfg(test)]
    pub(super) fn within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.parts.relational.clock
    }

    /// Compares two windows and records the report.
    ///
    /// # Errors
    /// `AppUnknown`; `Profiles` where its profiles cannot be had.
    pub async fn diff(&self, call: &Call, request: &DiffRequest) -> Result<Diff, Refusal> {
        let call = &call.until(Instant::now() + self.deadline);
        let diff = call.unless_cancelled(self.decide(call, request)).await?;
        let entry = || history_entry(&diff, request.requested_by.clone());
        let history = self.parts.relational.record(call, &diff.app, entry).await;
        call.report(Phase::Report, 1, 1);
        Ok(Diff { history, ..diff })
    }

    /// Reads and compares.
    async fn decide(&self, call: &Call, request: &DiffRequest) -> Result<Diff, Refusal> {
        let relational = &self.parts.relational;
        let (app, kind) = (&request.current.app, request.current.kind);
        let read = async {
            call.report(Phase::Resolve, 0, 1);
            let service = relational.service(call, app).await;
            call.report(Phase::Resolve, 1, 1);
            let own = request.narrowed(service.known().and_then(Option::as_ref));
            let pair = self.read(call, &own).await;
            call.report(Phase::Fetch, 1, 1);
            (pair, own, service.outcome())
        };
        let ((pair, own, registry), limits) = tokio::join!(read, relational.limits(call, app, Some(kind)));
        call.report(Phase::Restore, 1, 1);
        let pair = pair?;
        let comparison = self.compare(&own, &pair, &limits).await?;
        call.report(Phase::Analyze, 1, 1);
        Ok(Diff {
            app: app.clone(),
            kind,
            windows: [Some(own.baseline), Some(own.current.window)],
            limit: own.limit,
            asked: Some(own),
            profile_types: pair.1.meta.profile_types,
            comparison,
            limits: limits.outcome(),
            registry,
            history: SorAnswer::NotAsked,
        })
    }

    async fn read(&self, call: &Call, request: &DiffRequest) -> Result<(MergedProfile, MergedProfile), Refusal> {
        let DiffRequest { current, baseline, baseline_selector, .. } = request;
        let pair = call.bound(self.parts.profiles.merged_pair(call, current, *baseline, baseline_selector)).await?;
        match pair {
            Some(pair) => Ok(pair),
            None => Err(Refusal::unknown(&*self.parts.profiles, call, &current.app, self.clock()).await),
        }
    }

    /// Compares small profiles on this thread, and large ones on the threads for heavy work.
    async fn compare(
        &self,
        request: &DiffRequest,
        pair: &(MergedProfile, MergedProfile),
        limits: &SorAnswer<Vec<Baseline>>,
    ) -> PortResult<Comparison> {
        let (kind, now) = (request.current.kind, self.clock().now());
        let seconds = [request.baseline, request.current.window].map(|window| Some(passed_seconds(window, now)));
        let known = limits.known().map(Vec::as_slice).unwrap_or_default();
        let frames = pair.0.profile.frame_count() + pair.1.profile.frame_count();
        if frames <= LARGE_FRAMES {
            return Ok(compare(&self.parts.rules, kind, (&pair.0, &pair.1), seconds, &limits_of(kind, known)));
        }
        let (pair, known): (_, Vec<Baseline>) = (pair.clone(), known.to_vec());
        let rules = Arc::clone(&self.parts.rules);
        let work = move || compare(&rules, kind, (&pair.0, &pair.1), seconds, &limits_of(kind, &known));
        offload("comparing profiles", work).await
    }
}
