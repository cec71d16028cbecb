//! `POST /v1/traces` over a real database, as SDKs call it.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::{Method, RequestBuilder, StatusCode};
use rstest::rstest;
use serde_json::{Value, json};
use sqlx::ConnectOptions;

use super::served;
use crate::http::testing::Served;
use crate::kernel::{Clock, SystemClock};
use crate::sor::performance::conformance::serve_within;
use crate::sor::performance::{TraceIntake, TraceIntakeLimits, local};
use crate::sor::testing::call;
use crate::storage::testing::database;

fn nanos() -> i64 {
    SystemClock.now().timestamp_nanos_opt().unwrap()
}

/// A request of checkout with two spans, a server's and a step within it; and one whose ids are no ids.
fn traces() -> Value {
    let end = nanos();
    let span = |id: &str, parent: &str, kind: u8, name: &str| {
        json!({"traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": id, "parentSpanId": parent, "name": name,
            "kind": kind, "startTimeUnixNano": (end - 5_000_000).to_string(), "endTimeUnixNano": end.to_string(),
            "attributes": [{"key": "http.route", "value": {"stringValue": "/orders"}}],
            "status": {"code": 2, "message": "no stock"}, "events": [{"name": "exception", "timeUnixNano": end.to_string()}]})
    };
    let spans = [
        span("00f067aa0ba902b7", "", 2, "POST /orders"),
        span("53995c3f42cd8ad8", "00f067aa0ba902b7", 1, "reserve"),
        span("0000000000000000", "", 2, "nobody"),
    ];
    json!({"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "checkout"}}]},
        "scopeSpans": [{"spans": spans}]}]})
}

fn outward_request(served: &Served) -> RequestBuilder {
    let outward = served.client();
    outward.request(Method::POST, outward.url(["v1", "traces"]))
}

