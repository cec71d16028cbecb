//! What a process serves, and where its systems of record are.

use std::time::Duration;

use flamewarden::app::Application;
use flamewarden::config::Settings;
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{Flamewarden, Setup};

const BASELINE: &str = "ReadPyroscopeBaseline.sor.v1";
const PROFILE: &str = "ReadPyroscopeProfile.sor.v1";
const REGISTRY: &str = "ReadPyroscopeServiceRegistry.sor.v1";
const RULES: &str = "ReadPyroscopeAlertRule.sor.v1";
const V2: &str = "ReadPyroscopeTriageAssessment.v2";

async fn status(server: &Flamewarden, path: &str) -> (u16, Value) {
    let answer = server.get(path).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

#[actix_web::test]
async fn a_process_without_a_database_is_ready_and_says_nothing_of_one() {
    let server = Setup::of(&[("PYROSCOPE_URL", "http://127.0.0.1:9"), ("FUNCTION", PROFILE)]).start().await;
    assert_eq!(status(&server, "/ready").await.0, 200);
    let (code, body) = status(&server, "/api/v1/health").await;
    assert_eq!((code, body["status"].as_str()), (200, Some("degraded")));
    assert!(body["checks"].get("database").is_none(), "{body}");
    let (_, numbers) = status(&server, "/metrics/health").await;
    assert!(numbers.as_object().unwrap().keys().all(|key| !key.starts_with("database")), "{numbers}");
}

#[actix_web::test]
async fn a_dead_source_of_profiles_does_not_make_a_process_unready() {
    let server = Setup::of(&[("PYROSCOPE_URL", "http://127.0.0.1:9"), ("FUNCTION", PROFILE)]).start().await;
    let (code, body) = status(&server, "/profiles/apps").await;
    assert_eq!((code, body["code"].as_str()), (502, Some("profile_source_failed")));
    assert!(!body["detail"].as_str().unwrap().contains("127.0.0.1"), "{body}");
    assert_eq!(status(&server, "/ready").await.0, 200);
}

#[actix_web::test]
async fn a_remote_system_of_record_passes_through() {
    let database = crate::testing::database().await;
    let sor = Setup::of(&[("DATABASE_URL", &database.url()), ("FUNCTION", BASELINE)]).start().await;
    sor.ready().await;
    let front = Setup::of(&[("BASELINE_URL", sor.base()), ("FUNCTION", BASELINE)]).start().await;
    let baseline = json!({"appName": "shop", "profileType": "cpu", "functionName": "f", "maxSelfPercent": 5.5});
    let answer = front.request(reqwest::Method::POST, "/baselines").json(&baseline).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let row: Value = answer.json().await.unwrap();
    let (_, there) = status(&sor, "/baselines/shop").await;
    assert_eq!(there["baselines"], json!([row]));
    let (_, here) = status(&front, "/baselines/shop").await;
    assert_eq!(here, there);
}

#[rstest]
#[case(REGISTRY, "REGISTRY_URL", "/services", json!({"appName": "shop", "pyroscopeLabels": {"env": "prod"}}), "/services/shop")]
#[case(RULES, "ALERT_RULE_URL", "/rules", json!({"appName": "shop", "profileType": "cpu", "thresholdPercent": 20}), "/rules/1")]
#[actix_web::test]
async fn owners_and_rules_of_another_server_are_the_same_here(
    #[case] function: &str,
    #[case] variable: &str,
    #[case] list: &str,
    #[case] new: Value,
    #[case] row: &str,
) {
    let database = crate::testing::database().await;
    let sor = Setup::of(&[("DATABASE_URL", &database.url()), ("FUNCTION", function)]).start().await;
    sor.ready().await;
    let front = Setup::of(&[(variable, sor.base()), ("FUNCTION", function)]).start().await;
    assert_eq!(front.request(reqwest::Method::POST, list).json(&new).send().await.unwrap().status(), 201);
    for path in [list, row] {
        let (there, here) = (status(&sor, path).await, status(&front, path).await);
        assert_eq!(there.0, 200, "{path}: {}", there.1);
        assert_eq!(there, here, "{path}");
    }
    // A URL of a server with another function does not mean that there is no data.
    let astray = Setup::of(&[(variable, &format!("{}/astray", sor.base())), ("FUNCTION", function)]).start().await;
    let (code, body) = status(&astray, row).await;
    assert_eq!((code, &body["code"]), (503, &json!("database_unavailable")), "{body}");
    assert_eq!(status(&astray, list).await.0, 503);
}

#[actix_web::test]
async fn a_start_that_cannot_serve_is_refused_with_the_reason() {
    for (variables, reason) in [
        (vec![("FUNCTION", V2)], "PROFILE_DATA_URL"),
        (vec![("FUNCTION", V2), ("DATABASE_URL", "postgres://u:p@127.0.0.1:9/x")], "PYROSCOPE_URL"),
    ] {
        let all = variables.iter().chain(&[("PORT", "0")]).map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        let (settings, _) = Settings::load(&flamewarden::app::functions(), None, all).unwrap();
        let error = Application::build(settings).await.err().unwrap().to_string();
        assert!(error.contains(reason), "{error}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let variables = [("PORT", port.as_str()), ("PYROSCOPE_URL", "http://127.0.0.1:9"), ("FUNCTION", PROFILE)];
    let (settings, _) =
        Settings::load(&flamewarden::app::functions(), None, variables.map(|(n, v)| (n.to_owned(), v.to_owned())))
            .unwrap();
    let error = format!("{:#}", Application::build(settings).await.err().unwrap());
    assert!(error.contains("set PORT or HOST"), "{error}");
}

#[actix_web::test]
async fn a_database_that_is_away_leaves_the_process_alive_and_unready() {
    let variables = [("DATABASE_URL", "postgres://u:secret@127.0.0.1:9/x"), ("FUNCTION", BASELINE)];
    let server = Setup::of(&variables).start().await;
    let answer = server.get("/ready").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (503, "1"));
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["code"], "not_ready");
    assert!(!body.to_string().contains("127.0.0.1") && !body.to_string().contains("secret"), "{body}");
    assert_eq!(status(&server, "/live").await.0, 200);
    let (code, body) = status(&server, "/api/v1/health").await;
    assert_eq!((code, body["status"].as_str()), (503, Some("unhealthy")));
    assert_eq!(body["checks"]["database"]["status"], "fail");
    let answer = server.get("/baselines/shop").send().await.unwrap();
    assert!(answer.headers().contains_key("retry-after"));
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["code"], "not_ready");
}

