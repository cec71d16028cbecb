//! What a server that refuses, fails or is away means to the caller.

use super::*;

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
    let error = adapter(&server).0.merged(&cpu("checkout")).await.unwrap_err();
    assert!(matches!(error, PortError::Denied(_)), "{error:?}");
    assert_eq!(server.server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_busy_server_is_overloaded_and_not_asked_again() {
    let busy =
        |request: &Request| is(request, MERGE).then(|| ResponseTemplate::new(429).insert_header("retry-after", "7"));
    let Some(server) = ReplayServer::start_with("v2", busy).await else { return };
    let error = adapter(&server).0.merged(&cpu("checkout")).await.unwrap_err();
    assert!(matches!(error, PortError::Overloaded { retry_after_s: 7, .. }), "{error:?}");
    assert_eq!(server.calls(MERGE).await.len(), 1);
}

#[tokio::test]
async fn nonsense_is_unavailable() {
    let page = |request: &Request| {
        is(request, MERGE).then(|| ResponseTemplate::new(200).set_body_raw("<html>login</html>", "text/html"))
    };
    let Some(server) = ReplayServer::start_with("v2", page).await else { return };
    let error = adapter(&server).0.merged(&cpu("checkout")).await.unwrap_err();
    assert!(matches!(error, PortError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let settings = PyroscopeSettings::new("http://127.0.0.1:1".parse().unwrap());
    let sor = Pyroscope::new(&settings, Arc::new(conformance::clock())).unwrap();
    assert!(matches!(sor.merged(&cpu("checkout")).await, Err(PortError::Unavailable(_))));
}
