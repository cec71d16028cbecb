//! Merges by SQL: what is taken, what is refused, and how long they are kept.

use sqlx::ConnectOptions;

use crate::sor::performance::tests::sql::{refused, run, tool, value};
use crate::storage::testing::database;

#[actix_web::test]
async fn a_merge_that_took_no_time_is_recorded() {
    let test = database().await;
    let mut tool = tool(&test).await;
    run(&mut tool, "SELECT perf.record_merge_performance(7, 1, 0, p_merge_status => NULL, p_conflict_count => NULL)")
        .await;
    let row = "SELECT concat_ws(' ', source_branch, target_branch, total_duration_ms, conflict_count, merge_status,
                                user_name = current_user, completed_at = started_at)
               FROM perf.v_merge_performance_summary";
    assert_eq!(value(&mut tool, row).await, "branch:7 branch:1 0.000 0 SUCCESS t t");
    let metric =
        "SELECT concat_ws(' ', operation_type, branch_id, duration_ms, is_failed) FROM perf.performance_metrics";
    assert_eq!(value(&mut tool, metric).await, "merge 1 0.000 f");
}

#[actix_web::test]
async fn contradictions_are_refused_and_leave_no_metric() {
    let test = database().await;
    let mut tool = tool(&test).await;
    for (arguments, code, name) in [
        ("7, 7, 1", "23514", "chk_merge_branches"),
        ("7, 1, 1, p_conflict_count => -3, p_auto_success_count => 18", "23514", "chk_merge_counts"),
        ("7, 1, 1, p_conflict_count => 17, p_auto_success_count => 18", "23514", "chk_merge_counts"),
        ("7, 1, 1, p_auto_failure_count => -1", "23514", "chk_merge_counts"),
        ("7, 1, 10, p_merge_base_calc_us => 6, p_conflict_detection_us => 5", "23514", "chk_merge_phases"),
        ("7, 1, 10, p_conflict_detection_us => -1", "23514", "chk_merge_phases"),
        (
            "7, 1, 10, p_auto_resolution_us => 9223372036854775807, p_merge_base_calc_us => 9223372036854775807",
            "23514",
            "chk_merge_phases",
        ),
        ("7, 1, -1", "23514", "perf_micros_check"),
        ("7, 1, 2678400000001", "23514", "perf_micros_check"),
        ("7, 1, 1, p_merge_status => 'DONE'", "23514", "chk_merge_status"),
        ("NULL, 1, 1", "22023", "argument_invalid"),
        ("7, 1, NULL", "22023", "argument_invalid"),
    ] {
        let error = refused(&mut tool, &format!("SELECT perf.record_merge_performance({arguments})")).await;
        assert_eq!(error, (code.to_owned(), name.to_owned()), "{arguments}");
    }
    let left = "SELECT (SELECT count(*) FROM perf.performance_metrics) + (SELECT count(*) FROM perf.v_merge_performance_summary)";
    assert_eq!(value(&mut tool, left).await, "0");
}

#[actix_web::test]
async fn a_merge_over_the_limit_of_merges_is_an_alert() {
    let test = database().await;
    let mut tool = tool(&test).await;
    run(&mut tool, "SELECT perf.record_merge_performance(7, 1, 1000) FROM generate_series(1, 10)").await;
    assert_ne!(value(&mut tool, "SELECT perf.calculate_performance_baseline('merge')").await, "NULL");
    run(&mut tool, "SELECT perf.record_merge_performance(7, 1, 9000)").await;
    let alerts = "SELECT string_agg(concat_ws(' ', operation_type, violation_multiplier), ', ') FROM perf.get_unacknowledged_alerts()";
    assert_eq!(value(&mut tool, alerts).await, "merge 9.00");
}

#[actix_web::test]
async fn merges_go_when_they_were_kept_long_enough() {
    let test = database().await;
    let mut session = test.connect_options().connect().await.unwrap();
    run(&mut session, "SELECT perf.record_merge_performance(i, 100, 1000) FROM generate_series(1, 2) AS i").await;
    let age = "UPDATE perf.merge_performance_metrics SET started_at = now() - interval '396 days' WHERE source_scope = 'branch:1'";
    run(&mut session, age).await;
    run(&mut session, "SELECT perf.expire_merges('395 days')").await;
    let left = "SELECT string_agg(source_branch, ' ') FROM perf.v_merge_statistics";
    assert_eq!(value(&mut session, left).await, "branch:2");
}
