//! How a verdict moves an incident: what is written of it.

use chrono::{DateTime, TimeDelta, Utc};

use super::step::{Change, Ending, Patience, Standing};
use super::verdict::Verdict;
use crate::kernel::{AppName, JsonObject, LimitSeverity};
use crate::sor::incident::{
    Findings, Incident, IncidentSource, IncidentState, IncidentWrite, ResolveReason, ValueUnit,
};

/// A breach within this time after the end reopens the incident.
const REOPENED_WITHIN: TimeDelta = TimeDelta::hours(6);

/// What is over the limit: what an incident says of it.
#[derive(Debug, Clone)]
pub(super) struct Breach {
    /// What it is about.
    pub fingerprint: String,
    /// Where it comes from.
    pub source: IncidentSource,
    /// How bad it is.
    pub severity: LimitSeverity,
    /// What is wrong, in a few words.
    pub title: String,
    /// The app.
    pub app: AppName,
    /// The alert rule.
    pub rule_id: Option<i32>,
    /// The share, percent.
    pub percent: f64,
    /// The limit, percent.
    pub threshold: f64,
}

/// The incidents of one rule and app, or of the limits of one app and kind.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known<'a> {
    /// The one that is open.
    pub open: Option<&'a Incident>,
    /// The one that was resolved last.
    pub resolved: Option<&'a Incident>,
}

impl<'a> Known<'a> {
    /// Adds an incident.
    pub(super) fn add(&mut self, incident: &'a Incident) {
        let place = if incident.found.state == IncidentState::Resolved { &mut self.resolved } else { &mut self.open };
        if place.is_none_or(|known| known.id < incident.id) {
            *place = Some(incident);
        }
    }

    /// The incident that a breach at that time belongs to.
    fn continued(self, at: DateTime<Utc>) -> Option<&'a Incident> {
        let recent = |incident: &&Incident| {
            incident.found.resolved_at.is_some_and(|resolved_at| at - resolved_at < REOPENED_WITHIN)
        };
        self.open.or_else(|| self.resolved.filter(recent))
    }
}

/// How an incident stands after a step, and what is written of it.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::bor::alert) struct Moved {
    /// How it stands.
    pub standing: Standing,
    /// What that changes.
    pub change: Change,
    /// What is written.
    pub write: Option<IncidentWrite>,
}

/// How an incident stands.
pub(super) fn standing_of(found: &Findings) -> Standing {
    let Findings { active_since, fired_at, last_seen_at: last_over, clear_since, no_data_since, .. } = *found;
    match (found.state, fired_at) {
        (IncidentState::Pending, _) => Standing::Pending { active_since, last_over },
        (IncidentState::Firing, Some(fired_at)) => {
            Standing::Firing { active_since, fired_at, last_over, clear_since, no_data_since }
        }
        _ => Standing::Quiet,
    }
}

/// Writes how an incident stands into what is found of it. One that is not over stays as it was: how it ended is said by
/// [`ended`].
pub(super) fn with_standing(mut found: Findings, standing: Standing) -> Findings {
    match standing {
        Standing::Quiet => {}
        Standing::Pending { active_since, last_over } => {
            (found.state, found.active_since, found.last_seen_at) = (IncidentState::Pending, active_since, last_over);
            (found.clear_since, found.no_data_since) = (None, None);
        }
        Standing::Firing { active_since, fired_at, last_over, clear_since, no_data_since } => {
            (found.state, found.active_since, found.last_seen_at) = (IncidentState::Firing, active_since, last_over);
            found.fired_at = Some(fired_at);
            (found.clear_since, found.no_data_since) = (clear_since, no_data_since);
            (found.resolved_at, found.resolve_reason) = (None, None);
        }
    }
    found
}

/// Moves the incident of a rule and app by a verdict. `restarts`: the rule was changed, so what is pending begins anew.
/// `breach` describes it since then; it is asked where the verdict is over.
pub(super) fn moved(
    known: Known<'_>,
    (verdict, at): (Verdict, DateTime<Utc>),
    patience: Patience,
    restarts: bool,
    breach: impl FnOnce(DateTime<Utc>) -> (Breach, JsonObject),
) -> Moved {
    let stood = known.open.map_or(Standing::Quiet, |open| standing_of(&open.found));
    let before = if restarts && matches!(stood, Standing::Pending { .. }) { Standing::Quiet } else { stood };
    let (standing, change) = before.step(verdict, at, patience);
    let write = match (known.open, standing) {
        (None, Standing::Quiet) => None,
        (Some(open), Standing::Quiet) => {
            let reason = match change {
                Change::Resolved(Ending::NoData) => ResolveReason::NoData,
                _ => ResolveReason::Clear,
            };
            Some(ended(open, at, reason))
        }
        (Some(open), standing) if verdict != Verdict::Over => {
            let found = || with_standing(open.found.clone(), standing);
            (standing != stood).then(|| IncidentWrite::Update { id: open.id, version: open.version, found: found() })
        }
        (_, standing) => {
            let breach = breach(standing.active_since().unwrap_or(at));
            let goes_on = known.open.filter(|_| before != Standing::Quiet);
            let found = with_standing(seen(known.continued(at), goes_on, breach, at), standing);
            Some(match known.continued(at) {
                Some(incident) => IncidentWrite::Update { id: incident.id, version: incident.version, found },
                None => IncidentWrite::Open { found },
            })
        }
    };
    Moved { standing, change, write }
}

/// What is found of a breach that was seen. Of one that goes on it counts how often, and keeps the worst.
fn seen(
    continued: Option<&Incident>,
    goes_on: Option<&Incident>,
    (breach, detail): (Breach, JsonObject),
    at: DateTime<Utc>,
) -> Findings {
    let earlier = goes_on.map(|incident| &incident.found);
    Findings {
        fingerprint: breach.fingerprint,
        source: breach.source,
        state: IncidentState::Pending,
        severity: breach.severity,
        title: breach.title,
        app_name: Some(breach.app),
        rule_id: breach.rule_id,
        value: Some(breach.percent),
        worst_value: earlier
            .and_then(|earlier| earlier.worst_value)
            .into_iter()
            .chain([breach.percent])
            .reduce(f64::max),
        threshold: Some(breach.threshold),
        unit: Some(ValueUnit::Percent),
        occurrences: earlier.map_or(0, |earlier| earlier.occurrences) + 1,
        detail,
        active_since: at,
        fired_at: continued.and_then(|incident| incident.found.fired_at),
        last_seen_at: at,
        clear_since: None,
        no_data_since: None,
        resolved_at: continued.and_then(|incident| incident.found.resolved_at),
        resolve_reason: continued.and_then(|incident| incident.found.resolve_reason),
    }
}

/// Ends an open incident: one that fires is resolved; one that is pending is removed, or, where it fired before, is
/// resolved as it was.
pub(super) fn ended(open: &Incident, at: DateTime<Utc>, reason: ResolveReason) -> IncidentWrite {
    let Incident { id, version, .. } = *open;
    let mut found = open.found.clone();
    if found.state == IncidentState::Pending && found.fired_at.is_none() {
        return IncidentWrite::Remove { id, version };
    }
    if found.state == IncidentState::Firing || found.resolved_at.is_none() {
        (found.resolved_at, found.resolve_reason) = (Some(at), Some(reason));
    }
    found.resolve_reason = found.resolve_reason.or(Some(reason));
    found.state = IncidentState::Resolved;
    IncidentWrite::Update { id, version, found }
}
