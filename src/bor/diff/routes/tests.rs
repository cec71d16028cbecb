#![expect(clippy::type_complexity, reason = "what a test hands back is told by its names")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::test::{TestRequest, call_service, init_service, read_body};
use chrono::DateTime;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::bor::diff::DiffParts;
use crate::bor::{LinkSettings, RelationalPorts};
use crate::http;
use crate::kernel::{
    Call, Clock, FixedClock, LimitSeverity, Percent, PortError, PortResult, RowId, SequentialIds, Tenant, Tier,
    TimeWindow, Version,
};
use crate::profile::{Profile, ReadLimits, SampleType, read_folded};
use crate::sor::baseline::{Baseline, BaselineSor, MockBaselineSor};
use crate::sor::history::{AssessmentSeverity, HistorySor, MockHistorySor, NewAssessment};
use crate::sor::profile_data::{
    MergedProfile, MockProfileDataSor, ProfileDataSor, ProfileMeta, ProfileQuery, StepWidth, Timeline,
};
use crate::sor::registry::{MockRegistrySor, RegistrySor, Service};

const NOW: i64 = 1_706_003_600;
/// Both windows, so that tests need not count.
const WINDOWS: &str = "baselineFrom=1705996400&baselineTo=1706000000&from=1706000000&to=1706003600";

fn cpu(folded: &str) -> MergedProfile {
    if folded.is_empty() {
        return MergedProfile::default();
    }
    let sample_type = SampleType::new("cpu", "nanoseconds");
    let lines = folded.lines().filter_map(|line| line.rsplit_once(' '));
    let text: String =
        lines.map(|(stack, n)| format!("{stack} {}\n", n.parse::<i64>().unwrap() * 10_000_000)).collect();
    let profile = read_folded(text.as_bytes(), sample_type.clone(), &ReadLimits::default()).unwrap();
    let meta = ProfileMeta { sample_type: Some(sample_type), ..ProfileMeta::default() };
    MergedProfile { profile: Arc::new(profile), meta }
}

/// Twenty functions that do not change, beside what is given.
fn busy(more: &str) -> String {
    let steady: String = (0..20).map(|i| format!("main;steady{i} 500\n")).collect();
    format!("{steady}{more}")
}

type Answer = PortResult<Option<(MergedProfile, MergedProfile)>>;

fn source(answer: fn() -> Answer) -> MockProfileDataSor {
    let mut port = MockProfileDataSor::new();
    port.expect_merged_pair().times(1).returning(move |_, _, _, _| answer());
    port.expect_apps().returning(|_, _, _| Err(PortError::Unavailable("secret".into())));
    port
}

/// `Cart.toJson` grew from 9 to 26 % of CPU.
fn grown() -> Answer {
    Ok(Some((cpu(&busy("main;Cart.toJson 1000")), cpu(&busy("main;Cart.toJson 3500")))))
}

fn limit(function: &str, percent: f64) -> Baseline {
    let at = DateTime::from_timestamp(NOW, 0).unwrap();
    Baseline {
        id: RowId::new(1).unwrap(),
        app_name: "shop".parse().unwrap(),
        profile_type: ProfileType::Cpu,
        function_name: function.parse().unwrap(),
        max_self_percent: Percent::new(percent).unwrap(),
        severity: LimitSeverity::Warning,
        created_by: None,
        created_at: at,
        updated_at: at,
    }
}

fn limits(result: fn() -> PortResult<Vec<Baseline>>) -> Option<Arc<dyn BaselineSor>> {
    let mut port = MockBaselineSor::new();
    port.expect_list().times(1).returning(move |_, _, kind| {
        assert_eq!(kind, Some(ProfileType::Cpu), "only what is compared");
        result()
    });
    Some(Arc::new(port))
}

fn history(result: PortResult<()>) -> (Option<Arc<dyn HistorySor>>, Arc<Mutex<Vec<NewAssessment>>>) {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&kept);
    let mut port = MockHistorySor::new();
    port.expect_record().times(1).returning(move |_, entry| {
        sink.lock().unwrap().push(entry);
        result.clone()
    });
    (Some(Arc::new(port)), kept)
}

