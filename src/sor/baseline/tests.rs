//! The routes over a real database, and what an adopted table looks like through them.

use actix_web::http::StatusCode;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions};

use super::conformance::serve;
use crate::http::testing::Served;
use crate::kernel::CALL;
use crate::sor::testing::call;
use crate::storage::testing::{TestDatabase, database, empty_database};

async fn served() -> (Served, TestDatabase) {
    let database = database().await;
    (serve(super::local(database.db.clone())), database)
}

fn body() -> Value {
    json!({"appName": "shop", "profileType": "memory", "functionName": "f", "maxSelfPercent": 5})
}

#[actix_web::test]
async fn a_limit_lives_from_post_to_delete() {
    let (served, _database) = served().await;
    let (status, row) = call(&served, Method::POST, "/baselines", Some(body())).await;
    assert_eq!(status, StatusCode::CREATED);
    let mut members: Vec<_> = row.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(
        members,
        [
            "appName",
            "createdAt",
            "createdBy",
            "functionName",
            "id",
            "maxSelfPercent",
            "profileType",
            "severity",
            "updatedAt"
        ]
    );
    assert_eq!(
        (&row["profileType"], &row["severity"], &row["createdBy"]),
        (&json!("alloc"), &json!("warning"), &Value::Null)
    );
    assert!(row["createdAt"].as_str().unwrap().ends_with('Z'));

    let (status, list) = call(&served, Method::GET, "/baselines/shop", None).await;
    assert_eq!((status, &list), (StatusCode::OK, &json!({"appName": "shop", "baselines": [row]})));
    let (_, list) = call(&served, Method::GET, "/baselines/shop/allocation", None).await;
    assert_eq!(list, json!({"appName": "shop", "profileType": "alloc", "baselines": [row]}));

    let path = format!("/baselines/{}", row["id"]);
    let (status, changed) = call(&served, Method::PUT, &path, Some(json!({"severity": "critical"}))).await;
    assert_eq!(
        (status, &changed["severity"], &changed["maxSelfPercent"]),
        (StatusCode::OK, &json!("critical"), &json!(5.0))
    );
    assert_eq!(call(&served, Method::DELETE, &path, None).await.0, StatusCode::NO_CONTENT);
    for (method, body) in [(Method::DELETE, None), (Method::PUT, Some(json!({"maxSelfPercent": 1})))] {
        let (status, problem) = call(&served, method, &path, body).await;
        assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("baseline_unknown")));
    }
}

#[actix_web::test]
async fn pages_are_walked_by_cursor() {
    let (served, _database) = served().await;
    for n in 0..3 {
        let mut body = body();
        body["functionName"] = json!(format!("f{n}"));
        call(&served, Method::POST, "/baselines", Some(body)).await;
    }
    let (_, page) = call(&served, Method::GET, "/baselines/shop?limit=2", None).await;
    assert_eq!(page["baselines"].as_array().unwrap().len(), 2);
    let next = page["nextCursor"].as_str().unwrap();
    let (_, page) = call(&served, Method::GET, &format!("/baselines/shop?limit=2&cursor={next}"), None).await;
    assert_eq!((&page["baselines"][0]["functionName"], &page["nextCursor"]), (&json!("f2"), &Value::Null));
}

