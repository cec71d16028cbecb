-- The Performance SOR: how long operations took, of this server and of any program that records here by SQL, REST or
-- OpenTelemetry. A role that may use the schema may record and read: GRANT USAGE ON SCHEMA perf TO tool. No other right is
-- needed, as functions and views work with the rights of the schema's owner.
CREATE SCHEMA perf;

-- A NULL is none of these: columns say whether they allow it. Microseconds are at most 31 days.
CREATE DOMAIN perf.micros     AS bigint CONSTRAINT perf_micros_check     CHECK (VALUE BETWEEN 0 AND 2678400000000);
CREATE DOMAIN perf.type_name  AS text   CONSTRAINT perf_type_name_check  CHECK (VALUE ~ '\S' AND octet_length(VALUE) <= 128);
CREATE DOMAIN perf.scope_name AS text   CONSTRAINT perf_scope_name_check CHECK (octet_length(VALUE) <= 512);
CREATE DOMAIN perf.text255    AS text   CONSTRAINT perf_text255_check    CHECK (VALUE ~ '\S' AND octet_length(VALUE) <= 255);

CREATE SEQUENCE perf.metric_id AS bigint;

-- One row for each operation that ended. A row with a trace is a span of that trace; `is_metric` says whether the row counts
-- in statistics. What has no partition goes to DEFAULT, so that programs can record while this server is away.
CREATE TABLE perf.operation (
    ended_at         timestamptz     NOT NULL,
    metric_id        bigint          NOT NULL DEFAULT nextval('perf.metric_id'),
    duration_us      perf.micros     NOT NULL,
    over_baseline_id bigint,
    trace_id         uuid,
    span_id          bigint,
    parent_span_id   bigint,
    rows_affected    bigint,
    memory_bytes     bigint,
    cpu_us           bigint,
    span_kind        smallint,
    failed           boolean         NOT NULL DEFAULT false,
    is_metric        boolean         NOT NULL DEFAULT true,
    operation_type   perf.type_name  NOT NULL,
    scope            perf.scope_name NOT NULL DEFAULT '',
    user_name        perf.text255    NOT NULL,
    operation_name   perf.text255,
    session_id       perf.text255,
    attributes       jsonb,
    error            jsonb,
    events           jsonb,
    CONSTRAINT perf_operation_span_check CHECK ((trace_id IS NULL) = (span_id IS NULL)),
    CONSTRAINT perf_operation_parent_check CHECK (parent_span_id IS NULL OR span_id IS NOT NULL)
) PARTITION BY RANGE (ended_at);
CREATE TABLE perf.operation_default PARTITION OF perf.operation DEFAULT;
-- There is no B-tree on ids or times, as each would cost more than the rows it finds are worth: this one index of ranges finds
-- ids, times, and the slow.
CREATE INDEX perf_operation_ranges_idx ON perf.operation USING brin (metric_id, ended_at, duration_us)
    WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX perf_operation_trace_id_idx ON perf.operation (trace_id) WHERE trace_id IS NOT NULL;
CREATE INDEX perf_operation_over_idx ON perf.operation (operation_type, ended_at)
    INCLUDE (over_baseline_id, duration_us, metric_id) WHERE over_baseline_id IS NOT NULL;

-- Spans that were begun. One that ended moves to `operation`; its row here, with `ended_at`, tells a second end from an unknown
-- span, and goes after an hour.
CREATE TABLE perf.open_span (
    span_id        bigint          NOT NULL,
    trace_id       uuid            NOT NULL,
    parent_span_id bigint,
    started_at     timestamptz     NOT NULL,
    ended_at       timestamptz,
    span_status    text            NOT NULL DEFAULT 'RUNNING',
    operation_type perf.type_name  NOT NULL,
    span_name      perf.text255    NOT NULL,
    user_name      perf.text255    NOT NULL,
    scope          perf.scope_name NOT NULL DEFAULT '',
    session_id     perf.text255,
    attributes     jsonb,
    CONSTRAINT perf_open_span_pkey PRIMARY KEY (span_id),
    CONSTRAINT chk_trace_status CHECK (span_status IN ('PENDING', 'RUNNING', 'SUCCESS', 'FAILED'))
);
CREATE INDEX perf_open_span_trace_id_idx ON perf.open_span (trace_id);

