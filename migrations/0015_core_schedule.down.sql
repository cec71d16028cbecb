DROP TABLE IF EXISTS core.job;
DROP TABLE IF EXISTS core.lease;
-- Others may have tables in it.
DO $$
BEGIN
    DROP SCHEMA IF EXISTS core;
EXCEPTION WHEN dependent_objects_still_exist THEN NULL;
END
$$;
