DROP TABLE IF EXISTS public.performance_baseline;
