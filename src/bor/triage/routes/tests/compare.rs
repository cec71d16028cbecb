//! A window compared with the same one earlier.

use super::*;

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
