#![expect(clippy::type_complexity, reason = "what a test hands back is told by its names")]

mod compare;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::test::{TestRequest, call_service, init_service, read_body};
use chrono::DateTime;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::bor::triage::TriageParts;
use crate::bor::{LinkSettings, RelationalPorts};
use crate::http;
use crate::kernel::{
    CALL, Call, Clock, CostPerCoreHour, FixedClock, LimitSeverity, NoDataReason, Percent, PortError, PortResult,
    ProfileType, RowId, SequentialIds, Tenant, Version,
};
use crate::profile::{Profile, ReadLimits, SampleType, read_folded};
use crate::sor::baseline::{Baseline, BaselineSor, MockBaselineSor};
use crate::sor::history::{HistorySor, MockHistorySor, NewAssessment};
use crate::sor::profile_data::{
    MergedProfile, MockProfileDataSor, ProfileDataSor, ProfileMeta, ProfileQuery, StepWidth, Timeline,
};
use crate::sor::registry::{MockRegistrySor, RegistrySor, Service};
use crate::verdict::Rules;

/// Seven seconds past a quarter minute; the default window ends at `NOW - 7`.
const NOW: i64 = 1_706_003_602;

const BUSY: &str = "main.main;main.serve;main.cart;runtime.mallocgc 4000\nmain.main;main.serve;main.parse 3500\n\
                    main.main;main.serve;main.render 2500";

fn merged(folded: &str, name: &str, unit: &str, scale: i64) -> MergedProfile {
    let sample_type = SampleType::new(name, unit);
    let text: String = folded
        .lines()
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(stack, n)| format!("{stack} {}\n", n.parse::<i64>().unwrap() * scale))
        .collect();
    let profile = read_folded(text.as_bytes(), sample_type.clone(), &ReadLimits::default()).unwrap();
    let profile_types = vec![format!("process_cpu:{name}:{unit}:cpu:nanoseconds")];
    let meta = ProfileMeta { sample_type: Some(sample_type), profile_types, ..ProfileMeta::default() };
    MergedProfile { profile: Arc::new(profile), meta }
}

fn cpu(folded: &str) -> MergedProfile {
    merged(folded, "cpu", "nanoseconds", 10_000_000)
}

/// The app is known and has nothing of this kind.
fn without() -> MergedProfile {
    MergedProfile::default()
}

type Answer = fn(&ProfileQuery) -> PortResult<Option<MergedProfile>>;

fn source(answer: Answer) -> MockProfileDataSor {
    let mut port = MockProfileDataSor::new();
    port.expect_merged().returning(move |_, query| answer(query));
    port.expect_stacks().returning(|_, _, _| Ok(None));
    port.expect_apps().returning(|_, _, _| Ok(vec!["shop2".parse().unwrap()]));
    port
}

fn only_cpu(query: &ProfileQuery) -> PortResult<Option<MergedProfile>> {
    Ok(Some(if query.kind == ProfileType::Cpu { cpu(BUSY) } else { without() }))
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
        assert_eq!(kind, None, "one call for all kinds");
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
    profiles: MockProfileDataSor,
    baselines: Option<Arc<dyn BaselineSor>>,
    history: Option<Arc<dyn HistorySor>>,
    registry: Option<Arc<dyn RegistrySor>>,
    version: Version,
    rules: Arc<Rules>,
    cost: Option<CostPerCoreHour>,
}

impl Setup {
    fn v1(profiles: MockProfileDataSor) -> Self {
        Self {
            profiles,
            baselines: None,
            history: None,
            registry: None,
            version: Version::V1,
            rules: Rules::builtin(),
            cost: None,
        }
    }

    fn v2(profiles: MockProfileDataSor) -> Self {
        Self { version: Version::V2, ..Self::v1(profiles) }
    }

    async fn get(self, path: &str) -> (u16, Value) {
        self.send(TestRequest::get().uri(path)).await
    }

