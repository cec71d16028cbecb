//! What evaluations and other sources hand in.

use chrono::TimeDelta;
use serde_json::json;

use super::{Times, all, firing, get, http, kinds, open, pending, postgres, resolved, update, write};
use crate::kernel::{CALL, Call, LimitSeverity, PortError, RowId};
use crate::sor::incident::{
    Decided, Findings, Incident, IncidentPorts, IncidentSource, IncidentState, IncidentWrite, Observation,
    RuleEvaluated, RuleState, StandingIncidents, ValueUnit,
};
use crate::sor::testing::suite;

async fn an_incident_is_answered_as_it_was_handed_in(ports: &IncidentPorts) {
    let times = Times::of_now();
    let found = Findings {
        clear_since: Some(times.ago(3)),
        no_data_since: Some(times.ago(2)),
        ..firing("größe/🔥 {x}\n", times.ago(10), times.ago(5))
    };
    let incident = open(ports, found.clone()).await;
    let expected = Incident {
        id: incident.id,
        found,
        acknowledged_at: None,
        acknowledged_by: None,
        acknowledged_note: None,
        snoozed_until: None,
        snoozed_by: None,
        snoozed_reason: None,
        reopenings: Vec::new(),
        flapping_since: None,
        changed_at: times.ago(5),
        told_state: None,
        told_severity: None,
        told_at: None,
        told_channel: None,
        version: 1,
        silenced_by: None,
    };
    assert_eq!(incident, expected);
    assert_eq!(ports.incidents.get(&CALL, incident.id).await.unwrap().unwrap().incident, expected);
    assert_eq!(ports.incidents.get(&CALL, RowId::new(i32::MAX.into()).unwrap()).await, Ok(None));
}

async fn of_one_fingerprint_one_incident_is_open(ports: &IncidentPorts) {
    let times = Times::of_now();
    let first = open(ports, pending("shop", times.ago(9))).await;
    let twice = Decided {
        writes: vec![
            IncidentWrite::Open { found: firing("shop", times.ago(8), times.ago(3)) },
            IncidentWrite::Open { found: pending("cart", times.ago(8)) },
        ],
        states: Vec::new(),
    };
    ports.states.apply(&CALL, twice).await.unwrap();
    let incidents = all(ports).await;
    assert_eq!(incidents.len(), 2);
    assert_eq!(incidents.iter().find(|incident| incident.id == first.id), Some(&first));
}

async fn a_change_that_was_decided_on_another_version_is_left_out(ports: &IncidentPorts) {
    let times = Times::of_now();
    let first = open(ports, pending("shop", times.ago(9))).await;
    let seen = |value| Findings { value: Some(value), ..pending("shop", times.ago(9)) };
    let (id, version) = (first.id, first.version);
    write(ports, IncidentWrite::Update { id, version, found: seen(50.0) }).await;
    write(ports, IncidentWrite::Update { id, version, found: seen(60.0) }).await;
    write(ports, IncidentWrite::Remove { id, version }).await;
    let now = get(ports, &first).await;
    assert_eq!((now.found.value, now.version), (Some(50.0), version + 1));
    write(ports, IncidentWrite::Remove { id, version: now.version }).await;
    assert_eq!(all(ports).await, []);
}

async fn one_that_fired_is_not_removed_and_keeps_when_it_fired(ports: &IncidentPorts) {
    let times = Times::of_now();
    let fired = firing("shop", times.ago(90), times.ago(85));
    let first = open(ports, fired.clone()).await;
    update(ports, &first, resolved(fired, times.ago(60))).await;
    let again = update(ports, &first, pending("shop", times.ago(10))).await;
    assert_eq!((again.found.state, again.found.fired_at), (IncidentState::Pending, Some(times.ago(85))));
    assert_eq!(again.found.resolved_at, Some(times.ago(60)));
    write(ports, IncidentWrite::Remove { id: first.id, version: again.version }).await;
    assert_eq!(get(ports, &first).await, again);
    let over = resolved(Findings { fired_at: None, ..pending("shop", times.ago(10)) }, times.ago(8));
    assert_eq!(update(ports, &first, over).await.found.fired_at, Some(times.ago(85)));
    assert_eq!(kinds(ports, &first).await, ["firing", "resolved", "pending", "resolved"]);
}

