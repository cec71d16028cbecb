-- The Notification SOR: what people are told of incidents, on which channel, and whether it arrived. `incident_id` is the id of
-- an incident, which is another room's: there is no foreign key.
CREATE SCHEMA IF NOT EXISTS core;

-- A message to a channel. The same message has the same key. `settled_at` is when it was delivered, superseded or given up.
CREATE TABLE core.message (
    id          integer     GENERATED ALWAYS AS IDENTITY,
    key         varchar     NOT NULL,
    channel     varchar(63) NOT NULL,
    incident_id integer     NOT NULL,
    body        jsonb       NOT NULL,
    state       varchar     NOT NULL DEFAULT 'pending',
    attempts    integer     NOT NULL DEFAULT 0,
    last_error  varchar,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at  timestamptz,
    CONSTRAINT core_message_pkey PRIMARY KEY (id),
    CONSTRAINT core_message_key_key UNIQUE (key),
    CONSTRAINT core_message_key_check CHECK (octet_length(key) BETWEEN 1 AND 255),
    CONSTRAINT core_message_channel_check CHECK (channel ~ '^[A-Za-z0-9._-]{1,63}$'),
    CONSTRAINT core_message_incident_id_check CHECK (incident_id >= 1),
    CONSTRAINT core_message_body_check CHECK (jsonb_typeof(body) = 'object'),
    CONSTRAINT core_message_state_check CHECK (state IN ('pending', 'delivered', 'superseded', 'dead')),
    CONSTRAINT core_message_attempts_check CHECK (attempts >= 0),
    CONSTRAINT core_message_last_error_check CHECK (octet_length(last_error) BETWEEN 1 AND 1000),
    CONSTRAINT core_message_settled_at_check CHECK ((state = 'pending') = (settled_at IS NULL))
);
-- Of an incident only the newest message waits for a channel.
CREATE UNIQUE INDEX core_message_pending_key ON core.message (channel, incident_id) WHERE state = 'pending';
CREATE INDEX core_message_pending_idx ON core.message (channel, id) WHERE state = 'pending';
CREATE INDEX core_message_incident_id_idx ON core.message (incident_id, id DESC);
CREATE INDEX core_message_settled_at_idx ON core.message (settled_at);

-- How the delivery to a channel does. While a process delivers, `busy_until` says until when no other does; `sending` holds the
-- ids of the messages that it sends, which are sent together again where it did not say how that went.
CREATE TABLE core.channel_state (
    name          varchar(63) NOT NULL,
    busy_until    timestamptz,
    next_at       timestamptz NOT NULL DEFAULT '-infinity',
    failures      integer     NOT NULL DEFAULT 0,
    failing_since timestamptz,
    last_ok_at    timestamptz,
    last_error    varchar,
    sending       integer[],
    CONSTRAINT core_channel_state_pkey PRIMARY KEY (name),
    CONSTRAINT core_channel_state_name_check CHECK (name ~ '^[A-Za-z0-9._-]{1,63}$'),
    CONSTRAINT core_channel_state_failures_check CHECK (failures >= 0),
    CONSTRAINT core_channel_state_last_error_check CHECK (octet_length(last_error) BETWEEN 1 AND 1000)
);

-- What messages were meant for and is not defined, and when that was so last.
CREATE TABLE core.channel_unresolved (
    name     varchar     NOT NULL,
    meant_at timestamptz NOT NULL,
    CONSTRAINT core_channel_unresolved_pkey PRIMARY KEY (name),
    CONSTRAINT core_channel_unresolved_name_check CHECK (octet_length(name) BETWEEN 1 AND 255)
);
