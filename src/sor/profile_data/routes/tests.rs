mod steps;

use std::sync::Arc;

use actix_web::http::header::HeaderMap;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use chrono::{DateTime, TimeDelta};
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::kernel::{FixedClock, NoDataReason, PortError};
use crate::profile::{
    FunctionTable, ReadLimits, SampleType, read_flamebearer, read_folded, read_pprof, read_speedscope,
};
use crate::sor::profile_data::MockProfileDataSor;
use crate::sor::profile_data::exchange::META_COMMENT;
use crate::verdict::Rules;

/// Seven seconds past a quarter minute.
const NOW: i64 = 1_706_003_602;
const TO: i64 = 1_706_003_595;

fn cpu(folded: &str) -> MergedProfile {
    let sample_type = SampleType::new("cpu", "nanoseconds");
    let profile = read_folded(folded.as_bytes(), sample_type.clone(), &ReadLimits::default()).unwrap();
    let meta = ProfileMeta {
        sample_type: Some(sample_type),
        profile_types: vec!["process_cpu:cpu:nanoseconds:cpu:nanoseconds".into()],
        ..ProfileMeta::default()
    };
    MergedProfile { profile: Arc::new(profile), meta }
}

/// A source that gives this profile for the one query it must be asked.
fn source(expected: &'static str, merged: MergedProfile) -> MockProfileDataSor {
    let mut port = MockProfileDataSor::new();
    port.expect_merged().times(1).returning(move |_, query| {
        assert_eq!(asked(query), expected);
        Ok(Some(merged.clone()))
    });
    port
}

fn asked(query: &ProfileQuery) -> String {
    format!("{} {} {} {}", query.app, query.kind, span(query.window), query.selector)
}

fn span(window: TimeWindow) -> String {
    format!("{}..{}", window.from().timestamp() - TO, window.to().timestamp() - TO)
}

async fn get(port: MockProfileDataSor, path: &str) -> (u16, HeaderMap, Vec<u8>) {
    send(port, TestRequest::get().uri(path)).await
}

async fn send(port: MockProfileDataSor, request: TestRequest) -> (u16, HeaderMap, Vec<u8>) {
    let port: Arc<dyn ProfileDataSor> = Arc::new(port);
    let clock: Arc<dyn Clock> = Arc::new(FixedClock::at(DateTime::from_timestamp(NOW, 0).unwrap()));
    let app = actix_web::App::new()
        .app_data(web::Data::from(port))
        .app_data(web::Data::from(clock))
        .app_data(web::Data::from(Rules::builtin()))
        .configure(Routes::serve(routes));
    let app = init_service(app).await;
    let answer = call_service(&app, request.to_request()).await;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    (status, headers, read_body(answer).await.to_vec())
}

async fn get_json(port: MockProfileDataSor, path: &str) -> (u16, Value) {
    let (status, _, body) = get(port, path).await;
    (status, serde_json::from_slice(&body).unwrap())
}

#[rstest]
#[case("/profiles/shop")]
#[case("/profiles/shop/diff")]
#[case("/profiles/shop/flamegraph")]
#[case("/profiles/shop/flamegraph?baselineFrom=now-3h")]
#[case("/profiles/shop/export")]
#[case("/profiles/shop/export?baselineFrom=now-3h")]
#[actix_web::test]
async fn the_tenant_in_the_header_is_the_one_that_is_read(#[case] path: &str) {
    let theirs = |query: &ProfileQuery| query.tenant.as_ref().map(Tenant::as_str) == Some("team-a");
    let mut port = MockProfileDataSor::new();
    port.expect_merged().withf(move |_, query| theirs(query)).returning(|_, _| Ok(None));
    port.expect_merged_pair().withf(move |_, query, _, _| theirs(query)).returning(|_, _, _, _| Ok(None));
    port.expect_apps().returning(|_, _, _| Ok(Vec::new()));
    let asked = |tenant: &str| TestRequest::get().uri(path).insert_header(("X-Scope-OrgID", tenant));
    assert_eq!(send(port, asked("team-a")).await.0, 404);
    let (status, _, body) = send(MockProfileDataSor::new(), asked("team-a|team-b")).await;
    let problem: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &problem["code"]), (400, &json!("parameter_invalid")));
    assert_eq!(problem["errors"][0]["pointer"], "X-Scope-OrgID");
}