async fn the_third_reopening_within_a_day_is_flapping(ports: &IncidentPorts) {
    let times = Times::of_now();
    let begun = |hour: i64| firing("shop", times.ago(60 * hour), times.ago(60 * hour - 5));
    let first = open(ports, begun(10)).await;
    for hour in [9, 8, 7] {
        let was = get(ports, &first).await;
        assert_eq!(was.flapping_since, None, "before {hour}");
        update(ports, &first, resolved(was.found, times.ago(60 * hour + 30))).await;
        update(ports, &first, begun(hour)).await;
    }
    let now = get(ports, &first).await;
    assert_eq!(now.reopenings, [7, 8, 9].map(|hour| times.ago(60 * hour - 5)));
    assert_eq!((now.flapping_since, now.found.resolved_at), (Some(times.ago(60 * 7 - 5)), None));
    assert_eq!(now.changed_at, times.ago(60 * 7 - 5));
    let one = ["resolved", "reopened"];
    assert_eq!(kinds(ports, &first).await, [&["firing"][..], &one, &one, &one, &["flapping"]].concat());
}

async fn what_happened_says_when_and_who_did_it(ports: &IncidentPorts) {
    let times = Times::of_now();
    let first = open(ports, pending("shop", times.ago(20))).await;
    update(ports, &first, firing("shop", times.ago(20), times.ago(15))).await;
    let worse = Findings {
        severity: LimitSeverity::Critical,
        last_seen_at: times.ago(14),
        ..firing("shop", times.ago(20), times.ago(15))
    };
    update(ports, &first, worse.clone()).await;
    update(ports, &first, resolved(worse, times.ago(2))).await;
    let events = ports.incidents.get(&CALL, first.id).await.unwrap().unwrap().events;
    let told: Vec<_> = events.iter().map(|event| (event.kind.as_str(), event.at, event.detail.clone())).collect();
    assert_eq!(
        told,
        [
            ("resolved", times.ago(2), Some(json!({"reason": "clear"}))),
            ("severity", times.ago(14), Some(json!({"from": "warning", "to": "critical"}))),
            ("firing", times.ago(15), None),
            ("pending", times.ago(20), None),
        ]
    );
    assert!(events.iter().all(|event| event.actor.as_deref() == Some("system:alert_rules")), "{events:?}");
}

async fn an_evaluation_begins_with_what_is_open_or_was_over_within_hours(ports: &IncidentPorts) {
    let times = Times::of_now();
    let fired = firing("open", times.ago(20), times.ago(15));
    let is_open = open(ports, fired.clone()).await;
    let over = |app: &str, minutes| {
        resolved(firing(app, times.ago(minutes + 30), times.ago(minutes + 20)), times.ago(minutes))
    };
    let lately = open(ports, over("lately", 359)).await;
    open(ports, over("long ago", 60 * 24)).await;
    let of_system = Findings { source: IncidentSource::System, fingerprint: "system/x".to_owned(), ..fired };
    open(ports, of_system).await;
    let states = [(7, 4), (3, 5)].map(|(rule_id, minutes)| RuleState {
        rule_id,
        evaluated_at: times.ago(minutes),
        body: json!({"appsTotal": rule_id}),
    });
    ports.states.apply(&CALL, Decided { writes: Vec::new(), states: states.to_vec() }).await.unwrap();
    let evaluated =
        [(3, 5), (7, 4)].map(|(rule_id, minutes)| RuleEvaluated { rule_id, evaluated_at: times.ago(minutes) });
    let standing = ports.states.standing(&CALL).await.unwrap();
    assert_eq!(standing, StandingIncidents { incidents: vec![is_open, lately], evaluated: evaluated.to_vec() });
}

