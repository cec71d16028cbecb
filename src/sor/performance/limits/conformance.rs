//! One suite for both adapters of the two ports.

use chrono::TimeDelta;
use serde_json::json;

use super::{
    Acknowledgement, Coefficient, CorrelationQuery, LatencyAlertQuery, LatencyBaselineQuery, NewLatencyBaseline,
    NewOperationType,
};
use crate::kernel::{CALL, Call, Caller, Clock, LimitSeverity, PortError, SystemClock};
use crate::sor::performance::conformance::{http, metric, postgres};
use crate::sor::performance::{Ended, MetricBatch, NewMetric, PerformancePorts};
use crate::sor::testing::suite;

async fn record(ports: &PerformancePorts, count: usize, micros: i64, scope: &str) -> i64 {
    let one = || NewMetric { scope: scope.parse().unwrap(), ..metric("commit /%", micros) };
    let batch = MetricBatch { metrics: (0..count).map(|at| (at, one())).collect(), rejected: Vec::new() };
    i64::try_from(ports.operations.record_all(&CALL, batch, None).await.unwrap().over).unwrap()
}

fn new(scope: Option<&str>) -> NewLatencyBaseline {
    serde_json::from_value(json!({"operationType": "commit /%", "scope": scope, "includeIncidents": true})).unwrap()
}

fn ana() -> Call {
    Call::default().by(Caller { actor: "token:ana".parse().unwrap(), client: None, projects: None })
}

async fn limits_are_learnt_listed_and_put_out_of_force(ports: &PerformancePorts) {
    let baselines = &ports.baselines;
    assert_eq!(baselines.learn(&ana(), new(None)).await, Ok(None), "no operation is there");
    record(ports, 10, 1_000, "ü/ %").await;
    let all = baselines.learn(&ana(), new(None)).await.unwrap().unwrap();
    assert_eq!((all.limit_us, all.critical_us, all.sample_count, &*all.created_by), (2_000, 5_000, 10, "token:ana"));
    let of_scope = baselines.learn(&ana(), new(Some("ü/ %"))).await.unwrap().unwrap();
    assert_eq!((of_scope.scope.as_deref(), of_scope.mean_us, of_scope.stddev_us), (Some("ü/ %"), 1_000.0, Some(0.0)));
    let again = baselines.learn(&ana(), new(None)).await.unwrap().unwrap();
    let listed = async |query: LatencyBaselineQuery| {
        let page = baselines.page(&CALL, &query).await.unwrap();
        (page.entries.into_iter().map(|row| row.id).collect::<Vec<_>>(), page.next)
    };
    let query = LatencyBaselineQuery { limit: 100, active: Some(true), ..LatencyBaselineQuery::default() };
    assert_eq!(listed(query.clone()).await, (vec![again.id, of_scope.id], None));
    assert_eq!(listed(LatencyBaselineQuery { active: Some(false), ..query.clone() }).await.0, [all.id]);
    let of_it = LatencyBaselineQuery { scope: Some("ü/ %".parse().unwrap()), ..query.clone() };
    assert_eq!(listed(of_it).await.0, [of_scope.id]);
    let other = LatencyBaselineQuery { operation_type: Some("merge".parse().unwrap()), ..query.clone() };
    assert_eq!(listed(other).await.0, [] as [i64; 0]);
    let paged = LatencyBaselineQuery { active: None, limit: 2, ..query };
    let (first, next) = listed(paged.clone()).await;
    let (second, end) = listed(LatencyBaselineQuery { after: next, ..paged }).await;
    assert_eq!((first, second, end), (vec![again.id, of_scope.id], vec![all.id], None));
    let health = baselines.health(&CALL, 10).await.unwrap();
    assert_eq!((health.len(), health[0].p99_ms, health[0].days_since_calculation), (2, 1.0, 0));
    assert_eq!(baselines.deactivate(&ana(), again.id).await, Ok(true));
    assert_eq!(baselines.deactivate(&ana(), again.id).await, Ok(false));
    assert!(!baselines.get(&CALL, again.id).await.unwrap().unwrap().active);
    assert_eq!(baselines.get(&CALL, i64::MAX).await, Ok(None));
}