#[actix_web::test]
async fn lists_the_apps_of_the_last_hour() {
    let mut port = MockProfileDataSor::new();
    port.expect_apps().times(1).returning(|_, _, window| {
        assert_eq!(span(window), "-3600..0");
        Ok(vec!["cart".parse().unwrap(), "größe".parse().unwrap()])
    });
    assert_eq!(get_json(port, "/profiles/apps").await, (200, json!({"apps": ["cart", "größe"]})));
}

#[actix_web::test]
async fn ranks_functions_by_self_then_name_and_rounds_in_the_answer_only() {
    let port = source("check/out cpu -3600..0 ", cpu("main;b 1\nmain;a 1\nmain;c 4"));
    let (status, body) = get_json(port, "/profiles/check%2Fout?limit=3").await;
    assert_eq!(status, 200);
    assert_eq!(
        body,
        json!({
            "appName": "check/out", "profileType": "cpu", "sampleType": "cpu", "unit": "nanoseconds",
            "from": TO - 3600, "to": TO, "totalSamples": 6, "functions": [
                {"name": "c", "selfPercent": 66.67, "selfSamples": 4, "totalSamples": 4, "totalPercent": 66.67},
                {"name": "a", "selfPercent": 16.67, "selfSamples": 1, "totalSamples": 1, "totalPercent": 16.67},
                {"name": "b", "selfPercent": 16.67, "selfSamples": 1, "totalSamples": 1, "totalPercent": 16.67},
            ],
        })
    );
}

#[rstest]
#[case("", 50)]
#[case("?limit=0", 60)]
#[case("?limit=7", 7)]
#[actix_web::test]
async fn shows_fifty_functions_or_all_for_limit_0(#[case] query: &str, #[case] shown: usize) {
    let folded = (0..60).map(|i| format!("f{i} {}", i + 1)).collect::<Vec<_>>().join("\n");
    let (_, body) = get_json(source("a cpu -3600..0 ", cpu(&folded)), &format!("/profiles/a{query}")).await;
    assert_eq!(body["functions"].as_array().unwrap().len(), shown);
    assert_eq!(body["totalSamples"], 1830);
}

#[actix_web::test]
async fn passes_kind_window_and_selector_on() {
    let port = source("a lock 0..5 version=\"2\",zone!~\"eu.*\"", cpu(""));
    let path = format!("/profiles/a?type=mutex&from={TO}&to={}&selector=zone!~%22eu.*%22,%20version=%222%22", TO + 5);
    assert_eq!(get_json(port, &path).await.0, 200);
}

#[actix_web::test]
async fn a_known_app_without_data_has_total_0() {
    let none = MergedProfile::default();
    let (status, body) = get_json(source("a cpu -3600..0 ", none), "/profiles/a").await;
    assert_eq!((status, &body["totalSamples"], &body["functions"]), (200, &json!(0), &json!([])));
    assert_eq!((&body["sampleType"], &body["unit"]), (&Value::Null, &Value::Null));
}

#[actix_web::test]
async fn says_how_much_the_source_cut_off() {
    let mut merged = cpu("a 90\nother 10");
    merged.meta.truncated_ticks = 10;
    let (_, body) = get_json(source("a cpu -3600..0 ", merged), "/profiles/a").await;
    assert_eq!(body["truncatedPercent"], 10.0);
}

