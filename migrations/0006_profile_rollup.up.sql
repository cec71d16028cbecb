-- The closed hours of the embedded profile store: one row holds all profiles of one app and one name in one hour, merged,
-- with all their sample types. Kept when the profiles themselves are gone; a month is dropped as a whole.
CREATE TABLE IF NOT EXISTS profile_store.rollup (
    hour   timestamptz NOT NULL,
    app_id integer NOT NULL,
    type   text NOT NULL,
    heads  bytea NOT NULL,
    body   bytea NOT NULL,
    CONSTRAINT profile_store_rollup_pkey PRIMARY KEY (app_id, hour, type)
) PARTITION BY RANGE (hour);

-- Both are compressed already.
ALTER TABLE profile_store.rollup ALTER COLUMN heads SET STORAGE EXTERNAL;
ALTER TABLE profile_store.rollup ALTER COLUMN body SET STORAGE EXTERNAL;