    async fn send(self, request: TestRequest) -> (u16, Value) {
        let clock: Arc<dyn Clock> = Arc::new(FixedClock::at(DateTime::from_timestamp(NOW, 0).unwrap()));
        let service = TriageService::new(TriageParts {
            profiles: Arc::new(self.profiles) as Arc<dyn ProfileDataSor>,
            relational: RelationalPorts {
                baselines: self.baselines,
                history: self.history,
                registry: self.registry,
                clock,
                ids: Arc::new(SequentialIds::default()),
                version: self.version,
            },
            rules: self.rules,
            cost: self.cost,
        });
        let links = web::Data::new(LinkSettings::default());
        let app =
            actix_web::App::new().app_data(web::Data::new(service)).app_data(links).configure(Routes::serve(routes));
        let app = init_service(app).await;
        let answer = call_service(&app, request.to_request()).await;
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&read_body(answer).await).unwrap())
    }
}

fn members(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[actix_web::test]
async fn v1_answers_without_baselines_history_and_labels() {
    let (status, body) = Setup::v1(source(only_cpu)).get("/triage/shop?types=cpu").await;
    assert_eq!(status, 200);
    assert_eq!(members(&body), ["appName", "from", "links", "profiles", "summary", "to"]);
    let block = &body["profiles"]["cpu"];
    assert_eq!((&block["diagnosis"], &block["severity"]), (&json!("allocation"), &json!("high")));
    assert_eq!(
        (&block["cores"], &block["sampleCount"], &block["confidence"]),
        (&json!(0.0278), &json!(10_000), &json!("high"))
    );
    assert!(!members(block).iter().any(|m| m.starts_with("baseline")));
    assert_eq!(body["summary"]["baselineViolations"], Value::Null);
    assert_eq!(body["summary"]["verdict"], "problem");
    assert_eq!(
        body["links"]["flamegraph"],
        format!("/profiles/shop/flamegraph?type=cpu&from={}&to={}", NOW - 7 - 3_600, NOW - 7)
    );
}

#[actix_web::test]
async fn v2_holds_every_function_against_its_limit_and_keeps_the_assessment() {
    let (history, kept) = history(Ok(()));
    let baselines = limits(|| Ok(vec![limit("main.parse", 15.0), limit("main.render", 25.0), limit("main.gone", 1.0)]));
    let setup = Setup { baselines, history, ..Setup::v2(source(only_cpu)) };
    let request = TestRequest::get().uri("/triage/shop?types=cpu&limit=1").insert_header(("X-Requested-By", "ada"));
    let (status, body) = setup.send(request).await;
    assert_eq!(status, 200);
    let block = &body["profiles"]["cpu"];
    assert_eq!(
        block["baselineViolations"],
        json!([{"function": "main.parse", "currentPercent": 35.0, "low": 33.86, "high": 36.15, "threshold": 15.0,
                "exceededBy": 20.0, "severity": "warning", "confirmed": true}])
    );
    assert_eq!(block["baselinesNotSeen"], json!(["main.gone"]));
    assert_eq!(body["summary"]["baselineViolations"], 1);
    assert_eq!((&body["baselines"], &body["history"], &body["labels"]), (&Value::Null, &Value::Null, &json!("off")));
    let entry = kept.lock().unwrap().pop().unwrap();
    assert_eq!((entry.app_name.as_str(), entry.diagnosis.as_str()), ("shop", "allocation"));
    assert_eq!(entry.profile_types, [ProfileType::Cpu]);
    assert_eq!(entry.requested_by.unwrap().as_str(), "ada");
    assert_eq!(entry.assessed_at.unwrap().timestamp(), NOW);
    assert_eq!(entry.idempotency_key.unwrap().as_u128(), 1);
    assert_eq!(
        entry.top_functions.unwrap().as_value(),
        &json!({"cpu": [{"name": "runtime.mallocgc", "selfPercent": 40.0, "selfSamples": 40_000_000_000_i64}]})
    );
}

#[actix_web::test]
async fn says_what_a_finding_could_save_in_cores_and_in_money() {
    let free = Setup::v1(source(only_cpu)).get("/triage/shop?types=cpu").await.1;
    assert_eq!(free["profiles"]["cpu"]["findings"][0]["atMost"], json!({"cores": 0.0111, "percentOfApp": 40.0}));
    let cost = Some("5".parse().unwrap());
    let priced = Setup { cost, ..Setup::v1(source(only_cpu)) }.get("/triage/shop?types=cpu").await.1;
    assert_eq!(
        priced["profiles"]["cpu"]["findings"][0]["atMost"],
        json!({"cores": 0.0111, "percentOfApp": 40.0, "perMonth": 40.56})
    );
}

#[actix_web::test]
async fn says_which_relational_sors_are_off() {
    let (_, body) = Setup::v2(source(only_cpu)).get("/triage/shop?types=cpu").await;
    assert_eq!((&body["baselines"], &body["history"], &body["labels"]), (&json!("off"), &json!("off"), &json!("off")));
    assert_eq!(body["profiles"]["cpu"]["baselineViolations"], Value::Null);
    assert_eq!(body["summary"]["baselineViolations"], Value::Null);
}

#[actix_web::test]
async fn answers_all_the_same_where_relational_sors_fail() {
    let (history, _) = history(Err(PortError::Unavailable("secret host".into())));
    let setup = Setup {
        baselines: limits(|| Err(PortError::Timeout("secret".into()))),
        history,
        ..Setup::v2(source(only_cpu))
    };
    let (status, body) = setup.get("/triage/shop?types=cpu").await;
    assert_eq!(status, 200);
    assert_eq!((&body["baselines"], &body["history"]), (&json!("unavailable"), &json!("unavailable")));
    assert!(!body.to_string().contains("secret"));
}

#[actix_web::test]
async fn a_kind_that_cannot_be_read_is_unavailable_in_its_place() {
    let profiles = source(|q| match q.kind {
        ProfileType::Alloc => Err(PortError::Unavailable("secret host".into())),
        _ => only_cpu(q),
    });
    let (status, body) = Setup::v1(profiles).get("/triage/shop?types=alloc,cpu").await;
    assert_eq!(status, 200);
    assert_eq!(
        body["profiles"]["alloc"],
        json!({"diagnosis": "unavailable", "error": "the source of profiles failed"})
    );
    assert_eq!(body["profiles"]["cpu"]["diagnosis"], "allocation");
    assert!(body["summary"]["headline"].as_str().unwrap().ends_with("The alloc profile could not be read."));
}

#[rstest]
#[case::timeout(|_: &ProfileQuery| Err(PortError::Timeout(String::new())), 504, "timeout")]
#[case::down(|_: &ProfileQuery| Err(PortError::Unavailable(String::new())), 502, "profile_source_failed")]
#[case::denied(|_: &ProfileQuery| Err(PortError::Denied(String::new())), 502, "profile_source_denied")]
#[case::busy(|_: &ProfileQuery| Err(PortError::Overloaded { detail: String::new(), retry_after_s: 7 }), 503, "profile_source_busy")]
#[case::unknown(|_: &ProfileQuery| Ok(None), 404, "app_unknown")]
#[case::unknown_before_failed(|q: &ProfileQuery| if q.kind == ProfileType::Cpu { Ok(None) } else { Err(PortError::Timeout(String::new())) }, 404, "app_unknown")]
#[actix_web::test]
async fn fails_only_where_no_kind_could_be_read(#[case] answer: Answer, #[case] status: u16, #[case] code: &str) {
    let (got, body) = Setup::v2(source(answer)).get("/triage/shop").await;
    assert_eq!((got, &body["code"]), (status, &json!(code)));
    let suggests = body["detail"] == "no profiles of the app \"shop\" are known; did you mean \"shop2\"?";
    assert_eq!(suggests, code == "app_unknown", "{body}");
}

#[actix_web::test]
async fn gives_up_at_the_deadline_and_answers_what_came() {
    struct Slow;
    #[async_trait::async_trait]
    impl ProfileDataSor for Slow {
        async fn apps<'a>(
            &'a self,
            _: &'a Call,
            _: Option<&'a crate::kernel::Tenant>,
            _: crate::kernel::TimeWindow,
        ) -> PortResult<Vec<AppName>> {
            Ok(Vec::new())
        }
        async fn merged(&self, _: &Call, query: &ProfileQuery) -> PortResult<Option<MergedProfile>> {
            if query.kind == ProfileType::Cpu { Ok(Some(cpu(BUSY))) } else { std::future::pending().await }
        }
        async fn merged_pair(
            &self,
            _: &Call,
            _: &ProfileQuery,
            _: crate::kernel::TimeWindow,
            _: &Selector,
        ) -> PortResult<Option<(MergedProfile, MergedProfile)>> {
            Ok(None)
        }
        async fn totals(&self, _: &Call, _: &ProfileQuery, _: StepWidth) -> PortResult<Option<Timeline<i64>>> {
            unreachable!("nothing is compared")
        }
        async fn stacks(&self, _: &Call, _: &ProfileQuery, _: StepWidth) -> PortResult<Option<Timeline<Profile>>> {
            unreachable!("nothing is compared")
        }
    }
    let service = TriageService::new(TriageParts {
        profiles: Arc::new(Slow),
        relational: RelationalPorts {
            baselines: None,
            history: None,
            registry: None,
            clock: Arc::new(FixedClock::at(DateTime::from_timestamp(NOW, 0).unwrap())),
            ids: Arc::new(SequentialIds::default()),
            version: Version::V1,
        },
        rules: Rules::builtin(),
        cost: None,
    })
    .within(Duration::from_millis(20));
    let at = |s| DateTime::from_timestamp(s, 0).unwrap();
    let request = TriageRequest {
        app: "shop".parse().unwrap(),
        window: crate::kernel::TimeWindow::new(at(NOW - 3_600), at(NOW)).unwrap(),
        types: Requested::Given(vec![ProfileType::Cpu, ProfileType::Alloc]),
        limit: 10,
        selector: Selector::default(),
        tenant: None,
        requested_by: None,
        compare: None,
    };
    let body =
        serde_json::to_value(TriageBody::of(&service.triage(&CALL, &request).await.unwrap(), &LinkSettings::default()))
            .unwrap();
    assert_eq!(body["profiles"]["cpu"]["diagnosis"], "allocation");
    assert_eq!(body["profiles"]["alloc"]["error"], "the source of profiles did not answer in time");
}

