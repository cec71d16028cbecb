-- The Audit SOR: who changed what, and when. A change and its row are of one transaction: triggers of the audited tables
-- write the rows. Whoever changes such a table says in the same statement who acts: `... FROM core.acting($n)`.
CREATE SCHEMA IF NOT EXISTS core;

-- Who acted. To forget a person, set the name to NULL: the rows of the log stay as they are.
CREATE TABLE core.audit_user (
    id   bigint GENERATED ALWAYS AS IDENTITY,
    name varchar,
    CONSTRAINT core_audit_user_pkey PRIMARY KEY (id),
    CONSTRAINT core_audit_user_name_key UNIQUE (name),
    CONSTRAINT core_audit_user_name_check CHECK (name <> '')
);

-- No change may fail because a partition is missing: what has none goes to DEFAULT, and is moved when it is made.
CREATE TABLE core.audit_log (
    id            bigint      GENERATED ALWAYS AS IDENTITY,
    at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    user_ref      bigint      NOT NULL,
    action        varchar     NOT NULL,
    resource_type varchar     NOT NULL,
    resource_id   varchar,
    app_name      varchar,
    project_id    varchar,
    result        varchar     NOT NULL,
    access_method varchar     NOT NULL,
    times         integer     NOT NULL,
    client_ip     inet,
    user_agent    varchar,
    request_id    varchar,
    before        jsonb,
    after         jsonb,
    metadata      jsonb,
    CONSTRAINT core_audit_log_pkey PRIMARY KEY (id, at),
    CONSTRAINT core_audit_log_user_ref_fkey FOREIGN KEY (user_ref) REFERENCES core.audit_user (id),
    CONSTRAINT core_audit_log_result_check CHECK (result IN ('success', 'denied', 'error')),
    CONSTRAINT core_audit_log_access_method_check
        CHECK (access_method IN ('token', 'gateway', 'open', 'service', 'share_token', 'sql', 'system')),
    CONSTRAINT core_audit_log_times_check CHECK (times >= 1)
) PARTITION BY RANGE (at);
CREATE TABLE core.audit_log_default PARTITION OF core.audit_log DEFAULT;
CREATE INDEX core_audit_log_resource_idx ON core.audit_log (resource_type, resource_id, id DESC);
CREATE INDEX core_audit_log_user_ref_idx ON core.audit_log (user_ref, id DESC);

-- The chain: each hash is of the hash before it and of a row of the log. `at` is that of the row.
CREATE TABLE core.audit_chain (
    seq    bigint      NOT NULL,
    log_id bigint      NOT NULL,
    at     timestamptz NOT NULL,
    hash   bytea       NOT NULL,
    CONSTRAINT core_audit_chain_pkey PRIMARY KEY (seq),
    CONSTRAINT core_audit_chain_log_id_key UNIQUE (log_id)
);

-- Where the chain begins once older months are dropped: `seq` and `hash` are those of its last link before, and rows of a
-- time before `kept_from` are gone.
CREATE TABLE core.audit_anchor (
    seq       bigint      NOT NULL,
    hash      bytea       NOT NULL,
    kept_from timestamptz NOT NULL,
    CONSTRAINT core_audit_anchor_pkey PRIMARY KEY (seq)
);

CREATE FUNCTION core.audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only: % of %.% is refused', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$$;

-- Partitions have the first from their parent. Nothing gives them the second.
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON core.audit_log
    FOR EACH ROW EXECUTE FUNCTION core.audit_refuse();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON core.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION core.audit_refuse();

-- Lets no partition be truncated; for those that were made since.
CREATE FUNCTION core.audit_seal() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    part regclass;
BEGIN
    FOR part IN
        SELECT inhrelid::regclass FROM pg_inherits
        WHERE inhparent = 'core.audit_log'::regclass
          AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = inhrelid AND tgname = 'append_only_truncate')
    LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER append_only_truncate BEFORE TRUNCATE ON %s
                            FOR EACH STATEMENT EXECUTE FUNCTION core.audit_refuse()', part);
    END LOOP;
