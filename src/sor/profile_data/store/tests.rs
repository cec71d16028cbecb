//! The store on a real database.

mod days;
pub(in crate::sor::profile_data) mod rollups;
mod timeline;
mod writing;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rstest::rstest;

use super::*;
use crate::kernel::{CALL, FixedClock, ProfileType, Tenant};
use crate::profile::{ProfileBuilder, ReadLimits, SampleType, read_pprof};
use crate::sor::profile_data::{VersionBegan, conformance};
use crate::storage::Repeat;
use crate::storage::testing::{TestDatabase, database};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn window(from: &str, to: &str) -> TimeWindow {
    TimeWindow::new(at(from), at(to)).unwrap()
}

const NOON: &str = "2026-11-20T12:00:00Z";

struct Setup {
    store: ProfileStore,
    clock: Arc<FixedClock>,
    database: TestDatabase,
}

async fn house_with(settings: StoreSettings) -> Setup {
    let database = database().await;
    let clock = Arc::new(FixedClock::at(at(NOON)));
    let store = ProfileStore::new(database.db.clone(), clock.clone(), settings);
    store.maintain().await.unwrap();
    Setup { store, clock, database }
}

async fn setup() -> Setup {
    house_with(StoreSettings::default()).await
}

/// What is pushed: stacks as `leaf;root`, with a value per sample type.
struct Push<'a> {
    name: &'a str,
    types: &'a [(&'a str, &'a str)],
    stacks: &'a [(&'a str, &'a [i64])],
    labels: &'a [(&'a str, &'a str)],
    time: DateTime<Utc>,
    app: &'a str,
}

const CPU: Push<'static> = Push {
    name: "process_cpu",
    types: &[("cpu", "nanoseconds")],
    stacks: &[("work;main", &[30_000_000]), ("main", &[10_000_000])],
    labels: &[],
    time: DateTime::UNIX_EPOCH,
    app: "checkout",
};

impl Push<'_> {
    fn at(self, time: &str) -> Pushed {
        Push { time: at(time), ..self }.pushed()
    }

    fn pushed(self) -> Pushed {
        let mut builder = ProfileBuilder::new(self.types.iter().map(|(n, u)| SampleType::new(*n, *u)).collect());
        for (stack, values) in self.stacks {
            let frames: Vec<_> = stack.split(';').map(|name| builder.function(name, "a.rs")).collect();
            builder.add(frames, values);
        }
        let labels: BTreeMap<_, _> = self.labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let profile = builder.build();
        let identity = format!("{}{}{:?}{:?}{:?}", self.app, self.name, self.stacks, labels, self.time);
        Pushed {
            tenant: Tenant::default(),
            app: self.app.parse().unwrap(),
            name: self.name.to_owned(),
            labels,
            sample_types: profile.sample_types().to_vec(),
            profile,
            period_type: Some(SampleType::new("cpu", "nanoseconds")),
            period: 10_000_000,
            time: self.time,
            duration: TimeDelta::seconds(10),
            id: PushId::of([identity.as_bytes()]),
        }
    }
}

impl Setup {
    async fn merged(&self, kind: ProfileType, window: TimeWindow, selector: &str) -> Option<MergedProfile> {
        let app = "checkout".parse().unwrap();
        self.store
            .merged(&CALL, &ProfileQuery { app, kind, window, selector: selector.parse().unwrap(), tenant: None })
            .await
            .unwrap()
    }

    async fn cpu(&self) -> MergedProfile {
        self.merged(ProfileType::Cpu, window("2026-11-20T11:00:00Z", "2026-11-20T13:00:00Z"), "").await.unwrap()
    }

    async fn count(&self, table: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM profile_store.{table}");
        let count = self.database.db.run(Repeat::Safe, move |c| {
            let sql = sqlx::AssertSqlSafe(sql.clone());
            Box::pin(async move { sqlx::query_scalar::<_, i64>(sql).fetch_one(c).await })
        });
        count.await.unwrap()
    }
}

/// Each stack and its value, in order of name.
fn stacks(merged: &MergedProfile) -> Vec<(String, i64)> {
    let profile = &merged.profile;
    let mut stacks: Vec<_> = profile
        .stacks()
        .map(|s| (s.frames.iter().map(|f| profile.name(*f)).collect::<Vec<_>>().join(";"), s.values[0]))
        .collect();
    stacks.sort();
    stacks
}

