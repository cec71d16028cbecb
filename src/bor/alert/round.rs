//! The alert round: it reads what rules need, and keeps what follows from it. Every minute, in one process.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt;
use tokio::time::{Instant, sleep_until};

use super::domain::round_at;
use super::domain::{
    Decision, Diagnosed, Evaluation, HeldLimits, Known, KnownLimits, Limits, Outcome, Plan, Read, RoundMemory,
    RuleFindings, Sampled, Services, Verdict, by_app,
};
use super::service::{AlertService, SMALL_FRAMES};
use crate::bor::facts::{observed, source_facts};
use crate::bor::{LinkSettings, SorAnswer};
use crate::kernel::{AppName, Call, Percent, PortError, PortResult, RowId, TimeWindow, offload};
use crate::sor::alert_rule::{AlertRule, AlertRuleSor, Measured};
use crate::sor::baseline::{Baseline, BaselineSor};
use crate::sor::incident::{AlertStateSor, Decided, IncidentSor};
use crate::sor::profile_data::{MergedProfile, ProfileQuery};
use crate::telemetry::span;
use crate::upstream::Limiter;
use crate::verdict::{KindOutcome, ProfileAssessment, Rules, Subject, summarise};

/// How long a round may read profiles. The next round begins with the apps that this one did not reach.
const READING: Duration = Duration::from_secs(45);
/// What is left of a round's time for writing.
const WRITING: Duration = Duration::from_secs(8);
/// Every app with profiles in this time before now is discovered.
const DISCOVERED: TimeDelta = TimeDelta::hours(1);
/// For how long the last list of services serves while the registry is away.
const SERVICES_KEPT: TimeDelta = TimeDelta::hours(1);
/// More rules than this are measured on the threads for heavy work.
const FEW_RULES: usize = 4;
/// More approved limits than this, too.
const FEW_LIMITS: usize = 100;

/// What a round is made of, beside the evaluation of one rule.
#[derive(Clone)]
pub struct RoundParts {
    /// The rules.
    pub rules: Arc<dyn AlertRuleSor>,
    /// The approved limits; `None` where nobody keeps them, or they are not to be alerts.
    pub limits: Option<Arc<dyn BaselineSor>>,
    /// Where incidents are kept.
    pub incidents: Arc<dyn IncidentSor>,
    /// How alerts stand.
    pub states: Arc<dyn AlertStateSor>,
    /// The most pairs of a rule and an app.
    pub most_pairs: usize,
    /// How links are made.
    pub links: LinkSettings,
}

/// Evaluates all rules.
pub struct AlertRound {
    alerts: AlertService,
    parts: RoundParts,
    /// The services when the registry answered last, and when.
    services: Mutex<Option<(DateTime<Utc>, Arc<Services>)>>,
    reading: Duration,
}

/// What a round begins with.
struct Begun {
    rules: Vec<AlertRule>,
    services: Option<Arc<Services>>,
    standing: crate::sor::incident::StandingIncidents,
    memory: RoundMemory,
    limits: KnownLimits,
}

impl AlertRound {
    /// Rounds over these ports. They share the places for reading with trials of rules.
    pub fn new(alerts: AlertService, parts: RoundParts) -> Self {
        Self { alerts, parts, services: Mutex::default(), reading: READING }
    }

    /// The same with another time for reading.
    #[cfg(test)]
    pub(super) fn reading_for(self, reading: Duration) -> Self {
        Self { reading, ..self }
    }

    /// Runs a round: it fetches, decides and writes.
    ///
    /// # Errors
    /// Rules or incidents could not be read or written; the registry has been away for over an hour.
    pub async fn run(&self, call: &Call) -> PortResult<()> {
        let at = round_at(self.alerts.clock().now());
        let begun = self.begin(call, at).await?;
        let reads_apps = begun.rules.iter().any(|rule| rule.enabled && rule.scope.app().is_none());
        let discovered = if reads_apps { self.discover(call, at).await } else { None };
        let evaluated = begun.standing.evaluated.iter().map(|of| (of.rule_id, of.evaluated_at)).collect();
        let known = Known {
            at,
            rules: &begun.rules,
            services: begun.services.as_deref(),
            incidents: &begun.standing.incidents,
            evaluated: &evaluated,
            discovered: discovered.as_deref(),
            most_pairs: self.parts.most_pairs,
            limits: &begun.limits,
        };
        let plan = Plan::of(&known);
        let outcomes = self.read_all(call, &known, &plan, &begun.memory).await;
        let decision = Decision::of(&known, &plan, &outcomes, &begun.memory, &self.parts.links);
        if decision.failed > 0 {
            tracing::warn!(
                failed = decision.failed,
                reads = outcomes.len(),
                "not every app of an alert round could be read"
            );
        }
        self.keep(call, decision).await?;
        metrics::gauge!("alert_last_round_timestamp_seconds").set(at.timestamp() as f64);
        Ok(())
    }

