//! Servers that do not take batches as this version does.

use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;
use wiremock::matchers::{body_partial_json, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::http::OutwardSettings;
use crate::sor::history::conformance::{new, recorded};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn remote(server: &MockServer) -> RemoteHistory {
    let settings = OutwardSettings {
        base: server.uri().parse().unwrap(),
        timeout: Duration::from_secs(5),
        max_answer_bytes: 1 << 20,
        authorization: None,
    };
    RemoteHistory::new(Outward::new(settings).unwrap())
}

fn batch() -> Batch<Recorded> {
    let traced = Recorded { trace: TRACE.parse().ok(), ..recorded(2, new("shop", "b")) };
    Batch::try_from(vec![recorded(1, new("shop", "a")), traced, recorded(3, new("shop", "c"))]).unwrap()
}

async fn answers(server: &MockServer, at: &str, answer: ResponseTemplate) {
    Mock::given(method("POST")).and(path(at)).respond_with(answer).mount(server).await;
}

fn row(id: i32) -> ResponseTemplate {
    let row = json!({"id": id, "appName": "shop", "diagnosis": "a", "severity": "high", "profileTypes": "cpu",
        "topFunctions": null, "recommendation": null, "requestedBy": null, "createdAt": "2026-01-23T08:53:20Z"});
    ResponseTemplate::new(201).set_body_json(row)
}

fn problem(status: u16, code: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({"code": code, "detail": "why", "status": status}))
}

async fn asked(server: &MockServer) -> Vec<String> {
    server.received_requests().await.unwrap().iter().map(|request| request.url.path().to_owned()).collect()
}

#[rstest]
#[case::no_such_path(problem(404, "route_unknown"))]
#[case::another_route_of_that_path(problem(405, "method_not_allowed"))]
#[case::refused_by_who_stands_before_it(ResponseTemplate::new(405))]
#[tokio::test]
async fn a_server_without_the_route_gets_entries_one_by_one_and_is_asked_again_after_a_while(
    #[case] answer: ResponseTemplate,
) {
    let server = MockServer::start().await;
    answers(&server, "/history/batch", answer).await;
    answers(&server, "/history", row(7)).await;
    let remote = remote(&server);
    let kept = vec![Ok(RowId::new(7).unwrap()); 3];
    assert_eq!(remote.create_all(&Call::system("spool"), batch()).await, Ok(kept.clone()));
    assert_eq!(asked(&server).await, ["/history/batch", "/history", "/history", "/history"]);
    for (request, n) in server.received_requests().await.unwrap()[1..].iter().zip(1..) {
        let header = |name| request.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header("idempotency-key"), Some(Uuid::from_u128(n).to_string()));
        assert_eq!(header("traceparent").as_deref(), (n == 2).then_some(TRACE));
        assert_eq!(header("x-flamewarden-actor").as_deref(), Some("system:spool"));
    }
    assert_eq!(remote.create_all(&Call::default(), batch()).await, Ok(kept.clone()));
    assert_eq!(asked(&server).await[4..], ["/history", "/history", "/history"]);
    *remote.one_by_one_until() = Some(Instant::now());
    assert_eq!(remote.create_all(&Call::default(), batch()).await, Ok(kept));
    assert_eq!(asked(&server).await[7..], ["/history/batch", "/history", "/history", "/history"]);
}

#[tokio::test]
async fn one_by_one_nothing_is_tried_after_a_failure_that_is_not_of_the_entry() {
    let server = MockServer::start().await;
    answers(&server, "/history/batch", problem(405, "method_not_allowed")).await;
    let of = |diagnosis: &str| Mock::given(path("/history")).and(body_partial_json(json!({"diagnosis": diagnosis})));
    of("a").respond_with(problem(400, "body_invalid")).mount(&server).await;
    of("b").respond_with(problem(503, "overloaded")).mount(&server).await;
    let results = remote(&server).create_all(&Call::default(), batch()).await.unwrap();
    let busy = Err(PortError::Overloaded { detail: "why".to_owned(), retry_after_s: 1 });
    assert_eq!(results, [Err(PortError::Invalid("why".to_owned())), busy.clone(), busy]);
    assert_eq!(asked(&server).await, ["/history/batch", "/history", "/history"]);
}

#[tokio::test]
async fn each_result_keeps_its_meaning() {
    let server = MockServer::start().await;
    let refused = |status: u16| json!({"status": status, "error": "why"});
    let results = |results: Value| ResponseTemplate::new(200).set_body_json(json!({ "results": results }));
    answers(&server, "/history/batch", results(json!([{"status": 201, "id": 7}, refused(400), refused(500)]))).await;
    let expected = [
        Ok(RowId::new(7).unwrap()),
        Err(PortError::Invalid("why".to_owned())),
        Err(PortError::Internal("why".to_owned())),
    ];
    assert_eq!(remote(&server).create_all(&Call::default(), batch()).await.unwrap(), expected);
    server.reset().await;
    answers(&server, "/history/batch", results(json!([refused(409), refused(504), refused(503)]))).await;
    let expected = [
        Err(PortError::Conflict("why".to_owned())),
        Err(PortError::Timeout("why".to_owned())),
        Err(PortError::Unavailable("why".to_owned())),
    ];
    assert_eq!(remote(&server).create_all(&Call::default(), batch()).await.unwrap(), expected);
    server.reset().await;
    answers(&server, "/history/batch", results(json!([{"status": 201, "id": 7}]))).await;
    let short = remote(&server).create_all(&Call::default(), batch()).await;
    assert!(matches!(&short, Err(PortError::Unavailable(why)) if why.contains("3 entries")), "{short:?}");
}