/// A registry that is asked once, about a service of these labels and a tenant.
fn registry(answer: PortResult<Option<Value>>) -> Option<Arc<dyn RegistrySor>> {
    let mut port = MockRegistrySor::new();
    port.expect_get().times(1).returning(move |_, app| {
        let at = DateTime::from_timestamp(NOW, 0).unwrap();
        let service = |labels: Value| Service {
            id: RowId::new(1).unwrap(),
            app_name: app.clone(),
            team_owner: None,
            tier: crate::kernel::Tier::standard(),
            environment: None,
            notification_channel: None,
            pyroscope_labels: (!labels.is_null()).then(|| labels.try_into().unwrap()),
            metadata: Some(json!({"pyroscopeTenant": "team-a"}).try_into().unwrap()),
            created_at: at,
            updated_at: at,
        };
        answer.clone().map(|labels| labels.map(service).map(crate::kernel::Stored::Valid))
    });
    Some(Arc::new(port))
}

#[rstest]
#[case::narrowed(Ok(Some(json!({"env": "prod", "a": "1"}))), r#"a="1",env="prod",v!="2""#, Some("team-a"), None)]
#[case::without_labels(Ok(Some(Value::Null)), r#"v!="2""#, Some("team-a"), None)]
#[case::not_registered(Ok(None), r#"v!="2""#, None, None)]
#[case::failing(Err(PortError::Timeout("secret".into())), r#"v!="2""#, None, Some("unavailable"))]
#[actix_web::test]
async fn the_labels_and_the_tenant_of_the_registry_narrow_every_read(
    #[case] answer: PortResult<Option<Value>>,
    #[case] selector: &'static str,
    #[case] tenant: Option<&'static str>,
    #[case] labels: Option<&str>,
) {
    let mut profiles = MockProfileDataSor::new();
    profiles.expect_merged().times(2).returning(move |_, query| {
        assert_eq!(query.selector.to_string(), selector);
        assert_eq!(query.tenant.as_ref().map(Tenant::as_str), tenant);
        only_cpu(query)
    });
    let setup = Setup { registry: registry(answer), ..Setup::v2(profiles) };
    let (status, body) = setup.get("/triage/shop?types=cpu,alloc&selector=v!%3D%222%22").await;
    assert_eq!((status, body.get("labels").and_then(Value::as_str)), (200, labels), "{body}");
    // The link shows what was read.
    let link =
        format!("selector={}", percent_encoding::utf8_percent_encode(selector, percent_encoding::NON_ALPHANUMERIC));
    assert!(body["links"]["flamegraph"].as_str().unwrap().ends_with(&link), "{body}");
}

