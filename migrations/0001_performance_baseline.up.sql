-- The Baseline SOR: the approved share of a function.
--
-- A table of this name that was made by hand is adopted with its rows: missing columns are added, narrower types
-- widened, spellings made canonical, and checks hold for what is written from now on (NOT VALID).

CREATE TABLE IF NOT EXISTS public.performance_baseline (
    id               serial           PRIMARY KEY,
    app_name         varchar          NOT NULL,
    profile_type     varchar          NOT NULL,
    function_name    varchar          NOT NULL,
    max_self_percent double precision NOT NULL,
    severity         varchar          NOT NULL DEFAULT 'warning',
    created_by       varchar,
    created_at       timestamptz      NOT NULL DEFAULT now(),
    updated_at       timestamptz      NOT NULL DEFAULT now()
);

ALTER TABLE public.performance_baseline
    ADD COLUMN IF NOT EXISTS severity   varchar     DEFAULT 'warning',
    ADD COLUMN IF NOT EXISTS created_by varchar,
    ADD COLUMN IF NOT EXISTS created_at timestamptz,
    ADD COLUMN IF NOT EXISTS updated_at timestamptz;

DO $adopt$
DECLARE
    here  CONSTANT regclass := 'public.performance_baseline';
    item  record;
    gap   boolean;
