//! What people see and do.

use super::{Times, all, ana, every, firing, get, http, kinds, open, pending, postgres, resolved, update};
use crate::kernel::{CALL, LimitSeverity, Note, PortError, RowId};
use crate::sor::incident::{
    Act, Findings, Incident, IncidentPorts, IncidentQuery, IncidentSource, IncidentState, NewSilence, Silence,
    SilenceQuery,
};
use crate::sor::testing::suite;

fn note(text: &str) -> Note {
    text.to_owned().try_into().unwrap()
}

fn acknowledge(by: Option<&str>) -> Act {
    Act::Acknowledge { note: Some(note("größe \"x\"")), by: by.map(|by| by.parse().unwrap()) }
}

fn snooze(minutes: i64) -> Act {
    Act::Snooze { minutes: minutes.try_into().unwrap(), reason: note("deploying") }
}

fn conflict(answer: Result<Option<Incident>, PortError>) -> String {
    match answer {
        Err(PortError::Conflict(why)) => why,
        other => panic!("{other:?}"),
    }
}

async fn the_first_who_acknowledges_an_incident_stays(ports: &IncidentPorts) {
    let times = Times::of_now();
    let shop = open(ports, firing("shop", times.ago(9), times.ago(4))).await;
    let done = ports.incidents.act(&ana(), shop.id, acknowledge(None)).await.unwrap().unwrap();
    assert!(done.acknowledged_at.is_some_and(|at| at >= times.ago(0)));
    let (by, said) = (done.acknowledged_by.as_deref(), done.acknowledged_note.as_deref());
    assert_eq!((by, said), (Some("token:ana"), Some("größe \"x\"")));
    assert_eq!((&done.found, done.version), (&shop.found, shop.version), "nothing was decided anew");
    let why = conflict(ports.incidents.act(&CALL, shop.id, acknowledge(Some("bob"))).await);
    assert!(why.starts_with("token:ana acknowledged the alert before, at 2"), "{why}");
    assert_eq!(get(ports, &shop).await, done);
    assert_eq!(kinds(ports, &shop).await, ["firing", "acknowledged"]);

    let cart = open(ports, firing("cart", times.ago(9), times.ago(4))).await;
    let done = ports.incidents.act(&ana(), cart.id, acknowledge(Some("bob"))).await.unwrap().unwrap();
    assert_eq!(done.acknowledged_by.as_deref(), Some("bob"));
    let unknown = RowId::new(i32::MAX.into()).unwrap();
    assert_eq!(ports.incidents.act(&ana(), unknown, acknowledge(None)).await, Ok(None));
}

async fn only_what_fires_is_acknowledged_and_when_it_fires_again_somebody_must_look_again(ports: &IncidentPorts) {
    let times = Times::of_now();
    let shop = open(ports, pending("shop", times.ago(90))).await;
    let act = || ports.incidents.act(&CALL, shop.id, acknowledge(Some("ana")));
    assert_eq!(conflict(act().await), "the alert does not fire yet");
    let fired = firing("shop", times.ago(90), times.ago(85));
    update(ports, &shop, fired.clone()).await;
    act().await.unwrap();
    update(ports, &shop, resolved(fired, times.ago(30))).await;
    assert_eq!(conflict(act().await), "the alert is resolved");
    let again = update(ports, &shop, firing("shop", times.ago(9), times.ago(4))).await;
    assert_eq!((again.acknowledged_at, again.acknowledged_by, again.acknowledged_note), (None, None, None));
    assert!(act().await.is_ok());
}

