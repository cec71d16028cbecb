DROP VIEW perf.v_trace_hierarchy, perf.v_user_performance_activity, perf.v_slowest_operations_last_24h,
    perf.v_performance_trend_hourly, perf.v_branch_performance_summary, perf.v_operation_performance_summary,
    perf.v_performance_dashboard_summary;
DROP FUNCTION perf.trace_hierarchy, perf.user_activity, perf.slowest_of_a_day, perf.summary, perf.dashboard,
    perf.get_operation_statistics, perf.get_slowest_operations, perf.slowest, perf.get_performance_trend, perf.statistics,
    perf.refresh_rollups, perf.register_types, perf.known_types, perf.roll_day, perf.roll_hour, perf.days_back, perf.millis,
    perf.percentile, perf.bucket_us, perf.bucket;
DROP TABLE perf.rollup_state, perf.rolled_hour, perf.rollup_day, perf.rollup_hour, perf.performance_operation_types;
