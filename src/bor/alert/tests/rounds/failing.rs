//! Rounds of which a part fails, and rounds for some services alone.

use super::*;
use crate::bor::alert::testing::incident;
use crate::sor::alert_rule::ServiceFilter;
use crate::sor::incident::Findings;

/// A service of the tier `critical` and no team.
fn service(app: &str) -> Service {
    let at = DateTime::from_timestamp(START, 0).unwrap();
    Service {
        id: RowId::new(1).unwrap(),
        app_name: app.parse().unwrap(),
        team_owner: None,
        tier: "critical".parse().unwrap(),
        environment: None,
        notification_channel: None,
        pyroscope_labels: None,
        metadata: None,
        created_at: at,
        updated_at: at,
    }
}

fn for_services(filter: ServiceFilter) -> AlertRule {
    AlertRule { scope: Scope::new("*".parse().unwrap(), Some(filter)).unwrap(), ..kept() }
}

fn critical() -> ServiceFilter {
    ServiceFilter { tier: Some("critical".parse().unwrap()), team_owner: None, environment: None }
}

/// The apps that a round has read, in their order.
fn read(rounds: &Rounds) -> Vec<String> {
    let asked = std::mem::take(&mut *rounds.source.asked.lock().unwrap());
    let mut apps: Vec<_> = asked.into_iter().map(|query| query.app.to_string()).collect();
    apps.sort_unstable();
    apps
}

#[actix_web::test]
async fn where_apps_cannot_be_discovered_those_with_an_alert_are_evaluated_and_the_rule_says_so() {
    let found = Findings { app_name: Some("checkout".parse().unwrap()), ..incident().found };
    let standing = StandingIncidents {
        incidents: vec![crate::sor::incident::Incident { found, ..incident() }],
        ..StandingIncidents::default()
    };
    let source = Source { apps_away: true, ..source(0..60) };
    let rounds = Ports { source, standing: Ok(standing), ..Ports::all() }.build();
    let (done, written) = rounds.run().await;
    assert_eq!((done, read(&rounds)), (Ok(()), vec!["checkout".to_owned()]));
    let [IncidentWrite::Update { id, found, .. }] = &written[0].writes[..] else { panic!("{written:?}") };
    assert_eq!((id.get(), found.state, found.value), (7, IncidentState::Firing, Some(60.0)));
    let state = state_of(&written[0], 12);
    let problem = "apps could not be discovered: only those with an alert were evaluated";
    assert_eq!((&state["problem"], &state["appsTotal"]), (&json!(problem), &json!(1)));
}

#[actix_web::test]
async fn what_cannot_be_kept_fails_the_round_and_of_the_failures_nothing_is_told_either() {
    let memory = json!({"failures": {"shopping": 4}, "notReached": []});
    let source = Source { away: 60..61, ..source(0..60) };
    let rounds = Ports { source, memory: Ok(Some(memory)), apply_away: true, ..Ports::all() }.build();
    let (done, written) = rounds.run().await;
    assert!(matches!(done, Err(PortError::Unavailable(_))), "{done:?}");
    assert_eq!((written, rounds.observed.lock().unwrap().len()), (Vec::new(), 0));
}

#[actix_web::test]
async fn an_app_that_fails_for_the_fifth_time_is_told_of_and_if_that_fails_the_round_does_but_keeps_what_it_found() {
    for observe_away in [false, true] {
        let memory = json!({"failures": {"shopping": 4}, "notReached": []});
        let source = Source { away: 60..61, ..source(0..60) };
        let rounds = Ports { source, memory: Ok(Some(memory)), observe_away, ..Ports::all() }.build();
        let (done, written) = rounds.run().await;
        assert_eq!(done.is_err(), observe_away, "{done:?}");
        let remembered = json!({"failures": {"shopping": 5}, "notReached": [], "limitsEvaluatedAt": null});
        assert_eq!((written.len(), state_of(&written[0], i32::MAX)), (1, remembered));
        let observed = rounds.observed.lock().unwrap();
        assert_eq!((observed.len(), observed[0].fingerprint.as_str()), (1, "system/evaluation"));
        assert_eq!(observed[0].detail.as_value()["apps"], json!(["shopping"]));
    }
}

#[actix_web::test]
async fn a_rule_for_some_services_is_evaluated_for_those_alone() {
    let apps = &["critical", "owned", "shopping", "stranger"];
    let of_a_team = Service { team_owner: Some("orders".parse().unwrap()), ..service("owned") };
    let of_production = Service { environment: Some("production".parse().unwrap()), ..of_a_team.clone() };
    let of_production = Service { app_name: "shopping".parse().unwrap(), ..of_production };
    let services = vec![service("critical"), of_a_team, of_production, service("gone")];
    let team = ServiceFilter { team_owner: Some("orders".parse().unwrap()), ..critical() };
    let environment = ServiceFilter { environment: Some("production".parse().unwrap()), ..team.clone() };
    let tier = ServiceFilter { tier: Some("batch".parse().unwrap()), ..critical() };
    for (filter, expected) in [
        (critical(), &["critical", "owned", "shopping"][..]),
        (team, &["owned", "shopping"]),
        (environment, &["shopping"]),
        (tier, &[]),
    ] {
        let source = Source { apps, ..source(0..60) };
        let registry = Some(Ok(services.clone()));
        let rounds = Ports { source, registry, rule: for_services(filter), ..Ports::all() }.build();
        let (done, written) = rounds.run().await;
        assert_eq!((done, read(&rounds)), (Ok(()), expected.iter().map(ToString::to_string).collect()));
        assert_eq!(state_of(&written[0], 12)["appsTotal"], expected.len());
    }
}

#[actix_web::test]
async fn a_rule_for_some_services_says_so_where_the_registry_is_off() {
    let rounds = Ports { registry: None, rule: for_services(critical()), ..Ports::all() }.build();
    let (done, written) = rounds.run().await;
    assert_eq!((done, read(&rounds)), (Ok(()), Vec::new()));
    let problem = json!("the registry is off, so no service matches");
    assert_eq!(state_of(&written[0], 12)["problem"], problem);
}

#[actix_web::test]
async fn while_the_registry_is_away_its_last_list_serves_for_an_hour() {
    let registry = Some(Ok(vec![service("shopping")]));
    let rounds = Ports { registry, rule: for_services(critical()), ..Ports::all() }.build();
    assert_eq!((rounds.run().await.0, read(&rounds)), (Ok(()), vec!["shopping".to_owned()]));
    *rounds.registry.lock().unwrap() = away();
    for minutes in [1, 59] {
        rounds.clock.advance(chrono::TimeDelta::minutes(minutes));
        assert_eq!((rounds.run().await.0, read(&rounds)), (Ok(()), vec!["shopping".to_owned()]), "{minutes}");
    }
    rounds.clock.advance(chrono::TimeDelta::minutes(1));
    let (done, written) = rounds.run().await;
    assert!(matches!(&done, Err(PortError::Unavailable(why)) if why.contains("registry")), "{done:?}");
    assert_eq!((written, read(&rounds)), (Vec::new(), Vec::new()));
    // The registry is there again, and its service is another.
    *rounds.registry.lock().unwrap() = Ok(vec![service("billing")]);
    assert_eq!((rounds.run().await.0, read(&rounds)), (Ok(()), Vec::new()));
}