#[rstest]
#[case("POST", "/baselines", json!({}), "body_invalid")]
#[case("POST", "/baselines", json!({"appName": "", "profileType": "cpu", "functionName": "f", "maxSelfPercent": 5}), "body_invalid")]
#[case("POST", "/baselines", json!({"appName": "a", "profileType": "heap", "functionName": "f", "maxSelfPercent": 5}), "body_invalid")]
#[case("POST", "/baselines", json!({"appName": "a", "profileType": "cpu", "functionName": "f", "maxSelfPercent": 100.1}), "body_invalid")]
#[case("POST", "/baselines", json!({"appName": "a", "profileType": "cpu", "functionName": "f", "maxSelfPercent": -0.1}), "body_invalid")]
#[case("POST", "/baselines", json!({"appName": "a", "profileType": "cpu", "functionName": "f", "maxSelfPercent": "5"}), "body_invalid")]
#[case("POST", "/baselines", json!({"appName": "a", "profileType": "cpu", "functionName": "f", "maxSelfPercent": 5, "severity": "high"}), "body_invalid")]
#[case("POST", "/baselines", json!({"appName": "a", "profileType": "cpu", "functionName": "f", "maxSelfPercent": 5, "extra": 1}), "body_invalid")]
#[case("POST", "/baselines", json!({"appName": "a", "profileType": "cpu", "functionName": "f\u{0}", "maxSelfPercent": 5}), "body_invalid")]
#[case("POST", "/baselines?x=1", json!({"appName": "a", "profileType": "cpu", "functionName": "f", "maxSelfPercent": 5}), "parameter_unknown")]
#[case("PUT", "/baselines/1", json!({}), "body_invalid")]
#[case("PUT", "/baselines/1", json!({"severity": null}), "body_invalid")]
#[case("PUT", "/baselines/1", json!({"appName": "b"}), "body_invalid")]
#[case("PUT", "/baselines/shop", json!({"maxSelfPercent": 1}), "parameter_invalid")]
#[case("GET", "/baselines/shop?limit=0", Value::Null, "parameter_invalid")]
#[case("GET", "/baselines/shop?limit=10001", Value::Null, "parameter_invalid")]
#[case("GET", "/baselines/shop?cursor=x", Value::Null, "parameter_invalid")]
#[case("GET", "/baselines/shop?type=cpu", Value::Null, "parameter_unknown")]
#[case("GET", "/baselines/shop/heap", Value::Null, "profile_type_unknown")]
#[actix_web::test]
async fn a_bad_request_never_reaches_the_port(
    #[case] method: &str,
    #[case] path: &str,
    #[case] body: Value,
    #[case] code: &str,
) {
    let served = serve(std::sync::Arc::new(super::MockBaselineSor::new()));
    let body = Some(body).filter(|body| !body.is_null());
    let (status, problem) = call(&served, method.parse().unwrap(), path, body).await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!(code)), "{problem}");
    assert_eq!(problem["error"], problem["detail"]);
}

#[actix_web::test]
async fn an_id_that_no_row_can_have_is_unknown_and_other_methods_are_named() {
    let served = serve(std::sync::Arc::new(super::MockBaselineSor::new()));
    for id in ["0", "-3", "2147483648", "99999999999999999999"] {
        let (status, problem) = call(&served, Method::DELETE, &format!("/baselines/{id}"), None).await;
        assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("baseline_unknown")), "{id}");
    }
    let client = served.client();
    let answer = client.send(&CALL, client.request(Method::PATCH, client.url(["baselines", "1"]))).await.unwrap();
    assert_eq!(answer.status.as_u16(), 405);
    assert_eq!(answer.headers.get("allow").unwrap(), "DELETE, GET, HEAD, PUT");
}

/// Columns in another order, narrower, without defaults, with a check that knows fewer profile types.
const BY_HAND: &str = "
    CREATE TABLE performance_baseline (
        max_self_percent numeric(6,2), function_name varchar(500) NOT NULL, app_name varchar(255) NOT NULL,
        profile_type varchar(20) NOT NULL CHECK (profile_type IN ('cpu', 'memory', 'heap')),
        id bigint PRIMARY KEY, note text, severity varchar(20));
    INSERT INTO performance_baseline (id, app_name, profile_type, function_name, max_self_percent, severity, note) VALUES
        (7, 'shop', 'cpu', 'f', 12.5, 'HIGH', 'x'), (8, 'shop', 'memory', 'g', 120, NULL, NULL),
        (9, 'shop', 'heap', 'h', 1, 'dreadful', NULL), (6, 'cart', 'heap', 'h', 1, 'high', NULL), (10, 'shop', 'memory', 'i', 3, 'low', NULL);";

