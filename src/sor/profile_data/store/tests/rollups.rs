//! Closed hours, merged: what is read of them is what their profiles say.

use super::*;
use crate::kernel::CALL;
use crate::sor::profile_data::ProfileMeta;

/// All that an answer says, its stacks in their order.
#[derive(Debug, PartialEq)]
pub(in crate::sor::profile_data) struct Said(Vec<(String, Vec<i64>)>, Vec<SampleType>, ProfileMeta);

pub(in crate::sor::profile_data) fn said(merged: &MergedProfile) -> Said {
    let profile = &merged.profile;
    let frame = |f: &crate::profile::FunctionId| {
        let (name, file) = profile.function(*f);
        format!("{name}@{file}")
    };
    let stack =
        |s: crate::profile::Stack<'_>| (s.frames.iter().map(frame).collect::<Vec<_>>().join(";"), s.values.to_vec());
    Said(profile.stacks().map(stack).collect(), profile.sample_types().to_vec(), merged.meta.clone())
}

impl Setup {
    async fn roll(&self) -> usize {
        self.store.maintain().await.unwrap().rolled
    }

    /// What is left where profiles are past retention.
    async fn without_blocks(&self) {
        let sql = "DELETE FROM profile_store.block";
        self.database.db.run(Repeat::Safe, move |c| Box::pin(sqlx::query(sql).execute(c))).await.unwrap();
    }

    async fn said(&self, kind: ProfileType, window: TimeWindow, selector: &str) -> Option<Said> {
        self.merged(kind, window, selector).await.as_ref().map(said)
    }
}

