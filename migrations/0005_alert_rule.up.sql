-- The Alert rule SOR: from which share of a profile on somebody is to be told.
--
-- A table of this name that was made by hand is adopted with its rows, as 0001 does it.

CREATE TABLE IF NOT EXISTS public.alert_rule (
    id                   serial           PRIMARY KEY,
    app_name             varchar          NOT NULL,
    profile_type         varchar          NOT NULL,
    threshold_percent    double precision NOT NULL,
    function_pattern     varchar,
    severity             varchar          NOT NULL DEFAULT 'warning',
    notification_channel varchar,
    enabled              boolean          NOT NULL DEFAULT true,
    created_by           varchar,
    created_at           timestamptz      NOT NULL DEFAULT now(),
    updated_at           timestamptz      NOT NULL DEFAULT now()
);

ALTER TABLE public.alert_rule
    ADD COLUMN IF NOT EXISTS function_pattern     varchar,
    ADD COLUMN IF NOT EXISTS severity             varchar DEFAULT 'warning',
    ADD COLUMN IF NOT EXISTS notification_channel varchar,
    ADD COLUMN IF NOT EXISTS enabled              boolean DEFAULT true,
    ADD COLUMN IF NOT EXISTS created_by           varchar,
    ADD COLUMN IF NOT EXISTS created_at           timestamptz,
    ADD COLUMN IF NOT EXISTS updated_at           timestamptz;

DO $adopt$
DECLARE
    here  CONSTANT regclass := 'public.alert_rule';
    item  record;
    gap   boolean;
