//! `flamewarden alerts test` as a user runs it: a whole process and a live server.

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
