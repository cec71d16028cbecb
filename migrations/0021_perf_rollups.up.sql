-- Statistics of operations: hours and days are summed up once they are over, and what was not summed up yet is read as it is.

-- Operations that are known. The server adds those that it sees.
CREATE TABLE perf.performance_operation_types (
    operation_type_id   integer        GENERATED ALWAYS AS IDENTITY,
    operation_type      perf.type_name NOT NULL,
    description         text,
    category            text,
    typical_duration_ms numeric(12, 1),
    is_tracked          boolean        NOT NULL DEFAULT true,
    CONSTRAINT perf_performance_operation_types_pkey PRIMARY KEY (operation_type_id),
    CONSTRAINT perf_performance_operation_types_operation_type_key UNIQUE (operation_type),
    CONSTRAINT chk_operation_category CHECK (category IN ('READ', 'WRITE', 'ADMIN', 'WORKFLOW')),
    CONSTRAINT chk_typical_duration CHECK (typical_duration_ms >= 0)
);
SELECT core.audited('perf.performance_operation_types', 'operation_type', 'operation_type');

-- The operations of an hour: a row for each type and scope, and one for each type (scope NULL). Percentiles, sums, least and
-- largest are of those that succeeded. `buckets` and `counts` are how often each bucket of `perf.bucket` occurs, which can be
-- added up, as in DDSketch (Masson, Rim, Lee 2019).
CREATE TABLE perf.rollup_hour (
    start_at       timestamptz      NOT NULL,
    operation_type text             NOT NULL,
    scope          text,
    sample_count   bigint           NOT NULL,
    failed_count   bigint           NOT NULL,
    over_count     bigint           NOT NULL,
    sum_us         numeric          NOT NULL,
    sum_squares    double precision NOT NULL,
    min_us         bigint,
    max_us         bigint,
    p50_us         bigint,
    p75_us         bigint,
    p90_us         bigint,
    p95_us         bigint,
    p99_us         bigint,
    last_at        timestamptz      NOT NULL,
    buckets        smallint[]       NOT NULL,
    counts         bigint[]         NOT NULL
);
CREATE UNIQUE INDEX perf_rollup_hour_key ON perf.rollup_hour (operation_type, scope, start_at) NULLS NOT DISTINCT;
CREATE INDEX perf_rollup_hour_start_at_idx ON perf.rollup_hour (start_at);

-- The hours of a day (UTC), added up.
CREATE TABLE perf.rollup_day (LIKE perf.rollup_hour);
CREATE UNIQUE INDEX perf_rollup_day_key ON perf.rollup_day (operation_type, scope, start_at) NULLS NOT DISTINCT;
CREATE INDEX perf_rollup_day_start_at_idx ON perf.rollup_day (start_at);

-- The hours that are in `rollup_hour`, and how many rows they had.
CREATE TABLE perf.rolled_hour (
    start_at     timestamptz NOT NULL,
    metric_count bigint      NOT NULL,
    span_count   bigint      NOT NULL,
    rolled_at    timestamptz NOT NULL,
    CONSTRAINT perf_rolled_hour_pkey PRIMARY KEY (start_at)
);

-- Hours before `rolled_through` are rolled up. Those before `closing_through` are, once every transaction older than
-- `closing_xid` has ended: a younger one notes that it wrote to an hour that was over.
CREATE TABLE perf.rollup_state (
    only_row        boolean     NOT NULL DEFAULT true,
    rolled_through  timestamptz NOT NULL,
    closing_through timestamptz,
    closing_xid     xid8,
    CONSTRAINT perf_rollup_state_pkey PRIMARY KEY (only_row),
    CONSTRAINT perf_rollup_state_only_row_check CHECK (only_row)
);

-- The bucket of a duration: 0 for none, else 1 + ⌈ln µs ÷ ln 1.02⌉. A value read back is within 1 % or 1 µs.
CREATE FUNCTION perf.bucket(micros bigint) RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN micros <= 0 THEN 0 ELSE 1 + ceil(ln(micros::double precision) / ln(1.02::double precision)) END::smallint
$$;

