//! Limits and alerts by SQL: who is over a limit, how often it is told, and that recording waits for nothing.

use futures::future::join_all;
use sqlx::{ConnectOptions, PgConnection};

use crate::kernel::{CALL, LimitSeverity};
use crate::sor::performance::statistics::tests::roll_up;
use crate::sor::performance::tests::sql::{refused, run, tool, value};
use crate::sor::performance::{AlertSettings, OperationRounds};
use crate::storage::testing::{TestDatabase, database};

async fn session(test: &TestDatabase) -> PgConnection {
    test.connect_options().connect().await.unwrap()
}

/// Records so many operations; `micros` is SQL over `i`.
async fn record(session: &mut PgConnection, count: i32, micros: &str, scope: &str) {
    let insert = format!(
        "SELECT perf.record_performance_metric('commit', {micros}, p_scope => '{scope}') FROM generate_series(1, {count}) AS i"
    );
    run(session, &insert).await;
}

async fn learn(session: &mut PgConnection) {
    assert_ne!(value(session, "SELECT perf.calculate_performance_baseline('commit')").await, "NULL");
}

const EVALUATE: &str = "SELECT perf.evaluate_alerts('15 min', 3, 5)";
const ALERTS: &str = "SELECT coalesce(string_agg(concat_ws(' ', severity, occurrence_count, violation_multiplier, scope,
                                                          CASE WHEN resolved_at IS NOT NULL THEN 'resolved' END), ', ' ORDER BY alert_id), '')
                      FROM perf.performance_alerts";

#[actix_web::test]
async fn a_baseline_has_the_percentiles_of_its_days() {
    let test = database().await;
    let mut session = session(&test).await;
    record(&mut session, 15, "900 + 100 * i", "").await;
    learn(&mut session).await;
    let row = "SELECT concat_ws(' ', p50_microseconds, p75_microseconds, p90_microseconds, p95_microseconds, p99_microseconds,
                                stddev_microseconds, limit_us, critical_us, is_exact)
               FROM perf.performance_baselines";
    assert_eq!(value(&mut session, row).await, "1700 2050 2260 2330 2386 447.21 4772 11930 t");
}

#[actix_web::test]
async fn ten_samples_are_needed() {
    let test = database().await;
    let mut tool = tool(&test).await;
    record(&mut tool, 9, "1000", "").await;
    assert_eq!(value(&mut tool, "SELECT perf.calculate_performance_baseline('commit')").await, "NULL");
    record(&mut tool, 1, "1000", "").await;
    for multiplier in ["2.0", "10", "1000"] {
        let learn = format!(
            "SELECT perf.calculate_performance_baseline('commit', p_alert_threshold_multiplier => {multiplier})"
        );
        assert_ne!(value(&mut tool, &learn).await, "NULL", "{multiplier}");
    }
    for bad in [
        "perf.calculate_performance_baseline(NULL)",
        "perf.calculate_performance_baseline('commit', p_lookback_days => 36)",
        "perf.calculate_performance_baseline('commit', p_lookback_days => 0)",
        "perf.calculate_performance_baseline('commit', p_alert_threshold_multiplier => 0.5)",
        "perf.calculate_performance_baseline('commit', p_alert_threshold_multiplier => 6, p_critical_multiplier => 5)",
        "perf.calculate_performance_baseline('commit', 7, p_scope => 'x')",
        "perf.get_performance_trend('commit', p_days => 0)",
    ] {
        let error = refused(&mut tool, &format!("SELECT {bad}")).await;
        assert_eq!(error, ("22023".to_owned(), "argument_invalid".to_owned()), "{bad}");
    }
}

#[actix_web::test]
async fn what_is_over_the_limit_is_one_alert_with_the_worst() {
    let test = database().await;
    let mut session = session(&test).await;
    record(&mut session, 100, "1000 * i", "").await;
    learn(&mut session).await;
    for (micros, expected) in
        [(198_020, ""), (198_021, "WARNING 1 2.00"), (495_050, "WARNING 2 5.00"), (495_051, "CRITICAL 3 5.00")]
    {
        record(&mut session, 1, &micros.to_string(), "").await;
        run(&mut session, EVALUATE).await;
        assert_eq!(value(&mut session, ALERTS).await, expected, "{micros}");
    }
    assert_eq!(value(&mut session, EVALUATE).await, "1");
    assert_eq!(value(&mut session, ALERTS).await, "CRITICAL 3 5.00", "counted anew, not added");
}

