//! Every error code of the table is answered by some route. A code that none answers does not belong there.

use std::time::Duration;

use flamewarden::http::Code;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::harness::{Flamewarden, Setup};

const PROFILE: &str = "ReadPyroscopeProfile.sor.v1";
const BASELINE: &str = "ReadPyroscopeBaseline.sor.v1";

#[actix_web::test]
async fn every_code_of_the_table_is_reachable() {
    let mut seen = asked_wrongly().await;
    seen.extend(of_strangers().await);
    seen.push(with_too_large_a_body().await);
    seen.push(of_a_broken_row().await);
    seen.push(of_a_broken_database().await);
    seen.extend(of_a_source_of_profiles().await);
    seen.extend(without_a_database().await);
    seen.extend(of_a_busy_database().await);
    let missing: Vec<_> = Code::ALL.iter().filter(|code| !seen.contains(code)).collect();
    assert!(missing.is_empty(), "never answered: {missing:?}");
}

/// The code of an answer. The rest of the answer must be as the table says.
async fn code(request: RequestBuilder) -> Code {
    let answer = request.send().await.unwrap();
    let (status, kind) = (answer.status(), answer.headers()["content-type"].clone());
    let body: Value = answer.json().await.unwrap();
    assert_eq!(kind, "application/problem+json", "{body}");
    let code = Code::of_id(body["code"].as_str().unwrap()).unwrap();
    let row = code.row();
    assert_eq!(status, row.status, "{body}");
    assert_eq!((&body["title"], &body["retryable"]), (&json!(row.title), &json!(row.retryable)));
    code
}

/// Errors of callers whom the server does not know, or does not let do what they ask.
async fn of_strangers() -> Vec<Code> {
    let gateways = [("TRUSTED_PROXIES", "127.0.0.1"), ("FUNCTION", PROFILE), ("PYROSCOPE_URL", "http://127.0.0.1:9")];
    let server = Setup::of(&gateways).start().await;
    let get = || server.get("/profiles/apps");
    let mut seen = vec![code(get()).await, code(get().header("X-User", "sdk").header("X-Role", "ingest")).await];
    for _ in 0..=20 {
        seen.push(code(get().bearer_auth("x")).await);
    }
    let open = Setup::of(&[("FUNCTION", PROFILE), ("PYROSCOPE_URL", "http://127.0.0.1:9")]).start().await;
    seen.push(code(open.get("/whoami").header("Host", "evil.example")).await);
    seen
}

/// Errors of the caller.
async fn asked_wrongly() -> Vec<Code> {
    let server = Flamewarden::start().await;
    let get = |path: &str| server.get(path);
    let delete = |path: &str| server.request(Method::DELETE, path);
    let baseline = || server.request(Method::POST, "/baselines");
    let ingest = |query: &str, body: String| {
        server.receiver().request(Method::POST, &format!("/ingest?name=shop{query}")).body(body)
    };
    let deep = format!("{}leaf 1", "frame;".repeat(5_000));
    let requests = [
        (Code::ParameterInvalid, get("/profiles/shop?limit=many")),
        (Code::ParameterUnknown, get("/profiles/shop?nope=1")),
        (Code::BodyInvalid, baseline().json(&json!({"appName": "shop"}))),
        (Code::ProfileTypeUnknown, get("/profiles/shop?type=disk")),
        (Code::WindowInvalid, get("/profiles/shop?from=now&to=now-1h")),
        (Code::WindowsOverlap, get("/diff/shop?baselineFrom=now-2h&baselineTo=now-30m")),
        (Code::TimeOutOfRange, ingest("&from=1000000000&until=1000000010", "main 1".to_owned())),
        (Code::AppUnknown, get("/profiles/nobody")),
        (Code::BaselineUnknown, delete("/baselines/1")),
        (Code::HistoryUnknown, delete("/history/1")),
        (Code::RuleUnknown, delete("/rules/1")),
        (Code::AlertUnknown, get("/alerts/1")),
        (Code::SilenceUnknown, delete("/silences/1")),
        (Code::JobUnknown, server.request(Method::POST, "/schedule/nobody/run")),
        (Code::ChannelUnknown, server.request(Method::POST, "/channels/nobody/test")),
        (Code::NotificationUnknown, server.request(Method::POST, "/notifications/1/retry")),
        (Code::ServiceUnknown, get("/services/nobody")),
        (Code::MetricUnknown, get("/performance/metrics/1")),
        (Code::SpanUnknown, server.request(Method::PUT, "/performance/spans/1/end").json(&json!({"status": "failed"}))),
        (Code::TraceUnknown, get("/performance/traces/1")),
        (Code::OperationUnknown, get("/performance/operations/nobody")),
        (Code::LatencyBaselineUnknown, get("/performance/baselines/1")),
        (Code::LatencyAlertUnknown, get("/performance/alerts/1")),
        (
            Code::SamplesInsufficient,
            server.request(Method::POST, "/performance/baselines").json(&json!({"operationType": "nobody"})),
        ),
        (Code::RouteUnknown, get("/nope")),
        (Code::MethodNotAllowed, delete("/health")),
        (Code::ProfileTooLarge, ingest("", deep)),
        (Code::ContentTypeUnsupported, baseline().body("{}")),
        (Code::ProfileUnreadable, ingest("&format=pprof", "no pprof".to_owned())),
    ];
    let mut seen = Vec::new();
    for (expected, request) in requests {
        assert_eq!(code(request).await, expected);
        seen.push(expected);
    }
    seen
}

