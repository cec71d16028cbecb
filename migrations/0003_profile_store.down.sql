DROP SCHEMA profile_store CASCADE;
