-- What older registries hold, once they are adopted: values of labels that are numbers or
-- truth values become texts. A check that some row breaks is taken off, so that the row can still be
-- changed. The routes check all that they write; such rows are shown with `problems` and not applied.

DO $adopted$
DECLARE
    here   CONSTANT regclass := 'public.service_registry';
    checks jsonb;
    item   record;
BEGIN
    -- Checks that were not held against older rows stand aside, as they would refuse to have such a row changed at all.
    SELECT coalesce(jsonb_object_agg(conname, replace(pg_get_constraintdef(oid), ' NOT VALID', '')), '{}') INTO checks
    FROM pg_constraint WHERE conrelid = here AND contype = 'c' AND NOT convalidated;
    FOR item IN SELECT key AS name FROM jsonb_each_text(checks) LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', here, item.name);
    END LOOP;

    UPDATE public.service_registry
    SET pyroscope_labels = (
        SELECT jsonb_object_agg(label.key, CASE WHEN jsonb_typeof(label.value) IN ('number', 'boolean')
                                                THEN to_jsonb(label.value #>> '{}') ELSE label.value END)
        FROM jsonb_each(pyroscope_labels) AS label
    )
    WHERE EXISTS (SELECT FROM jsonb_each(CASE jsonb_typeof(pyroscope_labels) WHEN 'object' THEN pyroscope_labels ELSE '{}' END) AS label
                  WHERE jsonb_typeof(label.value) IN ('number', 'boolean'));

    FOR item IN SELECT key AS name, value AS holds FROM jsonb_each_text(checks) LOOP
        BEGIN
            EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s', here, item.name, item.holds);
        EXCEPTION WHEN check_violation THEN
            RAISE NOTICE '% holds rows that break %', here, item.name;
        END;
    END LOOP;
END
$adopted$;
