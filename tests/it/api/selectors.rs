//! Selectors, which choose among the series of an app by their labels.

use rstest::rstest;
use serde_json::json;

use super::diff::{APART, serving};
use super::pushing::{COLLECTOR, Made, PRICES};
use crate::harness::{Flamewarden, Setup};

/// An app whose version 2 collects garbage all the time. Its version 1 does not.
async fn two_versions(server: &Flamewarden) {
    Made::cpu("shop", 3).labelled("version", "1").with(&PRICES, 300).ingest(server).await;
    Made::cpu("shop", 4).labelled("version", "2").labelled("env", "canary").with(&COLLECTOR, 700).push(server).await;
}

#[rstest]
#[case("version=\"2\"", &["runtime.scanobject"])]
#[case("version!=\"2\"", &["shop.Price.sum"])]
#[case("version=~\"1|2\"", &["runtime.scanobject", "shop.Price.sum"])]
#[case("version!~\"[0-9]\"", &[])]
#[case("version=\"2\",env=\"canary\"", &["runtime.scanobject"])]
#[case("version=\"1\",env=\"canary\"", &[])]
#[case("env=\"\"", &["shop.Price.sum"])]
#[actix_web::test]
async fn a_selector_leaves_its_series(#[case] selector: &str, #[case] hot: &[&str]) {
    let server = Flamewarden::start().await;
    two_versions(&server).await;
    let ask = |path: &'static str| server.get(path).query(&[("selector", selector)]).send();
    let body: serde_json::Value = ask("/profiles/shop").await.unwrap().json().await.unwrap();
    let functions = body["functions"].as_array().unwrap().iter();
    let own = functions.filter(|f| f["selfSamples"] != 0).map(|f| f["name"].as_str().unwrap());
    assert_eq!(own.collect::<Vec<_>>(), hot, "{body}");
    let body: serde_json::Value = ask("/triage/shop?types=cpu").await.unwrap().json().await.unwrap();
    assert_eq!(body["profiles"]["cpu"]["topFunctions"][0]["name"].as_str(), hot.first().copied(), "{body}");
    assert_eq!(ask("/profiles/shop/export").await.unwrap().status(), 200);
    assert_eq!(ask("/profiles/shop/flamegraph").await.unwrap().status(), 200);
}

/// Only BORs use the labels of the registry: a triage reads the series with these labels, the profile routes read all.
#[actix_web::test]
async fn a_triage_reads_the_series_with_the_registered_labels() {
    let server = Flamewarden::start().await;
    two_versions(&server).await;
    let top = async |path: &str| {
        let body = server.json(path).await.1;
        (body["profiles"]["cpu"]["topFunctions"][0]["name"].clone(), body.get("labels").cloned())
    };
    assert_eq!(top("/triage/shop?types=cpu").await, (json!("runtime.scanobject"), None));
    let service = json!({"appName": "shop", "pyroscopeLabels": {"version": "1"}});
    let registered = server.request(reqwest::Method::POST, "/services").json(&service).send().await.unwrap();
    assert_eq!(registered.status(), 201);
    assert_eq!(top("/triage/shop?types=cpu").await, (json!("shop.Price.sum"), None));
    // The caller's selector applies as well: no series has both versions.
    let both = server.get("/triage/shop").query(&[("types", "cpu"), ("selector", "version=\"2\"")]);
    let both: serde_json::Value = both.send().await.unwrap().json().await.unwrap();
    assert_eq!(both["profiles"]["cpu"]["diagnosis"], "no_data", "{both}");
    let (_, profile) = server.json("/profiles/shop").await;
    assert_eq!(profile["functions"].as_array().unwrap().len(), 6, "{profile}");
    let (_, narrowed) = server.json("/profiles/shop?labels=version%3D%221%22").await;
    assert_eq!(narrowed["functions"].as_array().unwrap().len(), 3, "{narrowed}");
}

/// A diff does the same, in both windows.
#[actix_web::test]
async fn a_diff_reads_the_series_with_the_registered_labels() {
    let server = Flamewarden::start().await;
    for minutes_ago in [150, 10] {
        serving(minutes_ago, 400).labelled("env", "prod").ingest(&server).await;
    }
    // A series of an experiment spends more and more time in one function.
    serving(150, 400).labelled("env", "test").ingest(&server).await;
    serving(10, 9_000).labelled("env", "test").ingest(&server).await;
    let verdict = async |server: &Flamewarden, query: &str| {
        let (status, body) = server.json(&format!("/diff/shop?{APART}{query}")).await;
        assert_eq!(status, 200, "{body}");
        (body["summary"]["verdict"].clone(), body)
    };
    assert_eq!(verdict(&server, "").await.0, "regressions");
    let service = json!({"appName": "shop", "pyroscopeLabels": {"env": "prod"}});
    let registered = server.request(reqwest::Method::POST, "/services").json(&service).send().await.unwrap();
    assert_eq!(registered.status(), 201);
    let (told, body) = verdict(&server, "").await;
    assert_eq!((told, body.get("labels")), (json!("no_regressions"), None), "{body}");
    for window in ["baseline", "current"] {
        assert_eq!((&body[window]["selector"], &body[window]["sampleCount"]), (&json!("env=\"prod\""), &json!(6_400)));
    }
    // The caller's selector applies as well: no series has both.
    let (told, body) = verdict(&server, "&baselineSelector=env%3D%22test%22").await;
    assert_eq!((told, &body["summary"]["missing"]), (json!("no_data"), &json!(["baseline"])), "{body}");
    // A registry that cannot be reached never fails the report. The report then covers all series, and says so.
    let split = Setup::of(&[("FUNCTION", "ReadPyroscopeDiffReport.v2"), ("REGISTRY_URL", "http://127.0.0.1:9")]);
    let split = split.with("PROFILE_DATA_URL", server.base()).start().await;
    let (told, body) = verdict(&split, "").await;
    assert_eq!((told, &body["labels"]), (json!("regressions"), &json!("unavailable")), "{body}");
}

#[actix_web::test]
async fn a_canary_is_held_against_the_rest_in_one_window() {
    let server = Flamewarden::start().await;
    two_versions(&server).await;
    let window = [("baselineFrom", "now-1h"), ("baselineTo", "now"), ("from", "now-1h"), ("to", "now")];
    let selectors = [("selector", "version=\"2\""), ("baselineSelector", "version=\"1\"")];
    let answer = server.get("/profiles/shop/diff").query(&window).query(&selectors).send().await.unwrap();
    let body: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(body["baseline"]["functions"][0]["name"], "shop.Price.sum", "{body}");
    assert_eq!(body["current"]["functions"][0]["name"], "runtime.scanobject", "{body}");
}

#[rstest]
#[case("version")]
#[case("version=2")]
#[case(&(0..11).map(|n| format!("l{n}=\"1\"")).collect::<Vec<_>>().join(","))]
#[case("service_name=\"other\"")]
#[case("__profile_type__=\"x\"")]
#[case("version=~\"(\"")]
#[actix_web::test]
async fn what_is_no_selector_is_refused_everywhere(#[case] selector: &str) {
    let server = Flamewarden::start().await;
    two_versions(&server).await;
    for path in ["/profiles/shop", "/profiles/shop/diff", "/profiles/shop/export", "/triage/shop"] {
        let answer = server.get(path).query(&[("selector", selector)]).send().await.unwrap();
        let (status, body) = (answer.status(), answer.json::<serde_json::Value>().await.unwrap());
        assert_eq!((status.as_u16(), &body["code"]), (400, &json!("parameter_invalid")), "{path}: {body}");
    }
}