BEGIN
    -- Checks: those on one column are replaced, since a narrower list or range would refuse what the routes promise.
    FOR item IN
        SELECT c.conname AS name FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = here AND c.conkey = ARRAY[a.attnum]
        WHERE c.conrelid = here AND c.contype = 'c'
          AND a.attname IN ('app_name', 'profile_type', 'threshold_percent', 'function_pattern', 'severity',
                            'notification_channel', 'enabled', 'created_by')
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', here, item.name);
    END LOOP;

    -- Types: only where they differ, since a change may rewrite the table. Times without a zone are read as UTC. A default
    -- of `enabled` may be of another type and stand in the way; it is set anew below.
    FOR item IN
        SELECT a.attname AS name, w.type,
               CASE WHEN format_type(a.atttypid, -1) = 'timestamp without time zone'
                    THEN format('%I AT TIME ZONE ''UTC''', a.attname)
                    WHEN w.type = 'boolean' THEN format('%I::text::boolean', a.attname)
                    ELSE format('%I::%s', a.attname, w.type) END AS value
        FROM (VALUES ('id', 'integer'), ('app_name', 'character varying'), ('profile_type', 'character varying'),
                     ('threshold_percent', 'double precision'), ('function_pattern', 'character varying'),
                     ('severity', 'character varying'), ('notification_channel', 'character varying'),
                     ('enabled', 'boolean'), ('created_by', 'character varying'),
                     ('created_at', 'timestamp with time zone'), ('updated_at', 'timestamp with time zone')
             ) AS w (name, type)
        JOIN pg_attribute a ON a.attrelid = here AND a.attname = w.name AND NOT a.attisdropped
        WHERE format_type(a.atttypid, a.atttypmod) <> w.type
    LOOP
        IF item.type = 'boolean' THEN
            EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT', here, item.name);
        END IF;
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE %s USING %s', here, item.name, item.type, item.value);
    END LOOP;

    -- Defaults, and what an absent value meant. A blank text says as little as none.
    ALTER TABLE public.alert_rule
        ALTER COLUMN severity   SET DEFAULT 'warning',
        ALTER COLUMN enabled    SET DEFAULT true,
        ALTER COLUMN created_at SET DEFAULT now(),
        ALTER COLUMN updated_at SET DEFAULT now();
    UPDATE public.alert_rule
    SET profile_type         = CASE lower(btrim(profile_type))
                                   WHEN 'allocation' THEN 'alloc' WHEN 'memory' THEN 'alloc'
                                   WHEN 'mutex' THEN 'lock' WHEN 'contention' THEN 'lock'
                                   WHEN 'wallclock' THEN 'wall' WHEN 'wall-clock' THEN 'wall'
                                   ELSE lower(btrim(profile_type)) END,
        function_pattern     = CASE WHEN btrim(function_pattern) <> '' THEN function_pattern END,
        severity             = CASE WHEN btrim(severity) <> '' THEN lower(btrim(severity)) ELSE 'warning' END,
        notification_channel = CASE WHEN btrim(notification_channel) <> '' THEN notification_channel END,
        enabled              = coalesce(enabled, true),
        created_by           = CASE WHEN btrim(created_by) <> '' THEN created_by END,
        created_at           = coalesce(created_at, updated_at, now()),
        updated_at           = coalesce(updated_at, created_at, now());

    FOR item IN
        SELECT attname AS name FROM pg_attribute
        WHERE attrelid = here AND NOT attnotnull AND NOT attisdropped
          AND attname IN ('app_name', 'profile_type', 'threshold_percent', 'severity', 'enabled', 'created_at', 'updated_at')
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I IS NULL)', here, item.name) INTO gap;
        IF gap THEN
            RAISE EXCEPTION 'alert_rule cannot be adopted: % is NULL in some rows; fill or delete them', item.name;
        END IF;
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', here, item.name);
    END LOOP;
    FOR item IN
        SELECT attname AS name FROM pg_attribute
        WHERE attrelid = here AND attnotnull AND NOT attisdropped
          AND attname IN ('function_pattern', 'notification_channel', 'created_by')
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL', here, item.name);
    END LOOP;

    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = here AND contype = 'p') THEN
        ALTER TABLE public.alert_rule ADD CONSTRAINT alert_rule_pkey PRIMARY KEY (id);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = here AND attname = 'id' AND (atthasdef OR attidentity <> '')) THEN
        CREATE SEQUENCE IF NOT EXISTS public.alert_rule_id_seq AS integer OWNED BY public.alert_rule.id;
        PERFORM setval('public.alert_rule_id_seq', (SELECT coalesce(max(id), 0) + 1 FROM public.alert_rule), false);
        ALTER TABLE public.alert_rule ALTER COLUMN id SET DEFAULT nextval('public.alert_rule_id_seq');
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_index i WHERE i.indrelid = here AND pg_get_indexdef(i.indexrelid) LIKE '%(app_name, enabled)'
    ) THEN
        CREATE INDEX alert_rule_app_name_enabled_idx ON public.alert_rule (app_name, enabled);
    END IF;

    FOR item IN
        SELECT * FROM (VALUES
            ('alert_rule_app_name_check', $$btrim(app_name) <> '' AND octet_length(app_name) <= 512$$),
            ('alert_rule_profile_type_check',
             $$profile_type IN ('cpu', 'alloc', 'lock', 'wall', 'inuse', 'goroutine', 'exception')$$),
            ('alert_rule_threshold_percent_check', $$threshold_percent BETWEEN 0 AND 100$$),
            ('alert_rule_function_pattern_check', $$btrim(function_pattern) <> '' AND octet_length(function_pattern) <= 1024$$),
            ('alert_rule_severity_check', $$severity IN ('info', 'warning', 'critical')$$),
            ('alert_rule_notification_channel_check',
             $$btrim(notification_channel) <> '' AND octet_length(notification_channel) <= 255$$),
            ('alert_rule_created_by_check', $$btrim(created_by) <> '' AND octet_length(created_by) <= 255$$)
        ) AS w (name, holds)
    LOOP
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I CHECK (%s) NOT VALID', here, item.name, item.holds);
    END LOOP;
    -- A table without rows, as a new one is, has nothing that could break them.
    IF NOT EXISTS (SELECT FROM public.alert_rule) THEN
        FOR item IN SELECT conname AS name FROM pg_constraint WHERE conrelid = here AND contype = 'c' AND NOT convalidated LOOP
            EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', here, item.name);
        END LOOP;
    END IF;
END
$adopt$;