struct Setup {
    profiles: Arc<dyn ProfileDataSor>,
    baselines: Option<Arc<dyn BaselineSor>>,
    history: Option<Arc<dyn HistorySor>>,
    registry: Option<Arc<dyn RegistrySor>>,
    version: Version,
    deadline: Duration,
}

impl Setup {
    fn v1(profiles: impl ProfileDataSor + 'static) -> Self {
        let deadline = Duration::from_secs(40);
        let (profiles, version) = (Arc::new(profiles), Version::V1);
        Self { profiles, baselines: None, history: None, registry: None, version, deadline }
    }

    fn v2(profiles: impl ProfileDataSor + 'static) -> Self {
        Self { version: Version::V2, ..Self::v1(profiles) }
    }

    async fn get(self, query: &str) -> (u16, Value) {
        let (status, body) = self.send(TestRequest::get().uri(&format!("/diff/shop?{query}"))).await;
        (status, serde_json::from_str(&body).unwrap())
    }

    async fn send(self, request: TestRequest) -> (u16, String) {
        let clock: Arc<dyn Clock> = Arc::new(FixedClock::at(DateTime::from_timestamp(NOW, 0).unwrap()));
        let relational = RelationalPorts {
            baselines: self.baselines,
            history: self.history,
            registry: self.registry,
            clock,
            ids: Arc::new(SequentialIds::default()),
            version: self.version,
        };
        let parts = DiffParts { profiles: self.profiles, relational, rules: crate::verdict::Rules::builtin() };
        let service = DiffService::new(parts).within(self.deadline);
        let links = web::Data::new(LinkSettings::default());
        let app =
            actix_web::App::new().app_data(web::Data::new(service)).app_data(links).configure(Routes::serve(routes));
        let app = init_service(app).await;
        let answer = call_service(&app, request.to_request()).await;
        let status = answer.status().as_u16();
        (status, String::from_utf8(read_body(answer).await.to_vec()).unwrap())
    }
}

#[rstest]
#[case::registered(true, Some("team-a"), r#"env="prod""#, None)]
#[case::failing(false, None, "", Some("unavailable"))]
#[actix_web::test]
async fn both_windows_are_read_under_the_registered_labels_and_tenant(
    #[case] answers: bool,
    #[case] tenant: Option<&'static str>,
    #[case] own: &'static str,
    #[case] labels: Option<&str>,
) {
    let mut profiles = MockProfileDataSor::new();
    profiles.expect_merged_pair().times(1).returning(move |_, query, _, baseline_selector| {
        assert_eq!(query.tenant.as_ref().map(Tenant::as_str), tenant);
        assert_eq!([&query.selector, baseline_selector].map(ToString::to_string), [own, own]);
        grown()
    });
    let mut registry = MockRegistrySor::new();
    registry.expect_get().times(1).returning(move |_, app| {
        let at = DateTime::from_timestamp(NOW, 0).unwrap();
        let service = Service {
            id: RowId::new(1).unwrap(),
            app_name: app.clone(),
            team_owner: None,
            tier: Tier::standard(),
            environment: None,
            notification_channel: None,
            pyroscope_labels: Some(json!({"env": "prod"}).try_into().unwrap()),
            metadata: Some(json!({"pyroscopeTenant": "team-a"}).try_into().unwrap()),
            created_at: at,
            updated_at: at,
        };
        if answers {
            Ok(Some(crate::kernel::Stored::Valid(service)))
        } else {
            Err(PortError::Unavailable("away".into()))
        }
    });
    let setup = Setup { registry: Some(Arc::new(registry)), ..Setup::v2(profiles) };
    let (status, body) = setup.get(WINDOWS).await;
    assert_eq!((status, body.get("labels").and_then(Value::as_str)), (200, labels), "{body}");
}

