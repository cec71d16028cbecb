-- The Registry SOR: who owns a service, how much it matters, which series are its own.
--
-- A table of this name that was made by hand is adopted with its rows, as 0001 does it.

CREATE TABLE IF NOT EXISTS public.service_registry (
    id                   serial      PRIMARY KEY,
    app_name             varchar     NOT NULL,
    team_owner           varchar,
    tier                 varchar     NOT NULL DEFAULT 'standard',
    environment          varchar,
    notification_channel varchar,
    pyroscope_labels     jsonb,
    metadata             jsonb,
    created_at           timestamptz NOT NULL DEFAULT now(),
    updated_at           timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE public.service_registry
    ADD COLUMN IF NOT EXISTS team_owner           varchar,
    ADD COLUMN IF NOT EXISTS tier                 varchar DEFAULT 'standard',
    ADD COLUMN IF NOT EXISTS environment          varchar,
    ADD COLUMN IF NOT EXISTS notification_channel varchar,
    ADD COLUMN IF NOT EXISTS pyroscope_labels     jsonb,
    ADD COLUMN IF NOT EXISTS metadata             jsonb,
    ADD COLUMN IF NOT EXISTS created_at           timestamptz,
    ADD COLUMN IF NOT EXISTS updated_at           timestamptz;

DO $adopt$
DECLARE
    here  CONSTANT regclass := 'public.service_registry';
    item  record;
    gap   boolean;
BEGIN
    -- Checks: those on one column are replaced, since a narrower list or range would refuse what the routes promise.
    FOR item IN
        SELECT c.conname AS name FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = here AND c.conkey = ARRAY[a.attnum]
        WHERE c.conrelid = here AND c.contype = 'c'
          AND a.attname IN ('app_name', 'team_owner', 'tier', 'environment', 'notification_channel', 'pyroscope_labels', 'metadata')
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', here, item.name);
    END LOOP;

    -- Types: only where they differ, since a change may rewrite the table. Times without a zone are read as UTC. A default
    -- of a JSON column may be of another type and stand in the way; none is needed.
    FOR item IN
        SELECT a.attname AS name, w.type,
               CASE WHEN format_type(a.atttypid, -1) = 'timestamp without time zone'
                    THEN format('%I AT TIME ZONE ''UTC''', a.attname) ELSE format('%I::%s', a.attname, w.type) END AS value
        FROM (VALUES ('id', 'integer'), ('app_name', 'character varying'), ('team_owner', 'character varying'),
                     ('tier', 'character varying'), ('environment', 'character varying'),
                     ('notification_channel', 'character varying'), ('pyroscope_labels', 'jsonb'), ('metadata', 'jsonb'),
                     ('created_at', 'timestamp with time zone'), ('updated_at', 'timestamp with time zone')
             ) AS w (name, type)
        JOIN pg_attribute a ON a.attrelid = here AND a.attname = w.name AND NOT a.attisdropped
        WHERE format_type(a.atttypid, a.atttypmod) <> w.type
    LOOP
        IF item.type = 'jsonb' THEN
            EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT', here, item.name);
        END IF;
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE %s USING %s', here, item.name, item.type, item.value);
    END LOOP;

    -- Defaults, and what an absent value meant. A blank text and a JSON null say as little as none.
    ALTER TABLE public.service_registry
        ALTER COLUMN tier       SET DEFAULT 'standard',
        ALTER COLUMN created_at SET DEFAULT now(),
        ALTER COLUMN updated_at SET DEFAULT now();
    UPDATE public.service_registry
    SET team_owner           = CASE WHEN btrim(team_owner) <> '' THEN team_owner END,
        tier                 = CASE WHEN btrim(tier) <> '' THEN tier ELSE 'standard' END,
        environment          = CASE WHEN btrim(environment) <> '' THEN environment END,
        notification_channel = CASE WHEN btrim(notification_channel) <> '' THEN notification_channel END,
        pyroscope_labels     = CASE WHEN jsonb_typeof(pyroscope_labels) <> 'null' THEN pyroscope_labels END,
        metadata             = CASE WHEN jsonb_typeof(metadata) <> 'null' THEN metadata END,
        created_at           = coalesce(created_at, updated_at, now()),
        updated_at           = coalesce(updated_at, created_at, now());

    FOR item IN
        SELECT attname AS name FROM pg_attribute
        WHERE attrelid = here AND NOT attnotnull AND NOT attisdropped
          AND attname IN ('app_name', 'tier', 'created_at', 'updated_at')
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I IS NULL)', here, item.name) INTO gap;
        IF gap THEN
            RAISE EXCEPTION 'service_registry cannot be adopted: % is NULL in some rows; fill or delete them', item.name;
        END IF;
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', here, item.name);
    END LOOP;
    FOR item IN
        SELECT attname AS name FROM pg_attribute
        WHERE attrelid = here AND attnotnull AND NOT attisdropped
          AND attname IN ('team_owner', 'environment', 'notification_channel', 'pyroscope_labels', 'metadata')
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL', here, item.name);
    END LOOP;

    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = here AND contype = 'p') THEN
        ALTER TABLE public.service_registry ADD CONSTRAINT service_registry_pkey PRIMARY KEY (id);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = here AND attname = 'id' AND (atthasdef OR attidentity <> '')) THEN
        CREATE SEQUENCE IF NOT EXISTS public.service_registry_id_seq AS integer OWNED BY public.service_registry.id;
        PERFORM setval('public.service_registry_id_seq', (SELECT coalesce(max(id), 0) + 1 FROM public.service_registry), false);
        ALTER TABLE public.service_registry ALTER COLUMN id SET DEFAULT nextval('public.service_registry_id_seq');
    END IF;

    -- The key: one that exists under another name is renamed.
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = here AND conname = 'service_registry_key') THEN
        SELECT c.conname AS name INTO item FROM pg_constraint c
        JOIN pg_attribute a ON a.attrelid = here AND c.conkey = ARRAY[a.attnum]
        WHERE c.conrelid = here AND c.contype = 'u' AND a.attname = 'app_name'
        LIMIT 1;
        IF FOUND THEN
            EXECUTE format('ALTER TABLE %s RENAME CONSTRAINT %I TO service_registry_key', here, item.name);
        ELSE
            ALTER TABLE public.service_registry ADD CONSTRAINT service_registry_key UNIQUE (app_name);
        END IF;
    END IF;

    FOR item IN
        SELECT * FROM (VALUES
            ('service_registry_app_name_check', $$btrim(app_name) <> '' AND octet_length(app_name) <= 512$$),
            ('service_registry_team_owner_check', $$btrim(team_owner) <> '' AND octet_length(team_owner) <= 255$$),
            ('service_registry_tier_check', $$btrim(tier) <> '' AND octet_length(tier) <= 20$$),
            ('service_registry_environment_check', $$btrim(environment) <> '' AND octet_length(environment) <= 255$$),
            ('service_registry_notification_channel_check',
             $$btrim(notification_channel) <> '' AND octet_length(notification_channel) <= 255$$),
            ('service_registry_pyroscope_labels_check', $$jsonb_typeof(pyroscope_labels) = 'object'$$),
            ('service_registry_metadata_check', $$jsonb_typeof(metadata) = 'object'$$)
        ) AS w (name, holds)
    LOOP
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I CHECK (%s) NOT VALID', here, item.name, item.holds);
    END LOOP;
    -- A table without rows, as a new one is, has nothing that could break them.
    IF NOT EXISTS (SELECT FROM public.service_registry) THEN
        FOR item IN SELECT conname AS name FROM pg_constraint WHERE conrelid = here AND contype = 'c' AND NOT convalidated LOOP
            EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', here, item.name);
        END LOOP;
    END IF;
END
$adopt$;
