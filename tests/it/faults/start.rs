//! Starts that fail halfway. Each gives the reason in its log and in `/ready`, and ends on SIGTERM.

use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use super::{Said, ask};
use crate::harness::Setup;
use crate::processes::{Node, free_port, until};
use crate::testing::{self, TestDatabase};

async fn execute(database: &TestDatabase, sql: String) {
    let mut connection = database.connect_options().connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// The URL of the database with another role or database name.
fn url(options: &PgConnectOptions, role: &str, database: &str) -> String {
    format!("postgres://{role}:secret@127.0.0.1:{}/{database}", options.get_port())
}

/// The answer of `/ready` once it says that the server is not ready.
async fn not_ready(node: &Node) -> Value {
    let url = format!("{}/ready", node.url);
    until("a server that answers", || async { node.client().get(&url).send().await.is_ok() }).await;
    let answer = node.client().get(&url).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().contains_key("retry-after")), (503, true));
    answer.json().await.unwrap()
}

/// A server that never becomes ready, and what its detail must contain.
async fn waits(tmp: &Path, settings: &[(&str, &str)], expected: &str) {
    let mut node = Node::start(free_port(), tmp, settings);
    until(expected, || async { not_ready(&node).await["detail"].as_str().unwrap().contains(expected) }).await;
    let detail = not_ready(&node).await["detail"].as_str().unwrap().to_owned();
    assert!(!detail.contains("127.0.0.1") && !detail.contains("secret"), "nothing internal reaches a client: {detail}");
    assert!(node.log().contains("the database is not ready; it is tried again"), "{}", node.log());
    assert_eq!(node.terminate().await, Some(0), "{}", node.log());
}

/// A server whose start cannot succeed ends by itself. It gives the reason twice: as a line of its log and as its last
/// line.
async fn ends(tmp: &Path, settings: &[(&str, &str)], expected: &str) {
    let mut node = Node::start(free_port(), tmp, settings);
    assert_eq!(node.ended().await, Some(3), "{}", node.log());
    let log = node.log();
    let last = log.lines().last().unwrap();
    assert!(last.starts_with("error: ") && last.contains(expected), "{log}");
    assert_eq!(last.matches(expected).count(), 1, "said once: {last}");
}

#[tokio::test]
async fn a_schema_that_somebody_else_makes_is_waited_for() {
    let (database, tmp) = (testing::empty_database().await, tempfile::tempdir().unwrap());
    waits(tmp.path(), &[("DATABASE_URL", &database.url()), ("MIGRATE", "false")], "migrations are missing: 1").await;
}

#[tokio::test]
async fn a_wrong_password_is_named_and_does_not_keep_the_server_from_ending() {
    let (database, tmp) = (testing::empty_database().await, tempfile::tempdir().unwrap());
    let options = database.connect_options();
    let url = url(&options, "nobody_of_this_name", options.get_database().unwrap());
    waits(tmp.path(), &[("DATABASE_URL", &url)], "it refused this server's user or password (SQLSTATE 28").await;
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_named() {
    let (database, tmp) = (testing::empty_database().await, tempfile::tempdir().unwrap());
    let url = database.url();
    let (server, _) = url.rsplit_once('/').unwrap();
    let url = format!("{server}/no_such_database");
    waits(tmp.path(), &[("DATABASE_URL", &url)], "no database has the name that the settings give").await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_waited_for() {
    let tmp = tempfile::tempdir().unwrap();
    let url = format!("postgres://me:secret@127.0.0.1:{}/flamewarden", free_port());
    waits(tmp.path(), &[("DATABASE_URL", &url)], "it cannot be reached").await;
}

#[tokio::test]
async fn a_migration_that_was_changed_ends_the_start() {
    let (database, tmp) = (testing::database().await, tempfile::tempdir().unwrap());
    execute(&database, r"UPDATE _sqlx_migrations SET checksum = '\x00' WHERE version = 1".to_owned()).await;
    ends(tmp.path(), &[("DATABASE_URL", &database.url())], "migration 1 (performance baseline)").await;
}

#[tokio::test]
async fn a_role_without_the_right_to_make_tables_ends_the_start() {
    let (database, tmp) = (testing::empty_database().await, tempfile::tempdir().unwrap());
    let options = database.connect_options();
    let name = options.get_database().unwrap().to_owned();
    let role = format!("plain_{name}");
    execute(&database, format!("CREATE ROLE {role} LOGIN PASSWORD 'secret'")).await;
    let url = url(&options, &role, &name);
    ends(tmp.path(), &[("DATABASE_URL", &url)], "grant it CREATE on the database").await;
    execute(&database, format!("DROP ROLE {role}")).await;
}

#[rstest]
#[case::is_a_file("file")]
#[case::is_below_a_file("file/below")]
#[tokio::test]
async fn a_data_directory_that_cannot_be_used_is_named_once(#[case] path: &str) {
    let tmp = tempfile::tempdir().unwrap();
    std::fs::write(tmp.path().join("file"), "not a directory").unwrap();
    let dir = tmp.path().join(path).display().to_string();
    ends(tmp.path(), &[("DATA_DIR", &dir)], &format!("DATA_DIR {dir} cannot be used")).await;
}

#[actix_web::test]
async fn until_its_schema_is_there_a_server_says_that_it_is_starting() {
    let database = testing::empty_database().await;
    let server = Setup::of(&[("DATABASE_URL", &database.url()), ("MIGRATE", "false")]).start().await;
    let rule = json!({"appName": "load", "profileType": "cpu", "thresholdPercent": 20});
    let asked = futures::join!(
        Said::of(ask(&server, "/rules", Some(&rule))),
        Said::of(server.get("/baselines/load")),
        Said::of(server.get("/profiles/apps")),
        Said::of(server.get("/triage/load")),
        Said::of(server.request(Method::POST, "/ingest?name=load").body("main;work 5\n")),
    );
    for said in [asked.0, asked.1, asked.2, asked.3, asked.4] {
        assert_eq!(said.problem(), (503, "not_ready"), "{said:?}");
        let detail = said.body["detail"].as_str().unwrap();
        assert!(detail.starts_with("the server is starting, its database is not ready: "));
    }
    tokio::time::timeout(Duration::from_secs(30), server.stop()).await.unwrap();
}