-- Hours that were over when a row of them was written. It has no key, so that those who write it do not wait for each other.
CREATE TABLE perf.late_hour (start_at timestamptz NOT NULL);

-- What was answered to a request with an Idempotency-Key, for 24 hours.
CREATE TABLE perf.ingest_key (
    key    uuid        NOT NULL,
    at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    result jsonb       NOT NULL,
    CONSTRAINT perf_ingest_key_pkey PRIMARY KEY (key)
);
CREATE INDEX perf_ingest_key_at_idx ON perf.ingest_key (at);

-- What an operation usually takes, and the limits that follow from it: one in force for each type and scope, and for all scopes
-- of a type (scope NULL). `calculate_performance_baseline` of migration 0022 makes them.
CREATE TABLE perf.performance_baselines (
    baseline_id                bigint          GENERATED ALWAYS AS IDENTITY,
    operation_type             perf.type_name  NOT NULL,
    scope                      perf.scope_name,
    baseline_date              date            NOT NULL,
    calculation_timestamp      timestamptz     NOT NULL,
    sample_count               bigint          NOT NULL,
    excluded_failed            bigint          NOT NULL,
    excluded_incident          bigint          NOT NULL,
    min_microseconds           bigint          NOT NULL,
    max_microseconds           bigint          NOT NULL,
    p50_microseconds           bigint          NOT NULL,
    p75_microseconds           bigint          NOT NULL,
    p90_microseconds           bigint          NOT NULL,
    p95_microseconds           bigint          NOT NULL,
    p99_microseconds           bigint          NOT NULL,
    mean_microseconds          numeric(20, 2)  NOT NULL,
    stddev_microseconds        numeric(20, 2),
    alert_threshold_multiplier numeric(8, 2)   NOT NULL DEFAULT 2.0,
    critical_multiplier        numeric(8, 2)   NOT NULL DEFAULT 5.0,
    limit_us    bigint GENERATED ALWAYS AS (floor(p99_microseconds * alert_threshold_multiplier)) STORED,
    critical_us bigint GENERATED ALWAYS AS (floor(p99_microseconds * critical_multiplier)) STORED,
    is_active                  boolean         NOT NULL DEFAULT true,
    calculated_from_days       integer         NOT NULL DEFAULT 7,
    is_exact                   boolean         NOT NULL,
    include_incidents          boolean         NOT NULL DEFAULT false,
    created_by                 text            NOT NULL,
    CONSTRAINT perf_performance_baselines_pkey PRIMARY KEY (baseline_id),
    CONSTRAINT chk_baseline_percentiles CHECK (
        0 <= min_microseconds AND min_microseconds <= p50_microseconds AND p50_microseconds <= p75_microseconds
        AND p75_microseconds <= p90_microseconds AND p90_microseconds <= p95_microseconds
        AND p95_microseconds <= p99_microseconds AND p99_microseconds <= max_microseconds),
    CONSTRAINT chk_baseline_mean CHECK (
        min_microseconds <= mean_microseconds AND mean_microseconds <= max_microseconds AND stddev_microseconds >= 0),
    CONSTRAINT chk_sample_count CHECK (sample_count > 0),
    CONSTRAINT chk_alert_threshold CHECK (
        alert_threshold_multiplier >= 1 AND alert_threshold_multiplier <= critical_multiplier),
    CONSTRAINT chk_baseline_days CHECK (calculated_from_days BETWEEN 1 AND 35)
);
CREATE UNIQUE INDEX performance_baselines_active_key ON perf.performance_baselines (operation_type, scope)
    NULLS NOT DISTINCT WHERE is_active;

