//! A fleet search, from pushing profiles to the owners of the result.

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::calls::calls;
use super::pushing::{COLLECTOR, Made, PRICES};
use crate::harness::{Flamewarden, Setup};

const FLEET_V1: &str = "ReadPyroscopeFleetSearch.v1";
const FLEET: &str = "ReadPyroscopeFleetSearch.v2";

/// An app with this many of 200 samples in the garbage collector.
pub(crate) fn collecting(app: &'static str, samples: i64) -> Made {
    Made::cpu(app, 3).with(&COLLECTOR, samples).with(&PRICES, 200 - samples)
}

async fn register(server: &Flamewarden, service: Value) {
    let answer = server.request(Method::POST, "/services").json(&service).send().await.unwrap();
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
}

/// Three apps. One has an owner.
pub(crate) async fn fleet() -> Flamewarden {
    let server = Flamewarden::start().await;
    for (app, samples) in [("cart", 20), ("checkout", 120), ("search", 60)] {
        collecting(app, samples).ingest(&server).await;
    }
    let service =
        json!({"appName": "checkout", "teamOwner": "payments", "tier": "critical", "notificationChannel": "#oncall"});
    register(&server, service).await;
    server
}

fn told<'b>(rows: &'b Value, members: &[&str]) -> Vec<Vec<&'b Value>> {
    rows.as_array().unwrap().iter().map(|row| members.iter().map(|member| &row[*member]).collect()).collect()
}

#[actix_web::test]
async fn a_function_is_found_in_all_apps_with_their_owners() {
    let server = fleet().await;
    let (status, body) = server.json("/search?function=SCANobject").await;
    assert_eq!((status, &body["matchCount"], &body["errors"]), (200, &json!(3), &json!([])), "{body}");
    assert_eq!(
        told(&body["matches"], &["app", "selfPercent", "teamOwner"]),
        [
            [&json!("checkout"), &json!(60.0), &json!("payments")],
            [&json!("search"), &json!(30.0), &Value::Null],
            [&json!("cart"), &json!(10.0), &Value::Null],
        ]
    );
    let (_, one) = server.json("/search?function=scanobject&limit=1&apps=cart,search").await;
    assert_eq!((&one["matchCount"], one["matches"].as_array().unwrap().len()), (&json!(2), 1), "{one}");
    let (_, none) = server.json("/search?function=nothing").await;
    assert_eq!((&none["matchCount"], &none["appsWithData"]), (&json!(0), &json!(3)));
}

#[actix_web::test]
async fn the_functions_of_all_apps_are_ranked() {
    let server = fleet().await;
    let (status, body) = server.json("/fleet/hotspots").await;
    assert_eq!(status, 200, "{body}");
    let members = ["function", "category", "serviceCount", "criticalServiceCount", "maxSelfPercent", "impactScore"];
    assert_eq!(
        told(&body["hotspots"], &members),
        [
            [&json!("shop.Price.sum"), &json!(null), &json!(3), &json!(1), &json!(90.0), &json!(270.0)],
            [&json!("runtime.scanobject"), &json!("gc_pressure"), &json!(3), &json!(1), &json!(60.0), &json!(180.0)],
        ]
    );
    let owned = &body["hotspots"][1]["services"][0];
    assert_eq!(
        (&owned["app"], &owned["teamOwner"], &owned["tier"]),
        (&json!("checkout"), &json!("payments"), &json!("critical"))
    );
    let (_, without) = server.json("/fleet/hotspots?exclude=gc_pressure&sort=cores").await;
    assert_eq!(told(&without["hotspots"], &["function"]), [[&json!("shop.Price.sum")]]);
    assert!(without["hotspots"][0]["cores"].as_f64().unwrap() > 0.0, "{without}");
}

#[actix_web::test]
async fn names_that_nobody_knows_are_listed_and_the_rest_answers() {
    let server = fleet().await;
    for path in ["/search?function=scan&apps=nobody,cart", "/fleet/hotspots?apps=nobody,cart"] {
        let (status, body) = server.json(path).await;
        assert_eq!((status, &body["appCount"]), (200, &json!(1)), "{body}");
        assert_eq!(told(&body["errors"], &["app", "code"]), [[&json!("nobody"), &json!("app_unknown")]]);
    }
}

#[actix_web::test]
async fn an_app_is_read_by_its_own_labels_and_those_asked_for() {
    let server = Flamewarden::start().await;
    for (env, samples) in [("prod", 150), ("test", 50)] {
        collecting("shop", samples).labelled("env", env).ingest(&server).await;
    }
    let share = async |query: &str| {
        server.json(&format!("/search?function=scan{query}")).await.1["matches"][0]["selfPercent"].clone()
    };
    assert_eq!(share("").await, json!(50.0));
    assert_eq!(share("&selector=env%3D%22test%22").await, json!(25.0));
    register(&server, json!({"appName": "shop", "pyroscopeLabels": {"env": "prod"}})).await;
    assert_eq!(share("").await, json!(75.0));
}

#[actix_web::test]
async fn version_one_needs_no_database_and_names_no_owners() {
    let server = fleet().await;
    let first = Setup::of(&[("FUNCTION", FLEET_V1), ("PROFILE_DATA_URL", server.base())]);
    let first = first.with("REGISTRY_URL", server.base()).start().await;
    let (status, body) = first.json("/fleet/hotspots").await;
    assert_eq!((status, &body["hotspots"][0]["impactScore"]), (200, &json!(270.0)), "{body}");
    let (_, found) = first.json("/search?function=scan&apps=checkout").await;
    for (holder, members) in [
        (&body["hotspots"][0], &["criticalServiceCount"][..]),
        (&body["hotspots"][1]["services"][0], &["teamOwner", "tier"]),
        (&found["matches"][0], &["teamOwner", "tier", "notificationChannel"]),
        (&body, &["owners"]),
    ] {
        assert!(members.iter().all(|member| holder.get(member).is_none()), "{members:?}: {holder}");
    }
    assert_eq!(first.json("/triage/shop").await.1["code"], "route_unknown");
}

