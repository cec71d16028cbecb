//! One suite for every adapter of the port: PostgreSQL, and the HTTP adapter over a live server.

use std::sync::Arc;

use actix_web::web;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;

use super::limits::{MockLatencyAlertSor, MockLatencyBaselineSor};
use super::merges::MockMergeSor;
use super::otlp::{ExportOutcome, SentTraces, TraceExport};
use super::statistics::MockStatisticsSor;
use super::{
    Ended, MetricBatch, Micros, NewMetric, NewSpan, PerformancePorts, RecordedBatch, RejectedMetric, SpanEnd, SpanIds,
    SpanOutcome, SpanStatus, TraceIntake, TraceQuery,
};
use crate::http::Routes;
use crate::http::testing::Served;
use crate::kernel::{CALL, Call, Caller, Clock, PortError, SystemClock, Text255};
use crate::protobuf::Encoding;
use crate::sor::testing::{Fixture, suite};

pub(super) fn serve(ports: Arc<PerformancePorts>) -> Served {
    serve_within(ports, web::Data::new(TraceIntake::default()))
}

pub(super) fn serve_within(ports: Arc<PerformancePorts>, intake: web::Data<TraceIntake>) -> Served {
    let operations = web::Data::from(Arc::clone(&ports.operations));
    let statistics = web::Data::from(Arc::clone(&ports.statistics));
    let baselines = web::Data::from(Arc::clone(&ports.baselines));
    let alerts = web::Data::from(Arc::clone(&ports.alerts));
    let merges = web::Data::from(Arc::clone(&ports.merges));
    let clock = web::Data::from(Arc::new(SystemClock) as Arc<dyn Clock>);
    Served::with(move |app| {
        app.app_data(operations.clone())
            .app_data(statistics.clone())
            .app_data(baselines.clone())
            .app_data(alerts.clone())
            .app_data(merges.clone());
        app.app_data(clock.clone()).app_data(intake.clone()).configure(Routes::serve(super::routes));
    })
}

pub(super) async fn postgres() -> Fixture<PerformancePorts> {
    Fixture::local(|db| Arc::new(super::local(db))).await
}

pub(super) async fn http() -> Fixture<PerformancePorts> {
    postgres().await.over_http(serve, |outward| Arc::new(super::remote(outward)))
}

/// Ports that are not there, but for the one of operations.
fn only(operations: super::MockOperationSor) -> PerformancePorts {
    PerformancePorts {
        operations: Arc::new(operations),
        statistics: Arc::new(MockStatisticsSor::new()),
        baselines: Arc::new(MockLatencyBaselineSor::new()),
        alerts: Arc::new(MockLatencyAlertSor::new()),
        merges: Arc::new(MockMergeSor::new()),
    }
}

/// A time so many milliseconds ago, to the microsecond, which is what PostgreSQL keeps.
fn ago(millis: i64) -> DateTime<Utc> {
    SystemClock.now().trunc_subsecs(6) - TimeDelta::milliseconds(millis)
}

fn text(text: &str) -> Text255 {
    text.parse().unwrap()
}

pub(super) fn metric(kind: &str, micros: i64) -> NewMetric {
    NewMetric::new(kind.parse().unwrap(), Micros::new(micros).unwrap())
}

fn ids(trace: &str, span: &str, parent: Option<&str>) -> Option<SpanIds> {
    Some(SpanIds { trace: text(trace), span: text(span), parent: parent.map(text) })
}

fn span(kind: &str, id: Option<&str>, parent: Option<&str>) -> NewSpan {
    NewSpan {
        operation_type: kind.parse().unwrap(),
        span_name: text(kind),
        trace_id: None,
        span_id: id.map(text),
        parent_span_id: parent.map(text),
        scope: None,
        user_name: None,
        session_id: None,
        attributes: None,
        started_at: None,
    }
}

fn end(status: SpanOutcome) -> SpanEnd {
    SpanEnd {
        status,
        ended_at: None,
        error_message: None,
        error_code: None,
        error_details: None,
        memory_peak_bytes: None,
        cpu_us: None,
        attributes: None,
    }
}

fn all() -> TraceQuery {
    let from = ago(3_600_000);
    TraceQuery {
        operation_type: None,
        scope: None,
        status: None,
        min_duration: None,
        from: from.trunc_subsecs(0),
        to: None,
        limit: 100,
        after: None,
    }
}

fn ana() -> Call {
    Call::default().by(Caller { actor: "token:ana".parse().unwrap(), client: None, projects: None })
}

