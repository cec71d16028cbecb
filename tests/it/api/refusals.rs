//! What is refused before a handler runs, always with a problem document.

use reqwest::Method;
use rstest::rstest;
use serde_json::Value;

use crate::harness::Flamewarden;

/// The members of the problem document in an answer.
async fn problem(answer: reqwest::Response) -> Value {
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["status"], status);
    assert_eq!(body["error"], body["detail"]);
    assert_eq!(body["instance"], format!("urn:request:{id}"));
    assert_eq!(body["type"], format!("/problems/{}", body["code"].as_str().unwrap()));
    assert!(body["title"].is_string() && body["errors"].is_array() && body["retryable"].is_boolean());
    body
}

#[actix_web::test]
async fn an_unknown_route_is_404() {
    let server = Flamewarden::start().await;
    for path in ["/nope", "/live/", "/swagger", "/%2e%2e/etc/passwd", "/health%00"] {
        let body = problem(server.get(path).send().await.unwrap()).await;
        assert_eq!(body["code"], "route_unknown", "{path}");
    }
}

#[rstest]
#[case(Method::POST, "/live")]
#[case(Method::DELETE, "/metrics")]
#[case(Method::OPTIONS, "/health")]
#[case(Method::from_bytes(b"BREW").unwrap(), "/health")]
#[actix_web::test]
async fn a_wrong_method_is_405_with_allow(#[case] method: Method, #[case] path: &str) {
    let server = Flamewarden::start().await;
    let answer = server.request(method, path).send().await.unwrap();
    assert_eq!(answer.headers()["allow"], "GET, HEAD");
    assert_eq!(problem(answer).await["code"], "method_not_allowed");
}

#[actix_web::test]
async fn a_sane_request_id_is_taken_and_returned() {
    let server = Flamewarden::start().await;
    let id = |answer: &reqwest::Response| answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let answer = server.get("/live").header("x-request-id", "build-42/step.7").send().await.unwrap();
    assert_eq!(id(&answer), "build-42/step.7");
    for insane in ["", "two words", "quote\"", &"x".repeat(129)] {
        let answer = server.get("/live").header("x-request-id", insane).send().await.unwrap();
        assert_ne!(id(&answer), insane);
        assert_eq!(id(&answer).len(), 36);
    }
}

#[actix_web::test]
async fn large_answers_are_compressed_for_those_who_ask() {
    let server = Flamewarden::start().await;
    let path = "/swagger-ui/swagger-ui.css";
    let plain = server.get(path).send().await.unwrap();
    assert!(plain.headers().get("content-encoding").is_none());
    let plain = plain.bytes().await.unwrap();
    let small = server.get(path).header("accept-encoding", "br, gzip").send().await.unwrap();
    assert_eq!(small.headers()["content-encoding"], "gzip");
    let small = small.bytes().await.unwrap();
    assert!(small.len() * 3 < plain.len(), "{} of {}", small.len(), plain.len());
    let mut inflated = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&small[..]), &mut inflated).unwrap();
    assert!(inflated == plain);
}
