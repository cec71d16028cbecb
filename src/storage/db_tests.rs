use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use backon::BackoffBuilder;
use rstest::rstest;
use sqlx::Connection;
use tokio::sync::{Barrier, Semaphore};

use super::*;
use crate::storage::testing::{TestDatabase, database};

fn with(test: &TestDatabase, settings: PoolSettings) -> Db {
    let db = Db::open(test.connect_options(), settings);
    db.schema.send_replace(Schema::Ready);
    db
}

async fn execute(db: &Db, repeat: Repeat, sql: &'static str) -> Result<(), DbError> {
    db.run(repeat, |c| Box::pin(async move { sqlx::raw_sql(sql).execute(c).await.map(|_| ()) })).await
}

/// Fails the first `failures` calls with `sql`, then answers; returns the outcome and how often it was called.
async fn failing(db: &Db, repeat: Repeat, failures: u32, sql: &'static str) -> (Result<i32, DbError>, u32) {
    let calls = AtomicU32::new(0);
    let calls_seen = &calls;
    let outcome = db
        .run(repeat, |c| {
            let call = calls_seen.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                if call < failures {
                    sqlx::raw_sql(sql).execute(&mut *c).await?;
                }
                sqlx::query_scalar("SELECT 7").fetch_one(c).await
            })
        })
        .await;
    (outcome, calls.load(Ordering::Relaxed))
}

const SERIALIZATION: &str = "DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$";
const CUT: &str = "SELECT pg_terminate_backend(pg_backend_pid())";

#[tokio::test]
async fn a_constraint_is_reported_by_its_name() {
    let test = database().await;
    let made = "CREATE TABLE t (a int CONSTRAINT t_key UNIQUE, CONSTRAINT t_positive CHECK (a > 0))";
    execute(&test.db, Repeat::Safe, made).await.unwrap();
    execute(&test.db, Repeat::Unsafe, "INSERT INTO t VALUES (1)").await.unwrap();
    let twice = execute(&test.db, Repeat::Unsafe, "INSERT INTO t VALUES (1)").await.unwrap_err();
    assert!(matches!(&twice, DbError::Constraint(name) if name == "t_key"), "{twice:?}");
    let negative = execute(&test.db, Repeat::Unsafe, "INSERT INTO t VALUES (-1)").await.unwrap_err();
    assert!(matches!(&negative, DbError::Constraint(name) if name == "t_positive"), "{negative:?}");
}

#[tokio::test]
async fn what_the_server_took_back_is_tried_again_whatever_it_is() {
    let test = database().await;
    for repeat in [Repeat::Safe, Repeat::Unsafe] {
        let (outcome, calls) = failing(&test.db, repeat, 2, SERIALIZATION).await;
        assert_eq!((outcome.unwrap(), calls), (7, 3));
    }
}

#[tokio::test]
async fn three_retries_are_the_end() {
    let test = database().await;
    let (outcome, calls) = failing(&test.db, Repeat::Safe, u32::MAX, SERIALIZATION).await;
    assert!(matches!(outcome, Err(DbError::Port(PortError::Unavailable(_)))), "{outcome:?}");
    assert_eq!(calls, 4);
}

#[tokio::test]
async fn a_read_whose_connection_is_cut_is_tried_again() {
    let test = database().await;
    let (outcome, calls) = failing(&test.db, Repeat::Safe, 1, CUT).await;
    assert_eq!((outcome.unwrap(), calls), (7, 2));
}

#[tokio::test]
async fn an_unkeyed_insert_cut_after_it_was_sent_is_unavailable_and_not_sent_again() {
    let test = database().await;
    let (outcome, calls) = failing(&test.db, Repeat::Unsafe, 1, CUT).await;
    assert!(matches!(outcome, Err(DbError::Port(PortError::Unavailable(_)))), "{outcome:?}");
    assert_eq!(calls, 1);
}

#[tokio::test]
async fn a_statement_over_its_time_is_a_timeout() {
    let test = database().await;
    let db = with(&test, PoolSettings { query_timeout: Duration::from_millis(50), ..PoolSettings::of_size(1) });
    let outcome = execute(&db, Repeat::Safe, "SELECT pg_sleep(60)").await;
    assert!(matches!(outcome, Err(DbError::Port(PortError::Timeout(_)))), "{outcome:?}");
    execute(&db, Repeat::Safe, "SELECT 1").await.unwrap();
}

#[tokio::test]
async fn queries_are_not_compiled() {
    let test = database().await;
    let jit = "SELECT current_setting('jit')";
    let db = with(&test, PoolSettings::of_size(1));
    let jit: String = db.run(Repeat::Safe, |c| Box::pin(sqlx::query_scalar(jit).fetch_one(c))).await.unwrap();
    assert_eq!(jit, "off");
}

