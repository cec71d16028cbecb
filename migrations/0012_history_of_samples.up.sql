-- Profiles of an unknown kind are judged as `samples`, and assessments may name that kind too. A check that was taken off because
-- older rows break it stays off.

DO $samples$
DECLARE
    was_valid boolean;
BEGIN
    SELECT convalidated INTO was_valid FROM pg_constraint
    WHERE conrelid = 'public.triage_history'::regclass AND conname = 'triage_history_profile_types_check';
    IF FOUND THEN
        ALTER TABLE public.triage_history DROP CONSTRAINT triage_history_profile_types_check;
        ALTER TABLE public.triage_history ADD CONSTRAINT triage_history_profile_types_check
            CHECK (profile_types = '' OR string_to_array(profile_types, ',') <@ ARRAY['cpu', 'alloc', 'lock', 'wall', 'inuse', 'goroutine', 'exception', 'samples']) NOT VALID;
        IF was_valid THEN
            ALTER TABLE public.triage_history VALIDATE CONSTRAINT triage_history_profile_types_check;
        END IF;
    END IF;
END
$samples$;
