//! What the server records of itself, and that nobody notices where it cannot.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;

use crate::harness::{Flamewarden, SORS, Setup};
use crate::processes::until;
use crate::pyroscope::{AFTER, Canned};
use crate::testing::{self, TestDatabase};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

async fn triaged(server: &Flamewarden, app: &str) -> (u16, Vec<u8>) {
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let request = server.request(Method::GET, &format!("/triage/{app}?{AFTER}")).header("traceparent", traceparent);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
}

/// The paths of the spans of the trace, once its root is there.
async fn paths(server: &Flamewarden, root: &str) -> Vec<String> {
    let path = format!("/performance/traces/{TRACE}");
    until("the trace", || async { server.json(&path).await.1["spans"].to_string().contains(&format!("\"{root}\"")) })
        .await;
    let trace = server.json(&path).await.1;
    let spans = trace["spans"].as_array().unwrap();
    let mut paths: Vec<_> = spans.iter().map(|span| span["path"].as_str().unwrap().to_owned()).collect();
    paths.sort();
    paths.dedup();
    paths
}

#[actix_web::test]
async fn a_triage_is_a_trace_of_what_it_was_made_of_in_the_trace_of_its_caller() {
    let canned = Canned::start().await;
    let database = testing::database().await;
    let setup = Setup::of(&[("PYROSCOPE_URL", &canned.url()), ("DATABASE_URL", &database.url())]);
    let server = setup.start().await;
    server.ready().await;
    assert_eq!(triaged(&server, "shop").await.0, 200);
    let found = paths(&server, "triage").await;
    for path in [
        "triage",
        "triage → baseline.read",
        "triage → profile.fetch",
        "triage → profile.fetch → pyroscope.query",
        "triage → registry.read",
    ] {
        assert!(found.iter().any(|found| found == path), "{path} in {found:?}");
    }
    until("the delivery of its assessment", || async {
        paths(&server, "triage").await.iter().any(|path| path.ends_with("history.deliver"))
    })
    .await;
    let trace = server.json(&format!("/performance/traces/{TRACE}")).await.1;
    let root = trace["spans"].as_array().unwrap().iter().find(|span| span["spanName"] == "triage").unwrap();
    assert_eq!((&root["scope"], &root["status"], &root["orphan"]), (&json!("shop"), &json!("success"), &json!(true)));
    let listed = server.json("/performance/operations?scope=shop").await.1.to_string();
    assert!(listed.contains("\"triage\"") && listed.contains("\"profile.fetch\""), "{listed}");
}

#[actix_web::test]
async fn processes_of_a_split_record_one_trace() {
    let canned = Canned::start().await;
    let database = testing::database().await;
    let setup = || Setup::of(&[("PYROSCOPE_URL", &canned.url()), ("DATABASE_URL", &database.url())]);
    let recorder = setup().with("FUNCTION", "ReadPyroscopePerformance.sor.v1").start().await;
    let (mut front, mut sors) = (Setup::of(&[]), Vec::new());
    for (variable, function) in SORS.iter().filter(|(variable, _)| *variable != "PERFORMANCE_URL") {
        let sor = setup().with("FUNCTION", function).with("PERFORMANCE_URL", recorder.base()).start().await;
        front = front.with(variable, sor.base());
        sors.push(sor);
    }
    let front = front.with("PERFORMANCE_URL", recorder.base()).start().await;
    for server in sors.iter().chain([&recorder, &front]) {
        server.ready().await;
    }
    assert_eq!(triaged(&front, "shop").await.0, 200);
    until("the spans of each process", || async {
        let found = paths(&recorder, "triage").await;
        ["triage → baseline.read → baseline.read", "triage → profile.fetch → profile.fetch → pyroscope.query"]
            .iter()
            .all(|path| found.iter().any(|found| found == path))
    })
    .await;
}