#[actix_web::test]
async fn a_multiple_may_be_of_any_size() {
    for (usual, slow, expected) in [(100, 1_000_000, "CRITICAL 1 10000.00"), (0, 5, "CRITICAL 1 5.00")] {
        let test = database().await;
        let mut session = session(&test).await;
        record(&mut session, 10, &usual.to_string(), "").await;
        learn(&mut session).await;
        record(&mut session, 1, &slow.to_string(), "").await;
        assert_eq!(value(&mut session, ALERTS).await, expected);
    }
}

#[actix_web::test]
async fn the_limit_of_a_scope_counts_before_that_of_all() {
    let test = database().await;
    let mut session = session(&test).await;
    record(&mut session, 1_000, "9900", "").await;
    record(&mut session, 10, "99000", "branch:7").await;
    let branch = "SELECT perf.calculate_performance_baseline('commit', 7)";
    assert_ne!(value(&mut session, branch).await, "NULL");
    learn(&mut session).await;
    let active = "SELECT string_agg(concat_ws(' ', scope, limit_us), ', ' ORDER BY limit_us) FROM perf.performance_baselines WHERE is_active";
    assert_eq!(value(&mut session, active).await, "19800, branch:7 198000", "one does not end the other");
    record(&mut session, 1, "250000", "branch:7").await;
    record(&mut session, 1, "150000", "branch:7").await;
    run(&mut session, EVALUATE).await;
    assert_eq!(value(&mut session, ALERTS).await, "CRITICAL 1 2.53 branch:7".replace("CRITICAL", "WARNING"));
    // The same by a batch.
    let batch = "SELECT string_agg(concat_ws(' ', severity, ratio), ', ' ORDER BY id) FROM perf.record_operations(
                     ARRAY[NULL, NULL, NULL]::timestamptz[], '{250000,150000,150000}', '{commit,commit,commit}',
                     ARRAY['branch:7', 'branch:7', ''], '{u,u,u}', '{NULL,NULL,NULL}', '{NULL,NULL,NULL}', '{NULL,NULL,NULL}', '{NULL,NULL,NULL}', '{NULL,NULL,NULL}', '{NULL,NULL,NULL}',
                     '{NULL,NULL,NULL}', '{NULL,NULL,NULL}', '{NULL,NULL,NULL}', '{NULL,NULL,NULL}', '{NULL,NULL,NULL}',
                     '{NULL,NULL,NULL}', '{f,f,f}', '{t,t,t}', '{NULL,NULL,NULL}', '{NULL,NULL,NULL}', '{NULL,NULL,NULL}')";
    assert_eq!(value(&mut session, batch).await, "warning 2.53, , critical 15.15");
}

#[actix_web::test]
async fn fifty_calculations_at_once_leave_one_baseline() {
    let test = database().await;
    record(&mut session(&test).await, 10, "1000", "").await;
    let calculate = async |_| {
        let mut session = session(&test).await;
        learn(&mut session).await;
    };
    join_all((0..50).map(calculate)).await;
    let baselines = "SELECT count(*) || ' ' || count(*) FILTER (WHERE is_active) FROM perf.performance_baselines";
    assert_eq!(value(&mut session(&test).await, baselines).await, "50 1");
}

#[actix_web::test]
async fn violations_of_many_writers_are_one_alert() {
    let test = database().await;
    let mut session = session(&test).await;
    record(&mut session, 10, "1000", "").await;
    learn(&mut session).await;
    let write = async |_| {
        let mut writer = test.connect_options().connect().await.unwrap();
        for _ in 0..5 {
            record(&mut writer, 250, "9000", "").await;
        }
    };
    join_all((0..8).map(write)).await;
    run(&mut session, EVALUATE).await;
    assert_eq!(value(&mut session, ALERTS).await, "CRITICAL 10000 9.00");
    assert_eq!(value(&mut session, "SELECT sustained_at IS NOT NULL FROM perf.performance_alerts").await, "true");
}

