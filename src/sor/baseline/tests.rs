//! The routes over a real database, and what an adopted table looks like through them.

use actix_web::http::StatusCode;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions};

use super::conformance::serve;
use super::{BaselineChange, BaselineSor};
use crate::http::testing::Served;
use crate::kernel::{CALL, LimitSeverity, Percent, PortError, RowId};
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
        (7, 'shop', 'cpu', 'f', 12.5, 'CRITICAL', 'x'), (8, 'shop', 'memory', 'g', 120, NULL, NULL),
        (9, 'shop', 'heap', 'h', 1, 'info', NULL), (10, 'shop', 'memory', 'i', 3, 'info', NULL);";

#[actix_web::test]
async fn an_adopted_table_is_read_changed_and_added_to() {
    let test = empty_database().await;
    let mut connection = test.connect_options().connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(BY_HAND)).execute(&mut connection).await.unwrap();
    crate::storage::migrate::up(&mut connection, None).await.unwrap();
    let port = super::local(test.db.clone());
    let names = async |port: &dyn BaselineSor| {
        let rows = port.list(&CALL, &"shop".parse().unwrap(), None).await.unwrap();
        rows.iter()
            .map(|row| format!("{} {} {}", row.id.get(), row.profile_type, row.function_name))
            .collect::<Vec<_>>()
    };
    // 8 breaks a check and 9 has a type that does not exist: they stay in the table, but are no limits.
    assert_eq!(names(&*port).await, ["10 alloc i", "7 cpu f"]);
    let severity = BaselineChange { max_self_percent: None, severity: Some(LimitSeverity::Info) };
    let why = "the stored max_self_percent is not valid: give maxSelfPercent too";
    let kept = port.change(&CALL, RowId::new(8).unwrap(), severity).await.unwrap_err();
    assert_eq!(kept, PortError::Conflict(why.to_owned()));
    let mended = BaselineChange { max_self_percent: Some(Percent::new(20.0).unwrap()), severity: None };
    let row = port.change(&CALL, RowId::new(8).unwrap(), mended).await.unwrap().unwrap();
    assert_eq!((row.profile_type.as_str(), row.severity), ("alloc", LimitSeverity::Warning));
    let kept = port.change(&CALL, RowId::new(9).unwrap(), severity).await.unwrap_err();
    let why = "the stored profile_type is not valid: remove the row and write it anew";
    assert_eq!(kept, PortError::Conflict(why.to_owned()));
    assert_eq!(port.remove(&CALL, RowId::new(9).unwrap()).await, Ok(true));
    let new = super::NewBaseline {
        app_name: "shop".parse().unwrap(),
        profile_type: crate::kernel::ProfileType::Inuse,
        function_name: "x".repeat(2_000).parse().unwrap(),
        max_self_percent: Percent::new(1.25).unwrap(),
        severity: LimitSeverity::Info,
        created_by: None,
    };
    assert_eq!(port.set(&CALL, new.clone()).await.unwrap().id.get(), 11, "ids go on after the largest");
    assert_eq!(port.set(&CALL, new).await.unwrap().id.get(), 11);
    assert_eq!(names(&*port).await.len(), 4);
}

#[actix_web::test]
async fn a_limit_whose_author_cannot_be_read_is_not_set_again() {
    let test = database().await;
    let mut connection = test.connect_options().connect().await.unwrap();
    // A blank to us, though not to the table's check.
    let row = "INSERT INTO performance_baseline (app_name, profile_type, function_name, max_self_percent, created_by)
               VALUES ('shop', 'cpu', 'f', 5, U&'\\3000')";
    sqlx::raw_sql(row).execute(&mut connection).await.unwrap();
    let port = super::local(test.db.clone());
    let why = "the stored created_by is not valid: remove the row and write it anew";
    for author in [None, Some("ana".parse().unwrap())] {
        let again = super::NewBaseline {
            app_name: "shop".parse().unwrap(),
            profile_type: crate::kernel::ProfileType::Cpu,
            function_name: "f".parse().unwrap(),
            max_self_percent: Percent::new(7.5).unwrap(),
            severity: LimitSeverity::Info,
            created_by: author,
        };
        assert_eq!(port.set(&CALL, again).await, Err(PortError::Conflict(why.to_owned())));
    }
    let stored =
        sqlx::query_scalar::<_, f64>("SELECT max_self_percent FROM performance_baseline").fetch_one(&mut connection);
    assert_eq!(stored.await.unwrap().to_bits(), 5.0_f64.to_bits());
}
