//! The routes over a real database, and what an adopted table looks like through them.

use std::sync::Arc;

use actix_web::http::StatusCode;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions};

use super::MockAlertRuleSor;
use super::conformance::serve;
use crate::http::testing::Served;
use crate::kernel::CALL;
use crate::sor::testing::{call, members};
use crate::storage::testing::{TestDatabase, database, empty_database};

async fn served() -> (Served, TestDatabase) {
    let database = database().await;
    (serve(super::local(database.db.clone())), database)
}

fn body() -> Value {
    json!({"appName": "shop", "profileType": "memory", "thresholdPercent": 20})
}

#[actix_web::test]
async fn a_rule_lives_from_post_to_delete() {
    let (served, _database) = served().await;
    let (status, row) = call(&served, Method::POST, "/rules", Some(body())).await;
    assert_eq!(status, StatusCode::CREATED);
    let expected = json!({"id": row["id"], "appName": "shop", "profileType": "alloc", "thresholdPercent": 20.0,
        "functionPattern": null, "severity": "warning", "notificationChannel": null, "enabled": true, "services": null,
        "measure": null, "category": null, "windowSeconds": null, "forSeconds": null, "keepFiringSeconds": null,
        "runbookUrl": null, "createdBy": null, "createdAt": row["createdAt"], "updatedAt": row["createdAt"]});
    assert_eq!(row, expected);
    assert!(row["createdAt"].as_str().unwrap().ends_with('Z'));
    let path = format!("/rules/{}", row["id"]);
    assert_eq!(call(&served, Method::GET, &path, None).await, (StatusCode::OK, row.clone()));
    let list = json!({"count": 1, "rules": [row]});
    assert_eq!(call(&served, Method::GET, "/rules", None).await.1, list);
    assert_eq!(call(&served, Method::GET, "/rules?appName=shop", None).await.1, list);
    let active = json!({"appName": "shop", "count": 1, "rules": [row]});
    assert_eq!(call(&served, Method::GET, "/rules/active/shop", None).await.1, active);

    let change = json!({"enabled": false, "functionPattern": "^main", "notificationChannel": null});
    let (status, changed) = call(&served, Method::PUT, &path, Some(change)).await;
    assert_eq!(
        (status, &changed["enabled"], &changed["functionPattern"], &changed["thresholdPercent"]),
        (StatusCode::OK, &json!(false), &json!("^main"), &json!(20.0))
    );
    assert_eq!(members(&changed), members(&row));
    let none = json!({"appName": "shop", "count": 0, "rules": []});
    assert_eq!(call(&served, Method::GET, "/rules/active/shop", None).await, (StatusCode::OK, none));
    assert_eq!(call(&served, Method::DELETE, &path, None).await.0, StatusCode::NO_CONTENT);
    for (method, body) in [(Method::DELETE, None), (Method::GET, None), (Method::PUT, Some(json!({"enabled": true})))] {
        let (status, problem) = call(&served, method, &path, body).await;
        assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("rule_unknown")));
    }
}

#[actix_web::test]
async fn a_whole_row_is_sent_back_and_what_does_not_go_together_is_a_bad_body() {
    let (served, _database) = served().await;
    let given = json!({"appName": "*", "profileType": "cpu", "thresholdPercent": 30, "category": "gc_pressure",
        "services": {"tier": "critical"}, "windowSeconds": 900, "runbookUrl": "https://wiki.example/gc"});
    let (status, row) = call(&served, Method::POST, "/rules", Some(given)).await;
    assert_eq!((status, &row["services"]), (StatusCode::CREATED, &json!({"tier": "critical"})), "{row}");
    let path = format!("/rules/{}", row["id"]);
    let (status, same) = call(&served, Method::PUT, &path, Some(row.clone())).await;
    assert_eq!(
        (status, &same["category"], &same["windowSeconds"]),
        (StatusCode::OK, &json!("gc_pressure"), &json!(900))
    );
    let (status, problem) = call(&served, Method::PUT, &path, Some(json!({"measure": "self"}))).await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("body_invalid")));
    let detail = problem["detail"].as_str().unwrap();
    assert_eq!(detail, "/category: is measured over all functions: leave out functionPattern and measure");
    // Rules for every app are no rules of an app of that name alone.
    assert_eq!(call(&served, Method::GET, "/rules/active/shop", None).await.1["count"], 0);
}

