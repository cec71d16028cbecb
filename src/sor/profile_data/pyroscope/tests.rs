//! The adapter against what real servers answered. Each trap of Pyroscope's API has a case here, for versions 1 and 2.

use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::DateTime;
use prost::Message;
use rstest::rstest;
use secrecy::SecretString;
use wiremock::{Request, ResponseTemplate};

use super::refusal::{Refusal, refusal_of};
use super::replay::{Recordings, ReplayServer, message};
use super::*;
use crate::kernel::{FixedClock, PortError};
use crate::profile::{FunctionTable, Limits, PprofHeader};
use crate::sor::profile_data::conformance::{self, Source};
use crate::sor::profile_data::proto::querier::v1::{
    SelectMergeProfileRequest, SelectSeriesRequest, SelectSeriesResponse, SeriesRequest, SeriesResponse,
};
use crate::sor::profile_data::proto::types::v1::{LabelPair, Labels, Point, Series};

const MERGE: &str = "/SelectMergeProfile";
const SERIES: &str = "/Series";
const TOTALS: &str = "/SelectSeries";
const RENDER: &str = "/pyroscope/render";

/// 12:00 of the day of the recordings.
const NOON_S: i64 = 1_795_176_000;

fn window(from_minute: i64, to_minute: i64) -> TimeWindow {
    let at = |minute| DateTime::from_timestamp(NOON_S + minute * 60, 0).unwrap();
    TimeWindow::new(at(from_minute), at(to_minute)).unwrap()
}

fn query(app: &str, kind: ProfileType, window: TimeWindow) -> ProfileQuery {
    ProfileQuery { app: app.parse().unwrap(), kind, window, selector: Selector::default() }
}

fn cpu(app: &str) -> ProfileQuery {
    query(app, ProfileType::Cpu, window(-1, 10))
}