fn owned(stacks: &[(&str, i64)]) -> Vec<(String, i64)> {
    stacks.iter().map(|(s, v)| ((*s).to_owned(), *v)).collect()
}

#[tokio::test]
async fn what_was_pushed_is_merged_over_epochs_and_hours() {
    let setup = setup().await;
    for time in ["2026-11-20T11:59:50Z", NOON, "2026-11-20T12:00:10Z"] {
        setup.store.push(vec![CPU.at(time)]).await.unwrap();
    }
    // A second writer has epochs of its own.
    let other = ProfileStore::new(setup.database.db.clone(), setup.clock.clone(), StoreSettings::default());
    other.push(vec![CPU.at("2026-11-20T12:00:20Z")]).await.unwrap();
    let merged = setup.cpu().await;
    assert_eq!(stacks(&merged), owned(&[("main", 40_000_000), ("work;main", 120_000_000)]));
    assert_eq!(merged.profile.sample_types(), [SampleType::new("cpu", "nanoseconds")]);
    assert_eq!(merged.meta.sample_type, Some(SampleType::new("cpu", "nanoseconds")));
    assert_eq!(merged.meta.profile_types, ["process_cpu:cpu:nanoseconds:cpu:nanoseconds"]);
    assert_eq!(merged.meta.sample_count, Some(16));
    let leaf = merged.profile.function_ids().next().unwrap();
    assert_eq!(merged.profile.function(leaf).1, "a.rs");
}

#[tokio::test]
async fn a_profile_belongs_to_a_window_by_its_start_half_open() {
    let setup = setup().await;
    setup.store.push(vec![CPU.at(NOON), CPU.at("2026-11-20T12:10:00Z")]).await.unwrap();
    let merged = setup.merged(ProfileType::Cpu, window(NOON, "2026-11-20T12:10:00Z"), "").await.unwrap();
    assert_eq!(merged.profile.total(0), 40_000_000);
    let coverage = merged.meta.coverage.unwrap();
    assert_eq!(
        (coverage.minutes_with_data, coverage.first_profile_at, coverage.last_profile_at),
        (1, at(NOON), at(NOON))
    );
}

#[tokio::test]
async fn a_known_app_without_data_says_when_its_last_profile_came_and_an_unknown_one_is_none() {
    let setup = setup().await;
    setup.store.push(vec![CPU.at("2026-11-20T10:00:00Z")]).await.unwrap();
    let merged = setup.cpu().await;
    assert_eq!((merged.profile.stack_count(), merged.meta.sample_type, merged.meta.coverage), (0, None, None));
    assert_eq!(merged.meta.last_profile_at, Some(at("2026-11-20T10:00:00Z")));
    let unknown = ProfileQuery {
        app: "nobody".parse().unwrap(),
        kind: ProfileType::Cpu,
        window: window("2026-11-20T11:00:00Z", NOON),
        selector: Selector::default(),
        tenant: None,
    };
    assert!(setup.store.merged(&CALL, &unknown).await.unwrap().is_none());
}

#[tokio::test]
async fn apps_are_those_with_a_profile_in_the_window_in_order() {
    let setup = setup().await;
    let of = |app| Push { app, ..CPU }.at(NOON);
    setup.store.push(vec![of("b"), of("a"), Push { app: "old", ..CPU }.at("2026-11-20T10:00:00Z")]).await.unwrap();
    let apps = setup.store.apps(&CALL, None, window("2026-11-20T11:00:00Z", "2026-11-20T13:00:00Z")).await.unwrap();
    assert_eq!(apps.iter().map(AppName::as_str).collect::<Vec<_>>(), ["a", "b"]);
}

