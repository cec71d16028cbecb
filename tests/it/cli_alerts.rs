//! `flamewarden alerts` as a user runs it: a whole process and a live server.

use serde_json::{Value, json};

use crate::api::alerts::pushed;
use crate::cli::flamewarden;
use crate::harness::Flamewarden;

const RULE: [&str; 10] =
    ["alerts", "test", "--app", "shop", "--type", "cpu", "--category", "gc_pressure", "--from", "now-40m"];

#[actix_web::test]
async fn a_trial_is_a_table_and_its_exit_code_says_whether_the_rule_would_have_fired() {
    let server = Flamewarden::start().await;
    pushed(&server).await;
    let (exit, table, errors) = flamewarden(&[&RULE[..], &["--threshold", "30"]].concat(), server.base()).await;
    assert_eq!((exit, errors.as_str()), (1, ""), "{table}");
    for line in ["Would have fired once, for 21 min in all: 60.0 % of cpu at most, and the limit is 30 %.", "   60.00%"]
    {
        assert!(table.contains(line), "{line:?} is not in\n{table}");
    }
    let (exit, table, _) = flamewarden(&[&RULE[..], &["--threshold", "70"]].concat(), server.base()).await;
    assert!(exit == 0 && table.starts_with("Would not have fired: 60.0 % of cpu at most"), "{exit}\n{table}");

    let rule = json!({"appName": "*", "profileType": "cpu", "thresholdPercent": 30, "category": "gc_pressure"});
    let made: Value =
        server.request(reqwest::Method::POST, "/rules").json(&rule).send().await.unwrap().json().await.unwrap();
    let id = made["id"].to_string();
    let stored = ["alerts", "test", "--rule", &id, "--from", "now-40m", "--json"];
    let (exit, printed, errors) = flamewarden(&[&stored[..], &["--app", "shop"]].concat(), server.base()).await;
    let body: Value = serde_json::from_str(&printed).unwrap_or_default();
    assert_eq!((exit, &body["summary"]["fired"]), (1, &json!(1)), "{printed}{errors}");
    let (exit, _, errors) = flamewarden(&stored, server.base()).await;
    assert!(exit == 2 && errors.contains("a rule is tried on one app"), "{exit} {errors}");

    for (arguments, code, says) in [
        (&["alerts", "test", "--app", "nobody", "--type", "cpu", "--threshold", "30"][..], 3, "nobody"),
        (&["alerts", "test", "--app", "shop", "--type", "alloc", "--threshold", "30"], 3, ""),
        (&["alerts", "test", "--rule", "99"], 3, "no rule has this id"),
        (&["alerts", "test", "--app", "shop", "--type", "cpu"], 2, "--threshold"),
        (&["alerts", "test", "--rule", "1", "--threshold", "3"], 2, "cannot be used with"),
        (&["alerts", "test"], 2, "--rule"),
    ] {
        let (exit, printed, errors) = flamewarden(arguments, server.base()).await;
        assert!(exit == code && errors.contains(says), "{arguments:?}: {exit}\n{printed}{errors}");
    }
}

#[actix_web::test]
async fn alerts_are_listed_acknowledged_snoozed_and_silenced() {
    let server = Flamewarden::start().await;
    let (exit, table, _) = flamewarden(&["alerts"], server.base()).await;
    assert_eq!((exit, table.lines().count()), (3, 1), "{table}");
    let seen = json!({"fingerprint": "system/x", "source": "system", "severity": "critical", "title": "the channel ops takes nothing",
        "appName": "shop", "value": 7, "threshold": 1, "unit": "count", "occurrences": 1, "detail": {}, "quietSeconds": 900});
    let seen = server.request(reqwest::Method::POST, "/core/incident/observe").json(&seen).send().await.unwrap();
    assert_eq!(seen.status(), 200);
    for (arguments, code, says) in [
        (
            &["alerts", "--severity", "critical"][..],
            0,
            "1   firing  critical  shop  the channel ops takes nothing  7.0    1.0    ",
        ),
        (&["alerts", "--state", "resolved"], 3, ""),
        (&["alerts", "--app", "cart"], 3, ""),
        (&["alerts", "ack", "1", "--note", "on it", "--by", "ana"], 0, "alert 1 is acknowledged\n"),
        (&["alerts", "--source", "system"], 0, "  ana"),
        (
            &["alerts", "snooze", "1", "--minutes", "5", "--reason", "deploying"],
            0,
            "nobody is told of alert 1 for 5 min\n",
        ),
        (
            &["alerts", "silence", "--app", "shop", "--minutes", "5", "--reason", "x"],
            0,
            "nobody is told of such alerts for 5 min\n",
        ),
    ] {
        let (exit, printed, errors) = flamewarden(arguments, server.base()).await;
        assert!(exit == code && printed.contains(says), "{arguments:?}: {exit}\n{printed}{errors}");
    }
    for (arguments, code, says) in [
        (&["alerts", "ack", "1"][..], 3, "ana acknowledged the alert before"),
        (&["alerts", "ack", "7"], 3, "no alert has this id"),
        (&["alerts", "snooze", "1", "--minutes", "0", "--reason", "x"], 2, "must be from 1 to 43200"),
        (&["alerts", "silence", "--minutes", "5", "--reason", "x"], 2, "--app"),
        (&["alerts", "--state", "open"], 2, "state"),
    ] {
        let (exit, printed, errors) = flamewarden(arguments, server.base()).await;
        assert!(exit == code && errors.contains(says), "{arguments:?}: {exit}\n{printed}{errors}");
    }
    let silences = server.json("/silences").await.1;
    assert_eq!(silences["silences"][0]["appName"], "shop");
}
