//! What is answered step by step.

use super::*;
use crate::profile::{Labels, read_pprof_by_labels};
use crate::sor::profile_data::exchange::read_steps;

/// Three minutes, the second one without profiles.
const STEPS: [(i64, &str); 2] = [
    (0, "main;serve;runtime.mallocgc 30\nmain;serve 10\n"),
    (120, "main;serve;runtime.mallocgc 10\nmain;serve 10\nruntime.mcall 5\n"),
];

fn stacks(query: &ProfileQuery) -> Timeline<Profile> {
    let at = |s| query.window.from() + TimeDelta::seconds(s);
    let steps = STEPS.map(|(s, folded)| (at(s), Profile::clone(&cpu(folded).profile)));
    Timeline { meta: cpu("main 1\n").meta, steps: steps.into() }
}

fn totals(query: &ProfileQuery) -> Timeline<i64> {
    let Timeline { meta, steps } = stacks(query);
    Timeline { meta, steps: steps.into_iter().map(|(at, profile)| (at, profile.total(0))).collect() }
}

/// A source that is asked once, for these steps.
fn asked_for(expected: &'static str, seconds: i64, with_stacks: bool) -> MockProfileDataSor {
    let check = move |query: &ProfileQuery, width: StepWidth| {
        assert_eq!((asked(query), width.get().num_seconds()), (expected.to_owned(), seconds));
    };
    let mut port = MockProfileDataSor::new();
    if with_stacks {
        port.expect_stacks().times(1).returning(move |_, query, width| {
            check(query, width);
            Ok(Some(stacks(query)))
        });
    } else {
        port.expect_totals().times(1).returning(move |_, query, width| {
            check(query, width);
            Ok(Some(totals(query)))
        });
    }
    port
}

#[actix_web::test]
async fn totals_come_step_by_step_over_whole_steps() {
    let port = asked_for("shop cpu -3615..45 ", 60, false);
    let (status, body) = get_json(port, "/profiles/shop/series").await;
    assert_eq!(status, 200, "{body}");
    let from = TO - 3_615;
    let expected = json!({
        "appName": "shop", "profileType": "cpu", "sampleType": "cpu", "unit": "nanoseconds",
        "from": from, "to": TO + 45, "stepSeconds": 60,
        "points": [{"at": from, "totalSamples": 40}, {"at": from + 120, "totalSamples": 25}],
    });
    assert_eq!(body, expected);
}

#[actix_web::test]
async fn a_function_is_followed_in_any_spelling() {
    let port = asked_for("shop alloc -75..105 ", 60, true);
    let path = "/profiles/shop/series?type=alloc&from=1706003520&to=1706003700&step=60s&function=runtime.mallocgc";
    let (status, body) = get_json(port, path).await;
    assert_eq!(status, 200, "{body}");
    let of = |own_percent: f64, own: i64| json!({"selfPercent": own_percent, "selfSamples": own, "totalSamples": own, "totalPercent": own_percent});
    assert_eq!(
        body["points"],
        json!([
            {"at": 1_706_003_520, "totalSamples": 40, "function": of(75.0, 30)},
            {"at": 1_706_003_640, "totalSamples": 25, "function": of(40.0, 10)},
        ])
    );
    let generic = asked_for("shop cpu -75..105 ", 60, true);
    let path = "/profiles/shop/series?from=1706003520&to=1706003700&step=60s&function=serve";
    let (_, body) = get_json(generic, path).await;
    let through: Vec<_> = (0..2).map(|at| &body["points"][at]["function"]["totalSamples"]).collect();
    assert_eq!(through, [&json!(40), &json!(20)]);
}

#[actix_web::test]
async fn a_category_is_followed_as_its_finding_says() {
    let port = asked_for("shop cpu -75..105 ", 60, true);
    let path = "/profiles/shop/series?from=1706003520&to=1706003700&step=1m&category=allocation";
    let (status, body) = get_json(port, path).await;
    assert_eq!(status, 200, "{body}");
    let first = &body["points"][0];
    let category = json!({"percent": 75.0, "samples": 30, "inclusivePercent": 75.0, "inclusiveSamples": 30});
    assert_eq!((&first["totalSamples"], &first["category"]), (&json!(40), &category));
    assert!(first.get("function").is_none());
}

