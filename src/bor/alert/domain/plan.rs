//! What is evaluated in a round.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};

use super::limits::{self, KnownLimits, Limits};
use super::trial::ON_THEIR_WAY;
use crate::bor::relational::{narrowed, tenant_of};
use crate::kernel::{AppName, ProfileType, RowId, Selector, TimeWindow};
use crate::sor::alert_rule::{AlertRule, RuleWindow, ServiceFilter};
use crate::sor::incident::{Incident, IncidentState};
use crate::sor::profile_data::ProfileQuery;
use crate::sor::registry::Service;

/// The time that a round evaluates at: half a minute before now, rounded down to a minute.
pub(in crate::bor::alert) fn round_at(now: DateTime<Utc>) -> DateTime<Utc> {
    let seconds = (now - ON_THEIR_WAY).timestamp().div_euclid(60) * 60;
    DateTime::from_timestamp(seconds, 0).unwrap_or(now)
}

/// Whether a rule is evaluated at that time: a multiple of its interval has come since it was evaluated last. Several that
/// were missed are made up by one.
pub(in crate::bor::alert) fn is_due(
    window: RuleWindow,
    evaluated_at: Option<DateTime<Utc>>,
    at: DateTime<Utc>,
) -> bool {
    let interval = i64::from(window.interval_seconds());
    let last_due = at.timestamp().div_euclid(interval) * interval;
    evaluated_at.is_none_or(|evaluated_at| evaluated_at < at && evaluated_at.timestamp() < last_due)
}

/// When a rule that is evaluated at that time is evaluated next.
pub(in crate::bor::alert) fn next_at(window: RuleWindow, at: DateTime<Utc>) -> DateTime<Utc> {
    let interval = i64::from(window.interval_seconds());
    let next = (at.timestamp().div_euclid(interval) + 1) * interval;
    DateTime::from_timestamp(next, 0).unwrap_or(at)
}

/// The services of the registry.
pub(in crate::bor::alert) type Services = BTreeMap<AppName, Service>;

/// What a round knows when it begins.
pub(in crate::bor::alert) struct Known<'a> {
    /// The time that it evaluates at.
    pub at: DateTime<Utc>,
    /// All rules.
    pub rules: &'a [AlertRule],
    /// The services; `None` where the registry is off.
    pub services: Option<&'a Services>,
    /// The incidents that are open or were resolved lately.
    pub incidents: &'a [Incident],
    /// When rules were evaluated last.
    pub evaluated: &'a HashMap<i32, DateTime<Utc>>,
    /// The apps of the last hour; `None` where they could not be discovered.
    pub discovered: Option<&'a [AppName]>,
    /// The most pairs of a rule and an app.
    pub most_pairs: usize,
    /// The approved limits.
    pub limits: &'a KnownLimits,
}

/// One window of one app, for all rules and limits that need it.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::bor::alert) struct Read {
    /// What is read.
    pub query: ProfileQuery,
    /// The rules, by their places.
    pub rules: Vec<usize>,
    /// Whether it is held against the approved limits.
    pub holds_limits: bool,
}

/// What a round does with a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::bor::alert) struct Covered {
    /// The apps that it is for.
    pub apps: BTreeSet<AppName>,
    /// Whether it is evaluated in this round.
    pub is_due: bool,
    /// Why it is not evaluated, or not for every app.
    pub problem: Option<&'static str>,
}

/// What is evaluated in a round.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::bor::alert) struct Plan {
    /// What each rule covers, by its place; `None` for one that is disabled.
    pub covered: Vec<Option<Covered>>,
    /// What is read.
    pub reads: Vec<Read>,
    /// The rules that are left out, by their places.
    pub left_out: Vec<usize>,
    /// How many pairs of an app and a kind with limits are left out.
    pub limits_left_out: usize,
    /// Whether limits are held against profiles in this round.
    pub limits_are_due: bool,
}

impl Covered {
    /// Whether it is for that app, as far as is known.
    pub(super) fn may_cover(&self, app: &AppName) -> bool {
        self.problem == Some(REGISTRY_OFF) || self.apps.contains(app)
    }
}

/// Why the newest rules are not evaluated.
const LEFT_OUT: &str = "left out: the rules cover more apps than ALERT_MAX_PAIRS allows";
/// Why a rule that names services finds none.
const REGISTRY_OFF: &str = "the registry is off, so no service matches";
/// Why a rule for every app may miss some.
const NOT_DISCOVERED: &str = "apps could not be discovered: only those with an alert were evaluated";

