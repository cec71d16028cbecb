//! What is refused, and in which words.

use super::*;

fn recorded(name: &str) -> Value {
    serde_json::from_slice(&Recordings::of("v2").unwrap().body(name)).unwrap()
}

/// The question, with some members changed.
fn with(changes: &Value) -> Value {
    let mut asked = asking(CHECKOUT);
    for (name, value) in changes.as_object().unwrap() {
        asked[name] = value.clone();
    }
    asked
}

#[actix_web::test]
async fn a_method_that_is_not_served_says_which_are() {
    let Some(setup) = setup().await else { return };
    for method in ["SelectMergeSpanProfile", "SelectHeatmap"] {
        let (status, body) = setup.json(method, &asking(CHECKOUT)).await;
        let said = body["message"].as_str().unwrap();
        assert_eq!((status, &body["code"]), (404, &json!("not_found")));
        assert!(said.starts_with(&format!("{method} is not served: served are ProfileTypes, ")), "{said}");
    }
}

#[actix_web::test]
async fn refuses_with_the_codes_of_pyroscope() {
    let Some(setup) = setup().await else { return };
    for (name, changes) in [
        ("merge-start-after-end", json!({"start": END, "end": START})),
        ("merge-zero-times", json!({"start": 0, "end": 0})),
    ] {
        assert_eq!(setup.json("SelectMergeProfile", &with(&changes)).await, (400, recorded(name)), "{name}");
    }
    let too_many = with(&json!({"maxNodes": 2_000_000}));
    let answer = setup.json("SelectMergeStacktraces", &too_many).await;
    assert_eq!(answer, (400, recorded("stacktraces-too-many-nodes")));
    for (method, message, text) in [
        (
            "SelectMergeProfile",
            with(&json!({"profileTypeID": "cpu"})),
            "profile-type selection must be of the form <name>:<sample-type>:<sample-unit>:<period-type>:<period-unit>(:delta), got \"cpu\"",
        ),
        (
            "SelectMergeProfile",
            with(&json!({"labelSelector": "{service_name=}"})),
            "parsing label selector \"{service_name=}\": parse error at byte 14: expected a quoted value",
        ),
        (
            "SelectMergeProfile",
            with(&json!({"labelSelector": ""})),
            "parsing label selector \"\": parse error at byte 0: expected \"{\"",
        ),
        ("SelectMergeProfile", with(&json!({"maxNodes": -1})), "max flamegraph nodes limit -1 is negative"),
        ("SelectMergeProfile", with(&json!({"end": START + 32 * 86_400_000_i64})), "the window is longer than 31 days"),
        (
            "SelectMergeProfile",
            with(&json!({"traceIdSelector": ["x"]})),
            "traceIdSelector is not served: this store keeps no such ids",
        ),
        (
            "SelectMergeProfile",
            with(&json!({"stackTraceSelector": {"callSite": [{"name": "main"}]}})),
            "stackTraceSelector is not served: profiles are read with all their stacks",
        ),
        (
            "SelectMergeStacktraces",
            with(&json!({"format": "PROFILE_FORMAT_TREE"})),
            "format PROFILE_FORMAT_TREE is not served: ask for PROFILE_FORMAT_FLAMEGRAPH or PROFILE_FORMAT_PPROF",
        ),
        ("SelectMergeStacktraces", with(&json!({"format": 9})), "9 is no format"),
        (
            "SelectMergeStacktraces",
            with(&json!({"spanSelector": ["x"]})),
            "spanSelector is not served: this store keeps no such ids",
        ),
        ("SelectSeries", asking(CHECKOUT), "step is 0, must be 0.001 to 1000000000 seconds"),
        ("SelectSeries", with(&json!({"step": 0.01})), "the window has more than 50000 steps: ask for longer ones"),
        ("LabelValues", json!({"start": START, "end": END}), "name is required"),
        ("LabelNames", json!({}), "missing time range in the query"),
        (
            "Series",
            json!({"start": START, "end": END, "matchers": ["{"]}),
            "parsing label selector \"{\": parse error at byte 1: expected the name of a label",
        ),
        ("Diff", json!({"left": asking("{}")}), "right is required"),
    ] {
        let expected = json!({"code": "invalid_argument", "message": text});
        assert_eq!(setup.json(method, &message).await, (400, expected), "{method} {message}");
    }
    // An empty selector of stacks selects nothing.
    assert_eq!(setup.json("SelectMergeProfile", &with(&json!({"stackTraceSelector": {}}))).await.0, 200);
}

