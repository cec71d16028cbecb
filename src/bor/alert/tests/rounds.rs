//! Rounds over mocked ports.

use super::*;
use crate::kernel::{CALL, LimitSeverity, Percent, ProfileType, Stored};
use crate::sor::alert_rule::{AlertRule, MockAlertRuleSor, Scope};
use crate::sor::baseline::{Baseline, BaselineSor, MockBaselineSor};
use crate::sor::incident::{
    Decided, IncidentState, IncidentWrite, MockAlertStateSor, MockIncidentSor, Observation, Observed, RuleState,
    StandingIncidents,
};

mod failing;

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
    rule: AlertRule,
    rules_away: bool,
    standing: PortResult<StandingIncidents>,
    /// What the round before has kept.
    memory: PortResult<Option<Value>>,
    apply_away: bool,
    observe_away: bool,
    /// What the registry answers. `None`: it is off.
    registry: Option<PortResult<Vec<Service>>>,
    /// The approved limits; `None`: they are off.
    limits: Option<PortResult<Vec<Baseline>>>,
}

/// Rounds over these ports, and what they wrote.
struct Rounds {
    round: AlertRound,
    source: Arc<Source>,
    registry: Arc<Mutex<PortResult<Vec<Service>>>>,
    clock: Arc<FixedClock>,
    written: Arc<Mutex<Vec<Decided>>>,
    observed: Arc<Mutex<Vec<Observation>>>,
}

impl Rounds {
    /// Runs a round; what it wrote, too.
    async fn run(&self) -> (PortResult<()>, Vec<Decided>) {
        let done = self.round.run(&CALL).await;
        (done, std::mem::take(&mut *self.written.lock().unwrap()))
    }
}

impl Ports {
    fn all() -> Self {
        Self {
            source: source(0..60),
            rule: kept(),
            rules_away: false,
            standing: Ok(StandingIncidents::default()),
            memory: Ok(None),
            apply_away: false,
            observe_away: false,
            registry: Some(Ok(Vec::new())),
            limits: None,
        }
    }

    /// Runs a round; what it wrote, too.
    async fn round(self) -> (PortResult<()>, Vec<Decided>) {
        self.build().run().await
    }

    fn build(self) -> Rounds {
        let Self { source, rule, rules_away, standing, memory, apply_away, observe_away, registry, limits } = self;
        let (source, written) = (Arc::new(source), Arc::new(Mutex::new(Vec::new())));
        let (is_on, answer) = (registry.is_some(), Arc::new(Mutex::new(registry.unwrap_or_else(away))));
        let says = Arc::clone(&answer);
        let registry = is_on.then(|| {
            let mut registry = MockRegistrySor::new();
            registry.expect_list().returning(move |_| says.lock().unwrap().clone());
            Arc::new(registry) as Arc<dyn RegistrySor>
        });
        let clock = Arc::new(FixedClock::at(DateTime::from_timestamp(START + 3_630, 0).unwrap()));
        let relational = RelationalPorts {
            baselines: None,
            history: None,
            registry,
            clock: clock.clone(),
            ids: Arc::new(SequentialIds::default()),
            version: Version::V2,
        };
        let parts = AlertParts { profiles: source.clone(), relational, rules: Rules::builtin() };
        let (mut rules, mut states, mut incidents) =
            (MockAlertRuleSor::new(), MockAlertStateSor::new(), MockIncidentSor::new());
        rules.expect_all().returning(move |_| if rules_away { away() } else { Ok(vec![rule.clone()]) });
        rules.expect_get().returning(|_, id| Ok((id.get() == 12).then(|| Stored::Valid(kept()))));
        states.expect_standing().returning(move |_| standing.clone());
        states.expect_rule_state().returning(move |_, id| {
            let at = DateTime::from_timestamp(START, 0).unwrap();
            let state = |body| RuleState { rule_id: id.get(), evaluated_at: at, body };
            memory.clone().map(|memory| memory.map(state))
        });
        let into = Arc::clone(&written);
        states.expect_apply().returning(move |_, decided| {
            if apply_away {
                return away();
            }
            into.lock().unwrap().push(decided);
            Ok(())
        });
        let observed = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&observed);
        incidents.expect_observe().returning(move |_, observation| {
            into.lock().unwrap().push(observation);
            if observe_away { away() } else { Ok(Observed { id: RowId::new(1).unwrap(), acknowledged: false }) }
        });
        let round = RoundParts {
            rules: Arc::new(rules),
            limits: limits.map(|limits| {
                let mut port = MockBaselineSor::new();
                port.expect_all().returning(move |_| limits.clone());
                Arc::new(port) as Arc<dyn BaselineSor>
            }),
            incidents: Arc::new(incidents),
            states: Arc::new(states),
            most_pairs: 10_000,
            links: crate::bor::LinkSettings::default(),
        };
        let round = AlertRound::new(AlertService::new(parts), round);
        Rounds { round, source, registry: answer, clock, written, observed }
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
async fn without_rules_or_incidents_or_services_or_what_the_last_round_knew_a_round_fails_and_writes_nothing() {
    for ports in [
        Ports { rules_away: true, ..Ports::all() },
        Ports { standing: away(), ..Ports::all() },
        Ports { registry: Some(away()), ..Ports::all() },
        Ports { memory: away(), ..Ports::all() },
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
    let rounds = Ports { source, ..Ports::all() }.build();
    let rounds = Rounds { round: rounds.round.reading_for(Duration::from_millis(50)), ..rounds };
    let (done, written) = rounds.run().await;
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