/// Numbers that look random.
fn random(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

/// Three hours before noon of profiles of all kinds: of several writers and label sets, that fall and that only grow,
/// that say they are cumulative and begin anew.
async fn fill(setup: &Setup) {
    const STACKS: [&str; 6] = ["a;main", "b;a;main", "a;a;main", "main", "c;b;main", "d;main"];
    let other = ProfileStore::new(setup.database.db.clone(), setup.clock.clone(), StoreSettings::default());
    let (mut state, mut grown) = (7, [0_i64; 3]);
    for n in 0..180_u64 {
        let time = at("2026-11-20T09:00:00Z")
            + TimeDelta::milliseconds(i64::try_from(n * 60_000 + random(&mut state, 59_000)).unwrap());
        let [cpu, heap, mutex] = [0, 1, 2].map(|_| i64::try_from(random(&mut state, 50)).unwrap() + 1);
        grown[0] += heap;
        // Begins anew now and then.
        grown[1] = if random(&mut state, 25) == 0 { mutex } else { grown[1] + mutex };
        let stack = |at: u64| STACKS[usize::try_from(at).unwrap() % STACKS.len()];
        let (one, two) = (stack(random(&mut state, 6)), stack(n / 60 + 3));
        let region: &[(&str, &str)] = if random(&mut state, 2) == 0 { &[("env", "eu")] } else { &[("env", "us")] };
        let pushes = [
            Push { stacks: &[(one, &[cpu * 10_000_000]), (two, &[10_000_000])], labels: region, time, ..CPU },
            Push {
                name: "memory",
                types: &[("alloc_space", "bytes"), ("inuse_space", "bytes")],
                stacks: &[("x;main", &[grown[0], heap]), (two, &[3, 5])],
                time,
                ..CPU
            },
            Push {
                name: "mutex",
                types: &[("contentions", "count"), ("delay", "nanoseconds")],
                stacks: &[(one, &[1, 0]), ("y;main", &[grown[1], 10 * grown[1]])],
                labels: &[("__delta__", "false")],
                time,
                ..CPU
            },
        ];
        let writer = if random(&mut state, 4) == 0 { &other } else { &setup.store };
        writer.push(pushes.map(Push::pushed).into()).await.unwrap();
    }
}

pub(in crate::sor::profile_data) const KINDS: [ProfileType; 5] =
    [ProfileType::Cpu, ProfileType::Alloc, ProfileType::Inuse, ProfileType::Lock, ProfileType::Wall];

const WINDOWS: [(&str, &str); 6] = [
    ("09:00:00", "12:00:00"),
    ("09:00:15", "12:00:00"),
    ("09:00:00", "11:59:59"),
    ("08:07:30", "11:07:45"),
    ("10:00:00", "11:00:00"),
    ("10:30:00", "10:45:00"),
];

#[tokio::test]
async fn an_answer_is_the_same_from_rollups_and_from_blocks() {
    let setup = setup().await;
    fill(&setup).await;
    let on = |time: &str| format!("2026-11-20T{time}Z");
    let mut asked = Vec::new();
    for (from, to) in WINDOWS {
        let window = window(&on(from), &on(to));
        for (kind, selector) in KINDS.into_iter().flat_map(|kind| ["", "env=\"eu\""].map(|selector| (kind, selector))) {
            asked.push((kind, window, selector, setup.said(kind, window, selector).await));
        }
    }
    setup.clock.set(at("2026-11-20T12:14:59Z"));
    assert_eq!(setup.roll().await, 2, "the last hour is not closed yet");
    setup.clock.set(at("2026-11-20T12:15:00Z"));
    assert_eq!((setup.roll().await, setup.roll().await, setup.count("rollup").await), (1, 0, 9));
    for (kind, window, selector, from_blocks) in &asked {
        assert_eq!(&setup.said(*kind, *window, selector).await, from_blocks, "{kind} {window:?} {selector}");
    }
    setup.without_blocks().await;
    let whole = asked.iter().filter(|(_, window, ..)| *window == self::window(&on("09:00:00"), &on("12:00:00")));
    for (kind, window, selector, from_blocks) in whole {
        assert_eq!(&setup.said(*kind, *window, selector).await, from_blocks, "{kind} {selector}, without blocks");
    }
}

#[rstest]
#[case::at_the_end_of_an_hour("09:00:00", "11:00:00")]
#[case::within_an_hour("09:00:00", "12:00:00")]
#[case::within_an_hour_that_is_not_whole("09:20:00", "10:10:00")]
#[tokio::test]
async fn halves_are_told_apart_wherever_they_meet(#[case] from: &str, #[case] to: &str) {
    let setup = setup().await;
    fill(&setup).await;
    let on = |time: &str| format!("2026-11-20T{time}Z");
    let query = ProfileQuery {
        app: "checkout".parse().unwrap(),
        kind: ProfileType::Cpu,
        window: window(&on("11:00:00"), &on("12:00:00")),
        selector: Selector::default(),
        tenant: None,
    };
    let pair = || async {
        let before = window(&on(from), &on(to));
        let (before, now) =
            setup.store.merged_pair(&CALL, &query, before, &Selector::default()).await.unwrap().unwrap();
        assert!(before.first_half().is_some());
        (said(&before), said(&now))
    };
    let from_blocks = pair().await;
    setup.clock.set(at("2026-11-20T12:15:00Z"));
    assert_eq!(setup.roll().await, 3);
    assert_eq!(pair().await, from_blocks);
}

#[tokio::test]
async fn a_late_profile_takes_the_rollup_of_its_hour_away_until_the_next_round() {
    let setup = setup().await;
    setup.store.push(vec![CPU.at("2026-11-20T10:10:00Z"), CPU.at("2026-11-20T11:10:00Z")]).await.unwrap();
    setup.clock.set(at("2026-11-20T12:15:00Z"));
    assert_eq!(setup.roll().await, 2);
    setup.store.push(vec![CPU.at("2026-11-20T10:20:00Z"), CPU.at("2026-11-20T12:10:00Z")]).await.unwrap();
    assert_eq!(setup.count("rollup").await, 1);
    let hour = window("2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z");
    assert_eq!(setup.merged(ProfileType::Cpu, hour, "").await.unwrap().profile.total(0), 80_000_000);
    assert_eq!((setup.roll().await, setup.count("rollup").await), (1, 2));
    setup.without_blocks().await;
    assert_eq!(setup.merged(ProfileType::Cpu, hour, "").await.unwrap().profile.total(0), 80_000_000);
}

#[tokio::test]
async fn an_hour_that_changes_while_it_is_rolled_up_is_left_to_the_next_round() {
    let setup = setup().await;
    setup.store.push(vec![CPU.at("2026-11-20T10:10:00Z")]).await.unwrap();
    let mut late =
        <sqlx::PgConnection as sqlx::Connection>::connect_with(&setup.database.connect_options()).await.unwrap();
    let hour = at("2026-11-20T10:00:00Z").timestamp() / 3_600;
    let lock = format!("SELECT pg_advisory_xact_lock(app_id, {hour}) FROM profile_store.app");
    let add = "INSERT INTO profile_store.block SELECT ts + interval '1 s', dur_ms, app_id, series_id, epoch_id, samples, totals, body FROM profile_store.block";
    for sql in ["BEGIN".to_owned(), lock, add.to_owned()] {
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut late).await.unwrap();
    }
    let rolling = tokio::spawn({
        let store = setup.store.clone();
        async move { store.maintain().await.unwrap().rolled }
    });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'";
    let waiting = || {
        setup
            .database
            .db
            .run(Repeat::Safe, move |c| Box::pin(async move { sqlx::query_scalar::<_, i64>(waits).fetch_one(c).await }))
    };
    while waiting().await.unwrap() == 0 {}
    sqlx::query("COMMIT").execute(&mut late).await.unwrap();
    assert_eq!((rolling.await.unwrap(), setup.count("rollup").await), (0, 0));
    assert_eq!(setup.roll().await, 1);
    setup.without_blocks().await;
    let hour = window("2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z");
    assert_eq!(setup.merged(ProfileType::Cpu, hour, "").await.unwrap().profile.total(0), 80_000_000);
}