#[rstest]
#[case("region=\"eu\"", 40_000_000)]
#[case("region!=\"eu\"", 80_000_000)]
#[case("region=~\"e.|us\"", 80_000_000)]
#[case("region=\"\"", 40_000_000)]
#[case("region=\"nowhere\"", 0)]
#[tokio::test]
async fn a_selector_chooses_series_by_their_labels(#[case] selector: &str, #[case] total: i64) {
    let setup = setup().await;
    let eu = Push { labels: &[("region", "eu")], ..CPU }.at(NOON);
    let us = Push { labels: &[("region", "us")], ..CPU }.at(NOON);
    setup.store.push(vec![eu, us, CPU.at(NOON)]).await.unwrap();
    let merged = setup.merged(ProfileType::Cpu, window(NOON, "2026-11-20T13:00:00Z"), selector).await.unwrap();
    assert_eq!(merged.profile.total(0), total);
}

#[tokio::test]
async fn over_200_label_sets_in_an_hour_collapse_and_say_so() {
    let setup = setup().await;
    let pods: Vec<_> = (0..202).map(|i| i.to_string()).collect();
    let mut collapsed = 0;
    for pod in &pods {
        collapsed += setup.store.push(vec![Push { labels: &[("pod", pod)], ..CPU }.at(NOON)]).await.unwrap().collapsed;
    }
    assert_eq!((collapsed, setup.count("series").await), (2, 201));
    let merged = setup.cpu().await;
    assert_eq!((merged.profile.total(0), merged.meta.labels_collapsed), (202 * 40_000_000, true));
    // A known label set does not count towards the limit.
    let known = Push { labels: &[("pod", "7")], ..CPU }.at("2026-11-20T12:00:30Z");
    assert_eq!(setup.store.push(vec![known]).await.unwrap().collapsed, 0);
}

#[tokio::test]
async fn totals_that_never_fall_are_read_as_their_growth() {
    let setup = setup().await;
    for i in 0..12_i64 {
        let stacks: &[(&str, &[i64])] = &[("f;main", &[1_000 + 100 * i]), ("g;main", &[500])];
        let push = Push { name: "memory", types: &[("alloc_space", "bytes")], stacks, ..CPU };
        setup.store.push(vec![push.at(&format!("2026-11-20T12:{i:02}:00Z"))]).await.unwrap();
    }
    let hour = window(NOON, "2026-11-20T13:00:00Z");
    let merged = setup.merged(ProfileType::Alloc, hour, "").await.unwrap();
    assert_eq!((stacks(&merged), merged.meta.cumulative), (owned(&[("f;main", 1_100)]), false));
    // Nine pushes are too few to tell.
    let nine = setup.merged(ProfileType::Alloc, window(NOON, "2026-11-20T12:09:00Z"), "").await.unwrap();
    assert_eq!(nine.profile.total(0), (0..9).map(|i| 1_500 + 100 * i).sum::<i64>());
}

#[tokio::test]
async fn a_series_that_says_it_is_cumulative_is_read_as_its_growth_over_restarts_and_hours() {
    let setup = setup().await;
    for (time, value) in [("11:30", 100), ("11:45", 150), ("12:00", 20), ("12:15", 70)] {
        let stacks: &[(&str, &[i64])] = &[("f", &[value])];
        let push = Push {
            name: "mutex",
            types: &[("delay", "nanoseconds")],
            stacks,
            labels: &[("__delta__", "false")],
            ..CPU
        };
        setup.store.push(vec![push.at(&format!("2026-11-20T{time}:00Z"))]).await.unwrap();
    }
    let merged =
        setup.merged(ProfileType::Lock, window("2026-11-20T11:00:00Z", "2026-11-20T13:00:00Z"), "").await.unwrap();
    assert_eq!(stacks(&merged), owned(&[("f", 50 + 70)]));
}

