//! The routes over a real database, and what an adopted table looks like through them.

use std::sync::Arc;

use actix_web::http::StatusCode;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions};

use super::MockRegistrySor;
use super::conformance::serve;
use crate::http::testing::Served;
use crate::kernel::CALL;
use crate::sor::testing::{call, members};
use crate::storage::testing::{TestDatabase, database, empty_database};

async fn served() -> (Served, TestDatabase) {
    let database = database().await;
    (serve(super::local(database.db.clone())), database)
}

fn full() -> Value {
    json!({"appName": "shop", "teamOwner": "ana", "tier": "critical", "environment": "prod",
           "notificationChannel": "#shop", "pyroscopeLabels": {"env": "prod"}, "metadata": {"repo": ["a", 1]}})
}

#[actix_web::test]
async fn a_service_lives_from_post_to_delete() {
    let (served, _database) = served().await;
    let (status, row) = call(&served, Method::POST, "/services", Some(full())).await;
    assert_eq!(status, StatusCode::CREATED);
    let mut expected = full();
    for name in ["id", "createdAt", "updatedAt"] {
        expected[name] = row[name].clone();
    }
    assert_eq!(row, expected);
    assert!(row["createdAt"].as_str().unwrap().ends_with('Z'));

    let (status, bare) = call(&served, Method::POST, "/services", Some(json!({"appName": "a/b c"}))).await;
    assert_eq!((status, members(&bare)), (StatusCode::CREATED, members(&row)));
    assert_eq!((&bare["tier"], &bare["pyroscopeLabels"]), (&json!("standard"), &json!({})));
    assert_eq!(call(&served, Method::GET, "/services/a%2Fb%20c", None).await, (StatusCode::OK, bare.clone()));

    let (_, list) = call(&served, Method::GET, "/services", None).await;
    assert_eq!(list, json!({"count": 2, "services": [bare, row]}));
    let (_, list) = call(&served, Method::GET, "/services?tier=critical", None).await;
    assert_eq!(list, json!({"count": 1, "services": [row]}));

    let change = json!({"teamOwner": null, "tier": "low"});
    let (status, changed) = call(&served, Method::PUT, "/services/shop", Some(change)).await;
    assert_eq!(
        (status, &changed["teamOwner"], &changed["tier"], &changed["environment"]),
        (StatusCode::OK, &Value::Null, &json!("low"), &json!("prod"))
    );
    assert_eq!(call(&served, Method::DELETE, "/services/shop", None).await.0, StatusCode::NO_CONTENT);
    for (method, body) in
        [(Method::DELETE, None), (Method::GET, None), (Method::PUT, Some(json!({"environment": null})))]
    {
        let (status, problem) = call(&served, method, "/services/shop", body).await;
        assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("service_unknown")));
    }
}

#[actix_web::test]
async fn null_in_a_registration_keeps_and_null_in_a_change_clears() {
    let (served, _database) = served().await;
    call(&served, Method::POST, "/services", Some(full())).await;
    let nulls = json!({"appName": "shop", "teamOwner": null, "tier": null, "metadata": null});
    let (status, row) = call(&served, Method::POST, "/services", Some(nulls)).await;
    assert_eq!(
        (status, &row["teamOwner"], &row["tier"], &row["metadata"]),
        (StatusCode::CREATED, &json!("ana"), &json!("critical"), &full()["metadata"])
    );
    let (_, row) = call(&served, Method::PUT, "/services/shop", Some(json!({"metadata": null}))).await;
    assert_eq!((&row["metadata"], &row["pyroscopeLabels"]), (&json!({}), &json!({"env": "prod"})));
}

#[actix_web::test]
async fn pages_are_walked_by_cursor() {
    let (served, _database) = served().await;
    for app in ["a", "b", "c"] {
        call(&served, Method::POST, "/services", Some(json!({"appName": app}))).await;
    }
    let (_, page) = call(&served, Method::GET, "/services?limit=2", None).await;
    assert_eq!(page["count"], 2);
    let next = page["nextCursor"].as_str().unwrap();
    let (_, page) = call(&served, Method::GET, &format!("/services?limit=2&cursor={next}"), None).await;
    assert_eq!((&page["services"][0]["appName"], page.get("nextCursor")), (&json!("c"), None));
}

