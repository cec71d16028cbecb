//! What servers do by themselves: of several on one database one does it, also when that one is stopped or killed. And
//! nothing depends on it that people ask for.

use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection};

use crate::harness::{Flamewarden, Setup};
use crate::processes::{Node, free_port, until};
use crate::pyroscope::{AFTER, BOTH, Canned};
use crate::testing::{self, TestDatabase};

const CORE: &str = "ReadPyroscopeCore.sor.v1";
const UPKEEP: &str = "schedule_upkeep";

/// Two servers of the core on one database.
struct Pair {
    nodes: [Node; 2],
    database: TestDatabase,
    _data: tempfile::TempDir,
}

impl Pair {
    async fn start(database: TestDatabase) -> Self {
        let data = tempfile::tempdir().unwrap();
        let settings = [("FUNCTION", CORE), ("DATABASE_URL", &database.url())];
        let nodes = ["one", "two"].map(|name| Node::start(free_port(), &data.path().join(name), &settings));
        for node in &nodes {
            node.ready().await;
        }
        Self { nodes, database, _data: data }
    }

    /// Waits until one leads, and makes that one the first.
    async fn led(mut self) -> Self {
        until("a leader", || async { leads(&self.nodes[0]).await || leads(&self.nodes[1]).await }).await;
        if leads(&self.nodes[1]).await {
            self.nodes.swap(0, 1);
        }
        assert!(!leads(&self.nodes[1]).await, "one of them leads");
        self
    }

    async fn execute(&self, sql: &'static str) {
        let mut connection = self.database.connect_options().connect().await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    }
}

async fn leads(node: &Node) -> bool {
    node.get("/metrics").await.contains("scheduler_leader{group=\"core\"} 1\n")
}

async fn schedule(node: &Node) -> Value {
    serde_json::from_str(&node.get("/schedule").await).unwrap()
}

/// The job of that name, or null.
async fn job(node: &Node, name: &str) -> Value {
    let schedule = schedule(node).await;
    let found = schedule["jobs"].as_array().unwrap().iter().find(|job| job["name"] == name);
    found.cloned().unwrap_or_default()
}

