//! Compares the profiles of the last hour with the approved limits, every 12 minutes.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::detail::{AlertDetail, AlertFunction, Seen, Source, short};
use super::measure::{MOST_FUNCTIONS, Sampled};
use super::moves::{self, Breach, ended, moved};
use super::plan::{Known, Read};
use super::round::Outcome;
use super::step::Patience;
use super::verdict::Verdict;
use crate::bor::{LinkSettings, SorAnswer};
use crate::kernel::{AppName, LimitSeverity, Percent, ProfileType, round2};
use crate::sor::alert_rule::{Measured, RuleWindow, Timing};
use crate::sor::baseline::Baseline;
use crate::sor::incident::{Incident, IncidentSource, IncidentState, IncidentWrite, ResolveReason};
use crate::sor::registry::Service;
use crate::verdict::Share;

/// How long the window is.
pub(super) const WINDOW: RuleWindow = RuleWindow::HOUR;

/// The approved limits of each app and kind.
pub(in crate::bor::alert) type Limits = BTreeMap<(AppName, ProfileType), Vec<Baseline>>;

/// What is known of the limits in a round.
pub(in crate::bor::alert) struct KnownLimits {
    /// The limits. While they are unavailable, their incidents stay as they are; where they are off, those are resolved.
    pub limits: SorAnswer<Limits>,
    /// When profiles were last compared with them.
    pub evaluated_at: Option<DateTime<Utc>>,
}

/// The limits of each app and kind.
pub(in crate::bor::alert) fn by_app(limits: Vec<Baseline>) -> Limits {
    let mut by_app = Limits::new();
    for limit in limits {
        by_app.entry((limit.app_name.clone(), limit.profile_type)).or_default().push(limit);
    }
    by_app
}

/// A function that is surely over its limit.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::bor::alert) struct OverLimit {
    /// The function, as the profile spells it; of several spellings the heaviest.
    pub name: String,
    /// Its share.
    pub share: Share,
    /// The largest share approved.
    pub limit: Percent,
    /// How severe it is to exceed it.
    pub severity: LimitSeverity,
}

/// How a profile compares with the limits of its app and kind.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::bor::alert) struct HeldLimits {
    /// Over if any function surely is, clear if all are.
    pub verdict: Verdict,
    /// The functions over, worst first: by severity, then by points above the limit, then by name.
    pub over: Vec<OverLimit>,
    /// The samples of the profile, where their number is known.
    pub samples: Option<u64>,
}

impl HeldLimits {
    /// Compares a profile with the limits.
    pub(in crate::bor::alert) fn of(sampled: &Sampled<'_>, limits: &[Baseline]) -> Self {
        let measured = sampled.each(limits.iter().map(|limit| limit.function_name.as_str()));
        let verdicts: Vec<_> = limits
            .iter()
            .zip(&measured)
            .map(|(limit, measured)| Verdict::of(measured, limit.max_self_percent))
            .collect();
        let over = limits.iter().zip(&measured).zip(&verdicts).filter(|(_, verdict)| **verdict == Verdict::Over);
        let mut over: Vec<_> = over
            .filter_map(|((limit, measured), _)| {
                let function = measured.functions.first()?;
                let (name, share) = (function.name.clone(), function.share);
                Some(OverLimit { name, share, limit: limit.max_self_percent, severity: limit.severity })
            })
            .collect();
        let points = |over: &OverLimit| over.share.percent - over.limit.get();
        over.sort_by(|a, b| {
            let by_size = b.severity.cmp(&a.severity).then(points(b).total_cmp(&points(a)));
            by_size.then_with(|| a.name.cmp(&b.name))
        });
        let verdict = match verdicts.split_first() {
            _ if !over.is_empty() => Verdict::Over,
            Some((first, rest)) if rest.iter().all(|one| one == first) => *first,
            Some(_) => Verdict::Unclear,
            None => Verdict::NoData,
        };
        Self { verdict, over, samples: measured.first().and_then(|measured| measured.samples) }
    }

