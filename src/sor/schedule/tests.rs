//! The routes over a real database, and what only the database's clock decides.

use std::sync::Arc;

use actix_web::http::StatusCode;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions};
use uuid::Uuid;

use super::conformance::{GROUP, JOB, serve, start};
use super::{MockScheduleSor, ScheduleSor};
use crate::http::testing::Served;
use crate::kernel::CALL;
use crate::sor::testing::{call, members};
use crate::storage::testing::{TestDatabase, database};

async fn served() -> (Served, Arc<dyn ScheduleSor>, TestDatabase) {
    let database = database().await;
    let port = super::local(database.db.clone());
    (serve(Arc::clone(&port)), port, database)
}

async fn execute(database: &TestDatabase, sql: &str) {
    let mut connection = database.connect_options().connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
}

#[actix_web::test]
async fn the_schedule_shows_who_leads_and_when_each_job_is_due_next() {
    let (served, port, _database) = served().await;
    let (status, empty) = call(&served, Method::GET, "/schedule", None).await;
    assert_eq!((status, empty), (StatusCode::OK, json!({"leaders": [], "jobs": []})));
    let lease = port.lead(&CALL, &GROUP, Uuid::from_u128(1)).await.unwrap().unwrap();
    port.begin(&CALL, start(0, 1, 1)).await.unwrap().unwrap();
    let (_, body) = call(&served, Method::GET, "/schedule", None).await;
    let leader = json!({"group": "group", "holder": Uuid::from_u128(1), "term": 1, "expiresAt": lease.expires_at});
    assert_eq!(body["leaders"], json!([leader]));
    let job = &body["jobs"][0];
    let expected = [
        "askedAt",
        "durationMs",
        "error",
        "failures",
        "finishedAt",
        "group",
        "holder",
        "lastDueAt",
        "name",
        "nextDueAt",
        "offsetSeconds",
        "outcome",
        "periodSeconds",
        "runs",
        "startedAt",
        "term",
    ];
    assert_eq!(members(job), expected);
    let due = (&job["lastDueAt"], &job["nextDueAt"], &job["periodSeconds"], &job["offsetSeconds"]);
    assert_eq!(due, (&json!("2026-11-20T12:00:30Z"), &json!("2026-11-20T12:01:30Z"), &json!(60), &json!(30)));
}

#[actix_web::test]
async fn a_job_is_asked_for_by_its_name() {
    let (served, port, _database) = served().await;
    let run = async || call(&served, Method::POST, "/schedule/job/run", None).await;
    let (status, problem) = run().await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("job_unknown")));
    port.begin(&CALL, start(0, 1, 1)).await.unwrap().unwrap();
    assert_eq!(run().await, (StatusCode::ACCEPTED, json!({"done": true})));
    let (_, body) = call(&served, Method::GET, "/schedule", None).await;
    assert!(body["jobs"][0]["askedAt"].is_string(), "{body}");
}

#[rstest]
#[case("POST", "/schedule/No-Name/run", Value::Null, "parameter_invalid")]
#[case("POST", "/schedule/job/run?x=1", Value::Null, "parameter_unknown")]
#[case("GET", "/schedule?group=core", Value::Null, "parameter_unknown")]
#[case("POST", "/core/schedule/lead", json!({"group": "core"}), "body_invalid")]
#[case("POST", "/core/schedule/lead", json!({"group": "Core", "holder": Uuid::nil()}), "body_invalid")]
#[case("POST", "/core/schedule/lead", json!({"group": "core", "holder": "me"}), "body_invalid")]
#[case("POST", "/core/schedule/lead", json!({"group": "core", "holder": Uuid::nil(), "x": 1}), "body_invalid")]
#[case("POST", "/core/schedule/resign", json!({"holder": Uuid::nil()}), "body_invalid")]
#[case("POST", "/core/schedule/begin", json!({"job": "job"}), "body_invalid")]
#[case("POST", "/core/schedule/end", json!({"job": "job", "holder": Uuid::nil(), "term": 1, "durationMs": -1}), "body_invalid")]
#[case("POST", "/core/schedule/forget?days=1", Value::Null, "parameter_unknown")]
#[actix_web::test]
async fn a_bad_request_never_reaches_the_port(
    #[case] method: &str,
    #[case] path: &str,
    #[case] body: Value,
    #[case] code: &str,
) {
    let served = serve(Arc::new(MockScheduleSor::new()));
    let body = Some(body).filter(|body| !body.is_null());
    let (status, problem) = call(&served, method.parse().unwrap(), path, body).await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!(code)), "{problem}");
}

