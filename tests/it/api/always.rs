//! The paths that every process serves.

use std::time::Duration;

use rstest::rstest;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::harness::{Flamewarden, Setup};

#[actix_web::test]
async fn health_says_ok() {
    let server = Flamewarden::start().await;
    let answer = server.get("/health").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), "OK");
    let head = server.request(reqwest::Method::HEAD, "/health").send().await.unwrap();
    assert_eq!((head.status().as_u16(), head.headers()["content-length"].to_str().unwrap()), (200, "2"));
    assert!(head.bytes().await.unwrap().is_empty());
}

#[actix_web::test]
async fn a_living_process_says_so() {
    let server = Flamewarden::start().await;
    let body: Value = server.get("/live").send().await.unwrap().json().await.unwrap();
    assert_eq!(body["status"], "alive");
}

/// A profiler that sends every few seconds keeps its connection.
#[actix_web::test]
async fn a_connection_is_kept_between_two_uploads() {
    let server = Flamewarden::start().await;
    let mut connection = TcpStream::connect(server.base().trim_start_matches("http://")).await.unwrap();
    for pause in [0, 7] {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        connection.write_all(b"GET /health HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        while !answer.ends_with("\r\n\r\nOK") {
            let mut bytes = [0; 4096];
            let read = connection.read(&mut bytes).await.unwrap();
            assert_ne!(read, 0, "closed after {pause} s: {answer}");
            answer.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        }
    }
}

#[actix_web::test]
async fn metrics_count_requests_by_route_pattern() {
    let server = Flamewarden::start().await;
    server.get("/swagger-ui/index.css").send().await.unwrap();
    let text = server.get("/metrics").send().await.unwrap().text().await.unwrap();
    let line = r#"http_request_duration_seconds_count{method="GET",route="/swagger-ui/{_:.*}",status="200"}"#;
    assert!(text.contains(line), "{text}");
}

#[actix_web::test]
async fn swagger_ui_needs_nothing_from_elsewhere() {
    let server = Flamewarden::start().await;
    let page = server.get("/swagger-ui/").send().await.unwrap().text().await.unwrap();
    assert!(page.contains("/api-docs/openapi.json") && !page.contains("https://"), "{page}");
    assert!(page.contains("<title>Flamewarden"), "{page}");
    assert_eq!(server.get("/swagger-ui/index.html").send().await.unwrap().text().await.unwrap(), page);
    // The same without the last slash.
    assert_eq!(server.get("/swagger-ui").send().await.unwrap().text().await.unwrap(), page);
    for file in
        ["swagger-ui.css", "index.css", "favicon-32x32.png", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js"]
    {
        assert!(page.contains(file), "{file}");
        assert_eq!(server.get(&format!("/swagger-ui/{file}")).send().await.unwrap().status(), 200, "{file}");
    }
}

/// The health check of a server with this Pyroscope.
async fn health_with(source: &str) -> Value {
    health_of(&[("FUNCTION", "ReadPyroscopeProfile.sor.v1"), ("PYROSCOPE_URL", source)]).await
}

/// What the health check of a server with these settings says of its source of profiles.
async fn health_of(settings: &[(&str, &str)]) -> Value {
    let server = Setup::of(settings).start().await;
    assert_eq!(server.get("/ready").send().await.unwrap().status(), 200, "other servers do not count");
    let (status, health) = server.json("/api/v1/health").await;
    let expected = if health["checks"]["profiles"]["status"] == "pass" { "healthy" } else { "degraded" };
    assert_eq!((status, health["status"].as_str()), (200, Some(expected)), "{health}");
    health["checks"]["profiles"]["details"].clone()
}

#[rstest]
#[case::no_such_name("http://no..name:4040", "no..name:4040", "dns")]
#[case::nobody("http://127.0.0.1:9", "127.0.0.1:9", "refused")]
#[actix_web::test]
async fn a_source_of_profiles_that_cannot_be_reached_is_named(
    #[case] url: &str,
    #[case] host: &str,
    #[case] class: &str,
) {
    let source = health_with(url).await;
    assert_eq!((&source["host"], &source["reachable"], &source["class"]), (&host.into(), &false.into(), &class.into()));
    assert!(source["detail"].as_str().unwrap().contains("check"), "{source}");
}

#[rstest]
#[case::denied(ResponseTemplate::new(401), "denied")]
#[case::no_pyroscope(ResponseTemplate::new(200).set_body_string("<html>"), "broken")]
#[case::silent(ResponseTemplate::new(200).set_delay(std::time::Duration::from_secs(20)), "timeout")]
#[actix_web::test]
async fn a_source_of_profiles_that_does_not_answer_as_it_should_is_named(
    #[case] answer: ResponseTemplate,
    #[case] class: &str,
) {
    let source = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&source).await;
    let host = source.uri();
    let health = health_with(&host).await;
    assert_eq!((&health["host"], &health["class"]), (&host.trim_start_matches("http://").into(), &class.into()));
    if class == "broken" {
        let tls = health_with(&host.replace("http://", "https://")).await;
        assert_eq!(tls["class"], "tls", "{tls}");
    }
}

#[actix_web::test]
async fn a_flamewarden_whose_own_source_is_away_is_not_taken_for_the_wrong_server() {
    let settings = [("FUNCTION", "ReadPyroscopeProfile.sor.v1"), ("PYROSCOPE_URL", "http://127.0.0.1:9")];
    let between = Setup::of(&settings).start().await;
    let health =
        health_of(&[("FUNCTION", "ReadPyroscopeTriageAssessment.v1"), ("PROFILE_DATA_URL", between.base())]).await;
    assert_eq!(health["class"], "upstream", "{health}");
    assert_eq!(health["detail"], "it answers and cannot read profiles itself: look at /api/v1/health there");
}

#[actix_web::test]
async fn a_source_of_profiles_that_answers_is_well() {
    let source = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_string("{}")).mount(&source).await;
    let health = health_with(&source.uri()).await;
    assert_eq!((&health["reachable"], health.get("class")), (&true.into(), None));
}
