DROP TABLE IF EXISTS public.alert_rule;