async fn answers_the_row_as_it_was_given(PerformancePorts { operations: port, .. }: &PerformancePorts) {
    let ended = ago(90_000_000);
    let given = NewMetric {
        operation_name: Some(text("größe \"x\"\n🔥")),
        scope: "branch:7".parse().unwrap(),
        user_name: Some(text("bob")),
        session_id: Some(text("s")),
        rows_affected: Some(i64::MAX),
        memory_bytes: Some(-1),
        cpu_us: Some(0),
        metadata: Some(json!({"a": {"camelCase": [1, null]}}).try_into().unwrap()),
        error_details: Some(json!({"why": "ü"}).try_into().unwrap()),
        failed: true,
        ended: Ended::At(ended),
        span: ids("4BF92F35-77b3-4da6-a3ce-929d0e0e4736", "00F067AA0BA902B7", Some("any text")),
        ..metric("commit", Micros::MAX)
    };
    let recorded = port.record(&CALL, given, None).await.unwrap();
    assert_eq!((recorded.severity, recorded.ratio, recorded.alert_id), (None, None, None));
    let row = port.metric(&CALL, recorded.id).await.unwrap().unwrap();
    let expected = json!({
        "id": recorded.id, "operationType": "commit", "durationUs": Micros::MAX, "operationName": "größe \"x\"\n🔥",
        "scope": "branch:7", "userName": "bob", "sessionId": "s", "rowsAffected": i64::MAX, "memoryBytes": -1, "cpuUs": 0,
        "metadata": {"a": {"camelCase": [1, null]}}, "errorDetails": {"why": "ü"}, "failed": true,
        "startedAt": ended - TimeDelta::days(31), "endedAt": ended, "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
        "spanId": "00f067aa0ba902b7", "parentSpanId": row.parent_span_id.clone().unwrap(), "overBaselineId": null,
    });
    assert_eq!(serde_json::to_value(&row).unwrap(), expected);
    assert_eq!(port.metric(&CALL, i64::MAX).await, Ok(None));
}

async fn what_is_not_given_is_the_caller_and_now(PerformancePorts { operations: port, .. }: &PerformancePorts) {
    let before = ago(0);
    let id = port.record(&ana(), metric("commit", 0), None).await.unwrap().id;
    let row = port.metric(&CALL, id).await.unwrap().unwrap();
    assert_eq!(row.user_name, "token:ana");
    assert!(row.ended_at >= before && row.started_at == row.ended_at, "{row:?}");
    assert_eq!((&*row.scope, row.failed, row.trace_id), ("", false, None));
}

async fn the_longest_names_and_durations_are_kept(PerformancePorts { operations: port, .. }: &PerformancePorts) {
    let given = NewMetric {
        operation_name: Some(text(&"n".repeat(255))),
        scope: "ß".repeat(256).parse().unwrap(),
        ..metric(&"ü".repeat(64), Micros::MAX)
    };
    let id = port.record(&CALL, given, None).await.unwrap().id;
    let row = port.metric(&CALL, id).await.unwrap().unwrap();
    assert_eq!((row.operation_type.len(), row.scope.len(), row.duration_us), (128, 512, Micros::MAX));
}

async fn a_batch_is_recorded_but_for_what_was_rejected(PerformancePorts { operations: port, .. }: &PerformancePorts) {
    let bad = RejectedMetric { index: 1, code: "body_invalid".to_owned(), detail: "/durationUs: no".to_owned() };
    let batch = MetricBatch {
        metrics: vec![(0, metric("a", 1)), (2, NewMetric { ended: Ended::At(ago(7_200_000)), ..metric("b", 2) })],
        rejected: vec![bad.clone()],
    };
    let expected = RecordedBatch { accepted: 2, over: 0, rejected: vec![bad] };
    assert_eq!(port.record_all(&CALL, batch, None).await, Ok(expected));
    assert_eq!(
        port.record_all(&CALL, MetricBatch::default(), None).await,
        Ok(RecordedBatch { accepted: 0, over: 0, rejected: Vec::new() })
    );
}

async fn a_key_that_is_repeated_records_once(PerformancePorts { operations: port, .. }: &PerformancePorts) {
    let key = Some(Uuid::from_u128(1));
    let first = port.record(&CALL, metric("commit", 1), key).await.unwrap();
    assert_eq!(port.record(&CALL, metric("commit", 2), key).await, Ok(first.clone()));
    let next = port.record(&CALL, metric("commit", 3), Some(Uuid::from_u128(2))).await.unwrap();
    assert_eq!(port.metric(&CALL, first.id).await.unwrap().unwrap().duration_us, 1);
    assert_eq!(port.metric(&CALL, next.id).await.unwrap().unwrap().duration_us, 3);
    let batch =
        |n: usize| MetricBatch { metrics: (0..n).map(|at| (at, metric("b", 1))).collect(), rejected: Vec::new() };
    let key = Some(Uuid::from_u128(3));
    let first = port.record_all(&CALL, batch(2), key).await.unwrap();
    assert_eq!((first.accepted, port.record_all(&CALL, batch(3), key).await.unwrap().accepted), (2, 2));
    let other_kind = port.record(&CALL, metric("commit", 1), key).await;
    assert!(matches!(other_kind, Err(PortError::Conflict(_))), "{other_kind:?}");
}

