//! A diff, from pushing profiles to the row in the history.

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use super::pushing::Made;
use crate::harness::{Flamewarden, Setup};
use crate::processes::until;

/// Functions that do not change.
const STEADY: [&str; 12] = [
    "shop.a", "shop.b", "shop.c", "shop.d", "shop.e", "shop.f", "shop.g", "shop.h", "shop.i", "shop.j", "shop.k",
    "shop.l",
];

/// The window after a deploy an hour ago, and the one before it.
pub(crate) const APART: &str = "baselineFrom=now-3h&baselineTo=now-2h&from=now-1h&to=now";

/// A profile in which `shop.Cart.toJson` has this many samples.
pub(crate) fn serving(minutes_ago: i64, samples: i64) -> Made {
    let steady =
        STEADY.into_iter().fold(Made::cpu("shop", minutes_ago), |made, name| made.with(&["main.main", name], 500));
    steady.with(&["main.main", "shop.Cart.toJson"], samples)
}

/// Two versions. The later one spends more than twice the CPU in one function.
pub(crate) async fn deployed() -> Flamewarden {
    let server = Flamewarden::start().await;
    serving(150, 400).ingest(&server).await;
    serving(10, 1_500).ingest(&server).await;
    server
}

async fn approve(server: &Flamewarden, function: &str, percent: f64) {
    let limit = json!({"appName": "shop", "profileType": "cpu", "functionName": function, "maxSelfPercent": percent});
    let answer = server.request(Method::POST, "/baselines").json(&limit).send().await.unwrap();
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
}