#[rstest]
#[case("POST", "/services", json!({}), "body_invalid", "/appName: is missing")]
#[case("POST", "/services", json!({"appName": " "}), "body_invalid", "/appName: must not be empty")]
#[case("POST", "/services", json!({"appName": "a", "tier": ""}), "body_invalid", "/tier: must not be empty")]
#[case("POST", "/services", json!({"appName": "a", "tier": "x".repeat(21)}), "body_invalid", "/tier: is 21 bytes long, at most 20")]
#[case("POST", "/services", json!({"appName": "a", "teamOwner": "x".repeat(256)}), "body_invalid", "/teamOwner: is 256 bytes")]
#[case("POST", "/services", json!({"appName": "a", "environment": "\u{0}x"}), "body_invalid", "/environment: must not hold U+0000")]
#[case("POST", "/services", json!({"appName": "a", "pyroscopeLabels": ["x"]}), "body_invalid", "/pyroscopeLabels: must be an object of texts")]
#[case("POST", "/services", json!({"appName": "a", "pyroscopeLabels": {"x": 1}}), "body_invalid", "/pyroscopeLabels: must be an object of texts")]
#[case("POST", "/services", json!({"appName": "a", "pyroscopeLabels": {"service_name": "x"}}), "body_invalid", "set by the server")]
#[case("POST", "/services", json!({"appName": "a", "metadata": [1]}), "body_invalid", "/metadata: must be an object")]
#[case("POST", "/services", json!({"appName": "a", "metadata": {"x": "y".repeat(65_536)}}), "body_invalid", "at most 65536")]
#[case("POST", "/services", json!({"appName": "a", "metadata": {"pyroscopeTenant": "a|b"}}), "body_invalid", "/metadata: pyroscopeTenant may hold")]
#[case("POST", "/services", json!({"appName": "a", "metadata": {"pyroscopeTenant": 1}}), "body_invalid", "/metadata: pyroscopeTenant must be a text")]
#[case("POST", "/services", json!({"appName": "a", "id": 1}), "body_invalid", "/id: is unknown")]
#[case("POST", "/services?tier=a", json!({"appName": "a"}), "parameter_unknown", "tier")]
#[case("PUT", "/services/a", json!({}), "body_invalid", "give at least one of teamOwner")]
#[case("PUT", "/services/a", json!({"tier": null}), "body_invalid", "/tier")]
#[case("PUT", "/services/a", json!({"metadata": {"pyroscopeTenant": ".."}}), "body_invalid", "/metadata: pyroscopeTenant must not be")]
#[case("PUT", "/services/a", json!({"appName": "b"}), "body_invalid", "give at least one of teamOwner")]
#[case("GET", "/services?limit=0", Value::Null, "parameter_invalid", "limit")]
#[case("GET", "/services?limit=10001", Value::Null, "parameter_invalid", "limit")]
#[case("GET", "/services?cursor=x", Value::Null, "parameter_invalid", "cursor")]
#[case("GET", "/services?cursor=IlxcdTAwMDAi&tier=", Value::Null, "parameter_invalid", "tier: must not be empty")]
#[case("GET", "/services?cursor=Ilx1MDAwMCI", Value::Null, "parameter_invalid", "cursor: is no cursor")]
#[case("GET", "/services?owner=a", Value::Null, "parameter_unknown", "owner")]
#[case("GET", "/services/%FF", Value::Null, "parameter_invalid", "is not UTF-8")]
#[actix_web::test]
async fn a_bad_request_never_reaches_the_port(
    #[case] method: &str,
    #[case] path: &str,
    #[case] body: Value,
    #[case] code: &str,
    #[case] says: &str,
) {
    let served = serve(Arc::new(MockRegistrySor::new()));
    let body = Some(body).filter(|body| !body.is_null());
    let (status, problem) = call(&served, method.parse().unwrap(), path, body).await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!(code)), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    assert_eq!(problem["error"], problem["detail"]);
}

#[actix_web::test]
async fn other_methods_are_named() {
    let served = serve(Arc::new(MockRegistrySor::new()));
    let client = served.client();
    for (path, allow) in [(&["services"][..], "GET, HEAD, POST"), (&["services", "a"], "DELETE, GET, HEAD, PUT")] {
        let url = client.url(path.iter().copied());
        let answer = client.send(&CALL, client.request(Method::PATCH, url)).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.headers["allow"].to_str().unwrap()), (405, allow));
    }
}

