//! What the core is told of alerts, and who looks after them.

use chrono::DateTime;
use mockall::predicate::{always, eq};

use super::*;
use crate::kernel::{CALL, LimitSeverity, Page, RowId};
use crate::sor::incident::{MockIncidentSor, Observed};
use crate::sor::performance::limits::MockLatencyAlertSor;

fn alert(acknowledged: bool) -> LatencyAlert {
    LatencyAlert {
        id: 5,
        alert_type: LatencyAlertType::ThresholdExceeded,
        severity: LimitSeverity::Critical,
        operation_type: "commit".to_owned(),
        scope: Some("branch:7".to_owned()),
        metric_id: Some(9),
        baseline_id: Some(3),
        baseline_p99_ms: Some(99.01),
        actual_duration_ms: 500.0,
        violation_multiplier: Some(5.05),
        user_name: Some("ana".to_owned()),
        occurrences: 4,
        first_seen: DateTime::UNIX_EPOCH,
        last_seen: DateTime::UNIX_EPOCH,
        created_at: DateTime::UNIX_EPOCH,
        sustained_at: Some(DateTime::UNIX_EPOCH),
        resolved_at: None,
        acknowledged,
        acknowledged_at: acknowledged.then_some(DateTime::UNIX_EPOCH),
        acknowledged_by: acknowledged.then(|| "bob".to_owned()),
        resolution_notes: acknowledged.then(|| "rolling back".to_owned()),
        detail: None,
    }
}

fn alerts(one: LatencyAlert) -> MockLatencyAlertSor {
    let mut alerts = MockLatencyAlertSor::new();
    let sustained =
        |_: &Call, query: &LatencyAlertQuery| query.sustained == Some(true) && query.resolved == Some(false);
    alerts.expect_page().withf(sustained).returning(move |_, _| Ok(Page { entries: vec![one.clone()], next: None }));
    alerts
}

fn incidents(acknowledged: bool) -> MockIncidentSor {
    let mut incidents = MockIncidentSor::new();
    let id = RowId::new(12).unwrap();
    incidents.expect_observe().times(1).returning(move |_, _| Ok(Observed { id, acknowledged }));
    incidents
}

#[test]
fn an_alert_is_an_incident_of_its_type_and_scope() {
    let told = observation(&alert(false), 900).unwrap();
    assert_eq!(told.fingerprint, "latency/commit/branch:7");
    assert_eq!(told.title, "commit of branch:7 takes longer than its limit");
    assert_eq!((told.value, told.occurrences, told.quiet_seconds), (Some(5.05), 4, 900));
    assert_eq!(told.app_name.unwrap().as_str(), "branch:7");
    assert_eq!(told.detail.as_value()["headline"], "commit of branch:7: 500 ms at worst, 99.01 ms before");
    let overall = LatencyAlert { scope: None, alert_type: LatencyAlertType::Degradation, ..alert(false) };
    let told = observation(&overall, 900).unwrap();
    assert_eq!((&*told.fingerprint, told.app_name), ("latency/commit//degradation", None));
    let of = |operation_type: &str, scope: Option<&str>| {
        let alert =
            LatencyAlert { operation_type: operation_type.to_owned(), scope: scope.map(str::to_owned), ..alert(false) };
        observation(&alert, 900).unwrap().fingerprint
    };
    assert_eq!(of("commit", None), "latency/commit", "of all scopes");
    assert_eq!(of("commit", Some("")), "latency/commit/", "of the empty scope");
    assert_eq!((&*of("a/b", Some("c")), &*of("a", Some("b/c"))), ("latency/a%2Fb/c", "latency/a/b/c"));
}

#[actix_web::test]
async fn who_looks_after_an_alert_here_does_so_in_the_core() {
    let mut incidents = incidents(false);
    let by_bob = Act::Acknowledge {
        note: Some("rolling back".to_owned().try_into().unwrap()),
        by: Some("bob".parse().unwrap()),
    };
    incidents
        .expect_act()
        .with(always(), eq(RowId::new(12).unwrap()), eq(by_bob))
        .times(1)
        .returning(|_, _, _| Ok(None));
    report(&alerts(alert(true)), &incidents, 900, &CALL).await.unwrap();
}

#[actix_web::test]
async fn one_that_was_acknowledged_in_both_stays_as_it_is() {
    report(&alerts(alert(true)), &incidents(true), 900, &CALL).await.unwrap();
    report(&alerts(alert(false)), &incidents(false), 900, &CALL).await.unwrap();
}

#[actix_web::test]
async fn somebody_who_was_first_meanwhile_is_no_error() {
    let mut incidents = incidents(false);
    incidents.expect_act().returning(|_, _, _| Err(PortError::Conflict("done before".to_owned())));
    report(&alerts(alert(true)), &incidents, 900, &CALL).await.unwrap();
    let mut away = MockIncidentSor::new();
    away.expect_observe().returning(|_, _| Err(PortError::Unavailable("away".to_owned())));
    let failed = report(&alerts(alert(true)), &away, 900, &CALL).await;
    assert_eq!(
        failed,
        Err(PortError::Unavailable("away".to_owned())),
        "alerts stay here, and the next round tries again"
    );
}

#[test]
fn rollups_lag_from_the_end_of_the_hour_after_them() {
    let through = DateTime::UNIX_EPOCH;
    for (minutes, seconds) in [(0, 0.0), (60, 0.0), (61, 60.0), (180, 7_200.0)] {
        assert_eq!(lag_seconds(through, through + TimeDelta::minutes(minutes)), seconds, "{minutes}");
    }
}
