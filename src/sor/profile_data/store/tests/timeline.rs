//! Windows step by step.

use super::*;
use crate::profile::FunctionTable;

const VERSION_1: Push = Push { labels: &[("version", "1")], ..CPU };
const VERSION_2: Push = Push { labels: &[("version", "2")], ..CPU };
const IDLE: Push = Push { stacks: &[("main", &[0])], ..CPU };
const HEAP: Push = Push {
    name: "memory",
    types: &[("inuse_space", "bytes")],
    stacks: &[("keep;main", &[3_000]), ("main", &[1_000])],
    ..CPU
};

fn query(kind: ProfileType, window: TimeWindow) -> ProfileQuery {
    ProfileQuery { app: "checkout".parse().unwrap(), kind, window, selector: Selector::default(), tenant: None }
}

fn width(seconds: i64) -> StepWidth {
    StepWidth::new(TimeDelta::seconds(seconds)).unwrap()
}

async fn stacks(setup: &Setup, kind: ProfileType, window: TimeWindow, seconds: i64) -> PortResult<Timeline<Profile>> {
    Ok(setup.store.stacks(&CALL, &query(kind, window), width(seconds)).await?.unwrap())
}

/// The totals, which stacks must add up to as well.
async fn totals(setup: &Setup, kind: ProfileType, window: TimeWindow, seconds: i64) -> Vec<(DateTime<Utc>, i64)> {
    let totals = setup.store.totals(&CALL, &query(kind, window), width(seconds)).await.unwrap().unwrap().steps;
    let stacks = stacks(setup, kind, window, seconds).await.unwrap().steps;
    assert!(stacks.windows(2).all(|pair| pair[0].1.shares_functions(&pair[1].1)), "names can be compared once");
    let of_stacks: Vec<_> = stacks.iter().map(|(at, profile)| (*at, profile.total(0))).collect();
    assert_eq!(totals, of_stacks);
    totals
}

#[tokio::test]
async fn a_window_is_read_minute_by_minute_and_says_which_versions_began() {
    let setup = setup().await;
    let pushes = [
        VERSION_1.at("2026-11-20T10:29:59Z"),
        VERSION_1.at("2026-11-20T10:30:10Z"),
        VERSION_1.at("2026-11-20T11:30:10Z"),
        VERSION_1.at("2026-11-20T11:30:50Z"),
        VERSION_2.at("2026-11-20T11:31:00Z"),
        VERSION_2.at(NOON),
    ];
    setup.store.push(Vec::from(pushes)).await.unwrap();
    let window = window("2026-11-20T10:30:00Z", NOON);
    let expected = [
        ("2026-11-20T10:30:00Z", 40_000_000),
        ("2026-11-20T11:30:00Z", 80_000_000),
        ("2026-11-20T11:31:00Z", 40_000_000),
    ];
    assert_eq!(totals(&setup, ProfileType::Cpu, window, 60).await, expected.map(|(time, ticks)| (at(time), ticks)));
    let began = |value: &str, time| VersionBegan { label: "version".to_owned(), value: value.to_owned(), at: at(time) };
    let meta = stacks(&setup, ProfileType::Cpu, window, 60).await.unwrap().meta;
    assert_eq!(meta.versions, [began("1", "2026-11-20T10:30:10Z"), began("2", "2026-11-20T11:31:00Z")]);
    assert_eq!(meta.sample_type, Some(SampleType::new("cpu", "nanoseconds")));
}

/// Whatever the steps are, they add up to the window, in their totals and in each function.
#[rstest]
#[case(15)]
#[case(60)]
#[case(2_700)]
#[case(3_600)]
#[case(21_600)]
#[tokio::test]
async fn steps_add_up_to_the_window(#[case] seconds: i64) {
    let setup = setup().await;
    let times = ["10:59:59", "11:00:00", "11:00:14", "11:00:15", "11:29:59", "11:30:00", "11:44:00", "11:59:59.999"];
    let pushes = times.map(|time| CPU.at(&format!("2026-11-20T{time}Z")));
    setup.store.push(Vec::from(pushes)).await.unwrap();
    let window = width(seconds).widened(window("2026-11-20T11:00:00Z", NOON));
    let whole = setup.store.merged(&CALL, &query(ProfileType::Cpu, window)).await.unwrap().unwrap();
    let steps = totals(&setup, ProfileType::Cpu, window, seconds).await;
    assert_eq!(steps.iter().map(|(_, ticks)| ticks).sum::<i64>(), whole.profile.total(0));
    assert!(steps.iter().all(|(at, _)| width(seconds).floor(*at) == *at && window.contains(*at)), "{steps:?}");
    let mut own: BTreeMap<String, i64> = BTreeMap::new();
    for (_, profile) in stacks(&setup, ProfileType::Cpu, window, seconds).await.unwrap().steps {
        for row in FunctionTable::of(&profile, 0).rows() {
            *own.entry(row.name.to_owned()).or_default() += row.self_ticks;
        }
    }
    let expected = FunctionTable::of(&whole.profile, 0);
    assert_eq!(own, expected.rows().iter().map(|row| (row.name.to_owned(), row.self_ticks)).collect());
}

