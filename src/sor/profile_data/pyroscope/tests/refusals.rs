//! What a server that refuses, fails or is away means to the caller.

use super::*;
use crate::kernel::CALL;
use crate::profile::Budget;

/// What a recorded refusal means when the caller gave a selector, and when not.
#[rstest]
#[case("merge-malformed-type", false)]
#[case("merge-zero-times", false)]
#[case("merge-start-after-end", false)]
#[case("stacktraces-too-many-nodes", false)]
#[case("diff-bad-side", false)]
#[case("render-no-type", false)]
#[case("label-values-legacy", false)]
#[case("merge-empty-selector", true)]
#[case("merge-bad-selector", true)]
fn a_bad_request_is_the_callers_fault_only_where_it_is_about_their_selector(
    #[values("v1", "v2")] version: &str,
    #[case] name: &str,
    #[case] about_selector: bool,
) {
    let Some(recordings) = Recordings::of(version) else { return };
    let answer = recordings.answer(name);
    assert_eq!(answer.status, 400);
    let callers = matches!(refusal_of(&answer, true), Refusal::Final(PortError::Invalid(_)));
    assert_eq!(callers, about_selector);
    let refusal = refusal_of(&answer, false);
    let Refusal::Final(PortError::Unavailable(text)) = &refusal else { panic!("{refusal:?}") };
    assert!(!text.contains("\\\"code"), "an error within an error: {text}");
}

#[rstest]
#[case("labels-absent")]
#[case("method-get")]
#[case("wrong-content-type")]
fn a_server_without_the_method_is_told_from_one_that_fails(#[values("v1", "v2")] version: &str, #[case] name: &str) {
    let Some(recordings) = Recordings::of(version) else { return };
    assert!(matches!(refusal_of(&recordings.answer(name), false), Refusal::Lacks(_)));
}

#[rstest]
#[case(401)]
#[case(403)]
#[tokio::test]
async fn wrong_credentials_are_denied_and_not_tried_again(#[case] status: u16) {
    let denied = move |_: &Request| Some(ResponseTemplate::new(status).set_body_string("no org id"));
    let Some(server) = ReplayServer::start_with("v2", denied).await else { return };
    let error = adapter(&server).0.merged(&CALL, &cpu("checkout")).await.unwrap_err();
    assert!(matches!(error, PortError::Denied(_)), "{error:?}");
    assert_eq!(server.server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_busy_server_is_overloaded_and_not_asked_again() {
    let busy =
        |request: &Request| is(request, MERGE).then(|| ResponseTemplate::new(429).insert_header("retry-after", "7"));
    let Some(server) = ReplayServer::start_with("v2", busy).await else { return };
    let error = adapter(&server).0.merged(&CALL, &cpu("checkout")).await.unwrap_err();
    assert!(matches!(error, PortError::Overloaded { retry_after_s: 7, .. }), "{error:?}");
    assert_eq!(server.calls(MERGE).await.len(), 1);
}

#[tokio::test]
async fn nonsense_is_unavailable() {
    let page = |request: &Request| {
        is(request, MERGE).then(|| ResponseTemplate::new(200).set_body_raw("<html>login</html>", "text/html"))
    };
    let Some(server) = ReplayServer::start_with("v2", page).await else { return };
    let error = adapter(&server).0.merged(&CALL, &cpu("checkout")).await.unwrap_err();
    assert!(matches!(error, PortError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let settings = PyroscopeSettings::new("http://127.0.0.1:1".parse().unwrap());
    let sor = Pyroscope::new(&settings, Arc::new(conformance::clock())).unwrap();
    assert!(matches!(sor.merged(&CALL, &cpu("checkout")).await, Err(PortError::Unavailable(_))));
}

/// A message of protocol buffers: fields of these numbers, each with its bytes.
fn fields(fields: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let length = |bytes: &[u8]| match bytes.len() {
        short @ 0..128 => vec![short as u8],
        long => vec![long as u8 | 0x80, (long >> 7) as u8],
    };
    fields.iter().flat_map(|(number, bytes)| [vec![number << 3 | 2], length(bytes), bytes.clone()].concat()).collect()
}

#[tokio::test]
async fn few_bytes_that_stand_for_many_frames_are_read_in_memory_that_the_budget_has() {
    let line = fields(&[(4, vec![8, 1])]);
    let location = |id, lines| (4, [vec![8, id], line.repeat(lines)].concat());
    // Of 300 stacks no two are alike, and each has four times a thousand inlined frames.
    let stacks = (0..300_u16).map(|i| {
        let bits = (0..9).map(|bit| 2 + (i >> bit & 1) as u8);
        (2, [fields(&[(1, [1; 4].into_iter().chain(bits).collect())]), vec![16, 1]].concat())
    });
    let texts = ["", "cpu", "nanoseconds", "work"].map(|text| (6, text.into()));
    let tables = [(1, vec![8, 1, 16, 2]), location(1, 1_000), location(2, 1), location(3, 1), (5, vec![8, 1, 16, 3])];
    let body = fields(&stacks.chain(tables).chain(texts).collect::<Vec<_>>());
    assert!(body.len() < 16 << 10, "{}", body.len());
    let answer =
        move |request: &Request| is(request, MERGE).then(|| ResponseTemplate::new(200).set_body_bytes(body.clone()));
    let Some(server) = ReplayServer::start_with("v2", answer).await else { return };
    let merged = adapter(&server).0.merged(&CALL, &cpu("checkout")).await.unwrap().unwrap();
    assert_eq!((merged.profile.stack_count(), merged.profile.frame_count()), (300, 300 * 4_009));
    assert_eq!(server.calls(RENDER).await.len(), 0);
    let little = PyroscopeSettings { budget: Budget::new(1 << 20), ..server.settings() };
    let sor = Pyroscope::new(&little, Arc::new(conformance::clock())).unwrap();
    sor.merged(&CALL, &cpu("checkout")).await.unwrap().unwrap();
    assert_ne!(server.calls(RENDER).await.len(), 0, "what is too much is asked for as a flame graph");
}
