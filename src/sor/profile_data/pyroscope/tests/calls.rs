//! How many calls are made, and what goes with each of them.

use super::*;
use crate::kernel::CALL;

#[tokio::test]
async fn those_who_ask_the_same_share_one_call() {
    let Some(server) = ReplayServer::start("v2").await else { return };
    let (sor, _) = adapter(&server);
    let asked = cpu("checkout");
    let (a, b) = futures::join!(sor.merged(&CALL, &asked), sor.merged(&CALL, &asked));
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
    sor.merged(&CALL, &last_hour(600)).await.unwrap();
    let before = server.server.received_requests().await.unwrap().len();
    clock.advance(TimeDelta::seconds(45));
    sor.merged(&CALL, &last_hour(645)).await.unwrap();
    let calls = server.server.received_requests().await.unwrap();
    assert_eq!(
        calls[before..].iter().map(|call| call.url.path()).collect::<Vec<_>>(),
        ["/querier.v1.QuerierService/SelectMergeProfile"]
    );
    clock.advance(TimeDelta::seconds(15));
    sor.merged(&CALL, &last_hour(660)).await.unwrap();
    assert_eq!(server.calls(SERIES).await.len(), 2);
}

#[tokio::test]
async fn an_unknown_app_is_looked_for_a_week_back_and_asked_about_again_after_ten_seconds() {
    let Some(server) = ReplayServer::start("v2").await else { return };
    let (sor, clock) = adapter(&server);
    for (advance_s, calls) in [(0, 8), (9, 8), (1, 16)] {
        clock.advance(TimeDelta::seconds(advance_s));
        assert!(sor.merged(&CALL, &cpu("nobody")).await.unwrap().is_none());
        assert_eq!(server.calls(SERIES).await.len(), calls);
    }
    let asked: Vec<SeriesRequest> = server.calls(SERIES).await[1..8].iter().map(message).collect();
    assert!(asked.windows(2).all(|days| days[0].start > days[1].start), "newest first");
    assert!(asked.iter().all(|day| day.end - day.start <= 86_400_000));
}

#[tokio::test]
async fn a_closed_window_is_read_once() {
    let Some(server) = ReplayServer::start("v2").await else { return };
    let (sor, clock) = adapter(&server);
    sor.merged(&CALL, &cpu("checkout")).await.unwrap();
    clock.advance(TimeDelta::minutes(30));
    sor.merged(&CALL, &cpu("checkout")).await.unwrap();
    assert_eq!(server.calls(MERGE).await.len(), 1);
    let open = query("checkout", ProfileType::Cpu, window(59, 70));
    sor.merged(&CALL, &open).await.unwrap();
    sor.merged(&CALL, &open).await.unwrap();
    assert_eq!(server.calls(MERGE).await.len(), 3);
}

async fn spans_of_a_pair(kind: ProfileType) -> Vec<(i64, i64)> {
    let answer = |request: &Request| is(request, MERGE).then(|| ResponseTemplate::new(200));
    let Some(server) = ReplayServer::start_with("v2", answer).await else { return Vec::new() };
    let (sor, _) = adapter(&server);
    let current = query("checkout", kind, window(60, 70));
    sor.merged_pair(&CALL, &current, window(-1, 10), &Selector::default()).await.unwrap().unwrap();
    let mut spans: Vec<_> = merges(&server.calls(MERGE).await).iter().map(|r| (r.start, r.end)).collect();
    spans.sort_unstable();
    spans
}

#[tokio::test]
async fn the_halves_of_a_baseline_are_read_in_place_of_the_whole() {
    let spans = spans_of_a_pair(ProfileType::Cpu).await;
    let noon_ms = NOON_S * 1_000;
    let (cut, end) = (noon_ms + 269_999, noon_ms + 599_999);
    let current = (noon_ms + 3_600_000, noon_ms + 4_199_999);
    assert!(spans.is_empty() || spans == [(noon_ms - 60_000, cut), (cut, end), current], "{spans:?}");
    let snapshots = spans_of_a_pair(ProfileType::Inuse).await;
    assert!(snapshots.is_empty() || snapshots.len() == 2, "a snapshot has no halves: {snapshots:?}");
}

#[tokio::test]
async fn a_scan_of_all_apps_is_one_call_and_one_for_each_app() {
    let Some(server) = ReplayServer::start("v2").await else { return };
    let (sor, _) = adapter(&server);
    let asked = cpu("checkout");
    assert!(sor.apps(&CALL, None, asked.window).await.unwrap().contains(&asked.app));
    let scanned = sor.merged(&CALL.scanning(), &asked).await.unwrap().unwrap();
    assert!(scanned.profile.stack_count() > 0);
    let calls = [MERGE, SERIES, TOTALS].map(|method| server.calls(method));
    assert_eq!(futures::future::join_all(calls).await.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 0]);
    // A query for one app also gets the times of its profiles.
    assert!(sor.merged(&CALL, &asked).await.unwrap().unwrap().meta.coverage.is_some());
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
    sor.merged(&CALL, &eu).await.unwrap().unwrap();
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
    assert_eq!(sor.merged(&CALL, &until(600)).await.unwrap().unwrap().profile.stack_count(), 0);
    clock.advance(TimeDelta::seconds(30));
    assert!(sor.merged(&CALL, &until(630)).await.unwrap().unwrap().profile.stack_count() > 0);
}