#[actix_web::test]
async fn pages_are_walked_by_cursor() {
    let (served, _database) = served().await;
    for _ in 0..3 {
        call(&served, Method::POST, "/rules", Some(body())).await;
    }
    for list in ["/rules?", "/rules?appName=shop&", "/rules/active/shop?"] {
        let (_, page) = call(&served, Method::GET, &format!("{list}limit=2"), None).await;
        assert_eq!(page["count"], 2);
        let next = page["nextCursor"].as_str().unwrap();
        let (_, page) = call(&served, Method::GET, &format!("{list}limit=2&cursor={next}"), None).await;
        assert_eq!((&page["rules"][0]["id"], page.get("nextCursor")), (&json!(1), None), "{list}");
    }
}

#[rstest]
#[case("POST", "/rules", json!({"appName": "a", "profileType": "cpu"}), "body_invalid", "/thresholdPercent: is missing")]
#[case("POST", "/rules", json!({"appName": "a", "profileType": "heap", "thresholdPercent": 1}), "body_invalid", "/profileType: unknown profile type")]
#[case("POST", "/rules", json!({"appName": "a", "profileType": "cpu", "thresholdPercent": 100.5}), "body_invalid", "/thresholdPercent: must be a number from 0 to 100")]
#[case("POST", "/rules", json!({"appName": "a", "profileType": "cpu", "thresholdPercent": 1, "functionPattern": "("}), "body_invalid", "/functionPattern: is not a regular expression that can be used here: unclosed group")]
#[case("POST", "/rules", json!({"appName": "a", "profileType": "cpu", "thresholdPercent": 1, "functionPattern": "(?=a)"}), "body_invalid", "/functionPattern: is not a regular expression")]
#[case("POST", "/rules", json!({"appName": "a", "profileType": "cpu", "thresholdPercent": 1, "functionPattern": ""}), "body_invalid", "/functionPattern: must not be empty")]
#[case("POST", "/rules", json!({"appName": "a", "profileType": "cpu", "thresholdPercent": 1, "functionPattern": "x".repeat(1_025)}), "body_invalid", "/functionPattern: is 1025 bytes long")]
#[case("POST", "/rules", json!({"appName": "a", "profileType": "cpu", "thresholdPercent": 1, "severity": "high"}), "body_invalid", "/severity")]
#[case("POST", "/rules", json!({"appName": "a", "profileType": "cpu", "thresholdPercent": 1, "enabled": "yes"}), "body_invalid", "/enabled")]
#[case("POST", "/rules", json!({"appName": "a", "profileType": "cpu", "thresholdPercent": 1, "functionName": "x"}), "body_invalid", "/functionName: is unknown")]
#[case("POST", "/rules", json!({"appName": "a", "profileType": "cpu", "thresholdPercent": 1, "measure": "sum"}), "body_invalid", "/measure: sum and total are of the functions that functionPattern names")]
#[case("POST", "/rules", json!({"appName": "a", "profileType": "cpu", "thresholdPercent": 1, "measure": "total"}), "body_invalid", "/measure: sum and total are of the functions that functionPattern names")]
#[case("POST", "/rules", json!({"appName": "a", "profileType": "cpu", "thresholdPercent": 1, "measure": "largest"}), "body_invalid", "/measure")]
#[case("POST", "/rules", json!({"appName": "a", "profileType": "cpu", "thresholdPercent": 1, "category": "regex", "functionPattern": "x"}), "body_invalid", "/category: is measured over all functions")]
#[case("POST", "/rules", json!({"appName": "a", "profileType": "cpu", "thresholdPercent": 1, "category": "regex", "measure": "self"}), "body_invalid", "/category: is measured over all functions")]
#[case("POST", "/rules", json!({"appName": "a", "profileType": "cpu", "thresholdPercent": 1, "category": "idle"}), "body_invalid", "/category: \"idle\" is no category that a rule can be for")]
#[case("POST", "/rules", json!({"appName": "a", "profileType": "cpu", "thresholdPercent": 1, "category": "none"}), "body_invalid", "/category: \"none\" is no category")]
#[case("POST", "/rules", json!({"appName": "a", "profileType": "cpu", "thresholdPercent": 1, "services": {"tier": "critical"}}), "body_invalid", "/services: narrows a rule for every app")]
#[case("POST", "/rules", json!({"appName": "a", "profileType": "cpu", "thresholdPercent": 1, "services": {"team": "x"}}), "body_invalid", "/services")]
#[case("POST", "/rules", json!({"appName": "a", "profileType": "cpu", "thresholdPercent": 1, "windowSeconds": 600}), "body_invalid", "/windowSeconds: is 600 s, must be 300, 900 or 3600")]
#[case("POST", "/rules", json!({"appName": "a", "profileType": "cpu", "thresholdPercent": 1, "forSeconds": 86_401}), "body_invalid", "/forSeconds: is 86401 s, must be from 0 to 86400")]
#[case("POST", "/rules", json!({"appName": "a", "profileType": "cpu", "thresholdPercent": 1, "keepFiringSeconds": -1}), "body_invalid", "/keepFiringSeconds: is -1 s, must be from 0 to 86400")]
#[case("POST", "/rules", json!({"appName": "a", "profileType": "cpu", "thresholdPercent": 1, "runbookUrl": "ftp://a"}), "body_invalid", "/runbookUrl: must be an address that begins with http:// or https://")]
#[case("POST", "/rules", json!({"appName": "a", "profileType": "cpu", "thresholdPercent": 1, "runbookUrl": format!("https://{}", "x".repeat(248))}), "body_invalid", "/runbookUrl: is 256 bytes long")]
#[case("PUT", "/rules/1", json!({"windowSeconds": 1}), "body_invalid", "/windowSeconds: is 1 s")]
#[case("PUT", "/rules/1", json!({"category": "unresolved"}), "body_invalid", "/category: \"unresolved\" is no category")]
#[case("PUT", "/rules/1", json!({}), "body_invalid", "give at least one of thresholdPercent")]
#[case("PUT", "/rules/1", json!({"enabled": null}), "body_invalid", "/enabled")]
#[case("PUT", "/rules/1", json!({"functionPattern": "["}), "body_invalid", "/functionPattern")]
#[case("PUT", "/rules/1", json!({"createdBy": "eve"}), "body_invalid", "give at least one of thresholdPercent")]
#[case("PUT", "/rules/1", json!({"profileType": "cpu"}), "body_invalid", "give at least one of thresholdPercent")]
#[case("PUT", "/rules/one", json!({"enabled": true}), "parameter_invalid", "id: must be an id")]
#[case("GET", "/rules/active", Value::Null, "parameter_invalid", "id: must be an id")]
#[case("GET", "/rules?limit=10001", Value::Null, "parameter_invalid", "limit")]
#[case("GET", "/rules?appName=", Value::Null, "parameter_invalid", "appName: must not be empty")]
#[case("GET", "/rules?app=a", Value::Null, "parameter_unknown", "app")]
#[case("GET", "/rules/active/a?appName=a", Value::Null, "parameter_unknown", "appName")]
#[case(
    "GET",
    "/rules?cursor=WyJhIiwiKzI2MjE0Mi0wMS0wMVQwMDowMDowMFoiLDFd",
    Value::Null,
    "parameter_invalid",
    "cursor: is no cursor"
)]
#[case("GET", "/rules/active/a?cursor=x", Value::Null, "parameter_invalid", "cursor")]
#[actix_web::test]
async fn a_bad_request_never_reaches_the_port(
    #[case] method: &str,
    #[case] path: &str,
    #[case] body: Value,
    #[case] code: &str,
    #[case] says: &str,
) {
    let served = serve(Arc::new(MockAlertRuleSor::new()));
    let body = Some(body).filter(|body| !body.is_null());
    let (status, problem) = call(&served, method.parse().unwrap(), path, body).await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!(code)), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
}