async fn a_span_begins_and_ends_once(PerformancePorts { operations: port, .. }: &PerformancePorts) {
    let root = NewSpan {
        trace_id: Some(text("any trace ü/ %")),
        attributes: Some(json!({"a": 1, "b": 1}).try_into().unwrap()),
        ..span("merge", Some("the root/%"), None)
    };
    let begun = port.begin_span(&CALL, root.clone()).await.unwrap();
    assert_eq!((&*begun.span_id, begun.trace_id.len()), ("the root/%", 32));
    assert!(matches!(port.begin_span(&CALL, root).await, Err(PortError::Conflict(_))));
    let child = port.begin_span(&CALL, span("commit", None, Some("the root/%"))).await.unwrap();
    assert_eq!((&child.trace_id, child.span_id.len()), (&begun.trace_id, 16));
    let failed = SpanEnd {
        error_message: Some(text("boom")),
        error_code: Some(text("E1")),
        error_details: Some(json!({"at": 7}).try_into().unwrap()),
        ..end(SpanOutcome::Failed)
    };
    let ended = port.end_span(&CALL, &text(&child.span_id), failed).await.unwrap().unwrap();
    assert_eq!((&ended.trace_id, ended.status), (&begun.trace_id, SpanOutcome::Failed));
    assert!(ended.duration_us >= 0);
    let trace = port.trace(&CALL, &text("any trace ü/ %")).await.unwrap().unwrap();
    let states: Vec<_> = trace.spans.iter().map(|span| (&*span.path, span.status)).collect();
    assert_eq!(states, [("merge", SpanStatus::Running), ("merge → commit", SpanStatus::Failed)]);
    assert_eq!(trace.spans[1].error, Some(json!({"message": "boom", "code": "E1", "details": {"at": 7}})));
    let done = SpanEnd {
        ended_at: Some(begun.started_at + TimeDelta::hours(5)),
        attributes: Some(json!({"b": 2}).try_into().unwrap()),
        ..end(SpanOutcome::Success)
    };
    let over =
        port.end_span(&CALL, &text("the root/%"), SpanEnd { ended_at: Some(ago(86_400_000)), ..done.clone() }).await;
    assert!(matches!(over, Err(PortError::Invalid(_))), "before its start: {over:?}");
    let ended = port.end_span(&CALL, &text("the root/%"), SpanEnd { ended_at: None, ..done }).await.unwrap();
    assert_eq!(ended.unwrap().status, SpanOutcome::Success);
    let again = port.end_span(&CALL, &text("the root/%"), end(SpanOutcome::Success)).await;
    assert!(matches!(again, Err(PortError::Conflict(_))), "{again:?}");
    assert_eq!(port.end_span(&CALL, &text("nobody"), end(SpanOutcome::Success)).await, Ok(None));
    let trace = port.trace(&CALL, &text(&begun.trace_id)).await.unwrap().unwrap();
    assert_eq!(trace.spans[0].attributes, Some(json!({"a": 1, "b": 2})));
    assert_eq!(port.trace(&CALL, &text("nobody")).await, Ok(None));
}

async fn a_span_of_five_hours_is_stored(PerformancePorts { operations: port, .. }: &PerformancePorts) {
    let begun = NewSpan { started_at: Some(ago(5 * 3_600_000)), ..span("merge", Some("long"), None) };
    port.begin_span(&CALL, begun.clone()).await.unwrap();
    let ended = SpanEnd { ended_at: begun.started_at.map(|at| at + TimeDelta::hours(5)), ..end(SpanOutcome::Success) };
    let ended = port.end_span(&CALL, &text("long"), ended).await.unwrap().unwrap();
    assert_eq!(ended.duration_us, 5 * 3_600_000_000);
}