#[rstest]
#[case::counted(Some(4), json!(3), json!(2))]
#[case::unknown(None, json!(null), json!(null))]
#[actix_web::test]
async fn snapshots_are_means_or_shares_only(
    #[case] snapshots: Option<u64>,
    #[case] total: Value,
    #[case] of_self: Value,
) {
    let mut merged = cpu("a 6\nb 4");
    merged.meta.snapshots = snapshots;
    let (_, body) = get_json(source("a inuse -3600..0 ", merged), "/profiles/a?type=inuse").await;
    assert_eq!((&body["totalSamples"], &body["functions"][0]["selfSamples"]), (&total, &of_self));
    assert_eq!(body["functions"][0]["selfPercent"], 60.0);
}

#[actix_web::test]
async fn a_diff_counts_each_window_from_the_one_after_it() {
    let mut port = MockProfileDataSor::new();
    port.expect_merged_pair().times(1).returning(|_, query, baseline, selector| {
        assert_eq!(asked(query), "a cpu -3600..0 version=\"2\"");
        assert_eq!((span(baseline), selector.to_string()), ("-7200..-3600".into(), "version=\"1\"".into()));
        Ok(Some((cpu("x 1\ny 3"), cpu("x 5\ny 5"))))
    });
    let path = "/profiles/a/diff?selector=version=%222%22&baselineSelector=version=%221%22&limit=1";
    let (status, body) = get_json(port, path).await;
    assert_eq!((status, &body["sampleType"], &body["unit"]), (200, &json!("cpu"), &json!("nanoseconds")));
    assert_eq!(
        body["baseline"],
        json!({"from": TO - 7200, "to": TO - 3600, "totalSamples": 4, "functions": [
            {"name": "y", "selfPercent": 75.0, "selfSamples": 3, "totalSamples": 3, "totalPercent": 75.0}]})
    );
    assert_eq!(body["current"]["functions"][0]["name"], "x");
}

#[actix_web::test]
async fn a_diff_without_baseline_selector_takes_the_selector_for_both() {
    let mut port = MockProfileDataSor::new();
    port.expect_merged_pair().times(1).returning(|_, query, baseline, selector| {
        assert_eq!(selector, &query.selector);
        assert_eq!((span(query.window), span(baseline)), ("-10..0".into(), "-100..-50".into()));
        Ok(Some((MergedProfile::default(), cpu("a 1"))))
    });
    let path = format!(
        "/profiles/a/diff?from={}&to={TO}&baselineFrom={}&baselineTo={}&selector=zone=%22eu%22",
        TO - 10,
        TO - 100,
        TO - 50
    );
    assert_eq!(get_json(port, &path).await.0, 200);
}

#[actix_web::test]
async fn draws_the_flame_graph_as_svg() {
    let port = source("a cpu -3600..0 ", cpu("main;work 7"));
    let (status, headers, body) = get(port, "/profiles/a/flamegraph").await;
    assert_eq!((status, headers.get("content-type").unwrap().to_str().unwrap()), (200, "image/svg+xml"));
    let svg = String::from_utf8(body).unwrap();
    assert!(svg.contains("<title>work (7 nanoseconds, 100.00%)</title>"));
    assert!(svg.contains("2024-01-23 08:53:15 to 2024-01-23 09:53:15 UTC"));
}

#[rstest]
#[case("baselineFrom=now-2h")]
#[case("baselineTo=now-1h")]
#[case("baselineSelector=v=%221%22")]
#[actix_web::test]
async fn any_baseline_parameter_makes_the_flame_graph_differential(#[case] query: &str) {
    let mut port = MockProfileDataSor::new();
    port.expect_merged_pair().times(1).returning(|_, _, _, _| Ok(Some((cpu("a 1\nb 1"), cpu("a 3\nb 1")))));
    let (status, _, body) = get(port, &format!("/profiles/a/flamegraph?{query}")).await;
    assert_eq!(status, 200);
    assert!(String::from_utf8(body).unwrap().contains("<title>a (3 nanoseconds, 75.00%; +25.00%)</title>"));
}

