//! What programs that were written for the reference, pgGit's performance monitoring, rely on: each function and view by its
//! name, parameters, defaults and columns, for a role that may use the schema and has no other right.

use super::sql::{refused, run, tool, value};
use crate::storage::testing::database;

/// Name, parameters with their defaults, and result of each function. Parameters that the reference does not have come last.
const FUNCTIONS: &[(&str, &str, &str)] = &[
    (
        "start_performance_trace",
        "p_trace_id text DEFAULT NULL::text, p_span_id text DEFAULT NULL::text, p_parent_span_id text DEFAULT NULL::text, \
         p_operation_type text DEFAULT 'UNKNOWN'::text, p_span_name text DEFAULT 'unnamed'::text, \
         p_branch_id integer DEFAULT NULL::integer, p_user_name text DEFAULT CURRENT_USER, \
         p_session_id text DEFAULT NULL::text, p_attributes jsonb DEFAULT NULL::jsonb, p_scope text DEFAULT NULL::text, \
         p_start_time timestamp with time zone DEFAULT NULL::timestamp with time zone",
        "text",
    ),
    (
        "end_performance_trace",
        "p_span_id text, p_span_status text DEFAULT 'SUCCESS'::text, p_error_message text DEFAULT NULL::text, \
         p_error_code text DEFAULT NULL::text, p_error_details jsonb DEFAULT NULL::jsonb, \
         p_memory_peak_bytes bigint DEFAULT NULL::bigint, p_cpu_microseconds bigint DEFAULT NULL::bigint, \
         p_attributes jsonb DEFAULT NULL::jsonb, \
         p_end_time timestamp with time zone DEFAULT NULL::timestamp with time zone",
        "bigint",
    ),
    (
        "record_performance_metric",
        "p_operation_type text, p_duration_microseconds bigint, p_operation_name text DEFAULT NULL::text, \
         p_branch_id integer DEFAULT NULL::integer, p_user_name text DEFAULT CURRENT_USER, \
         p_session_id text DEFAULT NULL::text, p_rows_affected bigint DEFAULT NULL::bigint, \
         p_memory_bytes bigint DEFAULT NULL::bigint, p_cpu_microseconds bigint DEFAULT NULL::bigint, \
         p_operation_metadata jsonb DEFAULT NULL::jsonb, p_scope text DEFAULT NULL::text, \
         p_error_details jsonb DEFAULT NULL::jsonb, p_failed boolean DEFAULT NULL::boolean, \
         p_start_time timestamp with time zone DEFAULT NULL::timestamp with time zone",
        "bigint",
    ),
    (
        "calculate_performance_baseline",
        "p_operation_type text, p_branch_id integer DEFAULT NULL::integer, p_lookback_days integer DEFAULT 7, \
         p_alert_threshold_multiplier numeric DEFAULT 2.0, p_scope text DEFAULT NULL::text, \
         p_critical_multiplier numeric DEFAULT NULL::numeric, p_include_incidents boolean DEFAULT false",
        "bigint",
    ),
    ("check_performance_baseline", "p_metric_id bigint", "bigint"),
    (
        "get_performance_trend",
        "p_operation_type text, p_branch_id integer DEFAULT NULL::integer, p_days integer DEFAULT 7, \
         p_scope text DEFAULT NULL::text",
        "TABLE(trend_date date, sample_count bigint, avg_duration_ms numeric, min_duration_ms numeric, \
         max_duration_ms numeric, p50_ms numeric, p99_ms numeric, p95_ms numeric, failed_count bigint, is_exact boolean)",
    ),
    (
        "get_slowest_operations",
        "p_operation_type text DEFAULT NULL::text, p_branch_id integer DEFAULT NULL::integer, p_days integer DEFAULT 7, \
         p_limit integer DEFAULT 20, p_scope text DEFAULT NULL::text",
        "TABLE(metric_id bigint, operation_type text, duration_ms numeric, user_name text, \
         recorded_at timestamp with time zone, operation_name text, branch_id integer, scope text, trace_id uuid)",
    ),
    (
        "get_operation_statistics",
        "p_operation_type text DEFAULT NULL::text, p_branch_id integer DEFAULT NULL::integer, p_scope text DEFAULT NULL::text",
        "TABLE(operation_type text, total_executions bigint, total_time_hours numeric, avg_duration_ms numeric, \
         min_duration_ms numeric, max_duration_ms numeric, p50_ms numeric, p95_ms numeric, p99_ms numeric, \
         last_execution timestamp with time zone, last_baseline_date date)",
    ),
    (
        "acknowledge_performance_alert",
        "p_alert_id bigint, p_acknowledged_by text DEFAULT CURRENT_USER, p_resolution_notes text DEFAULT NULL::text",
        "boolean",
    ),
    (
        "get_unacknowledged_alerts",
        "p_days integer DEFAULT 7",
        "TABLE(alert_id bigint, operation_type text, severity text, violation_multiplier numeric, \
         baseline_p99_ms numeric, actual_duration_ms numeric, user_name text, created_at timestamp with time zone)",
    ),
    (
        "record_merge_performance",
        "p_source_branch_id integer, p_target_branch_id integer, p_total_merge_us bigint, \
         p_merge_base_hash text DEFAULT NULL::text, p_merge_base_calc_us bigint DEFAULT NULL::bigint, \
         p_conflict_detection_us bigint DEFAULT NULL::bigint, p_conflict_count integer DEFAULT 0, \
         p_auto_resolution_us bigint DEFAULT NULL::bigint, p_auto_success_count integer DEFAULT 0, \
         p_auto_failure_count integer DEFAULT 0, p_merge_status text DEFAULT 'SUCCESS'::text, \
         p_merge_outcome jsonb DEFAULT NULL::jsonb, p_user_name text DEFAULT CURRENT_USER, \
         p_session_id text DEFAULT NULL::text",
        "bigint",
    ),
];