#[tokio::test]
async fn a_full_pool_is_overloaded_and_counts_the_wait() {
    let test = database().await;
    let settings = PoolSettings { connect_timeout: Duration::from_secs(1), ..PoolSettings::of_size(1) };
    let db = with(&test, settings);
    let (held, free) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (held_too, free_too) = (Arc::clone(&held), Arc::clone(&free));
    let holder = db.run(Repeat::Safe, |_| {
        let (held, free) = (Arc::clone(&held_too), Arc::clone(&free_too));
        Box::pin(async move {
            held.add_permits(1);
            let _ = free.acquire().await;
            Ok(())
        })
    });
    let asker = async {
        let _ = held.acquire().await;
        assert_eq!((db.stats().in_use, db.stats().wait_count), (1, 0));
        let refused = execute(&db, Repeat::Safe, "SELECT 1").await;
        assert!(matches!(refused, Err(DbError::Port(PortError::Overloaded { retry_after_s: 1, .. }))), "{refused:?}");
        let health = db.health().await;
        assert_eq!(health.condition, crate::storage::Condition::Warn, "{health:?}");
        assert!(health.is_ready());
        free.add_permits(1);
    };
    let (held, ()) = tokio::time::timeout(Duration::from_secs(30), futures::future::join(holder, asker)).await.unwrap();
    held.unwrap();
    let stats = db.stats();
    assert_eq!((stats.in_use, stats.wait_count), (0, 2));
    assert!(stats.wait_duration >= Duration::from_secs(1), "{stats:?}");
    execute(&db, Repeat::Safe, "SELECT 1").await.unwrap();
}

#[rstest]
#[case(1, 1)]
#[case(2, 1)]
#[case(5, 3)]
#[case(20, 15)]
#[tokio::test]
async fn work_that_leaves_a_quarter_of_the_pool_alone_is_in_nobodys_way(#[case] size: u32, #[case] most: u32) {
    let test = database().await;
    let settings = PoolSettings { connect_timeout: Duration::from_millis(500), ..PoolSettings::of_size(size) };
    let db = with(&test, settings);
    let sparing = db.leaving_a_quarter();
    // Any two of them share the limit.
    let stuck: Vec<_> = (0..most)
        .map(|_| {
            let db = db.leaving_a_quarter();
            tokio::spawn(async move { execute(&db, Repeat::Safe, "SELECT pg_sleep(3)").await })
        })
        .collect();
    while db.stats().in_use < most {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let refused = execute(&sparing, Repeat::Safe, "SELECT 1").await.unwrap_err().to_string();
    assert_eq!(refused, format!("overloaded: all {most} database connections for this kind of work are in use"));
    assert_eq!(execute(&db, Repeat::Safe, "SELECT 1").await.is_ok(), size > 1);
    for stuck in stuck {
        stuck.await.unwrap().unwrap();
    }
    execute(&sparing, Repeat::Safe, "SELECT 1").await.unwrap();
}

#[tokio::test]
async fn connections_beyond_the_idle_maximum_are_closed_when_released() {
    let test = database().await;
    let db = with(&test, PoolSettings { max_idle: 1, ..PoolSettings::of_size(3) });
    let all_held = Arc::new(Barrier::new(3));
    let hold = || {
        db.run(Repeat::Safe, |c| {
            let all_held = Arc::clone(&all_held);
            Box::pin(async move {
                all_held.wait().await;
                c.ping().await
            })
        })
    };
    let (a, b, c) = futures::join!(hold(), hold(), hold());
    for held in [a, b, c] {
        held.unwrap();
    }
    let closed = async {
        while db.stats().open > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), closed).await.unwrap();
    assert_eq!(db.stats().idle, 1);
}

async fn backend(db: &Db) -> i32 {
    let pid = db.run(Repeat::Safe, |c| Box::pin(sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(c)));
    pid.await.unwrap()
}

#[tokio::test]
async fn a_connection_whose_work_succeeded_is_handed_on_at_once_and_goes_back_when_nobody_takes_it() {
    let test = database().await;
    let db = with(&test, PoolSettings::of_size(2));
    let first = backend(&db).await;
    let mut at_once = db.pool.handed_on() == 1;
    // A connection is trusted for a second; on a busy machine a statement may take longer.
    for _ in 0..10 {
        assert_eq!(backend(&db).await, first);
        at_once |= db.pool.handed_on() == 1;
    }
    assert!(at_once, "{:?}", db.stats());
    let back = async {
        while db.pool.handed_on() > 0 || db.stats().idle == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), back).await.unwrap();
    assert_eq!(backend(&db).await, first);
    assert_eq!(db.stats().open, 1);
    tokio::time::timeout(Duration::from_secs(30), db.close()).await.unwrap();
    assert_eq!(db.stats().idle, 0);
}

#[tokio::test]
async fn a_connection_with_something_left_to_say_is_not_handed_on() {
    let test = database().await;
    let db = with(&test, PoolSettings::of_size(1));
    execute(&db, Repeat::Safe, "CREATE TABLE t (a int)").await.unwrap();
    let dropped = db.run(Repeat::Safe, |c| {
        Box::pin(async move {
            let mut transaction = c.begin().await?;
            sqlx::query("INSERT INTO t VALUES (1)").execute(&mut *transaction).await.map(|_| ())
        })
    });
    dropped.await.unwrap();
    assert_eq!(db.stats().idle, 0, "its transaction is rolled back first");
    let failed = execute(&db, Repeat::Safe, "SELECT 1 / 0").await;
    assert!(failed.is_err());
    assert_eq!(db.stats().idle, 0);
    let count = "SELECT count(*) FROM t";
    let rows = db.run(Repeat::Safe, |c| Box::pin(sqlx::query_scalar::<_, i64>(count).fetch_one(c)));
    assert_eq!(rows.await.unwrap(), 0);
}