async fn an_incident_is_snoozed_from_now_on_until_somebody_ends_that(ports: &IncidentPorts) {
    let times = Times::of_now();
    let shop = open(ports, pending("shop", times.ago(90))).await;
    let call = ana();
    let act = |act| ports.incidents.act(&call, shop.id, act);
    assert_eq!(act(Act::Unsnooze).await.unwrap().unwrap().snoozed_until, None);
    for minutes in [43_200, 60] {
        let until = act(snooze(minutes)).await.unwrap().unwrap().snoozed_until.unwrap();
        let shortest = times.ago(-minutes);
        assert!(shortest <= until && until <= shortest + chrono::TimeDelta::minutes(5), "{until}");
    }
    let now = get(ports, &shop).await;
    assert_eq!((now.snoozed_by.as_deref(), now.snoozed_reason.as_deref()), (Some("token:ana"), Some("deploying")));
    let awake = act(Act::Unsnooze).await.unwrap().unwrap();
    assert_eq!((awake.snoozed_until, awake.snoozed_by, awake.snoozed_reason), (None, None, None));
    assert_eq!(kinds(ports, &shop).await, ["pending", "snoozed", "snoozed", "unsnoozed"]);
    let fired = firing("shop", times.ago(90), times.ago(85));
    update(ports, &shop, resolved(fired, times.ago(30))).await;
    for refused in [snooze(60), Act::Unsnooze] {
        assert_eq!(conflict(act(refused).await), "the alert is resolved");
    }
}

async fn narrows_by_each_member(ports: &IncidentPorts) {
    let times = Times::of_now();
    let shop = open(ports, firing("shop", times.ago(300), times.ago(290))).await;
    ports.incidents.act(&CALL, shop.id, acknowledge(None)).await.unwrap();
    let system = Findings {
        fingerprint: "system/x".to_owned(),
        source: IncidentSource::System,
        severity: LimitSeverity::Critical,
        app_name: None,
        rule_id: None,
        ..firing("x", times.ago(50), times.ago(50))
    };
    open(ports, system).await;
    open(ports, pending("cart", times.ago(5))).await;
    open(ports, resolved(firing("old", times.ago(300), times.ago(290)), times.ago(200))).await;
    let query = || every(10);
    for (query, expected) in [
        (query(), 4),
        (IncidentQuery { state: Some(IncidentState::Firing), ..query() }, 2),
        (IncidentQuery { state: Some(IncidentState::Pending), ..query() }, 1),
        (IncidentQuery { state: Some(IncidentState::Resolved), ..query() }, 1),
        (IncidentQuery { app: Some("shop".parse().unwrap()), ..query() }, 1),
        (IncidentQuery { app: Some("nobody".parse().unwrap()), ..query() }, 0),
        (IncidentQuery { source: Some(IncidentSource::Rule), ..query() }, 3),
        (IncidentQuery { severity: Some(LimitSeverity::Critical), ..query() }, 1),
        (IncidentQuery { rule_id: Some(12), ..query() }, 3),
        (IncidentQuery { rule_id: Some(13), ..query() }, 0),
        (IncidentQuery { acknowledged: Some(true), ..query() }, 1),
        (IncidentQuery { acknowledged: Some(false), ..query() }, 3),
        (IncidentQuery { from: Some(times.ago(100)), ..query() }, 3),
        (IncidentQuery { from: Some(times.ago(250)), ..query() }, 4),
        (IncidentQuery { to: Some(times.ago(100)), ..query() }, 2),
        (IncidentQuery { to: Some(times.ago(300)), ..query() }, 0),
    ] {
        assert_eq!(ports.incidents.page(&CALL, &query).await.unwrap().entries.len(), expected, "{query:?}");
    }
}

async fn pages_join_to_the_whole_list(ports: &IncidentPorts) {
    let times = Times::of_now();
    for app in ["a", "b", "c", "d", "e"] {
        open(ports, pending(app, times.ago(5))).await;
    }
    let (mut query, mut joined, mut sizes) = (every(2), Vec::new(), Vec::new());
    loop {
        let page = ports.incidents.page(&CALL, &query).await.unwrap();
        sizes.push(page.entries.len());
        joined.extend(page.entries);
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [2, 2, 1]);
    assert_eq!(joined, all(ports).await);
    assert!(joined.is_sorted_by(|a, b| a.id > b.id), "newest first");
}