#[actix_web::test]
async fn exports_a_pprof_that_holds_stacks_and_meta() {
    let mut merged = cpu("main;work 9\nother 1");
    merged.meta.truncated_ticks = 1;
    let meta = merged.meta.clone();
    let (status, headers, body) = get(source("a b cpu -3600..0 ", merged), "/profiles/a%20b/export?format=pprof").await;
    let header = |name: &str| headers.get(name).unwrap().to_str().unwrap();
    assert_eq!(status, 200);
    assert_eq!(header("x-profile-types"), "process_cpu:cpu:nanoseconds:cpu:nanoseconds");
    assert_eq!((header("x-truncated-percent"), header("content-encoding")), ("10", "identity"));
    assert_eq!(header("content-disposition"), "attachment; filename=\"a_b-cpu.pb.gz\"");
    assert!(body.starts_with(&[0x1f, 0x8b]));
    let file = read_pprof(&body, &ReadLimits::default()).unwrap();
    assert_eq!((file.profile.total(0), file.profile.stack_count()), (10, 2));
    assert_eq!((file.time.unwrap().timestamp(), file.duration), (TO - 3600, Some(TimeDelta::hours(1))));
    let [comment] = file.comments.as_slice() else { panic!("{:?}", file.comments) };
    let read: ProfileMeta = serde_json::from_str(comment.strip_prefix(META_COMMENT).unwrap()).unwrap();
    assert_eq!(read, meta);
}

#[rstest]
#[case("folded", "text/plain; charset=utf-8", "folded")]
#[case("flamebearer", "application/json", "flamebearer.json")]
#[case("speedscope", "application/json", "speedscope.json")]
#[actix_web::test]
async fn exports_other_formats(#[case] format: &str, #[case] content_type: &str, #[case] extension: &str) {
    let (kind, limits) = (SampleType::new("cpu", "nanoseconds"), ReadLimits::default());
    let url = format!("/profiles/a%20b/export?format={format}");
    let (status, headers, body) = get(source("a b cpu -3600..0 ", cpu("main;work 9\nmain 1")), &url).await;
    let header = |name: &str| headers.get(name).unwrap().to_str().unwrap();
    assert_eq!((status, header("content-type")), (200, content_type));
    assert_eq!(header("content-disposition"), format!("attachment; filename=\"a_b-cpu.{extension}\""));
    assert_eq!(header("x-profile-types"), "process_cpu:cpu:nanoseconds:cpu:nanoseconds");
    let profile = match format {
        "folded" => read_folded(&body, kind, &limits).unwrap(),
        "flamebearer" => read_flamebearer(&body, &limits).unwrap().profile,
        _ => read_speedscope(&body, &limits).unwrap(),
    };
    let rows = FunctionTable::of(&profile, 0);
    let rows: Vec<_> = rows.rows().iter().map(|row| (row.name, row.self_ticks, row.total_ticks)).collect();
    assert_eq!(rows, [("work", 9, 9), ("main", 1, 10)]);
    assert_eq!(profile.sample_types()[0].unit, "nanoseconds");
}

#[actix_web::test]
async fn exports_a_pprof_without_samples_where_there_is_no_data() {
    let (status, headers, body) = get(source("a cpu -3600..0 ", MergedProfile::default()), "/profiles/a/export").await;
    assert_eq!((status, headers.get("x-truncated-percent").unwrap().to_str().unwrap()), (200, "0"));
    assert_eq!(read_pprof(&body, &ReadLimits::default()).unwrap().profile.stack_count(), 0);
    assert!(
        ["x-profile-kinds", "x-no-data-reason", "x-last-profile-at"].iter().all(|name| !headers.contains_key(*name))
    );
}

#[actix_web::test]
async fn an_export_says_why_there_is_no_data_and_which_kinds_the_app_sends() {
    let meta = ProfileMeta {
        kinds: vec![ProfileType::Cpu, ProfileType::Wall],
        no_data: Some(NoDataReason::NoneInWindow),
        last_profile_at: DateTime::from_timestamp(TO, 0),
        ..ProfileMeta::default()
    };
    let (status, headers, _) =
        get(source("a cpu -3600..0 ", MergedProfile { meta, ..MergedProfile::default() }), "/profiles/a/export").await;
    let told = ["x-profile-kinds", "x-no-data-reason", "x-last-profile-at"]
        .map(|name| headers.get(name).unwrap().to_str().unwrap());
    assert_eq!((status, told), (200, ["cpu,wall", "none_in_window", "2024-01-23T09:53:15Z"]));
}