async fn holder(node: &Node) -> (Value, Value) {
    let leader = &schedule(node).await["leaders"][0];
    (leader["holder"].clone(), leader["term"].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_servers_one_leads_and_when_it_is_stopped_the_other_does_and_runs_nothing_twice() {
    let mut pair = Pair::start(testing::database().await).await.led().await;
    let [first, second] = &mut pair.nodes;
    until("the first run", || async { job(second, UPKEEP).await["outcome"] == "ok" }).await;
    let (ran, led) = (job(second, UPKEEP).await, holder(second).await);
    assert_eq!((&ran["runs"], &ran["failures"], &ran["holder"], &led.1), (&json!(1), &json!(0), &led.0, &json!(1)));

    assert_eq!(first.terminate().await, Some(0));
    // It gave the lease back: nobody waits until that expires.
    until("another leader", || async { leads(second).await }).await;
    let now = holder(second).await;
    assert_ne!(now.0, led.0);
    assert_eq!(now.1, json!(2));
    let run = second.client().post(format!("{}/schedule/{UPKEEP}/run", second.url)).send().await.unwrap();
    assert_eq!(run.status(), 202);
    until("the run that was asked for", || async {
        let job = job(second, UPKEEP).await;
        job["holder"] == now.0 && job["finishedAt"].is_string()
    })
    .await;
    let again = job(second, UPKEEP).await;
    // Unless an hour has begun since, the due time was not run for again, and only what was asked for ran.
    if again["lastDueAt"] == ran["lastDueAt"] {
        assert_eq!((&again["runs"], &again["askedAt"]), (&json!(2), &Value::Null));
    }
    assert_eq!(again["failures"], 0);

    first.restart();
    first.ready().await;
    assert!(!leads(first).await, "the lease is held");
    assert_eq!(holder(first).await, now);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_server_is_killed_is_abandoned_and_done_by_the_next_leader() {
    let database = testing::database().await;
    let mut connection = database.connect_options().connect().await.unwrap();
    // Upkeep waits for this row, which it is to remove.
    let old = "INSERT INTO core.job (name, group_name, period_seconds, offset_seconds, last_due_at, started_at,
                                     finished_at, runs, failures, holder, term)
               SELECT 'gone', 'core', 60, 0, old, old, old, 1, 0, gen_random_uuid(), 1 FROM (SELECT now() - interval '31 days') AS t (old)";
    sqlx::raw_sql(old).execute(&mut connection).await.unwrap();
    let mut lock = connection.begin().await.unwrap();
    sqlx::raw_sql("SELECT FROM core.job WHERE name = 'gone' FOR UPDATE").execute(&mut *lock).await.unwrap();

    let mut pair = Pair::start(database).await.led().await;
    until("a run", || async { job(&pair.nodes[1], UPKEEP).await["startedAt"].is_string() }).await;
    let (begun, led) = (job(&pair.nodes[1], UPKEEP).await, holder(&pair.nodes[1]).await);
    assert_eq!((&begun["finishedAt"], &begun["outcome"], &begun["holder"]), (&Value::Null, &Value::Null, &led.0));
    pair.nodes[0].kill_nine();
    pair.execute("UPDATE core.lease SET expires_at = clock_timestamp()").await;
    let survivor = &pair.nodes[1];
    until("the run to be abandoned", || async { job(survivor, UPKEEP).await["outcome"] == "abandoned" }).await;
    lock.rollback().await.unwrap();
    until("the run to be done", || async { job(survivor, UPKEEP).await["outcome"] == "ok" }).await;
    let done = job(survivor, UPKEEP).await;
    assert_eq!((&done["runs"], &done["failures"], &done["term"]), (&json!(2), &json!(1), &json!(2)));
    assert_ne!(done["holder"], led.0);
    assert_eq!(job(survivor, "gone").await, Value::Null);
    let metrics = survivor.get("/metrics").await;
    for outcome in ["abandoned", "ok"] {
        let line = format!("scheduler_runs_total{{job=\"{UPKEEP}\",outcome=\"{outcome}\"}} 1\n");
        assert!(metrics.contains(&line), "{line} is not in {metrics}");
    }
    assert!(metrics.contains(&format!("scheduler_run_duration_seconds_count{{job=\"{UPKEEP}\"}} 1\n")), "{metrics}");
}

/// Decisions over windows that are over.
fn questions() -> [String; 5] {
    [
        format!("/triage/shop?types=cpu&{AFTER}"),
        format!("/diff/shop?{BOTH}"),
        format!("/search?function=cart&{AFTER}"),
        format!("/fleet/hotspots?{AFTER}"),
        "/baselines/shop".to_owned(),
    ]
}

async fn ask_all(server: &Flamewarden) -> Vec<(u16, Value)> {
    let questions = questions();
    join_all(questions.iter().map(|path| server.json(path))).await
}

#[actix_web::test]
async fn decisions_are_as_before_with_the_core_locked_or_gone_and_the_server_still_stops() {
    let (canned, database) = (Canned::start().await, testing::database().await);
    let server = Setup::of(&[("PYROSCOPE_URL", &canned.url()), ("DATABASE_URL", &database.url())]).start().await;
    server.ready().await;
    let before = ask_all(&server).await;
    assert!(before.iter().all(|(status, _)| *status == 200), "{before:?}");
    let mut connection = database.connect_options().connect().await.unwrap();
    let mut lock = connection.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE core.lease, core.job IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    assert_eq!(ask_all(&server).await, before);
    sqlx::raw_sql("DROP SCHEMA core CASCADE").execute(&mut *lock).await.unwrap();
    lock.commit().await.unwrap();
    assert_eq!(ask_all(&server).await, before);
    let (status, body) = server.json("/schedule").await;
    assert_eq!((status, &body["code"]), (503, &json!("database_unavailable")));
    assert_eq!(server.json("/ready").await.0, 200);
    server.stop().await;
    assert!(server.get("/ready").send().await.is_err());
}
