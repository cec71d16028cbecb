DROP TABLE IF EXISTS core.channel_unresolved;
DROP TABLE IF EXISTS core.channel_state;
DROP TABLE IF EXISTS core.message;