#[actix_web::test]
async fn a_spool_that_cannot_be_written_leaves_the_process_alive_and_unready() {
    let data = tempfile::tempdir().unwrap();
    let nobody = "http://127.0.0.1:9";
    let variables = [("PROFILE_DATA_URL", nobody), ("HISTORY_URL", nobody), ("FUNCTION", V2)];
    let server = Setup::of(&variables).with("DATA_DIR", data.path().to_str().unwrap()).start().await;
    assert_eq!(status(&server, "/ready").await.0, 200, "a history that is away is another server's affair");
    let (spool, away) = (data.path().join("spool"), data.path().join("away"));
    std::fs::rename(&spool, &away).unwrap();
    let (code, body) = status(&server, "/ready").await;
    assert_eq!((code, body["detail"].as_str()), (503, Some("the spool cannot be written")));
    assert_eq!(status(&server, "/live").await.0, 200);
    let (code, body) = status(&server, "/api/v1/health").await;
    assert_eq!(
        (code, body["status"].as_str(), &body["checks"]["spool"]["status"]),
        (200, Some("degraded"), &json!("warn"))
    );
    std::fs::rename(&away, &spool).unwrap();
    assert_eq!(status(&server, "/ready").await.0, 200);
}

#[actix_web::test]
async fn a_request_in_flight_is_finished_when_the_server_stops() {
    let slow = wiremock::MockServer::start().await;
    let delayed = wiremock::ResponseTemplate::new(500).set_delay(Duration::from_millis(700));
    wiremock::Mock::given(wiremock::matchers::any()).respond_with(delayed).mount(&slow).await;
    let server = Setup::of(&[("PYROSCOPE_URL", &slow.uri()), ("FUNCTION", PROFILE)]).start().await;
    let request = server.get("/profiles/apps").send();
    let request = actix_web::rt::spawn(request);
    while slow.received_requests().await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    server.stop().await;
    assert_eq!(request.await.unwrap().unwrap().status(), 502);
    assert!(server.get("/health").send().await.is_err(), "it accepts no more");
}
