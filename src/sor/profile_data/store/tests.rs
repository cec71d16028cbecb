//! The store on a real database.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rstest::rstest;

use super::*;
use crate::kernel::{FixedClock, ProfileType};
use crate::profile::{Limits, ProfileBuilder, SampleType, read_pprof};
use crate::sor::profile_data::conformance;
use crate::storage::Repeat;
use crate::storage::testing::{TestDatabase, database};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn window(from: &str, to: &str) -> TimeWindow {
    TimeWindow::new(at(from), at(to)).unwrap()
}

const NOON: &str = "2026-11-20T12:00:00Z";

struct House {
    store: ProfileStore,
    clock: Arc<FixedClock>,
    database: TestDatabase,
}

async fn house_with(settings: StoreSettings) -> House {
    let database = database().await;
    let clock = Arc::new(FixedClock::at(at(NOON)));
    let store = ProfileStore::new(database.db.clone(), clock.clone(), settings);
    store.maintain().await.unwrap();
    House { store, clock, database }
}

async fn house() -> House {
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

impl House {
    async fn merged(&self, kind: ProfileType, window: TimeWindow, selector: &str) -> Option<MergedProfile> {
        let app = "checkout".parse().unwrap();
        self.store.merged(&ProfileQuery { app, kind, window, selector: selector.parse().unwrap() }).await.unwrap()
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
    let house = house().await;
    for time in ["2026-11-20T11:59:50Z", NOON, "2026-11-20T12:00:10Z"] {
        house.store.push(vec![CPU.at(time)]).await.unwrap();
    }
    // A second writer has epochs of its own.
    let other = ProfileStore::new(house.database.db.clone(), house.clock.clone(), StoreSettings::default());
    other.push(vec![CPU.at("2026-11-20T12:00:20Z")]).await.unwrap();
    let merged = house.cpu().await;
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
    let house = house().await;
    house.store.push(vec![CPU.at(NOON), CPU.at("2026-11-20T12:10:00Z")]).await.unwrap();
    let merged = house.merged(ProfileType::Cpu, window(NOON, "2026-11-20T12:10:00Z"), "").await.unwrap();
    assert_eq!(merged.profile.total(0), 40_000_000);
    let coverage = merged.meta.coverage.unwrap();
    assert_eq!(
        (coverage.minutes_with_data, coverage.first_profile_at, coverage.last_profile_at),
        (1, at(NOON), at(NOON))
    );
}

#[tokio::test]
async fn a_known_app_without_data_says_when_its_last_profile_came_and_an_unknown_one_is_none() {
    let house = house().await;
    house.store.push(vec![CPU.at("2026-11-20T10:00:00Z")]).await.unwrap();
    let merged = house.cpu().await;
    assert_eq!((merged.profile.stack_count(), merged.meta.sample_type, merged.meta.coverage), (0, None, None));
    assert_eq!(merged.meta.last_profile_at, Some(at("2026-11-20T10:00:00Z")));
    let unknown = ProfileQuery {
        app: "nobody".parse().unwrap(),
        kind: ProfileType::Cpu,
        window: window("2026-11-20T11:00:00Z", NOON),
        selector: Selector::default(),
    };
    assert!(house.store.merged(&unknown).await.unwrap().is_none());
}

#[tokio::test]
async fn apps_are_those_with_a_profile_in_the_window_in_order() {
    let house = house().await;
    let of = |app| Push { app, ..CPU }.at(NOON);
    house.store.push(vec![of("b"), of("a"), Push { app: "old", ..CPU }.at("2026-11-20T10:00:00Z")]).await.unwrap();
    let apps = house.store.apps(window("2026-11-20T11:00:00Z", "2026-11-20T13:00:00Z")).await.unwrap();
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
    let house = house().await;
    let eu = Push { labels: &[("region", "eu")], ..CPU }.at(NOON);
    let us = Push { labels: &[("region", "us")], ..CPU }.at(NOON);
    house.store.push(vec![eu, us, CPU.at(NOON)]).await.unwrap();
    let merged = house.merged(ProfileType::Cpu, window(NOON, "2026-11-20T13:00:00Z"), selector).await.unwrap();
    assert_eq!(merged.profile.total(0), total);
}

#[tokio::test]
async fn a_repeated_push_is_counted_once_for_five_minutes() {
    let house = house().await;
    let accepted = |stored, repeated| Accepted { stored, repeated, collapsed: 0 };
    assert_eq!(house.store.push(vec![CPU.at(NOON)]).await.unwrap(), accepted(1, 0));
    house.clock.advance(TimeDelta::seconds(299));
    assert_eq!(house.store.push(vec![CPU.at(NOON)]).await.unwrap(), accepted(0, 1));
    house.clock.advance(TimeDelta::seconds(1));
    assert_eq!(house.store.push(vec![CPU.at(NOON)]).await.unwrap(), accepted(1, 0));
    assert_eq!(house.count("block").await, 2);
}

#[tokio::test]
async fn one_row_holds_a_profile_with_all_its_sample_types() {
    let house = house().await;
    let types: &[_] =
        &[("alloc_objects", "count"), ("alloc_space", "bytes"), ("inuse_objects", "count"), ("inuse_space", "bytes")];
    let heap = Push { name: "memory", types, stacks: &[("f", &[1, 2, 3, 4]), ("g", &[5, 6, 0, 0])], ..CPU };
    house.store.push(vec![heap.at(NOON)]).await.unwrap();
    assert_eq!((house.count("block").await, house.count("dict").await), (1, 1));
    let hour = window(NOON, "2026-11-20T13:00:00Z");
    let alloc = house.merged(ProfileType::Alloc, hour, "").await.unwrap();
    assert_eq!(stacks(&alloc), owned(&[("f", 2), ("g", 6)]));
    let inuse = house.merged(ProfileType::Inuse, hour, "").await.unwrap();
    assert_eq!((stacks(&inuse), inuse.meta.snapshots), (owned(&[("f", 4)]), Some(1)));
}

#[tokio::test]
async fn a_dictionary_grows_by_segments_only_when_there_is_something_new() {
    let house = house().await;
    for second in 0..5 {
        house.store.push(vec![CPU.at(&format!("2026-11-20T12:00:0{second}Z"))]).await.unwrap();
    }
    assert_eq!((house.count("block").await, house.count("dict").await), (5, 1));
    house.cpu().await;
    let new = Push { stacks: &[("new;main", &[10_000_000])], ..CPU };
    house.store.push(vec![new.at("2026-11-20T12:00:09Z")]).await.unwrap();
    assert_eq!(house.count("dict").await, 2);
    assert_eq!(house.cpu().await.profile.total(0), 210_000_000);
}

#[tokio::test]
async fn a_failed_commit_is_forgotten_and_what_is_stored_stays() {
    let house = house().await;
    house.store.push(vec![CPU.at(NOON)]).await.unwrap();
    let rename = |from: &'static str, to: &'static str| {
        let db = house.database.db.clone();
        async move {
            db.run(Repeat::Safe, move |c| {
                Box::pin(async move {
                    let sql = format!("ALTER TABLE profile_store.{from} RENAME TO {to}");
                    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(c).await
                })
            })
            .await
            .unwrap();
        }
    };
    rename("dict", "away").await;
    let new = || Push { stacks: &[("new;main", &[10_000_000])], ..CPU }.at("2026-11-20T12:00:09Z");
    assert!(matches!(house.store.push(vec![new()]).await, Err(PushError::Port(_))));
    rename("away", "dict").await;
    assert_eq!(house.cpu().await.profile.total(0), 40_000_000);
    // The sender tries again; it goes to a new epoch.
    assert_eq!(house.store.push(vec![new()]).await.unwrap().stored, 1);
    assert_eq!(
        stacks(&house.cpu().await),
        owned(&[("main", 10_000_000), ("new;main", 10_000_000), ("work;main", 30_000_000)])
    );
}

#[tokio::test]
async fn a_profile_too_large_is_refused_and_what_is_stored_stays() {
    let dictionary = DictionaryLimits { nodes: 5, text_bytes: 1_000 };
    let house = house_with(StoreSettings { dictionary, ..StoreSettings::default() }).await;
    house.store.push(vec![CPU.at(NOON)]).await.unwrap();
    let large = Push { stacks: &[("a;b;c;d;e;f;g", &[1])], ..CPU };
    let refused = house.store.push(vec![large.at("2026-11-20T12:00:10Z")]).await.unwrap_err();
    assert_eq!(refused.to_string(), "the profile has over 5 distinct tree nodes");
    assert_eq!(house.cpu().await.profile.total(0), 40_000_000);
    house.store.push(vec![CPU.at("2026-11-20T12:00:20Z")]).await.unwrap();
    assert_eq!(house.cpu().await.profile.total(0), 80_000_000);
}

#[tokio::test]
async fn open_dictionaries_stay_within_their_memory() {
    let house =
        house_with(StoreSettings { open_dictionaries: 4_096, dictionary_cache: 2_048, ..StoreSettings::default() })
            .await;
    for app in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        house.store.push(vec![Push { app, ..CPU }.at(NOON)]).await.unwrap();
        let (open, _) = house.store.memory();
        assert!(open <= 4_096, "{open}");
    }
    house.store.push(vec![CPU.at(NOON)]).await.unwrap();
    assert_eq!(house.cpu().await.profile.total(0), 40_000_000);
    assert!(house.store.memory().1 <= 2_048);
}

#[tokio::test]
async fn over_200_label_sets_in_an_hour_collapse_and_say_so() {
    let house = house().await;
    let pods: Vec<_> = (0..202).map(|i| i.to_string()).collect();
    let mut collapsed = 0;
    for pod in &pods {
        collapsed += house.store.push(vec![Push { labels: &[("pod", pod)], ..CPU }.at(NOON)]).await.unwrap().collapsed;
    }
    assert_eq!((collapsed, house.count("series").await), (2, 201));
    let merged = house.cpu().await;
    assert_eq!((merged.profile.total(0), merged.meta.labels_collapsed), (202 * 40_000_000, true));
    // A known set is none too many.
    let known = Push { labels: &[("pod", "7")], ..CPU }.at("2026-11-20T12:00:30Z");
    assert_eq!(house.store.push(vec![known]).await.unwrap().collapsed, 0);
}

#[tokio::test]
async fn totals_that_never_fall_are_read_as_their_growth() {
    let house = house().await;
    for i in 0..12_i64 {
        let stacks: &[(&str, &[i64])] = &[("f;main", &[1_000 + 100 * i]), ("g;main", &[500])];
        let push = Push { name: "memory", types: &[("alloc_space", "bytes")], stacks, ..CPU };
        house.store.push(vec![push.at(&format!("2026-11-20T12:{i:02}:00Z"))]).await.unwrap();
    }
    let hour = window(NOON, "2026-11-20T13:00:00Z");
    let merged = house.merged(ProfileType::Alloc, hour, "").await.unwrap();
    assert_eq!((stacks(&merged), merged.meta.cumulative), (owned(&[("f;main", 1_100)]), false));
    // Nine pushes are too few to tell.
    let nine = house.merged(ProfileType::Alloc, window(NOON, "2026-11-20T12:09:00Z"), "").await.unwrap();
    assert_eq!(nine.profile.total(0), (0..9).map(|i| 1_500 + 100 * i).sum::<i64>());
}

#[tokio::test]
async fn a_series_that_says_it_is_cumulative_is_read_as_its_growth_over_restarts_and_hours() {
    let house = house().await;
    for (time, value) in [("11:30", 100), ("11:45", 150), ("12:00", 20), ("12:15", 70)] {
        let stacks: &[(&str, &[i64])] = &[("f", &[value])];
        let push = Push {
            name: "mutex",
            types: &[("delay", "nanoseconds")],
            stacks,
            labels: &[("__delta__", "false")],
            ..CPU
        };
        house.store.push(vec![push.at(&format!("2026-11-20T{time}:00Z"))]).await.unwrap();
    }
    let merged =
        house.merged(ProfileType::Lock, window("2026-11-20T11:00:00Z", "2026-11-20T13:00:00Z"), "").await.unwrap();
    assert_eq!(stacks(&merged), owned(&[("f", 50 + 70)]));
}

#[tokio::test]
async fn populations_are_told_apart_and_of_two_profilers_the_one_with_most_is_read() {
    let house = house().await;
    let stacks: &[(&str, &[i64])] = &[("f", &[10_000_000])];
    let go = |env| Push { labels: env, ..CPU };
    let ebpf = Push { labels: &[("otel.scope.name", "ebpf")], stacks, ..CPU };
    house
        .store
        .push(vec![
            go(&[("env", "prod"), ("otel.scope.name", "go")]).at(NOON),
            go(&[("env", "prod"), ("otel.scope.name", "go")]).at("2026-11-20T12:00:10Z"),
            go(&[("env", "test"), ("otel.scope.name", "go")]).at(NOON),
            ebpf.at(NOON),
        ])
        .await
        .unwrap();
    let merged = house.cpu().await;
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
async fn partitions_are_made_ahead_and_dropped_when_expired_blocks_before_dictionaries() {
    let house = house_with(StoreSettings { retention: TimeDelta::days(2), ..StoreSettings::default() }).await;
    house.store.push(vec![CPU.at(NOON)]).await.unwrap();
    assert_eq!(house.store.maintain().await.unwrap(), Maintenance::default());
    house.clock.set(at("2026-11-21T00:00:01Z"));
    let next = house.store.maintain().await.unwrap();
    assert_eq!((next.made, next.dropped), (vec!["block_20261123".to_owned(), "dict_20261123".to_owned()], vec![]));
    house.store.push(vec![CPU.at("2026-11-21T00:00:01Z")]).await.unwrap();
    house.clock.set(at("2026-11-23T00:00:00Z"));
    assert_eq!(house.store.maintain().await.unwrap().dropped, ["block_20261120"]);
    house.clock.set(at("2026-11-24T00:00:00Z"));
    assert_eq!(house.store.maintain().await.unwrap().dropped, ["block_20261121", "dict_20261120"]);
    assert_eq!((house.count("block").await, house.count("dict").await), (0, 1));
}

#[tokio::test]
async fn a_partition_that_a_reader_holds_is_dropped_the_next_time() {
    let house = house_with(StoreSettings { retention: TimeDelta::days(1), ..StoreSettings::default() }).await;
    house.store.push(vec![CPU.at(NOON)]).await.unwrap();
    house.clock.set(at("2026-11-22T12:00:00Z"));
    let mut reader =
        <sqlx::PgConnection as sqlx::Connection>::connect_with(&house.database.connect_options()).await.unwrap();
    for statement in ["BEGIN", "SELECT count(*) FROM profile_store.block"] {
        sqlx::query(statement).execute(&mut reader).await.unwrap();
    }
    let done = house.store.maintain().await.unwrap();
    assert_eq!((done.dropped, done.held), (vec![], vec!["block_20261120".to_owned()]));
    sqlx::query("COMMIT").execute(&mut reader).await.unwrap();
    assert_eq!(house.store.maintain().await.unwrap().dropped, ["block_20261120"]);
}

#[tokio::test]
async fn a_late_profile_gets_the_partition_of_its_day() {
    let house = house().await;
    house.store.push(vec![CPU.at("2026-11-15T08:00:00Z")]).await.unwrap();
    let day = window("2026-11-15T00:00:00Z", "2026-11-16T00:00:00Z");
    assert_eq!(house.merged(ProfileType::Cpu, day, "").await.unwrap().profile.total(0), 40_000_000);
}

#[tokio::test]
async fn a_pair_is_read_under_one_sample_type() {
    let house = house().await;
    let samples = Push { types: &[("samples", "count")], stacks: &[("f", &[4])], ..CPU };
    let both = Push { types: &[("samples", "count"), ("cpu", "nanoseconds")], stacks: &[("f", &[3, 30])], ..CPU };
    house.store.push(vec![samples.at("2026-11-20T10:30:00Z"), both.at("2026-11-20T11:30:00Z")]).await.unwrap();
    let query = ProfileQuery {
        app: "checkout".parse().unwrap(),
        kind: ProfileType::Cpu,
        window: window("2026-11-20T11:00:00Z", NOON),
        selector: Selector::default(),
    };
    let before = window("2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z");
    let (baseline, current) = house.store.merged_pair(&query, before, &Selector::default()).await.unwrap().unwrap();
    assert_eq!((baseline.profile.total(0), current.profile.total(0)), (4, 3));
    assert_eq!(baseline.meta.sample_type, current.meta.sample_type);
}

/// The suite of all adapters. Times of pprofs are left aside: here, the pushes say when they began.
#[tokio::test]
async fn does_what_every_adapter_does() {
    let Some(pushes) = conformance::pushes() else { return };
    let database = database().await;
    let store = ProfileStore::new(database.db.clone(), Arc::new(conformance::clock()), StoreSettings::default());
    store.maintain().await.unwrap();
    let pushed = pushes.iter().map(|push| {
        let file = read_pprof(&push.pprof, &Limits::default()).unwrap();
        Pushed {
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
    conformance::check(&store, conformance::Source { any_window: true, heap: true }).await;
}
