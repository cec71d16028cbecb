//! Operations that are recorded while the server is killed (-9), and while the database is away.

use std::time::Duration;

use flamewarden::kernel::{Clock, SystemClock};
use flamewarden::storage::Embedded;
use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};
use tokio::time::{Instant, sleep};

use super::database::{address, outage};
use super::proxy::Proxy;
use crate::processes::{Node, free_port, until};
use crate::testing::{self, PrivateCluster};

const WRITERS: usize = 8;
const BATCHES: usize = 25;
const ROWS: usize = 20;

async fn number(session: &mut PgConnection, sql: &str) -> usize {
    let number: i64 = sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(session).await.expect(sql);
    usize::try_from(number).unwrap()
}

/// Records batches, each until it is answered, under one key: of now, and of hours that are over.
async fn write(url: &str, client: &reqwest::Client, writer: usize) {
    for batch in 0..BATCHES {
        let key = format!("00000000-0000-4000-8000-{writer:04}{batch:08}");
        let ended = SystemClock.now() - chrono::TimeDelta::hours(i64::try_from(batch % 3).unwrap());
        let one = json!({"operationType": "commit", "durationUs": 1_000 + batch, "scope": format!("writer {writer}"),
            "endedAt": ended});
        let body = json!({"metrics": vec![one; ROWS]});
        loop {
            let sent =
                client.post(format!("{url}/performance/metrics/batch")).header("Idempotency-Key", &key).json(&body);
            let answer = match sent.send().await {
                Ok(answer) if answer.status() == 200 => answer.json::<Value>().await.ok(),
                _ => None,
            };
            match answer {
                Some(answer) => {
                    assert_eq!(answer["accepted"], ROWS);
                    break;
                }
                None => sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_writers_repeat_after_a_kill_counts_once_and_rollups_equal_the_rows() {
    let database = testing::database().await;
    let data = tempfile::tempdir().unwrap();
    let settings =
        [("DATABASE_URL", &*database.url()), ("FUNCTION", "ReadPyroscopePerformance.sor.v1"), ("SELF_RECORD", "false")];
    let mut server = Node::start(free_port(), data.path(), &settings);
    server.ready().await;
    let (url, client) = (server.url.clone(), server.client().clone());
    let writers = tokio::spawn(async move {
        join_all((0..WRITERS).map(|writer| write(&url, &client, writer))).await;
    });
    let mut session = database.connect_options().connect().await.unwrap();
    // Another server's round rolls up all the while.
    let mut kills = 0;
    while !writers.is_finished() {
        sqlx::raw_sql("SELECT perf.refresh_rollups()").execute(&mut session).await.unwrap();
        sleep(Duration::from_millis(100)).await;
        if kills < 4 && number(&mut session, "SELECT count(*) FROM perf.ingest_key").await > 30 * (kills + 1) {
            server.kill_nine();
            kills += 1;
            server.restart();
            server.ready().await;
        }
    }
    writers.await.unwrap();
    assert_eq!(kills, 4);
    let rows = WRITERS * BATCHES * ROWS;
    assert_eq!(number(&mut session, "SELECT count(*) FROM perf.operation").await, rows, "each batch counts once");
    let rolled = "SELECT coalesce(sum(metric_count), 0)::bigint FROM perf.rolled_hour";
    let raw = "SELECT count(*) FROM perf.operation WHERE ended_at < (SELECT rolled_through FROM perf.rollup_state)";
    until("all late hours to be rolled up", || async {
        let mut session = database.connect_options().connect().await.unwrap();
        sqlx::raw_sql("SELECT perf.refresh_rollups()").execute(&mut session).await.unwrap();
        let late = number(&mut session, "SELECT count(*) FROM perf.late_hour").await;
        let (rolled, raw) = (number(&mut session, rolled).await, number(&mut session, raw).await);
        late == 0 && rolled == raw && raw > 0
    })
    .await;
    let samples = "SELECT sum(sample_count)::bigint FROM perf.rollup_hour WHERE scope IS NULL";
    assert_eq!(number(&mut session, samples).await, number(&mut session, rolled).await);
    let shown = "SELECT sum(sample_count)::bigint FROM perf.get_performance_trend('commit')";
    assert_eq!(number(&mut session, shown).await, rows, "what is not rolled up is read as it is");
}

/// Requests a second while the database is away.
const PER_SECOND: u32 = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_did_while_the_database_was_away_is_recorded_once_it_is_back() {
    let mut cluster = PrivateCluster::start().await;
    let embedded = cluster.embedded.take().unwrap();
    let options = embedded.connect_options();
    let proxy = Proxy::before_address(address(&options));
    let url = options.clone().port(proxy.port()).to_url_lossy().to_string();
    let data = tempfile::tempdir().unwrap();
    let settings = [("DATABASE_URL", &*url), ("PYROSCOPE_URL", "http://127.0.0.1:9/"), ("DB_CONNECT_TIMEOUT", "2s")];
    let server = Node::start(free_port(), data.path(), &settings);
    server.ready().await;
    embedded.stop().await;
    let requests = PER_SECOND * u32::try_from(outage().as_secs()).unwrap();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..requests {
        ticks.tick().await;
        let request = server.client().get(format!("{}/services/of-the-outage", server.url)).send();
        asked.spawn(async move { request.await.unwrap().status().as_u16() });
    }
    let answers = asked.join_all().await;
    assert!(answers.iter().all(|status| [503, 504].contains(status)), "{answers:?}");
    let embedded = Embedded::start(cluster.settings()).await.unwrap();
    proxy.moved(address(&embedded.connect_options()));
    let back = Instant::now();
    let recorded = "SELECT count(*) FROM perf.operation WHERE operation_type = 'registry.read' AND failed";
    until("the requests of the outage", || async {
        let Ok(mut session) = embedded.connect_options().connect().await else { return false };
        number(&mut session, recorded).await >= usize::try_from(requests).unwrap()
    })
    .await;
    println!("{requests} requests of {:?} were recorded {:.1?} after the database was back", outage(), back.elapsed());
    let mut session = embedded.connect_options().connect().await.unwrap();
    assert_eq!(number(&mut session, recorded).await, usize::try_from(requests).unwrap(), "each once");
    let log = server.log();
    let requests: Vec<_> = log.lines().filter(|line| line.contains("/services/of-the-outage")).collect();
    assert!(!requests.is_empty() && requests.iter().all(|line| line.contains("\"trace_id\":\"")), "{log}");
    let metrics = server.get("/metrics").await;
    assert!(!metrics.contains("perf_dropped_total{"), "none was dropped: {metrics}");
}
