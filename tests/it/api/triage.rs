//! A triage, from pushing a profile to the row in the history.

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use super::pushing::{Made, PERIOD, PRICES, collecting};
use crate::harness::{Flamewarden, Setup};
use crate::processes::until;

/// Approves a limit for a function of an app.
async fn approve(server: &Flamewarden, function: &str, percent: f64) {
    let limit = json!({"appName": "shop", "profileType": "cpu", "functionName": function, "maxSelfPercent": percent,
                       "severity": "critical"});
    let answer = server.request(Method::POST, "/baselines").json(&limit).send().await.unwrap();
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
}

/// Requests a triage as this caller. The answer must be 200.
async fn triage(server: &Flamewarden, path: &str, requested_by: &str) -> Value {
    let answer = server.get(path).header("x-requested-by", requested_by).send().await.unwrap();
    let (status, body) = (answer.status(), answer.json::<Value>().await.unwrap());
    assert_eq!(status, 200, "{body}");
    body
}

/// The history of an app, once it contains the assessment for this caller.
async fn history_with(server: &Flamewarden, app: &str, requested_by: &str) -> Vec<Value> {
    let path = format!("/history/{app}");
    let rows = || async { server.json(&path).await.1["history"].as_array().unwrap().clone() };
    until("the row in the history", || async { rows().await.iter().any(|row| row["requestedBy"] == requested_by) })
        .await;
    rows().await
}

/// The kinds of profile in an answer, in its order.
async fn kinds(server: &Flamewarden, path: &str) -> Vec<&'static str> {
    let answer = server.get(path).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    let text = answer.text().await.unwrap();
    let mut found: Vec<_> = ["cpu", "alloc", "lock", "wall", "inuse", "goroutine", "exception", "samples"]
        .into_iter()
        .filter_map(|kind| Some((text.find(&format!("\"{kind}\":{{"))?, kind)))
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, kind)| kind).collect()
}

#[actix_web::test]
async fn a_triage_names_the_problem_and_the_limits_it_breaks() {
    let server = Flamewarden::start().await;
    collecting("shop").ingest(&server).await;
    approve(&server, "runtime.scanobject", 15.0).await;
    // A share equal to the limit does not exceed it.
    approve(&server, "shop.Price.sum", 30.0).await;
    approve(&server, "shop.Gone.away", 1.0).await;
    let body = triage(&server, "/triage/shop", "ada").await;
    let cpu = &body["profiles"]["cpu"];
    assert_eq!(
        (&cpu["diagnosis"], &cpu["percent"], &cpu["severity"]),
        (&json!("gc_pressure"), &json!(70.0), &json!("high"))
    );
    assert_eq!((&cpu["totalSamples"], &cpu["unit"]), (&json!(1_000 * PERIOD), &json!("nanoseconds")));
    assert_eq!(
        (&cpu["findings"][0]["category"], &cpu["findings"][0]["runtime"]),
        (&json!("gc_pressure"), &json!("go"))
    );
    assert_eq!(cpu["topFunctions"][0]["name"], "runtime.scanobject");
    let violations = cpu["baselineViolations"].as_array().unwrap();
    assert_eq!(violations.len(), 1, "{violations:?}");
    for (member, value) in [
        ("function", json!("runtime.scanobject")),
        ("currentPercent", json!(70.0)),
        ("threshold", json!(15.0)),
        ("exceededBy", json!(55.0)),
        ("severity", json!("critical")),
    ] {
        assert_eq!(violations[0][member], value, "{member}");
    }
    assert_eq!(cpu["baselinesNotSeen"], json!(["shop.Gone.away"]));
    let summary = &body["summary"];
    assert_eq!((&summary["primaryIssue"], &summary["severity"]), (&json!("gc_pressure"), &json!("high")));
    assert_eq!(summary["baselineViolations"], 1);
    assert!(body.get("baselines").is_none() && body.get("history").is_none(), "{body}");
}

#[actix_web::test]
async fn an_assessment_arrives_in_the_history() {
    let server = Flamewarden::start().await;
    collecting("shop").push(&server).await;
    let body = triage(&server, "/triage/shop?types=cpu", "ada").await;
    let rows = history_with(&server, "shop", "ada").await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["diagnosis"], "gc_pressure");
    assert_eq!((&rows[0]["severity"], &rows[0]["profileTypes"]), (&json!("high"), &json!("cpu")));
    assert_eq!(rows[0]["recommendation"], body["summary"]["recommendation"]);
    assert_eq!(rows[0]["topFunctions"]["cpu"], body["profiles"]["cpu"]["topFunctions"]);
    let (status, latest) = server.json("/history/shop/latest").await;
    assert_eq!((status, &latest), (200, &rows[0]));
}

#[actix_web::test]
async fn version_one_lacks_what_needs_a_database_and_writes_nothing() {
    let server = Flamewarden::start().await;
    collecting("shop").ingest(&server).await;
    approve(&server, "runtime.scanobject", 15.0).await;
    let first = Setup::of(&[("FUNCTION", "ReadPyroscopeTriageAssessment.v1"), ("PROFILE_DATA_URL", server.base())]);
    let first = first.with("HISTORY_URL", server.base()).with("BASELINE_URL", server.base()).start().await;
    let one = triage(&first, "/triage/shop?types=cpu", "first").await;
    assert_eq!(one["profiles"]["cpu"]["diagnosis"], "gc_pressure");
    for (holder, member) in [
        (&one, "baselines"),
        (&one, "history"),
        (&one, "labels"),
        (&one["summary"], "baselineViolations"),
        (&one["profiles"]["cpu"], "baselineViolations"),
        (&one["profiles"]["cpu"], "baselinesNotSeen"),
    ] {
        assert!(holder.get(member).is_none(), "{member}: {one}");
    }
    // The app whose name follows is there, this one is not.
    triage(&server, "/triage/shop?types=cpu", "second").await;
    let rows = history_with(&server, "shop", "second").await;
    assert_eq!(rows.len(), 1, "{rows:?}");
}

