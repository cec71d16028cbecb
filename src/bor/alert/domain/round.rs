//! What a round decides of what it has read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use super::detail::{AlertDetail, Diagnosed, Seen, Source, title};
use super::limits::{HeldLimits, LimitDecision};
use super::memory::RoundMemory;
use super::moves::{self, Breach, Moved, ended, moved};
use super::plan::{Known, Plan, Read, next_at};
use super::state::{AppFindings, RuleFindings, worst};
use super::step::Patience;
use super::trial::Evaluation;
use super::verdict::Verdict;
use crate::bor::LinkSettings;
use crate::kernel::{AppName, JsonObject, RowId};
use crate::sor::alert_rule::AlertRule;
use crate::sor::incident::{
    Decided, Incident, IncidentSource, IncidentState, IncidentWrite, Observation, ResolveReason, RuleState,
};
use crate::sor::registry::Service;

/// What came of reading one window of one app.
#[derive(Debug, Clone)]
pub(in crate::bor::alert) enum Outcome {
    /// It was measured.
    Measured {
        /// For each rule of the read, in order.
        evaluations: Vec<Evaluation>,
        /// For the approved limits, where it is held against them.
        limits: Option<HeldLimits>,
        /// What a triage says of it, where any rule or limit is over.
        diagnosed: Option<Diagnosed>,
    },
    /// No profile of the app was ever seen.
    Unknown,
    /// It could not be read: why.
    Failed(&'static str),
    /// Its turn did not come before the deadline.
    NotReached,
}

/// What a round decided.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::bor::alert) struct Decision {
    /// What is written of incidents and rules.
    pub decided: Decided,
    /// What is wrong with evaluation itself.
    pub observation: Option<Observation>,
    /// How many apps could not be read.
    pub failed: usize,
}

impl Decision {
    /// Decides. There is one outcome for each read of the plan.
    pub(in crate::bor::alert) fn of(
        known: &Known<'_>,
        plan: &Plan,
        outcomes: &[Outcome],
        memory: &RoundMemory,
        settings: &LinkSettings,
    ) -> Self {
        let mut incidents: HashMap<&str, moves::Known<'_>> = HashMap::new();
        for incident in known.incidents {
            incidents.entry(&incident.found.fingerprint).or_default().add(incident);
        }
        let limits = LimitDecision { known, incidents: &incidents, settings };
        let mut writes = uncovered(known, plan);
        writes.extend(limits.uncovered());
        let mut found: BTreeMap<usize, Vec<AppFindings>> = BTreeMap::new();
        for (read, outcome) in plan.reads.iter().zip(outcomes) {
            if read.holds_limits {
                writes.extend(limits.judge(read, service(known, read), outcome));
            }
            for (place, rule) in read.rules.iter().enumerate() {
                let Some(of_rule) = known.rules.get(*rule) else { continue };
                let pair = Pair { rule: of_rule, read, service: service(known, read), settings };
                let (app, write) = pair.judge(known.at, outcome, place, &incidents);
                found.entry(*rule).or_default().push(app);
                writes.extend(write);
            }
        }
        let mut remembered = remembered(plan, outcomes, memory);
        if plan.limits_are_due {
            remembered.limits_evaluated_at = Some(known.at);
        }
        let left_out: Vec<RowId> = plan.left_out.iter().filter_map(|place| Some(known.rules.get(*place)?.id)).collect();
        let mut states = states(known, plan, found);
        if remembered != *memory {
            states.push(remembered.to_state(known.at));
        }
        let failed = outcomes.iter().filter(|one| matches!(one, Outcome::Failed(_) | Outcome::NotReached)).count();
        Self {
            decided: Decided { writes, states },
            observation: remembered.observation(&left_out, plan.limits_left_out),
            failed,
        }
    }
}

fn service<'a>(known: &Known<'a>, read: &Read) -> Option<&'a Service> {
    known.services.and_then(|services| services.get(&read.query.app))
}

/// What a round remembers of how reading went.
fn remembered(plan: &Plan, outcomes: &[Outcome], memory: &RoundMemory) -> RoundMemory {
    let (mut read, mut not_reached) = (BTreeMap::<AppName, bool>::new(), BTreeSet::new());
    for (of, outcome) in plan.reads.iter().zip(outcomes) {
        let app = &of.query.app;
        *read.entry(app.clone()).or_default() |= matches!(outcome, Outcome::Failed(_) | Outcome::NotReached);
        if matches!(outcome, Outcome::NotReached) {
            not_reached.insert(app.clone());
        }
    }
    memory.after(&read, not_reached)
}

