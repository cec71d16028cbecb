//! One suite for every adapter of the three ports: PostgreSQL, and the HTTP adapters over a live server.

mod evaluation;
mod people;
mod telling;

use std::sync::Arc;

use actix_web::web;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde_json::json;

use super::{
    Decided, Findings, Incident, IncidentPorts, IncidentQuery, IncidentSource, IncidentState, IncidentWrite,
    MockAlertStateSor, MockIncidentSor, MockSilenceSor, ResolveReason, ValueUnit,
};
use crate::http::Routes;
use crate::http::testing::Served;
use crate::kernel::{CALL, Call, Caller, Clock, LimitSeverity, PortError, SystemClock};
use crate::sor::testing::Fixture;

pub(super) fn serve(ports: Arc<IncidentPorts>) -> Served {
    let incidents = web::Data::from(Arc::clone(&ports.incidents));
    let states = web::Data::from(Arc::clone(&ports.states));
    let silences = web::Data::from(Arc::clone(&ports.silences));
    let clock = web::Data::from(Arc::new(SystemClock) as Arc<dyn Clock>);
    Served::with(move |app| {
        app.app_data(incidents.clone()).app_data(states.clone()).app_data(silences.clone()).app_data(clock.clone());
        app.configure(Routes::serve(super::routes));
    })
}

async fn postgres() -> Fixture<IncidentPorts> {
    Fixture::local(|db| Arc::new(super::local(db))).await
}

async fn http() -> Fixture<IncidentPorts> {
    postgres().await.over_http(serve, |outward| Arc::new(super::remote(outward)))
}

/// A call of somebody with a token.
pub(super) fn ana() -> Call {
    Call::default().by(Caller { actor: "token:ana".parse().unwrap(), client: None, projects: None })
}

/// A time so many minutes ago. Each test takes its times from one present.
#[derive(Clone, Copy)]
pub(super) struct Times(DateTime<Utc>);

impl Times {
    pub(super) fn of_now() -> Self {
        Self(SystemClock.now().trunc_subsecs(0))
    }

    pub(super) fn ago(self, minutes: i64) -> DateTime<Utc> {
        self.0 - TimeDelta::minutes(minutes)
    }
}

/// What is found of an app that is over the limit of a rule, and fires.
pub(super) fn firing(app: &str, active_since: DateTime<Utc>, fired_at: DateTime<Utc>) -> Findings {
    Findings {
        fingerprint: format!("rule/12/{app}"),
        source: IncidentSource::Rule,
        state: IncidentState::Firing,
        severity: LimitSeverity::Warning,
        title: "gc_pressure over 30 % of cpu".to_owned(),
        app_name: Some(app.parse().unwrap()),
        rule_id: Some(12),
        value: Some(41.3),
        worst_value: Some(0.1 + 0.2),
        threshold: Some(30.0),
        unit: Some(ValueUnit::Percent),
        occurrences: 6,
        detail: json!({"headline": "größe \"x\"", "appName": {"in_it": [1, null]}}).try_into().unwrap(),
        active_since,
        fired_at: Some(fired_at),
        last_seen_at: fired_at,
        clear_since: None,
        no_data_since: None,
        resolved_at: None,
        resolve_reason: None,
    }
}

pub(super) fn pending(app: &str, at: DateTime<Utc>) -> Findings {
    Findings { state: IncidentState::Pending, fired_at: None, occurrences: 1, ..firing(app, at, at) }
}

pub(super) fn resolved(found: Findings, at: DateTime<Utc>) -> Findings {
    let (resolved_at, resolve_reason) = (Some(at), Some(ResolveReason::Clear));
    Findings { state: IncidentState::Resolved, resolved_at, resolve_reason, ..found }
}

/// Hands in one change.
async fn write(ports: &IncidentPorts, write: IncidentWrite) {
    let decided = Decided { writes: vec![write], states: Vec::new() };
    ports.states.apply(&Call::system("alert_rules"), decided).await.unwrap();
}

/// Opens an incident and answers it.
pub(super) async fn open(ports: &IncidentPorts, found: Findings) -> Incident {
    let fingerprint = found.fingerprint.clone();
    write(ports, IncidentWrite::Open { found }).await;
    let all = all(ports).await;
    all.into_iter().find(|incident| incident.found.fingerprint == fingerprint).unwrap()
}

/// Hands in what was found of an incident that is read just before.
pub(super) async fn update(ports: &IncidentPorts, of: &Incident, found: Findings) -> Incident {
    let version = get(ports, of).await.version;
    write(ports, IncidentWrite::Update { id: of.id, version, found }).await;
    get(ports, of).await
}

pub(super) async fn get(ports: &IncidentPorts, of: &Incident) -> Incident {
    ports.incidents.get(&CALL, of.id).await.unwrap().unwrap().incident
}

/// What happened to an incident, the oldest first.
async fn kinds(ports: &IncidentPorts, of: &Incident) -> Vec<String> {
    let events = ports.incidents.get(&CALL, of.id).await.unwrap().unwrap().events;
    events.into_iter().rev().map(|event| event.kind).collect()
}

pub(super) fn every(limit: u16) -> IncidentQuery {
    IncidentQuery { limit, ..IncidentQuery::default() }
}

/// All incidents, the newest first.
pub(super) async fn all(ports: &IncidentPorts) -> Vec<Incident> {
    ports.incidents.page(&CALL, &every(1_000)).await.unwrap().entries
}

/// Ports of which one method fails; the others are not to be called.
fn failing(error: &PortError) -> IncidentPorts {
    let (mut incidents, mut states, mut silences) =
        (MockIncidentSor::new(), MockAlertStateSor::new(), MockSilenceSor::new());
    let (one, two, three) = (error.clone(), error.clone(), error.clone());
    incidents.expect_get().returning(move |_, _| Err(one.clone()));
    states.expect_standing().returning(move |_| Err(two.clone()));
    silences.expect_page().returning(move |_, _| Err(three.clone()));
    IncidentPorts { incidents: Arc::new(incidents), states: Arc::new(states), silences: Arc::new(silences) }
}

#[actix_web::test]
async fn a_failing_port_keeps_its_meaning_over_http() {
    for (error, told) in [
        (PortError::Timeout("30 s".into()), PortError::Timeout("the database did not answer in time".into())),
        (
            PortError::Overloaded { detail: "pool".into(), retry_after_s: 3 },
            PortError::Overloaded { detail: "no database connection was free in time".into(), retry_after_s: 3 },
        ),
        (PortError::Invalid("no".into()), PortError::Invalid("no".into())),
    ] {
        let served = serve(Arc::new(failing(&error)));
        let ports = super::remote(served.client());
        let id = crate::kernel::RowId::new(1).unwrap();
        assert_eq!(ports.incidents.get(&CALL, id).await.unwrap_err(), told);
        assert_eq!(ports.states.standing(&CALL).await.unwrap_err(), told);
        let query = super::SilenceQuery { active: true, limit: 1, after: None };
        assert_eq!(ports.silences.page(&CALL, query).await.unwrap_err(), told);
    }
}
