//! What senders may push, and in which forms.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;
use reqwest::Method;
use rstest::rstest;
use serde_json::json;

use super::pushing::{PERIOD, collecting};
use crate::harness::Flamewarden;

#[derive(Clone, PartialEq, Message)]
struct PushRequest {
    #[prost(message, repeated, tag = "1")]
    series: Vec<Series>,
}

#[derive(Clone, PartialEq, Message)]
struct Series {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(bytes = "vec", tag = "1")]
    raw_profile: Vec<u8>,
    #[prost(string, tag = "2")]
    id: String,
}

fn message(app: &str, raw_profile: Vec<u8>) -> Vec<u8> {
    let label = |name: &str, value: &str| Label { name: name.to_owned(), value: value.to_owned() };
    let labels = vec![label("__name__", "process_cpu"), label("service_name", app)];
    let samples = vec![Sample { raw_profile, id: "first".to_owned() }];
    PushRequest { series: vec![Series { labels, samples }] }.encode_to_vec()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn total(server: &Flamewarden) -> serde_json::Value {
    server.json("/profiles/shop").await.1["totalSamples"].clone()
}

#[rstest]
#[case("application/proto", false)]
#[case("application/x-protobuf", true)]
#[actix_web::test]
async fn a_protobuf_push_is_stored_once(#[case] content_type: &str, #[case] compressed: bool) {
    let server = Flamewarden::start().await;
    let mut body = message("shop", collecting("shop").pprof());
    if compressed {
        body = gzip(&body);
    }
    for _ in 0..2 {
        let push = server.receiver().request(Method::POST, "/push.v1.PusherService/Push").body(body.clone());
        let push = push.header("content-type", content_type);
        let push = if compressed { push.header("content-encoding", "gzip") } else { push };
        let answer = push.send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (200, &"application/proto".parse().unwrap())
        );
        assert!(answer.bytes().await.unwrap().is_empty());
    }
    assert_eq!(total(&server).await, 1_000 * PERIOD);
}

#[rstest]
#[case::no_message("application/proto", b"\xff\xff".to_vec(), 400, "body_invalid")]
#[case::no_profiles("application/proto", Vec::new(), 400, "body_invalid")]
#[case::no_pprof("application/proto", message("shop", b"nonsense".to_vec()), 400, "body_invalid")]
#[case::another_type("text/plain", message("shop", Vec::new()), 415, "content_type_unsupported")]
#[actix_web::test]
async fn a_push_that_cannot_be_taken_is_told_why(
    #[case] content_type: &str,
    #[case] body: Vec<u8>,
    #[case] status: u16,
    #[case] code: &str,
) {
    let server = Flamewarden::start().await;
    let push = server.receiver().request(Method::POST, "/push.v1.PusherService/Push").body(body);
    let answer = push.header("content-type", content_type).send().await.unwrap();
    let (answered, body) = (answer.status().as_u16(), answer.json::<serde_json::Value>().await.unwrap());
    assert_eq!((answered, &body["code"]), (status, &json!(code)), "{body}");
}

/// A form as the Go SDK sends it.
fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut form = Vec::new();
    for (name, content) in parts {
        write!(form, "--limit\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{name}.x\"\r\n").unwrap();
        form.extend(b"Content-Type: application/octet-stream\r\n\r\n");
        form.extend(*content);
        form.extend(b"\r\n");
    }
    form.extend(b"--limit--\r\n");
    form
}

#[rstest]
#[case("/ingest")]
#[case("/pyroscope/ingest")]
#[actix_web::test]
async fn a_form_with_a_pprof_is_stored(#[case] path: &str) {
    let server = Flamewarden::start().await;
    let config = br#"{"cpu": {"units": "nanoseconds", "display-name": "cpu"}}"#;
    let body = form(&[("profile", &collecting("shop").pprof()), ("sample_type_config", config)]);
    let push = server.receiver().request(Method::POST, &format!("{path}?name=shop&spyName=gospy")).body(body);
    let answer = push.header("content-type", "multipart/form-data; boundary=limit").send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    assert_eq!(total(&server).await, 1_000 * PERIOD);
}

#[rstest]
#[case::no_profile(form(&[("other", b"x")]), 422)]
#[case::no_pprof(form(&[("profile", b"x")]), 422)]
#[case::no_form(b"x".to_vec(), 422)]
#[actix_web::test]
async fn a_form_without_a_profile_is_refused(#[case] body: Vec<u8>, #[case] status: u16) {
    let server = Flamewarden::start().await;
    let push = server.receiver().request(Method::POST, "/ingest?name=shop").body(body);
    let answer = push.header("content-type", "multipart/form-data; boundary=limit").send().await.unwrap();
    let (answered, body) = (answer.status().as_u16(), answer.json::<serde_json::Value>().await.unwrap());
    assert_eq!((answered, &body["code"]), (status, &json!("profile_unreadable")), "{body}");
}

#[actix_web::test]
async fn a_name_over_its_limit_is_refused_and_names_the_limit() {
    let server = Flamewarden::start().await;
    let push = |bytes: usize| {
        let body = format!("main;{} 1", "x".repeat(bytes));
        server.receiver().request(Method::POST, "/ingest?name=shop").body(body).send()
    };
    assert_eq!(push(16 << 10).await.unwrap().status(), 200);
    let answer = push((16 << 10) + 1).await.unwrap();
    assert_eq!(answer.status(), 413);
    let body: serde_json::Value = answer.json().await.unwrap();
    assert!(body["detail"].as_str().unwrap().contains("16384 bytes in one name"), "{body}");
}
