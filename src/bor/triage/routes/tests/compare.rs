//! A window compared with the same one earlier.

use chrono::TimeDelta;

use super::*;
use crate::sor::profile_data::VersionBegan;

const DAY: i64 = 86_400;

/// Half of the allocations a day ago, nothing a week ago.
fn changing(query: &ProfileQuery) -> PortResult<Option<MergedProfile>> {
    match (query.kind, NOW - query.window.to().timestamp()) {
        (ProfileType::Cpu, ..DAY) => Ok(Some(cpu(BUSY))),
        (ProfileType::Cpu, ..=90_000) => Ok(Some(cpu(&BUSY.replace(" 4000", " 1000")))),
        (ProfileType::Alloc, DAY..) => Err(PortError::Internal("no answer".to_owned())),
        _ => Ok(Some(without())),
    }
}

#[actix_web::test]
async fn findings_are_compared_with_those_of_yesterday() {
    let (status, body) = Setup::v1(source(changing)).get("/triage/shop?compare=day&limit=1").await;
    assert_eq!(status, 200, "{body}");
    let cpu = &body["profiles"]["cpu"];
    let allocation = &cpu["findings"][0];
    assert_eq!((&allocation["category"], &allocation["change"]), (&json!("allocation"), &json!("grown")));
    assert_eq!(allocation["was"]["percent"], 14.29);
    let compared = &cpu["compared"];
    let [from, to] = ["from", "to"].map(|end| compared[end].as_i64().unwrap());
    assert_eq!((from, to), (body["from"].as_i64().unwrap() - DAY, body["to"].as_i64().unwrap() - DAY));
    assert_eq!((&compared["with"], &compared["sampleCount"]), (&json!("day"), &json!(7_000)));
    let headline = body["summary"]["headline"].as_str().unwrap();
    assert!(
        headline.ends_with(
            " That has grown: it was 14 % yesterday at this hour. It used 0.02 cores yesterday at this hour."
        ),
        "{headline}"
    );
}

#[actix_web::test]
async fn without_profiles_from_then_the_answer_says_so() {
    let (status, body) = Setup::v1(source(changing)).get("/triage/shop?compare=week&types=cpu").await;
    assert_eq!(status, 200, "{body}");
    let cpu = &body["profiles"]["cpu"];
    assert_eq!(cpu["findings"][0]["change"], "unknown");
    assert_eq!(cpu["compared"]["reason"], "there is no cpu profile from then, or none is kept that long");
    assert!(body["summary"]["headline"].as_str().unwrap().ends_with(" of a week ago at this hour."), "{body}");
}

#[actix_web::test]
async fn a_failure_then_never_fails_the_answer() {
    let fails_then: Answer = |query| match changing(query) {
        Ok(Some(merged)) if NOW - query.window.to().timestamp() < DAY => Ok(Some(merged)),
        _ => Err(PortError::Internal("no answer".to_owned())),
    };
    let (status, body) = Setup::v1(source(fails_then)).get("/triage/shop?compare=day&types=cpu").await;
    let reason = body["profiles"]["cpu"]["compared"]["reason"].as_str().unwrap().to_owned();
    assert_eq!(status, 200);
    assert!(reason.starts_with("the cpu profile from then could not be read: "), "{reason}");
}

#[actix_web::test]
async fn without_the_parameter_nothing_earlier_is_read() {
    let only_now: Answer = |query| {
        assert!(NOW - query.window.to().timestamp() < DAY, "{query:?}");
        only_cpu(query)
    };
    let (_, body) = Setup::v1(source(only_now)).get("/triage/shop").await;
    assert!(body["profiles"]["cpu"].get("compared").is_none());
    assert!(body["profiles"]["cpu"]["findings"][0].get("change").is_none());
    let (status, body) = Setup::v1(source(only_cpu)).get("/triage/shop?compare=month").await;
    assert_eq!((status, &body["code"]), (400, &json!("parameter_invalid")));
}

/// Little allocation in the hour before the default window, much from its tenth minute on.
fn allocating_more(query: &ProfileQuery) -> Timeline<Profile> {
    let from = query.window.from() + TimeDelta::hours(1);
    let minute = |n: i64| {
        let folded =
            format!("main.main;main.serve;main.cart;runtime.mallocgc {}", if n < 10 { 10 + n % 3 } else { 40 });
        let sample_type = SampleType::new("cpu", "nanoseconds");
        (from + TimeDelta::minutes(n), read_folded(folded.as_bytes(), sample_type, &ReadLimits::default()).unwrap())
    };
    let version = |value: &str, n| VersionBegan {
        label: "version".to_owned(),
        value: value.to_owned(),
        at: from + TimeDelta::minutes(n),
    };
    let meta = ProfileMeta { versions: vec![version("1", -60), version("2", 10)], ..ProfileMeta::default() };
    Timeline { meta, steps: (-60..50).map(minute).collect() }
}

fn by_minute(answer: fn(&ProfileQuery) -> PortResult<Option<Timeline<Profile>>>) -> MockProfileDataSor {
    let mut port = MockProfileDataSor::new();
    port.expect_merged().returning(move |_, query| changing(query));
    port.expect_stacks().times(1).returning(move |_, query, _| answer(query));
    port
}

#[actix_web::test]
async fn a_finding_says_since_when_it_costs_more_and_which_version_began_then() {
    let profiles = by_minute(|query| Ok(Some(allocating_more(query))));
    let (status, body) = Setup::v1(profiles).get("/triage/shop?compare=day&types=cpu").await;
    assert_eq!(status, 200, "{body}");
    let minute = body["from"].as_i64().unwrap() / 60 * 60;
    let at = DateTime::from_timestamp(minute + 600, 0).unwrap();
    let at = at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let since = json!({"at": at, "label": "version", "value": "2"});
    assert_eq!(body["profiles"]["cpu"]["findings"][0]["since"], since);
    let headline = body["summary"]["headline"].as_str().unwrap();
    assert!(headline.ends_with(&format!(" It has cost more since {at}, when version \"2\" began.")), "{headline}");
}

#[actix_web::test]
async fn where_nothing_is_known_by_the_minute_the_answer_says_nothing_of_it() {
    for answer in [|_: &ProfileQuery| Ok(None), |_: &ProfileQuery| Err(PortError::Internal("no answer".to_owned()))] {
        let (status, body) = Setup::v1(by_minute(answer)).get("/triage/shop?compare=day&types=cpu").await;
        assert_eq!((status, &body["profiles"]["cpu"]["findings"][0]["change"]), (200, &json!("grown")));
        assert!(body["profiles"]["cpu"]["findings"][0].get("since").is_none());
    }
}

#[actix_web::test]
async fn only_with_compare_are_profiles_read_by_the_minute() {
    let mut port = MockProfileDataSor::new();
    port.expect_merged().returning(|_, query| only_cpu(query));
    port.expect_stacks().times(0);
    assert_eq!(Setup::v1(port).get("/triage/shop?types=cpu").await.0, 200);
}
