//! Which calls a split triage makes, and what is left of its answer when some of them fail.

use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::pushing::collecting;
use crate::harness::{Flamewarden, Setup};
use crate::processes::until;

const TRIAGE: &str = "ReadPyroscopeTriageAssessment.v2";

/// The systems of record of a triage, which write down who calls them.
struct Sors {
    profiles: MockServer,
    baselines: MockServer,
    history: MockServer,
    registry: MockServer,
}

impl Sors {
    /// CPU profiles are what a real server exports, allocations cannot be had; no baselines; a history that takes all; a
    /// registry that knows a label.
    async fn start() -> Self {
        let real = Flamewarden::start().await;
        collecting("shop").ingest(&real).await;
        let export = real.get("/profiles/shop/export?type=cpu").send().await.unwrap().bytes().await.unwrap();
        let sors = Self {
            profiles: MockServer::start().await,
            baselines: MockServer::start().await,
            history: MockServer::start().await,
            registry: MockServer::start().await,
        };
        let cpu = ResponseTemplate::new(200).set_body_raw(export.to_vec(), "application/octet-stream");
        let of = |kind: &str| Mock::given(path("/profiles/shop/export")).and(query_param("type", kind));
        of("cpu").respond_with(cpu).mount(&sors.profiles).await;
        of("alloc").respond_with(ResponseTemplate::new(502)).mount(&sors.profiles).await;
        let none = ResponseTemplate::new(200).set_body_json(json!({"appName": "shop", "baselines": []}));
        Mock::given(path("/baselines/shop")).respond_with(none).mount(&sors.baselines).await;
        let service = json!({"id": 1, "appName": "shop", "teamOwner": null, "tier": "standard", "environment": null,
            "notificationChannel": null, "pyroscopeLabels": {"env": "prod"}, "metadata": null,
            "createdAt": "2026-01-23T08:53:20Z", "updatedAt": "2026-01-23T08:53:20Z"});
        let known = ResponseTemplate::new(200).set_body_json(service);
        Mock::given(method("GET")).and(path("/services/shop")).respond_with(known).mount(&sors.registry).await;
        let row = json!({"id": 1, "appName": "shop", "diagnosis": "gc_pressure", "severity": "high",
            "profileTypes": "cpu", "topFunctions": null, "recommendation": null, "requestedBy": null,
            "createdAt": "2026-01-23T08:53:20Z"});
        let taken = ResponseTemplate::new(201).set_body_json(row);
        Mock::given(method("POST")).and(path("/history")).respond_with(taken).mount(&sors.history).await;
        sors
    }

    /// A triage in a process of its own before them.
    async fn triage(&self) -> Flamewarden {
        let urls = [
            ("FUNCTION", TRIAGE),
            ("PROFILE_DATA_URL", &self.profiles.uri()),
            ("BASELINE_URL", &self.baselines.uri()),
            ("HISTORY_URL", &self.history.uri()),
            ("REGISTRY_URL", &self.registry.uri()),
        ];
        Setup::of(&urls).start().await
    }
}

/// Method and path of the calls a server got.
async fn calls(server: &MockServer) -> Vec<String> {
    let requests = server.received_requests().await.unwrap();
    let mut calls: Vec<_> = requests.iter().map(|r| format!("{} {}", r.method, r.url.path())).collect();
    calls.sort();
    calls
}

#[actix_web::test]
async fn a_triage_calls_once_for_each_type_and_once_each_other_system_of_record() {
    let sors = Sors::start().await;
    let server = sors.triage().await;
    let (status, body) = server.json("/triage/shop?types=cpu,alloc").await;
    assert_eq!(status, 200, "{body}");
    until("the assessment to be delivered", || async { !calls(&sors.history).await.is_empty() }).await;
    let export = "GET /profiles/shop/export";
    assert_eq!(calls(&sors.profiles).await, [export, export]);
    assert_eq!(calls(&sors.baselines).await, ["GET /baselines/shop"]);
    assert_eq!(calls(&sors.history).await, ["POST /history"]);
    assert_eq!(calls(&sors.registry).await, ["GET /services/shop"]);
    for request in sors.profiles.received_requests().await.unwrap() {
        let asked: Vec<_> = request.url.query_pairs().filter(|(name, _)| name == "selector").collect();
        assert_eq!(asked, [("selector".into(), "env=\"prod\"".into())]);
    }
}

#[actix_web::test]
async fn a_kind_that_cannot_be_had_is_said_in_its_place_and_the_rest_answers() {
    let sors = Sors::start().await;
    let server = sors.triage().await;
    let (status, body) = server.json("/triage/shop?types=alloc,cpu").await;
    assert_eq!(status, 200, "{body}");
    let alloc = &body["profiles"]["alloc"];
    assert_eq!(alloc, &json!({"diagnosis": "unavailable", "error": "the source of profiles failed"}));
    assert_eq!(body["profiles"]["cpu"]["diagnosis"], "gc_pressure", "{body}");
    assert_eq!(body["summary"]["primaryIssue"], "gc_pressure");
    let (status, body) = server.json("/triage/shop?types=alloc").await;
    assert_eq!((status, &body["code"]), (502, &json!("profile_source_failed")), "all that was asked for failed");
}

#[actix_web::test]
async fn failed_relational_systems_of_record_are_said_and_fail_nothing() {
    let sors = Sors::start().await;
    sors.baselines.reset().await;
    sors.history.reset().await;
    sors.registry.reset().await;
    let server = sors.triage().await;
    let (status, body) = server.json("/triage/shop?types=cpu").await;
    assert_eq!((status, &body["baselines"]), (200, &json!("unavailable")), "{body}");
    assert_eq!(body["labels"], "unavailable", "{body}");
    assert!(body["profiles"]["cpu"].get("baselineViolations").is_none(), "{body}");
    // The history is away, the spool is not: the assessment is kept until it can be delivered.
    assert_eq!(body.get("history"), None::<&Value>, "{body}");
    until("a second try", || async { calls(&sors.history).await.len() > 1 }).await;
}
