//! The paths that every process serves.

use serde_json::Value;

use crate::harness::Flamewarden;

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

#[actix_web::test]
async fn metrics_count_requests_by_route_pattern() {
    let server = Flamewarden::start().await;
    server.get("/swagger-ui/index.html").send().await.unwrap();
    let text = server.get("/metrics").send().await.unwrap().text().await.unwrap();
    let line = r#"http_request_duration_seconds_count{method="GET",route="/swagger-ui/{_:.*}",status="200"}"#;
    assert!(text.contains(line), "{text}");
}

#[actix_web::test]
async fn swagger_ui_needs_nothing_from_elsewhere() {
    let server = Flamewarden::start().await;
    let page = server.get("/swagger-ui/").send().await.unwrap().text().await.unwrap();
    assert!(!page.contains("https://"), "{page}");
    let script = server.get("/swagger-ui/swagger-initializer.js").send().await.unwrap().text().await.unwrap();
    assert!(script.contains("/api-docs/openapi.json") && !script.contains("https://"), "{script}");
}
