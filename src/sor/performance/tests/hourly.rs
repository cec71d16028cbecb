//! What is done each hour, and what callers notice of it: nothing.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use sqlx::ConnectOptions;

use super::sql::{refused, run, value};
use crate::kernel::{Clock, FixedClock, SystemClock};
use crate::sor::performance::{KeptFor, OperationUpkeep};
use crate::storage::testing::{TestDatabase, database};

const DAY: Duration = Duration::from_hours(24);

/// The upkeep of a server whose clock is so many days from now.
fn upkeep(test: &TestDatabase, days: i64) -> OperationUpkeep {
    let clock = Arc::new(FixedClock::at(SystemClock.now() + TimeDelta::days(days)));
    OperationUpkeep::new(test.db.clone(), clock, KeptFor { rows_days: 8, rollups_days: 35 }, DAY)
}

const DAYS: &str = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'perf.operation'::regclass";

#[actix_web::test]
async fn rows_that_came_before_their_day_was_made_move_to_it() {
    let test = database().await;
    let mut session = test.connect_options().connect().await.unwrap();
    run(&mut session, "SELECT perf.record_performance_metric('commit', n) FROM generate_series(1, 100) AS n").await;
    assert_eq!(value(&mut session, "SELECT count(*) FROM perf.operation_default").await, "100");
    upkeep(&test, 0).run().await.unwrap();
    assert_eq!(value(&mut session, DAYS).await, "5", "DEFAULT, today, three days ahead");
    assert_eq!(value(&mut session, "SELECT count(*) FROM perf.operation_default").await, "0");
    let rows = "SELECT count(*) || ' ' || sum(duration_microseconds) FROM perf.performance_metrics";
    assert_eq!(value(&mut session, rows).await, "100 5050");
}

#[actix_web::test]
async fn those_who_record_while_a_day_is_made_lose_nothing() {
    let test = database().await;
    let writer = async || {
        let mut session = test.connect_options().connect().await.unwrap();
        for _ in 0..100 {
            run(&mut session, "SELECT perf.record_performance_metric('commit', 1)").await;
        }
    };
    let days = upkeep(&test, 0);
    // Other sessions may hold the table; a server then tries again.
    let made = async { while days.run().await.is_err() {} };
    tokio::join!(writer(), writer(), writer(), writer(), made);
    let mut session = test.connect_options().connect().await.unwrap();
    assert_eq!(value(&mut session, "SELECT count(*) FROM perf.performance_metrics").await, "400");
    assert_eq!(value(&mut session, "SELECT count(*) FROM perf.operation_default").await, "0");
}

#[actix_web::test]
async fn rows_of_days_without_a_server_are_deleted_once_they_are_old() {
    let test = database().await;
    let mut session = test.connect_options().connect().await.unwrap();
    let put = "INSERT INTO perf.operation (ended_at, duration_us, operation_type, user_name)
               SELECT now() - interval '1 day' * days, 1, 'commit', 'tool'
               FROM generate_series(1, 12001) AS row, unnest(ARRAY[7, 9]) AS days";
    run(&mut session, put).await;
    upkeep(&test, 0).run().await.unwrap();
    assert_eq!(value(&mut session, "SELECT count(*) FROM perf.operation_default").await, "12001");
    upkeep(&test, 2).run().await.unwrap();
    assert_eq!(value(&mut session, "SELECT count(*) FROM perf.operation_default").await, "0");
}

#[actix_web::test]
async fn days_are_dropped_once_they_are_old() {
    let test = database().await;
    let mut session = test.connect_options().connect().await.unwrap();
    upkeep(&test, 0).run().await.unwrap();
    run(&mut session, "SELECT perf.record_performance_metric('commit', 1)").await;
    upkeep(&test, 8).run().await.unwrap();
    assert_eq!(value(&mut session, "SELECT count(*) FROM perf.operation").await, "1", "its last instant is 8 days old");
    upkeep(&test, 9).run().await.unwrap();
    assert_eq!(value(&mut session, "SELECT count(*) FROM perf.operation").await, "0");
}

#[actix_web::test]
async fn a_span_that_nobody_ends_fails_once() {
    let test = database().await;
    let mut session = test.connect_options().connect().await.unwrap();
    for (span, hours) in [("old", 25), ("young", 23)] {
        let begin = format!(
            "SELECT perf.start_performance_trace(p_span_id => '{span}', p_span_name => '{span}',
                                                 p_start_time => now() - interval '{hours} hours')"
        );
        run(&mut session, &begin).await;
    }
    for _ in 0..2 {
        upkeep(&test, 0).run().await.unwrap();
    }
    let spans = "SELECT string_agg(concat_ws(' ', span_name, span_status, error_code, round(duration_microseconds / 3.6e9)), ', '
                                   ORDER BY span_name) FROM perf.operation_traces";
    assert_eq!(value(&mut session, spans).await, "old FAILED SPAN_ABANDONED 25, young RUNNING");
}

