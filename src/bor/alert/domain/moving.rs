//! Rounds over simulated profiles, with a stand-in of the store that applies writes as its triggers do.

use std::collections::HashMap;
use std::ops::Range;

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use rstest::rstest;

use super::moves::{ended, standing_of, with_standing};
use super::*;
use crate::bor::{LinkSettings, SorAnswer};
use crate::kernel::{JsonObject, LimitSeverity, Percent, ProfileType, RowId};
use crate::sor::alert_rule::{AlertRule, Measured, Scope, Timing};
use crate::sor::incident::{
    Decided, Findings, Incident, IncidentSource, IncidentState, IncidentWrite, Observation, ResolveReason,
};
use crate::verdict::Share;

pub(super) fn at(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_176_000 + 60 * minute, 0).unwrap()
}

pub(super) fn minute(time: DateTime<Utc>) -> i64 {
    (time - at(0)).num_minutes()
}

pub(super) fn rule(id: i64, app: &str) -> AlertRule {
    AlertRule {
        id: RowId::new(id).unwrap(),
        scope: Scope::new(app.parse().unwrap(), None).unwrap(),
        profile_type: ProfileType::Cpu,
        threshold_percent: Percent::new(30.0).unwrap(),
        measured: Measured::default(),
        timing: Timing::default(),
        severity: LimitSeverity::Critical,
        notification_channel: Some("#orders".parse().unwrap()),
        runbook_url: None,
        enabled: true,
        created_by: None,
        created_at: at(-1_000 + id),
        updated_at: at(-1_000),
    }
}

/// Incidents and states as the store keeps them.
#[derive(Default)]
pub(super) struct Store {
    pub(super) incidents: Vec<Incident>,
    /// The approved limits; `None` for off.
    pub(super) limits: Option<SorAnswer<Limits>>,
    evaluated: HashMap<i32, DateTime<Utc>>,
    states: HashMap<i32, RuleFindings>,
    memory: RoundMemory,
    observed: Vec<(i64, Observation)>,
    /// What each incident went through: its id, the minute and the state.
    seen: Vec<(i32, i64, &'static str)>,
    next_id: i64,
}

impl Store {
    /// A store with these limits.
    pub(super) fn with_limits(limits: SorAnswer<Limits>) -> Self {
        Self { limits: Some(limits), ..Self::default() }
    }

    fn apply(&mut self, now: DateTime<Utc>, decided: Decided) {
        for write in decided.writes {
            match write {
                IncidentWrite::Open { found } => {
                    self.next_id += 1;
                    self.note(self.next_id.try_into().unwrap(), now, found.state.as_str());
                    self.incidents.push(incident(self.next_id, found));
                }
                IncidentWrite::Update { id, version, found } => {
                    let place = self.incidents.iter().position(|of| of.id == id && of.version == version).unwrap();
                    let was = self.incidents[place].clone();
                    if was.found.state != found.state {
                        self.note(id.get(), now, found.state.as_str());
                    }
                    let one = &mut self.incidents[place];
                    one.version += 1;
                    if found.state == IncidentState::Firing
                        && was.found.state != IncidentState::Firing
                        && was.found.fired_at.is_some()
                    {
                        one.reopenings.insert(0, found.fired_at.unwrap());
                    }
                    one.found = found;
                }
                IncidentWrite::Remove { id, version } => {
                    self.note(id.get(), now, "removed");
                    self.incidents.retain(|of| of.id != id || of.version != version || of.found.fired_at.is_some());
                }
            }
        }
        for state in decided.states {
            if state.rule_id == i32::MAX {
                self.memory = RoundMemory::read(Some(state));
            } else {
                self.evaluated.insert(state.rule_id, state.evaluated_at);
                self.states.insert(state.rule_id, serde_json::from_value(state.body).unwrap());
            }
        }
    }

    fn note(&mut self, id: i32, now: DateTime<Utc>, state: &'static str) {
        self.seen.push((id, minute(now), state));
    }

    /// A round at that minute.
    pub(super) fn round(&mut self, now: i64, rules: &[AlertRule], outcome: impl Fn(&Read) -> Outcome) {
        let incidents = self.incidents.clone();
        let known = Known {
            at: at(now),
            rules,
            services: None,
            incidents: &incidents,
            evaluated: &self.evaluated.clone(),
            discovered: Some(&[]),
            most_pairs: 10_000,
            limits: &KnownLimits {
                limits: self.limits.clone().unwrap_or(SorAnswer::Off),
                evaluated_at: self.memory.limits_evaluated_at,
            },
        };
        let plan = Plan::of(&known);
        let outcomes: Vec<_> = plan.reads.iter().map(outcome).collect();
        let decision = Decision::of(&known, &plan, &outcomes, &self.memory.clone(), &LinkSettings::default());
        self.apply(at(now), decision.decided);
        self.observed.extend(decision.observation.map(|observation| (now, observation)));
    }