#[rstest]
#[case("/profiles/nobody")]
#[case("/profiles/nobody/diff")]
#[case("/profiles/nobody/flamegraph")]
#[case("/profiles/nobody/flamegraph?baselineTo=now-1h")]
#[case("/profiles/nobody/export")]
#[actix_web::test]
async fn an_app_nobody_knows_is_404(#[case] path: &str) {
    let mut port = MockProfileDataSor::new();
    port.expect_merged().returning(|_, _| Ok(None));
    port.expect_merged_pair().returning(|_, _, _, _| Ok(None));
    port.expect_apps().times(1).returning(|_, _, window| {
        assert_eq!(span(window), format!("{}..{}", NOW - 86_400 - TO, NOW - TO), "the last day");
        Ok(["cart", "nobodies", "somebody"].map(|app| app.parse().unwrap()).to_vec())
    });
    let (status, body) = get_json(port, path).await;
    assert_eq!((status, body["code"].as_str().unwrap()), (404, "app_unknown"));
    assert_eq!(body["error"], "no profiles of the app \"nobody\" are known; GET /profiles/apps lists those that are");
}

#[rstest]
#[case("/profiles/a?type=heap", "profile_type_unknown")]
#[case("/profiles/a?from=now&to=now-1h", "window_invalid")]
#[case("/profiles/a?from=now-32d", "window_invalid")]
#[case("/profiles/a?limit=-1", "parameter_invalid")]
#[case("/profiles/a?from=1706000000000", "parameter_invalid")]
#[case("/profiles/a?selector=service_name=%22b%22", "parameter_invalid")]
#[case("/profiles/a?top=5", "parameter_unknown")]
#[case("/profiles/a/diff?baselineFrom=now&baselineTo=now-1h", "window_invalid")]
#[case("/profiles/a/diff?at=now", "parameter_unknown")]
#[case("/profiles/a/flamegraph?limit=5", "parameter_unknown")]
#[case("/profiles/a/export?format=jfr", "parameter_invalid")]
#[case("/profiles/a/export?format=folded&baselineFrom=now-3h", "parameter_invalid")]
#[case("/profiles/a/export?format=speedscope&baselineSelector=version%3D%221%22", "parameter_invalid")]
#[case("/profiles/apps?type=cpu", "parameter_unknown")]
#[case("/profiles/a%00b", "parameter_invalid")]
#[actix_web::test]
async fn refuses_what_is_wrong_before_it_asks_anyone(#[case] path: &str, #[case] code: &str) {
    let (status, body) = get_json(MockProfileDataSor::new(), path).await;
    assert_eq!((status, body["code"].as_str().unwrap()), (400, code), "{body}");
}

#[rstest]
#[case(PortError::Unavailable("10.0.0.7 refused".into()), 502, "profile_source_failed")]
#[case(PortError::Denied("401".into()), 502, "profile_source_denied")]
#[case(PortError::Timeout("30 s".into()), 504, "timeout")]
#[case(PortError::Overloaded { detail: "429".into(), retry_after_s: 3 }, 503, "profile_source_busy")]
#[actix_web::test]
async fn a_failing_source_is_told_without_its_secrets(
    #[case] error: PortError,
    #[case] status: u16,
    #[case] code: &str,
) {
    let mut port = MockProfileDataSor::new();
    port.expect_merged().return_once(move |_, _| Err(error));
    let (answered, body) = get_json(port, "/profiles/a").await;
    assert_eq!((answered, body["code"].as_str().unwrap()), (status, code));
    assert!(!body.to_string().contains("10.0.0.7"));
}