CREATE FUNCTION perf.bucket_us(bucket smallint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN bucket = 0 THEN 0 ELSE round(2 * power(1.02::double precision, bucket - 1) / 2.02) END::bigint
$$;

-- The value of which a share q of the values is at most as large (nearest rank), by buckets and how many values are up to each.
CREATE FUNCTION perf.percentile(buckets smallint[], upto bigint[], q numeric, min_us bigint, max_us bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT greatest(min_us, least(max_us, perf.bucket_us(
        buckets[1 + width_bucket(ceil(q * upto[cardinality(upto)])::bigint - 1, upto)])))
$$;

-- Microseconds as milliseconds, to the microsecond.
CREATE FUNCTION perf.millis(micros numeric) RETURNS numeric LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT round(micros / 1000, 3)
$$;

-- When so many calendar days (UTC) begin, of which today is the last.
CREATE FUNCTION perf.days_back(days integer) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF days IS NULL OR days NOT BETWEEN 1 AND 3650 THEN
        PERFORM perf.refuse('p_days is from 1 to 3650', 'argument_invalid', '22023');
    END IF;
    RETURN date_trunc('day', statement_timestamp(), 'UTC') - (days - 1) * interval '24 hours';
END
$$;

-- Rolls an hour up, anew if it was before.
CREATE FUNCTION perf.roll_hour(hour timestamptz) RETURNS void LANGUAGE plpgsql
SET search_path = perf, pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    DELETE FROM perf.rollup_hour WHERE start_at = hour;
    DELETE FROM perf.rolled_hour WHERE start_at = hour;
    WITH raw AS MATERIALIZED (
        SELECT operation_type::text AS kind, scope::text AS scope, duration_us::bigint AS us, failed,
               over_baseline_id IS NOT NULL AS over, ended_at, is_metric, trace_id IS NOT NULL AS is_span
        FROM perf.operation WHERE ended_at >= hour AND ended_at < hour + interval '1 hour'
    ), figures AS (
        SELECT kind, scope, grouping(scope) AS overall, count(*) FILTER (WHERE NOT failed) AS samples,
               count(*) FILTER (WHERE failed) AS failures, count(*) FILTER (WHERE over) AS over,
               coalesce(sum(us) FILTER (WHERE NOT failed), 0) AS sum_us,
               coalesce(sum(us::double precision ^ 2) FILTER (WHERE NOT failed), 0) AS sum_squares,
               min(us) FILTER (WHERE NOT failed) AS min_us, max(us) FILTER (WHERE NOT failed) AS max_us,
               percentile_cont(ARRAY[0.5, 0.75, 0.9, 0.95, 0.99]) WITHIN GROUP (ORDER BY us) FILTER (WHERE NOT failed) AS p,
               max(ended_at) AS last_at
        FROM raw WHERE is_metric GROUP BY GROUPING SETS ((kind, scope), (kind))
    ), bucketed AS (
        SELECT kind, scope, overall, array_agg(bucket ORDER BY bucket) AS buckets, array_agg(n ORDER BY bucket) AS counts
        FROM (SELECT kind, scope, grouping(scope) AS overall, bucket, count(*) AS n
              FROM (SELECT kind, scope, perf.bucket(us) AS bucket FROM raw WHERE is_metric AND NOT failed) AS row
              GROUP BY GROUPING SETS ((kind, scope, bucket), (kind, bucket))) AS counted
        GROUP BY kind, scope, overall
    ), counted AS (
        INSERT INTO perf.rolled_hour (start_at, metric_count, span_count, rolled_at)
        SELECT hour, count(*) FILTER (WHERE is_metric), count(*) FILTER (WHERE is_span), clock_timestamp() FROM raw
        HAVING count(*) > 0
    )
    INSERT INTO perf.rollup_hour
        (start_at, operation_type, scope, sample_count, failed_count, over_count, sum_us, sum_squares, min_us, max_us, p50_us,
         p75_us, p90_us, p95_us, p99_us, last_at, buckets, counts)
    SELECT hour, f.kind, f.scope, f.samples, f.failures, f.over, f.sum_us, f.sum_squares, f.min_us, f.max_us, round(f.p[1]),
           round(f.p[2]), round(f.p[3]), round(f.p[4]), round(f.p[5]), f.last_at, coalesce(b.buckets, '{}'), coalesce(b.counts, '{}')
    FROM figures AS f
    LEFT JOIN bucketed AS b
        ON b.kind = f.kind AND b.overall = f.overall AND coalesce(b.scope, '') = coalesce(f.scope, '');
END
$$;

-- Adds up the hours of a day.
CREATE FUNCTION perf.roll_day(day timestamptz) RETURNS void LANGUAGE plpgsql
SET search_path = perf, pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    DELETE FROM perf.rollup_day WHERE start_at = day;
    WITH hour AS MATERIALIZED (
        SELECT * FROM perf.rollup_hour WHERE start_at >= day AND start_at < day + interval '24 hours'
    ), bucketed AS (
        SELECT kind, scope, array_agg(bucket ORDER BY bucket) AS buckets, array_agg(n::bigint ORDER BY bucket) AS counts,
               array_agg(upto::bigint ORDER BY bucket) AS upto
        FROM (SELECT h.operation_type AS kind, h.scope, u.bucket, sum(u.n) AS n,
                     sum(sum(u.n)) OVER (PARTITION BY h.operation_type, h.scope ORDER BY u.bucket) AS upto
              FROM hour AS h, unnest(h.buckets, h.counts) AS u(bucket, n)
              GROUP BY h.operation_type, h.scope, u.bucket) AS counted
        GROUP BY kind, scope
    ), figures AS (
        SELECT operation_type AS kind, scope, sum(sample_count)::bigint AS samples, sum(failed_count)::bigint AS failures,
               sum(over_count)::bigint AS over, sum(sum_us) AS sum_us, sum(sum_squares) AS sum_squares, min(min_us) AS min_us,
               max(max_us) AS max_us, max(last_at) AS last_at,
               CASE WHEN count(*) = 1
                    THEN ARRAY[min(p50_us), min(p75_us), min(p90_us), min(p95_us), min(p99_us)] END AS own
        FROM hour GROUP BY operation_type, scope
    )
    INSERT INTO perf.rollup_day
        (start_at, operation_type, scope, sample_count, failed_count, over_count, sum_us, sum_squares, min_us, max_us, p50_us,
         p75_us, p90_us, p95_us, p99_us, last_at, buckets, counts)
    SELECT day, f.kind, f.scope, f.samples, f.failures, f.over, f.sum_us, f.sum_squares, f.min_us, f.max_us,
           coalesce(f.own[1], perf.percentile(b.buckets, b.upto, 0.5, f.min_us, f.max_us)),
           coalesce(f.own[2], perf.percentile(b.buckets, b.upto, 0.75, f.min_us, f.max_us)),
           coalesce(f.own[3], perf.percentile(b.buckets, b.upto, 0.9, f.min_us, f.max_us)),
           coalesce(f.own[4], perf.percentile(b.buckets, b.upto, 0.95, f.min_us, f.max_us)),
           coalesce(f.own[5], perf.percentile(b.buckets, b.upto, 0.99, f.min_us, f.max_us)),
           f.last_at, coalesce(b.buckets, '{}'), coalesce(b.counts, '{}')
    FROM figures AS f
    LEFT JOIN bucketed AS b ON b.kind = f.kind AND b.scope IS NOT DISTINCT FROM f.scope;
END
$$;

-- Operations that are known from the start: those of programs that the names come from, and the server's own.
CREATE FUNCTION perf.known_types() RETURNS TABLE (kind text, category text, typical_ms numeric, about text)
LANGUAGE sql IMMUTABLE AS $$
    VALUES ('commit', 'WRITE', 5.0, NULL), ('merge', 'WRITE', 50, NULL), ('rollback', 'WRITE', 10, NULL),
           ('branch_create', 'WRITE', 2, NULL), ('branch_delete', 'WRITE', 1, NULL),
           ('conflict_detection', 'WRITE', 20, NULL), ('auto_resolution', 'WRITE', 15, NULL),
           ('rollback_commit', 'WRITE', NULL, NULL), ('cascade_merge', 'WRITE', NULL, NULL),
           ('get_objects', 'READ', 1, NULL), ('get_history', 'READ', 5, NULL), ('get_branches', 'READ', 0.5, NULL),
           ('get_commits', 'READ', 2, NULL), ('get_object_timeline', 'READ', NULL, NULL),
           ('triage', 'WORKFLOW', NULL, 'an app is diagnosed'), ('diff', 'WORKFLOW', NULL, 'two windows are compared'),
           ('search', 'WORKFLOW', NULL, 'a function is looked for in the fleet'),
           ('hotspots', 'WORKFLOW', NULL, 'the functions of the fleet are ranked'),
           ('profile.fetch', 'READ', NULL, 'a profile is read'), ('profile.discover', 'READ', NULL, 'apps are listed'),
           ('pyroscope.query', 'READ', NULL, 'Pyroscope is asked'),
           ('baseline.read', 'READ', NULL, 'approved limits are read'), ('baseline.write', 'WRITE', NULL, 'they are changed'),
           ('history.read', 'READ', NULL, 'decisions are read'), ('history.write', 'WRITE', NULL, 'they are recorded'),
           ('history.deliver', 'WRITE', NULL, 'decisions that waited are recorded'),
           ('registry.read', 'READ', NULL, 'services are read'), ('registry.write', 'WRITE', NULL, 'they are changed'),
           ('rule.read', 'READ', NULL, 'alert rules are read'), ('rule.write', 'WRITE', NULL, 'they are changed'),
           ('rule.evaluate', 'WORKFLOW', NULL, 'an alert rule is tried')
$$;

-- Adds the types that are known from the start, and untracked those that were seen in hours from a time on.
CREATE FUNCTION perf.register_types(seen_from timestamptz) RETURNS void LANGUAGE sql
SET search_path = perf, pg_catalog, pg_temp AS $$
    INSERT INTO perf.performance_operation_types (operation_type, category, typical_duration_ms, description, is_tracked)
    SELECT new.kind, new.category, new.typical_ms, new.about, new.is_tracked
    FROM core.acting('{"actor": "system:performance_rollups", "method": "system", "quiet": true}'),
         (SELECT kind, category, typical_ms, about, true AS is_tracked FROM perf.known_types()
          UNION ALL
          SELECT DISTINCT operation_type, NULL, NULL::numeric, NULL, false FROM perf.rollup_hour
          WHERE start_at >= seen_from AND operation_type NOT IN (SELECT kind FROM perf.known_types())) AS new
    WHERE NOT EXISTS (SELECT FROM perf.performance_operation_types AS t WHERE t.operation_type = new.kind)
    ON CONFLICT (operation_type) DO NOTHING
$$;

-- Rolls up at most 48 hours that are over, and at most 48 that were written to after they were rolled. Answers how many, and
-- through when hours are rolled up; nothing where another session does it.
CREATE FUNCTION perf.refresh_rollups(OUT hours integer, OUT through timestamptz) LANGUAGE plpgsql
SET search_path = perf, pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    state  perf.rollup_state;
    over   CONSTANT timestamptz := date_trunc('hour', clock_timestamp() - interval '5 seconds');
    rolled timestamptz[] := '{}';
    hour   timestamptz;
BEGIN
    INSERT INTO perf.rollup_state (rolled_through)
    SELECT date_trunc('hour', least(clock_timestamp(), (SELECT min(ended_at) FROM perf.operation)))
    WHERE NOT EXISTS (SELECT FROM perf.rollup_state) ON CONFLICT DO NOTHING;
    SELECT * INTO state FROM perf.rollup_state FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN RETURN; END IF;
    IF coalesce(state.closing_through, '-infinity') <= state.rolled_through AND over > state.rolled_through THEN
        state.closing_through := over;
        state.closing_xid := pg_current_xact_id();
    END IF;
    -- From here on each statement sees what every writer of these hours wrote, or they note the hour.
    IF state.closing_through > state.rolled_through AND pg_snapshot_xmin(pg_current_snapshot()) >= state.closing_xid THEN
        FOR hour IN
            SELECT generate_series(state.rolled_through, state.closing_through - interval '1 hour', interval '1 hour') LIMIT 48
        LOOP
            PERFORM perf.roll_hour(hour);
            rolled := rolled || hour;
            state.rolled_through := hour + interval '1 hour';
        END LOOP;
    END IF;
    FOR hour IN
        WITH late AS (
            DELETE FROM perf.late_hour
            WHERE start_at < state.rolled_through
              AND start_at IN (SELECT DISTINCT start_at FROM perf.late_hour ORDER BY start_at LIMIT 48)
            RETURNING start_at
        )
        SELECT DISTINCT start_at FROM late ORDER BY start_at
    LOOP
        PERFORM perf.roll_hour(hour);
        rolled := rolled || hour;
    END LOOP;
    UPDATE perf.rollup_state
    SET rolled_through = state.rolled_through, closing_through = state.closing_through, closing_xid = state.closing_xid;
    PERFORM perf.roll_day(day)
    FROM (SELECT DISTINCT date_trunc('day', at) FROM unnest(rolled) AS hours(at)) AS days(day)
    WHERE day + interval '24 hours' <= state.rolled_through;
    PERFORM perf.register_types((SELECT min(at) FROM unnest(rolled) AS hours(at)));
    hours := cardinality(rolled);
    through := state.rolled_through;
END
$$;

-- Statistics of what ended from a time to a time, both on the hour unless steps are shorter: of all of it, or for each step, for each
-- type and scope or not, of a type or a scope alone (NULL: all), without some hours. What was rolled up is read from there, the rest as it is; all
-- percentiles are exact where nothing was rolled up, and those of one row of a roll-up are its own.
CREATE FUNCTION perf.statistics(
    since timestamptz, until timestamptz, of_type text DEFAULT NULL, of_scope text DEFAULT NULL, step interval DEFAULT NULL,
    by_type boolean DEFAULT true, by_scope boolean DEFAULT false, left_out timestamptz[] DEFAULT '{}'
) RETURNS TABLE (
    start_at timestamptz, operation_type text, scope text, sample_count bigint, failed_count bigint, over_count bigint,
    mean_us numeric, stddev_us numeric, sum_us numeric, min_us bigint, max_us bigint, p50_us numeric, p75_us numeric,
    p90_us numeric, p95_us numeric, p99_us numeric, last_at timestamptz, is_exact boolean, operation_types bigint
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = perf, pg_catalog, pg_temp SET timezone = 'UTC'
SET jit = off SET max_parallel_workers_per_gather = 0 SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
    -- Hours before this are read from where they were rolled up.
    rolled CONSTANT timestamptz := CASE WHEN step < interval '1 hour' THEN '-infinity'
        ELSE least(until, coalesce((SELECT rolled_through FROM perf.rollup_state), '-infinity')) END;
    in_days CONSTANT boolean := step IS NULL
        OR step = interval '24 hours' AND since = date_trunc('day', since);
BEGIN
    RETURN QUERY
    WITH late AS MATERIALIZED (
        SELECT DISTINCT l.start_at FROM perf.late_hour AS l WHERE l.start_at >= since AND l.start_at < rolled
    ), day AS MATERIALIZED (
        SELECT d.start_at, in_days AND d.start_at >= since AND d.start_at + interval '24 hours' <= rolled
                           AND NOT EXISTS (SELECT FROM late AS l WHERE date_trunc('day', l.start_at) = d.start_at)
                           AND NOT EXISTS (SELECT FROM unnest(left_out) AS o(hour) WHERE date_trunc('day', hour) = d.start_at)
                           AS whole
        FROM generate_series(date_trunc('day', since), rolled, interval '24 hours') AS d(start_at)
        WHERE isfinite(rolled)
    ), stored AS MATERIALIZED (
        SELECT r.* FROM day AS d JOIN perf.rollup_day AS r ON r.start_at = d.start_at
        WHERE d.whole AND (of_type IS NULL OR r.operation_type = of_type)
          AND CASE WHEN of_scope IS NOT NULL THEN r.scope = of_scope WHEN by_scope THEN r.scope IS NOT NULL
                   ELSE r.scope IS NULL END
        UNION ALL
        SELECT r.* FROM day AS d CROSS JOIN LATERAL (
            SELECT * FROM perf.rollup_hour AS r
            WHERE r.start_at >= greatest(since, d.start_at) AND r.start_at < least(rolled, d.start_at + interval '24 hours')
              AND (of_type IS NULL OR r.operation_type = of_type)
              AND CASE WHEN of_scope IS NOT NULL THEN r.scope = of_scope WHEN by_scope THEN r.scope IS NOT NULL
                       ELSE r.scope IS NULL END OFFSET 0
        ) AS r
        WHERE NOT d.whole AND r.start_at NOT IN (SELECT l.start_at FROM late AS l) AND r.start_at <> ALL (left_out)
    ), keyed AS MATERIALIZED (
        SELECT CASE WHEN step IS NULL THEN '-infinity' ELSE date_bin(step, s.start_at, since) END AS at,
               CASE WHEN by_type THEN s.operation_type ELSE '' END AS kind,
               CASE WHEN by_scope THEN s.scope ELSE '' END AS part, s.*
        FROM stored AS s
    ), raw AS MATERIALIZED (
        SELECT CASE WHEN step IS NULL THEN '-infinity' ELSE date_bin(step, o.ended_at, since) END AS at,
               CASE WHEN by_type THEN o.operation_type::text ELSE '' END AS kind,
               CASE WHEN by_scope THEN o.scope::text ELSE '' END AS part,
               o.operation_type::text AS operation_type, o.duration_us::bigint AS us, o.failed,
               o.over_baseline_id IS NOT NULL AS over, o.ended_at
        FROM (SELECT * FROM perf.operation WHERE ended_at >= greatest(since, rolled) AND ended_at < until AND rolled < until
              UNION ALL
              SELECT o.* FROM late AS l CROSS JOIN LATERAL (
                  SELECT * FROM perf.operation
                  WHERE ended_at >= l.start_at AND ended_at < l.start_at + interval '1 hour' OFFSET 0) AS o) AS o
        WHERE o.is_metric AND (of_type IS NULL OR o.operation_type = of_type) AND (of_scope IS NULL OR o.scope = of_scope)
          AND (left_out = '{}' OR date_trunc('hour', o.ended_at) <> ALL (left_out))
    ), raw_figures AS MATERIALIZED (
        SELECT r.at, r.kind, r.part, count(*) FILTER (WHERE NOT r.failed) AS samples,
               count(*) FILTER (WHERE r.failed) AS failures, count(*) FILTER (WHERE r.over) AS over,
               coalesce(sum(r.us) FILTER (WHERE NOT r.failed), 0) AS sum_us,
               coalesce(sum(r.us::double precision ^ 2) FILTER (WHERE NOT r.failed), 0) AS sum_squares,
               min(r.us) FILTER (WHERE NOT r.failed) AS min_us, max(r.us) FILTER (WHERE NOT r.failed) AS max_us,
               percentile_cont(ARRAY[0.5, 0.75, 0.9, 0.95, 0.99]) WITHIN GROUP (ORDER BY r.us) FILTER (WHERE NOT r.failed) AS p,
               max(r.ended_at) AS last_at, array_agg(DISTINCT r.operation_type) AS kinds
        FROM raw AS r GROUP BY r.at, r.kind, r.part
    ), stored_figures AS MATERIALIZED (
        SELECT k.at, k.kind, k.part, sum(k.sample_count) AS samples, sum(k.failed_count) AS failures,
               sum(k.over_count) AS over, sum(k.sum_us) AS sum_us, sum(k.sum_squares) AS sum_squares, min(k.min_us) AS min_us,
               max(k.max_us) AS max_us,
               CASE WHEN count(*) = 1
                    THEN ARRAY[min(k.p50_us), min(k.p75_us), min(k.p90_us), min(k.p95_us), min(k.p99_us)] END AS own,
               max(k.last_at) AS last_at, array_agg(DISTINCT k.operation_type) AS kinds
        FROM keyed AS k GROUP BY k.at, k.kind, k.part
    ), figures AS MATERIALIZED (
        SELECT at, kind, part, coalesce(r.samples, 0) + coalesce(s.samples, 0) AS samples,
               coalesce(r.failures, 0) + coalesce(s.failures, 0) AS failures, coalesce(r.over, 0) + coalesce(s.over, 0) AS over,
               coalesce(r.sum_us, 0) + coalesce(s.sum_us, 0) AS sum_us,
               coalesce(r.sum_squares, 0) + coalesce(s.sum_squares, 0) AS sum_squares,
               least(r.min_us, s.min_us) AS min_us, greatest(r.max_us, s.max_us) AS max_us,
               CASE WHEN s.samples IS NULL THEN r.p WHEN r.samples IS NULL THEN s.own END AS p,
               greatest(r.last_at, s.last_at) AS last_at, s.samples IS NULL AS is_exact,
               (SELECT count(DISTINCT k) FROM unnest(r.kinds || s.kinds) AS k) AS kinds
        FROM raw_figures AS r FULL JOIN stored_figures AS s USING (at, kind, part)
    ), merged AS (
        -- Numbers, because they are sorted faster than names.
        SELECT row_number() OVER () AS key, at, kind, part FROM figures WHERE p IS NULL
    ), bucketed AS (
        SELECT key, array_agg(bucket ORDER BY bucket) AS buckets, array_agg(upto::bigint ORDER BY bucket) AS upto
        FROM (SELECT key, bucket, sum(sum(n)) OVER (PARTITION BY key ORDER BY bucket) AS upto
              FROM (SELECT m.key, u.bucket, u.n
                    FROM keyed AS k JOIN merged AS m USING (at, kind, part), unnest(k.buckets, k.counts) AS u(bucket, n)
                    UNION ALL
                    SELECT m.key, perf.bucket(r.us), 1
                    FROM raw AS r JOIN merged AS m USING (at, kind, part) WHERE NOT r.failed) AS counted
              GROUP BY key, bucket) AS summed
        GROUP BY key
    )
    SELECT CASE WHEN step IS NOT NULL THEN f.at END, CASE WHEN by_type THEN f.kind END,
           CASE WHEN by_scope THEN f.part ELSE of_scope END, f.samples::bigint, f.failures::bigint, f.over::bigint,
           round(f.sum_us / nullif(f.samples, 0), 2),
           round(sqrt(greatest(0, (f.sum_squares - f.sum_us::double precision ^ 2 / nullif(f.samples, 0))
                                  / nullif(f.samples - 1, 0)))::numeric, 2),
           f.sum_us, f.min_us, f.max_us,
           coalesce(f.p[1], perf.percentile(b.buckets, b.upto, 0.5, f.min_us, f.max_us))::numeric,
           coalesce(f.p[2], perf.percentile(b.buckets, b.upto, 0.75, f.min_us, f.max_us))::numeric,
           coalesce(f.p[3], perf.percentile(b.buckets, b.upto, 0.9, f.min_us, f.max_us))::numeric,
           coalesce(f.p[4], perf.percentile(b.buckets, b.upto, 0.95, f.min_us, f.max_us))::numeric,
           coalesce(f.p[5], perf.percentile(b.buckets, b.upto, 0.99, f.min_us, f.max_us))::numeric,
           f.last_at, f.is_exact, f.kinds
    FROM figures AS f LEFT JOIN merged AS m USING (at, kind, part) LEFT JOIN bucketed AS b USING (key);
END
$$;

-- An operation on each of so many calendar days (UTC), today included; newest first.
CREATE FUNCTION perf.get_performance_trend(
    p_operation_type text, p_branch_id integer DEFAULT NULL, p_days integer DEFAULT 7, p_scope text DEFAULT NULL
) RETURNS TABLE (
    trend_date date, sample_count bigint, avg_duration_ms numeric, min_duration_ms numeric, max_duration_ms numeric,
    p50_ms numeric, p99_ms numeric, p95_ms numeric, failed_count bigint, is_exact boolean
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = perf, pg_catalog, pg_temp SET timezone = 'UTC' AS $$
    SELECT s.start_at::date, s.sample_count, perf.millis(s.mean_us), perf.millis(s.min_us), perf.millis(s.max_us),
           perf.millis(s.p50_us), perf.millis(s.p99_us), perf.millis(s.p95_us), s.failed_count, s.is_exact
    FROM perf.statistics(perf.days_back(p_days), 'infinity', p_operation_type, perf.scope_of(p_branch_id, p_scope),
                         interval '24 hours') AS s
    ORDER BY s.start_at DESC
$$;

-- The slowest operations from a time on. No hour's largest is below the least of so many largest ones, so that the index of
-- ranges leaves out what is below it.
CREATE FUNCTION perf.slowest(since timestamptz, of_type text, of_scope text, most integer)
RETURNS SETOF perf.operation LANGUAGE plpgsql STABLE SET search_path = perf, pg_catalog, pg_temp SET timezone = 'UTC' SET jit = off SET max_parallel_workers_per_gather = 0 SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    least_us CONSTANT bigint := coalesce(
        (SELECT r.max_us FROM perf.rollup_hour AS r
         WHERE r.start_at >= since AND (of_type IS NULL OR r.operation_type = of_type) AND r.max_us IS NOT NULL
           AND CASE WHEN of_scope IS NULL THEN r.scope IS NULL ELSE r.scope = of_scope END
         ORDER BY r.max_us DESC OFFSET greatest(most, 1) - 1 LIMIT 1), 0);
BEGIN
    RETURN QUERY
        SELECT * FROM perf.operation AS o
        WHERE o.ended_at >= since AND o.duration_us >= least_us AND o.is_metric
          AND (of_type IS NULL OR o.operation_type = of_type) AND (of_scope IS NULL OR o.scope = of_scope)
        ORDER BY o.duration_us DESC, o.metric_id LIMIT most;
END
$$;

CREATE FUNCTION perf.get_slowest_operations(
    p_operation_type text DEFAULT NULL, p_branch_id integer DEFAULT NULL, p_days integer DEFAULT 7,
    p_limit integer DEFAULT 20, p_scope text DEFAULT NULL
) RETURNS TABLE (
    metric_id bigint, operation_type text, duration_ms numeric, user_name text, recorded_at timestamptz, operation_name text,
    branch_id integer, scope text, trace_id uuid
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = perf, pg_catalog, pg_temp AS $$
    SELECT o.metric_id, o.operation_type, perf.millis(o.duration_us), o.user_name, o.ended_at, o.operation_name,
           perf.branch_of(o.scope), o.scope, o.trace_id
    FROM perf.slowest(perf.days_back(p_days), p_operation_type, perf.scope_of(p_branch_id, p_scope), p_limit) AS o
$$;

-- An operation in all that is kept.
CREATE FUNCTION perf.get_operation_statistics(
    p_operation_type text DEFAULT NULL, p_branch_id integer DEFAULT NULL, p_scope text DEFAULT NULL
) RETURNS TABLE (
    operation_type text, total_executions bigint, total_time_hours numeric, avg_duration_ms numeric, min_duration_ms numeric,
    max_duration_ms numeric, p50_ms numeric, p95_ms numeric, p99_ms numeric, last_execution timestamptz,
    last_baseline_date date
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = perf, pg_catalog, pg_temp AS $$
    SELECT s.operation_type, s.sample_count + s.failed_count, round(s.sum_us / 3600000000, 4), perf.millis(s.mean_us),
           perf.millis(s.min_us), perf.millis(s.max_us), perf.millis(s.p50_us), perf.millis(s.p95_us), perf.millis(s.p99_us),
           s.last_at,
           (SELECT max(b.baseline_date) FROM perf.performance_baselines AS b
            WHERE b.operation_type = s.operation_type AND b.is_active
              AND (b.scope IS NULL OR b.scope = perf.scope_of(p_branch_id, p_scope)))
    FROM perf.statistics(perf.days_back(3650), 'infinity', p_operation_type, perf.scope_of(p_branch_id, p_scope)) AS s
    ORDER BY s.operation_type
$$;

-- How much is recorded, and how many alerts want somebody.
CREATE FUNCTION perf.dashboard(
    OUT total_metrics_recorded bigint, OUT total_traces bigint, OUT active_baselines bigint, OUT unacknowledged_alerts bigint,
    OUT critical_alerts bigint
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = perf, pg_catalog, pg_temp SET timezone = 'UTC'
SET jit = off SET max_parallel_workers_per_gather = 0 AS $$
DECLARE
    rolled CONSTANT timestamptz := coalesce((SELECT rolled_through FROM perf.rollup_state), '-infinity');
BEGIN
    WITH late AS MATERIALIZED (SELECT DISTINCT start_at FROM perf.late_hour WHERE start_at < rolled),
    counted AS (
        SELECT h.metric_count, h.span_count FROM perf.rolled_hour AS h
        WHERE h.start_at NOT IN (SELECT start_at FROM late)
        UNION ALL
        SELECT count(*) FILTER (WHERE is_metric), count(*) FILTER (WHERE trace_id IS NOT NULL)
        FROM perf.operation WHERE ended_at >= rolled
        UNION ALL
        SELECT o.metric_count, o.span_count FROM late AS l CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE is_metric), count(*) FILTER (WHERE trace_id IS NOT NULL)
            FROM perf.operation WHERE ended_at >= l.start_at AND ended_at < l.start_at + interval '1 hour'
        ) AS o(metric_count, span_count)
    )
    SELECT coalesce(sum(metric_count), 0), coalesce(sum(span_count), 0)
    INTO total_metrics_recorded, total_traces FROM counted;
    total_traces := total_traces + (SELECT count(*) FROM perf.open_span WHERE ended_at IS NULL);
    SELECT count(*) INTO active_baselines FROM perf.performance_baselines WHERE is_active;
    SELECT count(*), count(*) FILTER (WHERE severity = 'CRITICAL') INTO unacknowledged_alerts, critical_alerts
    FROM perf.performance_alerts WHERE NOT is_acknowledged AND resolved_at IS NULL;
END
$$;

CREATE VIEW perf.v_performance_dashboard_summary AS
    SELECT 'Performance Dashboard' AS dashboard_name, d.*, statement_timestamp() AS dashboard_updated_at
    FROM perf.dashboard() AS d;

-- The operations of so many days, with the limit in force, and whether one was over it within 24 hours.
CREATE FUNCTION perf.summary(since timestamptz, until timestamptz, of_scope text) RETURNS TABLE (
    operation_type text, samples bigint, failed bigint, over bigint, mean_us numeric, min_us bigint, max_us bigint,
    p50_us numeric, p75_us numeric, p90_us numeric, p95_us numeric, p99_us numeric, last_at timestamptz, is_exact boolean,
    baseline_p99_us bigint, limit_us bigint, status text
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = perf, pg_catalog, pg_temp AS $$
    SELECT s.operation_type, s.sample_count, s.failed_count, s.over_count, s.mean_us, s.min_us, s.max_us, s.p50_us, s.p75_us,
           s.p90_us, s.p95_us, s.p99_us, s.last_at, s.is_exact, b.p99_microseconds, b.limit_us,
           CASE WHEN b.baseline_id IS NULL THEN 'NO_BASELINE'
                WHEN EXISTS (SELECT FROM perf.operation AS o
                             WHERE o.operation_type = s.operation_type AND o.over_baseline_id IS NOT NULL
                               AND o.ended_at >= statement_timestamp() - interval '24 hours'
                               AND (of_scope IS NULL OR o.scope = of_scope)) THEN 'VIOLATION'
                ELSE 'OK' END
    FROM perf.statistics(since, until, NULL, of_scope) AS s
    LEFT JOIN LATERAL (
        SELECT * FROM perf.performance_baselines AS b
        WHERE b.is_active AND b.operation_type = s.operation_type AND (b.scope IS NULL OR b.scope = of_scope)
        ORDER BY b.scope NULLS LAST LIMIT 1
    ) AS b ON true
$$;

CREATE VIEW perf.v_operation_performance_summary AS
    SELECT operation_type, samples + failed AS execution_count, perf.millis(mean_us) AS avg_ms, perf.millis(p50_us) AS p50_ms,
           perf.millis(p99_us) AS p99_ms, perf.millis(min_us) AS min_ms, perf.millis(max_us) AS max_ms,
           last_at AS last_execution, perf.millis(baseline_p99_us) AS baseline_p99_ms,
           CASE status WHEN 'VIOLATION' THEN 'VIOLATION' ELSE 'OK' END AS status
    FROM perf.summary(perf.days_back(7), 'infinity', NULL)
    ORDER BY samples + failed DESC, operation_type;

CREATE VIEW perf.v_branch_performance_summary AS
    SELECT perf.branch_of(scope) AS branch_id, scope AS branch_name, sample_count + failed_count AS operation_count,
           operation_types, perf.millis(mean_us) AS avg_duration_ms, perf.millis(p99_us) AS p99_ms, last_at AS last_operation
    FROM perf.statistics(perf.days_back(7), 'infinity', by_type => false, by_scope => true)
    WHERE scope <> ''
    ORDER BY sample_count + failed_count DESC, scope;

CREATE VIEW perf.v_performance_trend_hourly AS
    SELECT operation_type, start_at AS hour, sample_count + failed_count AS execution_count, perf.millis(mean_us) AS avg_ms,
           perf.millis(p99_us) AS p99_ms
    FROM perf.statistics(date_trunc('hour', statement_timestamp(), 'UTC') - interval '167 hours', 'infinity',
                         step => interval '1 hour')
    ORDER BY hour DESC, operation_type;

CREATE FUNCTION perf.slowest_of_a_day() RETURNS TABLE (
    metric_id bigint, operation_type text, duration_us bigint, user_name text, ended_at timestamptz, baseline_p99_us bigint
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = perf, pg_catalog, pg_temp AS $$
    SELECT o.metric_id, o.operation_type, o.duration_us, o.user_name, o.ended_at, b.p99_microseconds
    FROM perf.slowest(statement_timestamp() - interval '24 hours', NULL, NULL, 50) AS o
    LEFT JOIN LATERAL (
        SELECT * FROM perf.performance_baselines AS b
        WHERE b.is_active AND b.operation_type = o.operation_type AND (b.scope IS NULL OR b.scope = o.scope)
        ORDER BY b.scope NULLS LAST LIMIT 1
    ) AS b ON true
$$;

CREATE VIEW perf.v_slowest_operations_last_24h AS
    SELECT metric_id, operation_type, perf.millis(duration_us) AS duration_ms, user_name, ended_at AS recorded_at,
           round(extract(epoch FROM statement_timestamp() - ended_at) / 3600, 1) AS hours_ago,
           perf.millis(baseline_p99_us) AS baseline_p99_ms,
           CASE WHEN baseline_p99_us IS NOT NULL
                THEN round((duration_us::numeric / greatest(baseline_p99_us, 1) - 1) * 100, 1) END AS percent_over_baseline
    FROM perf.slowest_of_a_day()
    ORDER BY duration_us DESC, metric_id;

-- Who did how much within 24 hours. Users are in no roll-up, so every row is read.
CREATE FUNCTION perf.user_activity() RETURNS TABLE (
    user_name text, operations_performed bigint, operation_types bigint, mean_us numeric, sum_us numeric,
    alerts_triggered bigint, last_operation timestamptz
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = perf, pg_catalog, pg_temp
SET jit = off SET max_parallel_workers_per_gather = 0 AS $$
    SELECT o.user_name, count(*), count(DISTINCT o.operation_type::text), avg(o.duration_us), sum(o.duration_us),
           (SELECT count(*) FROM perf.performance_alerts AS a
            WHERE a.user_name = o.user_name AND a.created_at >= statement_timestamp() - interval '24 hours'), max(o.ended_at)
    FROM perf.operation AS o
    WHERE o.is_metric AND o.ended_at >= statement_timestamp() - interval '24 hours'
    GROUP BY o.user_name
$$;

CREATE VIEW perf.v_user_performance_activity AS
    SELECT user_name, operations_performed, operation_types, perf.millis(mean_us) AS avg_operation_ms,
           round(sum_us / 1000000, 3) AS total_time_seconds, alerts_triggered, last_operation
    FROM perf.user_activity()
    ORDER BY operations_performed DESC, user_name;

-- The newest 200 spans of 24 hours below their parents. A span whose parent is not there, or that is its own, is a root; of
-- spans that are each other's parents none is shown.
CREATE FUNCTION perf.trace_hierarchy() RETURNS TABLE (
    trace_id uuid, span_id text, parent_span_id text, span_name text, operation_type text, span_status text,
    duration_ms numeric, depth integer, trace_path text, is_orphan boolean
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = perf, pg_catalog, pg_temp
SET jit = off SET max_parallel_workers_per_gather = 0 AS $$
    WITH RECURSIVE newest AS MATERIALIZED (
        SELECT t.* FROM perf.operation_traces AS t
        WHERE t.recorded_at >= statement_timestamp() - interval '24 hours'
        ORDER BY t.recorded_at DESC, t.span_id LIMIT 200
    ), tree AS (
        SELECT n.*, 1 AS depth, n.span_name AS path, n.parent_span_id IS NOT NULL AND n.parent_span_id <> n.span_id AS orphan
        FROM newest AS n
        WHERE n.parent_span_id IS NULL OR n.parent_span_id = n.span_id
           OR NOT EXISTS (SELECT FROM newest AS p WHERE p.trace_id = n.trace_id AND p.span_id = n.parent_span_id)
        UNION ALL
        SELECT n.*, t.depth + 1, t.path || ' → ' || n.span_name, false
        FROM tree AS t
        JOIN newest AS n ON n.trace_id = t.trace_id AND n.parent_span_id = t.span_id AND n.span_id <> t.span_id
        WHERE t.depth < 200
    )
    SELECT trace_id, span_id, parent_span_id, span_name, operation_type, span_status, perf.millis(duration_microseconds),
           depth, path, orphan
    FROM tree ORDER BY trace_id, path, start_time, span_id
$$;

CREATE VIEW perf.v_trace_hierarchy AS SELECT * FROM perf.trace_hierarchy();

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA perf FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    perf.record_performance_metric, perf.start_performance_trace, perf.end_performance_trace,
    perf.span_text, perf.branch_of, perf.millis, perf.days_back, perf.statistics, perf.get_performance_trend,
    perf.get_slowest_operations, perf.get_operation_statistics, perf.dashboard, perf.summary, perf.slowest_of_a_day,
    perf.user_activity, perf.trace_hierarchy TO PUBLIC;
GRANT SELECT ON
    perf.v_performance_dashboard_summary, perf.v_operation_performance_summary, perf.v_branch_performance_summary,
    perf.v_performance_trend_hourly, perf.v_slowest_operations_last_24h, perf.v_user_performance_activity,
    perf.v_trace_hierarchy TO PUBLIC;
