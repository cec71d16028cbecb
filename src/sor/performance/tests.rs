//! The routes over a real database. What SQL callers see is in `sql.rs`, what is done each hour in `hourly.rs`.

mod export;
mod hourly;
mod reference;
mod refusals;
pub(super) mod sql;

use std::sync::Arc;

use actix_web::http::StatusCode;
use chrono::{SecondsFormat, TimeDelta};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use super::conformance::serve;
use crate::http::testing::Served;
use crate::kernel::{Clock, SystemClock};
use crate::sor::testing::call;
use crate::storage::testing::{TestDatabase, database};

pub(super) async fn served() -> (Served, TestDatabase) {
    let database = database().await;
    (serve(Arc::new(super::local(database.db.clone()))), database)
}

/// A time so many minutes from now, as bodies have it.
fn in_minutes(minutes: i64) -> String {
    (SystemClock.now() + TimeDelta::minutes(minutes)).to_rfc3339_opts(SecondsFormat::Micros, true)
}

pub(super) async fn post(served: &Served, path: &str, body: Value) -> (StatusCode, Value) {
    call(served, Method::POST, path, Some(body)).await
}

/// The code and the member of a problem.
pub(super) fn problem(answer: &(StatusCode, Value)) -> (u16, &str, &str) {
    let member = answer.1["errors"][0]["pointer"].as_str().unwrap_or_default();
    (answer.0.as_u16(), answer.1["code"].as_str().unwrap_or_default(), member)
}

#[actix_web::test]
async fn a_metric_is_recorded_and_shown() {
    let (served, _database) = served().await;
    let (status, recorded) =
        post(&served, "/performance/metrics", json!({"operationType": "commit", "durationUs": 0})).await;
    let expected = json!({"id": recorded["id"], "severity": null, "ratio": null, "baselineId": null, "alertId": null});
    assert_eq!((status, &recorded), (StatusCode::CREATED, &expected));
    let path = format!("/performance/metrics/{}", recorded["id"]);
    let (status, row) = call(&served, Method::GET, &path, None).await;
    assert_eq!((status, &row["operationType"], &row["durationUs"]), (StatusCode::OK, &json!("commit"), &json!(0)));
    let failed = json!({"operationType": "commit", "durationUs": 1, "errorDetails": {"code": 7}});
    let (_, recorded) = post(&served, "/performance/metrics", failed).await;
    let (_, row) = call(&served, Method::GET, &format!("/performance/metrics/{}", recorded["id"]), None).await;
    assert_eq!((&row["failed"], &row["errorDetails"]), (&json!(true), &json!({"code": 7})));
}

#[rstest]
#[case::negative(json!({"durationUs": -1}), "body_invalid", "/durationUs")]
#[case::over_31_days(json!({"durationUs": 2_678_400_000_001_i64}), "body_invalid", "/durationUs")]
#[case::no_type(json!({"operationType": " "}), "body_invalid", "/operationType")]
#[case::long_type(json!({"operationType": "t".repeat(129)}), "body_invalid", "/operationType")]
#[case::long_scope(json!({"scope": "s".repeat(513)}), "body_invalid", "/scope")]
#[case::blank_user(json!({"userName": ""}), "body_invalid", "/userName")]
#[case::no_object(json!({"metadata": [1]}), "body_invalid", "/metadata")]
#[case::large_object(json!({"metadata": {"a": "x".repeat(65_536)}}), "body_invalid", "/metadata")]
#[case::half_a_span(json!({"traceId": "t"}), "body_invalid", "/spanId")]
#[case::parent_alone(json!({"parentSpanId": "t"}), "body_invalid", "/spanId")]
#[case::unknown_member(json!({"branchId": 7}), "body_invalid", "/branchId")]
#[case::wrong_type(json!({"durationUs": 1.5}), "body_invalid", "/durationUs")]
#[actix_web::test]
async fn a_metric_that_is_not_valid_names_the_member(#[case] part: Value, #[case] code: &str, #[case] member: &str) {
    let (served, _database) = served().await;
    let mut body = json!({"operationType": "commit", "durationUs": 5});
    body.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
    let answer = post(&served, "/performance/metrics", body).await;
    assert_eq!(problem(&answer), (400, code, member), "{}", answer.1);
}