#[rstest]
#[case("step=14s", "must be from 15s to 24h")]
#[case("step=25h", "must be from 15s to 24h")]
#[case("step=soon", "such as 90s")]
#[case("function=a&category=allocation", "leave one of them out")]
#[case("function=", "1 to 4096 bytes")]
#[case("category=sunshine", "sunshine")]
#[case("format=pprof", "format")]
#[actix_web::test]
async fn bad_parameters_are_refused_by_name(#[case] query: &str, #[case] said: &str) {
    let (status, body) = get_json(MockProfileDataSor::new(), &format!("/profiles/shop/series?{query}")).await;
    assert_eq!(status, 400, "{body}");
    assert!(body.to_string().contains(said), "{body}");
}

#[actix_web::test]
async fn a_name_of_a_function_that_is_too_long_is_refused() {
    let path = format!("/profiles/shop/series?function={}", "a".repeat(4_097));
    let (status, body) = get_json(MockProfileDataSor::new(), &path).await;
    assert_eq!((status, &body["code"]), (400, &json!("parameter_invalid")), "{body}");
}

#[actix_web::test]
async fn more_steps_than_the_source_reads_are_refused_with_its_limit() {
    let mut port = MockProfileDataSor::new();
    port.expect_totals().returning(|_, query, width| {
        width.at_most(query.window, 10, "totals")?;
        Ok(None)
    });
    let (status, body) = get_json(port, "/profiles/shop/series?step=1m").await;
    assert_eq!(status, 400);
    assert!(body["detail"].as_str().unwrap().contains("at most 10"), "{body}");
}

#[rstest]
#[case("/profiles/nobody/series")]
#[case("/profiles/nobody/series?function=main")]
#[case("/profiles/nobody/export?step=60s")]
#[actix_web::test]
async fn an_unknown_app_is_not_found(#[case] path: &str) {
    let mut port = MockProfileDataSor::new();
    port.expect_totals().returning(|_, _, _| Ok(None));
    port.expect_stacks().returning(|_, _, _| Ok(None));
    port.expect_apps().returning(|_, _, _| Ok(Vec::new()));
    let (status, body) = get_json(port, path).await;
    assert_eq!((status, &body["code"]), (404, &json!("app_unknown")));
}

#[actix_web::test]
async fn an_export_says_in_a_label_when_each_step_began() {
    let path = "/profiles/shop/export?from=1706003520&to=1706003700&step=60s";
    let (status, headers, body) = get(asked_for("shop cpu -75..105 ", 60, true), path).await;
    assert_eq!((status, headers.get("content-type").unwrap().to_str().unwrap()), (200, "application/octet-stream"));
    let parts = read_pprof_by_labels(&body, &ReadLimits::default(), &["step"]).unwrap();
    let totals: Vec<_> = parts.iter().map(|(labels, file)| (labels.clone(), file.profile.total(0))).collect();
    let step = |text: &str| Labels::from([("step".to_owned(), text.to_owned())]);
    assert_eq!(totals, [(step("2024-01-23T09:52:00Z"), 40), (step("2024-01-23T09:54:00Z"), 25)]);
    let whole = read_pprof(&body, &ReadLimits::default()).unwrap().profile;
    assert_eq!((whole.total(0), whole.stack_count()), (65, 3), "without labels it is the window");
}

#[actix_web::test]
async fn an_export_of_steps_without_stacks_has_their_totals() {
    let path = "/profiles/shop/export?from=1706003520&to=1706003700&step=60s&stacks=false";
    let (status, _, body) = get(asked_for("shop cpu -75..105 ", 60, false), path).await;
    assert_eq!(status, 200);
    let read = read_steps(&body, &ReadLimits::default()).unwrap();
    let totals: Vec<_> = read.steps.iter().map(|(at, profile)| (at.timestamp(), profile.total(0))).collect();
    assert_eq!(totals, [(1_706_003_520, 40), (1_706_003_640, 25)]);
    assert_eq!(read.meta, cpu("main 1\n").meta);
}

#[rstest]
#[case("step=60s&format=folded", "step")]
#[case("step=60s&baselineFrom=now-3h", "step")]
#[case("stacks=false", "stacks")]
#[actix_web::test]
async fn an_export_of_steps_is_a_pprof_of_one_window(#[case] query: &str, #[case] field: &str) {
    let (status, body) = get_json(MockProfileDataSor::new(), &format!("/profiles/shop/export?{query}")).await;
    assert_eq!((status, &body["errors"][0]["pointer"]), (400, &json!(field)), "{body}");
}