#[tokio::test]
async fn populations_are_told_apart_and_of_two_profilers_the_one_with_most_is_read() {
    let setup = setup().await;
    let stacks: &[(&str, &[i64])] = &[("f", &[10_000_000])];
    let go = |env| Push { labels: env, ..CPU };
    let ebpf = Push { labels: &[("otel.scope.name", "ebpf")], stacks, ..CPU };
    setup
        .store
        .push(vec![
            go(&[("env", "prod"), ("otel.scope.name", "go")]).at(NOON),
            go(&[("env", "prod"), ("otel.scope.name", "go")]).at("2026-11-20T12:00:10Z"),
            go(&[("env", "test"), ("otel.scope.name", "go")]).at(NOON),
            ebpf.at(NOON),
        ])
        .await
        .unwrap();
    let merged = setup.cpu().await;
    let share = |label: &str, value: &str, ticks| LabelShareOf(label.into(), value.into(), Some(ticks));
    let read = |shares: &[crate::sor::profile_data::LabelShare]| {
        shares.iter().map(|s| LabelShareOf(s.label.clone(), s.value.clone(), s.ticks)).collect::<Vec<_>>()
    };
    assert_eq!(merged.profile.total(0), 120_000_000);
    assert_eq!(read(&merged.meta.populations), [share("env", "prod", 80_000_000), share("env", "test", 40_000_000)]);
    assert_eq!(
        read(&merged.meta.profilers),
        [share("otel.scope.name", "go", 120_000_000), share("otel.scope.name", "ebpf", 10_000_000),]
    );
}

#[derive(Debug, PartialEq)]
struct LabelShareOf(String, String, Option<i64>);

#[tokio::test]
async fn a_pair_is_read_under_one_sample_type() {
    let setup = setup().await;
    let samples = Push { types: &[("samples", "count")], stacks: &[("f", &[4])], ..CPU };
    let both = Push { types: &[("samples", "count"), ("cpu", "nanoseconds")], stacks: &[("f", &[3, 30])], ..CPU };
    setup.store.push(vec![samples.at("2026-11-20T10:30:00Z"), both.at("2026-11-20T11:30:00Z")]).await.unwrap();
    let query = ProfileQuery {
        app: "checkout".parse().unwrap(),
        kind: ProfileType::Cpu,
        window: window("2026-11-20T11:00:00Z", NOON),
        selector: Selector::default(),
        tenant: None,
    };
    let before = window("2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z");
    let (baseline, current) =
        setup.store.merged_pair(&CALL, &query, before, &Selector::default()).await.unwrap().unwrap();
    assert_eq!((baseline.profile.total(0), current.profile.total(0)), (4, 3));
    assert_eq!(baseline.meta.sample_type, current.meta.sample_type);
}

/// A store with the pushes of the suite of all adapters. Times of pprofs are left aside: here, the pushes say when they
/// began.
pub(in crate::sor::profile_data) async fn with_pushes_of_the_suite() -> Option<(ProfileStore, TestDatabase)> {
    let pushes = conformance::pushes()?;
    let database = database().await;
    let clock = Arc::new(conformance::clock());
    let store = ProfileStore::new(database.db.clone(), clock.clone(), StoreSettings::default());
    store.maintain().await.unwrap();
    let pushed = pushes.iter().map(|push| {
        let file = read_pprof(&push.pprof, &ReadLimits::default()).unwrap();
        Pushed {
            tenant: Tenant::default(),
            app: push.app.parse().unwrap(),
            name: push.name.to_owned(),
            labels: push.labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            sample_types: file.profile.sample_types().to_vec(),
            profile: file.profile,
            period_type: file.period_type,
            period: file.period,
            time: push.at,
            duration: file.duration.unwrap_or_default(),
            id: PushId::of([push.app.as_bytes(), push.name.as_bytes(), &push.at.timestamp().to_le_bytes()]),
        }
    });
    store.push(pushed.collect()).await.unwrap();
    Some((store, database))
}

#[rstest]
#[case::from_blocks(0)]
#[case::from_rollups(2)]
#[tokio::test]
async fn does_what_every_adapter_does(#[case] hours: usize) {
    let Some((store, _database)) = with_pushes_of_the_suite().await else { return };
    if hours > 0 {
        assert_eq!(store.maintain().await.unwrap().rolled, hours);
    }
    conformance::check(&store, conformance::Source { any_window: true, last_of_kind: true, heap: true }).await;
}

#[rstest]
#[case::from_blocks(0)]
#[case::from_rollups(3)]
#[tokio::test]
async fn answers_what_no_recording_has_like_every_adapter(#[case] hours: usize) {
    let (store, _database) = conformance::unrecorded::received().await;
    if hours > 0 {
        assert_eq!(store.maintain().await.unwrap().rolled, hours);
    }
    conformance::unrecorded::check(&store).await;
}