#[actix_web::test]
async fn version_one_asks_no_registry() {
    let port = MockRegistrySor::new();
    let setup = Setup { registry: Some(Arc::new(port)), ..Setup::v1(source(only_cpu)) };
    let (status, body) = setup.get("/triage/shop?types=cpu").await;
    assert_eq!((status, body.get("labels")), (200, None));
}

/// The kinds read for a request, and those answered.
async fn kinds(path: &str, answer: Answer) -> (Vec<ProfileType>, Vec<String>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&asked);
    let mut port = MockProfileDataSor::new();
    port.expect_merged().returning(move |_, query| {
        sink.lock().unwrap().push(query.kind);
        answer(query)
    });
    let (status, body) = Setup::v1(port).get(path).await;
    assert_eq!(status, 200, "{body}");
    let answered = members(&body["profiles"]).into_iter().map(str::to_owned).collect();
    let asked = asked.lock().unwrap().clone();
    (asked, answered)
}

#[actix_web::test]
async fn reads_cpu_and_alloc_by_default_and_answers_those_the_app_has() {
    use ProfileType::{Alloc, Cpu, Exception, Goroutine, Inuse, Lock, Samples, Wall};
    assert_eq!(kinds("/triage/shop", only_cpu).await, (vec![Cpu, Alloc], vec!["cpu".to_owned()]));
    let wall: Answer =
        |q| Ok(Some(if q.kind == Wall { merged(BUSY, "wall", "nanoseconds", 10_000_000) } else { without() }));
    assert_eq!(kinds("/triage/shop", wall).await, (vec![Cpu, Alloc, Wall, Inuse, Lock], vec!["wall".to_owned()]));
    let unknown: Answer = |q| Ok(Some(if q.kind == Samples { merged(BUSY, "foo", "count", 1) } else { without() }));
    let (asked, answered) = kinds("/triage/shop", unknown).await;
    assert_eq!(asked, [Cpu, Alloc, Wall, Inuse, Lock, Goroutine, Exception, Samples]);
    assert_eq!(answered, ["samples"]);
    let (_, none) = kinds("/triage/shop", |_| Ok(Some(without()))).await;
    assert_eq!(none, ["alloc", "cpu"]);
}