#[actix_web::test]
async fn transactions_that_are_over_limits_in_opposite_orders_do_not_wait_for_each_other() {
    let test = database().await;
    let (mut one, mut two) = (session(&test).await, session(&test).await);
    for kind in ["a", "b"] {
        let learn = format!(
            "SELECT perf.record_performance_metric('{kind}', 10) FROM generate_series(1, 10);
             SELECT perf.calculate_performance_baseline('{kind}')"
        );
        run(&mut one, &learn).await;
    }
    let over = |kind: &str| format!("SELECT perf.record_performance_metric('{kind}', 1000)");
    for session in [&mut one, &mut two] {
        run(session, "SET statement_timeout = '5 s'; BEGIN").await;
    }
    run(&mut one, &over("a")).await;
    run(&mut two, &over("b")).await;
    run(&mut one, &over("b")).await;
    run(&mut two, &over("a")).await;
    for session in [&mut one, &mut two] {
        run(session, "COMMIT").await;
    }
    run(&mut one, EVALUATE).await;
    assert_eq!(value(&mut one, ALERTS).await, "CRITICAL 2 100.00, CRITICAL 2 100.00");
}

#[actix_web::test]
async fn under_repeatable_read_the_alert_is_opened_by_the_next_round() {
    let test = database().await;
    let mut session = session(&test).await;
    record(&mut session, 10, "1000", "").await;
    learn(&mut session).await;
    run(&mut session, "BEGIN ISOLATION LEVEL REPEATABLE READ").await;
    record(&mut session, 1, "9000", "").await;
    run(&mut session, "COMMIT").await;
    assert_eq!(value(&mut session, ALERTS).await, "");
    run(&mut session, EVALUATE).await;
    assert_eq!(value(&mut session, ALERTS).await, "CRITICAL 1 9.00");
}

#[actix_web::test]
async fn an_alert_is_over_once_it_was_quiet_and_the_next_one_is_another() {
    let test = database().await;
    let mut session = session(&test).await;
    record(&mut session, 10, "1000", "").await;
    learn(&mut session).await;
    record(&mut session, 1, "9000", "").await;
    // Two statements, because each has its own present.
    run(&mut session, "SELECT pg_sleep(0.05)").await;
    run(&mut session, "SELECT perf.evaluate_alerts('20 ms', 3, 5)").await;
    assert_eq!(value(&mut session, ALERTS).await, "CRITICAL 1 9.00 resolved");
    record(&mut session, 1, "3000", "").await;
    run(&mut session, EVALUATE).await;
    assert_eq!(value(&mut session, ALERTS).await, "CRITICAL 1 9.00 resolved, WARNING 1 3.00", "not counted twice");
}

#[actix_web::test]
async fn people_are_told_of_what_is_sustained_alone() {
    let test = database().await;
    let mut session = session(&test).await;
    record(&mut session, 100, "1000", "").await;
    learn(&mut session).await;
    let sustained = "SELECT sustained_at IS NOT NULL FROM perf.performance_alerts";
    for (more, expected) in [(2, "false"), (1, "false"), (3, "true")] {
        // 2 are too few; 3 of 103 are too few percent; 6 of 106 are both.
        record(&mut session, more, "9000", "").await;
        run(&mut session, EVALUATE).await;
        assert_eq!(value(&mut session, sustained).await, expected);
    }
    record(&mut session, 100, "1000", "").await;
    run(&mut session, EVALUATE).await;
    assert_eq!(value(&mut session, sustained).await, "false", "6 of 206");
}