/// Name and columns of each view. Columns that the reference does not have come last.
const VIEWS: &[(&str, &str)] = &[
    (
        "performance_metrics",
        "metric_id operation_type operation_name duration_microseconds duration_ms start_time end_time branch_id user_name \
         session_id rows_affected memory_bytes cpu_microseconds operation_metadata error_details recorded_at period_start \
         scope is_failed trace_id",
    ),
    (
        "operation_traces",
        "trace_id span_id parent_span_id operation_type span_name span_status start_time end_time duration_microseconds \
         branch_id user_name session_id memory_peak_bytes cpu_microseconds error_message error_code error_details attributes \
         recorded_at scope",
    ),
    (
        "v_performance_dashboard_summary",
        "dashboard_name total_metrics_recorded total_traces active_baselines unacknowledged_alerts critical_alerts \
         dashboard_updated_at",
    ),
    (
        "v_operation_performance_summary",
        "operation_type execution_count avg_ms p50_ms p99_ms min_ms max_ms last_execution baseline_p99_ms status",
    ),
    (
        "v_branch_performance_summary",
        "branch_id branch_name operation_count operation_types avg_duration_ms p99_ms last_operation",
    ),
    (
        "v_performance_alerts_recent",
        "alert_id operation_type severity alert_type actual_duration_ms baseline_p99_ms multiplier_over_baseline user_name \
         created_at is_acknowledged minutes_ago",
    ),
    (
        "v_performance_alerts_critical",
        "alert_id operation_type actual_duration_ms baseline_p99_ms percent_over_baseline user_name created_at \
         minutes_unacknowledged",
    ),
    (
        "v_trace_hierarchy",
        "trace_id span_id parent_span_id span_name operation_type span_status duration_ms depth trace_path is_orphan",
    ),
    (
        "v_merge_performance_summary",
        "merge_metric_id source_branch target_branch total_duration_ms merge_base_calc_ms conflict_detect_ms conflict_count \
         auto_resolution_ms total_conflicts_resolved auto_resolution_success_rate merge_status user_name started_at \
         completed_at",
    ),
    (
        "v_merge_statistics",
        "source_branch target_branch merge_count avg_duration_ms max_duration_ms min_duration_ms avg_conflicts max_conflicts \
         successful_merges failed_merges last_merge",
    ),
    ("v_performance_trend_hourly", "operation_type hour execution_count avg_ms p99_ms"),
    (
        "v_slowest_operations_last_24h",
        "metric_id operation_type duration_ms user_name recorded_at hours_ago baseline_p99_ms percent_over_baseline",
    ),
    (
        "v_baseline_health",
        "operation_type baseline_date sample_count p99_ms alert_threshold_percent alerts_generated is_active \
         days_since_calculation scope",
    ),
    (
        "v_user_performance_activity",
        "user_name operations_performed operation_types avg_operation_ms total_time_seconds alerts_triggered last_operation",
    ),
];

