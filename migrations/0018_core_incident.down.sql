DROP VIEW IF EXISTS core.incident_v1;
DROP FUNCTION IF EXISTS core.silence_create(text, text, integer, timestamptz, timestamptz, text, text);
DROP FUNCTION IF EXISTS core.incident_acknowledge(integer, text, text, timestamptz);
DROP FUNCTION IF EXISTS core.incident_observe(
    text, text, text, text, text, double precision, double precision, text, bigint, jsonb, integer, timestamptz);
DROP FUNCTION IF EXISTS core.incident_settle();
DROP FUNCTION IF EXISTS core.incident_untold(timestamptz, text);
DROP FUNCTION IF EXISTS core.incident_level(core.incident);
DROP TABLE IF EXISTS core.incident_event;
DROP TABLE IF EXISTS core.incident;
DROP FUNCTION IF EXISTS core.incident_timeline();
DROP FUNCTION IF EXISTS core.incident_follow();
DROP FUNCTION IF EXISTS core.silenced_by(varchar, varchar, integer, timestamptz);
DROP FUNCTION IF EXISTS core.severity_rank(varchar);
DROP TABLE IF EXISTS core.silence;
DROP TABLE IF EXISTS core.rule_state;