    pub(super) fn states_seen(&self) -> Vec<(i64, &'static str)> {
        self.seen.iter().map(|(_, minute, state)| (*minute, *state)).collect()
    }
}

fn incident(id: i64, found: Findings) -> Incident {
    Incident {
        id: RowId::new(id).unwrap(),
        changed_at: found.active_since,
        found,
        acknowledged_at: None,
        acknowledged_by: None,
        acknowledged_note: None,
        snoozed_until: None,
        snoozed_by: None,
        snoozed_reason: None,
        reopenings: Vec::new(),
        flapping_since: None,
        told_state: None,
        told_severity: None,
        told_at: None,
        told_channel: None,
        version: 1,
        silenced_by: None,
    }
}

/// What is measured of 6,000 samples a minute in the five minutes before: 5 %, or otherwise in these minutes.
fn measured(now: i64, otherwise: &[(Range<i64>, i64)]) -> Outcome {
    let percent = |minute: i64| otherwise.iter().find(|(range, _)| range.contains(&minute)).map_or(5, |(_, of)| *of);
    let part: i64 = (now - 4..=now).map(|minute| percent(minute) * 60).sum();
    let share = Share::of(part, 30_000, Some(30_000));
    let measured = Measurement { ticks: 30_000, samples: Some(30_000), share, ..Measurement::default() };
    let evaluations = vec![Evaluation::of(at(now), measured, Percent::new(30.0).unwrap())];
    Outcome::Measured { evaluations, limits: None, diagnosed: None }
}

fn simulated(otherwise: &[(Range<i64>, i64)], away: Range<i64>) -> Store {
    let (mut store, rules) = (Store::default(), [rule(12, "shop")]);
    for now in 5..=60 {
        store.round(
            now,
            &rules,
            |_| {
                if away.contains(&now) { Outcome::Failed("away") } else { measured(now, otherwise) }
            },
        );
    }
    store
}

#[rstest]
#[case::from_10_to_40(&[(10..40, 60)], 0..0, &[(12, "pending"), (17, "firing"), (48, "resolved")])]
#[case::a_minute_of_100_percent(&[(10..11, 100)], 0..0, &[])]
#[case::five_minutes(&[(10..15, 60)], 0..0, &[(12, "pending"), (17, "removed")])]
#[case::six_minutes(&[(10..16, 60)], 0..0, &[(12, "pending"), (17, "firing"), (24, "resolved")])]
#[case::source_away_from_13_to_20(&[(10..40, 60)], 13..21, &[(12, "pending"), (21, "firing"), (48, "resolved")])]
fn an_incident_goes_through(
    #[case] otherwise: &[(Range<i64>, i64)],
    #[case] away: Range<i64>,
    #[case] expected: &[(i64, &str)],
) {
    assert_eq!(simulated(otherwise, away).states_seen(), expected);
}

#[test]
fn what_an_incident_says_follows_from_the_steps() {
    let store = simulated(&[(10..30, 60), (30..40, 70)], 0..0);
    let Findings { state, value, worst_value, occurrences, .. } = store.incidents[0].found.clone();
    // Over in the windows that end in minutes 12 to 42: each has at least three minutes of 60 %, or two of 70 %.
    assert_eq!((state, worst_value, occurrences), (IncidentState::Resolved, Some(70.0), 31));
    let found = &store.incidents[0].found;
    assert_eq!((value, minute(found.last_seen_at)), (Some(31.0), 42));
    assert_eq!((found.fired_at.map(minute), found.clear_since.map(minute)), (Some(17), Some(43)));
    assert_eq!((found.resolved_at.map(minute), found.resolve_reason), (Some(48), Some(ResolveReason::Clear)));
    assert_eq!((found.fingerprint.as_str(), found.rule_id), ("rule/12/shop", Some(12)));
}

#[test]
fn a_source_that_is_away_is_told_of_at_the_fifth_failure_and_not_after_it() {
    let store = simulated(&[(10..40, 60)], 13..21);
    let minutes: Vec<_> = store.observed.iter().map(|(minute, _)| *minute).collect();
    assert_eq!(minutes, [17, 18, 19, 20]);
    let (_, told) = &store.observed[0];
    assert_eq!(
        (told.fingerprint.as_str(), told.severity, told.occurrences),
        ("system/evaluation", LimitSeverity::Warning, 1)
    );
    assert_eq!(told.detail.as_value()["apps"], serde_json::json!(["shop"]));
    assert_eq!(store.memory, RoundMemory::default());
}

#[test]
fn four_firings_an_hour_apart_are_one_incident_with_three_reopenings() {
    let hot: Vec<_> = (0..4).map(|hour| (hour * 60 + 10..hour * 60 + 20, 60)).collect();
    let (mut store, rules) = (Store::default(), [rule(12, "shop")]);
    for now in 5..=240 {
        store.round(now, &rules, |_| measured(now, &hot));
    }
    assert_eq!(store.incidents.len(), 1);
    let reopened: Vec<_> = store.incidents[0].reopenings.iter().map(|time| minute(*time)).collect();
    assert_eq!(reopened, [197, 137, 77]);
    assert_eq!(store.incidents[0].found.state, IncidentState::Resolved);
}

#[test]
fn what_ends_before_it_fires_again_is_resolved_as_it_was() {
    let (mut store, rules) = (Store::default(), [rule(12, "shop")]);
    for now in 5..=60 {
        store.round(now, &rules, |_| measured(now, &[(10..16, 60), (40..45, 60)]));
    }
    let expected = [(12, "pending"), (17, "firing"), (24, "resolved"), (42, "pending"), (47, "resolved")];
    assert_eq!(store.states_seen(), expected);
    let found = &store.incidents[0].found;
    assert_eq!((store.incidents.len(), found.resolved_at.map(minute)), (1, Some(24)));
}

#[test]
fn a_breach_after_six_hours_is_another_incident() {
    let (mut store, rules) = (Store::default(), [rule(12, "shop")]);
    for now in 5..=420 {
        store.round(now, &rules, |_| measured(now, &[(10..16, 60), (384..400, 60)]));
    }
    assert_eq!(store.incidents.len(), 2);
}

#[test]
fn a_changed_rule_restarts_what_is_pending_and_not_what_fires() {
    let changed = |since| AlertRule { updated_at: at(since), ..rule(12, "shop") };
    let fired = |change: i64| {
        let mut store = Store::default();
        for now in 5..=30 {
            let rules = [if now < change { rule(12, "shop") } else { changed(change) }];
            store.round(now, &rules, |_| measured(now, &[(10..60, 60)]));
        }
        let found = &store.incidents[0].found;
        (minute(found.active_since), found.fired_at.map(minute), found.occurrences)
    };
    assert_eq!(fired(15), (15, Some(20), 16));
    assert_eq!(fired(20), (12, Some(17), 19));
}

#[rstest]
#[case::disabled(vec![AlertRule { enabled: false, ..rule(12, "shop") }], ResolveReason::RuleDisabled)]
#[case::removed(Vec::new(), ResolveReason::RuleRemoved)]
#[case::of_another_app(vec![rule(12, "cart")], ResolveReason::RuleRemoved)]
fn what_fires_ends_with_its_rule(#[case] then: Vec<AlertRule>, #[case] reason: ResolveReason) {
    let mut store = simulated(&[(10..61, 60)], 0..0);
    store.round(61, &then, |_| Outcome::Failed("away"));
    let found = &store.incidents[0].found;
    assert_eq!((found.state, found.resolve_reason), (IncidentState::Resolved, Some(reason)));
    assert_eq!(found.resolved_at.map(minute), Some(61));
}

#[test]
fn the_state_of_a_rule_says_what_was_found_last() {
    let store = simulated(&[(10..61, 60)], 60..61);
    let state = &store.states[&12];
    assert_eq!((state.apps_total, state.next_at.map(minute), &state.problem), (1, Some(61), &None));
    let app = &state.apps[0];
    assert_eq!((app.app.as_str(), app.verdict, app.state), ("shop", Verdict::Error, Some(IncidentState::Firing)));
    assert_eq!((app.since.map(minute), app.alert_id, app.error.as_deref()), (Some(12), Some(1), Some("away")));
}

#[test]
fn the_same_round_twice_changes_nothing() {
    let mut store = simulated(&[(10..61, 60)], 0..0);
    let before = store.incidents.clone();
    store.round(60, &[rule(12, "shop")], |_| unreachable!("it is not due"));
    assert_eq!(store.incidents, before);
}

fn findings(state: IncidentState, times: [Option<i64>; 4]) -> Findings {
    let [fired_at, last_seen_at, clear_since, no_data_since] = times.map(|time| time.map(at));
    Findings {
        fingerprint: "rule/12/shop".to_owned(),
        source: IncidentSource::Rule,
        state,
        severity: LimitSeverity::Warning,
        title: "f over 30 % of cpu".to_owned(),
        app_name: Some("shop".parse().unwrap()),
        rule_id: Some(12),
        value: Some(40.0),
        worst_value: Some(50.0),
        threshold: Some(30.0),
        unit: None,
        occurrences: 7,
        detail: JsonObject::default(),
        active_since: at(1),
        fired_at,
        last_seen_at: last_seen_at.unwrap_or(at(2)),
        clear_since,
        no_data_since,
        resolved_at: None,
        resolve_reason: None,
    }
}

proptest! {
    #[test]
    fn an_incident_and_its_standing_say_the_same(
        fires in any::<bool>(),
        fired in 0_i64..100,
        seen in 0_i64..100,
        clear in proptest::option::of(0_i64..100),
        silent in proptest::option::of(0_i64..100),
    ) {
        let found = if fires {
            findings(IncidentState::Firing, [Some(fired), Some(seen), clear, silent])
        } else {
            findings(IncidentState::Pending, [None, Some(seen), None, None])
        };
        let standing = standing_of(&found);
        prop_assert_eq!(with_standing(found.clone(), standing), found.clone());
        let blank = findings(IncidentState::Pending, [None; 4]);
        prop_assert_eq!(standing_of(&with_standing(blank, standing)), standing);
    }
}

#[test]
fn one_that_is_pending_is_removed_unless_it_fired_before() {
    let pending = incident(1, findings(IncidentState::Pending, [None; 4]));
    assert!(matches!(ended(&pending, at(9), ResolveReason::Clear), IncidentWrite::Remove { version: 1, .. }));
    let fired = incident(1, findings(IncidentState::Pending, [Some(3), None, None, None]));
    let IncidentWrite::Update { found, .. } = ended(&fired, at(9), ResolveReason::RuleRemoved) else { panic!() };
    assert_eq!((found.state, found.resolved_at), (IncidentState::Resolved, Some(at(9))));
}

/// A share that is under the threshold by a tenth of it, seen through 3,000 samples, is never over for long enough.
#[test]
fn a_share_a_tenth_under_the_threshold_never_fires_in_1000_days() {
    let (threshold, patience) = (Percent::new(30.0).unwrap(), Patience::from(Timing::default()));
    let (mut random, mut standing, mut fired) = (0x9E37_79B9_7F4A_7C15_u64, Standing::Quiet, 0);
    let mut uniform = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut minutes = [162_i64; 5];
    for now in 0..1_000 * 1_440 {
        // 600 samples a minute, of which 27 % are seen, bunched as in real profiles: variance 1.5 times as large.
        let normal: f64 = (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
        let count = (162.0 + normal * (600.0 * 0.27 * 0.73 * 1.5_f64).sqrt()).round();
        minutes[usize::try_from(now % 5).unwrap()] = count as i64;
        let share = Share::of(minutes.iter().sum(), 3_000, Some(3_000));
        let measured = Measurement { ticks: 3_000, samples: Some(3_000), share, ..Measurement::default() };
        let (next, change) = standing.step(Verdict::of(&measured, threshold), at(now), patience);
        standing = next;
        fired += u32::from(change == Change::Fired);
    }
    assert_eq!(fired, 0);
}

/// A share that drifts up and down around the threshold is told of a few times a day: when it fires and when it is over.
#[test]
fn a_drift_around_the_threshold_is_told_at_most_five_times_a_day() {
    let (threshold, patience) = (Percent::new(30.0).unwrap(), Patience::from(Timing::default()));
    let (mut standing, mut told, days) = (Standing::Quiet, 0, 30);
    for now in 0..days * 1_440 {
        // Twice a day from 25 % to 35 % and back.
        let percent = 30.0 + 5.0 * (now as f64 / 720.0 * std::f64::consts::TAU).sin();
        let share = Share::of((percent * 300.0) as i64, 30_000, Some(30_000));
        let measured = Measurement { ticks: 30_000, samples: Some(30_000), share, ..Measurement::default() };
        let (next, change) = standing.step(Verdict::of(&measured, threshold), at(now), patience);
        standing = next;
        told += i64::from(matches!(change, Change::Fired | Change::Resolved(_)));
    }
    assert!(told > 0 && told <= 5 * days, "{told}");
}