#[actix_web::test]
async fn functions_have_the_parameters_defaults_and_results_of_the_reference() {
    let test = database().await;
    let mut tool = tool(&test).await;
    for (name, parameters, result) in FUNCTIONS {
        let sql = format!(
            "SELECT pg_get_function_arguments(oid) || ' -> ' || pg_get_function_result(oid) FROM pg_proc
             WHERE oid = 'perf.{name}'::regproc AND has_function_privilege(oid, 'EXECUTE')"
        );
        assert_eq!(value(&mut tool, &sql).await, format!("{parameters} -> {result}"), "{name}");
    }
}

#[actix_web::test]
async fn views_have_the_columns_of_the_reference_and_are_readable() {
    let test = database().await;
    let mut tool = tool(&test).await;
    for (name, columns) in VIEWS {
        let sql = format!(
            "SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute
             WHERE attrelid = 'perf.{name}'::regclass AND attnum > 0"
        );
        assert_eq!(value(&mut tool, &sql).await, *columns, "{name}");
        run(&mut tool, &format!("SELECT * FROM perf.{name}")).await;
    }
}

#[actix_web::test]
async fn nothing_else_of_the_schema_is_open() {
    let test = database().await;
    let mut tool = tool(&test).await;
    let readable = "SELECT count(*) FROM pg_class WHERE relnamespace = 'perf'::regnamespace AND relkind IN ('r', 'p', 'v', 'S')
                    AND CASE relkind WHEN 'S' THEN has_sequence_privilege(oid, 'USAGE') ELSE has_table_privilege(oid, 'SELECT') END";
    assert_eq!(value(&mut tool, readable).await, VIEWS.len().to_string());
    let writable = "SELECT string_agg(relname, ' ') FROM pg_class WHERE relnamespace = 'perf'::regnamespace
                    AND relkind IN ('r', 'p', 'v') AND has_table_privilege(oid, 'INSERT, UPDATE, DELETE, TRUNCATE')";
    assert_eq!(value(&mut tool, writable).await, "performance_metrics");
    // Those that record on another's behalf, change limits, or delete are of the server alone.
    for (sql, code) in [
        ("SELECT perf.record_merge('a', 'b', 1, NULL, NULL, NULL, 0, NULL, 0, 0, 'SUCCESS', NULL, 'x', NULL)", "42501"),
        ("SELECT perf.expire_merges('1 s')", "42501"),
        ("SELECT perf.expire('1 s')", "42501"),
        ("SELECT perf.refresh_rollups()", "42501"),
        ("SELECT perf.evaluate_alerts('1 s', 1, 1)", "42501"),
        ("SELECT perf.keep_detected('ANOMALY', '[]')", "42501"),
        ("SELECT perf.learn_baseline('x', NULL, 7, 2, 5, false, 1)", "42501"),
    ] {
        assert_eq!(refused(&mut tool, sql).await.0, code, "{sql}");
    }
}

