//! The routes, and what is refused before it reaches the port.

mod alertmanager;

use std::sync::Arc;

use actix_web::http::StatusCode;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use wiremock::matchers::{body_partial_json, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::conformance::{message, parts, serve};
use super::{MirroredAlert, MockNotificationSor, NotificationSor};
use crate::config::ChannelSource;
use crate::kernel::{CALL, PortError};
use crate::sor::testing::{call, members};
use crate::storage::testing::database;

#[rstest]
#[case("GET", "/channels?x=1", Value::Null, "parameter_unknown")]
#[case("POST", "/channels/a%20b/test", Value::Null, "parameter_invalid")]
#[case("POST", "/channels/ops/test?x=1", Value::Null, "parameter_unknown")]
#[case("GET", "/notifications?state=lost", Value::Null, "parameter_invalid")]
#[case("GET", "/notifications?channel=a%20b", Value::Null, "parameter_invalid")]
#[case("GET", "/notifications?alertId=0", Value::Null, "parameter_invalid")]
#[case("GET", "/notifications?alertId=2147483648", Value::Null, "parameter_invalid")]
#[case("GET", "/notifications?limit=1001", Value::Null, "parameter_invalid")]
#[case("GET", "/notifications?cursor=x", Value::Null, "parameter_invalid")]
#[case("POST", "/notifications/x/retry", Value::Null, "parameter_invalid")]
#[case("POST", "/core/notification/enqueue", json!({"messages": []}), "body_invalid")]
#[case("POST", "/core/notification/enqueue", json!({"messages": [{"key": "a"}]}), "body_invalid")]
#[case("POST", "/core/notification/mirror", json!({"alerts": [{"labels": {}}]}), "body_invalid")]
#[actix_web::test]
async fn a_bad_request_never_reaches_the_port(
    #[case] method: &str,
    #[case] path: &str,
    #[case] body: Value,
    #[case] code: &str,
) {
    let served = serve(Arc::new(MockNotificationSor::new()));
    let body = Some(body).filter(|body| !body.is_null());
    let (status, problem) = call(&served, method.parse().unwrap(), path, body).await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!(code)), "{problem}");
}

#[actix_web::test]
async fn messages_are_checked_one_by_one() {
    let served = serve(Arc::new(MockNotificationSor::new()));
    let valid = serde_json::to_value(message(1, "a", &["#ops"])).unwrap();
    let with = |name: &str, value: Value| {
        let mut wrong = valid.clone();
        wrong[name] = value;
        json!({"messages": [valid, wrong]})
    };
    for (body, why) in [
        (json!({"messages": vec![&valid; 1_001]}), "must hold 1 to 1000 messages, and holds 1001"),
        (with("key", json!("")), "must not be empty"),
        (with("incidentId", json!(0)), "must be an id from 1"),
        (with("meantFor", json!(["x".repeat(256)])), "is 256 bytes long"),
        (with("at", json!("now")), "at"),
    ] {
        let (status, problem) = call(&served, Method::POST, "/core/notification/enqueue", Some(body)).await;
        let text = problem["detail"].as_str().unwrap_or_default();
        assert!(status == StatusCode::BAD_REQUEST && text.contains(why), "{problem}, expected {why}");
    }
}

#[actix_web::test]
async fn what_is_unknown_has_a_code_of_its_own() {
    let mut port = MockNotificationSor::new();
    port.expect_test().returning(|_, _| Ok(None));
    port.expect_retry().returning(|_, id| if id.get() == 1 { Ok(None) } else { Err(PortError::Conflict("no".into())) });
    let served = serve(Arc::new(port));
    for (path, status, code) in [
        ("/channels/ops/test", StatusCode::NOT_FOUND, "channel_unknown"),
        ("/notifications/1/retry", StatusCode::NOT_FOUND, "notification_unknown"),
        ("/notifications/0/retry", StatusCode::NOT_FOUND, "notification_unknown"),
        ("/notifications/2/retry", StatusCode::CONFLICT, "conflict"),
    ] {
        let (found, problem) = call(&served, Method::POST, path, None).await;
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{path}");
    }
}

