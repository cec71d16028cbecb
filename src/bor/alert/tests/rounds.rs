//! Rounds over mocked ports.

use super::*;
use crate::kernel::{CALL, LimitSeverity, Percent, ProfileType, Stored};
use crate::sor::alert_rule::{AlertRule, MockAlertRuleSor, Scope};
use crate::sor::baseline::{Baseline, BaselineSor, MockBaselineSor};
use crate::sor::incident::{
    Decided, IncidentState, IncidentWrite, MockAlertStateSor, MockIncidentSor, RuleState, StandingIncidents,
};

fn away<T>() -> PortResult<T> {
    Err(PortError::Unavailable("away".to_owned()))
}

fn kept() -> AlertRule {
    let at = DateTime::from_timestamp(START, 0).unwrap();
    AlertRule {
        id: RowId::new(12).unwrap(),
        scope: Scope::new("*".parse().unwrap(), None).unwrap(),
        profile_type: ProfileType::Cpu,
        threshold_percent: Percent::new(30.0).unwrap(),
        measured: crate::sor::alert_rule::Measured::default(),
        timing: crate::sor::alert_rule::Timing::default(),
        severity: LimitSeverity::Critical,
        notification_channel: None,
        runbook_url: None,
        enabled: true,
        created_by: None,
        created_at: at,
        updated_at: at,
    }
}

/// The ports of a round, each of which may be away.
struct Ports {
    source: Source,
    rules_away: bool,
    standing_away: bool,
    /// Whether the registry is off, away, or there.
    registry: Option<bool>,
    /// The approved limits; `None` for off.
    limits: Option<PortResult<Vec<Baseline>>>,
}

impl Ports {
    fn all() -> Self {
        Self { source: source(0..60), rules_away: false, standing_away: false, registry: Some(true), limits: None }
    }

    /// Runs a round; what it wrote, too.
    async fn round(self) -> (PortResult<()>, Vec<Decided>) {
        self.round_reading_for(Duration::from_secs(10)).await
    }

    async fn round_reading_for(self, reading: Duration) -> (PortResult<()>, Vec<Decided>) {
        let written = Arc::new(Mutex::new(Vec::new()));
        let registry = self.registry.map(|there| {
            let mut registry = MockRegistrySor::new();
            registry.expect_list().returning(move |_| if there { Ok(Vec::new()) } else { away() });
            Arc::new(registry) as Arc<dyn RegistrySor>
        });
        let relational = RelationalPorts {
            baselines: None,
            history: None,
            registry,
            clock: Arc::new(FixedClock::at(DateTime::from_timestamp(START + 3_630, 0).unwrap())),
            ids: Arc::new(SequentialIds::default()),
            version: Version::V2,
        };
        let parts = AlertParts { profiles: Arc::new(self.source), relational, rules: Rules::builtin() };
        let (mut rules, mut states) = (MockAlertRuleSor::new(), MockAlertStateSor::new());
        let rules_away = self.rules_away;
        rules.expect_all().returning(move |_| if rules_away { away() } else { Ok(vec![kept()]) });
        rules.expect_get().returning(|_, id| Ok((id.get() == 12).then(|| Stored::Valid(kept()))));
        let standing_away = self.standing_away;
        states
            .expect_standing()
            .returning(move |_| if standing_away { away() } else { Ok(StandingIncidents::default()) });
        states.expect_rule_state().returning(|_, _| Ok(None));
        let into = Arc::clone(&written);
        states.expect_apply().returning(move |_, decided| {
            into.lock().unwrap().push(decided);
            Ok(())
        });
        let round = RoundParts {
            rules: Arc::new(rules),
            limits: self.limits.map(|limits| {
                let mut port = MockBaselineSor::new();
                port.expect_all().returning(move |_| limits.clone());
                Arc::new(port) as Arc<dyn BaselineSor>
            }),
            incidents: Arc::new(MockIncidentSor::new()),
            states: Arc::new(states),
            most_pairs: 10_000,
            links: crate::bor::LinkSettings::default(),
        };
        let round = AlertRound::new(AlertService::new(parts), round).reading_for(reading);
        let done = round.run(&CALL).await;
        let written = std::mem::take(&mut *written.lock().unwrap());
        (done, written)
    }
}

fn state_of(decided: &Decided, rule_id: i32) -> Value {
    let of = |state: &&RuleState| state.rule_id == rule_id;
    decided.states.iter().find(of).map(|state| state.body.clone()).unwrap_or_default()
}

