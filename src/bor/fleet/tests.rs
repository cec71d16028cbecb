use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::web;
use async_trait::async_trait;
use chrono::DateTime;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::bor::RelationalPorts;
use crate::http::{self, Routes};
use crate::kernel::{
    AppName, Call, Clock, FixedClock, PortError, PortResult, ProfileType, RowId, Selector, SequentialIds, Tenant,
    TimeWindow, Version,
};
use crate::profile::{Profile, ReadLimits, SampleType, read_folded};
use crate::sor::profile_data::{MergedProfile, ProfileDataSor, ProfileMeta, ProfileQuery, StepWidth, Timeline};
use crate::sor::registry::{MockRegistrySor, RegistrySor, Service};
use crate::verdict::Rules;

const NOW: i64 = 1_706_003_600;
const WINDOW: &str = "from=1706000000&to=1706003600";

/// What the source does when it is asked about an app.
#[derive(Clone)]
enum App {
    /// It has this CPU profile.
    Has(String),
    /// It sends elapsed time alone.
    HasWall(String),
    Fails(PortError),
    Hangs,
    Takes(Duration),
}

fn has(folded: &str) -> App {
    App::Has(folded.to_owned())
}

/// A source of many apps, which writes down what it is asked.
struct Source {
    apps: Vec<(String, App)>,
    discovery: App,
    asked: Mutex<Vec<ProfileQuery>>,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
}

impl Source {
    fn of(apps: &[(&str, App)]) -> Self {
        Self {
            apps: apps.iter().map(|(name, app)| ((*name).to_owned(), app.clone())).collect(),
            discovery: has(""),
            asked: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
        }
    }

    fn asked(&self) -> Vec<String> {
        let mut asked: Vec<_> = self.asked.lock().unwrap().iter().map(|query| query.app.to_string()).collect();
        asked.sort();
        asked
    }
}

fn cpu(folded: &str) -> MergedProfile {
    let sample_type = SampleType::new("cpu", "nanoseconds");
    let lines = folded.lines().filter_map(|line| line.rsplit_once(' '));
    let text: String =
        lines.map(|(stack, n)| format!("{stack} {}\n", n.parse::<i64>().unwrap() * 10_000_000)).collect();
    let profile = read_folded(text.as_bytes(), sample_type.clone(), &ReadLimits::default()).unwrap();
    let meta = ProfileMeta { sample_type: Some(sample_type), ..ProfileMeta::default() };
    MergedProfile { profile: Arc::new(profile), meta }
}

/// The elapsed time of an app that sends nothing else; of any other kind it has nothing.
fn wall(folded: &str, kind: ProfileType) -> MergedProfile {
    let mut merged = if kind == ProfileType::Wall { cpu(folded) } else { MergedProfile::default() };
    merged.meta.kinds = vec![ProfileType::Wall];
    merged
}

async fn behave(app: &App, kind: ProfileType) -> PortResult<MergedProfile> {
    match app {
        App::Has(folded) => Ok(cpu(folded)),
        App::HasWall(folded) => Ok(wall(folded, kind)),
        App::Fails(error) => Err(error.clone()),
        App::Hangs => std::future::pending().await,
        App::Takes(time) => {
            tokio::time::sleep(*time).await;
            Ok(cpu("main;work 200"))
        }
    }
}

#[async_trait]
impl ProfileDataSor for Source {
    async fn apps<'a>(
        &'a self,
        _: &'a Call,
        _: Option<&'a crate::kernel::Tenant>,
        _: TimeWindow,
    ) -> PortResult<Vec<AppName>> {
        behave(&self.discovery, ProfileType::Cpu).await?;
        let mut apps: Vec<AppName> = self.apps.iter().map(|(name, _)| name.parse().unwrap()).collect();
        apps.sort();
        Ok(apps)
    }

    async fn merged(&self, _: &Call, query: &ProfileQuery) -> PortResult<Option<MergedProfile>> {
        self.asked.lock().unwrap().push(query.clone());
        let Some((_, app)) = self.apps.iter().find(|(name, _)| name == query.app.as_str()) else { return Ok(None) };
        let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_in_flight.fetch_max(now, Ordering::SeqCst);
        let answer = behave(app, query.kind).await;
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        answer.map(Some)
    }

    async fn merged_pair(
        &self,
        _: &Call,
        _: &ProfileQuery,
        _: TimeWindow,
        _: &Selector,
    ) -> PortResult<Option<(MergedProfile, MergedProfile)>> {
        unreachable!("a fleet is read in one window")
    }

    async fn totals(&self, _: &Call, _: &ProfileQuery, _: StepWidth) -> PortResult<Option<Timeline<i64>>> {
        unreachable!("a fleet is not read step by step")
    }

    async fn stacks(&self, _: &Call, _: &ProfileQuery, _: StepWidth) -> PortResult<Option<Timeline<Profile>>> {
        unreachable!("a fleet is not read step by step")
    }
}