#[rstest]
#[case(r#"{"start":"now-1h"}"#, "application/json", 400)]
#[case("", "application/json", 400)]
#[case("[]", "application/json", 400)]
#[case("{", "application/json", 400)]
#[case("\x08", "application/proto", 400)]
#[case("{}", "text/plain", 415)]
#[case("{}", "", 415)]
#[case(r#"{"start":null,"unknown":{}}"#, "application/json; charset=utf-8", 200)]
#[case("", "application/proto", 200)]
#[actix_web::test]
async fn reads_messages_and_nothing_else(#[case] body: &'static str, #[case] kind: &str, #[case] expected: u16) {
    let Some(setup) = setup().await else { return };
    let request = TestRequest::post().uri(&path("ProfileTypes")).set_payload(body);
    let request = if kind.is_empty() { request } else { request.insert_header(("content-type", kind)) };
    let (status, _, answer) = setup.send(request).await;
    assert_eq!(status, expected, "{answer:?}");
    if status >= 400 {
        let error: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(error["code"], "invalid_argument");
        assert!(!error["message"].as_str().unwrap().is_empty());
    }
}

#[actix_web::test]
async fn takes_gzip_and_no_more_than_a_mebibyte() {
    use std::io::Write;
    let Some(setup) = setup().await else { return };
    let send = async |body: Vec<u8>, encoding: &str| {
        let request =
            TestRequest::post().uri(&path("ProfileTypes")).insert_header(("content-type", "application/json"));
        let (status, _, answer) =
            setup.send(request.insert_header(("content-encoding", encoding)).set_payload(body)).await;
        (status, serde_json::from_slice::<Value>(&answer).unwrap()["message"].as_str().map(str::to_owned))
    };
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let long = format!("{{\"x\":\"{}\"}}", "x".repeat(1 << 20));
    let too_large = (413, Some("the request is larger than 1048576 bytes".to_owned()));
    assert_eq!(send(gzip(&format!("{{\"start\":{START},\"end\":{END}}}")), "gzip").await, (200, None));
    assert_eq!(send(long.clone().into_bytes(), "identity").await, too_large);
    assert_eq!(send(gzip(&long), "gzip").await, too_large);
    assert_eq!(send(b"{}".to_vec(), "gzip").await.0, 400);
    assert_eq!(send(b"{}".to_vec(), "br").await.0, 415);
}

#[actix_web::test]
async fn other_methods_are_not_allowed_and_other_calls_are_unknown() {
    let Some(setup) = setup().await else { return };
    assert_eq!(setup.send(TestRequest::get().uri(&path("ProfileTypes"))).await.0, 405);
    assert_eq!(setup.send(TestRequest::post().uri("/pyroscope/render")).await.0, 405);
    assert_eq!(setup.send(TestRequest::post().uri(&path("SelectSomething"))).await.0, 404);
}

#[actix_web::test]
async fn older_routes_say_what_is_missing() {
    let Some(setup) = setup().await else { return };
    assert_eq!(setup.get("/pyroscope/render", &[]).await, (400, recorded("render-no-query")));
    assert_eq!(setup.get("/pyroscope/render", &[("query", CHECKOUT)]).await, (400, recorded("render-no-type")));
    let query = format!("{CPU}{CHECKOUT}");
    let other = format!("process_cpu:samples:count:cpu:nanoseconds{CHECKOUT}");
    for (path, params, text) in [
        (
            "render",
            vec![("query", query.as_str()), ("format", "dot")],
            "format=dot is not served: leave it out for JSON",
        ),
        ("render", vec![("query", &query), ("max-nodes", "many")], "max-nodes is \"many\", must be a number"),
        (
            "render",
            vec![("query", &query), ("maxNodes", "2000000")],
            "max flamegraph nodes limit 2000000 is greater than allowed 1048576",
        ),
        ("render-diff", vec![("rightQuery", &query)], "\"leftQuery\" is required"),
        ("render-diff", vec![("leftQuery", &query), ("rightQuery", &other)], "profile types must match"),
        ("label-values", vec![], "\"label\" is required"),
    ] {
        let expected = json!({"code": "invalid_argument", "message": text});
        assert_eq!(setup.get(&format!("/pyroscope/{path}"), &params).await, (400, expected));
    }
    let (status, error) = setup.get("/pyroscope/render", &[("query", &query), ("from", "yesterday")]).await;
    assert_eq!((status, error["message"].as_str().unwrap().starts_with("from: ")), (400, true), "{error}");
}

#[actix_web::test]
async fn a_server_without_a_store_says_so() {
    let app = actix_web::App::new().configure(Routes::serve(routes_off));
    let answer = call_service(&init_service(app).await, TestRequest::post().uri(&path("Series")).to_request()).await;
    assert_eq!(answer.status(), 404);
    let error: Value = serde_json::from_slice(&read_body(answer).await).unwrap();
    assert_eq!(error["code"], "not_found");
}