#[tokio::test]
async fn several_servers_roll_an_hour_up_once() {
    let setup = setup().await;
    let other = ProfileStore::new(setup.database.db.clone(), setup.clock.clone(), StoreSettings::default());
    setup.store.push(vec![CPU.at("2026-11-20T10:10:00Z")]).await.unwrap();
    let (a, b) = tokio::join!(setup.store.maintain(), other.maintain());
    assert_eq!((a.unwrap().rolled + b.unwrap().rolled, setup.count("rollup").await), (1, 1));
}

#[tokio::test]
async fn a_server_that_was_down_catches_up_some_hours_at_a_time_the_oldest_first() {
    let setup = house_with(StoreSettings { rollups_at_once: 2, ..StoreSettings::default() }).await;
    for hour in ["06", "08", "10"] {
        setup.store.push(vec![CPU.at(&format!("2026-11-20T{hour}:30:00Z"))]).await.unwrap();
    }
    assert_eq!((setup.roll().await, setup.roll().await, setup.roll().await), (2, 1, 0));
}

#[tokio::test]
async fn an_hour_that_cannot_be_read_holds_nothing_up() {
    let setup = setup().await;
    setup.store.push(vec![CPU.at("2026-11-20T09:30:00Z"), CPU.at("2026-11-20T10:30:00Z")]).await.unwrap();
    let break_one = "UPDATE profile_store.block SET body = 'x' WHERE ts < '2026-11-20T10:00:00Z'";
    setup.database.db.run(Repeat::Safe, move |c| Box::pin(sqlx::query(break_one).execute(c))).await.unwrap();
    assert_eq!((setup.roll().await, setup.roll().await, setup.count("rollup").await), (1, 0, 1));
    setup.clock.set(at("2026-11-28T00:00:00Z"));
    assert!(setup.store.maintain().await.unwrap().expired.dropped.contains(&"block_20261120".to_owned()));
}