#[actix_web::test]
async fn a_round_opens_an_incident_with_what_a_triage_says_and_keeps_what_it_found() {
    let (done, written) = Ports::all().round().await;
    assert_eq!((done, written.len()), (Ok(()), 1));
    let [IncidentWrite::Open { found }] = &written[0].writes[..] else { panic!("{written:?}") };
    assert_eq!((found.fingerprint.as_str(), found.state), ("rule/12/shopping", IncidentState::Pending));
    assert_eq!((found.title.as_str(), found.value), ("com.acme.Cart.total over 30 % of cpu", Some(60.0)));
    let detail = AlertDetail::read(&found.detail).unwrap();
    assert_eq!((detail.functions[0].name.as_str(), detail.functions_total), ("com.acme.Cart.total", 1));
    assert!(detail.headline.unwrap().contains("Cart.total"));
    assert_eq!((detail.from.timestamp(), detail.to.timestamp()), (START + 3_300, START + 3_600));
    let app = &state_of(&written[0], 12)["apps"][0];
    assert_eq!((&app["app"], &app["state"], &app["percent"]), (&json!("shopping"), &json!("pending"), &json!(60.0)));
}

#[actix_web::test]
async fn without_rules_or_incidents_or_a_list_of_services_a_round_fails_and_writes_nothing() {
    for ports in [
        Ports { rules_away: true, ..Ports::all() },
        Ports { standing_away: true, ..Ports::all() },
        Ports { registry: Some(false), ..Ports::all() },
    ] {
        let (done, written) = ports.round().await;
        assert!(matches!(done, Err(PortError::Unavailable(_))), "{done:?}");
        assert_eq!(written, []);
    }
}

#[actix_web::test]
async fn a_registry_that_is_off_is_no_obstacle() {
    let (done, written) = Ports { registry: None, ..Ports::all() }.round().await;
    assert_eq!((done, written[0].writes.len()), (Ok(()), 1));
}

#[actix_web::test]
async fn an_app_that_cannot_be_read_is_an_error_that_the_next_round_knows_of() {
    let source = Source { away: 60..61, ..source(0..60) };
    let (done, written) = Ports { source, ..Ports::all() }.round().await;
    assert_eq!((done, &written[0].writes[..]), (Ok(()), &[][..]));
    let app = &state_of(&written[0], 12)["apps"][0];
    let error = json!("the source of profiles could not be read");
    assert_eq!((&app["verdict"], &app["error"]), (&json!("error"), &error));
    assert_eq!(
        state_of(&written[0], i32::MAX),
        json!({"failures": {"shopping": 1}, "notReached": [], "limitsEvaluatedAt": null})
    );
}

#[actix_web::test]
async fn what_the_deadline_cuts_comes_first_in_the_next_round() {
    let source = Source { hangs_after: Some(0), ..source(0..60) };
    let (done, written) = Ports { source, ..Ports::all() }.round_reading_for(Duration::from_millis(50)).await;
    assert_eq!((done, &written[0].writes[..]), (Ok(()), &[][..]));
    assert_eq!(
        state_of(&written[0], i32::MAX),
        json!({"failures": {"shopping": 1}, "notReached": ["shopping"], "limitsEvaluatedAt": null})
    );
}

fn limit(app: &str, function: &str, percent: f64) -> Baseline {
    let at = DateTime::from_timestamp(START, 0).unwrap();
    Baseline {
        id: RowId::new(1).unwrap(),
        app_name: app.parse().unwrap(),
        profile_type: ProfileType::Cpu,
        function_name: function.parse().unwrap(),
        max_self_percent: Percent::new(percent).unwrap(),
        severity: LimitSeverity::Info,
        created_by: None,
        created_at: at,
        updated_at: at,
    }
}

#[actix_web::test]
async fn approved_limits_are_held_against_the_last_hour() {
    let limits = vec![limit("shopping", "com.acme.Cart.total", 10.0), limit("gone", "f", 1.0)];
    let (done, written) = Ports { limits: Some(Ok(limits)), ..Ports::all() }.round().await;
    assert_eq!((done, written.len()), (Ok(()), 1));
    let of_limit = |write: &&IncidentWrite| matches!(write, IncidentWrite::Open { found } if found.rule_id.is_none());
    let opened: Vec<_> = written[0].writes.iter().filter(of_limit).collect();
    let [IncidentWrite::Open { found }] = &opened[..] else { panic!("{written:?}") };
    assert_eq!((found.fingerprint.as_str(), found.severity), ("baseline/shopping/cpu", LimitSeverity::Info));
    assert_eq!(found.title, "com.acme.Cart.total over its approved limit of 10 % of cpu");
    let detail = AlertDetail::read(&found.detail).unwrap();
    assert_eq!((detail.from.timestamp(), detail.functions[0].limit), (START, Some(10.0)));
    assert!(detail.headline.unwrap().contains("Cart.total"));
    let at = DateTime::from_timestamp(START + 3_600, 0).unwrap();
    assert_eq!(state_of(&written[0], i32::MAX)["limitsEvaluatedAt"], json!(at));
}

#[actix_web::test]
async fn limits_that_are_away_are_no_obstacle_to_rules() {
    let (done, written) = Ports { limits: Some(away()), ..Ports::all() }.round().await;
    assert_eq!((done, written[0].writes.len(), state_of(&written[0], i32::MAX)), (Ok(()), 1, Value::Null));
}
