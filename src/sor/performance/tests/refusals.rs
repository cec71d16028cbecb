//! What the routes of statistics and limits refuse, each with its code and what it names.

use actix_web::http::StatusCode;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use super::{post, problem, served};
use crate::sor::testing::call;

#[rstest]
#[case("operations?from=now&to=now-1h", 400, "window_invalid")]
#[case("operations?limit=1001", 400, "parameter_invalid")]
#[case("operations?from=yesterday", 400, "parameter_invalid")]
#[case("operations?type=commit", 400, "parameter_unknown")]
#[case("operations/nobody", 404, "operation_unknown")]
#[case("operations/%20", 400, "parameter_invalid")]
#[case("operations/nobody/trend", 404, "operation_unknown")]
#[case("operations/commit/trend?days=396", 400, "parameter_invalid")]
#[case("operations/commit/trend?days=36&bucket=hour", 400, "parameter_invalid")]
#[case("operations/commit/trend?bucket=week", 400, "parameter_invalid")]
#[case("series?step=14s", 400, "parameter_invalid")]
#[case("series?step=90m", 400, "parameter_invalid")]
#[case("series?step=1m&from=now-25h", 400, "window_invalid")]
#[case("series?step=15s&from=now-9h", 400, "window_invalid")]
#[case("series?step=1h&from=now-84d", 400, "window_invalid")]
#[case("series?groupBy=user", 400, "parameter_invalid")]
#[case("slowest?limit=501", 400, "parameter_invalid")]
#[case("slowest?days=0", 400, "parameter_invalid")]
#[case("dashboard?from=now", 400, "parameter_unknown")]
#[case("scopes?limit=0", 400, "parameter_invalid")]
#[case("baselines?active=perhaps", 400, "parameter_invalid")]
#[case("baselines/1", 404, "latency_baseline_unknown")]
#[case("baselines/9223372036854775808", 404, "latency_baseline_unknown")]
#[case("baselines/x", 400, "parameter_invalid")]
#[case("alerts?severity=bad", 400, "parameter_invalid")]
#[case("alerts?days=3651", 400, "parameter_invalid")]
#[case("alerts?cursor=nonsense", 400, "parameter_invalid")]
#[case("degradations?days=36", 400, "parameter_invalid")]
#[case("correlations?threshold=1.1", 400, "parameter_invalid")]
#[case("correlations?hours=841", 400, "parameter_invalid")]
#[case("anomalies?days=1", 400, "parameter_unknown")]
#[case("alerts/1", 404, "latency_alert_unknown")]
#[case("merges?limit=1001", 400, "parameter_invalid")]
#[case("merges?status=done", 400, "parameter_invalid")]
#[case("merges?branch=7", 400, "parameter_unknown")]
#[case("merge-statistics?limit=0", 400, "parameter_invalid")]
#[actix_web::test]
async fn a_question_that_cannot_be_answered_is_told_why(#[case] path: &str, #[case] status: u16, #[case] code: &str) {
    let (served, _database) = served().await;
    let answer = call(&served, Method::GET, &format!("/performance/{path}"), None).await;
    assert_eq!((answer.0.as_u16(), answer.1["code"].as_str()), (status, Some(code)), "{}", answer.1);
}

#[rstest]
#[case("baselines", json!({"operationType": "commit"}), 422, "samples_insufficient", "")]
#[case("baselines", json!({"operationType": "commit", "lookbackDays": 36}), 400, "body_invalid", "/lookbackDays")]
#[case("baselines", json!({"operationType": "commit", "alertThresholdMultiplier": 0.5}), 400, "body_invalid", "/alertThresholdMultiplier")]
#[case("baselines", json!({"operationType": "commit", "alertThresholdMultiplier": 3, "criticalMultiplier": 2}), 400, "body_invalid", "/criticalMultiplier")]
#[case("baselines", json!({"scope": "x"}), 400, "body_invalid", "/operationType")]
#[case("merges", json!({"sourceScope": "a", "targetScope": "a", "totalMergeUs": 1}), 400, "body_invalid", "/targetScope")]
#[case("merges", json!({"sourceScope": "a", "targetScope": "b", "totalMergeUs": -1}), 400, "body_invalid", "/totalMergeUs")]
#[case("merges", json!({"sourceScope": "a", "targetScope": "b", "totalMergeUs": 1, "conflictCount": -3}), 400, "body_invalid", "/conflictCount")]
#[case("merges", json!({"sourceScope": "a", "targetScope": "b", "totalMergeUs": 1, "autoSuccessCount": 1}), 400, "body_invalid", "/autoSuccessCount")]
#[case("merges", json!({"sourceScope": "a", "targetScope": "b", "totalMergeUs": 1, "autoResolutionUs": 2}), 400, "body_invalid", "/totalMergeUs")]
#[case("merges", json!({"targetScope": "b", "totalMergeUs": 1}), 400, "body_invalid", "/sourceScope")]
#[case("operation-types", json!({"operationType": " "}), 400, "body_invalid", "/operationType")]
#[case("operation-types", json!({"operationType": "x", "category": "WRITE"}), 400, "body_invalid", "/category")]
#[case("operation-types", json!({"operationType": "x", "typicalDurationMs": -1}), 400, "body_invalid", "/typicalDurationMs")]
#[actix_web::test]
async fn a_body_that_is_not_valid_names_the_member(
    #[case] path: &str,
    #[case] body: Value,
    #[case] status: u16,
    #[case] code: &str,
    #[case] member: &str,
) {
    let (served, _database) = served().await;
    let answer = post(&served, &format!("/performance/{path}"), body).await;
    assert_eq!(problem(&answer), (status, code, member), "{}", answer.1);
}

#[actix_web::test]
async fn a_window_is_widened_to_whole_hours() {
    let (served, _database) = served().await;
    post(&served, "/performance/metrics", json!({"operationType": "commit", "durationUs": 5})).await;
    // `now` lies within the hour of the metric, which is shown from its start to its end.
    let (status, shown) = call(&served, Method::GET, "/performance/operations?from=now-1s&to=now", None).await;
    assert_eq!((status, &shown["operations"][0]["count"]), (StatusCode::OK, &json!(1)));
}
