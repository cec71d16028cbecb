//! Of what somebody is to be told.

use chrono::TimeDelta;

use super::{Times, all, firing, get, http, kinds, open, pending, postgres, resolved, update};
use crate::kernel::{CALL, Call, LimitSeverity};
use crate::sor::incident::{Act, Findings, Incident, IncidentLevel, IncidentPorts, NewSilence, Told, Untold};
use crate::sor::testing::suite;

/// Those who are not told of what is below a warning, nor again within four hours.
fn usual(times: Times) -> Untold {
    Untold { repeated_before: times.ago(240), least: LimitSeverity::Warning }
}

/// How the incidents of which somebody is to be told stand, by app.
async fn untold(ports: &IncidentPorts, which: Untold) -> Vec<(String, IncidentLevel)> {
    let incidents = ports.states.untold(&CALL, which).await.unwrap();
    let app = |incident: &Incident| incident.found.app_name.as_ref().unwrap().to_string();
    incidents.iter().map(|incident| (app(incident), incident.level().unwrap())).collect()
}

/// Says that people know how an incident stands, since so many minutes.
async fn tell(ports: &IncidentPorts, times: Times, incident: &Incident, minutes: i64) -> Incident {
    let now = get(ports, incident).await;
    let told = Told {
        id: incident.id,
        state: now.level().unwrap(),
        severity: now.found.severity,
        at: times.ago(minutes),
        channel: Some("ops".to_owned()),
        last_told_at: now.told_at,
    };
    ports.states.told(&Call::system("alert_tell"), vec![told]).await.unwrap();
    get(ports, incident).await
}

async fn nothing(ports: &IncidentPorts, times: Times) -> bool {
    untold(ports, usual(times)).await.is_empty()
}

async fn what_fires_is_told_once_and_again_after_a_while(ports: &IncidentPorts) {
    let times = Times::of_now();
    open(ports, pending("later", times.ago(3))).await;
    let shop = open(ports, firing("shop", times.ago(300), times.ago(295))).await;
    assert_eq!(untold(ports, usual(times)).await, [("shop".to_owned(), IncidentLevel::Firing)]);
    let told = tell(ports, times, &shop, 239).await;
    assert_eq!((told.told_state, told.told_severity), (Some(IncidentLevel::Firing), Some(LimitSeverity::Warning)));
    assert_eq!((told.told_at, told.told_channel.as_deref()), (Some(times.ago(239)), Some("ops")));
    assert_eq!(told.version, shop.version, "an evaluation need not begin anew");
    assert!(nothing(ports, times).await);
    tell(ports, times, &shop, 240).await;
    assert_eq!(untold(ports, usual(times)).await, [("shop".to_owned(), IncidentLevel::Firing)]);
    assert_eq!(kinds(ports, &shop).await, ["firing", "told", "told"]);
}

async fn an_acknowledged_one_is_told_as_such_and_not_again(ports: &IncidentPorts) {
    let times = Times::of_now();
    let shop = open(ports, firing("shop", times.ago(600), times.ago(595))).await;
    tell(ports, times, &shop, 500).await;
    ports.incidents.act(&CALL, shop.id, Act::Acknowledge { note: None, by: None }).await.unwrap();
    assert_eq!(untold(ports, usual(times)).await, [("shop".to_owned(), IncidentLevel::Acknowledged)]);
    tell(ports, times, &shop, 400).await;
    assert!(nothing(ports, times).await);
    let worse = Findings { severity: LimitSeverity::Critical, ..get(ports, &shop).await.found };
    update(ports, &shop, worse).await;
    assert_eq!(untold(ports, usual(times)).await, [("shop".to_owned(), IncidentLevel::Acknowledged)]);
}

