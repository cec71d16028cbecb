-- Profiles of an unknown kind are judged as `samples`, and rules may be for that kind too. A check that was taken off because
-- older rows break it stays off.

DO $samples$
DECLARE
    was_valid boolean;
BEGIN
    SELECT convalidated INTO was_valid FROM pg_constraint
    WHERE conrelid = 'public.alert_rule'::regclass AND conname = 'alert_rule_profile_type_check';
    IF FOUND THEN
        ALTER TABLE public.alert_rule DROP CONSTRAINT alert_rule_profile_type_check;
        ALTER TABLE public.alert_rule ADD CONSTRAINT alert_rule_profile_type_check
            CHECK (profile_type IN ('cpu', 'alloc', 'lock', 'wall', 'inuse', 'goroutine', 'exception', 'samples')) NOT VALID;
        IF was_valid THEN
            ALTER TABLE public.alert_rule VALIDATE CONSTRAINT alert_rule_profile_type_check;
        END IF;
    END IF;
END
$samples$;