#[actix_web::test]
async fn ended_spans_are_forgotten_after_an_hour_and_keys_after_a_day() {
    let test = database().await;
    let mut session = test.connect_options().connect().await.unwrap();
    run(
        &mut session,
        "SELECT perf.start_performance_trace(p_span_id => span) FROM unnest(ARRAY['a', 'b']) AS span;
         SELECT perf.end_performance_trace(span) FROM unnest(ARRAY['a', 'b']) AS span;
         UPDATE perf.open_span SET ended_at = now() - interval '61 min' WHERE span_id = perf.span_ref('a');
         INSERT INTO perf.ingest_key (key, at, result) VALUES (gen_random_uuid(), now() - interval '25 hours', '{}'),
                                                             (gen_random_uuid(), now() - interval '23 hours', '{}')",
    )
    .await;
    upkeep(&test, 0).run().await.unwrap();
    assert_eq!(value(&mut session, "SELECT count(*) FROM perf.open_span").await, "1");
    assert_eq!(value(&mut session, "SELECT count(*) FROM perf.ingest_key").await, "1");
    assert_eq!(value(&mut session, "SELECT count(*) FROM perf.operation_traces").await, "2");
}

#[actix_web::test]
async fn an_hour_that_was_over_when_a_row_of_it_was_written_is_noted() {
    let test = database().await;
    let mut session = test.connect_options().connect().await.unwrap();
    run(
        &mut session,
        "SELECT perf.record_performance_metric('commit', 1);
         SELECT perf.record_performance_metric('commit', 1, p_start_time => now() - interval '6 days');
         SELECT perf.record_operations(ARRAY[now() - interval '5 days', now() - interval '5 days', NULL], '{1,2,3}', '{a,a,a}',
             ARRAY['', '', ''], '{u,u,u}', '{NULL,NULL,NULL}', '{NULL,NULL,NULL}', '{NULL,NULL,NULL}', '{NULL,NULL,NULL}',
             '{NULL,NULL,NULL}', '{NULL,NULL,NULL}', '{NULL,NULL,NULL}', '{NULL,NULL,NULL}', '{NULL,NULL,NULL}',
             '{NULL,NULL,NULL}', '{NULL,NULL,NULL}', '{NULL,NULL,NULL}', '{f,f,f}',
             '{t,t,t}', '{NULL,NULL,NULL}', '{NULL,NULL,NULL}', '{NULL,NULL,NULL}')",
    )
    .await;
    let late = "SELECT string_agg((round(extract(epoch FROM now() - start_at) / 86400))::text, ' ' ORDER BY start_at)
                FROM perf.late_hour";
    assert_eq!(value(&mut session, late).await, "6 5");
}

#[actix_web::test]
async fn what_the_server_does_by_itself_does_not_wait_long_for_a_table_that_is_locked() {
    let test = database().await;
    let (mut holder, mut session) =
        (test.connect_options().connect().await.unwrap(), test.connect_options().connect().await.unwrap());
    run(&mut holder, "BEGIN").await;
    let tables = "SELECT string_agg('perf.' || quote_ident(relname), ', ') FROM pg_class
                  WHERE relnamespace = 'perf'::regnamespace AND relkind IN ('r', 'p')";
    let tables = value(&mut holder, tables).await;
    run(&mut holder, &format!("LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")).await;
    // Whoever would wait longer is cancelled, which is another error.
    run(&mut session, "SET statement_timeout = '20 s'").await;
    let no_rows = ["'{}'"; 22].join(", ");
    for call in [
        &format!("record_operations({no_rows})"),
        "refresh_rollups()",
        "evaluate_alerts('1 hour', 1, 1)",
        r#"keep_detected('ANOMALY', '[{"operation_type": "commit"}]')"#,
        "baselines_to_learn()",
        "relearn_baseline('commit', NULL)",
        "reap_spans('1 hour')",
        "expire('1 day')",
        "expire_merges('1 day')",
    ] {
        assert_eq!(refused(&mut session, &format!("SELECT perf.{call}")).await.0, "55P03", "{call}");
    }
}