async fn only_what_is_severe_enough_is_told_and_what_becomes_so(ports: &IncidentPorts) {
    let times = Times::of_now();
    let mild = Findings { severity: LimitSeverity::Info, ..firing("shop", times.ago(9), times.ago(4)) };
    let shop = open(ports, mild.clone()).await;
    assert!(nothing(ports, times).await);
    let all_levels = Untold { least: LimitSeverity::Info, ..usual(times) };
    assert_eq!(untold(ports, all_levels).await.len(), 1);
    update(ports, &shop, Findings { severity: LimitSeverity::Warning, ..mild.clone() }).await;
    assert_eq!(untold(ports, usual(times)).await.len(), 1);
    tell(ports, times, &shop, 1).await;
    update(ports, &shop, Findings { severity: LimitSeverity::Critical, ..mild.clone() }).await;
    assert_eq!(untold(ports, usual(times)).await.len(), 1, "it is worse");
    tell(ports, times, &shop, 1).await;
    update(ports, &shop, Findings { severity: LimitSeverity::Warning, ..mild }).await;
    assert!(nothing(ports, times).await, "it is better");
}

async fn that_one_is_over_is_told_where_it_was_told_that_it_fires(ports: &IncidentPorts) {
    let times = Times::of_now();
    let fired = |app| firing(app, times.ago(30), times.ago(25));
    let (told, never) = (open(ports, fired("told")).await, open(ports, fired("never")).await);
    tell(ports, times, &told, 24).await;
    for (incident, app) in [(&told, "told"), (&never, "never")] {
        update(ports, incident, resolved(fired(app), times.ago(1))).await;
    }
    let silence = NewSilence {
        app: Some("told".parse().unwrap()),
        source: None,
        rule_id: None,
        starts_at: None,
        minutes: 60.try_into().unwrap(),
        reason: "quiet".to_owned().try_into().unwrap(),
    };
    ports.silences.create(&CALL, silence).await.unwrap();
    assert_eq!(untold(ports, usual(times)).await, [("told".to_owned(), IncidentLevel::Resolved)]);
    tell(ports, times, &told, 1).await;
    assert!(nothing(ports, times).await);
    let again = Findings { last_seen_at: times.ago(0), ..firing("told", times.ago(0), times.ago(0)) };
    update(ports, &told, again).await;
    assert!(nothing(ports, times).await, "it is silenced");
}

async fn nobody_is_told_of_what_is_silenced_or_snoozed(ports: &IncidentPorts) {
    let times = Times::of_now();
    let shop = open(ports, firing("shop", times.ago(9), times.ago(4))).await;
    let silence = NewSilence {
        app: None,
        source: None,
        rule_id: crate::kernel::RowId::new(12),
        starts_at: None,
        minutes: 60.try_into().unwrap(),
        reason: "quiet".to_owned().try_into().unwrap(),
    };
    let silence = ports.silences.create(&CALL, silence).await.unwrap();
    assert!(nothing(ports, times).await);
    ports.silences.remove(&CALL, silence.id).await.unwrap();
    assert!(!nothing(ports, times).await);
    let snooze = Act::Snooze { minutes: 5.try_into().unwrap(), reason: "later".to_owned().try_into().unwrap() };
    ports.incidents.act(&CALL, shop.id, snooze).await.unwrap();
    assert!(nothing(ports, times).await);
    ports.incidents.act(&CALL, shop.id, Act::Unsnooze).await.unwrap();
    assert!(!nothing(ports, times).await);
}

async fn flapping_is_told_once(ports: &IncidentPorts) {
    let times = Times::of_now();
    let begun = |hour: i64| firing("shop", times.ago(60 * hour), times.ago(60 * hour - 5));
    let shop = open(ports, begun(5)).await;
    for hour in [4, 3, 2] {
        let was = get(ports, &shop).await.found;
        update(ports, &shop, resolved(was, times.ago(60 * hour + 30))).await;
        update(ports, &shop, begun(hour)).await;
    }
    assert_eq!(untold(ports, usual(times)).await, [("shop".to_owned(), IncidentLevel::Flapping)]);
    tell(ports, times, &shop, 100).await;
    let was = get(ports, &shop).await.found;
    let over = update(ports, &shop, resolved(was, times.ago(90))).await;
    assert_eq!(over.level(), Some(IncidentLevel::Flapping));
    update(ports, &shop, Findings { severity: LimitSeverity::Critical, ..begun(1) }).await;
    assert!(nothing(ports, times).await);
}

