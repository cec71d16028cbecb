//! Fetch all, decide, write once.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::domain::{
    FIRST_CHOICE, Read, Requested, SECOND_CHOICE, Triage, TriageRequest, TypeResult, app_has, hold, is_large,
};
use super::entry::history_entry;
use super::verdicts::{Verdicts, View};
use super::wire::TriageBody;
use crate::bor::facts::passed_seconds;
use crate::bor::labels::OwnLabels;
use crate::bor::links::LinkSettings;
use crate::bor::relational::{Limits, RelationalPorts};
use crate::bor::request::{all_failed, app_unknown};
use crate::http::Problem;
use crate::kernel::{Call, Clock, PortError, PortResult, ProfileType, offload};
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
    /// How links are made.
    pub links: LinkSettings,
}

/// Triages apps.
#[derive(Clone)]
pub struct TriageService {
    parts: TriageParts,
    verdicts: Arc<Verdicts>,
    deadline: Duration,
}

impl TriageService {
    /// A triage over these ports.
    pub fn new(parts: TriageParts) -> Self {
        Self { parts, verdicts: Arc::default(), deadline: DEADLINE }
    }

    /// The same with another deadline.
    #[cfg(test)]
    pub(super) fn within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.parts.relational.clock
    }

    /// Triages an app.
    ///
    /// # Errors
    /// `app_unknown` where nobody knows the app; where no kind could be read: `timeout` if all timed out, else
    /// `profile_source_denied`, `profile_source_busy` or `profile_source_failed`.
    pub async fn triage(&self, call: &Call, request: &TriageRequest) -> Result<TriageBody, Problem> {
        let deadline = Instant::now() + self.deadline;
        let relational = &self.parts.relational;
        let reads = async {
            let labels = OwnLabels::of(call, &request.app, relational).await;
            let (selector, tenant) = (labels.narrow(&request.selector), labels.tenant);
            let narrowed = TriageRequest { selector, tenant, ..request.clone() };
            let reads = self.reads(call, &narrowed, deadline).await;
            (reads, narrowed, labels.registry)
        };
        let limits = relational.limits(call, &request.app, None, deadline);
        let ((reads, request, registry), limits) = tokio::join!(reads, limits);
        let (reads, request) = (reads?, &request);
        let errors: Vec<_> = reads.iter().filter_map(|(_, read)| read.as_ref().err()).collect();
        if errors.len() == reads.len() && !errors.is_empty() {
            return Err(all_failed(&errors));
        }
        for error in errors {
            tracing::warn!(app = request.app.as_str(), %error, "a profile could not be read for triage");
        }
        let types = join_all(reads.into_iter().map(|read| self.judge(read, request, &limits))).await;
        let triage = Triage::of(&request.app, types, limits);
        let history = relational.keep(call, &request.app, || history_entry(&triage, request)).await;
        Ok(TriageBody::of(&triage, request, &self.parts.links, history, registry))
    }

    /// The profiles of the kinds asked; by default of those the app has.
    async fn reads(&self, call: &Call, request: &TriageRequest, deadline: Instant) -> Result<Vec<Read>, Problem> {
        let kinds = match &request.types {
            Requested::Given(kinds) => return self.read_all(call, kinds, request, deadline).await,
            Requested::Default => FIRST_CHOICE,
        };
        let first = self.read_all(call, kinds, request, deadline).await?;
        if first.iter().any(app_has) {
            return Ok(first.into_iter().filter(app_has).collect());
        }
        let second = self.read_all(call, SECOND_CHOICE, request, deadline).await?;
        // An app without any data in the window is answered under the kinds that would be read first.
        Ok(if second.iter().any(app_has) { second.into_iter().filter(app_has).collect() } else { first })
    }

    async fn read_all(
        &self,
        call: &Call,
        kinds: &[ProfileType],
        request: &TriageRequest,
        deadline: Instant,
    ) -> Result<Vec<Read>, Problem> {
        let reads = join_all(kinds.iter().map(|kind| self.read(call, *kind, request, deadline))).await;
        let known = |(kind, read): (ProfileType, PortResult<Option<MergedProfile>>)| match read {
            Ok(None) => Err(app_unknown(&request.app)),
            Ok(Some(merged)) => Ok((kind, Ok(merged))),
            Err(error) => Ok((kind, Err(error))),
        };
        kinds.iter().copied().zip(reads).map(known).collect()
    }

    async fn read(
        &self,
        call: &Call,
        kind: ProfileType,
        request: &TriageRequest,
        deadline: Instant,
    ) -> PortResult<Option<MergedProfile>> {
        let query = request.query(kind);
        timeout_at(deadline, self.parts.profiles.merged(call, &query)).await.unwrap_or_else(|_| Err(too_late()))
    }

    /// Judges one profile: a small one at once, a large one on the threads for heavy work.
    async fn judge(&self, (kind, read): Read, request: &TriageRequest, limits: &Limits) -> TypeResult {
        let merged = match read {
            Ok(merged) => merged,
            Err(error) => return TypeResult { kind, result: Err(error) },
        };
        let seconds = Some(passed_seconds(request.window, self.clock().now()));
        let view = View { kind, seconds, top: request.limit };
        let known = limits.known();
        if !is_large(&merged) {
            let assessment = self.verdicts.of(&self.parts.rules, &merged, view);
            return TypeResult { kind, result: Ok(hold(assessment, merged, known)) };
        }
        let (verdicts, rules) = (Arc::clone(&self.verdicts), Arc::clone(&self.parts.rules));
        let known = known.map(<[Baseline]>::to_vec);
        let work = move || hold(verdicts.of(&rules, &merged, view), merged, known.as_deref());
        TypeResult { kind, result: offload("judging a profile", work).await }
    }
}

fn too_late() -> PortError {
    PortError::Timeout(format!("no answer within the {} s of a triage", DEADLINE.as_secs()))
}
