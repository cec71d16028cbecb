//! Reads the window of each evaluation, measures it, and steps through what was measured.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt;
use tokio::time::{Instant, sleep_until};

use super::domain::{Evaluation, Measurement, Patience, Sampled, Steps, Trial, Verdict};
use crate::bor::Refusal;
use crate::bor::relational::{RelationalPorts, narrowed, tenant_of};
use crate::kernel::{
    AppName, Call, Clock, Phase, PortError, PortResult, ProfileType, Selector, Tenant, TimeWindow, offload,
};
use crate::sor::alert_rule::{Measured, NewRule};
use crate::sor::profile_data::{MergedProfile, ProfileDataSor, ProfileQuery};
use crate::upstream::{CallOutcome, Limiter};
use crate::verdict::Rules;

/// How long the profile of one window may take.
const PER_WINDOW: Duration = Duration::from_secs(10);
/// How long one trial may take in all.
const IN_ALL: Duration = Duration::from_mins(1);
/// Profiles of more frames than this are measured on the threads for heavy work: a fraction of a millisecond's work.
pub(super) const SMALL_FRAMES: usize = 2_000;

/// What the evaluation of rules is made of.
#[derive(Clone)]
pub struct AlertParts {
    /// Where profiles come from.
    pub profiles: Arc<dyn ProfileDataSor>,
    /// The registry, and the present.
    pub relational: RelationalPorts,
    /// The catalogue.
    pub rules: Arc<Rules>,
}

/// Evaluates alert rules.
#[derive(Clone)]
pub struct AlertService {
    parts: AlertParts,
    /// Limits how many windows are read at once in this process. A window's time begins when it is its turn.
    turns: Arc<Limiter>,
    per_window: Duration,
    in_all: Duration,
}

/// A rule to be tried on an app.
#[derive(Debug, Clone)]
pub struct TrialRequest {
    /// The app.
    pub app: AppName,
    /// The rule.
    pub rule: NewRule,
    /// When it would have been evaluated.
    pub window: TimeWindow,
}

/// The series of an app that a rule reads.
#[derive(Clone)]
struct Series {
    app: AppName,
    kind: ProfileType,
    selector: Selector,
    tenant: Option<Tenant>,
}

impl AlertService {
    /// An evaluation over these ports.
    pub fn new(parts: AlertParts) -> Self {
        Self { parts, turns: Arc::new(Limiter::of_reads()), per_window: PER_WINDOW, in_all: IN_ALL }
    }

    /// The same with other deadlines.
    #[cfg(test)]
    pub(super) fn within(self, per_window: Duration, in_all: Duration) -> Self {
        Self { per_window, in_all, ..self }
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.parts.relational.clock
    }

    /// Says what a rule would have done. What is not reached at the deadline is left out: the last evaluation says how far
    /// it came.
    ///
    /// # Errors
    /// `AppUnknown`; `Profiles` where no window could be read.
    pub async fn trial(&self, call: &Call, request: &TrialRequest) -> Result<Trial, Refusal> {
        call.unless_cancelled(self.evaluate_all(call, request)).await
    }

    async fn evaluate_all(&self, call: &Call, request: &TrialRequest) -> Result<Trial, Refusal> {
        let deadline = call.until(Instant::now() + self.in_all).urgency().deadline;
        let deadline = deadline.unwrap_or_else(|| Instant::now() + self.in_all);
        let call = &call.until(deadline).scanning();
        let TrialRequest { app, rule, window } = request;
        let service = self.parts.relational.service(call, app).await;
        let registered = service.known().and_then(Option::as_ref);
        let series = Series {
            app: app.clone(),
            kind: rule.profile_type,
            selector: narrowed(&Selector::default(), registered),
            tenant: tenant_of(registered),
        };
        let steps = Steps::of(*window, rule.timing.window(), self.clock().now());
        let length = TimeDelta::seconds(rule.timing.window().seconds().into());
        let (count, mut evaluations, mut errors, mut is_known) = (steps.times().count(), Vec::new(), Vec::new(), false);
        {
            let reads = steps.times().map(|at| {
                let (series, measured) = (&series, &rule.measured);
                async move { (at, self.measure(call, series, (at - length, at), measured.clone()).await) }
            });
            let mut reads = futures::stream::iter(reads).buffered(Limiter::MOST);
            loop {
                let (at, read) = tokio::select! {
                    biased;
                    // The reads have the same deadline. One that misses it counts as not reached, not as failed.
                    () = sleep_until(deadline) => break,
                    next = reads.next() => match next {
                        Some(next) => next,
                        None => break,
                    },
                };
                evaluations.push(match read {
                    Ok(Some(measured)) => {
                        is_known = true;
                        Evaluation::of(at, measured, rule.threshold_percent)
                    }
                    Ok(None) => Evaluation::without(at, Verdict::UnknownApp),
                    Err(error) => {
                        errors.push(error);
                        Evaluation::without(at, Verdict::Error)
                    }
                });
                call.report(Phase::Fetch, evaluations.len(), count);
            }
        }
        if evaluations.is_empty() && count > 0 {
            return Err(PortError::Timeout("no window was read in time".to_owned()).into());
        }
        if let Some(error) = errors.first() {
            if errors.len() == evaluations.len() {
                return Err(Refusal::all_failed(&errors.iter().collect::<Vec<_>>()));
            }
            tracing::warn!(app = app.as_str(), failed = errors.len(), %error, "not every window of a trial could be read");
        } else if !is_known && count > 0 {
            return Err(Refusal::unknown(&*self.parts.profiles, call, app, self.clock()).await);
        }
        Ok(Trial::of(evaluations, steps.width(), rule.threshold_percent, Patience::from(rule.timing)))
    }

    /// Measures the window from one time to another when its turn comes. `None`: the app is unknown.
    async fn measure(
        &self,
        call: &Call,
        series: &Series,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        measured: Measured,
    ) -> PortResult<Option<Measurement>> {
        let window = TimeWindow::new(from, to).map_err(|error| PortError::Internal(error.to_string()))?;
        let Series { app, kind, selector, tenant } = series.clone();
        let query = ProfileQuery { app, kind, window, selector, tenant };
        let Some(merged) = self.merged(call, &query).await? else { return Ok(None) };
        let (rules, is_small) = (Arc::clone(&self.parts.rules), merged.profile.frame_count() <= SMALL_FRAMES);
        let measure = move || Some(Sampled::new(&rules, kind, &merged).measure(measured.what()));
        if is_small { Ok(measure()) } else { offload("measuring a profile", measure).await }
    }

    /// Reads a profile when its turn comes.
    pub(super) async fn merged(&self, call: &Call, query: &ProfileQuery) -> PortResult<Option<MergedProfile>> {
        let turn = self.turns.enter(call).await;
        let call = &call.until(Instant::now() + self.per_window);
        let read = call.bound(self.parts.profiles.merged(call, query)).await;
        turn.end(match &read {
            Ok(_) => CallOutcome::Answered,
            Err(PortError::Timeout(_) | PortError::Overloaded { .. }) => CallOutcome::Busy,
            Err(_) => CallOutcome::Unknown,
        });
        read
    }

    /// The apps that have profiles in a window.
    pub(super) async fn discover(&self, call: &Call, window: TimeWindow) -> PortResult<Vec<AppName>> {
        let call = &call.until(Instant::now() + self.per_window).scanning();
        call.bound(self.parts.profiles.apps(call, None, window)).await
    }

    pub(super) fn parts(&self) -> &AlertParts {
        &self.parts
    }
}
