//! The adapter against recorded answers of real servers. Each pitfall of Pyroscope's API has a case here, for versions
//! 1 and 2.

mod calls;
mod refusals;
mod tenants;
mod windows;

use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::DateTime;
use prost::Message;
use rstest::rstest;
use secrecy::SecretString;
use wiremock::{Request, ResponseTemplate};

use super::refusal::{Refusal, refusal_of};
use super::replay::{Recordings, ReplayServer, message};
use super::*;
use crate::kernel::{CALL, FixedClock, PortError};
use crate::profile::{FunctionTable, PprofHeader, ReadLimits};
use crate::sor::profile_data::conformance::{self, Source};
use crate::sor::profile_data::proto::querier::v1::{
    SelectMergeProfileRequest, SelectSeriesRequest, SelectSeriesResponse, SeriesRequest, SeriesResponse,
};
use crate::sor::profile_data::proto::types::v1::{LabelPair, Labels, Point, Series};

const MERGE: &str = "/SelectMergeProfile";
const SERIES: &str = "/Series";
const TOTALS: &str = "/SelectSeries";
const RENDER: &str = "/pyroscope/render";

/// Noon on the day of the recordings.
const NOON_S: i64 = 1_795_176_000;

fn window(from_minute: i64, to_minute: i64) -> TimeWindow {
    let at = |minute| DateTime::from_timestamp(NOON_S + minute * 60, 0).unwrap();
    TimeWindow::new(at(from_minute), at(to_minute)).unwrap()
}

fn query(app: &str, kind: ProfileType, window: TimeWindow) -> ProfileQuery {
    ProfileQuery { app: app.parse().unwrap(), kind, window, selector: Selector::default(), tenant: None }
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

/// The label sets of an app whose series have these labels too.
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
#[case("v1", Source { any_window: false, last_of_kind: false, heap: false })]
#[case("v2", Source { any_window: false, last_of_kind: false, heap: true })]
#[tokio::test]
async fn does_what_every_adapter_does(#[case] version: &str, #[case] source: Source) {
    let Some(server) = ReplayServer::start(version).await else { return };
    conformance::check(&adapter(&server).0, source).await;
}

#[tokio::test]
async fn answers_what_no_recording_has_like_every_adapter() {
    let answers = conformance::unrecorded::as_pyroscope;
    let Some(server) = ReplayServer::start_with("v2", answers).await else { return };
    conformance::unrecorded::check(&adapter(&server).0).await;
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
    let merged = adapter(&server).0.merged(&CALL, &cpu("checkout")).await.unwrap().unwrap();
    assert_eq!((merged.profile.stack_count(), merged.meta.profile_types.as_slice()), (0, &[CPU_ID.to_owned()][..]));
}

#[rstest]
#[tokio::test]
async fn sample_types_in_upper_case_are_asked_for_as_they_are_spelled(#[values("v1", "v2")] version: &str) {
    let answer = |request: &Request| is(request, MERGE).then(|| ResponseTemplate::new(200));
    let Some(server) = ReplayServer::start_with(version, answer).await else { return };
    let merged = adapter(&server).0.merged(&CALL, &cpu("recommender")).await.unwrap().unwrap();
    assert_eq!(merged.meta.profile_types, ["process_cpu:CPU:nanoseconds:CPU:nanoseconds"]);
    let asked = merges(&server.calls(MERGE).await);
    assert_eq!(asked[0].profile_type_id, "process_cpu:CPU:nanoseconds:CPU:nanoseconds");
}

#[rstest]
#[tokio::test]
async fn types_that_come_twice_are_read_once(#[values("v1", "v2")] version: &str) {
    let answer = |request: &Request| is(request, SERIES).then(|| sets(&[CPU_ID, CPU_ID], &[&[], &[]]));
    let Some(server) = ReplayServer::start_with(version, answer).await else { return };
    adapter(&server).0.merged(&CALL, &cpu("checkout")).await.unwrap().unwrap();
    assert_eq!(server.calls(MERGE).await.len(), 1);
}

#[tokio::test]
async fn a_silent_app_says_when_its_last_profile_came() {
    let Some(server) = ReplayServer::start("v2").await else { return };
    let (sor, _) = adapter(&server);
    let silent = sor.merged(&CALL, &query("checkout", ProfileType::Cpu, window(-300, -200))).await.unwrap().unwrap();
    assert_eq!(silent.profile.stack_count(), 0);
    // The end of its minute: it came half a minute earlier.
    assert_eq!(silent.meta.last_profile_at, DateTime::from_timestamp(NOON_S + 60, 0));
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
    let merged = adapter(&server).0.merged(&CALL, &cpu("checkout")).await.unwrap().unwrap();
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
            let profile = crate::profile::read_folded(folded.as_bytes(), id.values(), &ReadLimits::default()).unwrap();
            let pprof = crate::profile::write_pprof(&profile, &PprofHeader::default());
            Some(ResponseTemplate::new(200).set_body_raw(pprof, "application/proto"))
        }
        _ => None,
    };
    let Some(server) = ReplayServer::start_with("v2", answer).await else { return };
    let locks = adapter(&server).0.merged(&CALL, &query("checkout", ProfileType::Lock, window(-1, 10))).await;
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
    let merged = adapter(&server).0.merged(&CALL, &cpu("checkout")).await.unwrap().unwrap();
    let coverage = merged.meta.coverage.unwrap();
    assert_eq!((coverage.minutes_with_data, coverage.minutes), (1, 11));
    let at = |s| DateTime::from_timestamp(NOON_S + s, 0).unwrap();
    assert_eq!((coverage.first_profile_at, coverage.last_profile_at), (at(0), at(30)));
}
