//! Retention on a real database.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use super::*;
use crate::kernel::{FixedClock, PortError};
use crate::storage::testing::{TestDatabase, database};

const DAYS: u32 = 30;

fn now() -> DateTime<Utc> {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

struct Setup {
    retention: Retention,
    clock: Arc<FixedClock>,
    database: TestDatabase,
    connection: PgConnection,
}

async fn setup() -> Setup {
    let database = database().await;
    let clock = Arc::new(FixedClock::at(now()));
    let retention = Retention::new(database.db.clone(), clock.clone(), DAYS);
    let connection = database.connect_options().connect().await.unwrap();
    Setup { retention, clock, database, connection }
}

impl Setup {
    /// Adds assessments of an app, the first so many seconds before the present, each a second older than the one before.
    async fn add(&mut self, app: &str, rows: i64, seconds: i64) {
        sqlx::query(
            "INSERT INTO triage_history (app_name, diagnosis, severity, created_at)
             SELECT $1, 'gc_pressure', 'high', $2 - n * interval '1 second' FROM generate_series(0, $3 - 1) AS n",
        )
        .bind(app)
        .bind(now() - TimeDelta::seconds(seconds))
        .bind(rows)
        .execute(&mut self.connection)
        .await
        .unwrap();
    }

    /// How many assessments each app has.
    async fn left(&mut self) -> Vec<(String, i64)> {
        sqlx::query_as(r#"SELECT app_name, count(*) FROM triage_history GROUP BY 1 ORDER BY app_name COLLATE "C""#)
            .fetch_all(&mut self.connection)
            .await
            .unwrap()
    }
}

fn apps(apps: &[(&str, i64)]) -> Vec<(String, i64)> {
    apps.iter().map(|(app, rows)| ((*app).to_owned(), *rows)).collect()
}

const KEPT_S: i64 = DAYS as i64 * 86_400;

#[tokio::test]
async fn old_assessments_go_and_young_ones_stay_to_the_second() {
    let mut setup = setup().await;
    setup.add("Shop", 4, KEPT_S - 1).await;
    setup.add("größe 🔥", 3, KEPT_S + 1).await;
    setup.add("shop", 2, 0).await;
    assert_eq!(setup.retention.expire().await, Ok(2 + 3));
    assert_eq!(setup.left().await, apps(&[("Shop", 2), ("shop", 2)]));
    assert_eq!(setup.retention.expire().await, Ok(0));
    setup.clock.advance(TimeDelta::seconds(1));
    assert_eq!(setup.retention.expire().await, Ok(1));
    assert_eq!(setup.left().await, apps(&[("Shop", 1), ("shop", 2)]));
}

#[tokio::test]
async fn an_empty_history_has_nothing_to_delete() {
    assert_eq!(setup().await.retention.expire().await, Ok(0));
}

#[tokio::test]
async fn batches_go_on_over_all_apps_until_nothing_is_old() {
    let mut setup = setup().await;
    let batch = i64::from(BATCH);
    // A batch to the row, more than two of one app, and some of several in one.
    let old = [("a", batch), ("b", 2 * batch + 1), ("c", 1), ("d", batch / 2), ("e", batch)];
    for (app, rows) in old {
        setup.add(app, rows, KEPT_S + 1).await;
    }
    setup.add("b", 7, 0).await;
    let all: i64 = old.iter().map(|(_, rows)| rows).sum();
    assert_eq!(setup.retention.expire().await, Ok(all.unsigned_abs()));
    assert_eq!(setup.left().await, apps(&[("b", 7)]));
}

#[tokio::test]
async fn assessments_of_one_instant_go_too_and_those_far_apart() {
    let mut setup = setup().await;
    setup.add("a", 3, KEPT_S + 1).await;
    setup.add("a", 2, 40 * KEPT_S).await;
    let more = "INSERT INTO triage_history (app_name, diagnosis, severity, created_at)
                SELECT 'b', 'gc_pressure', 'high', '2001-02-03Z' FROM generate_series(1, $1)";
    let many = 2 * i64::from(BATCH) + 1;
    sqlx::query(more).bind(many).execute(&mut setup.connection).await.unwrap();
    assert_eq!(setup.retention.expire().await, Ok(many.unsigned_abs() + 5));
    assert_eq!(setup.left().await, []);
}

#[tokio::test]
async fn several_servers_delete_each_row_once_and_none_waits_for_a_row_that_another_holds() {
    let mut setup = setup().await;
    setup.add("a", 3 * i64::from(BATCH), KEPT_S + 1).await;
    let options = setup.database.connect_options();
    let mut other = options.connect().await.unwrap();
    let mut held = other.begin().await.unwrap();
    let oldest = "DELETE FROM triage_history WHERE id = (SELECT max(id) FROM triage_history)";
    sqlx::query(oldest).execute(&mut *held).await.unwrap();
    let (a, b) = futures::join!(setup.retention.expire(), setup.retention.expire());
    assert_eq!(a.unwrap() + b.unwrap(), 3 * u64::from(BATCH) - 1);
    held.rollback().await.unwrap();
    assert_eq!(setup.retention.expire().await, Ok(1));
}

#[tokio::test]
async fn a_database_that_is_away_loses_nothing_and_is_tried_again() {
    let mut setup = setup().await;
    setup.add("a", 2, KEPT_S).await;
    let options = setup.database.connect_options();
    let name = options.get_database().unwrap().to_owned();
    let mut server = options.clone().database("postgres").connect().await.unwrap();
    for (there, outcome) in [(false, None), (true, Some(1))] {
        let let_in = AssertSqlSafe(format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {there}"));
        sqlx::query(let_in).execute(&mut server).await.unwrap();
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
        sqlx::query(cut).bind(&name).execute(&mut server).await.unwrap();
        match (setup.retention.expire().await, outcome) {
            (Ok(rows), Some(expected)) => assert_eq!(rows, expected),
            (Err(PortError::Unavailable(_)), None) => {}
            (other, _) => panic!("{other:?}"),
        }
    }
    setup.connection = options.connect().await.unwrap();
    assert_eq!(setup.left().await, apps(&[("a", 1)]));
}