-- What is over a limit, or changed. One row is open for each cause. `scope` is that of the limit.
CREATE TABLE perf.performance_alerts (
    alert_id                     bigint          GENERATED ALWAYS AS IDENTITY,
    alert_type                   text            NOT NULL,
    severity                     text            NOT NULL DEFAULT 'WARNING',
    operation_type               perf.type_name  NOT NULL,
    scope                        perf.scope_name,
    metric_id                    bigint,
    baseline_id                  bigint,
    baseline_p99_microseconds    bigint,
    actual_duration_microseconds bigint          NOT NULL,
    violation_multiplier         numeric(20, 2),
    user_name                    text,
    occurrence_count             bigint          NOT NULL DEFAULT 1,
    first_seen                   timestamptz     NOT NULL,
    last_seen                    timestamptz     NOT NULL,
    created_at                   timestamptz     NOT NULL DEFAULT clock_timestamp(),
    sustained_at                 timestamptz,
    resolved_at                  timestamptz,
    is_acknowledged              boolean         NOT NULL DEFAULT false,
    acknowledged_at              timestamptz,
    acknowledged_by              text,
    resolution_notes             text,
    detail                       jsonb,
    CONSTRAINT perf_performance_alerts_pkey PRIMARY KEY (alert_id),
    CONSTRAINT chk_alert_type CHECK (alert_type IN ('THRESHOLD_EXCEEDED', 'ANOMALY', 'DEGRADATION')),
    CONSTRAINT chk_alert_severity CHECK (severity IN ('CRITICAL', 'WARNING', 'INFO')),
    CONSTRAINT chk_alert_acknowledged CHECK (
        is_acknowledged = (acknowledged_at IS NOT NULL) AND is_acknowledged = (acknowledged_by IS NOT NULL)
        AND (is_acknowledged OR resolution_notes IS NULL))
);
CREATE UNIQUE INDEX performance_alerts_open_key ON perf.performance_alerts (alert_type, operation_type, scope)
    NULLS NOT DISTINCT WHERE resolved_at IS NULL;
CREATE INDEX perf_performance_alerts_created_at_idx ON perf.performance_alerts (created_at DESC);
CREATE INDEX perf_performance_alerts_unacknowledged_idx ON perf.performance_alerts (created_at DESC)
    WHERE NOT is_acknowledged;

-- The functions up to `note_late` are called by functions that set a search path, or read nothing but their arguments: they set
-- none themselves, so that the planner can inline them.

