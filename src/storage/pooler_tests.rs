//! Tests that need a PgBouncer are not part of `cargo test`; `just test-pooler` runs them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sqlx::ConnectOptions;
use tokio::sync::Barrier;

use super::*;
use crate::kernel::PortError;
use crate::storage::migrate::{self, State};
use crate::storage::testing::{TestDatabase, database, empty_database};
use crate::storage::{Db, DbError, PoolSettings, Repeat, Schema};

fn behind_pgbouncer(test: &TestDatabase, settings: PoolSettings) -> Db {
    Db::open(test.options_behind_pgbouncer(), PoolSettings { pooler: Pooler::Transaction, ..settings })
}

async fn number(db: &Db, sql: &'static str) -> Result<i32, DbError> {
    db.run(Repeat::Safe, |c| Box::pin(sqlx::query_scalar(sql).fetch_one(c))).await
}

#[tokio::test]
#[ignore = "needs PgBouncer"]
async fn work_runs_in_any_session_whoever_used_it_before() {
    let test = database().await;
    let clients = [(); 2].map(|()| behind_pgbouncer(&test, PoolSettings::of_size(1)));
    let both_hold_one = Arc::new(Barrier::new(2));
    let (a, b) = futures::join!(session(&clients[0], &both_hold_one), session(&clients[1], &both_hold_one));
    assert_ne!(a, b);
    let alone = Arc::new(Barrier::new(1));
    for client in &clients {
        let mut seen = BTreeSet::new();
        for _ in 0..4 {
            seen.insert(session(client, &alone).await);
        }
        assert_eq!(seen, BTreeSet::from([a, b]), "PgBouncer takes them in turn");
    }
}

/// Prepares statements, waits, and answers in which session that was.
async fn session(db: &Db, wait: &Arc<Barrier>) -> i32 {
    let asked = db.run(Repeat::Unsafe, |c| {
        let wait = Arc::clone(wait);
        Box::pin(async move {
            sqlx::query("SELECT $1::text").bind("prepared").execute(&mut *c).await?;
            wait.wait().await;
            sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(c).await
        })
    });
    asked.await.unwrap()
}

#[tokio::test]
#[ignore = "needs PgBouncer"]
async fn a_statement_over_its_time_ends_on_the_server() {
    let test = database().await;
    let limits = PoolSettings { query_timeout: Duration::from_millis(50), ..PoolSettings::of_size(1) };
    let db = behind_pgbouncer(&test, limits);
    let outcome = number(&db, "SELECT 1 FROM pg_sleep(60)").await;
    let Err(DbError::Port(PortError::Timeout(text))) = outcome else { panic!("{outcome:?}") };
    assert!(text.contains("57014"), "the server ended it: {text}");
    assert_eq!(number(&db, "SELECT 7").await.unwrap(), 7);
}

#[tokio::test]
#[ignore = "needs PgBouncer"]
async fn the_time_limit_of_one_client_is_not_that_of_another() {
    let test = database().await;
    let limits = PoolSettings { query_timeout: Duration::from_millis(1_234), ..PoolSettings::of_size(1) };
    let limited = behind_pgbouncer(&test, limits);
    let mut beside = test.options_behind_pgbouncer().connect().await.unwrap();
    for _ in 0..6 {
        let here = "SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'";
        assert_eq!(number(&limited, here).await.unwrap(), 1_234);
        let there: String =
            sqlx::Row::get(&sqlx::raw_sql("SHOW statement_timeout").fetch_one(&mut beside).await.unwrap(), 0);
        assert_eq!(there, "0");
    }
}

#[tokio::test]
#[ignore = "needs PgBouncer"]
async fn a_session_is_waited_for_no_longer_than_a_connection() {
    let test = database().await;
    let patience = PoolSettings { connect_timeout: Duration::from_millis(200), ..PoolSettings::of_size(1) };
    let db = behind_pgbouncer(&test, patience);
    db.schema.send_replace(Schema::Ready);
    let mut holders = Vec::new();
    for _ in 0..3 {
        let mut holder = test.options_behind_pgbouncer().connect().await.unwrap();
        sqlx::raw_sql("BEGIN").execute(&mut holder).await.unwrap();
        holders.push(holder);
    }
    let ask = || db.run(Repeat::Unsafe, |c| Box::pin(sqlx::query_scalar::<_, i32>("SELECT 7").fetch_one(c)));
    let outcome = ask().await;
    assert!(matches!(outcome, Err(DbError::Port(PortError::Unavailable(_)))), "{outcome:?}");
    holders.pop().unwrap().close().await.unwrap();
    assert_eq!(ask().await.unwrap(), 7);
}

#[tokio::test]
#[ignore = "needs PgBouncer"]
async fn work_that_fails_is_taken_back_whole() {
    let test = database().await;
    let db = behind_pgbouncer(&test, PoolSettings::of_size(1));
    let made = db.run(Repeat::Unsafe, |c| {
        Box::pin(async move {
            sqlx::query("CREATE TABLE t (a int)").execute(&mut *c).await?;
            sqlx::query("SELECT 1 / 0").execute(c).await.map(|_| ())
        })
    });
    assert!(made.await.is_err());
    assert_eq!(number(&db, "SELECT count(*)::int FROM pg_tables WHERE tablename = 't'").await.unwrap(), 0);
}

#[tokio::test]
#[ignore = "needs PgBouncer"]
async fn servers_that_start_at_once_behind_it_migrate_once() {
    let test = empty_database().await;
    let servers: Vec<Db> = (0..6).map(|_| behind_pgbouncer(&test, PoolSettings::of_size(1))).collect();
    let prepared = futures::future::join_all(servers.iter().map(|db| db.prepare(true))).await;
    assert!(prepared.iter().all(Result::is_ok), "{prepared:?}");
    let mut connection = test.options_behind_pgbouncer().connect().await.unwrap();
    let statuses = migrate::status(&mut connection).await.unwrap();
    assert!(statuses.iter().all(|s| matches!(s.state, State::Applied(_))), "{statuses:?}");
    assert_eq!(migrate::down(&mut connection, Some(0), false).await.unwrap().len(), statuses.len());
}

#[tokio::test]
#[ignore = "needs PgBouncer"]
async fn a_server_that_was_not_told_of_it_says_which_setting_to_change() {
    let test = database().await;
    let options = test.connect_options().port(test.options_behind_pgbouncer().get_port());
    let db = Db::open(options.clone(), PoolSettings::of_size(1));
    let health = db.health().await;
    assert!(!health.is_ready());
    assert!(
        health.reason.as_ref().is_some_and(|reason| reason.internal.contains("set DB_POOLER=transaction")),
        "{health:?}"
    );
    let error = migrate::MigrateError::from(options.connect().await.unwrap_err());
    assert!(error.to_string().contains("set DB_POOLER=transaction"), "{error}");
}

#[tokio::test]
async fn a_statement_that_another_session_prepared_is_laid_to_the_pooler() {
    let test = database().await;
    let outcome = number(&test.db, "EXECUTE nowhere").await;
    let Err(DbError::Port(error)) = outcome else { panic!("{outcome:?}") };
    assert!(error.to_string().contains("set DB_POOLER=transaction"), "{error}");
    let outcome = number(&test.db, "SELECT 1 / 0").await;
    let Err(DbError::Port(error)) = outcome else { panic!("{outcome:?}") };
    assert!(!error.to_string().contains("DB_POOLER"), "{error}");
}