fn silence(app: Option<&str>) -> NewSilence {
    NewSilence {
        app: app.map(|app| app.parse().unwrap()),
        source: None,
        rule_id: None,
        starts_at: None,
        minutes: 60.try_into().unwrap(),
        reason: note("größe \"x\""),
    }
}

async fn silences(ports: &IncidentPorts, active: bool) -> Vec<Silence> {
    let query = SilenceQuery { active, limit: 1_000, after: None };
    ports.silences.page(&CALL, query).await.unwrap().entries
}

async fn a_silence_holds_for_what_matches_all_its_members(ports: &IncidentPorts) {
    let times = Times::of_now();
    let shop = open(ports, firing("shop", times.ago(9), times.ago(4))).await;
    let rule = |id| RowId::new(id);
    for (new, holds) in [
        (silence(Some("shop")), true),
        (silence(Some("cart")), false),
        (NewSilence { source: Some(IncidentSource::Rule), ..silence(None) }, true),
        (NewSilence { source: Some(IncidentSource::System), ..silence(Some("shop")) }, false),
        (NewSilence { rule_id: rule(12), ..silence(Some("shop")) }, true),
        (NewSilence { rule_id: rule(13), ..silence(Some("shop")) }, false),
        (NewSilence { starts_at: Some(times.ago(-5)), ..silence(Some("shop")) }, false),
        (NewSilence { starts_at: Some(times.ago(90)), ..silence(Some("shop")) }, false),
    ] {
        let made = ports.silences.create(&ana(), new.clone()).await.unwrap();
        assert_eq!(get(ports, &shop).await.silenced_by, Some(made.id).filter(|_| holds), "{new:?}");
        assert_eq!(ports.silences.remove(&ana(), made.id).await, Ok(true));
        assert_eq!(ports.silences.remove(&ana(), made.id).await, Ok(false));
    }
}

async fn silences_are_listed_until_they_end(ports: &IncidentPorts) {
    let times = Times::of_now();
    let later = NewSilence { starts_at: Some(times.ago(-90)), ..silence(Some("later")) };
    let ended = NewSilence { starts_at: Some(times.ago(90)), rule_id: RowId::new(7), ..silence(None) };
    let later = ports.silences.create(&ana(), later).await.unwrap();
    let ended = ports.silences.create(&ana(), ended).await.unwrap();
    let now = ports.silences.create(&ana(), silence(Some("now"))).await.unwrap();
    let expected = Silence {
        id: later.id,
        app_name: Some("later".parse().unwrap()),
        source: None,
        rule_id: None,
        starts_at: times.ago(-90),
        ends_at: times.ago(-150),
        reason: "größe \"x\"".to_owned(),
        created_by: "token:ana".to_owned(),
        created_at: later.created_at,
    };
    assert_eq!(later, expected);
    assert!(now.starts_at == now.created_at && now.created_at >= times.ago(0));
    assert_eq!(silences(ports, true).await, [now.clone(), later.clone()]);
    assert_eq!(silences(ports, false).await, [now.clone(), ended, later]);
    let first = ports.silences.page(&CALL, SilenceQuery { active: true, limit: 1, after: None }).await.unwrap();
    assert_eq!(first.entries, [now]);
    let rest = SilenceQuery { active: true, limit: 1, after: first.next };
    let rest = ports.silences.page(&CALL, rest).await.unwrap();
    assert_eq!((rest.entries.len(), rest.next), (1, None));
}

suite! {
    the_first_who_acknowledges_an_incident_stays
    only_what_fires_is_acknowledged_and_when_it_fires_again_somebody_must_look_again
    an_incident_is_snoozed_from_now_on_until_somebody_ends_that
    narrows_by_each_member
    pages_join_to_the_whole_list
    a_silence_holds_for_what_matches_all_its_members
    silences_are_listed_until_they_end
}