END
$$;
SELECT core.audit_seal();

-- Says who acts in this transaction: {"actor", "method", "client", "agent", "request"}, and "quiet" where the change is
-- to have no row. It is a part of the statement that changes something, so it costs no round trip.
CREATE FUNCTION core.acting(acting jsonb) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT set_config('flamewarden.acting', acting::text, true)
$$;

-- Appends a row, by whoever acts in this transaction, unless `acting` names another. Without either it is the role of the
-- session, by SQL.
CREATE FUNCTION core.audit_append(
    action text, resource_type text, resource_id text DEFAULT NULL, app_name text DEFAULT NULL,
    project_id text DEFAULT NULL, before jsonb DEFAULT NULL, after jsonb DEFAULT NULL, metadata jsonb DEFAULT NULL,
    result text DEFAULT 'success', times integer DEFAULT 1, acting jsonb DEFAULT NULL
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    who      CONSTANT jsonb := coalesce(
        acting, nullif(current_setting('flamewarden.acting', true), '')::jsonb,
        jsonb_build_object('actor', 'sql:' || session_user, 'method', 'sql', 'client', host(inet_client_addr()),
                           'agent', current_setting('application_name')));
    appended bigint;
BEGIN
    LOOP
        INSERT INTO core.audit_log AS l
            (user_ref, action, resource_type, resource_id, app_name, project_id, result, access_method, times, client_ip,
             user_agent, request_id, before, after, metadata)
        SELECT u.id, audit_append.action, audit_append.resource_type, audit_append.resource_id, audit_append.app_name,
               audit_append.project_id, audit_append.result, who ->> 'method', audit_append.times,
               (who ->> 'client')::inet, nullif(who ->> 'agent', ''), who ->> 'request', audit_append.before,
               audit_append.after, audit_append.metadata
        FROM core.audit_user AS u WHERE u.name = who ->> 'actor'
        RETURNING l.id INTO appended;
        EXIT WHEN FOUND;
        INSERT INTO core.audit_user (name) VALUES (who ->> 'actor') ON CONFLICT (name) DO NOTHING;
    END LOOP;
    RETURN appended;
END
$$;

-- A row whose members of over 8 KiB are replaced by their digests.
CREATE FUNCTION core.audit_digests(members jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    member record;
BEGIN
    FOR member IN SELECT key, value #>> '{}' AS text FROM jsonb_each(members) LOOP
        IF octet_length(member.text) > 8192 THEN
            members := jsonb_set(members, ARRAY[member.key], jsonb_build_object(
                'sha256', encode(sha256(convert_to(member.text, 'UTF8')), 'hex'), 'bytes', octet_length(member.text)));
        END IF;
    END LOOP;
    RETURN members;
END
$$;

-- The trigger of audited tables. Its arguments are those of `core.audited`.
CREATE FUNCTION core.audit_row() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    acting   CONSTANT jsonb := nullif(current_setting('flamewarden.acting', true), '')::jsonb;
    kind     CONSTANT text := TG_ARGV[0];
    left_out CONSTANT text[] := TG_ARGV[2]::text[];
    was      jsonb;
    is_now   jsonb;
    shown    jsonb;
BEGIN
    IF (acting ->> 'quiet')::boolean THEN RETURN NULL; END IF;
    IF TG_OP IN ('UPDATE', 'DELETE') THEN was := to_jsonb(OLD); END IF;
    IF TG_OP IN ('UPDATE', 'INSERT') THEN is_now := to_jsonb(NEW); END IF;
    IF was - 'updated_at' = is_now - 'updated_at' THEN RETURN NULL; END IF;
    was := was - left_out;
    is_now := is_now - left_out;
    shown := coalesce(is_now, was);
    IF octet_length(was::text) > 8192 THEN was := core.audit_digests(was); END IF;
    IF octet_length(is_now::text) > 8192 THEN is_now := core.audit_digests(is_now); END IF;
    PERFORM core.audit_append(
        kind || CASE TG_OP WHEN 'INSERT' THEN '.create' ELSE '.' || lower(TG_OP) END, kind, shown ->> TG_ARGV[1],
        shown ->> 'app_name', coalesce(shown ->> 'project_id', shown ->> 'project'),
        was, is_now, acting => acting);
    RETURN NULL;
END
$$;

-- Has the changes of a table audited, from here on. `events` are those of a trigger. Columns that only say who did
-- something are left out, as the log says that itself, and so are those of `left_out`, such as secrets.
CREATE FUNCTION core.audited(
    target regclass, resource_type text, key_column text, events text DEFAULT 'INSERT OR UPDATE OR DELETE',
    left_out text[] DEFAULT '{}'
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    names CONSTANT text[] := ARRAY['created_by', 'updated_by', 'acknowledged_by', 'snoozed_by'] || left_out;
BEGIN
    EXECUTE format('CREATE OR REPLACE TRIGGER audited AFTER %s ON %s
                        FOR EACH ROW EXECUTE FUNCTION core.audit_row(%L, %L, %L)',
                   events, target, resource_type, key_column, names);
    EXECUTE format('CREATE OR REPLACE TRIGGER audited_truncate AFTER TRUNCATE ON %s
                        FOR EACH STATEMENT EXECUTE FUNCTION core.audit_row(%L, %L, %L)',
                   target, resource_type, key_column, names);
END
$$;

-- The hash of a row in the chain, after the hash before it. A column that is added later belongs here only where it is not
-- NULL, so that older rows keep their hashes.
CREATE FUNCTION core.audit_hash(previous bytea, entry core.audit_log) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(previous || convert_to(jsonb_build_array(
        entry.id, entry.at AT TIME ZONE 'UTC', entry.user_ref, entry.action, entry.resource_type, entry.resource_id,
        entry.app_name, entry.project_id, entry.result, entry.access_method, entry.times, entry.client_ip,
        entry.user_agent, entry.request_id, entry.before, entry.after, entry.metadata)::text, 'UTF8'))
$$;

-- The rows that are not in the chain. A transaction that began earlier may commit later, so rows of this long before the
-- last link are looked at again; NULL looks at all.
CREATE FUNCTION core.audit_unchained(late interval) RETURNS SETOF core.audit_log LANGUAGE sql STABLE AS $$
    SELECT l.* FROM core.audit_log AS l
    WHERE l.id > coalesce((SELECT c.log_id FROM core.audit_chain AS c WHERE c.at < now() - late
                           ORDER BY c.seq DESC LIMIT 1), 0)
      AND l.at >= coalesce((SELECT max(a.kept_from) FROM core.audit_anchor AS a), '-infinity')
      AND NOT EXISTS (SELECT FROM core.audit_chain AS c WHERE c.log_id = l.id)
$$;

-- Adds at most so many rows to the chain, and answers how many. While another session does, it does nothing.
CREATE FUNCTION core.audit_extend(late interval, most integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    link  record;
    entry core.audit_log;
    added integer := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('core.audit_chain', 0)) THEN RETURN 0; END IF;
    SELECT * INTO link FROM (
        SELECT seq, hash FROM core.audit_chain UNION ALL SELECT seq, hash FROM core.audit_anchor
        UNION ALL SELECT 0, ''::bytea
    ) AS links ORDER BY seq DESC LIMIT 1;
    FOR entry IN SELECT * FROM core.audit_unchained(late) ORDER BY id LIMIT most LOOP
        added := added + 1;
        link.hash := core.audit_hash(link.hash, entry);
        INSERT INTO core.audit_chain VALUES (link.seq + added, entry.id, entry.at, link.hash);
    END LOOP;
    RETURN added;
END
$$;

SELECT core.audited('public.performance_baseline', 'baseline', 'id');
SELECT core.audited('public.service_registry', 'service', 'app_name');
SELECT core.audited('public.alert_rule', 'rule', 'id');
-- Assessments are an audit trail themselves: the log has those that were removed.
SELECT core.audited('public.triage_history', 'history', 'id', 'DELETE', '{requested_by,idempotency_key}');