#[actix_web::test]
async fn neither_failures_nor_incidents_teach_a_baseline() {
    let test = database().await;
    let mut session = session(&test).await;
    let hour = |hours: i32, count: i32, micros: i32, over: &str, failed: bool| {
        format!(
            "INSERT INTO perf.operation (ended_at, duration_us, operation_type, user_name, over_baseline_id, failed)
             SELECT date_trunc('hour', now(), 'UTC') - interval '{hours} hours', {micros}, 'commit', 'u', {over}, {failed}
             FROM generate_series(1, {count})"
        )
    };
    run(&mut session, &hour(5, 20, 1_000, "NULL", false)).await;
    run(&mut session, &hour(5, 20, 99_000, "NULL", true)).await;
    // Of an hour of incident all is left out, of one with a single violation in 40 nothing.
    run(&mut session, &hour(4, 10, 50_000, "1", false)).await;
    run(&mut session, &hour(3, 39, 1_000, "NULL", false)).await;
    run(&mut session, &hour(3, 1, 2_000, "1", false)).await;
    learn(&mut session).await;
    let row = "SELECT concat_ws(' ', sample_count, excluded_failed, excluded_incident, max_microseconds)
               FROM perf.performance_baselines WHERE is_active";
    assert_eq!(value(&mut session, row).await, "60 20 10 2000");
    let accept = "SELECT perf.calculate_performance_baseline('commit', p_include_incidents => true)";
    assert_ne!(value(&mut session, accept).await, "NULL");
    assert_eq!(value(&mut session, row).await, "70 20 0 50000");
}

#[actix_web::test]
async fn a_check_finds_what_was_recorded_before_there_was_a_limit_and_may_be_repeated() {
    let test = database().await;
    let mut tool = tool(&test).await;
    let slow = value(&mut tool, "SELECT perf.record_performance_metric('commit', 90000, p_failed => true)").await;
    record(&mut tool, 10, "1000", "").await;
    learn(&mut tool).await;
    let check = format!("SELECT perf.check_performance_baseline({slow})");
    let alert = value(&mut tool, &check).await;
    assert_ne!(alert, "NULL");
    assert_eq!(value(&mut tool, &check).await, alert);
    let usual = format!("SELECT perf.check_performance_baseline({slow} + 1)");
    assert_eq!(value(&mut tool, &usual).await, "NULL");
    let unknown = refused(&mut tool, "SELECT perf.check_performance_baseline(999999)").await;
    assert_eq!(unknown, ("P0002".to_owned(), "metric_unknown".to_owned()));
}

#[actix_web::test]
async fn who_acknowledges_first_stays() {
    let test = database().await;
    let mut tool = tool(&test).await;
    record(&mut tool, 10, "1000", "").await;
    learn(&mut tool).await;
    record(&mut tool, 1, "9000", "").await;
    let id = value(&mut tool, "SELECT alert_id FROM perf.get_unacknowledged_alerts()").await;
    let acknowledge = |who: &str| format!("SELECT perf.acknowledge_performance_alert({id}, '{who}', 'on it')");
    assert_eq!(value(&mut tool, &acknowledge("ana")).await, "true");
    assert_eq!(value(&mut tool, &acknowledge("bob")).await, "false");
    assert_eq!(value(&mut tool, "SELECT count(*) FROM perf.get_unacknowledged_alerts()").await, "0");
    let unknown = refused(&mut tool, "SELECT perf.acknowledge_performance_alert(999999)").await;
    assert_eq!(unknown, ("P0002".to_owned(), "alert_unknown".to_owned()));
    let stays = "SELECT concat_ws(' ', acknowledged_by, resolution_notes) FROM perf.performance_alerts";
    assert_eq!(value(&mut session(&test).await, stays).await, "ana on it");
}

#[actix_web::test]
async fn a_violation_is_one_for_a_day() {
    let test = database().await;
    let mut session = session(&test).await;
    record(&mut session, 10, "1000", "").await;
    learn(&mut session).await;
    let status = "SELECT status FROM perf.v_operation_performance_summary";
    record(&mut session, 1, "9000", "").await;
    assert_eq!(value(&mut session, status).await, "VIOLATION");
    run(&mut session, "UPDATE perf.operation SET ended_at = ended_at - interval '25 hours' WHERE duration_us = 9000")
        .await;
    assert_eq!(value(&mut session, status).await, "OK");
}

