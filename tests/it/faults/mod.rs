//! The answers while something is down, slow, broken or full, and the recovery without a restart.

mod database;
mod operations;
mod proxy;
mod replicas;
mod secrets;
mod sors;
mod source;
mod start;

use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::harness::Flamewarden;

/// The answer of a route.
#[derive(Debug)]
struct Said {
    status: u16,
    retry_after: bool,
    body: Value,
}

impl Said {
    async fn of(request: RequestBuilder) -> Self {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let retry_after = answer.headers().contains_key("retry-after");
        let problem = answer.headers().get("content-type").is_some_and(|kind| kind == "application/problem+json");
        assert_eq!(problem, status >= 400, "an error is a problem document, and nothing else is: {status}");
        let text = answer.text().await.unwrap();
        Self { status, retry_after, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    /// The status and code. An answer that allows a retry must say when.
    fn problem(&self) -> (u16, &str) {
        let code = self.body["code"].as_str().unwrap_or("no problem");
        assert!(self.status != 503 || self.retry_after, "503 without Retry-After: {}", self.body);
        let text = self.body.to_string();
        assert!(!text.contains("127.0.0.1") && !text.contains("Welcome"), "nothing internal reaches a client: {text}");
        (self.status, code)
    }
}

/// Sends a request: a GET, or a POST with a body.
fn ask(server: &Flamewarden, path: &str, body: Option<&Value>) -> RequestBuilder {
    match body {
        None => server.get(path),
        Some(body) => server.request(Method::POST, path).json(body),
    }
}