#[rstest]
#[case::no_term(json!({"term": 0}), "")]
#[case::no_period(json!({"timetable": {"periodSeconds": 0, "offsetSeconds": 0}}), "periodSeconds must be at least 1")]
#[case::offset(json!({"timetable": {"periodSeconds": 60, "offsetSeconds": 60}}), "less than periodSeconds")]
#[case::holder(json!({"holder": "me"}), "/holder")]
#[actix_web::test]
async fn a_run_that_cannot_be_is_refused(#[case] wrong: Value, #[case] detail: &str) {
    let (served, _, _database) = served().await;
    let mut body = serde_json::to_value(start(0, 1, 1)).unwrap();
    body.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
    let (status, problem) = call(&served, Method::POST, "/core/schedule/begin", Some(body)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("body_invalid")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains(detail), "{problem}");
}

#[actix_web::test]
async fn an_expired_lease_is_shown_no_more_and_goes_to_who_asks_next() {
    let (_, port, database) = served().await;
    port.lead(&CALL, &GROUP, Uuid::from_u128(1)).await.unwrap().unwrap();
    execute(&database, "UPDATE core.lease SET expires_at = clock_timestamp() - interval '1 second'").await;
    assert_eq!(port.jobs(&CALL).await.unwrap().leaders, []);
    let lease = port.lead(&CALL, &GROUP, Uuid::from_u128(2)).await.unwrap().unwrap();
    assert_eq!((lease.holder, lease.term), (Uuid::from_u128(2), 2));
    assert_eq!(port.lead(&CALL, &GROUP, Uuid::from_u128(1)).await, Ok(None));
}

#[actix_web::test]
async fn a_process_whose_own_lease_expired_takes_it_again_in_the_same_term() {
    let (_, port, database) = served().await;
    port.lead(&CALL, &GROUP, Uuid::from_u128(1)).await.unwrap().unwrap();
    execute(&database, "UPDATE core.lease SET expires_at = clock_timestamp() - interval '1 second'").await;
    assert_eq!(port.resign(&CALL, &GROUP, Uuid::from_u128(1)).await, Ok(false), "it is not led any more");
    assert_eq!(port.lead(&CALL, &GROUP, Uuid::from_u128(1)).await.unwrap().unwrap().term, 1);
}

#[actix_web::test]
async fn a_job_that_was_not_begun_for_thirty_days_is_forgotten() {
    let (_, port, database) = served().await;
    port.begin(&CALL, start(0, 1, 1)).await.unwrap().unwrap();
    let other = super::RunStart { job: "other".parse().unwrap(), ..start(0, 1, 1) };
    port.begin(&CALL, other).await.unwrap().unwrap();
    let days =
        |days: u32| format!("UPDATE core.job SET started_at = now() - interval '{days} days' WHERE name = 'job'");
    execute(&database, &days(29)).await;
    assert_eq!(port.forget(&CALL).await, Ok(0));
    execute(&database, &days(31)).await;
    assert_eq!(port.forget(&CALL).await, Ok(1));
    let left: Vec<_> = port.jobs(&CALL).await.unwrap().jobs.into_iter().map(|job| job.name.to_string()).collect();
    assert_eq!(left, ["other"]);
    assert_eq!(port.ask(&CALL, &JOB).await, Ok(false));
}