BEGIN
    -- Checks: those on one column are replaced, since a narrower list or range would refuse what the routes promise.
    FOR item IN
        SELECT c.conname AS name FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = here AND c.conkey = ARRAY[a.attnum]
        WHERE c.conrelid = here AND c.contype = 'c'
          AND a.attname IN ('app_name', 'profile_type', 'function_name', 'max_self_percent', 'severity', 'created_by')
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', here, item.name);
    END LOOP;

    -- Types: only where they differ, since a change may rewrite the table. Times without a zone are read as UTC.
    FOR item IN
        SELECT a.attname AS name, w.type,
               CASE WHEN format_type(a.atttypid, -1) = 'timestamp without time zone'
                    THEN format('%I AT TIME ZONE ''UTC''', a.attname) ELSE format('%I::%s', a.attname, w.type) END AS value
        FROM (VALUES ('id', 'integer'), ('app_name', 'character varying'), ('profile_type', 'character varying'),
                     ('function_name', 'character varying'), ('max_self_percent', 'double precision'),
                     ('severity', 'character varying'), ('created_by', 'character varying'),
                     ('created_at', 'timestamp with time zone'), ('updated_at', 'timestamp with time zone')
             ) AS w (name, type)
        JOIN pg_attribute a ON a.attrelid = here AND a.attname = w.name AND NOT a.attisdropped
        WHERE format_type(a.atttypid, a.atttypmod) <> w.type
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE %s USING %s', here, item.name, item.type, item.value);
    END LOOP;

    -- Defaults, and what an absent value meant.
    ALTER TABLE public.performance_baseline
        ALTER COLUMN severity   SET DEFAULT 'warning',
        ALTER COLUMN created_at SET DEFAULT now(),
        ALTER COLUMN updated_at SET DEFAULT now();
    UPDATE public.performance_baseline
    SET severity   = lower(btrim(coalesce(severity, 'warning'))),
        created_at = coalesce(created_at, updated_at, now()),
        updated_at = coalesce(updated_at, created_at, now())
    WHERE severity IS DISTINCT FROM lower(btrim(severity)) OR severity IS NULL OR created_at IS NULL OR updated_at IS NULL;

    -- Names of profile types: canonical ones, except where that would make two rows of one key.
    WITH canonical AS (
        SELECT id, app_name, function_name, CASE lower(btrim(profile_type))
            WHEN 'allocation' THEN 'alloc' WHEN 'memory' THEN 'alloc'
            WHEN 'mutex' THEN 'lock' WHEN 'contention' THEN 'lock'
            WHEN 'wallclock' THEN 'wall' WHEN 'wall-clock' THEN 'wall'
            ELSE lower(btrim(profile_type)) END AS name
        FROM public.performance_baseline
    ), alone AS (
        SELECT app_name, function_name, name, min(id) AS id FROM canonical GROUP BY 1, 2, 3 HAVING count(*) = 1
    )
    UPDATE public.performance_baseline AS b SET profile_type = alone.name
    FROM alone WHERE b.id = alone.id AND b.profile_type <> alone.name;

    FOR item IN
        SELECT attname AS name FROM pg_attribute
        WHERE attrelid = here AND NOT attnotnull AND NOT attisdropped
          AND attname IN ('app_name', 'profile_type', 'function_name', 'max_self_percent', 'severity', 'created_at', 'updated_at')
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I IS NULL)', here, item.name) INTO gap;
        IF gap THEN
            RAISE EXCEPTION 'performance_baseline cannot be adopted: % is NULL in some rows; fill or delete them', item.name;
        END IF;
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', here, item.name);
    END LOOP;

    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = here AND contype = 'p') THEN
        ALTER TABLE public.performance_baseline ADD CONSTRAINT performance_baseline_pkey PRIMARY KEY (id);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = here AND attname = 'id' AND (atthasdef OR attidentity <> '')) THEN
        CREATE SEQUENCE IF NOT EXISTS public.performance_baseline_id_seq AS integer OWNED BY public.performance_baseline.id;
        PERFORM setval('public.performance_baseline_id_seq', (SELECT coalesce(max(id), 0) + 1 FROM public.performance_baseline), false);
        ALTER TABLE public.performance_baseline ALTER COLUMN id SET DEFAULT nextval('public.performance_baseline_id_seq');
    END IF;

    -- The key: one that exists under another name is renamed.
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = here AND conname = 'performance_baseline_key') THEN
        SELECT c.conname AS name INTO item FROM pg_constraint c
        WHERE c.conrelid = here AND c.contype = 'u'
          AND (SELECT array_agg(a.attname::text ORDER BY a.attname) FROM pg_attribute a
               WHERE a.attrelid = here AND a.attnum = ANY (c.conkey)) = ARRAY['app_name', 'function_name', 'profile_type']
        LIMIT 1;
        IF FOUND THEN
            EXECUTE format('ALTER TABLE %s RENAME CONSTRAINT %I TO performance_baseline_key', here, item.name);
        ELSE
            ALTER TABLE public.performance_baseline
                ADD CONSTRAINT performance_baseline_key UNIQUE (app_name, profile_type, function_name);
        END IF;
    END IF;

    FOR item IN
        SELECT * FROM (VALUES
            ('performance_baseline_app_name_check', $$btrim(app_name) <> '' AND octet_length(app_name) <= 512$$),
            ('performance_baseline_profile_type_check',
             $$profile_type IN ('cpu', 'alloc', 'lock', 'wall', 'inuse', 'goroutine', 'exception')$$),
            ('performance_baseline_function_name_check', $$btrim(function_name) <> '' AND octet_length(function_name) <= 2000$$),
            ('performance_baseline_max_self_percent_check', $$max_self_percent BETWEEN 0 AND 100$$),
            ('performance_baseline_severity_check', $$severity IN ('info', 'warning', 'critical')$$),
            ('performance_baseline_created_by_check', $$btrim(created_by) <> '' AND octet_length(created_by) <= 255$$)
        ) AS w (name, holds)
    LOOP
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I CHECK (%s) NOT VALID', here, item.name, item.holds);
    END LOOP;
    -- A table without rows, as a new one is, has nothing that could break them.
    IF NOT EXISTS (SELECT FROM public.performance_baseline) THEN
        FOR item IN SELECT conname AS name FROM pg_constraint WHERE conrelid = here AND contype = 'c' AND NOT convalidated LOOP
            EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', here, item.name);
        END LOOP;
    END IF;
END
$adopt$;