fn members(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[actix_web::test]
async fn v1_tells_what_changed_without_limits_and_history() {
    let (status, body) = Setup::v1(source(grown)).get(WINDOWS).await;
    assert_eq!(status, 200, "{body}");
    for absent in ["breaches", "baselinesNotSeen", "baselines", "history", "labels"] {
        assert!(body.get(absent).is_none(), "{absent}");
    }
    assert_eq!(
        body["regressions"],
        json!([{"function": "Cart.toJson", "baselinePercent": 9.09, "currentPercent": 25.93, "deltaPercent": 16.84,
                "verdict": "regressed", "callers": [{"function": "main", "percent": 100.0}], "adjustedDelta": 22.73, "minDetectable": 3.61, "baselineCores": 0.0028,
                "currentCores": 0.0097, "baselineSamples": 1000, "currentSamples": 3500}])
    );
    assert_eq!(
        (body["improvements"].as_array().unwrap().len(), &body["improvements"][0]["verdict"]),
        (20, &json!("noise"))
    );
    assert_eq!(
        body["summary"],
        json!({"regressionsCount": 1, "improvementsCount": 20, "topRegression": "Cart.toJson (+16.84%)",
               "verdict": "regressions", "significantRegressions": 1, "significantImprovements": 0, "confidence": "high",
               "smallestVisible": 0.98,
               "headline": "0.03 → 0.04 cores, load ×1.0; beyond that, one function grew: Cart.toJson from 9.1 to \
                            31.8 % at the baseline's load (+22.7 points)."})
    );
    assert_eq!(
        body["baseline"],
        json!({"from": 1_705_996_400, "to": 1_706_000_000, "totalSamples": 110_000_000_000_i64, "sampleCount": 11_000,
               "cores": 0.0306})
    );
    assert_eq!(
        (&body["sampleType"], &body["unit"], &body["loadFactor"]),
        (&json!("cpu"), &json!("nanoseconds"), &json!(1.0))
    );
    assert_eq!(
        body["links"]["flamegraph"],
        format!("/profiles/shop/flamegraph?type=cpu&{}", {
            "from=1706000000&to=1706003600&baselineFrom=1705996400&baselineTo=1706000000"
        })
    );
}

#[actix_web::test]
async fn v2_holds_every_function_against_its_limit_and_keeps_the_report() {
    let (history, kept) = history(Ok(()));
    let baselines = limits(|| Ok(vec![limit("Cart.toJson", 5.0), limit("steady1", 1.0), limit("gone", 1.0)]));
    let setup = Setup { baselines, history, ..Setup::v2(source(grown)) };
    let uri = format!("/diff/shop?{WINDOWS}&limit=1");
    let (status, body) = setup.send(TestRequest::get().uri(&uri).insert_header(("X-Requested-By", "ada"))).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200, "{body}");
    let row = &body["regressions"][0];
    assert_eq!((&row["approvedThreshold"], &row["exceedsThreshold"]), (&json!(5.0), &json!(true)));
    assert_eq!(body["improvements"].as_array().unwrap().len(), 1);
    let breaches: Vec<_> = body["breaches"].as_array().unwrap().iter().map(|b| &b["function"]).collect();
    assert_eq!(breaches, ["Cart.toJson", "steady1"]);
    assert_eq!(body["baselinesNotSeen"], json!(["gone"]));
    let summary = &body["summary"];
    assert_eq!((&summary["thresholdBreaches"], &summary["improvementsCount"]), (&json!(1), &json!(20)));
    assert_eq!((&body["baselines"], &body["history"], &body["labels"]), (&Value::Null, &Value::Null, &json!("off")));
    let entry = kept.lock().unwrap().pop().unwrap();
    assert_eq!((entry.diagnosis.as_str(), entry.severity), ("regressions_detected", AssessmentSeverity::High));
    assert_eq!((entry.app_name.as_str(), entry.profile_types), ("shop", vec![ProfileType::Cpu]));
    assert_eq!(entry.requested_by.unwrap().as_str(), "ada");
    assert_eq!((entry.assessed_at.unwrap().timestamp(), entry.idempotency_key.unwrap().as_u128()), (NOW, 1));
    assert_eq!(
        entry.top_functions.unwrap().as_value(),
        &json!({"cpu": [{"name": "Cart.toJson", "selfPercent": 25.93, "deltaPercent": 16.84, "verdict": "regressed"}]})
    );
}

/// Thirty functions whose share grew, as another is gone.
fn crowd() -> Answer {
    let left: String = (0..30).map(|i| format!("main;f{i} 500\n")).collect();
    Ok(Some((cpu(&format!("{left}main;whale 90000")), cpu(&left))))
}