-- Refuses an argument. The name tells programs what the message tells people.
CREATE FUNCTION perf.refuse(why text, name text, code text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING MESSAGE = why, ERRCODE = code, CONSTRAINT = name;
END
$$;

-- The id of a trace in any spelling: 32 hexadecimal digits and UUIDs are what they say, other texts stand for their MD5.
CREATE FUNCTION perf.trace_ref(given text) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE WHEN given ~* '^([0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$' THEN given::uuid
                ELSE md5(given)::uuid END
$$;

-- The id of a span in any spelling: 16 hexadecimal digits are what they say, other texts stand for the first half of their MD5.
CREATE FUNCTION perf.span_ref(given text) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT ('x' || CASE WHEN given ~* '^[0-9a-f]{16}$' THEN given ELSE left(md5(given), 16) END)::bit(64)::bigint
$$;

-- The id of a span as it is shown.
CREATE FUNCTION perf.span_text(id bigint) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT lpad(to_hex(id), 16, '0')
$$;

CREATE FUNCTION perf.scope_of(branch_id integer, scope text) RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    IF branch_id IS NOT NULL AND scope IS NOT NULL THEN
        PERFORM perf.refuse('give p_branch_id or p_scope, not both', 'argument_invalid', '22023');
    END IF;
    RETURN coalesce('branch:' || branch_id, scope);
END
$$;

-- The branch that a scope names, if it names one.
CREATE FUNCTION perf.branch_of(scope text) RETURNS integer LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE WHEN scope ~ '^branch:-?[0-9]{1,10}$' AND substr(scope, 8)::bigint BETWEEN -2147483648 AND 2147483647
                THEN substr(scope, 8)::integer END
$$;

-- Refuses a time that no report would show, or that is not over.
CREATE FUNCTION perf.check_time(at timestamptz, name text) RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF at NOT BETWEEN clock_timestamp() - interval '7 days' AND clock_timestamp() + interval '10 minutes' THEN
        PERFORM perf.refuse(
            format('%s is %s, which is not from 7 days ago to 10 minutes ahead', name, at), 'time_out_of_range', '22008');
    END IF;
END
$$;

-- Notes the hour of a row that was inserted, if it is over: it may have been rolled up by then. By the clock after the insert,
-- as rolling up waits for whoever inserted before the hour was over.
CREATE FUNCTION perf.note_late(at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    hour CONSTANT timestamptz := date_trunc('hour', at, 'UTC');
BEGIN
    IF hour + interval '1 hour' <= clock_timestamp() THEN
        INSERT INTO perf.late_hour (start_at) VALUES (hour);
    END IF;
END
$$;

-- The baseline whose limit a duration is over: the scope's own counts, else that of all scopes.
CREATE FUNCTION perf.over_baseline(kind text, in_scope text, took bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    in_force record;
BEGIN
    SELECT b.baseline_id, b.limit_us INTO in_force FROM perf.performance_baselines AS b
    WHERE b.is_active AND b.operation_type = kind AND (b.scope = in_scope OR b.scope IS NULL)
    ORDER BY b.scope NULLS LAST LIMIT 1;
    RETURN CASE WHEN took > in_force.limit_us THEN in_force.baseline_id END;
END
$$;

-- How far a duration is over a baseline.
CREATE FUNCTION perf.times_over(took bigint, p99 bigint) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT round(took::numeric / greatest(p99, 1), 2)
$$;

-- Orders those who open an alert of a key, who give up in place of waiting.
CREATE FUNCTION perf.may_open(kind text, of_type text, of_scope text) RETURNS boolean LANGUAGE sql VOLATILE AS $$
    SELECT pg_try_advisory_xact_lock(hashtextextended(concat_ws('/', 'perf.alert', kind, of_type, of_scope), 0))
$$;

-- Opens the alert of a row that is over its limit, unless one is open or somebody else opens it: `evaluate_alerts` opens what was
-- left out, and counts. Nothing is changed and nothing is waited for, so that those who record in opposite orders cannot block
-- each other. Under REPEATABLE READ an insert could fail for what it does not see.
CREATE FUNCTION perf.open_alert(baseline bigint, metric bigint, took bigint, at timestamptz, by_user text)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    over   perf.performance_baselines;
    opened bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN RETURN NULL; END IF;
    SELECT * INTO over FROM perf.performance_baselines WHERE baseline_id = baseline;
    IF EXISTS (SELECT FROM perf.performance_alerts AS a
               WHERE a.alert_type = 'THRESHOLD_EXCEEDED' AND a.operation_type = over.operation_type
                 AND a.scope IS NOT DISTINCT FROM over.scope AND a.resolved_at IS NULL)
       OR NOT perf.may_open('THRESHOLD_EXCEEDED', over.operation_type, over.scope) THEN
        RETURN NULL;
    END IF;
    INSERT INTO perf.performance_alerts
        (alert_type, severity, operation_type, scope, metric_id, baseline_id, baseline_p99_microseconds,
         actual_duration_microseconds, violation_multiplier, user_name, first_seen, last_seen)
    VALUES ('THRESHOLD_EXCEEDED', CASE WHEN took > over.critical_us THEN 'CRITICAL' ELSE 'WARNING' END,
            over.operation_type, over.scope, metric, baseline, over.p99_microseconds, took,
            perf.times_over(took, over.p99_microseconds), by_user, at, at)
    ON CONFLICT DO NOTHING RETURNING alert_id INTO opened;
    RETURN opened;
END
$$;

-- Records what took how long; answers its id.
CREATE FUNCTION perf.record_performance_metric(
    p_operation_type text, p_duration_microseconds bigint, p_operation_name text DEFAULT NULL,
    p_branch_id integer DEFAULT NULL, p_user_name text DEFAULT CURRENT_USER, p_session_id text DEFAULT NULL,
    p_rows_affected bigint DEFAULT NULL, p_memory_bytes bigint DEFAULT NULL, p_cpu_microseconds bigint DEFAULT NULL,
    p_operation_metadata jsonb DEFAULT NULL, p_scope text DEFAULT NULL, p_error_details jsonb DEFAULT NULL,
    p_failed boolean DEFAULT NULL, p_start_time timestamptz DEFAULT NULL
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = perf, pg_catalog, pg_temp AS $$
DECLARE
    in_scope CONSTANT text := CASE WHEN p_branch_id IS NULL THEN coalesce(p_scope, '')
                                   ELSE perf.scope_of(p_branch_id, p_scope) END;
    by_user  CONSTANT text := coalesce(p_user_name, session_user);
    over     CONSTANT bigint := perf.over_baseline(p_operation_type, in_scope, p_duration_microseconds);
    ended    timestamptz := clock_timestamp();
    recorded bigint;
BEGIN
    IF p_operation_type IS NULL OR p_duration_microseconds IS NULL THEN
        PERFORM perf.refuse('give p_operation_type and p_duration_microseconds', 'argument_invalid', '22023');
    END IF;
    IF p_start_time IS NOT NULL THEN
        ended := p_start_time + p_duration_microseconds::perf.micros * interval '1 microsecond';
        PERFORM perf.check_time(ended, 'the end');
    END IF;
    INSERT INTO perf.operation
        (ended_at, duration_us, over_baseline_id, rows_affected, memory_bytes, cpu_us, failed, operation_type, scope, user_name,
         operation_name, session_id, attributes, error)
    VALUES (ended, p_duration_microseconds, over, p_rows_affected, p_memory_bytes, p_cpu_microseconds,
            coalesce(p_failed, p_error_details IS NOT NULL), p_operation_type, in_scope, by_user, p_operation_name,
            p_session_id, p_operation_metadata,
            CASE WHEN p_error_details IS NOT NULL THEN jsonb_build_object('details', p_error_details) END)
    RETURNING metric_id INTO recorded;
    PERFORM perf.note_late(ended);
    IF over IS NOT NULL THEN
        PERFORM perf.open_alert(over, recorded, p_duration_microseconds, ended, by_user);
    END IF;
    RETURN recorded;
END
$$;

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

-- Begins a span; answers its id, as given or made, with its trace and its start. A child of a span that is known takes its trace.
CREATE FUNCTION perf.begin_span(
    INOUT span text, INOUT trace text, parent text, operation_type text, span_name text, scope text, user_name text,
    session_id text, attributes jsonb, INOUT started_at timestamptz
) LANGUAGE plpgsql SET search_path = perf, pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    in_trace uuid := perf.trace_ref(trace);
BEGIN
    IF started_at IS NULL THEN
        started_at := clock_timestamp();
    ELSE
        PERFORM perf.check_time(started_at, 'the start');
    END IF;
    IF span = '' OR trace = '' OR parent = '' THEN
        PERFORM perf.refuse('an id is empty', 'argument_invalid', '22023');
    END IF;
    in_trace := coalesce(
        in_trace, (SELECT o.trace_id FROM perf.open_span AS o WHERE o.span_id = perf.span_ref(parent)), gen_random_uuid());
    span := coalesce(span, right(replace(gen_random_uuid()::text, '-', ''), 16));
    INSERT INTO perf.open_span AS o
        (span_id, trace_id, parent_span_id, started_at, operation_type, span_name, user_name, scope, session_id, attributes)
    VALUES (perf.span_ref(span), in_trace, perf.span_ref(parent), started_at, operation_type, span_name, user_name,
            coalesce(scope, ''), session_id, attributes);
    trace := replace(in_trace::text, '-', '');
END
$$;

CREATE FUNCTION perf.start_performance_trace(
    p_trace_id text DEFAULT NULL, p_span_id text DEFAULT NULL, p_parent_span_id text DEFAULT NULL,
    p_operation_type text DEFAULT 'UNKNOWN', p_span_name text DEFAULT 'unnamed', p_branch_id integer DEFAULT NULL,
    p_user_name text DEFAULT CURRENT_USER, p_session_id text DEFAULT NULL, p_attributes jsonb DEFAULT NULL,
    p_scope text DEFAULT NULL, p_start_time timestamptz DEFAULT NULL
) RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = perf, pg_catalog, pg_temp AS $$
    SELECT span FROM perf.begin_span(
        p_span_id, p_trace_id, p_parent_span_id, coalesce(p_operation_type, 'UNKNOWN'), coalesce(p_span_name, 'unnamed'),
        perf.scope_of(p_branch_id, p_scope), coalesce(p_user_name, session_user), p_session_id, p_attributes, p_start_time)
$$;

-- Ends a span, which is a row of `operation` then; answers how long it took, in microseconds.
CREATE FUNCTION perf.end_performance_trace(
    p_span_id text, p_span_status text DEFAULT 'SUCCESS', p_error_message text DEFAULT NULL, p_error_code text DEFAULT NULL,
    p_error_details jsonb DEFAULT NULL, p_memory_peak_bytes bigint DEFAULT NULL, p_cpu_microseconds bigint DEFAULT NULL,
    p_attributes jsonb DEFAULT NULL, p_end_time timestamptz DEFAULT NULL
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = perf, pg_catalog, pg_temp AS $$
DECLARE
    ended CONSTANT timestamptz := coalesce(p_end_time, clock_timestamp());
    began perf.open_span;
    took  bigint;
BEGIN
    IF p_span_status IS NULL OR p_span_status NOT IN ('SUCCESS', 'FAILED') THEN
        PERFORM perf.refuse('a span ends with SUCCESS or FAILED', 'argument_invalid', '22023');
    END IF;
    UPDATE perf.open_span SET ended_at = ended, span_status = p_span_status
    WHERE span_id = perf.span_ref(p_span_id) AND ended_at IS NULL RETURNING * INTO began;
    IF NOT FOUND THEN
        IF EXISTS (SELECT FROM perf.open_span WHERE span_id = perf.span_ref(p_span_id)) THEN
            PERFORM perf.refuse(format('span %s has ended', p_span_id), 'span_ended', '55000');
        END IF;
        PERFORM perf.refuse(format('no span %s was begun', p_span_id), 'span_unknown', 'P0002');
    END IF;
    PERFORM perf.check_time(p_end_time, 'the end');
    IF ended < began.started_at THEN
        PERFORM perf.refuse(
            format('the end is %s, before the start at %s', ended, began.started_at), 'time_out_of_range', '22008');
    END IF;
    took := round(extract(epoch FROM ended - began.started_at) * 1000000);
    INSERT INTO perf.operation
        (ended_at, duration_us, trace_id, span_id, parent_span_id, memory_bytes, cpu_us, failed, is_metric, operation_type,
         scope, user_name, operation_name, session_id, attributes, error)
    VALUES (ended, took, began.trace_id, began.span_id, began.parent_span_id, p_memory_peak_bytes, p_cpu_microseconds,
            p_span_status = 'FAILED', false, began.operation_type, began.scope, began.user_name, began.span_name,
            began.session_id, nullif(coalesce(began.attributes, '{}') || coalesce(p_attributes, '{}'), '{}'),
            nullif(jsonb_strip_nulls(jsonb_build_object(
                'message', p_error_message, 'code', p_error_code, 'details', p_error_details)), '{}'));
    PERFORM perf.note_late(ended);
    RETURN took;
END
$$;

-- Ends spans that nobody ended, and forgets what ended over an hour ago and keys of over 24 hours; answers how many were ended.
CREATE FUNCTION perf.reap_spans(timeout interval) RETURNS bigint LANGUAGE plpgsql
SET search_path = perf, pg_catalog, pg_temp AS $$
DECLARE
    abandoned bigint;
BEGIN
    WITH ended AS (
        UPDATE perf.open_span SET ended_at = clock_timestamp(), span_status = 'FAILED'
        WHERE span_id IN (SELECT span_id FROM perf.open_span
                          WHERE ended_at IS NULL AND started_at < clock_timestamp() - timeout
                          ORDER BY span_id LIMIT 10000 FOR UPDATE SKIP LOCKED)
        RETURNING *
    )
    INSERT INTO perf.operation
        (ended_at, duration_us, trace_id, span_id, parent_span_id, failed, is_metric, operation_type, scope, user_name,
         operation_name, session_id, attributes, error)
    SELECT ended_at, least(extract(epoch FROM ended_at - started_at) * 1000000, 2678400000000)::bigint, trace_id, span_id,
           parent_span_id, true, false, operation_type, scope, user_name, span_name, session_id, attributes,
           '{"code": "SPAN_ABANDONED"}'
    FROM ended;
    GET DIAGNOSTICS abandoned = ROW_COUNT;
    DELETE FROM perf.open_span WHERE ended_at < clock_timestamp() - interval '1 hour';
    DELETE FROM perf.ingest_key WHERE at < clock_timestamp() - interval '24 hours';
    RETURN abandoned;
END
$$;

CREATE VIEW perf.performance_metrics AS
    SELECT metric_id, operation_type::text, operation_name::text, duration_us::bigint AS duration_microseconds,
           round(duration_us / 1000.0, 3) AS duration_ms,
           ended_at - duration_us * interval '1 microsecond' AS start_time, ended_at AS end_time,
           perf.branch_of(scope) AS branch_id, user_name::text, session_id::text, rows_affected, memory_bytes,
           cpu_us AS cpu_microseconds, attributes AS operation_metadata, error -> 'details' AS error_details,
           ended_at AS recorded_at, date_trunc('day', ended_at, 'UTC') AS period_start, scope::text,
           failed AS is_failed, trace_id
    FROM perf.operation WHERE is_metric;
ALTER VIEW perf.performance_metrics ALTER COLUMN user_name SET DEFAULT CURRENT_USER;

-- Rows that are inserted into the view are recorded; what is computed is ignored.
CREATE FUNCTION perf.record_inserted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = perf, pg_catalog, pg_temp AS $$
BEGIN
    NEW.metric_id := perf.record_performance_metric(
        NEW.operation_type, coalesce(NEW.duration_microseconds, round(NEW.duration_ms * 1000)::bigint), NEW.operation_name,
        NEW.branch_id, NEW.user_name, NEW.session_id, NEW.rows_affected, NEW.memory_bytes, NEW.cpu_microseconds,
        NEW.operation_metadata, NEW.scope, NEW.error_details, NEW.is_failed, NEW.start_time);
    RETURN NEW;
END
$$;
CREATE TRIGGER record INSTEAD OF INSERT ON perf.performance_metrics
    FOR EACH ROW EXECUTE FUNCTION perf.record_inserted();

CREATE VIEW perf.operation_traces AS
    SELECT trace_id, perf.span_text(span_id) AS span_id, perf.span_text(parent_span_id) AS parent_span_id,
           operation_type::text, coalesce(operation_name::text, operation_type::text) AS span_name,
           CASE WHEN failed THEN 'FAILED' ELSE 'SUCCESS' END AS span_status,
           ended_at - duration_us * interval '1 microsecond' AS start_time, ended_at AS end_time,
           duration_us::bigint AS duration_microseconds, perf.branch_of(scope) AS branch_id, user_name::text,
           session_id::text, memory_bytes AS memory_peak_bytes, cpu_us AS cpu_microseconds,
           error ->> 'message' AS error_message, error ->> 'code' AS error_code, error -> 'details' AS error_details,
           attributes, ended_at AS recorded_at, scope::text
    FROM perf.operation WHERE trace_id IS NOT NULL
    UNION ALL
    SELECT trace_id, perf.span_text(span_id), perf.span_text(parent_span_id), operation_type, span_name, span_status,
           started_at, NULL, NULL, perf.branch_of(scope), user_name, session_id, NULL, NULL, NULL, NULL, NULL, attributes,
           started_at, scope
    FROM perf.open_span WHERE ended_at IS NULL;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA perf FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    perf.record_performance_metric, perf.start_performance_trace, perf.end_performance_trace,
    perf.span_text, perf.branch_of TO PUBLIC;
GRANT SELECT, INSERT ON perf.performance_metrics TO PUBLIC;
GRANT SELECT ON perf.operation_traces TO PUBLIC;
