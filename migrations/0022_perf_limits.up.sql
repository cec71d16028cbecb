-- Limits that are learnt from the past of an operation, and the alerts of what is over them.
SELECT core.audited('perf.performance_baselines', 'latency_baseline', 'baseline_id');

-- Whom a change is by: whoever acts in this transaction, else the role of the session.
CREATE FUNCTION perf.acting_user() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(nullif(current_setting('flamewarden.acting', true), '')::jsonb ->> 'actor', session_user)
$$;

-- Learns what an operation usually takes, and answers the new baseline; NULL where there are fewer than `least_samples`. Failures
-- are left out, and unless incidents are wanted the hours of which more than 5 % was over the limit. The baseline before it is
-- in force no more.
CREATE FUNCTION perf.learn_baseline(
    of_type text, of_scope text, days integer, alert_multiplier numeric, critical numeric, incidents boolean,
    least_samples bigint, OUT baseline bigint, OUT samples bigint
) LANGUAGE plpgsql SET search_path = perf, pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    since    timestamptz;
    left_out timestamptz[] := '{}';
    excluded bigint := 0;
    figures  record;
BEGIN
    IF of_type IS NULL OR days IS NULL OR days NOT BETWEEN 1 AND 35 THEN
        PERFORM perf.refuse('give p_operation_type, and p_lookback_days from 1 to 35', 'argument_invalid', '22023');
    END IF;
    IF (1 <= alert_multiplier AND alert_multiplier <= critical AND critical <= 999999) IS NOT TRUE THEN
        PERFORM perf.refuse('p_alert_threshold_multiplier is from 1 to p_critical_multiplier, which is at most 999999',
                            'argument_invalid', '22023');
    END IF;
    since := perf.days_back(days);
    PERFORM pg_advisory_xact_lock(hashtextextended(concat_ws('/', 'perf.baseline', of_type, of_scope), 0));
    IF NOT coalesce(incidents, false) THEN
        SELECT coalesce(array_agg(s.start_at), '{}'), coalesce(sum(s.sample_count), 0) INTO left_out, excluded
        FROM perf.statistics(since, 'infinity', of_type, of_scope, interval '1 hour') AS s
        WHERE s.over_count * 20 > s.sample_count + s.failed_count;
    END IF;
    SELECT * INTO figures FROM perf.statistics(since, 'infinity', of_type, of_scope, left_out => left_out);
    samples := coalesce(figures.sample_count, 0);
    IF samples < least_samples THEN RETURN; END IF;
    UPDATE perf.performance_baselines AS b SET is_active = false
    WHERE b.is_active AND b.operation_type = of_type AND b.scope IS NOT DISTINCT FROM of_scope;
    INSERT INTO perf.performance_baselines
        (operation_type, scope, baseline_date, calculation_timestamp, sample_count, excluded_failed, excluded_incident,
         min_microseconds, max_microseconds, p50_microseconds, p75_microseconds, p90_microseconds, p95_microseconds,
         p99_microseconds, mean_microseconds, stddev_microseconds, alert_threshold_multiplier, critical_multiplier,
         calculated_from_days, is_exact, include_incidents, created_by)
    VALUES (of_type, of_scope, statement_timestamp()::date, clock_timestamp(), samples, figures.failed_count, excluded,
            figures.min_us, figures.max_us, round(figures.p50_us), round(figures.p75_us), round(figures.p90_us),
            round(figures.p95_us), round(figures.p99_us), figures.mean_us, figures.stddev_us, alert_multiplier, critical, days,
            figures.is_exact, coalesce(incidents, false), perf.acting_user())
    RETURNING baseline_id INTO baseline;
END
$$;

