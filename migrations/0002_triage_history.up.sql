-- The History SOR: every assessment, the audit trail.
--
-- A table of this name that was made by hand is adopted with its rows, as 0001 does it.

CREATE TABLE IF NOT EXISTS public.triage_history (
    id              serial      PRIMARY KEY,
    app_name        varchar     NOT NULL,
    profile_types   varchar     NOT NULL DEFAULT 'cpu',
    diagnosis       varchar     NOT NULL,
    severity        varchar     NOT NULL,
    top_functions   jsonb,
    recommendation  text,
    requested_by    varchar,
    created_at      timestamptz NOT NULL DEFAULT now(),
    idempotency_key uuid
);

ALTER TABLE public.triage_history
    ADD COLUMN IF NOT EXISTS profile_types   varchar     DEFAULT 'cpu',
    ADD COLUMN IF NOT EXISTS top_functions   jsonb,
    ADD COLUMN IF NOT EXISTS recommendation  text,
    ADD COLUMN IF NOT EXISTS requested_by    varchar,
    ADD COLUMN IF NOT EXISTS created_at      timestamptz,
    ADD COLUMN IF NOT EXISTS idempotency_key uuid;

DO $adopt$
DECLARE
    here  CONSTANT regclass := 'public.triage_history';
    item  record;
    gap   boolean;
BEGIN
    -- Checks: those on one column are replaced, since a narrower list or range would refuse what the routes promise.
    FOR item IN
        SELECT c.conname AS name FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = here AND c.conkey = ARRAY[a.attnum]
        WHERE c.conrelid = here AND c.contype = 'c'
          AND a.attname IN ('app_name', 'profile_types', 'diagnosis', 'severity', 'top_functions', 'recommendation', 'requested_by')
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', here, item.name);
    END LOOP;

    -- Types: only where they differ, since a change may rewrite the table. Times without a zone are read as UTC.
    FOR item IN
        SELECT a.attname AS name, w.type,
               CASE WHEN format_type(a.atttypid, -1) = 'timestamp without time zone'
                    THEN format('%I AT TIME ZONE ''UTC''', a.attname) ELSE format('%I::%s', a.attname, w.type) END AS value
        FROM (VALUES ('id', 'integer'), ('app_name', 'character varying'), ('profile_types', 'character varying'),
                     ('diagnosis', 'character varying'), ('severity', 'character varying'), ('top_functions', 'jsonb'),
                     ('recommendation', 'text'), ('requested_by', 'character varying'),
                     ('created_at', 'timestamp with time zone'), ('idempotency_key', 'uuid')
             ) AS w (name, type)
        JOIN pg_attribute a ON a.attrelid = here AND a.attname = w.name AND NOT a.attisdropped
        WHERE format_type(a.atttypid, a.atttypmod) <> w.type
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE %s USING %s', here, item.name, item.type, item.value);
    END LOOP;

    -- Defaults, and what an absent value meant.
    ALTER TABLE public.triage_history
        ALTER COLUMN profile_types SET DEFAULT 'cpu',
        ALTER COLUMN created_at    SET DEFAULT now();
    UPDATE public.triage_history
    SET severity      = lower(btrim(coalesce(severity, 'info'))),
        profile_types = coalesce(profile_types, 'cpu'),
        created_at    = coalesce(created_at, now())
    WHERE severity IS DISTINCT FROM lower(btrim(severity)) OR severity IS NULL OR profile_types IS NULL OR created_at IS NULL;

    FOR item IN
        SELECT attname AS name FROM pg_attribute
        WHERE attrelid = here AND NOT attnotnull AND NOT attisdropped
          AND attname IN ('app_name', 'profile_types', 'diagnosis', 'severity', 'created_at')
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I IS NULL)', here, item.name) INTO gap;
        IF gap THEN
            RAISE EXCEPTION 'triage_history cannot be adopted: % is NULL in some rows; fill or delete them', item.name;
        END IF;
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', here, item.name);
    END LOOP;

    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = here AND contype = 'p') THEN
        ALTER TABLE public.triage_history ADD CONSTRAINT triage_history_pkey PRIMARY KEY (id);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = here AND attname = 'id' AND (atthasdef OR attidentity <> '')) THEN
        CREATE SEQUENCE IF NOT EXISTS public.triage_history_id_seq AS integer OWNED BY public.triage_history.id;
        PERFORM setval('public.triage_history_id_seq', (SELECT coalesce(max(id), 0) + 1 FROM public.triage_history), false);
        ALTER TABLE public.triage_history ALTER COLUMN id SET DEFAULT nextval('public.triage_history_id_seq');
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND c.conkey = ARRAY[a.attnum]
        WHERE c.conrelid = here AND c.contype = 'u' AND a.attname = 'idempotency_key'
    ) THEN
        ALTER TABLE public.triage_history ADD CONSTRAINT triage_history_idempotency_key UNIQUE (idempotency_key);
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_index i WHERE i.indrelid = here AND pg_get_indexdef(i.indexrelid) LIKE '%(app_name, created_at DESC)'
    ) THEN
        CREATE INDEX triage_history_app_name_created_at_idx ON public.triage_history (app_name, created_at DESC);
    END IF;

    FOR item IN
        SELECT * FROM (VALUES
            ('triage_history_app_name_check', $$btrim(app_name) <> '' AND octet_length(app_name) <= 512$$),
            ('triage_history_profile_types_check',
             $$profile_types = '' OR string_to_array(profile_types, ',')
               <@ ARRAY['cpu', 'alloc', 'lock', 'wall', 'inuse', 'goroutine', 'exception']$$),
            ('triage_history_diagnosis_check', $$btrim(diagnosis) <> '' AND octet_length(diagnosis) <= 255$$),
            ('triage_history_severity_check', $$severity IN ('high', 'medium', 'low', 'critical', 'warning', 'info')$$),
            ('triage_history_top_functions_check', $$jsonb_typeof(top_functions) IN ('object', 'array')$$),
            ('triage_history_recommendation_check', $$octet_length(recommendation) <= 65536$$),
            ('triage_history_requested_by_check', $$btrim(requested_by) <> '' AND octet_length(requested_by) <= 255$$)
        ) AS w (name, holds)
    LOOP
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I CHECK (%s) NOT VALID', here, item.name, item.holds);
    END LOOP;
    -- A table without rows, as a new one is, has nothing that could break them.
    IF NOT EXISTS (SELECT FROM public.triage_history) THEN
        FOR item IN SELECT conname AS name FROM pg_constraint WHERE conrelid = here AND contype = 'c' AND NOT convalidated LOOP
            EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', here, item.name);
        END LOOP;
    END IF;
END
$adopt$;