#[actix_web::test]
async fn every_function_and_view_works_for_a_role_with_usage_alone() {
    let test = database().await;
    let mut tool = tool(&test).await;
    run(
        &mut tool,
        "SELECT perf.record_performance_metric('commit', 1000 * i, p_branch_id => 7) FROM generate_series(1, 20) AS i;
         SELECT perf.start_performance_trace(p_span_id => 'a', p_span_name => 'a');
         SELECT perf.start_performance_trace(p_span_id => 'b', p_parent_span_id => 'a', p_span_name => 'b');
         SELECT perf.end_performance_trace('b');
         SELECT perf.record_merge_performance(7, 1, 50000, p_conflict_count => 4, p_auto_success_count => 3,
                                              p_auto_failure_count => 1, p_conflict_detection_us => 20000)",
    )
    .await;
    for (sql, expected) in [
        ("SELECT total_metrics_recorded || ' ' || total_traces FROM perf.v_performance_dashboard_summary", "21 2"),
        (
            "SELECT string_agg(concat_ws(' ', operation_type, execution_count, status), ', ' ORDER BY operation_type)
             FROM perf.v_operation_performance_summary",
            "commit 20 OK, merge 1 OK",
        ),
        (
            "SELECT string_agg(concat_ws(' ', branch_id, branch_name, operation_count, operation_types), ', ' ORDER BY branch_id)
             FROM perf.v_branch_performance_summary",
            "1 branch:1 1 1, 7 branch:7 20 1",
        ),
        (
            "SELECT concat_ws(' ', execution_count, avg_ms) FROM perf.v_performance_trend_hourly WHERE operation_type = 'commit'",
            "20 10.500",
        ),
        ("SELECT count(*) || ' ' || max(duration_ms) FROM perf.v_slowest_operations_last_24h", "21 50.000"),
        (
            "SELECT concat_ws(' ', operations_performed, operation_types, total_time_seconds) FROM perf.v_user_performance_activity",
            "21 2 0.260",
        ),
        (
            "SELECT string_agg(trace_path || ' ' || depth || ' ' || is_orphan, ', ' ORDER BY depth) FROM perf.v_trace_hierarchy",
            "a 1 false, a → b 2 false",
        ),
        (
            "SELECT concat_ws(' ', source_branch, target_branch, total_duration_ms, conflict_detect_ms, total_conflicts_resolved,
                              auto_resolution_success_rate) FROM perf.v_merge_performance_summary",
            "branch:7 branch:1 50.000 20.000 3 75.0",
        ),
        (
            "SELECT concat_ws(' ', merge_count, avg_conflicts, successful_merges, failed_merges) FROM perf.v_merge_statistics",
            "1 4.00 1 0",
        ),
        ("SELECT perf.calculate_performance_baseline('commit') IS NOT NULL", "true"),
        ("SELECT perf.check_performance_baseline(1) IS NULL", "true"),
        (
            "SELECT concat_ws(' ', total_executions, last_baseline_date IS NOT NULL) FROM perf.get_operation_statistics('commit', 7)",
            "20 t",
        ),
        ("SELECT sample_count FROM perf.get_performance_trend('commit', 7)", "20"),
        ("SELECT duration_ms FROM perf.get_slowest_operations('commit', 7, p_limit => 1)", "20.000"),
        ("SELECT perf.record_performance_metric('commit', 90000, p_branch_id => 7) > 0", "true"),
        ("SELECT concat_ws(' ', severity, violation_multiplier) FROM perf.get_unacknowledged_alerts()", "WARNING 4.54"),
        ("SELECT multiplier_over_baseline FROM perf.v_performance_alerts_recent", "4.54"),
        ("SELECT perf.acknowledge_performance_alert(alert_id) FROM perf.get_unacknowledged_alerts()", "true"),
        ("SELECT count(*) FROM perf.v_performance_alerts_critical", "0"),
        ("SELECT concat_ws(' ', sample_count, alerts_generated, is_active) FROM perf.v_baseline_health", "20 1 t"),
    ] {
        assert_eq!(value(&mut tool, sql).await, expected, "{sql}");
    }
}

/// The reference joined metrics to limits and alerts, so that each limit counted an operation once more.
#[actix_web::test]
async fn several_limits_and_alerts_do_not_count_an_operation_twice() {
    let test = database().await;
    let mut tool = tool(&test).await;
    let record = |micros: i32| format!("SELECT perf.record_performance_metric('commit', {micros}, p_branch_id => 7)");
    run(&mut tool, &format!("{} FROM generate_series(1, 10)", record(1_000))).await;
    for learn in ["'commit'", "'commit', 7", "'commit', 7"] {
        run(&mut tool, &format!("SELECT perf.calculate_performance_baseline({learn})")).await;
    }
    run(&mut tool, &record(9_000)).await;
    for (sql, expected) in [
        ("SELECT execution_count || ' ' || status FROM perf.v_operation_performance_summary", "11 VIOLATION"),
        ("SELECT operation_count FROM perf.v_branch_performance_summary", "11"),
        ("SELECT operations_performed || ' ' || alerts_triggered FROM perf.v_user_performance_activity", "11 1"),
        ("SELECT count(*) FROM perf.v_slowest_operations_last_24h", "11"),
        ("SELECT total_executions FROM perf.get_operation_statistics('commit')", "11"),
    ] {
        assert_eq!(value(&mut tool, sql).await, expected, "{sql}");
    }
}

/// The reference kept times without a zone, so that an end in another zone, or after the clocks were put back, came before its
/// start.
#[actix_web::test]
async fn a_span_may_end_in_another_time_zone() {
    let test = database().await;
    let mut tool = tool(&test).await;
    run(&mut tool, "SET timezone = 'Asia/Tokyo'; SELECT perf.start_performance_trace(p_span_id => 's')").await;
    run(&mut tool, "SET timezone = 'America/New_York'").await;
    let took: i64 = value(&mut tool, "SELECT perf.end_performance_trace('s')").await.parse().unwrap();
    assert!((0..3_600_000_000).contains(&took), "{took}");
}
