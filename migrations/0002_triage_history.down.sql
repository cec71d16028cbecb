DROP TABLE IF EXISTS public.triage_history;
