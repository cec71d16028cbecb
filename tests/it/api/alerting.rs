//! A rule is saved, profiles come, and somebody is told, with whole servers and a receiver that listens.

use chrono::{DurationRound, TimeDelta};
use flamewarden::kernel::{Clock, SystemClock};
use reqwest::Method;
use serde_json::{Value, json};
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::pushing::{COLLECTOR, Made, PRICES};
use crate::harness::{Flamewarden, Setup};
use crate::processes::until;

/// A channel of Slack that takes everything.
pub(super) async fn slack() -> MockServer {
    let receiver = MockServer::start().await;
    let taken = ResponseTemplate::new(200).set_body_string("ok");
    Mock::given(path("/services/hook")).respond_with(taken).mount(&receiver).await;
    receiver
}

/// What arrived, as one text.
pub(super) async fn told(receiver: &MockServer) -> String {
    let requests = receiver.received_requests().await.unwrap();
    requests.iter().map(|request| String::from_utf8_lossy(&request.body).into_owned()).collect::<Vec<_>>().join("\n")
}

/// Pushes six minutes of an app that collects garbage for 60 % of the time.
async fn pushed(server: &Flamewarden) {
    let end = SystemClock.now().duration_trunc(TimeDelta::minutes(1)).unwrap();
    for ago in 1..=6 {
        let at = end - TimeDelta::minutes(ago) + TimeDelta::seconds(20);
        let made = Made::cpu_at("shop", at).with(&COLLECTOR, 60 * 60).with(&PRICES, 60 * 40);
        made.ingest(server).await;
    }
}

/// Waits until a list of alerts has so many. Asks for a round meanwhile: the next one by itself is up to a minute away.
async fn evaluated(server: &Flamewarden, alerts: &str, count: usize) -> Value {
    let asked = || async {
        server.request(Method::POST, "/schedule/alert_rules/run").send().await.unwrap();
        server.json(alerts).await.1["count"] == count
    };
    until(&format!("{count} in {alerts}"), asked).await;
    server.json(alerts).await.1
}

