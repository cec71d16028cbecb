//! Profiles by the minute.

use super::*;

const VERSION_1: Push = Push { labels: &[("version", "1")], ..CPU };
const VERSION_2: Push = Push { labels: &[("version", "2")], ..CPU };

async fn by_minute(setup: &Setup, kind: ProfileType, window: TimeWindow) -> Option<ByMinute> {
    let (app, selector) = ("checkout".parse().unwrap(), Selector::default());
    setup.store.by_minute(&CALL, &ProfileQuery { app, kind, window, selector, tenant: None }).await.unwrap()
}

#[tokio::test]
async fn profiles_of_a_window_and_of_the_hour_before_are_read_by_the_minute() {
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
    let ByMinute { minutes, versions } =
        by_minute(&setup, ProfileType::Cpu, window("2026-11-20T11:30:00Z", NOON)).await.unwrap();
    let ticks: Vec<_> = minutes.iter().map(|(at, profile)| (*at, profile.total(0))).collect();
    let expected = [
        ("2026-11-20T10:30:00Z", 40_000_000),
        ("2026-11-20T11:30:00Z", 80_000_000),
        ("2026-11-20T11:31:00Z", 40_000_000),
    ];
    assert_eq!(ticks, expected.map(|(time, ticks)| (at(time), ticks)));
    let began = |value: &str, time| VersionBegan { label: "version", value: value.to_owned(), at: at(time) };
    assert_eq!(versions, [began("1", "2026-11-20T10:30:10Z"), began("2", "2026-11-20T11:31:00Z")]);
}

#[tokio::test]
async fn a_minute_whose_profiles_may_be_on_their_way_is_left_out() {
    let setup = setup().await;
    let now = setup.clock.now();
    let last_minute = now - TimeDelta::seconds(40);
    let text = |at: DateTime<Utc>| at.to_rfc3339();
    setup.store.push(vec![CPU.at(&text(last_minute)), CPU.at(&text(now - TimeDelta::minutes(5)))]).await.unwrap();
    let window = TimeWindow::new(now - TimeDelta::minutes(10), now + TimeDelta::minutes(1)).unwrap();
    let minutes = by_minute(&setup, ProfileType::Cpu, window).await.unwrap().minutes;
    assert!(minutes.iter().all(|(at, _)| *at + TimeDelta::minutes(1) <= now - TimeDelta::seconds(30)), "{minutes:?}");
    assert_eq!(minutes.len(), 1);
}

#[tokio::test]
async fn long_windows_snapshots_and_windows_past_the_retention_are_not_read_by_the_minute() {
    let setup = setup().await;
    setup.store.push(vec![CPU.at(NOON)]).await.unwrap();
    let two_hours = window("2026-11-20T10:30:00Z", "2026-11-20T12:30:00Z");
    assert!(by_minute(&setup, ProfileType::Cpu, two_hours).await.is_some());
    for (kind, from, to) in [
        (ProfileType::Cpu, "2026-11-20T10:30:00Z", "2026-11-20T12:30:01Z"),
        (ProfileType::Inuse, "2026-11-20T11:30:00Z", NOON),
        (ProfileType::Cpu, "2026-11-10T11:30:00Z", "2026-11-10T12:00:00Z"),
    ] {
        assert!(by_minute(&setup, kind, window(from, to)).await.is_none(), "{kind} {from}");
    }
}