#[actix_web::test]
async fn the_audit_trail_keeps_the_largest_changes_of_a_report_that_shows_all() {
    let (history, kept) = history(Ok(()));
    let setup = Setup { baselines: limits(|| Ok(Vec::new())), history, ..Setup::v2(source(crowd)) };
    let (_, body) = setup.get(&format!("{WINDOWS}&limit=0")).await;
    assert_eq!(body["regressions"].as_array().unwrap().len(), 30);
    let entry = kept.lock().unwrap().pop().unwrap();
    assert_eq!(entry.top_functions.unwrap().as_value()["cpu"].as_array().unwrap().len(), 20);
}

#[rstest]
#[case::grown(grown, "regressions_detected", AssessmentSeverity::Medium, "regressions")]
#[case::same(|| Ok(Some((cpu(&busy("")), cpu(&busy(""))))), "no_regressions", AssessmentSeverity::Low, "no_regressions")]
#[case::few(|| Ok(Some((cpu("a 5"), cpu("b 500")))), "insufficient", AssessmentSeverity::Low, "insufficient")]
#[case::empty(|| Ok(Some((cpu(""), cpu("b 500")))), "no_data", AssessmentSeverity::Low, "no_data")]
#[actix_web::test]
async fn the_history_is_told_the_verdict(
    #[case] answer: fn() -> Answer,
    #[case] diagnosis: &str,
    #[case] severity: AssessmentSeverity,
    #[case] verdict: &str,
) {
    let (history, kept) = history(Ok(()));
    let setup = Setup { baselines: limits(|| Ok(Vec::new())), history, ..Setup::v2(source(answer)) };
    let (_, body) = setup.get(WINDOWS).await;
    assert_eq!(body["summary"]["verdict"], verdict);
    let entry = kept.lock().unwrap().pop().unwrap();
    assert_eq!((entry.diagnosis.as_str(), entry.severity), (diagnosis, severity));
}

#[actix_web::test]
async fn an_empty_window_is_said_and_nothing_improved() {
    let silent = || Ok(Some((cpu(&busy("")), cpu(""))));
    let setup = Setup { baselines: limits(|| Ok(vec![limit("a", 1.0)])), ..Setup::v2(source(silent)) };
    let (status, body) = setup.get(WINDOWS).await;
    assert_eq!((status, &body["regressions"], &body["improvements"]), (200, &json!([]), &json!([])));
    assert_eq!(
        body["summary"],
        json!({"regressionsCount": 0, "improvementsCount": 0, "thresholdBreaches": 0, "topRegression": null,
               "verdict": "no_data", "significantRegressions": 0, "significantImprovements": 0, "missing": ["current"],
               "headline": "No profile arrived in the current window: nothing can be compared."})
    );
    assert_eq!((&body["breaches"], &body["baselinesNotSeen"]), (&json!([]), &json!(["a"])));
    let (_, text) = Setup::v1(source(silent)).send(TestRequest::get().uri("/diff/shop?format=markdown")).await;
    assert!(text.starts_with("# Diff Report: shop (no current data)\n\n**No data.** No profile arrived"), "{text}");
}

#[actix_web::test]
async fn answers_all_the_same_where_relational_sors_are_off_or_fail() {
    let (_, off) = Setup::v2(source(grown)).get(WINDOWS).await;
    assert_eq!((&off["baselines"], &off["history"]), (&json!("off"), &json!("off")));
    let (history, _) = history(Err(PortError::Unavailable("secret host".into())));
    let baselines = limits(|| Err(PortError::Timeout("secret".into())));
    let (status, failed) = Setup { baselines, history, ..Setup::v2(source(grown)) }.get(WINDOWS).await;
    assert_eq!((status, &failed["baselines"], &failed["history"]), (200, &json!("unavailable"), &json!("unavailable")));
    for answer in [off, failed] {
        assert!(answer.get("breaches").is_none() && answer["summary"].get("thresholdBreaches").is_none());
        assert!(!answer.to_string().contains("secret") && answer["regressions"][0].get("approvedThreshold").is_none());
    }
}

