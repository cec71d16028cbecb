-- What older tables of the history hold stays. A check that some row breaks is taken off: the routes check all that they write,
-- and such rows are shown with `problems`.

DO $adopted$
DECLARE
    here   CONSTANT regclass := 'public.triage_history';
    checks jsonb;
    item   record;
BEGIN
    -- Checks that were not held against older rows stand aside, as they would refuse to have such a row changed at all.
    SELECT coalesce(jsonb_object_agg(conname, replace(pg_get_constraintdef(oid), ' NOT VALID', '')), '{}') INTO checks
    FROM pg_constraint WHERE conrelid = here AND contype = 'c' AND NOT convalidated;
    FOR item IN SELECT key AS name FROM jsonb_each_text(checks) LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', here, item.name);
    END LOOP;

    FOR item IN SELECT key AS name, value AS holds FROM jsonb_each_text(checks) LOOP
        BEGIN
            EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s', here, item.name, item.holds);
        EXCEPTION WHEN check_violation THEN
            RAISE NOTICE '% holds rows that break %', here, item.name;
        END;
    END LOOP;
END
$adopted$;