/// A body is refused by its Content-Length before any of it is sent.
async fn with_too_large_a_body() -> Code {
    let server = Flamewarden::start().await;
    let mut connection = tokio::net::TcpStream::connect(server.base().trim_start_matches("http://")).await.unwrap();
    let head = "POST /baselines HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9000000\r\n\r\n";
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    while !answer.contains("\"retryable\"") {
        let mut bytes = [0; 4096];
        let read = connection.read(&mut bytes).await.unwrap();
        assert_ne!(read, 0, "{answer}");
        answer.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("\"body_too_large\""), "{answer}");
    Code::BodyTooLarge
}

/// Runs SQL on the database of a running server.
async fn by_hand(server: &Flamewarden, sql: &'static str) {
    let options = server.database().unwrap().connect_options();
    let mut beside = PgConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut beside).await.unwrap();
}

/// A row is written by hand past a check of its table, and the check applies to all writes again. A change that
/// corrects the row is taken, one that would keep the wrong value is refused.
async fn of_a_broken_row() -> Code {
    let server = Flamewarden::start().await;
    let sql = "ALTER TABLE performance_baseline DROP CONSTRAINT performance_baseline_severity_check;
               INSERT INTO performance_baseline (app_name, profile_type, function_name, max_self_percent, severity)
               VALUES ('shop', 'cpu', 'main', 5, 'dreadful');
               ALTER TABLE performance_baseline ADD CONSTRAINT performance_baseline_severity_check
               CHECK (severity IN ('info', 'warning', 'critical')) NOT VALID";
    by_hand(&server, sql).await;
    let change = |body: Value| server.request(Method::PUT, "/baselines/1").json(&body);
    assert_eq!(code(change(json!({"maxSelfPercent": 6}))).await, Code::Conflict);
    let mended = change(json!({"severity": "info"})).send().await.unwrap();
    assert_eq!(mended.status(), 200);
    let row: Value = mended.json().await.unwrap();
    assert_eq!(
        (&row["maxSelfPercent"], &row["severity"]),
        (&json!(5.0), &json!("info")),
        "nothing was kept of the first"
    );
    Code::Conflict
}

/// A trigger that somebody added fails.
async fn of_a_broken_database() -> Code {
    let server = Flamewarden::start().await;
    let sql = "CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN 1 / 0; END $$;
               CREATE TRIGGER fails BEFORE INSERT ON performance_baseline FOR EACH ROW EXECUTE FUNCTION fails()";
    by_hand(&server, sql).await;
    let baseline = json!({"appName": "shop", "profileType": "cpu", "functionName": "main", "maxSelfPercent": 5});
    assert_eq!(code(server.request(Method::POST, "/baselines").json(&baseline)).await, Code::Internal);
    Code::Internal
}

/// The errors of a Pyroscope server, as its readers see them.
async fn of_a_source_of_profiles() -> Vec<Code> {
    let mut seen = Vec::new();
    for (expected, answer) in [
        (Code::ProfileSourceBusy, ResponseTemplate::new(429)),
        (Code::ProfileSourceDenied, ResponseTemplate::new(401)),
        (Code::ProfileSourceFailed, ResponseTemplate::new(200).set_body_string("no message")),
        (Code::Timeout, ResponseTemplate::new(200).set_delay(Duration::from_secs(5))),
    ] {
        let source = MockServer::start().await;
        Mock::given(any()).respond_with(answer).mount(&source).await;
        let setup = Setup::of(&[("FUNCTION", PROFILE), ("PYROSCOPE_TIMEOUT", "200ms")]);
        let server = setup.with("PYROSCOPE_URL", &source.uri()).start().await;
        assert_eq!(code(server.get("/profiles/shop")).await, expected);
        let push = server.request(Method::POST, "/ingest?name=shop").body("main 1");
        assert_eq!(code(push).await, Code::ReceiverOff);
        seen.extend([expected, Code::ReceiverOff]);
    }
    seen
}

async fn without_a_database() -> Vec<Code> {
    let server = Setup::of(&[("FUNCTION", BASELINE), ("DATABASE_URL", "postgres://u:p@127.0.0.1:9/x")]).start().await;
    assert_eq!(code(server.get("/ready")).await, Code::NotReady);
    assert_eq!(code(server.get("/baselines/shop")).await, Code::NotReady);
    let front = Setup::of(&[("FUNCTION", BASELINE), ("BASELINE_URL", "http://127.0.0.1:9")]).start().await;
    assert_eq!(code(front.get("/baselines/shop")).await, Code::DatabaseUnavailable);
    vec![Code::NotReady, Code::DatabaseUnavailable]
}

/// One connection, and a locked table: the request with the connection times out, the one that waits for it is refused.
async fn of_a_busy_database() -> Vec<Code> {
    let database = crate::testing::database().await;
    let setup = Setup::of(&[("FUNCTION", BASELINE), ("DB_POOL_SIZE", "1")]);
    let setup = setup.with("DB_CONNECT_TIMEOUT", "1s").with("DB_QUERY_TIMEOUT", "4s");
    let server = setup.with("DATABASE_URL", &database.url()).start().await;
    server.ready().await;
    let mut beside = PgConnection::connect_with(&database.connect_options()).await.unwrap();
    let mut lock = beside.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE performance_baseline").execute(&mut *lock).await.unwrap();
    let ask = || code(server.get("/baselines/shop"));
    let (one, other) = tokio::join!(ask(), ask());
    let seen = vec![one, other];
    assert!(seen.contains(&Code::Overloaded) && seen.contains(&Code::Timeout), "{seen:?}");
    seen
}