/// A registry and the profiles of two apps. Both record the calls they get.
async fn sors() -> (MockServer, MockServer) {
    let real = fleet().await;
    let (profiles, registry) = (MockServer::start().await, MockServer::start().await);
    for app in ["cart", "checkout"] {
        let export = real.get(&format!("/profiles/{app}/export")).send().await.unwrap().bytes().await.unwrap();
        let answer = ResponseTemplate::new(200).set_body_raw(export.to_vec(), "application/octet-stream");
        Mock::given(path(format!("/profiles/{app}/export"))).respond_with(answer).mount(&profiles).await;
    }
    let apps = ResponseTemplate::new(200).set_body_json(json!({"apps": ["cart", "checkout"]}));
    Mock::given(path("/profiles/apps")).respond_with(apps).mount(&profiles).await;
    let none = ResponseTemplate::new(200).set_body_json(json!({"count": 0, "services": []}));
    Mock::given(method("GET")).and(path("/services")).respond_with(none).mount(&registry).await;
    (profiles, registry)
}

/// In v1 the registry is not asked for owners.
#[rstest]
#[case("/search?function=scan", true)]
#[case("/fleet/hotspots", true)]
#[case("/search?function=scan&apps=cart,checkout", false)]
#[case("/fleet/hotspots?apps=checkout,cart", false)]
#[actix_web::test]
async fn a_split_search_calls_once_for_each_profile_once_for_owners_and_once_for_apps_not_named(
    #[values(FLEET_V1, FLEET)] function: &str,
    #[case] asked: &str,
    #[case] discovers: bool,
) {
    let (profiles, registry) = sors().await;
    let server =
        Setup::of(&[("FUNCTION", function), ("PROFILE_DATA_URL", &profiles.uri()), ("REGISTRY_URL", &registry.uri())]);
    let (status, body) = server.start().await.json(asked).await;
    assert_eq!((status, &body["appCount"], body.get("owners")), (200, &json!(2), None), "{body}");
    let mut expected = vec!["GET /profiles/cart/export", "GET /profiles/checkout/export"];
    expected.splice(0..0, discovers.then_some("GET /profiles/apps"));
    assert_eq!(calls(&profiles).await, expected);
    assert_eq!(calls(&registry).await, vec!["GET /services"; usize::from(function == FLEET)]);
}

#[actix_web::test]
async fn a_system_of_record_that_fails_is_said_in_its_place() {
    let (profiles, registry) = sors().await;
    registry.reset().await;
    let settings = [("FUNCTION", FLEET), ("PROFILE_DATA_URL", &profiles.uri()), ("REGISTRY_URL", &registry.uri())];
    let server = Setup::of(&settings).start().await;
    let (status, body) = server.json("/fleet/hotspots").await;
    assert_eq!((status, &body["owners"]), (200, &json!("unavailable")), "{body}");
    profiles.reset().await;
    let (status, body) = server.json("/fleet/hotspots").await;
    assert_eq!((status, &body["code"]), (502, &json!("profile_source_failed")), "{body}");
    let (status, body) = server.json("/search?function=scan&apps=cart").await;
    assert_eq!(
        (status, &body["code"]),
        (502, &json!("profile_source_failed")),
        "a 404 of another server is no unknown app"
    );
}

#[rstest]
#[case("/search", "parameter_invalid")]
#[case("/search?function=%20", "parameter_invalid")]
#[case("/search?function=a&apps=a,,b", "parameter_invalid")]
#[case("/search?function=a&type=disk", "profile_type_unknown")]
#[case("/search?function=a&nope=1", "parameter_unknown")]
#[case("/search?function=a&from=now&to=now-1h", "window_invalid")]
#[case("/fleet/hotspots?from=now-40d&to=now", "window_invalid")]
#[case("/fleet/hotspots?exclude=nothing", "parameter_invalid")]
#[case("/fleet/hotspots?limit=0", "parameter_invalid")]
#[actix_web::test]
async fn a_search_that_cannot_be_is_told_why(#[case] asked: &str, #[case] code: &str) {
    let server = Setup::of(&[("FUNCTION", FLEET_V1), ("PYROSCOPE_URL", "http://127.0.0.1:9")]);
    let (status, body) = server.start().await.json(asked).await;
    assert_eq!((status, body["code"].as_str().unwrap()), (400, code), "{body}");
}

#[actix_web::test]
async fn more_apps_than_may_be_named_are_refused() {
    let server = Setup::of(&[("FUNCTION", "ReadPyroscopeFleetSearch.v1"), ("PYROSCOPE_URL", "http://127.0.0.1:9")]);
    let server = server.start().await;
    let names = |n: usize| (0..n).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let (status, body) = server.json(&format!("/fleet/hotspots?apps={}", names(1_001))).await;
    assert_eq!((status, &body["code"]), (400, &json!("parameter_invalid")), "{body}");
    let (status, body) = server.json(&format!("/fleet/hotspots?apps={}", names(1_000))).await;
    assert_eq!((status, &body["code"]), (502, &json!("profile_source_failed")), "a thousand are taken: {body}");
}
