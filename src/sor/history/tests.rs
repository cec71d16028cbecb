//! The routes over a real database, and what an adopted table looks like through them.

mod batches;

use std::sync::Arc;

use actix_web::http::StatusCode;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions};

use super::conformance::{now, serve};
use super::{HistoryQuery, MockHistorySor};
use crate::http::testing::Served;
use crate::kernel::{CALL, FixedClock};
use crate::storage::testing::{TestDatabase, database, empty_database};

const KEY: &str = "018d3f3e-7c1a-7000-8000-000000000001";

async fn served() -> (Served, TestDatabase) {
    let database = database().await;
    (serve(super::local(database.db.clone(), Arc::new(FixedClock::at(now())))), database)
}

async fn call(
    served: &Served,
    method: Method,
    path: &str,
    key: Option<&str>,
    body: Option<Value>,
) -> (StatusCode, Value) {
    let client = served.client();
    let request = client.request(method, client.base().join(path).unwrap());
    let request = body.iter().fold(request, reqwest::RequestBuilder::json);
    let answer =
        client.send(&CALL, key.iter().fold(request, |request, key| request.header("Idempotency-Key", *key))).await;
    let answer = answer.unwrap();
    let status = StatusCode::from_u16(answer.status.as_u16()).unwrap();
    (status, serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
}

async fn get(served: &Served, path: &str) -> (StatusCode, Value) {
    call(served, Method::GET, path, None, None).await
}

fn body() -> Value {
    json!({"appName": "shop", "diagnosis": "gc_pressure", "severity": "high"})
}

#[actix_web::test]
async fn the_same_idempotency_key_again_is_created_with_the_row_that_exists() {
    let (served, _database) = served().await;
    let (status, first) = call(&served, Method::POST, "/history", Some(KEY), Some(body())).await;
    assert_eq!(status, StatusCode::CREATED);
    let mut other = body();
    other["diagnosis"] = json!("cpu_bound");
    let (status, second) = call(&served, Method::POST, "/history", Some(&KEY.to_uppercase()), Some(other)).await;
    assert_eq!((status, &second), (StatusCode::CREATED, &first));
    let (_, list) = get(&served, "/history/shop").await;
    assert_eq!(list, json!({"appName": "shop", "count": 1, "history": [first], "nextCursor": null}));
    let (_, third) = call(&served, Method::POST, "/history", None, Some(body())).await;
    assert_ne!(third["id"], first["id"]);
}

#[actix_web::test]
async fn an_assessment_lives_from_post_to_delete() {
    let (served, _database) = served().await;
    let mut full = body();
    full["profileTypes"] = json!("cpu,memory");
    full["topFunctions"] = json!({"cpu": [{"name": "f", "selfPercent": 34.2}]});
    full["assessedAt"] = json!("2024-01-23T10:53:20.5+02:00");
    let (status, row) = call(&served, Method::POST, "/history", None, Some(full.clone())).await;
    assert_eq!(status, StatusCode::CREATED);
    let expected = json!({"id": row["id"], "appName": "shop", "profileTypes": "cpu,alloc", "diagnosis": "gc_pressure",
        "severity": "high", "topFunctions": full["topFunctions"], "recommendation": null, "requestedBy": null,
        "createdAt": "2024-01-23T08:53:20.500Z"});
    assert_eq!(row, expected);
    assert_eq!(get(&served, "/history/shop/latest").await, (StatusCode::OK, row.clone()));
    let path = format!("/history/{}", row["id"]);
    assert_eq!(call(&served, Method::DELETE, &path, None, None).await.0, StatusCode::NO_CONTENT);
    let (status, problem) = call(&served, Method::DELETE, &path, None, None).await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("history_unknown")));
    let (status, problem) = get(&served, "/history/shop/latest").await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("history_unknown")));
    assert_eq!(get(&served, "/history/shop").await.1["count"], 0);
}

#[actix_web::test]
async fn windows_and_cursors_narrow_the_list() {
    let (served, _database) = served().await;
    for n in 0..4 {
        let mut body = body();
        body["diagnosis"] = json!(format!("d{n}"));
        body["assessedAt"] = json!(format!("2024-01-23T08:50:0{n}Z"));
        assert_eq!(call(&served, Method::POST, "/history", None, Some(body)).await.0, StatusCode::CREATED);
    }
    let diagnoses = |page: &Value| {
        page["history"].as_array().unwrap().iter().map(|row| row["diagnosis"].to_string()).collect::<String>()
    };
    let (_, page) = get(&served, "/history/shop?from=1705999801&to=2024-01-23T08:50:03Z").await;
    assert_eq!(diagnoses(&page), "\"d2\"\"d1\"");
    let (_, page) = get(&served, "/history/shop?limit=3&from=now-1h").await;
    assert_eq!(diagnoses(&page), "\"d3\"\"d2\"\"d1\"");
    let cursor = page["nextCursor"].as_str().unwrap();
    let (_, page) = get(&served, &format!("/history/shop?limit=3&cursor={cursor}")).await;
    assert_eq!((diagnoses(&page), &page["nextCursor"]), ("\"d0\"".to_owned(), &Value::Null));
}