async fn what_fires_four_times_in_a_day_is_told_three_times_with_its_ends_and_once_as_flapping(ports: &IncidentPorts) {
    let times = Times::of_now();
    let begun = |hour: i64| firing("shop", times.ago(60 * hour), times.ago(60 * hour - 5));
    let shop = open(ports, begun(5)).await;
    let tell_all = async || {
        let found = untold(ports, usual(times)).await;
        if !found.is_empty() {
            tell(ports, times, &shop, 1).await;
        }
        found.into_iter().map(|(_, level)| level).collect::<Vec<_>>()
    };
    let mut all_told = Vec::new();
    for hour in [5, 4, 3, 2] {
        if hour < 5 {
            update(ports, &shop, begun(hour)).await;
        }
        all_told.extend(tell_all().await);
        let was = get(ports, &shop).await.found;
        update(ports, &shop, resolved(was, times.ago(60 * hour - 30))).await;
        all_told.extend(tell_all().await);
    }
    let both = [IncidentLevel::Firing, IncidentLevel::Resolved];
    assert_eq!(all_told, [&both[..], &both, &both, &[IncidentLevel::Flapping]].concat());
    assert_eq!((all(ports).await.len(), get(ports, &shop).await.reopenings.len()), (1, 3));
}

async fn what_changed_first_comes_first_and_what_is_gone_was_told(ports: &IncidentPorts) {
    let times = Times::of_now();
    for (app, minutes) in [("second", 4), ("first", 6), ("third", 2)] {
        open(ports, firing(app, times.ago(9), times.ago(minutes))).await;
    }
    let apps: Vec<_> = untold(ports, usual(times)).await.into_iter().map(|(app, _)| app).collect();
    assert_eq!(apps, ["first", "second", "third"]);
    let told = |incident: &Incident| Told {
        id: incident.id,
        state: IncidentLevel::Firing,
        severity: LimitSeverity::Warning,
        at: times.ago(0) + TimeDelta::seconds(1),
        channel: None,
        last_told_at: None,
    };
    let mut all_told: Vec<_> = all(ports).await.iter().map(told).collect();
    all_told.push(Told { id: crate::kernel::RowId::new(i32::MAX.into()).unwrap(), ..all_told[0].clone() });
    ports.states.told(&CALL, all_told).await.unwrap();
    assert!(nothing(ports, times).await);
    assert_eq!(kinds(ports, &all(ports).await[0]).await, ["firing"], "no channel took it");
}

async fn what_was_told_since_the_teller_looked_stays(ports: &IncidentPorts) {
    let times = Times::of_now();
    let shop = open(ports, firing("shop", times.ago(30), times.ago(25))).await;
    let told = |state, minutes, last_told_at| Told {
        id: shop.id,
        state,
        severity: LimitSeverity::Warning,
        at: times.ago(minutes),
        channel: Some("ops".to_owned()),
        last_told_at,
    };
    let note = async |told: Told| {
        ports.states.told(&CALL, vec![told]).await.unwrap();
        let now = get(ports, &shop).await;
        (now.told_state, now.told_at)
    };
    let first = (Some(IncidentLevel::Firing), Some(times.ago(24)));
    assert_eq!(note(told(IncidentLevel::Firing, 24, None)).await, first);
    // Another one, which has told the same and is late.
    assert_eq!(note(told(IncidentLevel::Firing, 23, None)).await, first);
    update(ports, &shop, resolved(firing("shop", times.ago(30), times.ago(25)), times.ago(20))).await;
    let over = (Some(IncidentLevel::Resolved), Some(times.ago(19)));
    assert_eq!(note(told(IncidentLevel::Resolved, 19, first.1)).await, over);
    assert_eq!(note(told(IncidentLevel::Firing, 18, None)).await, over);
    assert_eq!(note(told(IncidentLevel::Firing, 18, first.1)).await, over);
    assert_eq!(kinds(ports, &shop).await, ["firing", "told", "resolved", "told"]);
}

suite! {
    what_fires_is_told_once_and_again_after_a_while
    an_acknowledged_one_is_told_as_such_and_not_again
    only_what_is_severe_enough_is_told_and_what_becomes_so
    that_one_is_over_is_told_where_it_was_told_that_it_fires
    nobody_is_told_of_what_is_silenced_or_snoozed
    flapping_is_told_once
    what_fires_four_times_in_a_day_is_told_three_times_with_its_ends_and_once_as_flapping
    what_changed_first_comes_first_and_what_is_gone_was_told
    what_was_told_since_the_teller_looked_stays
}
