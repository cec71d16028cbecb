DROP VIEW perf.v_baseline_health, perf.v_performance_alerts_critical, perf.v_performance_alerts_recent;
DROP FUNCTION perf.expire, perf.keep_detected, perf.get_unacknowledged_alerts, perf.acknowledge_performance_alert, perf.evaluate_alerts,
    perf.check_performance_baseline, perf.relearn_baselines, perf.calculate_performance_baseline, perf.learn_baseline,
    perf.acting_user;
DROP TRIGGER audited ON perf.performance_baselines;
DROP TRIGGER audited_truncate ON perf.performance_baselines;