#[actix_web::test]
async fn a_rule_fires_is_told_with_what_the_verdict_says_and_is_over_when_it_is_disabled() {
    let receiver = slack().await;
    let hook = format!("{}/services/hook", receiver.uri());
    let server = Flamewarden::start_whole(Setup::of(&[("SLACK_WEBHOOK_URL", &hook)])).await;
    pushed(&server).await;
    let owner = json!({"appName": "shop", "teamOwner": "orders", "tier": "critical", "notificationChannel": "#orders"});
    server.request(Method::POST, "/services").json(&owner).send().await.unwrap();
    let rule = json!({"appName": "*", "profileType": "cpu", "thresholdPercent": 30, "category": "gc_pressure",
        "services": {"tier": "critical"}, "severity": "critical", "forSeconds": 0});
    let made = server.request(Method::POST, "/rules").json(&rule).send().await.unwrap();
    assert_eq!(made.status(), 201);

    let alerts = evaluated(&server, "/alerts?ruleId=1", 1).await;
    let alert = &alerts["alerts"][0];
    let what = ["appName", "source", "severity", "title", "fingerprint", "threshold"].map(|name| alert[name].clone());
    let expected = ["shop", "rule", "critical", "gc_pressure over 30 % of cpu", "rule/1/shop"].map(Value::from);
    assert_eq!(what[..5], expected, "{alert}");
    assert_eq!(alert["value"], 60.0);
    let state = server.json("/rules/1/state").await.1;
    let app = &state["apps"][0];
    assert_eq!(
        (&app["app"], &app["verdict"], &app["state"]),
        (&json!("shop"), &json!("over"), &json!("firing")),
        "{state}"
    );
    assert_eq!(server.json("/rules/9/state").await.0, 404);

    until("the message that it fires", || async { told(&receiver).await.contains("FIRING critical · shop") }).await;
    let text = told(&receiver).await;
    for part in
        ["gc_pressure 60.0 % of cpu (limit 30 %; ", "rule 1 · team orders", "/triage/shop?types=cpu", "what changed"]
    {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    let id = alert["id"].to_string();
    let shown = || async { server.json(&format!("/alerts/{id}")).await.1 };
    until("it to be noted", || async { shown().await["toldState"] == "firing" }).await;
    assert_eq!(shown().await["toldChannel"], "slack");
    let delivered =
        || async { server.json(&format!("/notifications?alertId={id}&state=delivered")).await.1["count"] == 1 };
    until("the message to be settled", delivered).await;

    let off = server.request(Method::PUT, "/rules/1").json(&json!({"enabled": false})).send().await.unwrap();
    assert_eq!(off.status(), 200);
    let over = evaluated(&server, "/alerts?state=resolved&ruleId=1", 1).await;
    assert_eq!(over["alerts"][0]["resolveReason"], "rule_disabled");
    until("the message that it is over", || async { told(&receiver).await.contains("RESOLVED critical · shop") }).await;
}

#[actix_web::test]
async fn an_approved_limit_that_is_passed_is_an_alert_until_it_is_removed() {
    let server = Flamewarden::start_whole(Setup::of(&[])).await;
    pushed(&server).await;
    let limit = json!({"appName": "shop", "profileType": "cpu", "functionName": "shop.Price.sum", "maxSelfPercent": 5,
        "severity": "critical"});
    let made: Value =
        server.request(Method::POST, "/baselines").json(&limit).send().await.unwrap().json().await.unwrap();
    assert_eq!(server.json("/baselines").await.1["baselines"], json!([made]));
    let pending = "/alerts?state=pending&source=baseline";
    let alerts = evaluated(&server, pending, 1).await;
    let alert = &alerts["alerts"][0];
    let what = ["appName", "severity", "title", "fingerprint"].map(|name| alert[name].clone());
    let title = "shop.Price.sum over its approved limit of 5 % of cpu";
    assert_eq!(what, ["shop", "critical", title, "baseline/shop/cpu"].map(Value::from), "{alert}");
    assert_eq!((&alert["value"], &alert["detail"]["functions"][0]["limit"]), (&json!(40.0), &json!(5.0)), "{alert}");
    let removed = server.request(Method::DELETE, &format!("/baselines/{}", made["id"])).send().await.unwrap();
    assert_eq!(removed.status(), 204);
    evaluated(&server, pending, 0).await;
}

#[actix_web::test]
async fn a_channel_that_refuses_messages_is_a_critical_alert_with_the_error_that_the_default_one_is_told_of() {
    let (ops, gone) = (slack().await, MockServer::start().await);
    let folder = tempfile::tempdir().unwrap();
    let channels = folder.path().join("channels.toml");
    let text = format!(
        "default = \"ops\"\n[channel.ops]\nkind = \"slack\"\nurl = \"{}/services/hook\"\n\
         [channel.orders]\nkind = \"webhook\"\nurl = \"{}/hook\"\n",
        ops.uri(),
        gone.uri()
    );
    std::fs::write(&channels, text).unwrap();
    let server = Flamewarden::start_whole(Setup::of(&[("CHANNELS_FILE", channels.to_str().unwrap())])).await;
    pushed(&server).await;
    let rule = json!({"appName": "shop", "profileType": "cpu", "thresholdPercent": 30, "forSeconds": 0,
        "notificationChannel": "#orders"});
    assert_eq!(server.request(Method::POST, "/rules").json(&rule).send().await.unwrap().status(), 201);
    evaluated(&server, "/alerts?ruleId=1", 1).await;
    let system = || async { server.json("/alerts?source=system").await.1 };
    until("the alert of the channel", || async { system().await["count"] == 1 }).await;
    let alert = &system().await["alerts"][0];
    let what = ["fingerprint", "severity", "state", "title"].map(|name| alert[name].as_str().unwrap());
    let title = "channel orders does not take messages";
    assert_eq!(what, ["system/channel/orders", "critical", "firing", title]);
    assert_eq!(alert["detail"]["error"], "the receiver answered 404 Not Found");
    until("the default to be told", || async { told(&ops).await.contains(title) }).await;
    assert!(told(&ops).await.contains("404 Not Found"), "{}", told(&ops).await);
    let dead = server.json("/notifications?channel=orders&state=dead").await.1;
    assert_eq!((&dead["count"], &dead["notifications"][0]["lastError"]), (&json!(1), &alert["detail"]["error"]));
}