CREATE FUNCTION perf.calculate_performance_baseline(
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

-- Compares a metric with the limit in force, also one that was recorded before there was a limit. Answers the open alert that it
-- is part of, or NULL.
CREATE FUNCTION perf.check_performance_baseline(p_metric_id bigint) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = perf, pg_catalog, pg_temp AS $$
DECLARE
    metric perf.operation;
    over   bigint;
BEGIN
    SELECT * INTO metric FROM perf.operation WHERE metric_id = p_metric_id AND is_metric;
    IF NOT FOUND THEN
        PERFORM perf.refuse(format('no metric has the id %s', p_metric_id), 'metric_unknown', 'P0002');
    END IF;
    over := metric.over_baseline_id;
    IF over IS NULL THEN
        over := perf.over_baseline(metric.operation_type, metric.scope, metric.duration_us);
        IF over IS NULL THEN RETURN NULL; END IF;
        UPDATE perf.operation SET over_baseline_id = over
        WHERE metric_id = p_metric_id AND ended_at = metric.ended_at;
        PERFORM perf.note_late(metric.ended_at);
    END IF;
    PERFORM perf.open_alert(over, p_metric_id, metric.duration_us, metric.ended_at, metric.user_name);
    RETURN (SELECT a.alert_id FROM perf.performance_alerts AS a JOIN perf.performance_baselines AS b ON b.baseline_id = over
            WHERE a.alert_type = 'THRESHOLD_EXCEEDED' AND a.operation_type = b.operation_type
              AND a.scope IS NOT DISTINCT FROM b.scope AND a.resolved_at IS NULL);
END
$$;

-- Opens the alerts that those who recorded left out, counts what each open one is about, says since when it is sustained, and
-- resolves those of which nothing came for `quiet`. An alert is sustained while at least so many of the last 10 minutes, and so
-- many percent, were over the limit. Answers how many are open; NULL where another session does it.
CREATE FUNCTION perf.evaluate_alerts(quiet interval, least_count bigint, least_percent numeric) RETURNS bigint
LANGUAGE plpgsql SET search_path = perf, pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    alert     perf.performance_alerts;
    baselines bigint[];
    found     record;
    worst     record;
    recent    record;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('perf.evaluate_alerts', 0)) THEN RETURN NULL; END IF;
    PERFORM perf.open_alert(o.over_baseline_id, o.metric_id, o.duration_us, o.ended_at, o.user_name)
    FROM (SELECT DISTINCT ON (b.operation_type, b.scope) o.*
          FROM perf.operation AS o JOIN perf.performance_baselines AS b ON b.baseline_id = o.over_baseline_id
          WHERE o.over_baseline_id IS NOT NULL AND o.ended_at > statement_timestamp() - quiet
            AND NOT EXISTS (SELECT FROM perf.performance_alerts AS a
                            WHERE a.alert_type = 'THRESHOLD_EXCEEDED' AND a.operation_type = b.operation_type
                              AND a.scope IS NOT DISTINCT FROM b.scope
                              AND (a.resolved_at IS NULL OR a.last_seen >= o.ended_at))
          ORDER BY b.operation_type, b.scope, o.duration_us DESC) AS o;
    FOR alert IN
        SELECT * FROM perf.performance_alerts AS a
        WHERE a.resolved_at IS NULL AND a.alert_type = 'THRESHOLD_EXCEEDED' ORDER BY a.alert_id FOR UPDATE SKIP LOCKED
    LOOP
        SELECT array_agg(b.baseline_id) INTO baselines FROM perf.performance_baselines AS b
        WHERE b.operation_type = alert.operation_type AND b.scope IS NOT DISTINCT FROM alert.scope;
        SELECT count(*) AS times, min(o.ended_at) AS first_seen, max(o.ended_at) AS last_seen, max(o.duration_us) AS worst
        INTO found FROM perf.operation AS o
        WHERE o.operation_type = alert.operation_type AND o.over_baseline_id = ANY (baselines)
          AND o.ended_at >= alert.first_seen - quiet
          AND o.ended_at > coalesce((SELECT max(a.last_seen) FROM perf.performance_alerts AS a
                                     WHERE a.alert_type = alert.alert_type AND a.operation_type = alert.operation_type
                                       AND a.scope IS NOT DISTINCT FROM alert.scope AND a.resolved_at IS NOT NULL), '-infinity');
        SELECT o.metric_id, o.user_name, b.* INTO worst
        FROM perf.operation AS o JOIN perf.performance_baselines AS b ON b.baseline_id = o.over_baseline_id
        WHERE o.operation_type = alert.operation_type AND o.over_baseline_id = ANY (baselines)
          AND o.ended_at BETWEEN found.first_seen AND found.last_seen AND o.duration_us = found.worst
        ORDER BY o.metric_id LIMIT 1;
        SELECT count(*) FILTER (WHERE o.over_baseline_id = ANY (baselines)) AS over, count(*) AS total INTO recent
        FROM perf.operation AS o
        WHERE o.is_metric AND o.operation_type = alert.operation_type
          AND o.ended_at > statement_timestamp() - interval '10 minutes'
          AND CASE WHEN alert.scope IS NOT NULL THEN o.scope = alert.scope
                   ELSE NOT EXISTS (SELECT FROM perf.performance_baselines AS b
                                    WHERE b.is_active AND b.operation_type = alert.operation_type AND b.scope = o.scope) END;
        UPDATE perf.performance_alerts AS a
        SET occurrence_count = greatest(found.times, 1),
            first_seen = coalesce(found.first_seen, a.first_seen),
            last_seen = coalesce(found.last_seen, a.last_seen),
            metric_id = coalesce(worst.metric_id, a.metric_id),
            user_name = coalesce(worst.user_name, a.user_name),
            baseline_id = coalesce(worst.baseline_id, a.baseline_id),
            baseline_p99_microseconds = coalesce(worst.p99_microseconds, a.baseline_p99_microseconds),
            actual_duration_microseconds = coalesce(found.worst, a.actual_duration_microseconds),
            violation_multiplier = coalesce(perf.times_over(found.worst, worst.p99_microseconds), a.violation_multiplier),
            severity = CASE WHEN found.worst > worst.critical_us THEN 'CRITICAL' WHEN found.worst IS NULL THEN a.severity
                            ELSE 'WARNING' END,
            sustained_at = CASE WHEN recent.over >= least_count AND recent.over * 100 >= recent.total * least_percent
                                THEN coalesce(a.sustained_at, statement_timestamp()) END,
            resolved_at = CASE WHEN coalesce(found.last_seen, a.last_seen) < statement_timestamp() - quiet
                               THEN statement_timestamp() END
        WHERE a.alert_id = alert.alert_id;
    END LOOP;
    RETURN (SELECT count(*) FROM perf.performance_alerts WHERE resolved_at IS NULL);