#[rstest]
#[case::unknown(|| Ok(None), 404, "app_unknown")]
#[case::timeout(|| Err(PortError::Timeout(String::new())), 504, "timeout")]
#[case::down(|| Err(PortError::Unavailable("secret".into())), 502, "profile_source_failed")]
#[case::denied(|| Err(PortError::Denied(String::new())), 502, "profile_source_denied")]
#[case::busy(|| Err(PortError::Overloaded { detail: String::new(), retry_after_s: 7 }), 503, "profile_source_busy")]
#[actix_web::test]
async fn fails_where_profiles_cannot_be_had(#[case] answer: fn() -> Answer, #[case] status: u16, #[case] code: &str) {
    let (got, body) = Setup::v2(source(answer)).get("").await;
    assert_eq!((got, &body["code"]), (status, &json!(code)));
}

#[actix_web::test]
async fn gives_up_at_the_deadline() {
    struct Slow;
    #[async_trait::async_trait]
    impl ProfileDataSor for Slow {
        async fn apps<'a>(
            &'a self,
            _: &'a Call,
            _: Option<&'a crate::kernel::Tenant>,
            _: TimeWindow,
        ) -> PortResult<Vec<AppName>> {
            Ok(Vec::new())
        }
        async fn merged(&self, _: &Call, _: &ProfileQuery) -> PortResult<Option<MergedProfile>> {
            Ok(None)
        }
        async fn merged_pair(&self, _: &Call, _: &ProfileQuery, _: TimeWindow, _: &Selector) -> Answer {
            std::future::pending().await
        }
        async fn totals(&self, _: &Call, _: &ProfileQuery, _: StepWidth) -> PortResult<Option<Timeline<i64>>> {
            unreachable!("a diff is not read step by step")
        }
        async fn stacks(&self, _: &Call, _: &ProfileQuery, _: StepWidth) -> PortResult<Option<Timeline<Profile>>> {
            unreachable!("a diff is not read step by step")
        }
    }
    let (status, body) = Setup { deadline: Duration::from_millis(20), ..Setup::v2(Slow) }.get("").await;
    assert_eq!((status, &body["code"]), (504, &json!("timeout")));
}

#[rstest]
#[case("type=heap", "profile_type_unknown")]
#[case("limit=-1", "parameter_invalid")]
#[case("format=html", "parameter_invalid")]
#[case("settle=5m", "parameter_invalid")]
#[case("at=now-2h&settle=300", "parameter_invalid")]
#[case("at=now-2h&from=now-1h", "parameter_invalid")]
#[case("at=now-1m", "window_invalid")]
#[case("types=cpu", "parameter_unknown")]
#[case("from=now&to=now-1h", "window_invalid")]
#[case("baselineFrom=now-1h&baselineTo=now-2h", "window_invalid")]
#[case("from=now-1h&to=now&baselineFrom=now-2h&baselineTo=now-30m", "windows_overlap")]
#[case(
    "from=now-1h&to=now&baselineFrom=now-1h&baselineTo=now&selector=a=%22b%22&baselineSelector=a=%22b%22",
    "windows_overlap"
)]
#[case("selector=a", "parameter_invalid")]
#[case("baselineSelector=a", "parameter_invalid")]
#[actix_web::test]
async fn refuses_what_it_does_not_take(#[case] query: &str, #[case] code: &str) {
    let (status, body) = Setup::v2(MockProfileDataSor::new()).get(query).await;
    assert_eq!((status, &body["code"]), (400, &json!(code)), "{body}");
}

#[actix_web::test]
async fn asks_once_for_both_windows_and_series() {
    let mut port = MockProfileDataSor::new();
    port.expect_merged_pair().times(1).returning(|_, query, baseline, selector| {
        assert_eq!((query.kind, query.selector.to_string().as_str()), (ProfileType::Wall, "version=\"2\""));
        assert_eq!((baseline, selector.to_string().as_str()), (query.window, "version=\"1\""));
        grown()
    });
    let query = "type=wallclock&selector=version=%222%22&baselineSelector=version=%221%22";
    let (status, body) = Setup::v1(port).get(query).await;
    assert_eq!((status, &body["profileType"]), (200, &json!("wall")));
    assert_eq!(
        (&body["baseline"]["selector"], &body["current"]["selector"]),
        (&json!("version=\"1\""), &json!("version=\"2\""))
    );
    assert!(body["links"]["flamegraph"].as_str().unwrap().ends_with("&baselineSelector=version%3D%221%22"));
}

