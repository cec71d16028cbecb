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

-- Records what took how long; answers its id.
CREATE FUNCTION perf.record_performance_metric(
    p_operation_type text, p_duration_microseconds bigint, p_operation_name text DEFAULT NULL,
    p_branch_id integer DEFAULT NULL, p_user_name text DEFAULT CURRENT_USER, p_session_id text DEFAULT NULL,
    p_rows_affected bigint DEFAULT NULL, p_memory_bytes bigint DEFAULT NULL, p_cpu_microseconds bigint DEFAULT NULL,
    p_operation_metadata jsonb DEFAULT NULL, p_scope text DEFAULT NULL, p_error_details jsonb DEFAULT NULL,
    p_failed boolean DEFAULT NULL, p_start_time timestamptz DEFAULT NULL
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = perf, pg_catalog, pg_temp AS $$
DECLARE
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
        (ended_at, duration_us, rows_affected, memory_bytes, cpu_us, failed, operation_type, scope, user_name, operation_name,
         session_id, attributes, error)
    VALUES (ended, p_duration_microseconds, p_rows_affected, p_memory_bytes, p_cpu_microseconds,
            coalesce(p_failed, p_error_details IS NOT NULL), p_operation_type,
            CASE WHEN p_branch_id IS NULL THEN coalesce(p_scope, '') ELSE perf.scope_of(p_branch_id, p_scope) END,
            coalesce(p_user_name, session_user), p_operation_name, p_session_id, p_operation_metadata,
            CASE WHEN p_error_details IS NOT NULL THEN jsonb_build_object('details', p_error_details) END)
    RETURNING metric_id INTO recorded;
    PERFORM perf.note_late(ended);
    RETURN recorded;
END
$$;

-- Records operations in order, for this server alone, which has checked their times. Arrays are of one length. An end that is
-- NULL is now.
CREATE FUNCTION perf.record_operations(
    ended_at timestamptz[], duration_us bigint[], operation_type text[], scope text[], user_name text[],
    operation_name text[], session_id text[], trace_id text[], span_id text[], parent_span_id text[], rows_affected bigint[],
    memory_bytes bigint[], cpu_us bigint[], failed boolean[], attributes jsonb[], error jsonb[]
) RETURNS SETOF bigint LANGUAGE plpgsql SET search_path = perf, pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        INSERT INTO perf.operation
            (ended_at, duration_us, operation_type, scope, user_name, operation_name, session_id, trace_id, span_id,
             parent_span_id, rows_affected, memory_bytes, cpu_us, failed, attributes, error)
        SELECT coalesce(g.ended_at, clock_timestamp()), g.duration_us, g.operation_type, g.scope, g.user_name, g.operation_name,
               g.session_id, perf.trace_ref(g.trace_id), perf.span_ref(g.span_id), perf.span_ref(g.parent_span_id),
               g.rows_affected, g.memory_bytes, g.cpu_us, g.failed, g.attributes, g.error
        FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
             AS g(ended_at, duration_us, operation_type, scope, user_name, operation_name, session_id, trace_id, span_id,
                  parent_span_id, rows_affected, memory_bytes, cpu_us, failed, attributes, error)
        RETURNING metric_id;
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
