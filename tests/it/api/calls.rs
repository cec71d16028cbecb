//! Which calls a decision makes in a split deployment, and what its answer contains when some of them fail.

use rstest::rstest;
use serde_json::{Value, json};
use wiremock::matchers::{method, path, path_regex, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::diff::serving;
use super::pushing::collecting;
use crate::harness::{Flamewarden, Setup};
use crate::processes::until;

const TRIAGE_V1: &str = "ReadPyroscopeTriageAssessment.v1";
const TRIAGE: &str = "ReadPyroscopeTriageAssessment.v2";
const DIFF_V1: &str = "ReadPyroscopeDiffReport.v1";
const DIFF: &str = "ReadPyroscopeDiffReport.v2";
/// Two windows. A function is slower in the later one.
const APART: &str = "baselineFrom=now-3h&baselineTo=now-2h&from=now-2h&to=now-1h";

/// The systems of record of a decision. They record the calls they get.
struct Sors {
    profiles: MockServer,
    baselines: MockServer,
    history: MockServer,
    registry: MockServer,
}

impl Sors {
    /// The CPU profiles, of one window and of two, are exports of a real server, and there are no allocations. There
    /// are no baselines, the history takes everything, and the registry has a label and a tenant.
    async fn start() -> Self {
        let real = Flamewarden::start().await;
        collecting("shop").ingest(&real).await;
        serving(150, 400).ingest(&real).await;
        serving(90, 1_500).ingest(&real).await;
        let export = async |query: &str| {
            let answer = real.get(&format!("/profiles/shop/export?{query}")).send().await.unwrap();
            ResponseTemplate::new(200).set_body_raw(answer.bytes().await.unwrap().to_vec(), "application/octet-stream")
        };
        let (window, pair) = (export("type=cpu").await, export(&format!("type=cpu&{APART}")).await);
        let sors = Self {
            profiles: MockServer::start().await,
            baselines: MockServer::start().await,
            history: MockServer::start().await,
            registry: MockServer::start().await,
        };
        let of = |kind: &str| Mock::given(path("/profiles/shop/export")).and(query_param("type", kind));
        let one = |kind: &str| of(kind).and(query_param_is_missing("baselineFrom"));
        one("cpu").respond_with(window).mount(&sors.profiles).await;
        of("cpu").respond_with(pair).mount(&sors.profiles).await;
        of("alloc").respond_with(ResponseTemplate::new(502)).mount(&sors.profiles).await;
        let none = ResponseTemplate::new(200).set_body_json(json!({"appName": "shop", "baselines": []}));
        Mock::given(path_regex("^/baselines/shop(/cpu)?$")).respond_with(none).mount(&sors.baselines).await;
        let service = json!({"id": 1, "appName": "shop", "teamOwner": null, "tier": "standard", "environment": null,
            "notificationChannel": null, "pyroscopeLabels": {"env": "prod"}, "metadata": {"pyroscopeTenant": "team-a"},
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

    /// The environment variables with their addresses.
    fn urls(&self) -> [(&'static str, String); 4] {
        [
            ("PROFILE_DATA_URL", self.profiles.uri()),
            ("BASELINE_URL", self.baselines.uri()),
            ("HISTORY_URL", self.history.uri()),
            ("REGISTRY_URL", self.registry.uri()),
        ]
    }

    /// A decision process that uses all of them but these.
    async fn before(&self, function: &str, without: &[&str]) -> Flamewarden {
        let urls = self.urls().into_iter().filter(|(name, _)| !without.contains(name));
        urls.fold(Setup::of(&[("FUNCTION", function)]), |setup, (name, url)| setup.with(name, &url)).start().await
    }

    /// A triage process that uses them.
    async fn triage(&self) -> Flamewarden {
        self.before(TRIAGE, &[]).await
    }

    /// The calls that each of them received.
    async fn calls(&self) -> [Vec<String>; 4] {
        [
            calls(&self.profiles).await,
            calls(&self.baselines).await,
            calls(&self.history).await,
            calls(&self.registry).await,
        ]
    }
}

/// The method and path of the calls that a server received.
pub(crate) async fn calls(server: &MockServer) -> Vec<String> {
    let requests = server.received_requests().await.unwrap();
    let mut calls: Vec<_> = requests.iter().map(|r| format!("{} {}", r.method, r.url.path())).collect();
    calls.sort();
    calls
}

/// A triage makes a call for each type, a diff makes one. In v2 both make one more to baselines, to the history and to
/// the registry, unless these are off.
#[rstest]
#[case(TRIAGE_V1, &[], "/triage/shop?types=cpu", 1, None, 0, 0)]
#[case(TRIAGE_V1, &[], "/triage/shop?types=cpu,alloc", 2, None, 0, 0)]
#[case(TRIAGE, &[], "/triage/shop?types=cpu", 1, Some("/baselines/shop"), 1, 1)]
#[case(TRIAGE, &[], "/triage/shop?types=cpu,alloc", 2, Some("/baselines/shop"), 1, 1)]
#[case(TRIAGE, &[], "/triage/shop", 2, Some("/baselines/shop"), 1, 1)]
#[case(TRIAGE, &["REGISTRY_URL"], "/triage/shop?types=cpu", 1, Some("/baselines/shop"), 1, 0)]
#[case(TRIAGE, &["REGISTRY_URL", "HISTORY_URL"], "/triage/shop?types=cpu", 1, Some("/baselines/shop"), 0, 0)]
#[case(TRIAGE, &["BASELINE_URL"], "/triage/shop?types=cpu", 1, None, 1, 1)]
#[case(DIFF_V1, &[], "/diff/shop?", 1, None, 0, 0)]
#[case(DIFF, &[], "/diff/shop?", 1, Some("/baselines/shop/cpu"), 1, 1)]
#[case(DIFF, &[], "/diff/shop?format=markdown&", 1, Some("/baselines/shop/cpu"), 1, 1)]
#[case(DIFF, &["REGISTRY_URL"], "/diff/shop?", 1, Some("/baselines/shop/cpu"), 1, 0)]
#[case(DIFF, &["BASELINE_URL", "HISTORY_URL"], "/diff/shop?", 1, None, 0, 1)]
#[actix_web::test]
async fn a_decision_calls_as_often_as_is_promised(
    #[case] function: &str,
    #[case] without: &[&str],
    #[case] path: &str,
    #[case] exports: usize,
    #[case] baselines: Option<&str>,
    #[case] history: usize,
    #[case] registry: usize,
) {
    let sors = Sors::start().await;
    let server = sors.before(function, without).await;
    let path = if path.ends_with(['?', '&']) { format!("{path}{APART}") } else { path.to_owned() };
    let answer = server.get(&path).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    until("the decision to be delivered", || async { calls(&sors.history).await.len() >= history }).await;
    // Stopping sends everything that is not sent yet.
    server.stop().await;
    let expected = [
        vec!["GET /profiles/shop/export".to_owned(); exports],
        baselines.iter().map(|path| format!("GET {path}")).collect(),
        vec!["POST /history".to_owned(); history],
        vec!["GET /services/shop".to_owned(); registry],
    ];
    assert_eq!(sors.calls().await, expected);
    for request in sors.profiles.received_requests().await.unwrap() {
        let asked = |wanted: &str| {
            let pair = request.url.query_pairs().find(|(name, _)| name == wanted);
            pair.map(|(_, value)| value.into_owned())
        };
        let own = (registry == 1).then(|| "env=\"prod\"".to_owned());
        assert_eq!(asked("selector"), own);
        let tenant = request.headers.get("x-scope-orgid").map(|tenant| tenant.to_str().unwrap());
        assert_eq!(tenant, (registry == 1).then_some("team-a"));
        if path.starts_with("/diff") {
            assert_eq!(asked("baselineSelector"), Some(own.unwrap_or_default()));
        }
    }
}

#[actix_web::test]
async fn a_decision_is_delivered_as_the_spool_in_the_trace_of_its_request() {
    let (sors, trace) = (Sors::start().await, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let server = sors.triage().await;
    let asked = server.get("/triage/shop?types=cpu").header("traceparent", trace).send().await.unwrap();
    assert_eq!(asked.status(), 200);
    until("the decision to be delivered", || async { !calls(&sors.history).await.is_empty() }).await;
    let delivered = &sors.history.received_requests().await.unwrap()[0].headers;
    let sent = [&delivered["traceparent"], &delivered["x-flamewarden-actor"]].map(|value| value.to_str().unwrap());
    assert_eq!(sent, [trace, "system:spool"]);
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
    // The history cannot be reached, but the spool keeps the assessment until it can.
    assert_eq!(body.get("history"), None::<&Value>, "{body}");
    until("a second try", || async { calls(&sors.history).await.len() > 1 }).await;
}
