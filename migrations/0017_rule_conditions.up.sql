-- What an alert rule may say beyond its share: which services, what is measured, over which window and for how long.
-- NULL is the default that the routes document. A table made by hand may have columns of these names already: old rows
-- that break a check stay.

ALTER TABLE public.alert_rule
    ADD COLUMN IF NOT EXISTS services            jsonb,
    ADD COLUMN IF NOT EXISTS measure             varchar,
    ADD COLUMN IF NOT EXISTS category            varchar,
    ADD COLUMN IF NOT EXISTS window_seconds      integer,
    ADD COLUMN IF NOT EXISTS for_seconds         integer,
    ADD COLUMN IF NOT EXISTS keep_firing_seconds integer,
    ADD COLUMN IF NOT EXISTS runbook_url         varchar;

DO $conditions$
DECLARE
    here CONSTANT regclass := 'public.alert_rule';
    item record;
BEGIN
    FOR item IN
        SELECT * FROM (VALUES
            ('alert_rule_services_check',
             $$jsonb_typeof(services) = 'object' AND services - ARRAY['tier', 'teamOwner', 'environment'] = '{}'$$),
            ('alert_rule_measure_check', $$measure IN ('self', 'sum', 'total')$$),
            -- Categories are added with versions; those that are no findings stay what they are.
            ('alert_rule_category_check',
             $$category ~ '^[a-z_]{1,64}$' AND category NOT IN ('none', 'idle', 'unresolved', 'profiler_overhead')$$),
            ('alert_rule_window_seconds_check', $$window_seconds IN (300, 900, 3600)$$),
            ('alert_rule_for_seconds_check', $$for_seconds BETWEEN 0 AND 86400$$),
            ('alert_rule_keep_firing_seconds_check', $$keep_firing_seconds BETWEEN 0 AND 86400$$),
            ('alert_rule_runbook_url_check', $$runbook_url ~ '^[hH][tT][tT][pP][sS]?://' AND octet_length(runbook_url) <= 255$$),
            ('alert_rule_services_of_every_app', $$services IS NULL OR app_name = '*'$$),
            ('alert_rule_measure_with_pattern', $$coalesce(measure, 'self') = 'self' OR function_pattern IS NOT NULL$$),
            ('alert_rule_category_alone', $$category IS NULL OR (function_pattern IS NULL AND measure IS NULL)$$)
        ) AS w (name, holds)
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', here, item.name);
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I CHECK (%s) NOT VALID', here, item.name, item.holds);
        BEGIN
            EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', here, item.name);
        EXCEPTION WHEN check_violation THEN
            -- As 0010 does it: the check would refuse to have such a row changed at all.
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', here, item.name);
            RAISE NOTICE '% holds rows that break %', here, item.name;
        END;
    END LOOP;
END
$conditions$;
