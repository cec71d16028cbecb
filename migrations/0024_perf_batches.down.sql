DROP FUNCTION perf.record_operations, perf.relearn_baseline, perf.baselines_to_learn;
-- Records operations in order, for this server alone, which has checked their times. Arrays are of one length. An end that is
-- NULL is now.
CREATE FUNCTION perf.record_operations(
    ended_at timestamptz[], duration_us bigint[], operation_type text[], scope text[], user_name text[],
    operation_name text[], session_id text[], trace_id text[], span_id text[], parent_span_id text[], rows_affected bigint[],
    memory_bytes bigint[], cpu_us bigint[], span_kind smallint[], failed boolean[], is_metric boolean[], attributes jsonb[],
    error jsonb[], events jsonb[]
) RETURNS TABLE (id bigint, severity text, ratio numeric, baseline_id bigint, alert_id bigint) LANGUAGE plpgsql
SET search_path = perf, pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH recorded AS (
            INSERT INTO perf.operation
                (ended_at, duration_us, over_baseline_id, operation_type, scope, user_name, operation_name, session_id, trace_id,
                 span_id, parent_span_id, rows_affected, memory_bytes, cpu_us, span_kind, failed, is_metric, attributes, error,
                 events)
            SELECT coalesce(g.ended_at, clock_timestamp()), g.duration_us,
                   CASE WHEN g.is_metric AND g.duration_us > coalesce(own.limit_us, overall.limit_us)
                        THEN coalesce(own.baseline_id, overall.baseline_id) END,
                   g.operation_type, g.scope, g.user_name, g.operation_name, g.session_id, perf.trace_ref(g.trace_id),
                   perf.span_ref(g.span_id), perf.span_ref(g.parent_span_id), g.rows_affected, g.memory_bytes, g.cpu_us,
                   g.span_kind, g.failed, g.is_metric, g.attributes, g.error, g.events
            FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) WITH ORDINALITY
                 AS g(ended_at, duration_us, operation_type, scope, user_name, operation_name, session_id, trace_id, span_id,
                      parent_span_id, rows_affected, memory_bytes, cpu_us, span_kind, failed, is_metric, attributes, error,
                      events, place)
            LEFT JOIN perf.performance_baselines AS own
                ON own.is_active AND own.operation_type = g.operation_type AND own.scope = g.scope
            LEFT JOIN perf.performance_baselines AS overall
                ON overall.is_active AND overall.operation_type = g.operation_type AND overall.scope IS NULL
            ORDER BY g.place
            RETURNING metric_id, over_baseline_id, duration_us::bigint, ended_at, user_name::text
        )
        SELECT r.metric_id, CASE WHEN r.duration_us > b.critical_us THEN 'critical' WHEN b.baseline_id IS NOT NULL THEN 'warning' END,
               CASE WHEN b.baseline_id IS NOT NULL THEN perf.times_over(r.duration_us, b.p99_microseconds) END, b.baseline_id,
               CASE WHEN b.baseline_id IS NOT NULL
                    THEN perf.open_alert(b.baseline_id, r.metric_id, r.duration_us, r.ended_at, r.user_name) END
        FROM recorded AS r LEFT JOIN perf.performance_baselines AS b ON b.baseline_id = r.over_baseline_id
        ORDER BY r.metric_id;
    PERFORM perf.note_late(hour)
    FROM (SELECT DISTINCT date_trunc('hour', at, 'UTC') FROM unnest($1) AS ends(at)) AS hours(hour);
END
$$;

CREATE OR REPLACE FUNCTION perf.calculate_performance_baseline(
    p_operation_type text, p_branch_id integer DEFAULT NULL, p_lookback_days integer DEFAULT 7,
    p_alert_threshold_multiplier numeric DEFAULT 2.0, p_scope text DEFAULT NULL, p_critical_multiplier numeric DEFAULT 5.0,
    p_include_incidents boolean DEFAULT false
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = perf, pg_catalog, pg_temp AS $$
DECLARE
    learnt record;
BEGIN
    learnt := perf.learn_baseline(
        p_operation_type, perf.scope_of(p_branch_id, p_scope), p_lookback_days, p_alert_threshold_multiplier,
        p_critical_multiplier, p_include_incidents, 10);
    IF learnt.baseline IS NULL THEN
        RAISE WARNING '% of % days are too few samples of %: 10 are needed', learnt.samples, p_lookback_days, p_operation_type;
    END IF;
    RETURN learnt.baseline;
END
$$;

-- Learns every baseline in force anew, and a first one for all scopes of each tracked type with 100 samples in a week. Answers
-- how many were learnt.
CREATE FUNCTION perf.relearn_baselines() RETURNS bigint LANGUAGE sql SET search_path = perf, pg_catalog, pg_temp AS $$
    SELECT count((perf.learn_baseline(due.kind, due.scope, due.days, due.threshold, due.critical, due.incidents, due.least)).baseline)
    FROM (SELECT operation_type AS kind, scope, calculated_from_days AS days, alert_threshold_multiplier AS threshold,
                 critical_multiplier AS critical, include_incidents AS incidents, 10 AS least
          FROM perf.performance_baselines WHERE is_active
          UNION ALL
          SELECT t.operation_type, NULL, 7, 2.0, 5.0, false, 100 FROM perf.performance_operation_types AS t
          WHERE t.is_tracked AND NOT EXISTS (SELECT FROM perf.performance_baselines AS b
                                             WHERE b.is_active AND b.operation_type = t.operation_type AND b.scope IS NULL)
          ORDER BY 1, 2) AS due
$$;

REVOKE ALL ON FUNCTION perf.record_operations, perf.relearn_baselines FROM PUBLIC;
