//! Fetch all, decide, write once.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::domain::{DiffRequest, compare};
use super::entry::history_entry;
use super::wire::DiffBody;
use crate::bor::facts::{limits_of, passed_seconds};
use crate::bor::labels::OwnLabels;
use crate::bor::links::LinkSettings;
use crate::bor::relational::{Limits, RelationalPorts};
use crate::bor::request::app_unknown;
use crate::http::Problem;
use crate::kernel::{Call, Clock, PortError, offload};
use crate::sor::baseline::Baseline;
use crate::sor::profile_data::{MergedProfile, ProfileDataSor};
use crate::verdict::Comparison;

/// How long one diff may take in all.
const DEADLINE: Duration = Duration::from_secs(40);
/// Profiles of more frames than this are compared on the threads for heavy work.
const LARGE_FRAMES: usize = 100_000;

/// What the diff report is made of.
#[derive(Clone)]
pub struct DiffParts {
    /// Where profiles come from.
    pub profiles: Arc<dyn ProfileDataSor>,
    /// Limits and audit trail.
    pub relational: RelationalPorts,
    /// How links are made.
    pub links: LinkSettings,
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

    /// Compares two windows.
    ///
    /// # Errors
    /// `app_unknown` where nobody knows the app; `timeout`, `profile_source_denied`, `profile_source_busy` or
    /// `profile_source_failed` where its profiles cannot be had.
    pub async fn diff(&self, call: &Call, request: &DiffRequest) -> Result<DiffBody, Problem> {
        let deadline = Instant::now() + self.deadline;
        let relational = &self.parts.relational;
        let (app, kind) = (&request.current.app, request.current.kind);
        let read = async {
            let labels = OwnLabels::of(call, app, relational).await;
            let narrowed = request.narrowed(&labels);
            let pair = self.read(call, &narrowed, deadline).await;
            (pair, narrowed, labels.registry)
        };
        let ((pair, request, registry), limits) =
            tokio::join!(read, relational.limits(call, app, Some(kind), deadline));
        let (pair, request) = (pair?, &request);
        let comparison = self.compare(request, &pair, &limits).await?;
        let mut body = DiffBody::of(&comparison, request, &pair.1.meta, &self.parts.links, &limits);
        let entry = || history_entry(app, kind, &body, request.requested_by.clone());
        body.history = relational.keep(call, app, entry).await.absence();
        body.labels = registry.absence();
        Ok(body)
    }

    async fn read(
        &self,
        call: &Call,
        request: &DiffRequest,
        deadline: Instant,
    ) -> Result<(MergedProfile, MergedProfile), Problem> {
        let DiffRequest { current, baseline, baseline_selector, .. } = request;
        let read = self.parts.profiles.merged_pair(call, current, *baseline, baseline_selector);
        let pair = timeout_at(deadline, read).await.unwrap_or_else(|_| Err(too_late()));
        pair.map_err(|error| Problem::of_profiles(&error))?.ok_or_else(|| app_unknown(&current.app))
    }

    /// Compares small profiles at once, large ones on the threads for heavy work.
    async fn compare(
        &self,
        request: &DiffRequest,
        pair: &(MergedProfile, MergedProfile),
        limits: &Limits,
    ) -> Result<Comparison, Problem> {
        let (kind, now) = (request.current.kind, self.clock().now());
        let seconds = [request.baseline, request.current.window].map(|window| Some(passed_seconds(window, now)));
        let known = limits.known().unwrap_or_default();
        let frames = pair.0.profile.frame_count() + pair.1.profile.frame_count();
        if frames <= LARGE_FRAMES {
            return Ok(compare(kind, (&pair.0, &pair.1), seconds, &limits_of(kind, known)));
        }
        let (pair, known): (_, Vec<Baseline>) = (pair.clone(), known.to_vec());
        let work = move || compare(kind, (&pair.0, &pair.1), seconds, &limits_of(kind, &known));
        offload("comparing profiles", work).await.map_err(Problem::internal_error)
    }
}

fn too_late() -> PortError {
    PortError::Timeout(format!("no answer within the {} s of a diff", DEADLINE.as_secs()))
}