#[actix_web::test]
async fn types_not_given_are_those_the_app_has_and_given_ones_are_kept() {
    let server = Flamewarden::start().await;
    collecting("shop").ingest(&server).await;
    Made::cpu("walls", 3).of_wall().with(&PRICES, 200).push(&server).await;
    assert_eq!(kinds(&server, "/triage/shop").await, ["cpu"]);
    assert_eq!(kinds(&server, "/triage/walls").await, ["wall"]);
    // A kind that nobody knows is neither lost nor taken for CPU, and is recorded.
    Made::cpu("foos", 3).of_unknown_kind().with(&PRICES, 300).push(&server).await;
    assert_eq!(kinds(&server, "/triage/foos").await, ["samples"]);
    let body = triage(&server, "/triage/foos?types=samples", "eve").await;
    let samples = &body["profiles"]["samples"];
    assert_eq!((&samples["sampleType"], &samples["cores"]), (&json!("foo"), &Value::Null));
    let codes = samples["dataQuality"].as_array().unwrap().iter().map(|note| &note["code"]);
    assert!(codes.into_iter().any(|code| code == "unknown_kind"), "{samples}");
    assert_eq!(history_with(&server, "foos", "eve").await[0]["profileTypes"], "samples");
    assert_eq!(kinds(&server, "/triage/walls?types=cpu").await, ["cpu"]);
    // Aliases and repetitions are merged. The requested order is kept.
    assert_eq!(kinds(&server, "/triage/shop?types=memory,cpu,allocation").await, ["alloc", "cpu"]);
}

#[actix_web::test]
async fn no_data_is_said_and_never_healthy() {
    let server = Flamewarden::start().await;
    collecting("shop").ingest(&server).await;
    let body = triage(&server, "/triage/shop?from=now-5h&to=now-4h", "ada").await;
    assert_eq!(body["profiles"]["cpu"]["diagnosis"], "no_data");
    assert_eq!(body["profiles"]["cpu"]["totalSamples"], 0);
    assert_eq!(
        (&body["summary"]["primaryIssue"], &body["summary"]["severity"], &body["summary"]["baselineViolations"]),
        (&json!("no_data"), &json!("low"), &json!(0))
    );
}

#[actix_web::test]
async fn no_data_says_which_of_four_it_is_in_one_process_and_over_http() {
    let server = Flamewarden::start().await;
    collecting("shop").labelled("region", "eu").ingest(&server).await;
    Made::cpu("shop", 200).of_wall().with(&PRICES, 200).push(&server).await;
    Made::cpu("idle", 3).push(&server).await;
    let split = Setup::of(&[("FUNCTION", "ReadPyroscopeTriageAssessment.v1"), ("PROFILE_DATA_URL", server.base())]);
    let split = split.start().await;
    for (path, reason, kinds, says) in [
        (
            "/triage/shop?types=lock,alloc",
            "kind_never_sent",
            json!(["cpu"]),
            "shop never sent lock or alloc profiles; it sends cpu profiles.",
        ),
        (
            "/triage/shop?selector=region%3D%22us%22",
            "no_series_matches",
            json!(["cpu", "wall"]),
            "No series of shop with cpu profiles matches the selector.",
        ),
        (
            "/triage/shop?types=wall",
            "none_in_window",
            json!(["cpu"]),
            "No wall profile arrived in this window; the last one came at ",
        ),
        ("/triage/idle", "without_samples", json!(["cpu"]), "No sample of idle was seen in this window"),
    ] {
        let [whole, apart] = [triage(&server, path, "ada").await, triage(&split, path, "ada").await];
        let summary = &whole["summary"];
        assert_eq!((&summary["verdict"], &summary["noData"]["reason"]), (&json!("no_data"), &json!(reason)), "{whole}");
        assert_eq!(summary["noData"]["kinds"], kinds, "{path}");
        assert!(summary["headline"].as_str().unwrap().starts_with(says), "{whole}");
        let told =
            |body: &Value| ["noData", "headline", "recommendation"].map(|member| body["summary"][member].clone());
        assert_eq!(told(&whole), told(&apart), "{path}");
    }
    let exported = server.get("/profiles/shop/export?type=lock").send().await.unwrap();
    let told =
        ["x-no-data-reason", "x-profile-kinds"].map(|name| exported.headers()[name].to_str().unwrap().to_owned());
    assert_eq!(told, ["kind_never_sent", "cpu"]);
}

#[rstest]
#[case("", 404, "app_unknown")]
#[case("?nope=1", 400, "parameter_unknown")]
#[case("?types=cpu,disk", 400, "profile_type_unknown")]
#[case("?types=cpu,,wall", 400, "parameter_invalid")]
#[case("?limit=many", 400, "parameter_invalid")]
#[case("?from=now&to=now-1h", 400, "window_invalid")]
#[actix_web::test]
async fn a_triage_that_cannot_be_is_told_why(#[case] query: &str, #[case] status: u16, #[case] code: &str) {
    let server = Flamewarden::start().await;
    let (answered, body) = server.json(&format!("/triage/nobody{query}")).await;
    assert_eq!((answered, body["code"].as_str().unwrap()), (status, code), "{body}");
}
