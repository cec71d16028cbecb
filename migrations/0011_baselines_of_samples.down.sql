-- The check knows `samples` no longer. Rows that name it stay, as rows of older tables do.

DO $samples$
BEGIN
    IF EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'public.performance_baseline'::regclass AND conname = 'performance_baseline_profile_type_check') THEN
        ALTER TABLE public.performance_baseline DROP CONSTRAINT performance_baseline_profile_type_check;
        ALTER TABLE public.performance_baseline ADD CONSTRAINT performance_baseline_profile_type_check
            CHECK (profile_type IN ('cpu', 'alloc', 'lock', 'wall', 'inuse', 'goroutine', 'exception')) NOT VALID;
        BEGIN
            ALTER TABLE public.performance_baseline VALIDATE CONSTRAINT performance_baseline_profile_type_check;
        EXCEPTION WHEN check_violation THEN
            RAISE NOTICE 'public.performance_baseline holds rows of samples';
        END;
    END IF;
END
$samples$;