#[actix_web::test]
async fn never_replaces_the_kinds_asked() {
    let (asked, answered) = kinds("/triage/shop?types=mutex,lock,wall", only_cpu).await;
    assert_eq!(asked, [ProfileType::Lock, ProfileType::Wall]);
    assert_eq!(answered, ["lock", "wall"]);
}

#[actix_web::test]
async fn says_when_the_last_profile_came_where_there_is_none() {
    let profiles = source(|_| {
        let meta = ProfileMeta {
            kinds: vec![ProfileType::Cpu, ProfileType::Alloc],
            no_data: Some(NoDataReason::NoneInWindow),
            last_profile_at: DateTime::from_timestamp(NOW - 86_400, 0),
            ..ProfileMeta::default()
        };
        Ok(Some(MergedProfile { meta, ..MergedProfile::default() }))
    });
    let (status, body) = Setup::v1(profiles).get("/triage/shop?types=cpu").await;
    assert_eq!(status, 200);
    assert_eq!(
        (&body["profiles"]["cpu"]["diagnosis"], &body["profiles"]["cpu"]["totalSamples"]),
        (&json!("no_data"), &json!(0))
    );
    assert_eq!((&body["summary"]["primaryIssue"], &body["summary"]["severity"]), (&json!("no_data"), &json!("low")));
    assert_eq!(
        body["summary"]["headline"],
        "No profile arrived in this window; the last one came at 2024-01-22T09:53:22Z. This says nothing about the app's health."
    );
    let no_data =
        json!({"reason": "none_in_window", "kinds": ["cpu", "alloc"], "lastProfileAt": "2024-01-22T09:53:22Z"});
    assert_eq!((&body["summary"]["noData"], &body["profiles"]["cpu"]["noData"]), (&no_data, &no_data));
}