async fn the_newest_state_of_a_rule_is_kept(ports: &IncidentPorts) {
    let times = Times::of_now();
    let state = |minutes: i64| RuleState {
        rule_id: 12,
        evaluated_at: times.ago(minutes),
        body: json!({"problem": null, "apps": [{"ruleId": minutes}]}),
    };
    let rule = RowId::new(12).unwrap();
    assert_eq!(ports.states.rule_state(&CALL, rule).await, Ok(None));
    for minutes in [3, 1, 2] {
        ports.states.apply(&CALL, Decided { writes: Vec::new(), states: vec![state(minutes)] }).await.unwrap();
    }
    assert_eq!(ports.states.rule_state(&CALL, rule).await, Ok(Some(state(1))));
}

async fn all_of_an_evaluation_is_kept_or_nothing(ports: &IncidentPorts) {
    let times = Times::of_now();
    let never = Findings { occurrences: 0, ..pending("cart", times.ago(1)) };
    let decided = Decided {
        writes: vec![
            IncidentWrite::Open { found: pending("shop", times.ago(1)) },
            IncidentWrite::Open { found: never },
        ],
        states: Vec::new(),
    };
    let refused = ports.states.apply(&CALL, decided).await;
    assert!(matches!(&refused, Err(PortError::Invalid(why)) if why.contains("occurrences")), "{refused:?}");
    assert_eq!(all(ports).await, []);
}

fn seen(severity: LimitSeverity, value: f64, occurrences: i64) -> Observation {
    Observation {
        fingerprint: "system/channel/ops".to_owned(),
        source: IncidentSource::System,
        severity,
        title: "the channel ops takes nothing".to_owned(),
        app_name: None,
        value: Some(value),
        threshold: Some(1.0),
        unit: Some(ValueUnit::Count),
        occurrences,
        detail: json!({"status": 404}).try_into().unwrap(),
        quiet_seconds: 900,
    }
}

async fn what_a_source_sees_is_one_incident_that_only_gets_worse(ports: &IncidentPorts) {
    let call = Call::system("courier");
    let first = ports.incidents.observe(&call, seen(LimitSeverity::Critical, 5.0, 2)).await.unwrap();
    assert!(!first.acknowledged);
    for _ in 0..2 {
        assert_eq!(ports.incidents.observe(&call, seen(LimitSeverity::Warning, 3.0, 4)).await, Ok(first));
    }
    let [incident] = &all(ports).await[..] else { panic!("one") };
    let Findings { state, severity, value, worst_value, occurrences, .. } = &incident.found;
    assert_eq!((incident.id, *state, *severity), (first.id, IncidentState::Firing, LimitSeverity::Critical));
    assert_eq!((*value, *worst_value, *occurrences), (Some(3.0), Some(5.0), 4));
    assert_eq!(kinds(ports, incident).await, ["firing"]);

    let over = resolved(incident.found.clone(), incident.found.last_seen_at + TimeDelta::milliseconds(1));
    update(ports, incident, over).await;
    assert_eq!(ports.incidents.observe(&call, seen(LimitSeverity::Warning, 2.0, 1)).await, Ok(first));
    let again = get(ports, incident).await;
    let Findings { severity, worst_value, resolved_at, .. } = again.found;
    assert_eq!((severity, worst_value, resolved_at), (LimitSeverity::Warning, Some(2.0), None));
    assert_eq!(kinds(ports, incident).await, ["firing", "resolved", "reopened"]);
}

suite! {
    an_incident_is_answered_as_it_was_handed_in
    of_one_fingerprint_one_incident_is_open
    a_change_that_was_decided_on_another_version_is_left_out
    one_that_fired_is_not_removed_and_keeps_when_it_fired
    the_third_reopening_within_a_day_is_flapping
    what_happened_says_when_and_who_did_it
    an_evaluation_begins_with_what_is_open_or_was_over_within_hours
    the_newest_state_of_a_rule_is_kept
    all_of_an_evaluation_is_kept_or_nothing
    what_a_source_sees_is_one_incident_that_only_gets_worse
}