fn service(app: &str, owner: Option<&str>, tier: &str, labels: Option<Value>) -> Service {
    let at = DateTime::from_timestamp(NOW, 0).unwrap();
    Service {
        id: RowId::new(1).unwrap(),
        app_name: app.parse().unwrap(),
        team_owner: owner.map(|owner| owner.parse().unwrap()),
        tier: tier.parse().unwrap(),
        environment: None,
        notification_channel: owner.map(|owner| format!("#{owner}").parse().unwrap()),
        pyroscope_labels: labels.map(|labels| serde_json::from_value(labels).unwrap()),
        metadata: None,
        created_at: at,
        updated_at: at,
    }
}

/// A registry that is asked once, for everything.
fn registry(answer: PortResult<Vec<Service>>) -> Option<Arc<dyn RegistrySor>> {
    let mut port = MockRegistrySor::new();
    port.expect_list().times(1).return_once(move |_| answer);
    Some(Arc::new(port))
}

struct Setup {
    source: Arc<Source>,
    registry: Option<Arc<dyn RegistrySor>>,
    version: Version,
    times: (Duration, Duration),
}

impl Setup {
    fn v1(apps: &[(&str, App)]) -> Self {
        let times = (Duration::from_secs(10), Duration::from_mins(1));
        Self { source: Arc::new(Source::of(apps)), registry: None, version: Version::V1, times }
    }

    fn v2(apps: &[(&str, App)], registry: Option<Arc<dyn RegistrySor>>) -> Self {
        Self { registry, version: Version::V2, ..Self::v1(apps) }
    }

    fn service(&self) -> FleetService {
        let clock: Arc<dyn Clock> = Arc::new(FixedClock::at(DateTime::from_timestamp(NOW, 0).unwrap()));
        let relational = RelationalPorts {
            baselines: None,
            history: None,
            registry: self.registry.clone(),
            clock,
            ids: Arc::new(SequentialIds::default()),
            version: self.version,
        };
        let profiles = Arc::clone(&self.source) as Arc<dyn ProfileDataSor>;
        let (per_app, in_all) = self.times;
        FleetService::new(FleetParts { profiles, relational, rules: Rules::builtin() }).within(per_app, in_all)
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let service = web::Data::new(self.service());
        let app = init_service(actix_web::App::new().app_data(service).configure(Routes::serve(routes)));
        let answer = call_service(&app.await, TestRequest::get().uri(path).to_request()).await;
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&read_body(answer).await).unwrap())
    }

    async fn search(&self, query: &str) -> (u16, Value) {
        self.get(&format!("/search?{WINDOW}&{query}")).await
    }

    async fn hotspots(&self, query: &str) -> (u16, Value) {
        self.get(&format!("/fleet/hotspots?{WINDOW}&{query}")).await
    }
}