/// Ends the incidents of rules that were removed or disabled, or that are not for the app any more.
fn uncovered(known: &Known<'_>, plan: &Plan) -> Vec<IncidentWrite> {
    let rules: HashMap<i32, usize> =
        known.rules.iter().enumerate().map(|(place, rule)| (rule.id.get(), place)).collect();
    let reason = |incident: &Incident| {
        let (rule, app) = (incident.found.rule_id?, incident.found.app_name.as_ref()?);
        match rules.get(&rule).map(|place| plan.covered.get(*place)) {
            None | Some(None) => Some(ResolveReason::RuleRemoved),
            Some(Some(None)) => Some(ResolveReason::RuleDisabled),
            Some(Some(Some(covered))) => (!covered.may_cover(app)).then_some(ResolveReason::RuleRemoved),
        }
    };
    let open = known.incidents.iter().filter(|incident| {
        incident.found.source == IncidentSource::Rule && incident.found.state != IncidentState::Resolved
    });
    open.filter_map(|incident| Some(ended(incident, known.at, reason(incident)?))).collect()
}

/// The states of the rules that were evaluated, or could not be.
fn states(known: &Known<'_>, plan: &Plan, mut found: BTreeMap<usize, Vec<AppFindings>>) -> Vec<RuleState> {
    let state = |(place, (rule, covered)): (usize, (&AlertRule, &Option<super::Covered>))| {
        let covered = covered.as_ref().filter(|covered| covered.is_due || covered.problem.is_some())?;
        let apps = found.remove(&place).unwrap_or_default();
        if !covered.is_due && !plan.left_out.contains(&place) {
            return None;
        }
        let findings = RuleFindings {
            rule_updated_at: Some(rule.updated_at),
            next_at: covered.is_due.then(|| next_at(rule.timing.window(), known.at)),
            problem: covered.problem.map(str::to_owned),
            apps_total: apps.len(),
            apps: worst(apps),
        };
        let body = serde_json::to_value(findings).ok()?;
        Some(RuleState { rule_id: rule.id.get(), evaluated_at: known.at, body })
    };
    known.rules.iter().zip(&plan.covered).enumerate().filter_map(state).collect()
}

/// A rule, and a window of an app that it needs.
struct Pair<'a> {
    rule: &'a AlertRule,
    read: &'a Read,
    service: Option<&'a Service>,
    settings: &'a LinkSettings,
}

impl Pair<'_> {
    /// What is found of the app, and what is written of its incident. `place`: which of the read's rules it is.
    fn judge(
        &self,
        at: DateTime<Utc>,
        outcome: &Outcome,
        place: usize,
        incidents: &HashMap<&str, moves::Known<'_>>,
    ) -> (AppFindings, Option<IncidentWrite>) {
        let (evaluation, diagnosed, error) = match outcome {
            Outcome::Measured { evaluations, diagnosed, .. } => {
                (evaluations.get(place).cloned(), diagnosed.as_ref(), None)
            }
            Outcome::Unknown => (Some(Evaluation::without(at, Verdict::UnknownApp)), None, None),
            Outcome::Failed(why) => (None, None, Some(*why)),
            Outcome::NotReached => (None, None, Some("its turn did not come before the end of the round")),
        };
        let evaluation = evaluation.unwrap_or_else(|| Evaluation::without(at, Verdict::Error));
        let (rule, app) = (self.rule, &self.read.query.app);
        let fingerprint = format!("rule/{}/{app}", rule.id.get());
        let known = incidents.get(fingerprint.as_str()).copied().unwrap_or_default();
        let restarts = known.open.is_some_and(|open| {
            AlertDetail::read(&open.found.detail).and_then(|detail| detail.rule_updated_at) != Some(rule.updated_at)
        });
        let breach =
            |active_since| (self.breach(fingerprint, &evaluation), self.detail(&evaluation, diagnosed, active_since));
        let step = moved(known, (evaluation.verdict, at), Patience::from(rule.timing), restarts, breach);
        let mut found = AppFindings::of(app.as_str(), &evaluation, &step, known.open);
        found.error = error.map(str::to_owned);
        let Moved { write, .. } = step;
        (found, write)
    }

    fn breach(&self, fingerprint: String, evaluation: &Evaluation) -> Breach {
        let rule = self.rule;
        Breach {
            fingerprint,
            source: IncidentSource::Rule,
            severity: rule.severity,
            title: title(rule.profile_type, &rule.measured, rule.threshold_percent, evaluation),
            app: self.read.query.app.clone(),
            rule_id: Some(rule.id.get()),
            percent: evaluation.measured.as_ref().map_or(0.0, |measured| measured.share.percent),
            threshold: rule.threshold_percent.get(),
        }
    }

    fn detail(
        &self,
        evaluation: &Evaluation,
        diagnosed: Option<&Diagnosed>,
        active_since: DateTime<Utc>,
    ) -> JsonObject {
        let rule = self.rule;
        let source = Source {
            query: &self.read.query,
            measured: &rule.measured,
            seen: evaluation
                .measured
                .as_ref()
                .map(|measured| Seen::of(measured, rule.threshold_percent))
                .unwrap_or_default(),
            diagnosed,
            rule_updated_at: Some(rule.updated_at),
            rule_channel: rule.notification_channel.as_ref().map(crate::kernel::Text255::as_str),
            runbook_url: rule.runbook_url.as_ref().map(crate::sor::alert_rule::RunbookUrl::as_str),
            service: self.service,
            settings: self.settings,
        };
        AlertDetail::of(source, active_since).to_object()
    }
}
