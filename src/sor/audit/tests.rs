//! The log on a real database: its triggers, its chain and its months. Then the routes.

mod chained;
mod changes;
mod denials;

use actix_web::http::StatusCode;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};

use super::conformance::{entry, serve};
use crate::sor::testing::{call, members};
use crate::storage::testing::{TestDatabase, database};

/// A session past the server, of the role that owns the tables.
async fn session(test: &TestDatabase) -> PgConnection {
    test.connect_options().connect().await.unwrap()
}

/// The SQLSTATE of what this statement fails with.
async fn sqlstate(connection: &mut PgConnection, sql: &str) -> String {
    let failed = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await;
    let error = failed.expect_err(sql);
    error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned()
}

async fn run(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.expect(sql);
}

#[actix_web::test]
async fn a_page_tells_how_many_entries_it_has_and_where_the_next_begins() {
    let test = database().await;
    let port = super::local(test.db.clone());
    port.append(&crate::kernel::CALL, vec![entry("token:ci", "a"), entry("token:ci", "b")]).await.unwrap();
    let served = serve(port);
    let (status, page) = call(&served, Method::GET, "/audit?limit=1&userId=token:ci", None).await;
    assert_eq!((status, &page["count"], &page["entries"][0]["action"]), (StatusCode::OK, &json!(1), &json!("b")));
    let columns = [
        "accessMethod",
        "action",
        "after",
        "appName",
        "at",
        "before",
        "clientIp",
        "id",
        "metadata",
        "projectId",
        "requestId",
        "resourceId",
        "resourceType",
        "result",
        "times",
        "userAgent",
        "userId",
    ];
    assert_eq!(members(&page["entries"][0]), columns);
    let next = page["nextCursor"].as_str().unwrap();
    let (_, page) = call(&served, Method::GET, &format!("/audit?limit=1&cursor={next}"), None).await;
    assert_eq!((&page["entries"][0]["action"], &page["nextCursor"]), (&json!("a"), &Value::Null));
}

#[rstest]
#[case("/audit?user=x", "parameter_unknown")]
#[case("/audit?limit=0", "parameter_invalid")]
#[case("/audit?limit=1001", "parameter_invalid")]
#[case("/audit?cursor=x", "parameter_invalid")]
#[case("/audit?result=maybe", "parameter_invalid")]
#[case("/audit?userId=", "parameter_invalid")]
#[case("/audit?project=a,,b", "parameter_invalid")]
#[case("/audit?from=now&to=now-1h", "window_invalid")]
#[case("/audit/verify?fromSeq=0", "parameter_invalid")]
#[case("/audit/verify?limit=1000001", "parameter_invalid")]
#[case("/audit/verify?limit=0", "parameter_invalid")]
#[actix_web::test]
async fn a_bad_request_never_reaches_the_port(#[case] path: &str, #[case] code: &str) {
    let served = serve(std::sync::Arc::new(super::MockAuditSor::new()));
    let (status, problem) = call(&served, Method::GET, path, None).await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!(code)), "{problem}");
}

#[actix_web::test]
async fn entries_to_append_are_checked_one_by_one() {
    let served = serve(std::sync::Arc::new(super::MockAuditSor::new()));
    let valid = serde_json::to_value(entry("token:ci", "a")).unwrap();
    let with = |name: &str, value: Value| {
        let mut entry = valid.clone();
        entry[name] = value;
        json!({"entries": [valid, entry]})
    };
    for (body, why) in [
        (json!({"entries": []}), "must hold 1 to 1000 entries, and holds 0"),
        (json!({"entries": vec![&valid; 1_001]}), "must hold 1 to 1000 entries, and holds 1001"),
        (with("times", json!(0)), "/entries/1/times: must be at least 1"),
        (with("userId", json!("")), "must not be empty"),
        (with("action", json!("x".repeat(2_001))), "is 2001 bytes long, at most 2000 are allowed"),
        (with("accessMethod", json!("magic")), "accessMethod"),
        (with("clientIp", json!("here")), "clientIp"),
        (with("at", json!("now")), "at"),
    ] {
        let (status, problem) = call(&served, Method::POST, "/core/audit/append", Some(body)).await;
        let text = problem["detail"].as_str().unwrap_or_default();
        assert!(status == StatusCode::BAD_REQUEST && text.contains(why), "{problem}, expected {why}");
    }
}
