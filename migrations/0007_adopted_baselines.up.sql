-- What older tables of baselines hold, once they are adopted: severities get the names that they
-- have here. A check that some row breaks is taken off, so that the row can still be
-- changed. The routes check all that they write; such rows are shown with `problems` and not applied.

DO $adopted$
DECLARE
    here   CONSTANT regclass := 'public.performance_baseline';
    checks jsonb;
    item   record;
BEGIN
    -- Checks that were not held against older rows stand aside, as they would refuse to have such a row changed at all.
    SELECT coalesce(jsonb_object_agg(conname, replace(pg_get_constraintdef(oid), ' NOT VALID', '')), '{}') INTO checks
    FROM pg_constraint WHERE conrelid = here AND contype = 'c' AND NOT convalidated;
    FOR item IN SELECT key AS name FROM jsonb_each_text(checks) LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', here, item.name);
    END LOOP;

    UPDATE public.performance_baseline
    SET severity = CASE lower(btrim(severity)) WHEN 'high' THEN 'critical' WHEN 'medium' THEN 'warning' ELSE 'info' END
    WHERE lower(btrim(severity)) IN ('high', 'medium', 'low');

    FOR item IN SELECT key AS name, value AS holds FROM jsonb_each_text(checks) LOOP
        BEGIN
            EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s', here, item.name, item.holds);
        EXCEPTION WHEN check_violation THEN
            RAISE NOTICE '% holds rows that break %', here, item.name;
        END;
    END LOOP;
END
$adopted$;
