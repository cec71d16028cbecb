DROP TABLE IF EXISTS public.service_registry;