#[actix_web::test]
async fn an_id_that_no_row_can_have_is_unknown_and_other_methods_are_named() {
    let served = serve(Arc::new(MockAlertRuleSor::new()));
    for id in ["0", "-3", "2147483648", "99999999999999999999"] {
        let (status, problem) = call(&served, Method::GET, &format!("/rules/{id}"), None).await;
        assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("rule_unknown")), "{id}");
    }
    let client = served.client();
    for (path, allow) in [
        (&["rules"][..], "GET, HEAD, POST"),
        (&["rules", "1"], "DELETE, GET, HEAD, PUT"),
        (&["rules", "active", "a"], "GET, HEAD"),
    ] {
        let url = client.url(path.iter().copied());
        let answer = client.send(&CALL, client.request(Method::PATCH, url)).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.headers["allow"].to_str().unwrap()), (405, allow));
    }
}

const BY_HAND: &str = "
    CREATE TABLE alert_rule (
        enabled integer, function_pattern varchar(200), threshold_percent numeric(5,2) NOT NULL, app_name text NOT NULL,
        profile_type varchar(20) NOT NULL, severity varchar(20) CHECK (severity IN ('warning', 'critical', 'medium')),
        id bigserial PRIMARY KEY, created_at timestamp DEFAULT now());
    INSERT INTO alert_rule (app_name, profile_type, threshold_percent, severity, enabled, function_pattern, created_at) VALUES
        ('shop', 'mutex', 12.5, 'critical', 1, '*GC*(x)', '2024-01-02 03:04:05'), ('shop', 'cpu', 5, NULL, NULL, '', '2024-01-02 03:04:06'),
        ('shop', 'cpu', 5, 'medium', 0, '(?<=a)b', '2024-01-02 03:04:07'), ('shop', 'disk', 500, 'warning', 1, NULL, '2024-01-02 03:04:08');";