#[tokio::test]
async fn a_step_of_snapshots_has_the_last_one_of_each_series() {
    let setup = setup().await;
    let heap = |pod, at: &str| Push { labels: pod, ..HEAP }.at(at);
    let (a, b): (&'static [_], &'static [_]) = (&[("pod", "a")], &[("pod", "b")]);
    let pushes = vec![
        heap(a, "2026-11-20T11:30:05Z"),
        heap(b, "2026-11-20T11:30:10Z"),
        heap(a, "2026-11-20T11:30:20Z"),
        heap(a, "2026-11-20T11:31:05Z"),
    ];
    setup.store.push(pushes).await.unwrap();
    for seconds in [60, 3_600] {
        let window = width(seconds).widened(window("2026-11-20T11:30:00Z", "2026-11-20T11:32:00Z"));
        let steps = totals(&setup, ProfileType::Inuse, window, seconds).await;
        let one = steps.last().unwrap().1 / if seconds == 60 { 1 } else { 2 };
        let expected: &[i64] = if seconds == 60 { &[2 * one, one] } else { &[2 * one] };
        assert_eq!(steps.iter().map(|(_, bytes)| *bytes).collect::<Vec<_>>(), expected);
        assert!(one > 0);
    }
}

#[tokio::test]
async fn a_step_with_an_idle_profile_is_there() {
    let setup = setup().await;
    setup.store.push(vec![CPU.at("2026-11-20T11:30:05Z"), IDLE.at("2026-11-20T11:31:05Z")]).await.unwrap();
    let window = window("2026-11-20T11:30:00Z", "2026-11-20T11:33:00Z");
    let steps = totals(&setup, ProfileType::Cpu, window, 60).await;
    assert_eq!(steps.iter().map(|(_, ticks)| *ticks).collect::<Vec<_>>(), [40_000_000, 0]);
}

#[tokio::test]
async fn an_unknown_app_and_an_unsent_kind_have_no_steps() {
    let setup = setup().await;
    setup.store.push(vec![CPU.at("2026-11-20T11:30:05Z")]).await.unwrap();
    let window = window("2026-11-20T11:30:00Z", NOON);
    let nobody = ProfileQuery { app: "nobody".parse().unwrap(), ..query(ProfileType::Cpu, window) };
    assert!(setup.store.totals(&CALL, &nobody, width(60)).await.unwrap().is_none());
    assert!(setup.store.stacks(&CALL, &nobody, width(60)).await.unwrap().is_none());
    let lock = stacks(&setup, ProfileType::Lock, window, 60).await.unwrap();
    assert_eq!((lock.steps.len(), lock.meta.no_data), (0, Some(crate::kernel::NoDataReason::KindNeverSent)));
}

#[tokio::test]
async fn what_is_not_kept_step_by_step_is_refused() {
    let setup = setup().await;
    setup.store.push(vec![CPU.at(NOON)]).await.unwrap();
    let refused = async |from, to, seconds| {
        stacks(&setup, ProfileType::Cpu, window(from, to), seconds).await.unwrap_err().to_string()
    };
    let many = refused("2026-11-20T07:00:00Z", "2026-11-20T12:01:00Z", 60).await;
    assert!(many.contains("301 steps") && many.contains("at most 240"), "{many}");
    let day = window("2026-11-19T12:00:00Z", "2026-11-20T12:01:00Z");
    let totals = setup.store.totals(&CALL, &query(ProfileType::Cpu, day), width(60)).await.unwrap_err().to_string();
    assert!(totals.contains("1441 steps") && totals.contains("at most 1440"), "{totals}");
}
