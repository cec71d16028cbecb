-- Profiles of an unknown kind are judged as `samples`, and limits may be of that kind too. A check that was taken off because
-- older rows break it stays off.

DO $samples$
DECLARE
    was_valid boolean;
BEGIN
    SELECT convalidated INTO was_valid FROM pg_constraint
    WHERE conrelid = 'public.performance_baseline'::regclass AND conname = 'performance_baseline_profile_type_check';
    IF FOUND THEN
        ALTER TABLE public.performance_baseline DROP CONSTRAINT performance_baseline_profile_type_check;
        ALTER TABLE public.performance_baseline ADD CONSTRAINT performance_baseline_profile_type_check
            CHECK (profile_type IN ('cpu', 'alloc', 'lock', 'wall', 'inuse', 'goroutine', 'exception', 'samples')) NOT VALID;
        IF was_valid THEN
            ALTER TABLE public.performance_baseline VALIDATE CONSTRAINT performance_baseline_profile_type_check;
        END IF;
    END IF;
END
$samples$;