fn adapter(server: &ReplayServer) -> (Pyroscope, Arc<FixedClock>) {
    let clock = Arc::new(conformance::clock());
    (Pyroscope::new(&server.settings(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap(), clock)
}

fn rows(merged: &MergedProfile) -> Vec<(String, i64, i64)> {
    let table = FunctionTable::of(&merged.profile, 0);
    table.rows().iter().map(|row| (row.name.to_owned(), row.self_ticks, row.total_ticks)).collect()
}

fn is(request: &Request, method: &str) -> bool {
    request.url.path().ends_with(method)
}

fn merges(requests: &[Request]) -> Vec<SelectMergeProfileRequest> {
    requests.iter().map(message).collect()
}

fn proto(message: &impl Message) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(message.encode_to_vec(), "application/proto")
}

fn pairs(labels: &[(&str, &str)]) -> Vec<LabelPair> {
    labels.iter().map(|(name, value)| LabelPair { name: (*name).into(), value: (*value).into() }).collect()
}

const CPU_ID: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";

/// The label sets of an app whose series have these further labels.
fn sets(ids: &[&str], further: &[&[(&str, &str)]]) -> ResponseTemplate {
    let mut labels_set = Vec::new();
    for id in ids {
        for labels in further {
            let mut labels = pairs(labels);
            labels.extend(pairs(&[("service_name", "checkout"), ("__profile_type__", id)]));
            labels_set.push(Labels { labels });
        }
    }
    proto(&SeriesResponse { labels_set })
}

#[rstest]
#[case("v1", Source { any_window: false, heap: false })]
#[case("v2", Source { any_window: false, heap: true })]
#[tokio::test]
async fn does_what_every_adapter_does(#[case] version: &str, #[case] source: Source) {
    let Some(server) = ReplayServer::start(version).await else { return };
    conformance::check(&adapter(&server).0, source).await;
}

#[rstest]
#[tokio::test]
async fn all_shapes_of_no_data_are_a_known_app_without_stacks(
    #[values("v1", "v2")] version: &str,
    #[values("merge-empty-app", "merge-empty-window", "merge-unknown-type", "{}", "")] shape: &str,
) {
    let Some(recordings) = Recordings::of(version) else { return };
    let body = if shape.starts_with("merge") { recordings.body(shape) } else { shape.into() };
    let answer = move |request: &Request| {
        is(request, MERGE).then(|| ResponseTemplate::new(200).set_body_raw(body.clone(), "application/proto"))
    };
    let Some(server) = ReplayServer::start_with(version, answer).await else { return };
    let merged = adapter(&server).0.merged(&cpu("checkout")).await.unwrap().unwrap();
    assert_eq!((merged.profile.stack_count(), merged.meta.profile_types.as_slice()), (0, &[CPU_ID.to_owned()][..]));
}

#[rstest]
#[tokio::test]
async fn sample_types_in_upper_case_are_asked_for_as_they_are_spelled(#[values("v1", "v2")] version: &str) {
    let answer = |request: &Request| is(request, MERGE).then(|| ResponseTemplate::new(200));
    let Some(server) = ReplayServer::start_with(version, answer).await else { return };
    let merged = adapter(&server).0.merged(&cpu("recommender")).await.unwrap().unwrap();
    assert_eq!(merged.meta.profile_types, ["process_cpu:CPU:nanoseconds:CPU:nanoseconds"]);
    let asked = merges(&server.calls(MERGE).await);
    assert_eq!(asked[0].profile_type_id, "process_cpu:CPU:nanoseconds:CPU:nanoseconds");
}

#[rstest]
#[tokio::test]
async fn types_that_come_twice_are_read_once(#[values("v1", "v2")] version: &str) {
    let answer = |request: &Request| is(request, SERIES).then(|| sets(&[CPU_ID, CPU_ID], &[&[], &[]]));
    let Some(server) = ReplayServer::start_with(version, answer).await else { return };
    adapter(&server).0.merged(&cpu("checkout")).await.unwrap().unwrap();
    assert_eq!(server.calls(MERGE).await.len(), 1);
}

/// What a recorded refusal means when the caller gave a selector, and when not.
#[rstest]
#[case("merge-malformed-type", false)]
#[case("merge-zero-times", false)]
#[case("merge-start-after-end", false)]
#[case("stacktraces-too-many-nodes", false)]
#[case("diff-bad-side", false)]
#[case("render-no-type", false)]
#[case("label-values-legacy", false)]
#[case("merge-empty-selector", true)]
#[case("merge-bad-selector", true)]
fn a_bad_request_is_the_callers_fault_only_where_it_is_about_their_selector(
    #[values("v1", "v2")] version: &str,
    #[case] name: &str,
    #[case] about_selector: bool,
) {
    let Some(recordings) = Recordings::of(version) else { return };
    let answer = recordings.answer(name);
    assert_eq!(answer.status, 400);
    let callers = matches!(refusal_of(&answer, true), Refusal::Final(PortError::Invalid(_)));
    assert_eq!(callers, about_selector);
    let refusal = refusal_of(&answer, false);
    let Refusal::Final(PortError::Unavailable(text)) = &refusal else { panic!("{refusal:?}") };
    assert!(!text.contains("\\\"code"), "an error within an error: {text}");
}

#[rstest]
#[case("labels-absent")]
#[case("method-get")]
#[case("wrong-content-type")]
fn a_server_without_the_method_is_told_from_one_that_fails(#[values("v1", "v2")] version: &str, #[case] name: &str) {
    let Some(recordings) = Recordings::of(version) else { return };
    assert!(matches!(refusal_of(&recordings.answer(name), false), Refusal::Lacks(_)));
}

#[rstest]
#[tokio::test]
async fn a_server_without_exact_data_is_read_by_flame_graphs(#[values("v1", "v2")] version: &str) {
    let absent = |request: &Request| is(request, MERGE).then(|| ResponseTemplate::new(404));
    let Some(server) = ReplayServer::start_with(version, absent).await else { return };
    let Some(exact) = ReplayServer::start(version).await else { return };
    let (sor, _) = adapter(&server);
    let merged = sor.merged(&cpu("checkout")).await.unwrap().unwrap();
    let whole = adapter(&exact).0.merged(&cpu("checkout")).await.unwrap().unwrap();
    assert_eq!((rows(&merged), merged.meta.truncated_ticks), (rows(&whole), 0));
    assert_eq!(merged.meta.sample_type, whole.meta.sample_type);

    let folded = sor.merged(&cpu("folded-app")).await.unwrap().unwrap();
    assert_eq!(folded.profile.total(0), 350_000_000);
    assert_eq!(server.calls(MERGE).await.len(), 1, "what is lacking is not asked for again and again");
}

/// RFC 3339 is read as roughly "now" by servers: the recording of such a call is empty.
#[rstest]
#[tokio::test]
async fn times_are_milliseconds_everywhere(#[values("v1", "v2")] version: &str) {
    let absent = |request: &Request| is(request, MERGE).then(|| ResponseTemplate::new(404));
    let Some(server) = ReplayServer::start_with(version, absent).await else { return };
    let wrong = crate::profile::read_flamebearer(&server.recordings.body("render-iso-times"), &Limits::default());
    assert_eq!(wrong.unwrap().profile.stack_count(), 0);

    adapter(&server).0.merged(&cpu("checkout")).await.unwrap().unwrap();
    let span = (NOON_S * 1_000 - 60_000, NOON_S * 1_000 + 599_999);
    for call in server.calls(RENDER).await {
        let of = |name| call.url.query_pairs().find(|(n, _)| n == name).unwrap().1.parse::<i64>().unwrap();
        assert_eq!((of("from"), of("until")), span);
    }
    let asked: SeriesRequest = message(&server.calls(SERIES).await[0]);
    assert_eq!((asked.start, asked.end), span);
    let asked = merges(&server.calls(MERGE).await);
    assert_eq!((asked[0].start, asked[0].end), span);
}

#[rstest]
#[tokio::test]
async fn what_a_flame_graph_cuts_off_is_counted(#[values("v1", "v2")] version: &str) {
    let Some(recordings) = Recordings::of(version) else { return };
    let cut = recordings.body("render-maxnodes-16");
    let answer = move |request: &Request| match request.url.path() {
        path if path.ends_with(MERGE) => Some(ResponseTemplate::new(404)),
        RENDER => Some(ResponseTemplate::new(200).set_body_raw(cut.clone(), "application/json")),
        _ => None,
    };
    let Some(server) = ReplayServer::start_with(version, answer).await else { return };
    let merged = adapter(&server).0.merged(&cpu("checkout")).await.unwrap().unwrap();
    let other = rows(&merged).into_iter().find(|(name, ..)| name == "other").unwrap();
    assert_eq!(merged.meta.truncated_ticks, other.1);
    assert_eq!(merged.profile.total(0), 1_500_000_000);
}

#[rstest]
#[tokio::test]
async fn what_an_exact_answer_cuts_off_is_counted_and_real_functions_called_so_are_not(
    #[values("v1", "v2")] version: &str,
) {
    let Some(recordings) = Recordings::of(version) else { return };
    let cut = recordings.body("merge-maxnodes-16");
    let answer = move |request: &Request| {
        let checkout =
            is(request, MERGE) && message::<SelectMergeProfileRequest>(request).label_selector.contains("checkout");
        checkout.then(|| ResponseTemplate::new(200).set_body_raw(cut.clone(), "application/proto"))
    };
    let Some(server) = ReplayServer::start_with(version, answer).await else { return };
    let (sor, _) = adapter(&server);
    let merged = sor.merged(&cpu("checkout")).await.unwrap().unwrap();
    assert_eq!((merged.meta.truncated_ticks, merged.profile.total(0)), (1_500_000_000, 1_500_000_000));

    let folded = sor.merged(&cpu("folded-app")).await.unwrap().unwrap();
    assert_eq!(folded.meta.truncated_ticks, 0);
    let real: Vec<_> = rows(&folded).into_iter().filter(|(name, ..)| name == "other" || name == "total").collect();
    assert_eq!(real.len(), 2);
}

fn too_long() -> ResponseTemplate {
    let text = "the query time range exceeds the limit (max_query_length, actual: 72h0m0s, limit: 24h0m0s)";
    ResponseTemplate::new(400).set_body_json(serde_json::json!({"code": "invalid_argument", "message": text}))
}

#[rstest]
#[tokio::test]
async fn a_window_over_the_servers_limit_is_read_by_days(#[values("v1", "v2")] version: &str) {
    const DAY_MS: i64 = 86_400_000;
    let limited = |request: &Request| {
        if !is(request, MERGE) {
            return None;
        }
        let asked: SelectMergeProfileRequest = message(request);
        (asked.end - asked.start > DAY_MS).then(too_long)
    };
    let Some(server) = ReplayServer::start_with(version, limited).await else { return };
    let three_days = query("checkout", ProfileType::Cpu, window(-3 * 24 * 60 + 30, 30));
    let merged = adapter(&server).0.merged(&three_days).await.unwrap().unwrap();
    assert_eq!(merged.profile.total(0), 1_500_000_000);
    let asked = merges(&server.calls(MERGE).await);
    assert_eq!(asked.len(), 4);
    let mut days: Vec<_> = asked[1..].iter().map(|asked| (asked.start, asked.end)).collect();
    days.sort_unstable();
    assert_eq!((days[0].0, days[2].1), (asked[0].start, asked[0].end));
    assert!(days.windows(2).all(|pair| pair[0].1 == pair[1].0 && pair[0].1 % 2 == 1));
    assert_eq!(server.calls(SERIES).await.len(), 3, "types are asked for by days at once");
}

#[rstest]
#[tokio::test]
async fn a_window_that_takes_too_long_is_halved(#[values("v1", "v2")] version: &str) {
    let slow = |request: &Request| {
        if !is(request, MERGE) {
            return None;
        }
        let asked: SelectMergeProfileRequest = message(request);
        (asked.end - asked.start > 45 * 60_000).then(|| ResponseTemplate::new(504))
    };
    let Some(server) = ReplayServer::start_with(version, slow).await else { return };
    let Some(whole) = ReplayServer::start(version).await else { return };
    let merged =
        adapter(&server).0.merged(&query("checkout", ProfileType::Cpu, window(-5, 75))).await.unwrap().unwrap();
    assert_eq!(server.calls(MERGE).await.len(), 3);
    let (sor, _) = adapter(&whole);
    let total = async |window| {
        let merged = sor.merged(&query("checkout", ProfileType::Cpu, window)).await.unwrap().unwrap();
        merged.profile.total(0)
    };
    assert_eq!(merged.profile.total(0), total(window(-1, 10)).await + total(window(59, 70)).await);
}

#[rstest]
#[tokio::test]
async fn a_window_is_halved_three_times_at_most_then_flame_graphs_are_asked_for(#[values("v1", "v2")] version: &str) {
    let slow = |request: &Request| is(request, MERGE).then(|| ResponseTemplate::new(504));
    let Some(server) = ReplayServer::start_with(version, slow).await else { return };
    adapter(&server).0.merged(&cpu("checkout")).await.unwrap().unwrap();
    assert_eq!((server.calls(MERGE).await.len(), server.calls(RENDER).await.len()), (15, 8));
}

#[tokio::test]
async fn an_answer_over_the_size_cap_is_halved_too() {
    let Some(server) = ReplayServer::start("v2").await else { return };
    let settings = PyroscopeSettings { max_answer_bytes: 10_000, ..server.settings() };
    let sor = Pyroscope::new(&settings, Arc::new(conformance::clock())).unwrap();
    let all = query("checkout", ProfileType::Cpu, window(-1, 10));
    let _ = sor.merged(&all).await;
    assert!(server.calls(MERGE).await.len() > 3);
}

#[rstest]
#[case(401)]
#[case(403)]
#[tokio::test]
async fn wrong_credentials_are_denied_and_not_tried_again(#[case] status: u16) {
    let denied = move |_: &Request| Some(ResponseTemplate::new(status).set_body_string("no org id"));
    let Some(server) = ReplayServer::start_with("v2", denied).await else { return };
    let error = adapter(&server).0.merged(&cpu("checkout")).await.unwrap_err();
    assert!(matches!(error, PortError::Denied(_)), "{error:?}");
    assert_eq!(server.server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_busy_server_is_overloaded_and_not_asked_again() {
    let busy =
        |request: &Request| is(request, MERGE).then(|| ResponseTemplate::new(429).insert_header("retry-after", "7"));
    let Some(server) = ReplayServer::start_with("v2", busy).await else { return };
    let error = adapter(&server).0.merged(&cpu("checkout")).await.unwrap_err();
    assert!(matches!(error, PortError::Overloaded { retry_after_s: 7, .. }), "{error:?}");
    assert_eq!(server.calls(MERGE).await.len(), 1);
}

#[tokio::test]
async fn nonsense_is_unavailable() {
    let page = |request: &Request| {
        is(request, MERGE).then(|| ResponseTemplate::new(200).set_body_raw("<html>login</html>", "text/html"))
    };
    let Some(server) = ReplayServer::start_with("v2", page).await else { return };
    let error = adapter(&server).0.merged(&cpu("checkout")).await.unwrap_err();
    assert!(matches!(error, PortError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let settings = PyroscopeSettings::new("http://127.0.0.1:1".parse().unwrap());
    let sor = Pyroscope::new(&settings, Arc::new(conformance::clock())).unwrap();
    assert!(matches!(sor.merged(&cpu("checkout")).await, Err(PortError::Unavailable(_))));
}

#[tokio::test]
async fn those_who_ask_the_same_share_one_call() {
    let Some(server) = ReplayServer::start("v2").await else { return };
    let (sor, _) = adapter(&server);
    let asked = cpu("checkout");
    let (a, b) = futures::join!(sor.merged(&asked), sor.merged(&asked));
    assert_eq!(rows(&a.unwrap().unwrap()), rows(&b.unwrap().unwrap()));
    let calls = [MERGE, SERIES, TOTALS].map(|method| server.calls(method));
    assert_eq!(futures::future::join_all(calls).await.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
}

#[tokio::test]
async fn a_known_app_costs_one_call_and_a_new_type_is_seen_within_a_minute() {
    let Some(server) = ReplayServer::start("v2").await else { return };
    let (sor, clock) = adapter(&server);
    clock.set(DateTime::from_timestamp(NOON_S + 600, 0).unwrap());
    let last_hour = |to_s: i64| {
        let at = |s| DateTime::from_timestamp(NOON_S + s, 0).unwrap();
        query("checkout", ProfileType::Cpu, TimeWindow::new(at(to_s - 3_600), at(to_s)).unwrap())
    };
    sor.merged(&last_hour(600)).await.unwrap();
    let before = server.server.received_requests().await.unwrap().len();
    clock.advance(TimeDelta::seconds(45));
    sor.merged(&last_hour(645)).await.unwrap();
    let calls = server.server.received_requests().await.unwrap();
    assert_eq!(
        calls[before..].iter().map(|call| call.url.path()).collect::<Vec<_>>(),
        ["/querier.v1.QuerierService/SelectMergeProfile"]
    );
    clock.advance(TimeDelta::seconds(15));
    sor.merged(&last_hour(660)).await.unwrap();
    assert_eq!(server.calls(SERIES).await.len(), 2);
}

#[tokio::test]
async fn an_unknown_app_is_looked_for_a_week_back_and_asked_about_again_after_ten_seconds() {
    let Some(server) = ReplayServer::start("v2").await else { return };
    let (sor, clock) = adapter(&server);
    for (advance_s, calls) in [(0, 8), (9, 8), (1, 16)] {
        clock.advance(TimeDelta::seconds(advance_s));
        assert!(sor.merged(&cpu("nobody")).await.unwrap().is_none());
        assert_eq!(server.calls(SERIES).await.len(), calls);
    }
    let asked: Vec<SeriesRequest> = server.calls(SERIES).await[1..8].iter().map(message).collect();
    assert!(asked.windows(2).all(|days| days[0].start > days[1].start), "newest first");
    assert!(asked.iter().all(|day| day.end - day.start <= 86_400_000));
}

#[tokio::test]
async fn a_silent_app_says_when_its_last_profile_came() {
    let Some(server) = ReplayServer::start("v2").await else { return };
    let (sor, _) = adapter(&server);
    let silent = sor.merged(&query("checkout", ProfileType::Cpu, window(-300, -200))).await.unwrap().unwrap();
    assert_eq!(silent.profile.stack_count(), 0);
    assert_eq!(silent.meta.last_profile_at, DateTime::from_timestamp(NOON_S + 30, 0));
}

#[tokio::test]
async fn a_closed_window_is_read_once() {
    let Some(server) = ReplayServer::start("v2").await else { return };
    let (sor, clock) = adapter(&server);
    sor.merged(&cpu("checkout")).await.unwrap();
    clock.advance(TimeDelta::minutes(30));
    sor.merged(&cpu("checkout")).await.unwrap();
    assert_eq!(server.calls(MERGE).await.len(), 1);
    let open = query("checkout", ProfileType::Cpu, window(59, 70));
    sor.merged(&open).await.unwrap();
    sor.merged(&open).await.unwrap();
    assert_eq!(server.calls(MERGE).await.len(), 3);
}

#[tokio::test]
async fn of_snapshots_only_the_last_two_minutes_are_read() {
    let answer = |request: &Request| is(request, MERGE).then(|| ResponseTemplate::new(200));
    let Some(server) = ReplayServer::start_with("v2", answer).await else { return };
    let (sor, clock) = adapter(&server);
    sor.merged(&query("checkout", ProfileType::Inuse, window(-1, 10))).await.unwrap();
    clock.set(DateTime::from_timestamp(NOON_S + 300, 0).unwrap());
    sor.merged(&query("checkout", ProfileType::Inuse, window(-1, 11))).await.unwrap();
    let spans: Vec<_> = merges(&server.calls(MERGE).await).iter().map(|r| (r.start, r.end)).collect();
    let noon_ms = NOON_S * 1_000;
    assert_eq!(spans[0], (noon_ms + 480_000, noon_ms + 599_999));
    assert_eq!(*spans.last().unwrap(), (noon_ms + 180_000, noon_ms + 299_999), "the future has no profiles");
}

#[tokio::test]
async fn tenant_credentials_and_selector_go_with_every_call() {
    let Some(server) = ReplayServer::start("v2").await else { return };
    let settings = PyroscopeSettings {
        tenant: Some(SecretString::from("team-a|team-b")),
        credentials: Some(Credentials::Bearer(SecretString::from("glc_x"))),
        ..server.settings()
    };
    let sor = Pyroscope::new(&settings, Arc::new(conformance::clock())).unwrap();
    let eu = ProfileQuery { selector: r#"region="eu""#.parse().unwrap(), ..cpu("checkout") };
    sor.merged(&eu).await.unwrap().unwrap();
    let calls = server.server.received_requests().await.unwrap();
    assert_eq!(calls.len(), 3);
    for call in &calls {
        assert_eq!(
            (&call.headers["x-scope-orgid"], &call.headers["authorization"]),
            (&"team-a|team-b".parse().unwrap(), &"Bearer glc_x".parse().unwrap())
        );
    }
    let selector = r#"{service_name="checkout",region="eu"}"#;
    assert_eq!(merges(&server.calls(MERGE).await)[0].label_selector, selector);
    assert_eq!(message::<SeriesRequest>(&server.calls(SERIES).await[0]).matchers, [selector]);
    let accept = &server.calls(SERIES).await[0].headers["accept"];
    assert_eq!(accept, "*/*; allow-utf8-labelnames=true", "else labels with dots are hidden");
}

#[tokio::test]
async fn of_several_profilers_that_watch_the_same_cpu_the_heaviest_is_read() {
    let answer = |request: &Request| match request.url.path() {
        path if path.ends_with(SERIES) => {
            Some(sets(&[CPU_ID], &[&[("pyroscope_spy", "gospy")], &[("pyroscope_spy", "ebpfspy"), ("env", "prod")]]))
        }
        path if path.ends_with(TOTALS) => {
            assert_eq!(message::<SelectSeriesRequest>(request).group_by, ["env", "pyroscope_spy"]);
            let series = |spy, env: &[(&str, &str)], value| {
                let mut labels = pairs(env);
                labels.extend(pairs(&[("pyroscope_spy", spy)]));
                Series { labels, points: vec![Point { value, timestamp: NOON_S * 1_000 }] }
            };
            let series = vec![series("gospy", &[], 10.0), series("ebpfspy", &[("env", "prod")], 30.0)];
            Some(proto(&SelectSeriesResponse { series }))
        }
        path if path.ends_with(MERGE) => Some(ResponseTemplate::new(200)),
        _ => None,
    };
    let Some(server) = ReplayServer::start_with("v2", answer).await else { return };
    let merged = adapter(&server).0.merged(&cpu("checkout")).await.unwrap().unwrap();
    let share = |share: &crate::sor::profile_data::LabelShare| (share.value.clone(), share.ticks);
    assert_eq!(
        merged.meta.profilers.iter().map(share).collect::<Vec<_>>(),
        [("ebpfspy".to_owned(), Some(30)), ("gospy".to_owned(), Some(10))]
    );
    assert_eq!(
        merged.meta.populations.iter().map(share).collect::<Vec<_>>(),
        [("prod".to_owned(), Some(30)), (String::new(), Some(10))]
    );
    let asked = merges(&server.calls(MERGE).await);
    assert_eq!(asked[0].label_selector, r#"{service_name="checkout",pyroscope_spy="ebpfspy"}"#);
}

#[tokio::test]
async fn java_lock_profiles_sum_monitors_and_parks_and_bring_their_counts() {
    const IDS: [&str; 4] = [
        "mutex:delay:nanoseconds:mutex:count",
        "mutex:contentions:count:mutex:count",
        "block:delay:nanoseconds:block:count",
        "block:contentions:count:block:count",
    ];
    let merges_seen = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&merges_seen);
    let answer = move |request: &Request| match request.url.path() {
        path if path.ends_with(SERIES) => Some(sets(&IDS, &[&[]])),
        path if path.ends_with(MERGE) => {
            counter.fetch_add(1, Ordering::Relaxed);
            let id: TypeId = message::<SelectMergeProfileRequest>(request).profile_type_id.parse().unwrap();
            let value = if id.sample_type == "delay" { 1_000 } else { 3 };
            let folded = format!("main;{} {value}\nmain;both {value}\n", id.name);
            let profile = crate::profile::read_folded(folded.as_bytes(), id.values(), &Limits::default()).unwrap();
            let pprof = crate::profile::write_pprof(&profile, &PprofHeader::default());
            Some(ResponseTemplate::new(200).set_body_raw(pprof, "application/proto"))
        }
        _ => None,
    };
    let Some(server) = ReplayServer::start_with("v2", answer).await else { return };
    let locks = adapter(&server).0.merged(&query("checkout", ProfileType::Lock, window(-1, 10))).await;
    let locks = locks.unwrap().unwrap();
    assert_eq!(
        rows(&locks),
        [
            ("both".to_owned(), 2_000, 2_000),
            ("block".to_owned(), 1_000, 1_000),
            ("mutex".to_owned(), 1_000, 1_000),
            ("main".to_owned(), 0, 4_000)
        ]
    );
    assert_eq!((locks.meta.contentions, merges_seen.load(Ordering::Relaxed)), (Some(12), 4));
}

#[tokio::test]
async fn says_which_minutes_have_profiles() {
    let Some(server) = ReplayServer::start("v2").await else { return };
    let merged = adapter(&server).0.merged(&cpu("checkout")).await.unwrap().unwrap();
    let coverage = merged.meta.coverage.unwrap();
    assert_eq!((coverage.minutes_with_data, coverage.minutes), (1, 11));
    let at = |s| DateTime::from_timestamp(NOON_S + s, 0).unwrap();
    assert_eq!((coverage.first_profile_at, coverage.last_profile_at), (at(0), at(30)));
}

#[tokio::test]
async fn a_type_that_came_a_moment_ago_is_found_where_the_known_ones_have_nothing() {
    let answer = |request: &Request| {
        let other = is(request, MERGE)
            && !message::<SelectMergeProfileRequest>(request).profile_type_id.starts_with("process_cpu:cpu");
        let at: Option<SeriesRequest> = is(request, SERIES).then(|| message(request));
        match at {
            Some(asked) if asked.end < NOON_S * 1_000 + 620_000 => Some(sets(&["wall:wall:nanoseconds::"], &[&[]])),
            Some(_) => Some(sets(&["wall:wall:nanoseconds::", CPU_ID], &[&[]])),
            None => other.then(|| ResponseTemplate::new(200)),
        }
    };
    let Some(server) = ReplayServer::start_with("v2", answer).await else { return };
    let (sor, clock) = adapter(&server);
    clock.set(DateTime::from_timestamp(NOON_S + 600, 0).unwrap());
    let until = |s: i64| {
        let at = |s| DateTime::from_timestamp(NOON_S + s, 0).unwrap();
        query("checkout", ProfileType::Cpu, TimeWindow::new(at(-3_000 + s - 600), at(s)).unwrap())
    };
    assert_eq!(sor.merged(&until(600)).await.unwrap().unwrap().profile.stack_count(), 0);
    clock.advance(TimeDelta::seconds(30));
    assert!(sor.merged(&until(630)).await.unwrap().unwrap().profile.stack_count() > 0);
}
