-- Ids of spans come to `record_operations` as numbers, which is twice as fast; a limit may be any multiple of the 99th percentile
-- where no critical one is given; limits are learnt anew one by one, as all in one statement took longer than a statement may.
DROP FUNCTION perf.record_operations;
-- Records operations in order, for this server alone, which has checked their times. Arrays are of one length. An end that is
-- NULL is now. An id that is spelled as none is given as a text beside its number, which is NULL then.
CREATE FUNCTION perf.record_operations(
    ended_at timestamptz[], duration_us bigint[], operation_type text[], scope text[], user_name text[],
    operation_name text[], session_id text[], trace_id uuid[], trace_text text[], span_id bigint[], span_text text[],
    parent_span_id bigint[], parent_span_text text[], rows_affected bigint[], memory_bytes bigint[], cpu_us bigint[],
    span_kind smallint[], failed boolean[], is_metric boolean[], attributes jsonb[], error jsonb[], events jsonb[]
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
                   g.operation_type, g.scope, g.user_name, g.operation_name, g.session_id,
                   coalesce(g.trace_id, perf.trace_ref(g.trace_text)), coalesce(g.span_id, perf.span_ref(g.span_text)),
                   coalesce(g.parent_span_id, perf.span_ref(g.parent_span_text)), g.rows_affected, g.memory_bytes, g.cpu_us,
                   g.span_kind, g.failed, g.is_metric, g.attributes, g.error, g.events
            FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
                 WITH ORDINALITY
                 AS g(ended_at, duration_us, operation_type, scope, user_name, operation_name, session_id, trace_id, trace_text,
                      span_id, span_text, parent_span_id, parent_span_text, rows_affected, memory_bytes, cpu_us, span_kind,
                      failed, is_metric, attributes, error, events, place)
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

-- The critical multiplier is 5, or that of the alert where this is larger, unless another one is given.
CREATE OR REPLACE FUNCTION perf.calculate_performance_baseline(
    p_operation_type text, p_branch_id integer DEFAULT NULL, p_lookback_days integer DEFAULT 7,
    p_alert_threshold_multiplier numeric DEFAULT 2.0, p_scope text DEFAULT NULL, p_critical_multiplier numeric DEFAULT NULL,
    p_include_incidents boolean DEFAULT false
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = perf, pg_catalog, pg_temp AS $$
DECLARE
    learnt record;
BEGIN
    learnt := perf.learn_baseline(
        p_operation_type, perf.scope_of(p_branch_id, p_scope), p_lookback_days, p_alert_threshold_multiplier,
        coalesce(p_critical_multiplier, greatest(5.0, p_alert_threshold_multiplier)), p_include_incidents, 10);
    IF learnt.baseline IS NULL THEN
        RAISE WARNING '% of % days are too few samples of %: 10 are needed', learnt.samples, p_lookback_days, p_operation_type;
    END IF;
    RETURN learnt.baseline;
END
$$;

DROP FUNCTION perf.relearn_baselines;
-- The limits to learn anew: those in force, the oldest first, and a first one for all scopes of each tracked type with 100 samples
-- in a week.
CREATE FUNCTION perf.baselines_to_learn() RETURNS TABLE (of_type text, of_scope text) LANGUAGE sql STABLE
SET search_path = perf, pg_catalog, pg_temp AS $$
    (SELECT b.operation_type, b.scope FROM perf.performance_baselines AS b WHERE b.is_active
     ORDER BY b.calculation_timestamp, b.baseline_id)
    UNION ALL
    (SELECT t.operation_type, NULL
     FROM perf.performance_operation_types AS t
     JOIN perf.statistics(perf.days_back(7), 'infinity') AS s ON s.operation_type = t.operation_type
     WHERE t.is_tracked AND s.sample_count >= 100
       AND NOT EXISTS (SELECT FROM perf.performance_baselines AS b
                       WHERE b.is_active AND b.operation_type = t.operation_type AND b.scope IS NULL)
     ORDER BY t.operation_type)
$$;

-- Learns a limit anew with the settings of the one in force, or a first one from 100 samples of a week. Answers the baseline, or
-- NULL where there are too few samples.
CREATE FUNCTION perf.relearn_baseline(of_type text, of_scope text) RETURNS bigint LANGUAGE sql
SET search_path = perf, pg_catalog, pg_temp AS $$
    SELECT (perf.learn_baseline(
        of_type, of_scope, coalesce(b.calculated_from_days, 7), coalesce(b.alert_threshold_multiplier, 2.0),
        coalesce(b.critical_multiplier, 5.0), coalesce(b.include_incidents, false),
        CASE WHEN b.baseline_id IS NULL THEN 100 ELSE 10 END)).baseline
    FROM (SELECT) AS one
    LEFT JOIN perf.performance_baselines AS b
        ON b.is_active AND b.operation_type = of_type AND b.scope IS NOT DISTINCT FROM of_scope
$$;

REVOKE ALL ON FUNCTION perf.record_operations, perf.baselines_to_learn, perf.relearn_baseline FROM PUBLIC;