/// Two apps that share a function.
fn shops() -> [(&'static str, App); 2] {
    [
        ("cart", has("main;java/util/HashMap.resize 100\nmain;cart.Total 300")),
        ("checkout", has("main;java.util.HashMap.resize 600\nmain;shop.Price 400")),
    ]
}

#[actix_web::test]
async fn v1_finds_a_function_in_all_apps_without_owners() {
    let (status, body) = Setup::v1(&shops()).search("function=hashmap.RESIZE").await;
    assert_eq!(status, 200, "{body}");
    let row = |app: &str, function: &str, share: f64, samples: i64| {
        json!({"app": app, "function": function, "selfPercent": share, "selfSamples": samples, "totalPercent": share,
               "appPercent": share, "sampleType": "cpu", "unit": "nanoseconds", "lowSamples": false})
    };
    assert_eq!(
        body,
        json!({"query": "hashmap.RESIZE", "profileType": "cpu", "from": 1_706_000_000, "to": NOW, "appCount": 2,
               "appsWithData": 2, "matchCount": 2, "errors": [], "matches": [
                   row("checkout", "java.util.HashMap.resize", 60.0, 6_000_000_000),
                   row("cart", "java/util/HashMap.resize", 25.0, 1_000_000_000)]})
    );
}

#[actix_web::test]
async fn v1_ranks_the_functions_of_all_apps() {
    let (status, body) = Setup::v1(&shops()).hotspots("limit=2").await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(
        body,
        json!({"profileType": "cpu", "from": 1_706_000_000, "to": NOW, "sort": "impact", "appCount": 2,
               "appsWithData": 2, "errors": [], "hotspots": [
            {"function": "java.util.HashMap.resize", "category": "collection_resizing", "kind": "runtime",
             "serviceCount": 2, "maxSelfPercent": 60.0, "impactScore": 120.0, "cores": 0.0019, "services": [
                 {"app": "checkout", "selfPercent": 60.0, "cores": 0.0017, "lowSamples": false},
                 {"app": "cart", "selfPercent": 25.0, "cores": 0.0003, "lowSamples": false}]},
            {"function": "cart.Total", "category": null, "kind": "app", "serviceCount": 1, "maxSelfPercent": 75.0,
             "impactScore": 75.0, "cores": 0.0008, "services": [
                 {"app": "cart", "selfPercent": 75.0, "cores": 0.0008, "lowSamples": false}]}]})
    );
}

#[actix_web::test]
async fn v2_names_owners_and_reads_the_apps_own_series_of_their_tenants() {
    let checkout = service("checkout", Some("payments"), "critical", Some(json!({"env": "prod"})));
    let services = vec![
        Service { metadata: Some(json!({"pyroscopeTenant": "team-a"}).try_into().unwrap()), ..checkout },
        service("other", Some("others"), "critical", None),
    ];
    let setup = Setup::v2(&shops(), registry(Ok(services.clone())));
    let (_, body) = setup.search("function=resize&selector=version%3D%222%22").await;
    let owned = &body["matches"][0];
    assert_eq!(
        (&owned["teamOwner"], &owned["tier"], &owned["notificationChannel"]),
        (&json!("payments"), &json!("critical"), &json!("#payments"))
    );
    for absent in ["teamOwner", "tier", "notificationChannel"] {
        assert!(body["matches"][1].get(absent).is_none(), "an app that is not registered: {body}");
    }
    let series = |q: &ProfileQuery| (q.selector.to_string(), q.tenant.as_ref().map_or("", Tenant::as_str).to_owned());
    let mut asked: Vec<_> = setup.source.asked.lock().unwrap().iter().map(series).collect();
    asked.sort();
    let of = |selector: &str, tenant: &str| (selector.to_owned(), tenant.to_owned());
    assert_eq!(asked, [of(r#"env="prod",version="2""#, "team-a"), of(r#"version="2""#, "")]);
    let (_, body) = Setup::v2(&shops(), registry(Ok(services))).hotspots("").await;
    let hotspot = &body["hotspots"][0];
    assert_eq!((&hotspot["serviceCount"], &hotspot["criticalServiceCount"]), (&json!(2), &json!(1)), "{body}");
    assert_eq!((&hotspot["services"][0]["teamOwner"], body.get("owners")), (&json!("payments"), None));
}

#[actix_web::test]
async fn a_service_without_an_owner_says_null() {
    let setup = Setup::v2(&shops(), registry(Ok(vec![service("cart", None, "standard", None)])));
    let (_, body) = setup.search("function=resize&apps=cart").await;
    let row = &body["matches"][0];
    let told = ["teamOwner", "tier", "notificationChannel"].map(|name| row.get(name).cloned());
    assert_eq!(told, [Some(Value::Null), Some(json!("standard")), Some(Value::Null)]);
}

#[rstest]
#[case::off(None, "off")]
#[case::failed(Some(PortError::Unavailable("away".into())), "unavailable")]
#[actix_web::test]
async fn a_registry_that_says_nothing_fails_nothing(#[case] error: Option<PortError>, #[case] said: &str) {
    let registry = || error.clone().and_then(|error| registry(Err(error)));
    let (status, body) = Setup::v2(&shops(), registry()).hotspots("").await;
    assert_eq!((status, &body["owners"]), (200, &json!(said)), "{body}");
    assert!(body["hotspots"][0].get("criticalServiceCount").is_none(), "{body}");
    let (status, body) = Setup::v2(&shops(), registry()).search("function=resize").await;
    assert_eq!((status, &body["owners"], &body["matchCount"]), (200, &json!(said), &json!(2)), "{body}");
}

#[actix_web::test]
async fn what_costs_nothing_is_left_out_unless_it_is_asked_for() {
    let idle = has("runtime.goexit;runtime.mcall;runtime.schedule;swapper 900\nmain;shop.Price 100");
    let setup = Setup::v1(&[("shop", idle)]);
    let names = |body: &Value| -> Vec<String> {
        let rows = body["hotspots"].as_array().unwrap().iter();
        rows.map(|row| row["function"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&setup.hotspots("").await.1), ["shop.Price"]);
    assert_eq!(names(&setup.hotspots("exclude=").await.1), ["swapper", "shop.Price"]);
}

#[actix_web::test]
async fn apps_that_cannot_be_read_are_named_and_the_rest_answers() {
    let busy = PortError::Overloaded { detail: "full".into(), retry_after_s: 3 };
    let apps = [
        ("a", has("main;work 200")),
        ("b", App::Fails(PortError::Unavailable("10.0.0.7 is away".into()))),
        ("c", App::Fails(PortError::Denied("no".into()))),
        ("d", App::Fails(busy)),
        ("e", App::Hangs),
        ("f", has("")),
    ];
    let times = (Duration::from_millis(50), Duration::from_mins(1));
    let setup = Setup { times, ..Setup::v1(&apps) };
    for path in ["/search?function=work&apps=a,b,c,d,e,f,nobody", "/fleet/hotspots?apps=nobody,f,e,d,c,b,a"] {
        let (status, body) = setup.get(path).await;
        assert_eq!((status, &body["appCount"], &body["appsWithData"]), (200, &json!(2), &json!(1)), "{body}");
        let errors: Vec<_> = body["errors"].as_array().unwrap().iter().map(|e| (&e["app"], &e["code"])).collect();
        let expected = [
            ("b", "profile_source_failed"),
            ("c", "profile_source_denied"),
            ("d", "profile_source_busy"),
            ("e", "timeout"),
            ("nobody", "app_unknown"),
        ];
        let expected = expected.map(|(app, code)| (json!(app), json!(code)));
        assert_eq!(errors, expected.iter().map(|(app, code)| (app, code)).collect::<Vec<_>>());
        assert!(!body.to_string().contains("10.0.0.7"), "what is internal stays inside: {body}");
    }
}

#[actix_web::test]
async fn an_app_without_a_profile_that_has_its_labels_is_named() {
    let apps = [("a", has("main;work 200")), ("bare", has("")), ("labelled", has(""))];
    let services =
        vec![service("a", None, "high", None), service("labelled", None, "high", Some(json!({"env": "prod"})))];
    let (status, body) = Setup::v2(&apps, registry(Ok(services))).search("function=work").await;
    let detail = "no profile of the app in this window has the labels that the registry gives it: env=\"prod\"";
    let errors = json!([{"app": "labelled", "code": "app_unknown", "detail": detail}]);
    assert_eq!((status, &body["matchCount"], &body["errors"]), (200, &json!(1), &errors), "{body}");
}

#[actix_web::test]
async fn apps_that_were_not_reached_in_time_are_named() {
    let apps = [("a", has("main;work 200")), ("b", App::Hangs), ("c", App::Hangs), ("d", has("main;work 200"))];
    // Two are read at once at first: while both hang, no other has its turn.
    let times = (Duration::from_mins(1), Duration::from_millis(200));
    let setup = Setup { times, ..Setup::v1(&apps) };
    let (status, body) = setup.search("function=work&apps=a,b,c,d").await;
    assert_eq!((status, &body["matchCount"]), (200, &json!(1)), "{body}");
    let errors: Vec<_> = body["errors"].as_array().unwrap().iter().map(|e| (&e["app"], &e["code"])).collect();
    let late = json!("timeout");
    assert_eq!(errors, [(&json!("b"), &late), (&json!("c"), &late), (&json!("d"), &late)]);
    assert!(body["errors"][0]["detail"].as_str().unwrap().starts_with("not reached within"), "{body}");
}

#[rstest]
#[case::timed_out(&["hangs", "hangs"], 504, "timeout")]
#[case::failed(&["hangs", "unavailable"], 502, "profile_source_failed")]
#[case::denied(&["unavailable", "denied"], 502, "profile_source_denied")]
#[case::busy(&["busy"], 503, "profile_source_busy")]
#[case::unusable(&["invalid"], 400, "parameter_invalid")]
#[actix_web::test]
async fn where_no_app_could_be_read_there_is_no_answer(
    #[case] cases: &[&str],
    #[case] status: u16,
    #[case] code: &str,
) {
    let behaviour = |case: &str| match case {
        "hangs" => App::Hangs,
        "denied" => App::Fails(PortError::Denied(String::new())),
        "busy" => App::Fails(PortError::Overloaded { detail: String::new(), retry_after_s: 1 }),
        "invalid" => App::Fails(PortError::Invalid("no such label".into())),
        _ => App::Fails(PortError::Unavailable(String::new())),
    };
    let apps: Vec<_> = ["a", "b"].into_iter().zip(cases).map(|(app, case)| (app, behaviour(case))).collect();
    let setup = Setup { times: (Duration::from_millis(30), Duration::from_mins(1)), ..Setup::v1(&apps) };
    let (got, body) = setup.hotspots("").await;
    assert_eq!((got, &body["code"]), (status, &json!(code)), "{body}");
    let (got, _) = setup.search("function=work&apps=a,nobody").await;
    assert!(got >= 400, "an unknown app beside it is no answer either");
}

#[actix_web::test]
async fn unknown_names_alone_are_an_answer() {
    let (status, body) = Setup::v1(&shops()).search("function=work&apps=nobody,noone").await;
    assert_eq!((status, &body["appCount"], &body["matchCount"]), (200, &json!(0), &json!(0)));
    let detail = "no profiles of the app \"nobody\" are known; GET /profiles/apps lists those that are";
    assert_eq!(body["errors"][0], json!({"app": "nobody", "code": "app_unknown", "detail": detail}));
}

#[rstest]
#[case::fails(App::Fails(PortError::Unavailable(String::new())), 502, "profile_source_failed")]
#[case::hangs(App::Hangs, 504, "timeout")]
#[actix_web::test]
async fn without_a_list_of_apps_there_is_no_answer(#[case] discovery: App, #[case] status: u16, #[case] code: &str) {
    let source = Arc::new(Source { discovery, ..Source::of(&shops()) });
    let times = (Duration::from_mins(1), Duration::from_millis(50));
    let setup = Setup { source, times, ..Setup::v1(&[]) };
    let (got, body) = setup.hotspots("").await;
    assert_eq!((got, &body["code"]), (status, &json!(code)), "{body}");
    let (got, body) = setup.hotspots("apps=cart").await;
    assert_eq!((got, &body["appCount"]), (200, &json!(1)), "whoever names apps needs no list: {body}");
}

#[actix_web::test]
async fn a_fleet_without_apps_has_no_hotspots() {
    let (status, body) = Setup::v1(&[]).hotspots("").await;
    assert_eq!((status, &body["hotspots"], &body["appCount"]), (200, &json!([]), &json!(0)));
}

#[actix_web::test]
async fn each_app_is_read_once_and_only_those_asked_for() {
    let setup = Setup::v1(&shops());
    setup.search("function=x").await;
    assert_eq!(setup.source.asked(), ["cart", "checkout"]);
    let setup = Setup::v1(&shops());
    setup.hotspots("apps=cart,cart").await;
    assert_eq!(setup.source.asked(), ["cart"]);
}

#[actix_web::test]
async fn more_apps_are_read_at_once_as_the_source_keeps_up() {
    let names: Vec<_> = (0..300).map(|n| format!("app{n:03}")).collect();
    let slow = App::Takes(Duration::from_millis(1));
    let apps: Vec<_> = names.iter().map(|name| (name.as_str(), slow.clone())).collect();
    let few = Setup::v1(&apps[..10]);
    few.hotspots("").await;
    assert_eq!(few.source.most_in_flight.load(Ordering::SeqCst), 2);
    let many = Setup::v1(&apps);
    let (_, body) = many.hotspots("").await;
    assert_eq!(body["hotspots"][0]["serviceCount"], 300);
    assert_eq!(many.source.most_in_flight.load(Ordering::SeqCst), 16);
}

#[actix_web::test]
async fn a_large_profile_counts_like_a_small_one() {
    let deep = (0..40).map(|i| format!("main.f{i}")).collect::<Vec<_>>().join(";");
    let large: String = (0..100).map(|i| format!("{deep};main.leaf{i} 1\n")).collect();
    let setup = Setup::v1(&[("large", has(&large)), ("small", has("main;main.leaf7 200"))]);
    let (_, body) = setup.hotspots("limit=1").await;
    assert_eq!(
        (&body["hotspots"][0]["function"], &body["hotspots"][0]["serviceCount"]),
        (&json!("main.leaf7"), &json!(2))
    );
    let (_, body) = setup.search("function=main.f7").await;
    assert_eq!((&body["matches"][0]["selfPercent"], &body["matches"][0]["totalPercent"]), (&json!(0.0), &json!(100.0)));
}

#[rstest]
#[case("/search", "function", "is missing")]
#[case("/search?function=", "function", "must not be empty")]
#[case("/search?function=%20+%09", "function", "must not be empty")]
#[case("/search?function=x&limit=0", "limit", "from 1 to 10000")]
#[case("/search?function=x&limit=10001", "limit", "from 1 to 10000")]
#[case("/search?function=x&exclude=idle", "exclude", "is unknown")]
#[case("/search?function=x&apps=", "apps", "without gaps")]
#[case("/search?function=x&type=heap", "type", "unknown profile type")]
#[case("/search?function=x&selector=a", "selector", "")]
#[case("/fleet/hotspots?limit=1001", "limit", "from 1 to 1000")]
#[case("/fleet/hotspots?exclude=waste", "exclude", "valid are")]
#[case("/fleet/hotspots?sort=name", "sort", "impact, cores")]
#[case("/fleet/hotspots?sort=cores&type=alloc", "sort", "cpu")]
#[case("/fleet/hotspots?function=x", "function", "is unknown")]
#[actix_web::test]
async fn refuses_what_it_does_not_take(#[case] path: &str, #[case] pointer: &str, #[case] detail: &str) {
    let (status, body) = Setup::v1(&[]).get(path).await;
    assert_eq!((status, &body["errors"][0]["pointer"]), (400, &json!(pointer)), "{body}");
    assert!(body["detail"].as_str().unwrap().contains(detail), "{body}");
}

#[actix_web::test]
async fn refuses_a_window_that_ends_before_it_begins() {
    for path in ["/search?function=x&from=now&to=now-1h", "/fleet/hotspots?from=now&to=now-1h"] {
        let (status, body) = Setup::v1(&[]).get(path).await;
        assert_eq!((status, &body["code"]), (400, &json!("window_invalid")));
    }
}

#[test]
fn documents_both_routes_with_whole_examples_and_each_error() {
    let document = serde_json::to_value(Routes::describe(http::document(std::iter::empty()), routes)).unwrap();
    for (path, list) in [("/search", "matches"), ("/fleet/hotspots", "hotspots")] {
        let responses = document["paths"][path]["get"]["responses"].as_object().unwrap();
        let statuses: Vec<_> = responses.keys().map(String::as_str).collect();
        assert_eq!(statuses, ["200", "400", "500", "502", "503", "504"]);
        let example = &responses["200"]["content"]["application/json"]["example"];
        assert_eq!(example[list][0]["function"], "java.util.HashMap.resize");
    }
}

#[actix_web::test]
async fn an_app_that_sends_only_elapsed_time_is_ranked_by_it_and_marked() {
    let setup =
        Setup::v1(&[("cart", has("main;work 100\nmain;rest 300")), ("mail", App::HasWall("main;work 300".into()))]);
    let (_, body) = setup.hotspots("limit=1").await;
    assert_eq!((&body["appsWithData"], &body["hotspots"][0]["serviceCount"]), (&json!(2), &json!(2)));
    assert_eq!(
        body["hotspots"][0]["services"],
        json!([{"app": "mail", "selfPercent": 100.0, "readAs": "wall", "lowSamples": false},
               {"app": "cart", "selfPercent": 25.0, "cores": 0.0003, "lowSamples": false}])
    );
    let (_, body) = setup.search("function=work").await;
    let marks: Vec<_> =
        body["matches"].as_array().unwrap().iter().map(|row| (&row["app"], row.get("readAs"))).collect();
    assert_eq!(marks, [(&json!("mail"), Some(&json!("wall"))), (&json!("cart"), None)]);
    let (_, body) = setup.hotspots("type=wall").await;
    assert!(body["hotspots"][0]["services"][0].get("readAs").is_none(), "that is what was asked for: {body}");
}