#[actix_web::test]
async fn an_adopted_table_is_shown_changed_added_to_and_removed_from() {
    let test = empty_database().await;
    let mut connection = test.connect_options().connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(BY_HAND)).execute(&mut connection).await.unwrap();
    crate::storage::migrate::up(&mut connection, None).await.unwrap();
    let port = super::local(test.db.clone());
    let served = serve(port.clone());
    let (_, list) = call(&served, Method::GET, "/baselines/shop", None).await;
    let shown =
        |row: &Value| format!("{} {} {} {}", row["id"], row["profileType"], row["maxSelfPercent"], row["severity"]);
    let rows = list["baselines"].as_array().unwrap();
    assert_eq!(
        rows.iter().map(shown).collect::<Vec<_>>(),
        [
            "8 \"alloc\" 120.0 \"warning\"",
            "10 \"alloc\" 3.0 \"info\"",
            "7 \"cpu\" 12.5 \"critical\"",
            "9 \"heap\" 1.0 \"dreadful\""
        ]
    );
    let problems = |row: &Value| row["problems"].as_array().map_or(0, Vec::len);
    assert_eq!(rows.iter().map(problems).collect::<Vec<_>>(), [1, 0, 0, 2], "{list}");
    assert_eq!(rows[0]["problems"][0], "maxSelfPercent: must be a number from 0 to 100");
    // Decisions only get the limits that can be applied.
    assert_eq!(port.list(&CALL, &"shop".parse().unwrap(), None).await.unwrap().len(), 2);

    let (status, changed) = call(&served, Method::PUT, "/baselines/9", Some(json!({"maxSelfPercent": 2}))).await;
    assert_eq!((status, &changed["maxSelfPercent"], problems(&changed)), (StatusCode::OK, &json!(2.0), 2), "{changed}");
    let (status, mended) = call(&served, Method::PUT, "/baselines/8", Some(json!({"maxSelfPercent": 20}))).await;
    assert_eq!((status, problems(&mended), &mended["profileType"]), (StatusCode::OK, 0, &json!("alloc")), "{mended}");
    assert_eq!(call(&served, Method::DELETE, "/baselines/9", None).await.0, StatusCode::NO_CONTENT);

    let new =
        json!({"appName": "shop", "profileType": "inuse", "functionName": "x".repeat(2_000), "maxSelfPercent": 1.25});
    assert_eq!(call(&served, Method::POST, "/baselines", Some(new.clone())).await.1["id"], 11, "after the largest");
    assert_eq!(call(&served, Method::POST, "/baselines", Some(new)).await.1["id"], 11);
}

#[actix_web::test]
async fn a_whole_row_may_be_sent_back_where_nothing_is_changed_that_cannot_be() {
    let test = crate::storage::testing::database().await;
    let served = serve(super::local(test.db.clone()));
    let new = json!({"appName": "shop", "profileType": "cpu", "functionName": "f", "maxSelfPercent": 5});
    let (_, row) = call(&served, Method::POST, "/baselines", Some(new)).await;
    let put = async |body: Value| call(&served, Method::PUT, "/baselines/1", Some(body)).await;
    let (status, same) = put(row.clone()).await;
    assert_eq!((status, &same["maxSelfPercent"]), (StatusCode::OK, &json!(5.0)), "{same}");
    let mut changed = row.clone();
    changed["maxSelfPercent"] = json!(7);
    assert_eq!(put(changed).await.1["maxSelfPercent"], 7.0);
    let mut other = row.clone();
    other["functionName"] = json!("g");
    let (status, problem) = put(other).await;
    let detail = "/functionName: cannot be changed, and is stored with another value";
    assert_eq!((status, &problem["detail"]), (StatusCode::BAD_REQUEST, &json!(detail)));
    assert_eq!(call(&served, Method::GET, "/baselines/shop", None).await.1["baselines"][0]["maxSelfPercent"], 7.0);
    // Without a change there is nothing to do, and an error points at its member.
    assert_eq!(put(json!({"id": 1})).await.0, StatusCode::BAD_REQUEST);
    let mut wrong = row;
    wrong["severity"] = json!("dreadful");
    let (_, problem) = put(wrong).await;
    assert_eq!(problem["errors"][0]["pointer"], "/severity", "{problem}");
}
