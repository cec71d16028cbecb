//! Profiles of OpenTelemetry with a real store.

use prost::Message as _;

use super::*;
use crate::sor::profile_data::proto::otlp::v1::ExportProfilesServiceRequest;

/// A profile of CPU samples of `shop`, as an exporter of OpenTelemetry sends it in JSON.
fn otlp(stack: u32) -> String {
    serde_json::json!({
        "resourceProfiles": [{
            "resource": {"attributes": [
                {"key": "service.name", "value": {"stringValue": "shop"}}, {"key": "region", "value": {"stringValue": "eu"}},
            ]},
            "scopeProfiles": [{"profiles": [{
                "sampleType": {"typeStrindex": 1, "unitStrindex": 2},
                "periodType": {"typeStrindex": 3, "unitStrindex": 4}, "period": "50000000",
                "timeUnixNano": "1795176000000000000", "durationNano": "5000000000",
                "samples": [{"stackIndex": stack, "values": ["3"]}],
            }]}],
        }],
        "dictionary": {
            "stringTable": ["", "samples", "count", "cpu", "nanoseconds", "main"],
            "functionTable": [{}, {"nameStrindex": 5}], "locationTable": [{}, {"lines": [{"functionIndex": 1}]}],
            "stackTable": [{}, {"locationIndices": [1]}],
        },
    })
    .to_string()
}

#[rstest]
#[case("application/json", false)]
#[case("application/json; charset=utf-8", true)]
#[case("application/x-protobuf", true)]
#[case("application/protobuf", false)]
#[actix_web::test]
async fn profiles_of_opentelemetry_are_stored_once(#[case] content_type: &str, #[case] compressed: bool) {
    let setup = setup().await;
    let mut body = otlp(1).into_bytes();
    if content_type.contains("proto") {
        let request: ExportProfilesServiceRequest = serde_json::from_slice(&body).unwrap();
        body = request.encode_to_vec();
    }
    if compressed {
        body = gzip(&body);
    }
    for _ in 0..2 {
        let push = TestRequest::post().uri("/v1development/profiles").insert_header((CONTENT_TYPE, content_type));
        let push = if compressed { push.insert_header(("content-encoding", "gzip")) } else { push };
        let answer = if content_type.contains("proto") { "" } else { "{}" };
        assert_eq!(setup.send(push.set_payload(body.clone())).await, (200, answer.to_owned()));
    }
    let (types, total, _, top, _) = setup.summary("shop", ProfileType::Cpu).await;
    assert_eq!(
        (types.as_str(), total, top.as_str()),
        ("process_cpu:cpu:nanoseconds:cpu:nanoseconds", 150_000_000, "main")
    );
    assert_eq!(setup.merged("shop", ProfileType::Cpu).await.unwrap().meta.sample_count, Some(3));
}

#[rstest]
#[case::index(
    "/v1development/profiles",
    "application/json",
    otlp(9),
    400,
    "body_invalid: the profile cannot be read: stack 9 is named"
)]
#[case::json("/v1development/profiles", "application/json", "{".to_owned(), 400, "body_invalid: the profile cannot be read: no opentelemetry-proto v1.11.0")]
#[case::revision("/v1development/profiles", "application/x-protobuf", "\n\u{5}\u{12}\u{3}\u{12}\u{1}\u{8}".to_owned(), 400, "body_invalid: the profile cannot be read: field 1 of Profile is not what opentelemetry-proto v1.11.0")]
#[case::grpc(
    "/v1development/profiles",
    "application/grpc",
    String::new(),
    415,
    "content_type_unsupported: the content type \"application/grpc\" is not taken: send application/x-protobuf or application/json"
)]
#[case::old("/v1development/profiles", "application/json", otlp(1).replace("1795176000", "1695176000"), 400, "time_out_of_range: ")]
#[case::large("/v1development/profiles", "application/json", " ".repeat(33 << 20), 413, "profile_too_large: ")]
#[case::service("/v1development/profiles", "application/json", otlp(1).replace("shop", &"x".repeat(600)), 400, "body_invalid: service.name ")]
#[case::path(
    "/v1experimental/profiles",
    "application/json",
    otlp(1),
    404,
    "route_unknown: /v1experimental/profiles is the path of an earlier revision: send opentelemetry-proto v1.11.0"
)]
#[actix_web::test]
async fn what_is_no_request_of_opentelemetry_says_why(
    #[case] path: &str,
    #[case] content_type: &str,
    #[case] body: String,
    #[case] status: u16,
    #[case] said: &str,
) {
    let setup = setup().await;
    let push = TestRequest::post().uri(path).insert_header((CONTENT_TYPE, content_type)).set_payload(body);
    let (answered, body) = setup.send(push).await;
    assert_eq!(answered, status, "{body}");
    assert!(code(&body).starts_with(said), "{body}");
    assert!(setup.merged("shop", ProfileType::Cpu).await.is_none());
}