    /// What an incident shows of it. The interval is that of the worst function.
    fn seen(&self) -> Seen {
        let function = |over: &OverLimit| AlertFunction {
            name: short(&over.name),
            percent: round2(over.share.percent),
            limit: Some(over.limit.get()),
        };
        Seen {
            interval: self.over.first().and_then(|worst| worst.share.interval),
            samples: self.samples,
            functions: self.over.iter().take(MOST_FUNCTIONS).map(function).collect(),
            functions_total: self.over.len(),
        }
    }
}

/// What a round decides about limits.
pub(super) struct LimitDecision<'a> {
    /// What the round knows.
    pub known: &'a Known<'a>,
    /// The incidents by fingerprint.
    pub incidents: &'a HashMap<&'a str, moves::Known<'a>>,
    /// How links are made.
    pub settings: &'a LinkSettings,
}

impl LimitDecision<'_> {
    /// What is written of the incident of an app and kind.
    pub(super) fn judge(&self, read: &Read, service: Option<&Service>, outcome: &Outcome) -> Option<IncidentWrite> {
        let (held, diagnosed) = match outcome {
            Outcome::Measured { limits, diagnosed, .. } => (limits.as_ref(), diagnosed.as_ref()),
            Outcome::Unknown | Outcome::Failed(_) | Outcome::NotReached => (None, None),
        };
        let verdict = match (outcome, held) {
            (_, Some(held)) => held.verdict,
            (Outcome::Unknown, None) => Verdict::UnknownApp,
            _ => Verdict::Error,
        };
        let fingerprint = fingerprint(&read.query.app, read.query.kind);
        let known = self.incidents.get(fingerprint.as_str()).copied().unwrap_or_default();
        let patience = Patience::from(Timing { window: Some(WINDOW), ..Timing::default() });
        let breach = |active_since| {
            let source = Source {
                query: &read.query,
                measured: &Measured::default(),
                seen: held.map(HeldLimits::seen).unwrap_or_default(),
                diagnosed,
                rule_updated_at: None,
                rule_channel: None,
                runbook_url: None,
                service,
                settings: self.settings,
            };
            let worst = held.and_then(|held| held.over.first());
            (breach(fingerprint, read, worst), AlertDetail::of(source, active_since).to_object())
        };
        moved(known, (verdict, self.known.at), patience, false, breach).write
    }

    /// Ends the incidents of limits that were removed or that nobody keeps.
    pub(super) fn uncovered(&self) -> Vec<IncidentWrite> {
        let limits = match &self.known.limits.limits {
            SorAnswer::Unavailable => return Vec::new(),
            SorAnswer::Known(limits) => Some(limits),
            SorAnswer::Off | SorAnswer::NotAsked => None,
        };
        let kept: HashSet<_> = limits.into_iter().flatten().map(|((app, kind), _)| fingerprint(app, *kind)).collect();
        let reason = if limits.is_some() { ResolveReason::RuleRemoved } else { ResolveReason::RuleDisabled };
        let is_over = |incident: &&Incident| {
            let found = &incident.found;
            found.source == IncidentSource::Baseline
                && found.state != IncidentState::Resolved
                && !kept.contains(&found.fingerprint)
        };
        self.known.incidents.iter().filter(is_over).map(|incident| ended(incident, self.known.at, reason)).collect()
    }
}

fn fingerprint(app: &AppName, kind: ProfileType) -> String {
    format!("baseline/{app}/{kind}")
}

/// What an incident says of the function that is worst.
fn breach(fingerprint: String, read: &Read, worst: Option<&OverLimit>) -> Breach {
    let name = worst.map_or_else(|| "a function".to_owned(), |worst| short(&worst.name));
    let limit = worst.map_or(0.0, |worst| worst.limit.get());
    Breach {
        fingerprint,
        source: IncidentSource::Baseline,
        severity: worst.map_or(LimitSeverity::Warning, |worst| worst.severity),
        title: format!("{name} over its approved limit of {limit} % of {}", read.query.kind),
        app: read.query.app.clone(),
        rule_id: None,
        percent: worst.map_or(0.0, |worst| worst.share.percent),
        threshold: limit,
    }
}