#[actix_web::test]
async fn what_failed_is_recorded_as_failed_and_what_people_run_the_server_by_is_not_recorded() {
    let database = testing::database().await;
    let server =
        Setup::of(&[("PYROSCOPE_URL", "http://127.0.0.1:9/"), ("DATABASE_URL", &database.url())]).start().await;
    server.ready().await;
    assert_eq!(triaged(&server, "shop").await.0, 502);
    for path in ["/health", "/metrics", "/alerts", "/performance/operations", "/audit"] {
        assert_eq!(server.get(path).send().await.unwrap().status(), 200, "{path}");
    }
    paths(&server, "triage").await;
    let trace = server.json(&format!("/performance/traces/{TRACE}")).await.1;
    let root = trace["spans"].as_array().unwrap().iter().find(|span| span["spanName"] == "triage").unwrap();
    assert_eq!(
        (&root["status"], &root["error"]["details"]["code"]),
        (&json!("failed"), &json!("profile_source_failed"))
    );
    let operations = server.json("/performance/operations").await.1;
    let types = operations["operations"].as_array().unwrap().iter().map(|row| row["operationType"].as_str().unwrap());
    let other: Vec<_> = types.filter(|kind| !kind.starts_with("job.")).collect();
    assert!(other.iter().all(|kind| ["triage", "profile.fetch", "pyroscope.query", "registry.read", "baseline.read"].contains(kind)), "{other:?}");
}

/// What a decision answers, apart from times and ids.
async fn decision(server: &Flamewarden) -> Value {
    let (status, body) = triaged(server, "shop").await;
    let mut body: Value = serde_json::from_slice(&body).unwrap();
    body.as_object_mut().unwrap().remove("assessedAt");
    json!([status, body])
}

async fn sql(database: &TestDatabase, sql: &'static str) {
    sqlx::raw_sql(sql).execute(&mut database.connect_options().connect().await.unwrap()).await.unwrap();
}

#[actix_web::test]
async fn a_decision_is_the_same_where_nothing_can_be_recorded() {
    let canned = Canned::start().await;
    let database = testing::database().await;
    let setup = Setup::of(&[("PYROSCOPE_URL", &canned.url()), ("DATABASE_URL", &database.url())]);
    let few = setup.clone().with("FLAMEWARDEN__PERFORMANCE__SELF_ROWS_PER_SECOND", "1");
    let (server, few) = (setup.start().await, few.start().await);
    server.ready().await;
    few.ready().await;
    let usual = decision(&server).await;
    // Locked: whoever records waits, who decides does not.
    let mut lock = database.connect_options().connect().await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE perf.operation IN ACCESS EXCLUSIVE MODE").execute(&mut lock).await.unwrap();
    for _ in 0..3 {
        assert_eq!(decision(&server).await, usual);
        assert_eq!(decision(&few).await, usual, "its bucket is empty");
    }
    sqlx::raw_sql("COMMIT").execute(&mut lock).await.unwrap();
    let health = few.json("/api/v1/health").await.1;
    assert_eq!(health["checks"]["performance"]["status"], "warn", "{health}");
    sql(&database, "DROP SCHEMA perf CASCADE").await;
    assert_eq!(decision(&server).await, usual);
    assert_eq!(server.json("/performance/operations").await.0, 503);
}

#[actix_web::test]
async fn requests_for_operations_that_are_stuck_leave_connections_to_decisions() {
    if std::env::var("FLAMEWARDEN_TEST_POOLER").is_ok() {
        eprintln!("skipped: how many sessions there are is for PgBouncer to say");
        return;
    }
    let canned = Canned::start().await;
    let database = testing::database().await;
    let setup =
        Setup::of(&[("PYROSCOPE_URL", &canned.url()), ("DATABASE_URL", &database.url()), ("DB_POOL_SIZE", "4")]);
    let server = setup.start().await;
    server.ready().await;
    let usual = decision(&server).await;
    let mut lock = database.connect_options().connect().await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE perf.operation IN ACCESS EXCLUSIVE MODE").execute(&mut lock).await.unwrap();
    let stuck: Vec<_> = (0..20).map(|_| actix_web::rt::spawn(server.get("/performance/operations").send())).collect();
    until("those that wait for the lock", || async {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let waiting: i64 = sqlx::query_scalar(waiting)
            .fetch_one(&mut database.connect_options().connect().await.unwrap())
            .await
            .unwrap();
        waiting >= 3
    })
    .await;
    for _ in 0..3 {
        assert_eq!(decision(&server).await, usual);
    }
    sqlx::raw_sql("COMMIT").execute(&mut lock).await.unwrap();
    for answer in stuck {
        assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    }
}