#[actix_web::test]
async fn limits_are_learnt_anew_and_tracked_types_get_a_first_one() {
    let test = database().await;
    let mut session = session(&test).await;
    run(
        &mut session,
        "INSERT INTO perf.performance_operation_types (operation_type, is_tracked) VALUES ('tracked', true), ('few', true), ('other', false);
         SELECT perf.record_performance_metric(kind, 1000) FROM unnest(ARRAY['tracked', 'other']) AS kind, generate_series(1, 100);
         SELECT perf.record_performance_metric('few', 1000) FROM generate_series(1, 99)",
    )
    .await;
    record(&mut session, 10, "1000", "").await;
    run(
        &mut session,
        "SELECT perf.calculate_performance_baseline('commit', p_lookback_days => 3, p_alert_threshold_multiplier => 4)",
    )
    .await;
    let settings = AlertSettings { quiet: std::time::Duration::from_mins(15), least_count: 3, least_percent: 5 };
    assert_eq!(OperationRounds::new(test.db.clone(), settings).relearn(&CALL).await, Ok(2));
    let active = "SELECT string_agg(concat_ws(' ', operation_type, calculated_from_days, limit_us), ', ' ORDER BY operation_type)
                  FROM perf.performance_baselines WHERE is_active";
    assert_eq!(value(&mut session, active).await, "commit 3 4000, tracked 7 2000");
}

#[actix_web::test]
async fn what_is_older_than_it_is_kept_goes() {
    let test = database().await;
    let mut session = session(&test).await;
    record(&mut session, 10, "1000", "").await;
    learn(&mut session).await;
    learn(&mut session).await;
    record(&mut session, 1, "9000", "").await;
    let counts = "SELECT (SELECT count(*) FROM perf.performance_baselines) || ' ' || (SELECT count(*) FROM perf.performance_alerts)";
    run(&mut session, "SELECT perf.expire('1 day')").await;
    assert_eq!(value(&mut session, counts).await, "2 1");
    run(
        &mut session,
        "UPDATE perf.performance_baselines SET calculation_timestamp = now() - interval '2 days';
         UPDATE perf.performance_alerts SET resolved_at = now() - interval '2 days';
         SELECT perf.expire('1 day')",
    )
    .await;
    assert_eq!(value(&mut session, counts).await, "1 0", "the one in force stays");
}

#[actix_web::test]
async fn what_became_slower_is_an_alert_until_it_is_not_found_again() {
    let test = database().await;
    let mut session = session(&test).await;
    let alerts = AlertSettings { quiet: std::time::Duration::from_mins(15), least_count: 3, least_percent: 5 };
    let rounds = OperationRounds::new(test.db.clone(), alerts);
    // 40 hours of 30 operations of 1 ms, and one of 9 ms.
    run(
        &mut session,
        "INSERT INTO perf.operation (ended_at, duration_us, operation_type, user_name)
         SELECT date_trunc('hour', now(), 'UTC') - hour * interval '1 hour', CASE hour WHEN 1 THEN 9000 ELSE 1000 END, 'commit', 'u'
         FROM generate_series(1, 41) AS hour, generate_series(1, 30)",
    )
    .await;
    roll_up(&test).await;
    let port = super::local_alerts(test.db.clone());
    let (anomalies, degradations) =
        (port.anomalies(&CALL).await.unwrap(), port.degradations(&CALL, 2_i64.try_into().unwrap()).await.unwrap());
    assert_eq!((anomalies.len(), anomalies[0].p50_ms, anomalies[0].severity), (1, 9.0, LimitSeverity::Critical));
    assert!(
        degradations.len() == 1 && (degradations[0].percent - 800.0).abs() < 18.0,
        "within 1 % each: {degradations:?}"
    );
    for _ in 0..2 {
        rounds.keep_detected(&CALL, &anomalies, &degradations).await.unwrap();
    }
    let kinds = "SELECT string_agg(concat_ws(' ', alert_type, severity, round(violation_multiplier), resolved_at IS NULL), ', ' ORDER BY alert_type)
                 FROM perf.performance_alerts";
    assert_eq!(value(&mut session, kinds).await, "ANOMALY CRITICAL 9 t, DEGRADATION CRITICAL 9 t");
    rounds.keep_detected(&CALL, &[], &degradations).await.unwrap();
    assert_eq!(value(&mut session, kinds).await, "ANOMALY CRITICAL 9 f, DEGRADATION CRITICAL 9 t");
    run(&mut session, EVALUATE).await;
    assert_eq!(
        value(&mut session, "SELECT count(*) FROM perf.performance_alerts WHERE resolved_at IS NULL").await,
        "1"
    );
}