#[actix_web::test]
async fn a_deploy_that_made_one_function_slower_is_told_by_it() {
    let server = deployed().await;
    approve(&server, "shop.Cart.toJson", 15.0).await;
    approve(&server, "shop.Gone.away", 1.0).await;
    let (status, body) = server.json(&format!("/diff/shop?{APART}")).await;
    assert_eq!(status, 200, "{body}");
    let row = &body["regressions"][0];
    for (member, value) in [
        ("function", json!("shop.Cart.toJson")),
        ("baselinePercent", json!(6.25)),
        ("currentPercent", json!(20.0)),
        ("deltaPercent", json!(13.75)),
        ("verdict", json!("regressed")),
        ("adjustedDelta", json!(17.19)),
        ("approvedThreshold", json!(15.0)),
        ("exceedsThreshold", json!(true)),
    ] {
        assert_eq!(row[member], value, "{member}");
    }
    let summary = &body["summary"];
    assert_eq!((&summary["regressionsCount"], &summary["improvementsCount"]), (&json!(1), &json!(12)));
    assert_eq!((&summary["significantRegressions"], &summary["significantImprovements"]), (&json!(1), &json!(0)));
    assert_eq!(
        (&summary["topRegression"], &summary["thresholdBreaches"]),
        (&json!("shop.Cart.toJson (+13.75%)"), &json!(1))
    );
    assert_eq!((&summary["verdict"], &body["loadFactor"]), (&json!("regressions"), &json!(1.0)));
    assert_eq!(body["baselinesNotSeen"], json!(["shop.Gone.away"]));
    let (status, svg) = {
        let answer = server.get(body["links"]["flamegraph"].as_str().unwrap()).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    assert!(status == 200 && svg.contains(" against "), "{svg}");
}

#[actix_web::test]
async fn what_an_app_changes_by_itself_is_told_beside_what_changed() {
    let server = Flamewarden::start().await;
    // The two halves of the baseline window, and the current window.
    for (minutes_ago, samples) in [(170, 400), (130, 600), (10, 1_500)] {
        serving(minutes_ago, samples).ingest(&server).await;
    }
    let (status, body) = server.json(&format!("/diff/shop?{APART}")).await;
    assert_eq!((status, &body["summary"]["significantRegressions"]), (200, &json!(1)), "{body}");
    assert_eq!(body["ownNoise"], json!({"rows": 1, "largestPoints": 3.13}), "{body}");
    let split = Setup::of(&[("FUNCTION", "ReadPyroscopeDiffReport.v1"), ("PROFILE_DATA_URL", server.base())]);
    let (_, remote) = split.start().await.json(&format!("/diff/shop?{APART}")).await;
    assert_eq!(remote["ownNoise"], body["ownNoise"], "{remote}");
}

#[actix_web::test]
async fn a_report_arrives_in_the_history() {
    let server = deployed().await;
    let path = format!("/diff/shop?{APART}");
    let answer = server.get(&path).header("x-requested-by", "ada").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    until("the row in the history", || async { server.json("/history/shop").await.1["count"] == 1 }).await;
    let (_, row) = server.json("/history/shop/latest").await;
    for (member, value) in
        [("diagnosis", "regressions_detected"), ("severity", "medium"), ("profileTypes", "cpu"), ("requestedBy", "ada")]
    {
        assert_eq!(row[member], value, "{member}");
    }
    assert_eq!(row["topFunctions"]["cpu"][0]["name"], "shop.Cart.toJson");
}

#[actix_web::test]
async fn a_deploy_time_stands_for_both_windows() {
    let server = deployed().await;
    let (status, body) = server.json("/diff/shop?at=now-2h&settle=80m").await;
    assert_eq!((status, &body["summary"]["significantRegressions"]), (200, &json!(1)), "{body}");
    let (from, to) = (body["baseline"]["to"].as_i64().unwrap(), body["current"]["from"].as_i64().unwrap());
    assert_eq!(to - from, 80 * 60);
}

#[actix_web::test]
async fn a_window_without_data_is_said_and_is_no_improvement() {
    let server = deployed().await;
    for (query, missing) in [
        ("baselineFrom=now-6h&baselineTo=now-5h&from=now-1h&to=now", "baseline"),
        ("baselineFrom=now-3h&baselineTo=now-2h&from=now-110m&to=now-100m", "current"),
    ] {
        let (status, body) = server.json(&format!("/diff/shop?{query}")).await;
        assert_eq!((status, &body["summary"]["verdict"]), (200, &json!("no_data")), "{body}");
        assert_eq!(body["summary"]["missing"], json!([missing]));
        assert_eq!((&body["regressions"], &body["improvements"]), (&json!([]), &json!([])));
    }
}

#[actix_web::test]
async fn version_one_needs_no_database_and_writes_nothing() {
    let server = deployed().await;
    approve(&server, "shop.Cart.toJson", 15.0).await;
    let first = Setup::of(&[("FUNCTION", "ReadPyroscopeDiffReport.v1"), ("PROFILE_DATA_URL", server.base())]);
    let first = first.with("HISTORY_URL", server.base()).with("BASELINE_URL", server.base()).start().await;
    let (status, one) = first.json(&format!("/diff/shop?{APART}")).await;
    assert_eq!((status, &one["summary"]["verdict"]), (200, &json!("regressions")), "{one}");
    for (holder, member) in [
        (&one, "baselines"),
        (&one, "history"),
        (&one, "labels"),
        (&one, "breaches"),
        (&one["summary"], "thresholdBreaches"),
        (&one["regressions"][0], "approvedThreshold"),
    ] {
        assert!(holder.get(member).is_none(), "{member}: {one}");
    }
    assert_eq!(first.json("/triage/shop").await.1["code"], "route_unknown");
    // The app whose name follows is there, this one is not.
    server.get(&format!("/diff/shop?{APART}")).send().await.unwrap();
    until("the row in the history", || async { server.json("/history/shop").await.1["count"] == 1 }).await;
}

#[rstest]
#[case("", 404, "app_unknown")]
#[case("?nope=1", 400, "parameter_unknown")]
#[case("?type=disk", 400, "profile_type_unknown")]
#[case("?limit=many", 400, "parameter_invalid")]
#[case("?from=now&to=now-1h", 400, "window_invalid")]
#[case("?baselineFrom=now-1h&baselineTo=now-2h", 400, "window_invalid")]
#[case("?baselineFrom=now-2h&baselineTo=now-30m", 400, "windows_overlap")]
#[case("?baselineSelector=x", 400, "parameter_invalid")]
#[actix_web::test]
async fn a_diff_that_cannot_be_is_told_why(#[case] query: &str, #[case] status: u16, #[case] code: &str) {
    let server = Flamewarden::start().await;
    let (answered, body) = server.json(&format!("/diff/nobody{query}")).await;
    assert_eq!((answered, body["code"].as_str().unwrap()), (status, code), "{body}");
}

#[actix_web::test]
async fn markdown_is_written_where_it_is_asked_for() {
    let server = deployed().await;
    let answer = server.get(&format!("/diff/shop?{APART}")).header("accept", "text/markdown").send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/markdown; charset=utf-8");
    let text = answer.text().await.unwrap();
    assert!(
        text.starts_with("# Diff Report: shop\n\n**1 regression.** ")
            && text.contains("×1.0; beyond that, one function grew"),
        "{text}"
    );
    assert!(text.contains("| `shop.Cart.toJson` | 6.25% | 20.00% | +13.75% |"), "{text}");
    let (_, same): (u16, Value) = server.json(&format!("/diff/shop?{APART}&format=json")).await;
    assert_eq!(same["appName"], "shop");
}