#[rstest]
#[case("text/markdown", true)]
#[case("text/markdown, application/json", true)]
#[case("application/json, text/markdown;q=0.5", false)]
#[case("*/*", false)]
#[actix_web::test]
async fn writes_markdown_where_it_is_asked_for(#[case] accept: &str, #[case] is_markdown: bool) {
    let request = TestRequest::get().uri("/diff/shop").insert_header(("accept", accept));
    let (_, text) = Setup::v1(source(grown)).send(request).await;
    assert_eq!(text.starts_with("# Diff Report: shop\n"), is_markdown, "{text}");
}

#[actix_web::test]
async fn golden_report_in_markdown() {
    fn report() -> Answer {
        let before = "main;a|b 1000\nmain;gone 900\nmain;serve;old 800\nmain;parse 700";
        let now = "main;a|b 3000\nmain;serve;young 800\nmain;parse 100\nmain;<init>`x` 900";
        Ok(Some((cpu(&busy(before)), cpu(&busy(now)))))
    }
    let baselines =
        limits(|| Ok(vec![limit("a|b", 5.0), limit("steady1", 1.0), limit("old", 50.0), limit("lost", 5.0)]));
    let setup = Setup { baselines, ..Setup::v2(source(report)) };
    let uri = format!("/diff/shop?{WINDOWS}&format=markdown&limit=4");
    let (_, text) = setup.send(TestRequest::get().uri(&uri)).await;
    insta::assert_snapshot!(text);
}

#[actix_web::test]
async fn what_grew_is_not_said_to_stand_over_its_limit_because_its_row_is_not_shown() {
    fn grew() -> Answer {
        let before = "main;a 1000\nmain;b 900\nmain;steady 5000";
        let now = "main;a 4000\nmain;b 2900\nmain;steady 5000";
        Ok(Some((cpu(&busy(before)), cpu(&busy(now)))))
    }
    let baselines = limits(|| Ok(vec![limit("a", 1.0), limit("b", 1.0), limit("steady", 1.0)]));
    let setup = Setup { baselines, ..Setup::v2(source(grew)) };
    let uri = format!("/diff/shop?{WINDOWS}&format=markdown&limit=1");
    let (_, text) = setup.send(TestRequest::get().uri(&uri)).await;
    let (_, standing) = text.split_once("## Over their limit without having grown").unwrap();
    assert!(
        standing.contains("| `steady` |") && !standing.contains("| `a` |") && !standing.contains("| `b` |"),
        "{text}"
    );
}

#[actix_web::test]
async fn compares_large_profiles_as_small_ones() {
    fn deep() -> Answer {
        let tail = (0..70).map(|i| format!("f{i}")).collect::<Vec<_>>().join(";");
        let stacks = |n: i64| (0..1_000).map(|i| format!("main;{tail};leaf{} {n}\n", i % 40)).collect::<String>();
        let more = format!("{}main;slow 4000", stacks(2));
        Ok(Some((cpu(&format!("{}main;slow 100", stacks(2))), cpu(&more))))
    }
    let (_, body) = Setup::v1(source(deep)).get(WINDOWS).await;
    assert_eq!(
        (&body["regressions"][0]["function"], &body["summary"]["significantRegressions"]),
        (&json!("slow"), &json!(1))
    );
}

#[test]
fn documents_the_route_with_a_whole_example_and_each_error() {
    let document = serde_json::to_value(Routes::describe(http::document(std::iter::empty()), routes)).unwrap();
    let operation = &document["paths"]["/diff/{appName}"]["get"];
    assert_eq!(members(&operation["responses"]), ["200", "400", "404", "500", "502", "503", "504"]);
    let content = &operation["responses"]["200"]["content"];
    assert_eq!(content["application/json"]["example"]["summary"]["verdict"], "regressions");
    assert!(content["text/markdown"].is_object());
}