    /// When a rule was evaluated last, and what was found. `None`: there is no such rule.
    ///
    /// # Errors
    /// Rules or their states could not be read.
    pub async fn state(&self, call: &Call, id: RowId) -> PortResult<Option<(Option<DateTime<Utc>>, RuleFindings)>> {
        let (rule, state) = tokio::try_join!(self.parts.rules.get(call, id), self.parts.states.rule_state(call, id))?;
        let found = state.map(|state| {
            let findings = serde_json::from_value(state.body).map_err(|error| PortError::Internal(error.to_string()));
            findings.map(|findings| (Some(state.evaluated_at), findings))
        });
        let found = found.transpose()?.unwrap_or_default();
        Ok(rule.map(|_| found))
    }

    async fn begin(&self, call: &Call, at: DateTime<Utc>) -> PortResult<Begun> {
        let memory = async {
            let Some(id) = RoundMemory::id() else { return Ok(None) };
            self.parts.states.rule_state(call, id).await
        };
        let relational = &self.alerts.parts().relational;
        let (rules, services, standing, memory, limits) = tokio::join!(
            call.bound(self.parts.rules.all(call)),
            relational.services(call),
            call.bound(self.parts.states.standing(call)),
            call.bound(memory),
            self.limits(call),
        );
        let memory = RoundMemory::read(memory?);
        Ok(Begun {
            rules: rules?,
            services: self.services(services, at)?,
            standing: standing?,
            limits: KnownLimits { limits, evaluated_at: memory.limits_evaluated_at },
            memory,
        })
    }

    /// The approved limits.
    async fn limits(&self, call: &Call) -> SorAnswer<Limits> {
        let Some(limits) = &self.parts.limits else { return SorAnswer::Off };
        match call.bound(limits.all(call)).await {
            Ok(limits) => SorAnswer::Known(by_app(limits)),
            Err(error) => {
                tracing::warn!(%error, "approved limits could not be read for an alert round: their alerts stay as they are");
                SorAnswer::Unavailable
            }
        }
    }

    /// The services: as the registry says, or said within the last hour. `None`: it is off.
    fn services(&self, answer: SorAnswer<Services>, at: DateTime<Utc>) -> PortResult<Option<Arc<Services>>> {
        let mut last = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            SorAnswer::Known(services) => Ok(Some(Arc::clone(&last.insert((at, Arc::new(services))).1))),
            SorAnswer::Off | SorAnswer::NotAsked => Ok(None),
            SorAnswer::Unavailable => {
                let recent = last.as_ref().filter(|(since, _)| at - *since <= SERVICES_KEPT);
                let unavailable = || PortError::Unavailable("the registry, and no list of the last hour".to_owned());
                recent.map(|(_, services)| Some(Arc::clone(services))).ok_or_else(unavailable)
            }
        }
    }

    /// The apps of the last hour. `None`: the source does not say.
    async fn discover(&self, call: &Call, at: DateTime<Utc>) -> Option<Vec<AppName>> {
        let window = TimeWindow::new(at - DISCOVERED, at).ok()?;
        let apps = self.alerts.discover(call, window).await;
        apps.inspect_err(|error| tracing::warn!(%error, "apps could not be discovered for an alert round")).ok()
    }

    /// What came of each read of the plan. Apps that the last round did not reach come first.
    async fn read_all(&self, call: &Call, known: &Known<'_>, plan: &Plan, memory: &RoundMemory) -> Vec<Outcome> {
        let mut deadline = Instant::now() + self.reading;
        if let Some(end) = call.urgency().deadline.and_then(|end| end.checked_sub(WRITING)) {
            deadline = deadline.min(end);
        }
        let call = &call.until(deadline).scanning();
        let mut outcomes = vec![Outcome::NotReached; plan.reads.len()];
        let mut order: Vec<usize> = (0..plan.reads.len()).collect();
        let waited = |read: &Read| memory.not_reached.contains(&read.query.app);
        order.sort_by_key(|place| !plan.reads.get(*place).is_some_and(waited));
        let reads = order.into_iter().map(|place| async move {
            match plan.reads.get(place) {
                Some(read) => (place, self.read(call, known, read).await),
                None => (place, Outcome::NotReached),
            }
        });
        let mut reads = futures::stream::iter(reads).buffer_unordered(Limiter::MOST);
        loop {
            let (place, outcome) = tokio::select! {
                biased;
                // The reads have the same deadline. One that misses it is not reached, rather than failed.
                () = sleep_until(deadline) => break,
                next = reads.next() => match next {
                    Some(next) => next,
                    None => break,
                },
            };
            if let Some(slot) = outcomes.get_mut(place) {
                *slot = outcome;
            }
        }
        drop(reads);
        outcomes
    }

    /// What came of one read of the plan.
    async fn read(&self, call: &Call, known: &Known<'_>, read: &Read) -> Outcome {
        let evaluated = span("rule.evaluate", read.query.app.as_str(), self.evaluate(call, known, read)).await;
        evaluated.unwrap_or_else(|error| failed(&read.query, &error))
    }

    /// Reads one window of one app and measures it for each rule and limit that needs it.
    async fn evaluate(&self, call: &Call, known: &Known<'_>, read: &Read) -> PortResult<Outcome> {
        let Some(merged) = self.alerts.merged(call, &read.query).await? else { return Ok(Outcome::Unknown) };
        let rules = read.rules.iter().filter_map(|place| known.rules.get(*place));
        let limits = known.limits.limits.known().filter(|_| read.holds_limits);
        let limits = limits.and_then(|limits| limits.get(&(read.query.app.clone(), read.query.kind)));
        let conditions = Conditions {
            at: known.at,
            rules: rules.map(|rule| (rule.measured.clone(), rule.threshold_percent)).collect(),
            limits: limits.cloned().unwrap_or_default(),
        };
        let few = conditions.rules.len() <= FEW_RULES && conditions.limits.len() <= FEW_LIMITS;
        let is_small = merged.profile.frame_count() <= SMALL_FRAMES && few;
        let (catalogue, query) = (Arc::clone(&self.alerts.parts().rules), read.query.clone());
        let judge = move || conditions.judge(&catalogue, &query, &merged);
        if is_small { Ok(judge()) } else { offload("measuring a profile for alert rules", judge).await }
    }

    /// Writes what was decided.
    async fn keep(&self, call: &Call, decision: Decision) -> PortResult<()> {
        for piece in pieces(decision.decided) {
            call.bound(self.parts.states.apply(call, piece)).await?;
        }
        if let Some(observation) = decision.observation {
            call.bound(self.parts.incidents.observe(call, observation)).await?;
        }
        Ok(())
    }
}