#[rstest]
#[case(json!({}), "/appName")]
#[case(json!({"appName": "a", "severity": "high"}), "/diagnosis")]
#[case(json!({"appName": "a", "diagnosis": "d", "severity": "fatal"}), "/severity")]
#[case(json!({"appName": "a", "diagnosis": "d", "severity": "high", "profileTypes": "cpu,heap"}), "/profileTypes")]
#[case(json!({"appName": "a", "diagnosis": "d", "severity": "high", "profileTypes": ["cpu"]}), "/profileTypes")]
#[case(json!({"appName": "a", "diagnosis": "d", "severity": "high", "topFunctions": "f"}), "/topFunctions")]
#[case(json!({"appName": "a", "diagnosis": "d", "severity": "high", "topFunctions": ["x".repeat(65_536)]}), "/topFunctions")]
#[case(json!({"appName": "a", "diagnosis": "d", "severity": "high", "topFunctions": ["a\u{0}"]}), "/topFunctions")]
#[case(json!({"appName": "a", "diagnosis": "d", "severity": "high", "recommendation": "a\u{0}"}), "/recommendation")]
#[case(json!({"appName": "a", "diagnosis": "d", "severity": "high", "assessedAt": "yesterday"}), "/assessedAt")]
#[case(json!({"appName": "a", "diagnosis": "d", "severity": "high", "assessedAt": "2024-01-23T08:54:21Z"}), "/assessedAt")]
#[case(json!({"appName": "a", "diagnosis": "d", "severity": "high", "id": 1}), "/id")]
#[case(json!({"appName": "a", "diagnosis": "d", "severity": "high", "idempotencyKey": KEY}), "/idempotencyKey")]
#[actix_web::test]
async fn a_bad_body_is_pointed_at(#[case] body: Value, #[case] pointer: &str) {
    let served = serve(Arc::new(MockHistorySor::new()));
    let (status, problem) = call(&served, Method::POST, "/history", None, Some(body)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("body_invalid")), "{problem}");
    assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
}

#[rstest]
#[case("/history/shop?limit=501", "parameter_invalid")]
#[case("/history/shop?limit=0", "parameter_invalid")]
#[case("/history/shop?from=1706000000000", "parameter_invalid")]
#[case("/history/shop?from=now&to=now-1h", "window_invalid")]
#[case("/history/shop?cursor=!", "parameter_invalid")]
#[case("/history/shop?cursor=WyIrMjYyMTQyLTAxLTAxVDAwOjAwOjAwWiIsMV0", "parameter_invalid")]
#[case("/history/shop?page=2", "parameter_unknown")]
#[case("/history/shop/latest?limit=1", "parameter_unknown")]
#[actix_web::test]
async fn a_bad_parameter_never_reaches_the_port(#[case] path: &str, #[case] code: &str) {
    let served = serve(Arc::new(MockHistorySor::new()));
    let (status, problem) = get(&served, path).await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!(code)), "{problem}");
}

#[actix_web::test]
async fn a_key_that_is_no_uuid_is_refused() {
    let served = serve(Arc::new(MockHistorySor::new()));
    for key in ["", "7", "018d3f3e"] {
        let (status, problem) = call(&served, Method::POST, "/history", Some(key), Some(body())).await;
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("parameter_invalid")), "{key}");
    }
}

const BY_HAND: &str = "
    CREATE TABLE triage_history (
        created_at timestamp NOT NULL, top_functions json, severity varchar(10) NOT NULL, diagnosis varchar(50) NOT NULL,
        app_name varchar(100) NOT NULL, id serial PRIMARY KEY);
    INSERT INTO triage_history (created_at, top_functions, severity, diagnosis, app_name) VALUES
        ('2024-01-02 03:04:05', '[1]', 'HIGH', 'gc_pressure', 'shop'),
        ('2024-01-02 03:04:06', NULL, 'odd', 'gc_pressure', 'shop');";

#[actix_web::test]
async fn an_adopted_table_is_read_and_added_to() {
    let test = empty_database().await;
    let mut connection = test.connect_options().connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(BY_HAND)).execute(&mut connection).await.unwrap();
    crate::storage::migrate::up(&mut connection, None).await.unwrap();
    let port = super::local(test.db.clone(), Arc::new(FixedClock::at(now())));
    let new = super::NewAssessment {
        idempotency_key: Some(uuid::Uuid::from_u128(1)),
        ..super::conformance::new("shop", &"d".repeat(255))
    };
    let row = port.create(&CALL, new).await.unwrap();
    let page = port.list(&CALL, &HistoryQuery::newest("shop".parse().unwrap(), 500)).await.unwrap();
    let shown: Vec<_> = page.entries.iter().map(|row| format!("{row:?}").contains("problems")).collect();
    assert_eq!(shown, [false, true, false], "the severity of the second does not exist");
    assert_eq!(port.remove(&CALL, row.id).await, Ok(true));
    let served = serve(port.clone());
    let (status, latest) = call(&served, Method::GET, "/history/shop/latest", None, None).await;
    assert_eq!((status, &latest["id"], &latest["severity"]), (StatusCode::OK, &json!(2), &json!("odd")));
    assert_eq!(latest["topFunctions"], json!({}));
    assert!(latest["problems"][0].as_str().unwrap().starts_with("severity: "), "{latest}");
    assert_eq!(call(&served, Method::DELETE, "/history/2", None, None).await.0, StatusCode::NO_CONTENT);
    let (_, list) = call(&served, Method::GET, "/history/shop", None, None).await;
    assert_eq!((&list["count"], &list["history"][0]["createdAt"]), (&json!(1), &json!("2024-01-02T03:04:05Z")));
}
