-- The checks go with their columns.
ALTER TABLE public.alert_rule
    DROP COLUMN IF EXISTS runbook_url,
    DROP COLUMN IF EXISTS keep_firing_seconds,
    DROP COLUMN IF EXISTS for_seconds,
    DROP COLUMN IF EXISTS window_seconds,
    DROP COLUMN IF EXISTS category,
    DROP COLUMN IF EXISTS measure,
    DROP COLUMN IF EXISTS services;