async fn traces_are_listed_by_their_roots(PerformancePorts { operations: port, .. }: &PerformancePorts) {
    let at = |millis: i64| Ended::At(ago(millis));
    let rows = [
        NewMetric { span: ids("t1", "r1", None), ended: at(50_000), ..metric("merge", 1_000_000) },
        NewMetric { span: ids("t1", "c1", Some("r1")), ended: at(50_100), ..metric("commit", 10) },
        NewMetric { span: ids("t2", "r2", Some("elsewhere")), ended: at(40_000), failed: true, ..metric("triage", 20) },
        NewMetric {
            span: ids("t3", "r3", Some("r3")),
            ended: at(30_000),
            scope: "shop".parse().unwrap(),
            ..metric("triage", 30)
        },
        NewMetric { span: ids("t4", "r4", None), ended: at(4_000_000), ..metric("old", 1) },
        metric("no span", 1),
    ];
    let batch = MetricBatch { metrics: rows.into_iter().enumerate().collect(), rejected: Vec::new() };
    port.record_all(&CALL, batch, None).await.unwrap();
    port.begin_span(&CALL, NewSpan { started_at: Some(ago(20_000)), ..span("running", None, None) }).await.unwrap();
    let listed = async |query: TraceQuery| {
        let page = port.traces(&CALL, &query).await.unwrap();
        page.entries.into_iter().map(|root| root.operation_type + "/" + &root.scope).collect::<Vec<_>>()
    };
    assert_eq!(listed(all()).await, ["running/", "triage/shop", "triage/", "merge/"]);
    let of = |kind: &str| TraceQuery { operation_type: Some(kind.parse().unwrap()), ..all() };
    assert_eq!(listed(of("triage")).await, ["triage/shop", "triage/"]);
    assert_eq!(listed(TraceQuery { scope: Some("shop".parse().unwrap()), ..all() }).await, ["triage/shop"]);
    assert_eq!(listed(TraceQuery { status: Some(SpanStatus::Failed), ..all() }).await, ["triage/"]);
    assert_eq!(listed(TraceQuery { status: Some(SpanStatus::Running), ..all() }).await, ["running/"]);
    assert_eq!(listed(TraceQuery { min_duration: Micros::new(1_000_000), ..all() }).await, ["merge/"]);
    let (from, to) = (ago(45_000).trunc_subsecs(0), Some(ago(35_000).trunc_subsecs(0)));
    assert_eq!(listed(TraceQuery { from, to, ..all() }).await, ["triage/"]);
    let mut query = TraceQuery { limit: 3, ..all() };
    let first = port.traces(&CALL, &query).await.unwrap();
    query.after = first.next;
    let second = port.traces(&CALL, &query).await.unwrap();
    assert_eq!((first.entries.len(), second.entries.len(), second.next), (3, 1, None));
}

async fn an_export_is_recorded_once_in_either_encoding(PerformancePorts { operations: port, .. }: &PerformancePorts) {
    let ended = ago(1_000).timestamp_nanos_opt().unwrap();
    let span = |id: &str| {
        json!({"traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": id, "name": "größe /%", "kind": 2,
            "startTimeUnixNano": ended - 5_000_000, "endTimeUnixNano": ended})
    };
    let message = json!({"resourceSpans": [{"scopeSpans": [{"spans": [span("00f067aa0ba902b7"), span("")]}]}]});
    let sent = SentTraces { encoding: Encoding::Json, gzip: false, body: message.to_string().into() };
    let export = TraceExport::read(sent, SystemClock.now()).unwrap();
    for _ in 0..2 {
        assert_eq!(port.record_export(&CALL, export.clone()).await, Ok(export.outcome.clone()));
    }
    // A field of no number that is known, in protobuf.
    let empty = SentTraces { encoding: Encoding::Proto, gzip: false, body: vec![0xfa, 0x01, 0].into() };
    let empty = TraceExport::read(empty, SystemClock.now()).unwrap();
    assert_eq!(port.record_export(&CALL, empty).await, Ok(ExportOutcome::default()));
    let roots = port.traces(&CALL, &all()).await.unwrap().entries;
    let shown: Vec<_> = roots.iter().map(|root| (&*root.operation_type, &*root.scope, root.duration_us)).collect();
    assert_eq!(shown, [("größe /%", "unknown_service", Some(5_000))]);
}

suite! {
    an_export_is_recorded_once_in_either_encoding
    answers_the_row_as_it_was_given
    what_is_not_given_is_the_caller_and_now
    the_longest_names_and_durations_are_kept
    a_batch_is_recorded_but_for_what_was_rejected
    a_key_that_is_repeated_records_once
    a_span_begins_and_ends_once
    a_span_of_five_hours_is_stored
    traces_are_listed_by_their_roots
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
        (PortError::Conflict("known".into()), PortError::Conflict("known".into())),
    ] {
        let mut port = super::MockOperationSor::new();
        port.expect_record().returning(move |_, _, _| Err(error.clone()));
        let served = serve(Arc::new(only(port)));
        let result = super::remote(served.client()).operations.record(&CALL, metric("commit", 1), None).await;
        assert_eq!(result, Err(told));
    }
}