#[rstest]
#[case::as_a_rule(StoreSettings::default(), "2027-02-28T23:59:59Z", "2027-03-01T00:00:00Z")]
#[case::as_it_is_set(
    StoreSettings { rollup_retention: TimeDelta::days(30), ..StoreSettings::default() },
    "2026-12-30T23:59:59Z",
    "2026-12-31T00:00:00Z"
)]
#[tokio::test]
async fn months_are_made_and_dropped_as_a_whole_over_their_ends(
    #[case] settings: StoreSettings,
    #[case] kept: &str,
    #[case] expired: &str,
) {
    let setup = house_with(settings).await;
    let last = CPU.at("2026-11-30T23:59:59Z");
    setup.clock.set(at("2026-11-30T23:59:59Z"));
    assert!(setup.store.maintain().await.unwrap().made.contains(&"rollup_202612".to_owned()));
    setup.store.push(vec![last]).await.unwrap();
    setup.clock.set(at("2026-12-01T01:15:00Z"));
    setup.store.push(vec![CPU.at("2026-12-01T00:00:00Z")]).await.unwrap();
    assert_eq!(setup.roll().await, 2);
    assert_eq!((setup.count("rollup_202611").await, setup.count("rollup_202612").await), (1, 1));
    let night = window("2026-11-30T23:00:00Z", "2026-12-01T01:00:00Z");
    let both = setup.merged(ProfileType::Cpu, night, "").await.unwrap();
    setup.clock.set(at(kept));
    let dropped = setup.store.maintain().await.unwrap().expired.dropped;
    assert!(dropped.contains(&"block_20261130".to_owned()) && !dropped.contains(&"rollup_202611".to_owned()));
    assert_eq!(stacks(&setup.merged(ProfileType::Cpu, night, "").await.unwrap()), stacks(&both));
    setup.clock.set(at(expired));
    assert_eq!(setup.store.maintain().await.unwrap().expired.dropped, ["rollup_202611"]);
    assert_eq!(setup.merged(ProfileType::Cpu, night, "").await.unwrap().profile.total(0), 40_000_000);
}

/// Profiles of the forenoon, ten days later: rollups are all that is left.
pub(in crate::sor::profile_data) async fn ten_days_ago() -> (ProfileStore, TestDatabase, Arc<FixedClock>) {
    let setup = setup().await;
    fill(&setup).await;
    setup.clock.set(at("2026-11-20T12:15:00Z"));
    assert_eq!(setup.roll().await, 3);
    setup.clock.set(at("2026-11-30T12:00:00Z"));
    setup.store.maintain().await.unwrap();
    assert_eq!((setup.count("block").await, setup.count("dict").await), (0, 0));
    (setup.store, setup.database, setup.clock)
}

#[tokio::test]
async fn whole_hours_are_all_that_is_known_past_the_retention_of_profiles() {
    let (store, database, clock) = ten_days_ago().await;
    let setup = Setup { store, clock, database };
    let on = |from, to| window(&format!("2026-11-20T{from}:00Z"), &format!("2026-11-20T{to}:00Z"));
    let coverage = |merged: Option<MergedProfile>| merged.and_then(|merged| merged.meta.coverage);
    let whole = coverage(setup.merged(ProfileType::Cpu, on("09:00", "12:00"), "").await).unwrap();
    assert_eq!((whole.minutes_with_data, whole.minutes), (180, 180));
    let ragged = coverage(setup.merged(ProfileType::Cpu, on("09:30", "11:30"), "").await).unwrap();
    assert_eq!((ragged.minutes_with_data, ragged.minutes), (60, 120));
    assert!(setup.merged(ProfileType::Cpu, on("09:10", "09:50"), "").await.is_none());
    let apps = |window| {
        let store = setup.store.clone();
        async move { store.apps(&CALL, None, window).await.unwrap().len() }
    };
    assert_eq!((apps(on("09:30", "11:30")).await, apps(on("09:10", "09:50")).await), (1, 0));
    // The hour in the middle can no longer be split.
    let query = ProfileQuery {
        app: "checkout".parse().unwrap(),
        kind: ProfileType::Cpu,
        window: on("11:00", "12:00"),
        selector: Selector::default(),
        tenant: None,
    };
    for (before, halves) in [(on("09:00", "11:00"), true), (on("09:00", "12:00"), false)] {
        let (baseline, _) =
            setup.store.merged_pair(&CALL, &query, before, &Selector::default()).await.unwrap().unwrap();
        assert_eq!(baseline.first_half().is_some(), halves);
        assert!(baseline.profile.total(0) > 0);
    }
}
