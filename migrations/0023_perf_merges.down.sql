DROP VIEW perf.v_merge_statistics, perf.v_merge_performance_summary;
DROP FUNCTION perf.expire_merges, perf.record_merge_performance, perf.record_merge;
DROP TABLE perf.merge_performance_metrics;