#[rstest]
#[case::eight_days_ago("endedAt", -8 * 24 * 60, false)]
#[case::six_days_ago("endedAt", -6 * 24 * 60, true)]
#[case::eleven_minutes_ahead("endedAt", 11, false)]
#[case::nine_minutes_ahead("endedAt", 9, true)]
#[case::began_eight_days_ago("startedAt", -8 * 24 * 60, false)]
#[actix_web::test]
async fn times_are_from_7_days_ago_to_10_minutes_ahead(
    #[case] member: &str,
    #[case] minutes: i64,
    #[case] accepted: bool,
) {
    let (served, _database) = served().await;
    let body = json!({"operationType": "commit", "durationUs": 5, member: in_minutes(minutes)});
    let answer = post(&served, "/performance/metrics", body.clone()).await;
    let (_, batch) = post(&served, "/performance/metrics/batch", json!({"metrics": [body]})).await;
    if accepted {
        assert_eq!((answer.0, &batch["accepted"]), (StatusCode::CREATED, &json!(1)));
    } else {
        assert_eq!(problem(&answer), (400, "time_out_of_range", &*format!("/{member}")));
        assert_eq!((&batch["accepted"], &batch["rejected"][0]["code"]), (&json!(0), &json!("time_out_of_range")));
    }
}

#[actix_web::test]
async fn one_bad_metric_among_500_is_rejected_alone() {
    let (served, _database) = served().await;
    let mut metrics = vec![json!({"operationType": "commit", "durationUs": 5}); 500];
    metrics[3] = json!({"operationType": "commit", "durationUs": -1});
    let answer = post(&served, "/performance/metrics/batch", json!({"metrics": metrics})).await;
    let rejected = json!([{"index": 3, "code": "body_invalid", "detail": "/durationUs: must be 0 to 2678400000000"}]);
    assert_eq!(answer, (StatusCode::OK, json!({"accepted": 499, "over": 0, "rejected": rejected})));
}

#[actix_web::test]
async fn a_batch_has_at_most_5000_metrics_of_the_right_types() {
    let (served, _database) = served().await;
    let metric = json!({"operationType": "commit", "durationUs": 5});
    let most = post(&served, "/performance/metrics/batch", json!({"metrics": vec![&metric; 5_000]})).await;
    assert_eq!((most.0, &most.1["accepted"]), (StatusCode::OK, &json!(5_000)));
    let more = post(&served, "/performance/metrics/batch", json!({"metrics": vec![&metric; 5_001]})).await;
    assert_eq!(
        (problem(&more), &more.1["detail"]),
        ((413, "body_too_large", ""), &json!("5001 metrics, at most 5000 are taken at once"))
    );
    let wrong = json!({"metrics": [metric, {"operationType": 7, "durationUs": 5}]});
    let wrong = post(&served, "/performance/metrics/batch", wrong).await;
    assert_eq!(problem(&wrong), (400, "body_invalid", "/metrics/1/operationType"));
}

#[rstest]
#[case("/performance/metrics/9223372036854775807", "metric_unknown")]
#[case("/performance/metrics/99999999999999999999", "metric_unknown")]
#[case("/performance/metrics/0", "metric_unknown")]
#[case("/performance/traces/nobody", "trace_unknown")]
#[actix_web::test]
async fn what_is_not_there_is_unknown(#[case] path: &str, #[case] code: &str) {
    let (served, _database) = served().await;
    assert_eq!(problem(&call(&served, Method::GET, path, None).await), (404, code, ""));
}