async fn send(served: &Served, headers: &[(&str, &str)], body: Vec<u8>) -> (StatusCode, String, Vec<u8>) {
    let request = outward_request(served).body(body);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let answer = request.send().await.unwrap();
    let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
    (answer.status(), content_type, answer.bytes().await.unwrap().to_vec())
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[actix_web::test]
async fn spans_are_recorded_once_and_shown_as_a_trace() {
    let (served, _database) = served().await;
    let body = traces().to_string().into_bytes();
    for _ in 0..2 {
        let (status, content_type, answer) = send(&served, &[JSON], body.clone()).await;
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let partial = json!({"partialSuccess": {"rejectedSpans": "1",
            "errorMessage": "spans were rejected: 1 without a valid trace id and span id"}});
        assert_eq!((status, &*content_type, answer), (StatusCode::OK, "application/json", partial));
    }
    let (_, trace) = call(&served, Method::GET, "/performance/traces/4bf92f3577b34da6a3ce929d0e0e4736", None).await;
    let spans = trace["spans"].as_array().unwrap();
    let shown: Vec<_> = spans.iter().map(|span| (span["path"].as_str().unwrap(), &span["status"])).collect();
    assert_eq!(shown, [("POST /orders", &json!("failed")), ("POST /orders → reserve", &json!("failed"))]);
    assert_eq!(spans[0]["error"], json!({"message": "no stock"}));
    assert_eq!(spans[0]["attributes"], json!({"http.route": "/orders"}));
    assert_eq!((&spans[0]["events"][0]["name"], &spans[0]["scope"]), (&json!("exception"), &json!("checkout")));
    let (_, operations) = call(&served, Method::GET, "/performance/operations", None).await;
    let counted: Vec<_> =
        operations["operations"].as_array().unwrap().iter().map(|one| &one["operationType"]).collect();
    assert_eq!(counted, [&json!("POST /orders")], "a step within the program does not count");
}

#[actix_web::test]
async fn gzip_is_taken_and_an_empty_request_too() {
    let (served, _database) = served().await;
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(traces().to_string().as_bytes()).unwrap();
    let (status, ..) = send(&served, &[JSON, ("content-encoding", "gzip")], packed.finish().unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    let (_, roots) = call(&served, Method::GET, "/performance/traces", None).await;
    assert_eq!(roots["count"], 1);
    // In protobuf nothing is an empty message, and so is its answer.
    let answer = send(&served, &[("content-type", "application/x-protobuf")], Vec::new()).await;
    assert_eq!(answer, (StatusCode::OK, "application/x-protobuf".to_owned(), Vec::new()));
    assert_eq!(send(&served, &[JSON], b"{}".to_vec()).await.2, b"{}");
}

#[rstest]
#[case::text(&[("content-type", "text/plain")], b"{}".to_vec(), 415, "content_type_unsupported")]
#[case::zstd(&[JSON, ("content-encoding", "zstd")], b"{}".to_vec(), 415, "content_type_unsupported")]
#[case::no_json(&[JSON], b"{".to_vec(), 400, "body_invalid")]
#[case::no_gzip(&[JSON, ("content-encoding", "gzip")], b"{}".to_vec(), 400, "body_invalid")]
#[case::too_large(&[JSON], vec![b' '; (8 << 20) + 1], 413, "body_too_large")]
#[actix_web::test]
async fn what_cannot_be_taken_is_refused_by_its_code(
    #[case] headers: &[(&str, &str)],
    #[case] body: Vec<u8>,
    #[case] status: u16,
    #[case] code: &str,
) {
    let (served, _database) = served().await;
    let (answered, _, problem) = send(&served, headers, body).await;
    let problem: Value = serde_json::from_slice(&problem).unwrap();
    assert_eq!((answered.as_u16(), problem["code"].as_str()), (status, Some(code)), "{problem}");
}

#[actix_web::test]
async fn types_that_a_service_had_before_a_start_are_known() {
    let (served, database) = served().await;
    let hour =
        "INSERT INTO perf.rollup_hour (start_at, operation_type, scope, sample_count, failed_count, over_count, sum_us,
                    sum_squares, last_at, buckets, counts)
                SELECT date_trunc('hour', now()), 'old ' || i, 'checkout', 0, 1, 0, 0, 0, now(), '{}', '{}'
                FROM generate_series(1, 1000) AS i";
    super::sql::run(&mut database.connect_options().connect().await.unwrap(), hour).await;
    send(&served, &[JSON], traces().to_string().into_bytes()).await;
    let (_, trace) = call(&served, Method::GET, "/performance/traces/4bf92f3577b34da6a3ce929d0e0e4736", None).await;
    let root = &trace["spans"][0];
    assert_eq!((&root["operationType"], &root["spanName"]), (&json!("other"), &json!("POST /orders")));
}

#[actix_web::test]
async fn a_database_that_is_away_is_503_with_a_time_to_come_again() {
    let (served, database) = served().await;
    super::sql::run(&mut database.connect_options().connect().await.unwrap(), "DROP SCHEMA perf CASCADE").await;
    let request = outward_request(&served).header(JSON.0, JSON.1).body(traces().to_string());
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
}

/// What a request that is turned away answers: status, code, and when to come again.
async fn turned_away(served: &Served, body: &str) -> (u16, String, String) {
    let answer = outward_request(served).header(JSON.0, JSON.1).body(body.to_owned()).send().await.unwrap();
    let (status, again) = (answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap().to_owned());
    let problem: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    (status, problem["code"].as_str().unwrap().to_owned(), again)
}

#[test]
fn bodies_take_64_mib_and_4_requests_are_recorded_at_once() {
    let expected = TraceIntakeLimits { bodies: 67_108_864, at_once: 4, patience: Duration::from_secs(5) };
    assert_eq!(TraceIntakeLimits::default(), expected);
}

fn intake(limits: TraceIntakeLimits) -> web::Data<TraceIntake> {
    web::Data::new(TraceIntake::new(limits))
}

#[actix_web::test]
async fn where_bodies_fill_the_memory_exporters_come_again() {
    let (database, body) = (database().await, traces().to_string());
    let of_memory = |bodies| {
        let intake = intake(TraceIntakeLimits { bodies, ..TraceIntakeLimits::default() });
        serve_within(Arc::new(local(database.db.clone())), intake)
    };
    let too_small = of_memory(body.len() - 1);
    assert_eq!(turned_away(&too_small, &body).await, (503, "overloaded".to_owned(), "2".to_owned()));
    // What one body took is there for the next.
    let enough = of_memory(body.len());
    for _ in 0..3 {
        assert_eq!(send(&enough, &[JSON], body.clone().into_bytes()).await.0, StatusCode::OK);
    }
}

#[actix_web::test]
async fn whoever_gets_no_turn_in_time_comes_again() {
    let database = database().await;
    let patience = Duration::from_millis(100);
    let intake = intake(TraceIntakeLimits { at_once: 1, patience, ..TraceIntakeLimits::default() });
    let served = serve_within(Arc::new(local(database.db.clone())), intake.clone());
    let taken = intake.turn().await.unwrap();
    assert_eq!(turned_away(&served, "{}").await, (503, "overloaded".to_owned(), "2".to_owned()));
    drop(taken);
    for _ in 0..3 {
        assert_eq!(send(&served, &[JSON], b"{}".to_vec()).await.0, StatusCode::OK);
    }
}
