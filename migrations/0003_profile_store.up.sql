-- The embedded profile store. Append-only; a day is dropped as a whole, by its partitions, which the server makes and
-- drops itself.
CREATE SCHEMA profile_store;

CREATE TABLE profile_store.app (
    app_id     integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       varchar(512) NOT NULL,
    first_seen timestamptz NOT NULL,
    last_seen  timestamptz NOT NULL,
    CONSTRAINT profile_store_app_name_key UNIQUE (name)
);

-- One set of labels under which an app sends one shape of profile. Small: the server keeps it in memory.
CREATE TABLE profile_store.series (
    series_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    app_id    integer NOT NULL,
    type      jsonb NOT NULL,
    labels    jsonb NOT NULL,
    hash      bytea NOT NULL,
    CONSTRAINT profile_store_series_app_fkey FOREIGN KEY (app_id) REFERENCES profile_store.app (app_id) ON DELETE CASCADE,
    CONSTRAINT profile_store_series_hash_key UNIQUE (app_id, hash)
);

-- An epoch is one writer, one app, one hour. Its dictionary is written in segments, in order, as it grows.
CREATE SEQUENCE profile_store.epoch_id AS bigint;

CREATE TABLE profile_store.dict (
    day      date NOT NULL,
    epoch_id bigint NOT NULL,
    seq      integer NOT NULL,
    body     bytea NOT NULL,
    CONSTRAINT profile_store_dict_pkey PRIMARY KEY (day, epoch_id, seq)
) PARTITION BY RANGE (day);

-- One profile as it was pushed, all its sample types. No keys to other tables: each would be looked up per profile.
CREATE TABLE profile_store.block (
    ts        timestamptz NOT NULL,
    dur_ms    integer NOT NULL,
    app_id    integer NOT NULL,
    series_id integer NOT NULL,
    epoch_id  bigint NOT NULL,
    samples   bigint,
    totals    bigint[] NOT NULL,
    body      bytea NOT NULL
) PARTITION BY RANGE (ts);

CREATE INDEX profile_store_block_app_ts_idx ON profile_store.block (app_id, ts);

-- Bodies are compressed already.
ALTER TABLE profile_store.dict ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE profile_store.block ALTER COLUMN body SET STORAGE EXTERNAL;
