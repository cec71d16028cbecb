//! An operation is slower than its limit, and somebody is told, with whole servers and a receiver that listens.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::alerting::{slack, told};
use crate::harness::{Flamewarden, Setup};
use crate::processes::until;

async fn record(server: &Flamewarden, count: usize, micros: i64) {
    let one = json!({"operationType": "checkout", "durationUs": micros, "scope": "shop", "userName": "ana"});
    let body = json!({"metrics": vec![one; count]});
    let answer = server.request(Method::POST, "/performance/metrics/batch").json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

/// Waits until a list has one row that holds so.
async fn one(server: &Flamewarden, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let row = async || {
        server.request(Method::POST, "/schedule/performance_alerts/run").send().await.unwrap();
        server.json(path).await.1["alerts"][0].clone()
    };
    until(&format!("an alert in {path}"), || async { holds(&row().await) }).await;
    row().await
}

#[actix_web::test]
async fn a_limit_that_many_pass_is_an_alert_that_people_are_told_of_and_acknowledge_in_either_place() {
    let receiver = slack().await;
    let hook = format!("{}/services/hook", receiver.uri());
    let server = Flamewarden::start_whole(Setup::of(&[("SLACK_WEBHOOK_URL", &hook)])).await;
    // Its first round would take what is slow below for usual.
    until("the first round of limits", || async {
        let jobs = server.json("/schedule").await.1;
        let round = jobs["jobs"].as_array().unwrap().iter().find(|job| job["name"] == "performance_baselines").cloned();
        round.is_some_and(|round| round["outcome"] == "ok")
    })
    .await;
    record(&server, 20, 10_000).await;
    let learn = json!({"operationType": "checkout"});
    let learnt = server.request(Method::POST, "/performance/baselines").json(&learn).send().await.unwrap();
    assert_eq!(learnt.json::<Value>().await.unwrap()["limitUs"], 20_000);
    // One that is slow is an alert here, and wakes nobody.
    record(&server, 1, 90_000).await;
    let alert = one(&server, "/performance/alerts?resolved=false", |alert| alert["occurrences"] == 1).await;
    assert_eq!((&alert["severity"], &alert["sustainedAt"]), (&json!("critical"), &Value::Null));
    assert_eq!(server.json("/alerts?source=latency").await.1["count"], 0);

    // Ten thousand of eight clients at once are one alert, of which people are told once.
    join_all((0..8).map(|_| record(&server, 1_250, 91_000))).await;
    let all = |alert: &Value| alert["state"] == "firing" && alert["occurrences"] == 10_001;
    let incident = one(&server, "/alerts?source=latency", all).await;
    let what = ["fingerprint", "severity", "unit", "value", "occurrences"].map(|name| incident[name].clone());
    let expected = [json!("latency/checkout"), json!("critical"), json!("ratio"), json!(9.1), json!(10_001)];
    assert_eq!(what, expected, "{incident}");
    let message = "checkout: 91 ms at worst, 10 ms before";
    until("a message", || async { told(&receiver).await.contains(message) }).await;
    for _ in 0..3 {
        one(&server, "/alerts?source=latency", all).await;
    }
    assert_eq!(told(&receiver).await.lines().filter(|sent| sent.contains(message)).count(), 1, "told once");

    let acknowledge = format!("/alerts/{}/acknowledge", incident["id"]);
    let by_ana = json!({"by": "ana", "note": "rolling back"});
    let done = server.request(Method::POST, &acknowledge).json(&by_ana).send().await.unwrap();
    assert_eq!(done.status(), 200);
    let alert = one(&server, "/performance/alerts", |alert| alert["acknowledged"] == true).await;
    assert_eq!((&alert["acknowledgedBy"], &alert["resolutionNotes"]), (&json!("ana"), &json!("rolling back")));
    let here = format!("/performance/alerts/{}/acknowledge", alert["id"]);
    let again = server.request(Method::PUT, &here).json(&json!({})).send().await.unwrap();
    assert_eq!(again.status(), 409, "the first stays");
    let audited = server.json("/audit?resourceType=latency_alert").await.1;
    assert_eq!(audited["entries"][0]["action"], "latency_alert.acknowledge", "{audited}");
}