impl Plan {
    /// Plans a round.
    pub(in crate::bor::alert) fn of(known: &Known<'_>) -> Self {
        let mut standing: HashMap<i32, Vec<&AppName>> = HashMap::new();
        for incident in known.incidents.iter().filter(|incident| incident.found.state != IncidentState::Resolved) {
            if let (Some(rule), Some(app)) = (incident.found.rule_id, &incident.found.app_name) {
                standing.entry(rule).or_default().push(app);
            }
        }
        let covered = |rule: &AlertRule| rule.enabled.then(|| known.covered(rule, standing.get(&rule.id.get())));
        let mut covered: Vec<_> = known.rules.iter().map(covered).collect();
        let limits = known.limits.limits.known();
        let limited = limits.map_or(0, Limits::len);
        let left_out = leave_out(known, limited, &mut covered);
        let mut by_key: BTreeMap<(&AppName, ProfileType, i32), (Vec<usize>, bool)> = BTreeMap::new();
        for (place, (rule, covered)) in known.rules.iter().zip(&covered).enumerate() {
            for app in covered.iter().filter(|covered| covered.is_due).flat_map(|covered| &covered.apps) {
                by_key.entry((app, rule.profile_type, rule.timing.window().seconds())).or_default().0.push(place);
            }
        }
        let limits_are_due = limited > 0 && is_due(limits::WINDOW, known.limits.evaluated_at, known.at);
        for (app, kind) in limits.into_iter().filter(|_| limits_are_due).flat_map(Limits::keys).take(known.most_pairs) {
            by_key.entry((app, *kind, limits::WINDOW.seconds())).or_default().1 = true;
        }
        let reads = by_key.into_iter().filter_map(|((app, kind, seconds), (rules, holds_limits))| {
            let service = known.services.and_then(|services| services.get(app));
            let query = ProfileQuery {
                app: app.clone(),
                kind,
                window: TimeWindow::new(known.at - TimeDelta::seconds(seconds.into()), known.at).ok()?,
                selector: narrowed(&Selector::default(), service),
                tenant: tenant_of(service),
            };
            Some(Read { query, rules, holds_limits })
        });
        let reads = reads.collect();
        let limits_left_out = limited.saturating_sub(known.most_pairs);
        Self { covered, reads, left_out, limits_left_out, limits_are_due }
    }
}

impl Known<'_> {
    fn covered(&self, rule: &AlertRule, standing: Option<&Vec<&AppName>>) -> Covered {
        let is_due = is_due(rule.timing.window(), self.evaluated.get(&rule.id.get()).copied(), self.at);
        if let Some(app) = rule.scope.app() {
            return Covered { apps: BTreeSet::from([app.clone()]), is_due, problem: None };
        }
        let mut problem = self.discovered.is_none().then_some(NOT_DISCOVERED);
        let filter = rule.scope.services();
        if filter.is_some() && self.services.is_none() {
            problem = Some(REGISTRY_OFF);
        }
        let apps = self.discovered.unwrap_or_default().iter().chain(standing.into_iter().flatten().copied());
        let is_meant = |app: &&AppName| {
            filter.is_none_or(|filter| {
                self.services.and_then(|services| services.get(*app)).is_some_and(|service| matches(filter, service))
            })
        };
        Covered { apps: apps.filter(is_meant).cloned().collect(), is_due, problem }
    }
}

/// Whether a service is alike in every member given.
fn matches(filter: &ServiceFilter, service: &Service) -> bool {
    filter.tier.as_ref().is_none_or(|tier| *tier == service.tier)
        && filter.team_owner.as_ref().is_none_or(|team| Some(team) == service.team_owner.as_ref())
        && filter.environment.as_ref().is_none_or(|environment| Some(environment) == service.environment.as_ref())
}

/// Leaves out the newest rules where there are too many pairs, beside those with limits. Their incidents stay as they are.
fn leave_out(known: &Known<'_>, limited: usize, covered: &mut [Option<Covered>]) -> Vec<usize> {
    let mut by_age: Vec<(DateTime<Utc>, RowId, usize)> =
        known.rules.iter().enumerate().map(|(place, rule)| (rule.created_at, rule.id, place)).collect();
    by_age.sort_unstable();
    let (mut pairs, mut left_out) = (limited, Vec::new());
    for (_, _, place) in by_age {
        let Some(Some(covered)) = covered.get_mut(place) else { continue };
        pairs = pairs.saturating_add(covered.apps.len());
        if pairs > known.most_pairs {
            (covered.is_due, covered.problem) = (false, Some(LEFT_OUT));
            left_out.push(place);
        }
    }
    left_out
}
