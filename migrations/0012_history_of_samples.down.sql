-- The check knows `samples` no longer. Rows that name it stay, as rows of older tables do.

DO $samples$
BEGIN
    IF EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'public.triage_history'::regclass AND conname = 'triage_history_profile_types_check') THEN
        ALTER TABLE public.triage_history DROP CONSTRAINT triage_history_profile_types_check;
        ALTER TABLE public.triage_history ADD CONSTRAINT triage_history_profile_types_check
            CHECK (profile_types = '' OR string_to_array(profile_types, ',') <@ ARRAY['cpu', 'alloc', 'lock', 'wall', 'inuse', 'goroutine', 'exception']) NOT VALID;
        BEGIN
            ALTER TABLE public.triage_history VALIDATE CONSTRAINT triage_history_profile_types_check;
        EXCEPTION WHEN check_violation THEN
            RAISE NOTICE 'public.triage_history holds rows of samples';
        END;
    END IF;
END
$samples$;
