-- The check knows `samples` no longer. Rows that name it stay, as rows of older tables do.

DO $samples$
BEGIN
    IF EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'public.alert_rule'::regclass AND conname = 'alert_rule_profile_type_check') THEN
        ALTER TABLE public.alert_rule DROP CONSTRAINT alert_rule_profile_type_check;
        ALTER TABLE public.alert_rule ADD CONSTRAINT alert_rule_profile_type_check
            CHECK (profile_type IN ('cpu', 'alloc', 'lock', 'wall', 'inuse', 'goroutine', 'exception')) NOT VALID;
        BEGIN
            ALTER TABLE public.alert_rule VALIDATE CONSTRAINT alert_rule_profile_type_check;
        EXCEPTION WHEN check_violation THEN
            RAISE NOTICE 'public.alert_rule holds rows of samples';
        END;
    END IF;
END
$samples$;