async fn alerts_are_listed_and_acknowledged_once(ports: &PerformancePorts) {
    let alerts = &ports.alerts;
    record(ports, 10, 1_000, "").await;
    ports.baselines.learn(&CALL, new(None)).await.unwrap().unwrap();
    assert_eq!(record(ports, 2, 9_000, "shop").await, 2);
    let over = ports.operations.record(&CALL, metric("commit /%", 3_000), None).await.unwrap();
    assert_eq!((over.severity.as_deref(), over.ratio, over.alert_id), (Some("warning"), Some(3.0), None));
    let query = LatencyAlertQuery { days: 7, limit: 10, ..LatencyAlertQuery::default() };
    let listed = async |query: LatencyAlertQuery| alerts.page(&CALL, &query).await.unwrap().entries;
    let open = listed(query.clone()).await;
    assert_eq!((open.len(), open[0].severity, open[0].actual_duration_ms), (1, LimitSeverity::Critical, 9.0));
    for (query, expected) in [
        (LatencyAlertQuery { resolved: Some(false), acknowledged: Some(false), ..query.clone() }, 1),
        (LatencyAlertQuery { resolved: Some(true), ..query.clone() }, 0),
        (LatencyAlertQuery { sustained: Some(true), ..query.clone() }, 0),
        (LatencyAlertQuery { severity: Some(LimitSeverity::Warning), ..query.clone() }, 0),
        (LatencyAlertQuery { alert_type: Some(open[0].alert_type), ..query.clone() }, 1),
        (LatencyAlertQuery { operation_type: Some("commit /%".parse().unwrap()), ..query.clone() }, 1),
        (LatencyAlertQuery { scope: Some("shop".parse().unwrap()), ..query.clone() }, 0),
    ] {
        assert_eq!(listed(query.clone()).await.len(), expected, "{query:?}");
    }
    let id = open[0].id;
    let who = Acknowledgement { resolution_notes: Some("on it".parse().unwrap()), ..Acknowledgement::default() };
    let acknowledged = alerts.acknowledge(&ana(), id, who).await.unwrap().unwrap();
    assert_eq!(
        (acknowledged.acknowledged_by.as_deref(), acknowledged.resolution_notes.as_deref()),
        (Some("token:ana"), Some("on it"))
    );
    let again = alerts.acknowledge(&CALL, id, Acknowledgement::default()).await;
    assert!(matches!(again, Err(PortError::Conflict(_))), "{again:?}");
    assert_eq!(alerts.get(&CALL, id).await, Ok(Some(acknowledged)));
    assert_eq!(alerts.acknowledge(&CALL, i64::MAX, Acknowledgement::default()).await, Ok(None));
    assert_eq!(alerts.get(&CALL, i64::MAX).await, Ok(None));
}

async fn types_are_told_and_changed(ports: &PerformancePorts) {
    let tell = async |body: serde_json::Value| {
        let new: NewOperationType = serde_json::from_value(body).unwrap();
        serde_json::to_value(ports.baselines.set_type(&CALL, new).await.unwrap()).unwrap()
    };
    let first = json!({"operationType": "größe", "description": "x", "category": "write", "typicalDurationMs": 1.5, "isTracked": true});
    assert_eq!(tell(first.clone()).await, first);
    let second = tell(json!({"operationType": "größe", "isTracked": false})).await;
    let bare = json!({"operationType": "größe", "description": null, "category": null, "typicalDurationMs": null, "isTracked": false});
    assert_eq!(second, bare);
    assert_eq!(serde_json::to_value(ports.baselines.types(&CALL, 10).await.unwrap()).unwrap(), json!([bare]));
}

async fn what_became_slower_is_looked_for(ports: &PerformancePorts) {
    let alerts = &ports.alerts;
    assert_eq!(alerts.anomalies(&CALL).await, Ok(Vec::new()), "before anything is rolled up");
    let old = |micros: i64, hours_ago: i64, count: usize| {
        let ended = Ended::At(SystemClock.now() - TimeDelta::hours(hours_ago));
        let one = move |at| (at, NewMetric { ended, ..metric("commit", micros) });
        MetricBatch { metrics: (0..count).map(one).collect(), rejected: Vec::new() }
    };
    for batch in [old(1_000, 40, 100), old(1_300, 2, 100)] {
        ports.operations.record_all(&CALL, batch, None).await.unwrap();
    }
    let found = alerts.degradations(&CALL, 2_i64.try_into().unwrap()).await.unwrap();
    let shown: Vec<_> = found.iter().map(|found| (&*found.operation_type, found.severity, found.percent)).collect();
    assert_eq!(shown, [("commit", LimitSeverity::Warning, 30.0)]);
    let query = CorrelationQuery { hours: 840, threshold: Coefficient::default() };
    assert_eq!(alerts.correlations(&CALL, &query).await, Ok(Vec::new()));
}

suite! {
    what_became_slower_is_looked_for
    limits_are_learnt_listed_and_put_out_of_force
    alerts_are_listed_and_acknowledged_once
    types_are_told_and_changed
}
