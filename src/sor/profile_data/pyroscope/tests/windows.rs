//! How a window is asked for: whole, by days, by halves, at last by flame graphs; and what is cut off on the way.

use super::*;
use crate::kernel::CALL;

#[rstest]
#[tokio::test]
async fn a_server_without_exact_data_is_read_by_flame_graphs(#[values("v1", "v2")] version: &str) {
    let absent = |request: &Request| is(request, MERGE).then(|| ResponseTemplate::new(404));
    let Some(server) = ReplayServer::start_with(version, absent).await else { return };
    let Some(exact) = ReplayServer::start(version).await else { return };
    let (sor, _) = adapter(&server);
    let merged = sor.merged(&CALL, &cpu("checkout")).await.unwrap().unwrap();
    let whole = adapter(&exact).0.merged(&CALL, &cpu("checkout")).await.unwrap().unwrap();
    assert_eq!((rows(&merged), merged.meta.truncated_ticks), (rows(&whole), 0));
    assert_eq!(merged.meta.sample_type, whole.meta.sample_type);

    let folded = sor.merged(&CALL, &cpu("folded-app")).await.unwrap().unwrap();
    assert_eq!(folded.profile.total(0), 350_000_000);
    assert_eq!(server.calls(MERGE).await.len(), 1, "what is lacking is not asked for again and again");
}

/// RFC 3339 is read as roughly "now" by servers: the recording of such a call is empty.
#[rstest]
#[tokio::test]
async fn times_are_milliseconds_everywhere(#[values("v1", "v2")] version: &str) {
    let absent = |request: &Request| is(request, MERGE).then(|| ResponseTemplate::new(404));
    let Some(server) = ReplayServer::start_with(version, absent).await else { return };
    let wrong = crate::profile::read_flamebearer(&server.recordings.body("render-iso-times"), &ReadLimits::default());
    assert_eq!(wrong.unwrap().profile.stack_count(), 0);

    adapter(&server).0.merged(&CALL, &cpu("checkout")).await.unwrap().unwrap();
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
    let (sor, _) = adapter(&server);
    let merged = sor.merged(&CALL, &cpu("checkout")).await.unwrap().unwrap();
    let other = rows(&merged).into_iter().find(|(name, ..)| name == "other").unwrap();
    assert_eq!(merged.meta.truncated_ticks, other.1);
    assert_eq!(merged.profile.total(0), 1_500_000_000);

    let current = query("checkout", ProfileType::Cpu, window(59, 70));
    let (baseline, _) = sor.merged_pair(&CALL, &current, window(-1, 10), &Selector::default()).await.unwrap().unwrap();
    assert_eq!(
        (baseline.first_half(), baseline.meta.truncated_ticks),
        (None, 2 * other.1),
        "halves of what was cut off"
    );
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
    let merged = sor.merged(&CALL, &cpu("checkout")).await.unwrap().unwrap();
    assert_eq!((merged.meta.truncated_ticks, merged.profile.total(0)), (1_500_000_000, 1_500_000_000));

    let folded = sor.merged(&CALL, &cpu("folded-app")).await.unwrap().unwrap();
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
    let merged = adapter(&server).0.merged(&CALL, &three_days).await.unwrap().unwrap();
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
        adapter(&server).0.merged(&CALL, &query("checkout", ProfileType::Cpu, window(-5, 75))).await.unwrap().unwrap();
    assert_eq!(server.calls(MERGE).await.len(), 3);
    let (sor, _) = adapter(&whole);
    let total = async |window| {
        let merged = sor.merged(&CALL, &query("checkout", ProfileType::Cpu, window)).await.unwrap().unwrap();
        merged.profile.total(0)
    };
    assert_eq!(merged.profile.total(0), total(window(-1, 10)).await + total(window(59, 70)).await);
}

#[rstest]
#[tokio::test]
async fn a_window_is_halved_three_times_at_most_then_flame_graphs_are_asked_for(#[values("v1", "v2")] version: &str) {
    let slow = |request: &Request| is(request, MERGE).then(|| ResponseTemplate::new(504));
    let Some(server) = ReplayServer::start_with(version, slow).await else { return };
    adapter(&server).0.merged(&CALL, &cpu("checkout")).await.unwrap().unwrap();
    assert_eq!((server.calls(MERGE).await.len(), server.calls(RENDER).await.len()), (15, 8));
}

#[tokio::test]
async fn an_answer_over_the_size_cap_is_halved_too() {
    let Some(server) = ReplayServer::start("v2").await else { return };
    let settings = PyroscopeSettings { max_answer_bytes: 10_000, ..server.settings() };
    let sor = Pyroscope::new(&settings, Arc::new(conformance::clock())).unwrap();
    let all = query("checkout", ProfileType::Cpu, window(-1, 10));
    let _ = sor.merged(&CALL, &all).await;
    assert!(server.calls(MERGE).await.len() > 3);
}

#[tokio::test]
async fn of_snapshots_only_the_last_two_minutes_are_read() {
    let answer = |request: &Request| is(request, MERGE).then(|| ResponseTemplate::new(200));
    let Some(server) = ReplayServer::start_with("v2", answer).await else { return };
    let (sor, clock) = adapter(&server);
    sor.merged(&CALL, &query("checkout", ProfileType::Inuse, window(-1, 10))).await.unwrap();
    clock.set(DateTime::from_timestamp(NOON_S + 300, 0).unwrap());
    sor.merged(&CALL, &query("checkout", ProfileType::Inuse, window(-1, 11))).await.unwrap();
    let spans: Vec<_> = merges(&server.calls(MERGE).await).iter().map(|r| (r.start, r.end)).collect();
    let noon_ms = NOON_S * 1_000;
    assert_eq!(spans[0], (noon_ms + 480_000, noon_ms + 599_999));
    assert_eq!(*spans.last().unwrap(), (noon_ms + 180_000, noon_ms + 299_999), "the future has no profiles");
}