/// What was decided, in pieces that one call takes. Incidents come first: a rule counts as evaluated once its incidents are
/// written.
fn pieces(Decided { writes, states }: Decided) -> Vec<Decided> {
    if writes.len().max(states.len()) <= Decided::MOST {
        return if writes.is_empty() && states.is_empty() { Vec::new() } else { vec![Decided { writes, states }] };
    }
    let written = writes.chunks(Decided::MOST).map(|piece| Decided { writes: piece.to_vec(), ..Decided::default() });
    let stated = states.chunks(Decided::MOST).map(|piece| Decided { states: piece.to_vec(), ..Decided::default() });
    written.chain(stated).collect()
}

/// What a profile is held against.
struct Conditions {
    at: DateTime<Utc>,
    rules: Vec<(Measured, Percent)>,
    limits: Vec<Baseline>,
}

impl Conditions {
    /// Measures a profile for each rule and limit, and says what a triage says of it if it is over for any.
    fn judge(&self, catalogue: &Rules, query: &ProfileQuery, merged: &MergedProfile) -> Outcome {
        let sampled = Sampled::new(catalogue, query.kind, merged);
        let evaluate = |(measured, threshold): &(Measured, Percent)| {
            Evaluation::of(self.at, sampled.measure(measured.what()), *threshold)
        };
        let evaluations: Vec<_> = self.rules.iter().map(evaluate).collect();
        let limits = (!self.limits.is_empty()).then(|| HeldLimits::of(&sampled, &self.limits));
        let verdicts = evaluations.iter().map(|evaluation| evaluation.verdict);
        let is_over = verdicts.chain(limits.iter().map(|held| held.verdict)).any(|verdict| verdict == Verdict::Over);
        let diagnosed = is_over.then(|| diagnosed(catalogue, query, merged));
        Outcome::Measured { evaluations, limits, diagnosed }
    }
}

/// What a triage says of a profile.
fn diagnosed(catalogue: &Rules, query: &ProfileQuery, merged: &MergedProfile) -> Diagnosed {
    let subject = Subject {
        kind: query.kind,
        profile: &merged.profile,
        sample_type: 0,
        time: Some(observed(&merged.meta, query.window.seconds())),
        facts: source_facts(&merged.meta),
        top: 1,
    };
    let assessment = ProfileAssessment::of(catalogue, &subject);
    let summary = summarise(query.app.as_str(), &[KindOutcome::Assessed(&assessment)], false);
    Diagnosed {
        headline: summary.headline,
        diagnosis: summary.primary_issue.to_owned(),
        profile_types: merged.meta.profile_types.clone(),
    }
}

/// Logs why an app could not be read, and says it without what is internal.
fn failed(query: &ProfileQuery, error: &PortError) -> Outcome {
    tracing::debug!(app = query.app.as_str(), kind = %query.kind, %error, "an app of an alert round could not be read");
    Outcome::Failed(match error {
        PortError::Timeout(_) => "the source of profiles did not answer in time",
        PortError::Overloaded { .. } => "the source of profiles has too much work",
        PortError::Denied(_) => "the source of profiles refused our credentials",
        _ => "the source of profiles could not be read",
    })
}