#[actix_web::test]
async fn says_plainly_that_samples_are_too_few() {
    let profiles = source(|_| Ok(Some(cpu("main.main;main.a 4\nmain.main;main.b 3"))));
    let (_, body) = Setup::v1(profiles).get("/triage/shop?types=cpu").await;
    assert_eq!(body["summary"]["verdict"], "insufficient");
    assert_eq!(body["profiles"]["cpu"]["confidence"], "insufficient");
    assert_eq!(body["summary"]["headline"], "Only 7 samples of shop were seen in this window, too few for a verdict.");
}

#[rstest]
#[case("types=heap", 400, "profile_type_unknown")]
#[case("types=,", 400, "parameter_invalid")]
#[case("limit=-1", 400, "parameter_invalid")]
#[case("type=cpu", 400, "parameter_unknown")]
#[case("from=now&to=now-1h", 400, "window_invalid")]
#[case("selector=a", 400, "parameter_invalid")]
#[actix_web::test]
async fn refuses_what_it_does_not_take(#[case] query: &str, #[case] status: u16, #[case] code: &str) {
    let (got, body) = Setup::v2(MockProfileDataSor::new()).get(&format!("/triage/shop?{query}")).await;
    assert_eq!((got, &body["code"]), (status, &json!(code)));
}

#[actix_web::test]
async fn refuses_a_requester_that_history_could_not_keep() {
    let request = TestRequest::get().uri("/triage/shop").insert_header(("X-Requested-By", "x".repeat(256)));
    let (status, body) = Setup::v2(MockProfileDataSor::new()).send(request).await;
    assert_eq!((status, &body["errors"][0]["pointer"]), (400, &json!("X-Requested-By")));
}

#[actix_web::test]
async fn judges_a_large_profile_as_a_small_one() {
    fn deep(query: &ProfileQuery) -> PortResult<Option<MergedProfile>> {
        let tail = (0..70).map(|i| format!("main.f{i}")).collect::<Vec<_>>().join(";");
        let stacks: String =
            (0..1_000).map(|i| format!("main.main;{tail};main.leaf{i};runtime.mallocgc 1\n")).collect();
        assert_eq!(query.kind, ProfileType::Cpu);
        Ok(Some(cpu(&stacks)))
    }
    let (_, body) = Setup::v1(source(deep)).get("/triage/shop?types=cpu").await;
    assert_eq!(body["profiles"]["cpu"]["diagnosis"], "allocation");
    assert_eq!(body["profiles"]["cpu"]["findings"][0]["responsible"][0]["function"], "main.f69");
}

/// A catalogue whose words do not change with the built-in ones.
fn own_rules() -> Arc<Rules> {
    const GO: &str = "runtime = \"go\"\n[[rule]]\nid = \"t.alloc\"\ncategory = \"allocation\"\nreach = \"subtree\"\n\
                      names = [\"runtime.mallocgc\"]\n[[origin]]\nspace = \"go\"\nruntime = [\"runtime.**\"]\n";
    const ADVICE: &str = "[[advice]]\ncategory = \"allocation\"\nrecommendation = \"Allocate less under {place}.\"\n\
                          steps = [\"Take an alloc profile.\"]\n";
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("go.toml"), GO).unwrap();
    std::fs::write(dir.path().join("advice.toml"), ADVICE).unwrap();
    Arc::new(Rules::load(dir.path()).unwrap())
}

#[actix_web::test]
async fn golden_answer_of_a_small_profile() {
    let (history, _) = history(Ok(()));
    let setup = Setup {
        baselines: limits(|| Ok(vec![limit("main.parse", 15.0)])),
        history,
        rules: own_rules(),
        ..Setup::v2(source(only_cpu))
    };
    let (_, body) = setup.get("/triage/shop?types=cpu&from=1706000000&to=1706000100&limit=2").await;
    insta::assert_json_snapshot!(body);
}

#[test]
fn documents_the_route_with_a_whole_example_and_each_error() {
    let document = serde_json::to_value(Routes::describe(http::document(std::iter::empty()), routes)).unwrap();
    let operation = &document["paths"]["/triage/{appName}"]["get"];
    assert_eq!(members(&operation["responses"]), ["200", "400", "404", "500", "502", "503", "504"]);
    let example = &operation["responses"]["200"]["content"]["application/json"]["example"];
    assert_eq!(example["summary"]["primaryIssue"], "gc_pressure");
}