const BY_HAND: &str = "
    CREATE TABLE service_registry (
        metadata json, tier varchar(10) CHECK (tier IN ('critical', 'high', 'standard')), app_name varchar(255) NOT NULL,
        team_owner varchar(100), id bigint PRIMARY KEY, pyroscope_labels text, note text);
    INSERT INTO service_registry (id, app_name, team_owner, tier, pyroscope_labels) VALUES
        (4, 'shop', 'ana', 'critical', '{\"env\": \"prod\", \"shard\": 7, \"hot\": true}'), (7, 'cart', '', NULL, NULL),
        (9, 'odd', 'bob', 'high', '{\"__x\": \"1\"}');
    INSERT INTO service_registry (id, app_name, metadata) VALUES (10, 'lost', '{\"pyroscopeTenant\": \"a|b\"}');";

#[actix_web::test]
async fn an_adopted_table_is_shown_changed_added_to_and_removed_from() {
    let test = empty_database().await;
    let mut connection = test.connect_options().connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(BY_HAND)).execute(&mut connection).await.unwrap();
    crate::storage::migrate::up(&mut connection, None).await.unwrap();
    let port = super::local(test.db.clone());
    let served = serve(port.clone());
    let (_, list) = call(&served, Method::GET, "/services", None).await;
    let apps: Vec<_> =
        list["services"].as_array().unwrap().iter().map(|row| row["appName"].as_str().unwrap()).collect();
    assert_eq!((apps, &list["count"]), (vec!["cart", "lost", "odd", "shop"], &json!(4)));
    // A blank owner is no owner. What was not given is an empty object. Values of labels are texts.
    let cart = &list["services"][0];
    assert_eq!(
        (&cart["teamOwner"], &cart["pyroscopeLabels"], &cart["metadata"]),
        (&Value::Null, &json!({}), &json!({}))
    );
    assert_eq!(list["services"][3]["pyroscopeLabels"], json!({"env": "prod", "shard": "7", "hot": "true"}));
    // Decisions only get services that can be applied.
    assert_eq!(port.list(&CALL).await.unwrap().len(), 2);

    let (status, odd) = call(&served, Method::GET, "/services/odd", None).await;
    assert_eq!((status, &odd["pyroscopeLabels"]), (StatusCode::OK, &json!({"__x": "1"})));
    assert!(odd["problems"][0].as_str().unwrap().starts_with("pyroscopeLabels: "), "{odd}");
    let (status, changed) = call(&served, Method::PUT, "/services/odd", Some(json!({"teamOwner": "eve"}))).await;
    assert_eq!((status, &changed["teamOwner"], changed["problems"].is_array()), (StatusCode::OK, &json!("eve"), true));
    let again = json!({"appName": "odd", "environment": "prod"});
    let (status, again) = call(&served, Method::POST, "/services", Some(again)).await;
    assert_eq!(
        (status, &again["environment"], again["problems"].is_array()),
        (StatusCode::CREATED, &json!("prod"), true)
    );
    let (_, mended) = call(&served, Method::PUT, "/services/odd", Some(json!({"pyroscopeLabels": null}))).await;
    assert_eq!((&mended["pyroscopeLabels"], mended.get("problems")), (&json!({}), None), "{mended}");
    let (_, lost) = call(&served, Method::GET, "/services/lost", None).await;
    assert!(lost["problems"][0].as_str().unwrap().starts_with("metadata: pyroscopeTenant "), "{lost}");
    assert_eq!(call(&served, Method::DELETE, "/services/lost", None).await.0, StatusCode::NO_CONTENT);

    let (_, new) = call(&served, Method::POST, "/services", Some(json!({"appName": "new", "tier": "of my own"}))).await;
    assert_eq!((&new["id"], &new["tier"]), (&json!(12), &json!("of my own")), "{new}");
    assert_eq!(call(&served, Method::POST, "/services", Some(json!({"appName": "new"}))).await.1["id"], 12);
    let (status, same) = call(&served, Method::PUT, "/services/new", Some(new)).await;
    assert_eq!((status, &same["tier"]), (StatusCode::OK, &json!("of my own")), "{same}");
    let other = json!({"appName": "another", "tier": "high"});
    assert_eq!(call(&served, Method::PUT, "/services/new", Some(other)).await.0, StatusCode::BAD_REQUEST);
}