END
$$;

-- Says that somebody looks after an alert; false where somebody said so before, who stays.
CREATE FUNCTION perf.acknowledge_performance_alert(
    p_alert_id bigint, p_acknowledged_by text DEFAULT CURRENT_USER, p_resolution_notes text DEFAULT NULL
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = perf, pg_catalog, pg_temp AS $$
DECLARE
    alert perf.performance_alerts;
BEGIN
    UPDATE perf.performance_alerts
    SET is_acknowledged = true, acknowledged_at = clock_timestamp(), resolution_notes = p_resolution_notes,
        acknowledged_by = coalesce(nullif(p_acknowledged_by, ''), perf.acting_user())
    WHERE alert_id = p_alert_id AND NOT is_acknowledged RETURNING * INTO alert;
    IF FOUND THEN
        PERFORM core.audit_append(
            'latency_alert.acknowledge', 'latency_alert', p_alert_id::text, nullif(alert.scope, ''),
            after => jsonb_build_object('acknowledged_by', alert.acknowledged_by, 'resolution_notes', p_resolution_notes));
        RETURN true;
    END IF;
    IF NOT EXISTS (SELECT FROM perf.performance_alerts WHERE alert_id = p_alert_id) THEN
        PERFORM perf.refuse(format('no alert has the id %s', p_alert_id), 'alert_unknown', 'P0002');
    END IF;
    RETURN false;
END
$$;

CREATE FUNCTION perf.get_unacknowledged_alerts(p_days integer DEFAULT 7) RETURNS TABLE (
    alert_id bigint, operation_type text, severity text, violation_multiplier numeric, baseline_p99_ms numeric,
    actual_duration_ms numeric, user_name text, created_at timestamptz
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = perf, pg_catalog, pg_temp AS $$
    SELECT a.alert_id, a.operation_type, a.severity, a.violation_multiplier, perf.millis(a.baseline_p99_microseconds),
           perf.millis(a.actual_duration_microseconds), a.user_name, a.created_at
    FROM perf.performance_alerts AS a
    WHERE NOT a.is_acknowledged AND a.created_at >= perf.days_back(p_days)
    ORDER BY a.created_at DESC, a.alert_id DESC
$$;

CREATE VIEW perf.v_performance_alerts_recent AS
    SELECT alert_id, operation_type::text, severity, alert_type, perf.millis(actual_duration_microseconds) AS actual_duration_ms,
           perf.millis(baseline_p99_microseconds) AS baseline_p99_ms, violation_multiplier AS multiplier_over_baseline, user_name,
           created_at, is_acknowledged,
           round(extract(epoch FROM statement_timestamp() - created_at) / 60, 1) AS minutes_ago
    FROM perf.performance_alerts ORDER BY created_at DESC, alert_id DESC LIMIT 100;

CREATE VIEW perf.v_performance_alerts_critical AS
    SELECT alert_id, operation_type::text, perf.millis(actual_duration_microseconds) AS actual_duration_ms,
           perf.millis(baseline_p99_microseconds) AS baseline_p99_ms, round((violation_multiplier - 1) * 100, 1) AS percent_over_baseline,
           user_name, created_at,
           round(extract(epoch FROM statement_timestamp() - created_at) / 60, 1) AS minutes_unacknowledged
    FROM perf.performance_alerts
    WHERE severity = 'CRITICAL' AND NOT is_acknowledged AND resolved_at IS NULL ORDER BY created_at DESC, alert_id DESC;

CREATE VIEW perf.v_baseline_health AS
    SELECT b.operation_type::text, b.baseline_date, b.sample_count, perf.millis(b.p99_microseconds) AS p99_ms,
           b.alert_threshold_multiplier * 100 AS alert_threshold_percent,
           (SELECT count(*) FROM perf.performance_alerts AS a WHERE a.baseline_id = b.baseline_id) AS alerts_generated,
           b.is_active, (statement_timestamp() AT TIME ZONE 'UTC')::date - b.baseline_date AS days_since_calculation,
           b.scope::text
    FROM perf.performance_baselines AS b ORDER BY b.operation_type, b.scope, b.baseline_id DESC;

-- Keeps what was detected of a kind, ANOMALY or DEGRADATION: opens alerts, brings open ones up to date, and resolves those that
-- were not found again. `detected` is a list of {operation_type, severity, now_us, before_us, detail}, with
-- `at` where it was found of a time that is over.
CREATE FUNCTION perf.keep_detected(kind text, detected jsonb) RETURNS void LANGUAGE plpgsql
SET search_path = perf, pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO perf.performance_alerts AS a
        (alert_type, severity, operation_type, scope, baseline_p99_microseconds, actual_duration_microseconds,
         violation_multiplier, first_seen, last_seen, sustained_at, detail)
    SELECT kind, f.severity, f.operation_type, NULL, f.before_us, f.now_us, perf.times_over(f.now_us, f.before_us),
           coalesce(f.at, statement_timestamp()), coalesce(f.at, statement_timestamp()), statement_timestamp(), f.detail
    FROM jsonb_to_recordset(detected)
         AS f(operation_type text, severity text, now_us bigint, before_us bigint, at timestamptz, detail jsonb)
    ON CONFLICT (alert_type, operation_type, scope) WHERE resolved_at IS NULL DO UPDATE
    SET severity = excluded.severity, baseline_p99_microseconds = excluded.baseline_p99_microseconds,
        actual_duration_microseconds = excluded.actual_duration_microseconds, detail = excluded.detail,
        violation_multiplier = excluded.violation_multiplier, last_seen = excluded.last_seen,
        occurrence_count = a.occurrence_count + (a.last_seen < excluded.last_seen)::integer;
    UPDATE perf.performance_alerts AS a SET resolved_at = statement_timestamp()
    WHERE a.alert_type = kind AND a.resolved_at IS NULL
      AND NOT EXISTS (SELECT FROM jsonb_array_elements(detected) AS f WHERE f ->> 'operation_type' = a.operation_type);
END
$$;

-- Forgets what is older than it is kept: days, resolved alerts and baselines that are not in force; hours after 35 days.
CREATE FUNCTION perf.expire(kept interval) RETURNS void LANGUAGE sql SET search_path = perf, pg_catalog, pg_temp AS $$
    DELETE FROM perf.rollup_day WHERE start_at < statement_timestamp() - kept;
    DELETE FROM perf.rollup_hour WHERE start_at < statement_timestamp() - interval '35 days';
    DELETE FROM perf.rolled_hour WHERE start_at < statement_timestamp() - kept;
    DELETE FROM perf.performance_alerts WHERE resolved_at < statement_timestamp() - kept;
    DELETE FROM perf.performance_baselines AS b
    USING core.acting('{"actor": "system:performance", "method": "system", "quiet": true}')
    WHERE NOT b.is_active AND b.calculation_timestamp < statement_timestamp() - kept;
$$;

REVOKE ALL ON FUNCTION perf.acting_user, perf.learn_baseline, perf.relearn_baselines, perf.evaluate_alerts, perf.keep_detected,
    perf.expire FROM PUBLIC;
GRANT SELECT ON perf.v_performance_alerts_recent, perf.v_performance_alerts_critical, perf.v_baseline_health TO PUBLIC;