#[actix_web::test]
async fn an_adopted_table_is_shown_changed_added_to_and_removed_from() {
    let test = empty_database().await;
    let mut connection = test.connect_options().connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(BY_HAND)).execute(&mut connection).await.unwrap();
    crate::storage::migrate::up(&mut connection, None).await.unwrap();
    let port = super::local(test.db.clone());
    let served = serve(port.clone());
    let (_, list) = call(&served, Method::GET, "/rules", None).await;
    let shown = |row: &Value| {
        let problems = row["problems"].as_array().map_or(0, Vec::len);
        format!("{} {} {} {} {problems}", row["id"], row["profileType"], row["severity"], row["functionPattern"])
    };
    assert_eq!(
        list["rules"].as_array().unwrap().iter().map(shown).collect::<Vec<_>>(),
        [
            "4 \"disk\" \"warning\" null 2",
            "3 \"cpu\" \"warning\" \"(?<=a)b\" 1",
            "2 \"cpu\" \"warning\" null 0",
            "1 \"lock\" \"critical\" \"^.*GC.*\\\\(x\\\\)$\" 0"
        ]
    );
    assert_eq!((&list["count"], &list["rules"][3]["createdAt"]), (&json!(4), &json!("2024-01-02T03:04:05Z")));
    // An evaluation only gets the rules that can be applied.
    assert_eq!(port.active(&CALL, &"shop".parse().unwrap()).await.unwrap().len(), 2);

    let (status, odd) = call(&served, Method::GET, "/rules/4", None).await;
    assert_eq!((status, &odd["thresholdPercent"]), (StatusCode::OK, &json!(500.0)));
    let (status, off) = call(&served, Method::PUT, "/rules/4", Some(json!({"enabled": false}))).await;
    assert_eq!(
        (status, &off["enabled"], off["problems"].as_array().unwrap().len()),
        (StatusCode::OK, &json!(false), 2)
    );
    let (_, mended) = call(&served, Method::PUT, "/rules/3", Some(json!({"functionPattern": "b"}))).await;
    assert_eq!((&mended["functionPattern"], mended.get("problems")), (&json!("b"), None));
    let (status, same) = call(&served, Method::PUT, "/rules/3", Some(mended)).await;
    assert_eq!((status, &same["functionPattern"]), (StatusCode::OK, &json!("b")), "{same}");
    assert_eq!(call(&served, Method::DELETE, "/rules/4", None).await.0, StatusCode::NO_CONTENT);
    let (_, new) = call(&served, Method::POST, "/rules", Some(body())).await;
    assert_eq!((&new["id"], &new["severity"]), (&json!(5), &json!("warning")), "{new}");
}