#[actix_web::test]
async fn a_list_of_notifications_shows_the_notice_and_how_it_stands() {
    let test = database().await;
    let source = ChannelSource::Settings { slack: Some("http://127.0.0.1:1".into()), alertmanager: None };
    let port = super::local(test.db.clone(), parts(&source));
    port.enqueue(&CALL, vec![message(7, "a", &[]), message(8, "b", &[])]).await.unwrap();
    let served = serve(port);
    let (status, page) = call(&served, Method::GET, "/notifications?limit=1", None).await;
    assert_eq!((status, &page["count"], &page["notifications"][0]["key"]), (StatusCode::OK, &json!(1), &json!("b")));
    let columns = [
        "attempts",
        "channel",
        "createdAt",
        "id",
        "incidentId",
        "key",
        "lastError",
        "notice",
        "settledAt",
        "state",
        "unresolved",
    ];
    assert_eq!(members(&page["notifications"][0]), columns);
    let next = page["nextCursor"].as_str().unwrap();
    let (_, page) = call(&served, Method::GET, &format!("/notifications?limit=1&cursor={next}"), None).await;
    assert_eq!((&page["notifications"][0]["notice"]["alert"]["id"], &page["nextCursor"]), (&json!(7), &Value::Null));
}

fn alert(number: usize) -> MirroredAlert {
    MirroredAlert {
        labels: [("alertname".to_owned(), format!("a{number}"))].into(),
        annotations: [("summary".to_owned(), "größe".to_owned())].into(),
        starts_at: "2026-01-23T08:53:20Z".parse().unwrap(),
        ends_at: "2026-01-23T08:58:20Z".parse().unwrap(),
        generator_url: "http://fw/alerts/1".to_owned(),
    }
}

/// The port with one Alertmanager.
async fn mirroring(server: &MockServer) -> (Arc<dyn NotificationSor>, crate::storage::testing::TestDatabase) {
    let test = database().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = format!("[channel.am]\nkind = \"alertmanager\"\nurl = \"{}/prefix\"\nsecret = \"s3\"\n", server.uri());
    std::fs::write(file.path(), text).unwrap();
    (super::local(test.db.clone(), parts(&ChannelSource::File(file.path().to_owned()))), test)
}

#[actix_web::test]
async fn an_alertmanager_is_handed_all_alerts_five_hundred_at_a_time() {
    let server = MockServer::start().await;
    let one = json!([{"labels": {"alertname": "a0"}, "annotations": {"summary": "größe"}, "generatorURL": "http://fw/alerts/1",
        "startsAt": "2026-01-23T08:53:20Z", "endsAt": "2026-01-23T08:58:20Z"}]);
    let post = || Mock::given(method("POST")).and(path("/prefix/api/v2/alerts"));
    post()
        .and(wiremock::matchers::header("authorization", "Bearer s3"))
        .respond_with(ResponseTemplate::new(200))
        .mount(&server)
        .await;
    let (port, _test) = mirroring(&server).await;
    port.mirror(&CALL, (0..501).map(alert).collect()).await.unwrap();
    let received = server.received_requests().await.unwrap();
    let bodies: Vec<Value> = received.iter().map(|request| request.body_json().unwrap()).collect();
    let sizes: Vec<_> = bodies.iter().map(|body| body.as_array().unwrap().len()).collect();
    assert_eq!((sizes, &bodies[0][0]), (vec![500, 1], &one[0]));
}

#[actix_web::test]
async fn an_alertmanager_that_does_not_take_alerts_is_named() {
    let server = MockServer::start().await;
    let refused = body_partial_json(json!([{"labels": {"alertname": "a1"}}]));
    Mock::given(method("POST")).and(refused).respond_with(ResponseTemplate::new(400)).mount(&server).await;
    let (port, _test) = mirroring(&server).await;
    let error = port.mirror(&CALL, vec![alert(1)]).await.unwrap_err();
    let expected = "channel am: the receiver answered 400 Bad Request";
    assert_eq!(error, PortError::Unavailable(expected.to_owned()));
    let enqueued = port.enqueue(&CALL, vec![message(1, "a", &["am"])]).await.unwrap();
    assert_eq!((&enqueued[0].channel, &enqueued[0].unresolved[..]), (&None, &["am".to_owned()][..]));
}