#[actix_web::test]
async fn a_span_that_is_unknown_open_or_ended_is_refused_by_its_code() {
    let (served, _database) = served().await;
    let done = json!({"status": "success"});
    let put = async |path: &str, body: Value| call(&served, Method::PUT, path, Some(body)).await;
    let unknown = put("/performance/spans/nobody/end", done.clone()).await;
    assert_eq!(problem(&unknown), (404, "span_unknown", ""));
    let begin = json!({"operationType": "merge", "spanName": "merge", "spanId": "s"});
    assert_eq!(post(&served, "/performance/spans", begin.clone()).await.0, StatusCode::CREATED);
    assert_eq!(problem(&post(&served, "/performance/spans", begin).await), (409, "conflict", ""));
    let early = put("/performance/spans/s/end", json!({"status": "success", "endedAt": in_minutes(-5)})).await;
    assert_eq!((problem(&early).0, &early.1["detail"]), (400, &json!("/endedAt: lies before the start of the span")));
    let late = put("/performance/spans/s/end", json!({"status": "failed", "endedAt": in_minutes(11)})).await;
    assert_eq!(problem(&late), (400, "time_out_of_range", "/endedAt"));
    assert_eq!(put("/performance/spans/s/end", done.clone()).await.0, StatusCode::OK);
    assert_eq!(problem(&put("/performance/spans/s/end", done).await), (409, "conflict", ""));
    let old = json!({"operationType": "merge", "spanName": "merge", "startedAt": in_minutes(-8 * 24 * 60)});
    assert_eq!(problem(&post(&served, "/performance/spans", old).await), (400, "time_out_of_range", "/startedAt"));
}

#[actix_web::test]
async fn a_trace_adds_up() {
    let (served, _database) = served().await;
    let ended = SystemClock.now();
    let at = |millis: i64| (ended - TimeDelta::milliseconds(millis)).to_rfc3339_opts(SecondsFormat::Micros, true);
    let span = |id: &str, parent: Option<&str>, millis: i64, ends: i64| {
        json!({"operationType": id, "durationUs": millis * 1_000, "endedAt": at(ends), "traceId": "t", "spanId": id,
            "parentSpanId": parent})
    };
    let orphan = json!({"metrics": [span("b", Some("root"), 40, 55)]});
    post(&served, "/performance/metrics/batch", orphan).await;
    let (_, trace) = call(&served, Method::GET, "/performance/traces/t", None).await;
    assert_eq!((&trace["spans"][0]["orphan"], &trace["spans"][0]["path"]), (&json!(true), &json!("b")));
    let rest = [span("root", None, 100, 0), span("a", Some("root"), 5, 95), span("c", Some("root"), 55, 0)];
    post(&served, "/performance/metrics/batch", json!({"metrics": rest})).await;
    let (_, trace) = call(&served, Method::GET, "/performance/traces/t", None).await;
    let spans: Vec<_> =
        trace["spans"].as_array().unwrap().iter().map(|span| (&span["path"], &span["selfUs"])).collect();
    let expected = [("root", 0), ("root → a", 5_000), ("root → b", 40_000), ("root → c", 55_000)];
    assert_eq!(
        spans,
        expected.map(|(path, own)| (json!(path), json!(own))).iter().map(|(a, b)| (a, b)).collect::<Vec<_>>()
    );
    assert_eq!((&trace["durationUs"], &trace["truncated"]), (&json!(100_000), &json!(false)));
}

#[rstest]
#[case("from=now&to=now-1h", "window_invalid", "")]
#[case("limit=1001", "parameter_invalid", "limit")]
#[case("minDurationUs=-1", "parameter_invalid", "minDurationUs")]
#[case("status=done", "parameter_invalid", "status")]
#[case("cursor=x", "parameter_invalid", "cursor")]
#[case("type=x", "parameter_unknown", "type")]
#[actix_web::test]
async fn a_list_of_traces_refuses_what_it_does_not_know(#[case] query: &str, #[case] code: &str, #[case] member: &str) {
    let (served, _database) = served().await;
    let answer = call(&served, Method::GET, &format!("/performance/traces?{query}"), None).await;
    assert_eq!(problem(&answer), (400, code, member), "{}", answer.1);
}