#[tokio::test]
async fn renewed_it_works_on_after_the_runtime_that_opened_its_connections_ended() {
    let test = database().await;
    let db = with(&test, PoolSettings::of_size(2));
    let elsewhere = db.clone();
    let first = std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(backend(&elsewhere))
    });
    let first = first.join().unwrap();
    assert_eq!(db.stats().idle, 1, "and its runtime is gone");
    db.renew().await;
    assert_eq!(db.stats().idle, 0);
    let asked =
        db.run(Repeat::Unsafe, |c| Box::pin(sqlx::query_scalar::<_, i32>("SELECT pg_backend_pid()").fetch_one(c)));
    assert_ne!(asked.await.unwrap(), first, "at the first try");
}

#[tokio::test]
async fn everyone_gets_a_turn_where_many_share_few_connections() {
    let test = database().await;
    let db = with(&test, PoolSettings::of_size(2));
    let asking = (0..100).map(|_| backend(&db));
    let backends = tokio::time::timeout(Duration::from_secs(30), futures::future::join_all(asking)).await.unwrap();
    assert_eq!(backends.into_iter().collect::<std::collections::BTreeSet<_>>().len(), 2);
    assert_eq!((db.stats().in_use, db.stats().open, db.stats().idle), (0, 2, 2));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_long_before_the_connect_timeout() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(nobody).username("u").database("d");
    let db = Db::open(options, PoolSettings::default());
    let begun = Instant::now();
    let outcome = execute(&db, Repeat::Safe, "SELECT 1").await;
    assert!(matches!(outcome, Err(DbError::Port(PortError::Starting(_)))), "{outcome:?}");
    db.schema.send_replace(Schema::Ready);
    let outcome = execute(&db, Repeat::Safe, "SELECT 1").await;
    assert!(matches!(outcome, Err(DbError::Port(PortError::Unavailable(_)))), "{outcome:?}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let health = db.health().await;
    assert!(!health.is_ready());
    assert_eq!(db.stats().in_use, 0);
}

#[tokio::test]
async fn the_database_may_come_after_the_server() {
    let test = crate::storage::testing::empty_database().await;
    let late = test.connect_options().database("not_yet");
    let db = Db::open(late.clone(), PoolSettings::of_size(2));
    let preparing = tokio::spawn({
        let db = db.clone();
        async move { db.prepare(true).await }
    });
    let mut schema = db.schema.subscribe();
    drop(schema.wait_for(|s| matches!(s, Schema::Waiting(why) if why.internal.contains("not_yet") && !why.public.contains("not_yet"))).await.unwrap());
    assert!(!db.health().await.is_ready());
    execute(&test.db, Repeat::Unsafe, "CREATE DATABASE not_yet").await.unwrap();
    preparing.await.unwrap().unwrap();
    let health = db.health().await;
    assert!(health.is_ready(), "{health:?}");
    assert_eq!(db.settled().await, Schema::Ready);
    db.close().await;
    execute(&test.db, Repeat::Unsafe, "DROP DATABASE not_yet WITH (FORCE)").await.unwrap();
}

#[test]
fn pauses_double_from_a_tenth_of_a_second_and_stop_at_five() {
    let pauses: Vec<u128> = BACKOFF.without_max_times().build().take(8).map(|pause| pause.as_millis()).collect();
    assert_eq!(pauses, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
}

#[rstest]
#[case(5, 3, false)]
#[case(5, 4, true)]
#[case(20, 15, false)]
#[case(20, 16, true)]
#[case(1, 1, true)]
#[case(0, 0, false)]
fn the_pool_is_nearly_full_from_exactly_80_percent_on(#[case] max: u32, #[case] in_use: u32, #[case] expected: bool) {
    assert_eq!(PoolStats { max, in_use, ..PoolStats::default() }.is_nearly_full(), expected);
}

#[tokio::test]
async fn the_watch_sees_when_the_pool_becomes_nearly_full_and_when_it_no_longer_is() {
    let test = database().await;
    let db = with(&test, PoolSettings::of_size(1));
    let mut watch = db.watch_pool();
    assert!(!watch.look());
    let (held, release) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let holder = {
        let (db, held, release) = (db.clone(), Arc::clone(&held), Arc::clone(&release));
        tokio::spawn(async move {
            db.run(Repeat::Safe, |c| {
                let (held, release) = (Arc::clone(&held), Arc::clone(&release));
                Box::pin(async move {
                    held.wait().await;
                    release.wait().await;
                    c.ping().await
                })
            })
            .await
        })
    };
    held.wait().await;
    assert_eq!((watch.look(), watch.look()), (true, false), "it began, and goes on");
    release.wait().await;
    holder.await.unwrap().unwrap();
    assert_eq!((watch.look(), watch.look()), (true, false), "it ended");
}
