//! Rules that are tried on profiles that were pushed minute by minute.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use flamewarden::kernel::{Clock, SystemClock};
use reqwest::Method;
use serde_json::{Value, json};

use super::pushing::{COLLECTOR, Made, PRICES};
use crate::harness::{Flamewarden, Setup};

/// Pushes 40 minutes of an app, which collects garbage for 60 % of the time in the 30th to 11th of them before the end and
/// for 5 % in the others. Returns the end, a whole minute.
pub(crate) async fn pushed(server: &Flamewarden) -> DateTime<Utc> {
    let end = SystemClock.now().duration_trunc(TimeDelta::minutes(1)).unwrap();
    for ago in (1..=40).rev() {
        let collecting = if (11..=30).contains(&ago) { 60 } else { 5 };
        let at = end - TimeDelta::minutes(ago) + TimeDelta::seconds(20);
        let made = Made::cpu_at("shop", at).with(&COLLECTOR, 60 * collecting).with(&PRICES, 60 * (100 - collecting));
        made.ingest(server).await;
    }
    end
}

async fn tried(server: &Flamewarden, from: DateTime<Utc>, rule: &Value) -> (u16, Value) {
    let path = format!("/rules/test?from={}", from.timestamp());
    let answer = server.request(Method::POST, &path).json(rule).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[actix_web::test]
async fn a_rule_would_have_been_pending_fired_and_resolved() {
    let server = Flamewarden::start().await;
    let end = pushed(&server).await;
    let from = end - TimeDelta::minutes(40);
    let rule = json!({"appName": "shop", "profileType": "cpu", "thresholdPercent": 30, "category": "gc_pressure"});
    let (status, body) = tried(&server, from, &rule).await;
    assert_eq!(status, 200, "{body}");
    let ago = |name: &str| {
        let time = DateTime::parse_from_rfc3339(body["firings"][0][name].as_str().unwrap()).unwrap();
        (end - time.to_utc()).num_minutes()
    };
    // Three minutes of five at 60 % make 38 %; two make 27 %, one makes 16 %.
    assert_eq!([ago("pendingAt"), ago("firedAt"), ago("resolvedAt")], [27, 22, 1], "{body}");
    assert_eq!(body["firings"][0]["worstPercent"], 60.0);
    assert_eq!((&body["summary"]["fired"], &body["summary"]["firingMinutes"]), (&json!(1), &json!(21)));
    let first = &body["evaluations"][0];
    assert_eq!((&first["verdict"], &first["percent"]), (&json!("no_data"), &Value::Null));

    let (_, function) = tried(
        &server,
        from,
        &json!({"appName": "shop", "profileType": "cpu", "thresholdPercent": 30,
        "functionPattern": "^runtime\\.", "measure": "total"}),
    )
    .await;
    assert_eq!(function["firings"][0]["functions"], json!([{"name": "runtime.scanobject", "percent": 60.0}]));
    let (_, quiet) = tried(
        &server,
        from,
        &json!({"appName": "shop", "profileType": "cpu", "thresholdPercent": 70,
        "category": "gc_pressure"}),
    )
    .await;
    assert_eq!((&quiet["firings"], &quiet["summary"]["fired"]), (&json!([]), &json!(0)), "{quiet}");

    // Nothing of this is stored, and a process that evaluates alone says the same.
    assert_eq!(server.json("/rules").await.1["count"], 0);
    let mut setup = Setup::of(&[("FUNCTION", "EvaluatePyroscopeAlert.v1")]);
    for variable in ["PROFILE_DATA_URL", "ALERT_RULE_URL", "CORE_URL", "REGISTRY_URL"] {
        setup = setup.with(variable, server.base());
    }
    let alone = setup.start().await;
    let to = body["evaluatedTo"].as_str().unwrap();
    let (_, again) = tried(&alone, from, &rule).await;
    let upto = |body: &Value| -> Vec<Value> {
        let all = body["evaluations"].as_array().unwrap().iter();
        all.filter(|one| one["at"].as_str().unwrap() <= to).cloned().collect()
    };
    assert_eq!((&again["firings"], upto(&again)), (&body["firings"], upto(&body)));
}
