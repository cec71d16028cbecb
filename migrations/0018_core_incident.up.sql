-- The Incident SOR: what is wrong, since when, and who looks after it. Whoever writes an incident sets its state, severity
-- and times; triggers keep what follows from that (reopenings, flapping, version) and the timeline, whichever way it is
-- written.
CREATE SCHEMA IF NOT EXISTS core;

-- One problem from its beginning to its end. `last_seen_at` is when it was seen last; `changed_at` is the time of the last
-- change of state, severity, acknowledgement or flapping; `quiet_at` is when an observed problem is over unless it is seen
-- again. `told_…` is what the channel `told_channel` was told last.
CREATE TABLE core.incident (
    id                integer          GENERATED ALWAYS AS IDENTITY,
    fingerprint       varchar          NOT NULL,
    source            varchar          NOT NULL,
    state             varchar          NOT NULL,
    severity          varchar          NOT NULL,
    title             varchar          NOT NULL,
    app_name          varchar,
    rule_id           integer,
    value             double precision,
    worst_value       double precision,
    threshold         double precision,
    unit              varchar,
    occurrences       bigint           NOT NULL DEFAULT 1,
    detail            jsonb            NOT NULL DEFAULT '{}',
    active_since      timestamptz      NOT NULL,
    fired_at          timestamptz,
    last_seen_at      timestamptz      NOT NULL,
    clear_since       timestamptz,
    no_data_since     timestamptz,
    quiet_at          timestamptz,
    resolved_at       timestamptz,
    resolve_reason    varchar,
    acknowledged_at   timestamptz,
    acknowledged_by   varchar,
    acknowledged_note varchar,
    snoozed_until     timestamptz,
    snoozed_by        varchar,
    snoozed_reason    varchar,
    reopenings        timestamptz[]    NOT NULL DEFAULT '{}',
    flapping_since    timestamptz,
    changed_at        timestamptz      NOT NULL,
    told_state        varchar,
    told_severity     varchar,
    told_at           timestamptz,
    told_channel      varchar,
    version           bigint           NOT NULL DEFAULT 1,
    CONSTRAINT core_incident_pkey PRIMARY KEY (id),
    CONSTRAINT core_incident_fingerprint_check CHECK (octet_length(fingerprint) BETWEEN 1 AND 1024),
    CONSTRAINT core_incident_source_check CHECK (source IN ('rule', 'baseline', 'latency', 'slo', 'system')),
    CONSTRAINT core_incident_state_check CHECK (state IN ('pending', 'firing', 'resolved')),
    CONSTRAINT core_incident_severity_check CHECK (severity IN ('info', 'warning', 'critical')),
    CONSTRAINT core_incident_title_check CHECK (octet_length(title) BETWEEN 1 AND 1024),
    CONSTRAINT core_incident_app_name_check CHECK (octet_length(app_name) BETWEEN 1 AND 512),
    CONSTRAINT core_incident_unit_check CHECK (unit IN ('percent', 'ratio', 'burn_rate', 'ms', 'count')),
    CONSTRAINT core_incident_occurrences_check CHECK (occurrences >= 1),
    CONSTRAINT core_incident_detail_check CHECK (jsonb_typeof(detail) = 'object' AND octet_length(detail::text) <= 131072),
    CONSTRAINT core_incident_resolve_reason_check
        CHECK (resolve_reason IN ('clear', 'no_data', 'rule_disabled', 'rule_removed', 'quiet')),
    CONSTRAINT core_incident_fired_check CHECK (state = 'pending' OR fired_at IS NOT NULL),
    CONSTRAINT core_incident_resolved_check
        CHECK (state <> 'resolved' OR (resolved_at IS NOT NULL AND resolve_reason IS NOT NULL)),
    CONSTRAINT core_incident_acknowledged_by_check CHECK (octet_length(acknowledged_by) <= 2000),
    CONSTRAINT core_incident_acknowledged_note_check CHECK (octet_length(acknowledged_note) <= 2000),
    CONSTRAINT core_incident_snoozed_by_check CHECK (octet_length(snoozed_by) <= 2000),
    CONSTRAINT core_incident_snoozed_reason_check CHECK (octet_length(snoozed_reason) <= 2000),
    CONSTRAINT core_incident_told_state_check CHECK (told_state IN ('firing', 'acknowledged', 'flapping', 'resolved')),
    CONSTRAINT core_incident_told_severity_check CHECK (told_severity IN ('info', 'warning', 'critical'))
);
-- One problem has one open incident.
CREATE UNIQUE INDEX core_incident_open_key ON core.incident (fingerprint) WHERE state <> 'resolved';
CREATE INDEX core_incident_fingerprint_idx ON core.incident (fingerprint, id DESC);
CREATE INDEX core_incident_state_idx ON core.incident (state, id DESC);
CREATE INDEX core_incident_app_name_idx ON core.incident (app_name, id DESC);
CREATE INDEX core_incident_rule_id_idx ON core.incident (rule_id);
-- What somebody may have to be told of.
CREATE INDEX core_incident_told_idx ON core.incident (changed_at)
    WHERE state = 'firing' OR (told_state IS NOT NULL AND told_state <> 'resolved');

-- The timeline of an incident.
CREATE TABLE core.incident_event (
    id          bigint      GENERATED ALWAYS AS IDENTITY,
    incident_id integer     NOT NULL,
    at          timestamptz NOT NULL,
    kind        varchar     NOT NULL,
    actor       varchar,
    detail      jsonb,
    CONSTRAINT core_incident_event_pkey PRIMARY KEY (id),
    CONSTRAINT core_incident_event_incident_id_fkey FOREIGN KEY (incident_id) REFERENCES core.incident (id) ON DELETE CASCADE,
    CONSTRAINT core_incident_event_kind_check CHECK (kind IN (
        'pending', 'firing', 'reopened', 'severity', 'resolved', 'acknowledged', 'snoozed', 'unsnoozed', 'flapping',
        'flapping_ended', 'told'))
);
CREATE INDEX core_incident_event_incident_id_idx ON core.incident_event (incident_id, id DESC);

-- What the last evaluation of a rule found.
CREATE TABLE core.rule_state (
    rule_id      integer     NOT NULL,
    evaluated_at timestamptz NOT NULL,
    body         jsonb       NOT NULL,
    CONSTRAINT core_rule_state_pkey PRIMARY KEY (rule_id)
);

-- Nobody is told of incidents that match all of its members, from one time to another.
CREATE TABLE core.silence (
    id         integer     GENERATED ALWAYS AS IDENTITY,
    app_name   varchar,
    source     varchar,
    rule_id    integer,
    starts_at  timestamptz NOT NULL,
    ends_at    timestamptz NOT NULL,
    reason     varchar     NOT NULL,
    created_by varchar     NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT core_silence_pkey PRIMARY KEY (id),
    CONSTRAINT core_silence_app_name_check CHECK (octet_length(app_name) BETWEEN 1 AND 512),
    CONSTRAINT core_silence_source_check CHECK (source IN ('rule', 'baseline', 'latency', 'slo', 'system')),
    CONSTRAINT core_silence_target_check CHECK (num_nonnulls(app_name, source, rule_id) >= 1),
    CONSTRAINT core_silence_times_check CHECK (ends_at > starts_at),
    CONSTRAINT core_silence_reason_check CHECK (octet_length(reason) BETWEEN 1 AND 2000),
    CONSTRAINT core_silence_created_by_check CHECK (octet_length(created_by) BETWEEN 1 AND 2000)
);
CREATE INDEX core_silence_ends_at_idx ON core.silence (ends_at);
SELECT core.audited('core.silence', 'silence', 'id');

-- How severe: 1, 2 or 3.
CREATE FUNCTION core.severity_rank(severity varchar) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT array_position(ARRAY['info', 'warning', 'critical'], severity)
$$;

-- The silence that an incident is under at that time, the one that ends last.
CREATE FUNCTION core.silenced_by(app_name varchar, source varchar, rule_id integer, at timestamptz) RETURNS integer
LANGUAGE sql STABLE AS $$
    SELECT s.id FROM core.silence AS s
    WHERE s.starts_at <= silenced_by.at AND s.ends_at > silenced_by.at
      AND (s.app_name IS NULL OR s.app_name = silenced_by.app_name)
      AND (s.source IS NULL OR s.source = silenced_by.source)
      AND (s.rule_id IS NULL OR s.rule_id = silenced_by.rule_id)
    ORDER BY s.ends_at DESC, s.id DESC LIMIT 1
$$;

-- Keeps what follows from a change. The version grows with what decisions are made on, not with what people do to an
-- incident or what was told of it. Firing again within 6 h of the resolution is a reopening of the same incident: the
-- acknowledgement is gone, and the third within 24 h makes it flapping.
CREATE FUNCTION core.incident_follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.state, NEW.severity, NEW.value, NEW.last_seen_at, NEW.clear_since, NEW.no_data_since)
       IS DISTINCT FROM (OLD.state, OLD.severity, OLD.value, OLD.last_seen_at, OLD.clear_since, OLD.no_data_since) THEN
        NEW.version := OLD.version + 1;
    END IF;
    IF NEW.state = 'firing' AND OLD.state <> 'firing' AND OLD.fired_at IS NOT NULL THEN
        NEW.reopenings := (ARRAY[NEW.fired_at] || OLD.reopenings)[1:3];
        NEW.acknowledged_at := NULL;
        NEW.acknowledged_by := NULL;
        NEW.acknowledged_note := NULL;
        IF NEW.reopenings[3] > NEW.fired_at - interval '24 hours' THEN
            NEW.flapping_since := coalesce(OLD.flapping_since, NEW.fired_at);
        END IF;
    END IF;
    IF NEW.state = 'firing' THEN
        NEW.resolved_at := NULL;
        NEW.resolve_reason := NULL;
    END IF;
    NEW.changed_at := CASE
        WHEN NEW.state <> OLD.state AND NEW.state = 'pending' THEN NEW.active_since
        WHEN NEW.state <> OLD.state AND NEW.state = 'firing' THEN NEW.fired_at
        WHEN NEW.state <> OLD.state THEN NEW.resolved_at
        WHEN NEW.severity <> OLD.severity THEN NEW.last_seen_at
        WHEN NEW.acknowledged_at IS DISTINCT FROM OLD.acknowledged_at THEN coalesce(NEW.acknowledged_at, NEW.changed_at)
        ELSE NEW.changed_at END;
    RETURN NEW;
END
$$;
CREATE TRIGGER follow BEFORE UPDATE ON core.incident FOR EACH ROW EXECUTE FUNCTION core.incident_follow();

-- Writes the timeline.
CREATE FUNCTION core.incident_timeline() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    who   CONSTANT text := nullif(current_setting('flamewarden.acting', true), '')::jsonb ->> 'actor';
    began CONSTANT boolean := TG_OP = 'INSERT';
BEGIN
    INSERT INTO core.incident_event (incident_id, at, kind, actor, detail)
    SELECT NEW.id, e.at, e.kind, who, e.detail
    FROM (VALUES
        (began OR NEW.state <> OLD.state, NEW.changed_at,
         CASE WHEN NEW.state = 'firing' AND NOT began AND OLD.fired_at IS NOT NULL THEN 'reopened' ELSE NEW.state END,
         CASE NEW.state WHEN 'resolved' THEN jsonb_build_object('reason', NEW.resolve_reason) END),
        (NOT began AND NEW.severity <> OLD.severity AND OLD.state <> 'resolved', NEW.last_seen_at, 'severity',
         jsonb_build_object('from', OLD.severity, 'to', NEW.severity)),
        (NOT began AND NEW.acknowledged_at IS NOT NULL AND OLD.acknowledged_at IS NULL, NEW.acknowledged_at,
         'acknowledged', jsonb_build_object('by', NEW.acknowledged_by, 'note', NEW.acknowledged_note)),
        (NOT began AND NEW.snoozed_until IS DISTINCT FROM OLD.snoozed_until, now(),
         CASE WHEN NEW.snoozed_until IS NULL THEN 'unsnoozed' ELSE 'snoozed' END,
         jsonb_build_object('until', NEW.snoozed_until, 'reason', NEW.snoozed_reason)),
        (NOT began AND NEW.flapping_since IS DISTINCT FROM OLD.flapping_since, coalesce(NEW.flapping_since, now()),
         CASE WHEN NEW.flapping_since IS NULL THEN 'flapping_ended' ELSE 'flapping' END, NULL),
        (NOT began AND NEW.told_at IS DISTINCT FROM OLD.told_at AND NEW.told_channel IS NOT NULL, NEW.told_at, 'told',
         jsonb_build_object('state', NEW.told_state, 'severity', NEW.told_severity, 'channel', NEW.told_channel))
    ) AS e (happened, at, kind, detail)
    WHERE e.happened;
    RETURN NULL;
END
$$;
CREATE TRIGGER timeline AFTER INSERT OR UPDATE ON core.incident
    FOR EACH ROW EXECUTE FUNCTION core.incident_timeline();

-- How an incident stands for those who are told of it. NULL: it does not fire yet.
CREATE FUNCTION core.incident_level(i core.incident) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN i.state = 'pending' THEN NULL WHEN i.flapping_since IS NOT NULL THEN 'flapping'
                WHEN i.state = 'resolved' THEN 'resolved' WHEN i.acknowledged_at IS NOT NULL THEN 'acknowledged'
                ELSE 'firing' END
$$;

-- The incidents of which somebody is to be told. That one is over is always told where it was told that it fires; all else
-- from the severity `lowest` on, and not while it is silenced or snoozed. One that fires, and that nobody has acknowledged,
-- is told again if it was told last by `repeated_before`.
CREATE FUNCTION core.incident_untold(repeated_before timestamptz, lowest text) RETURNS SETOF core.incident
LANGUAGE sql STABLE AS $$
    SELECT i.* FROM core.incident AS i
    WHERE (i.state = 'firing' OR (i.told_state IS NOT NULL AND i.told_state <> 'resolved'))
      AND CASE WHEN core.incident_level(i) = 'resolved' THEN i.told_state IS NOT NULL
               ELSE core.severity_rank(i.severity) >= core.severity_rank(incident_untold.lowest)
                    AND (i.snoozed_until IS NULL OR i.snoozed_until <= now())
                    AND core.silenced_by(i.app_name, i.source, i.rule_id, now()) IS NULL
                    AND (i.told_state IS DISTINCT FROM core.incident_level(i)
                         OR (i.flapping_since IS NULL
                             AND core.severity_rank(i.severity) > core.severity_rank(i.told_severity))
                         OR (core.incident_level(i) = 'firing' AND i.told_at <= incident_untold.repeated_before)) END
      AND i.state <> 'pending'
$$;

-- Ends what time ends: observed problems that were not seen again, and flapping after 6 h without a change.
CREATE FUNCTION core.incident_settle() RETURNS void LANGUAGE sql AS $$
    UPDATE core.incident AS i SET state = 'resolved', resolved_at = i.quiet_at, resolve_reason = 'quiet'
    WHERE i.state = 'firing' AND i.quiet_at <= now();
    UPDATE core.incident AS i SET flapping_since = NULL
    WHERE i.flapping_since IS NOT NULL AND i.changed_at <= now() - interval '6 hours';
$$;

-- Opens a firing incident, or brings the open one up to date, or reopens one that was resolved within 6 h. For sources that
-- have decided already. `occurrences` is how often it was seen since it opened, and the worst value and the severity only
-- rise, so a repeated call changes nothing. Unless it is seen again within `quiet_seconds` it is resolved.
CREATE FUNCTION core.incident_observe(
    fingerprint text, source text, severity text, title text, app_name text DEFAULT NULL,
    value double precision DEFAULT NULL, threshold double precision DEFAULT NULL, unit text DEFAULT NULL,
    occurrences bigint DEFAULT 1, detail jsonb DEFAULT '{}', quiet_seconds integer DEFAULT 900, at timestamptz DEFAULT now()
) RETURNS TABLE (id integer, acknowledged boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    LOOP
        RETURN QUERY UPDATE core.incident AS i
            SET state = 'firing', title = incident_observe.title, value = incident_observe.value,
                worst_value = CASE i.state WHEN 'resolved' THEN incident_observe.value
                              ELSE greatest(i.worst_value, incident_observe.value) END,
                severity = CASE WHEN i.state <> 'resolved'
                                     AND core.severity_rank(i.severity) > core.severity_rank(incident_observe.severity)
                                THEN i.severity ELSE incident_observe.severity END,
                threshold = incident_observe.threshold, unit = incident_observe.unit,
                occurrences = incident_observe.occurrences, detail = incident_observe.detail,
                active_since = CASE i.state WHEN 'resolved' THEN incident_observe.at ELSE i.active_since END,
                fired_at = CASE i.state WHEN 'firing' THEN i.fired_at ELSE incident_observe.at END,
                last_seen_at = greatest(i.last_seen_at, incident_observe.at),
                quiet_at = incident_observe.at + make_interval(secs => incident_observe.quiet_seconds)
            WHERE i.id = (SELECT c.id FROM core.incident AS c WHERE c.fingerprint = incident_observe.fingerprint
                          ORDER BY c.id DESC LIMIT 1)
              AND (i.state <> 'resolved' OR i.resolved_at > incident_observe.at - interval '6 hours')
            RETURNING i.id, i.acknowledged_at IS NOT NULL;
        EXIT WHEN FOUND;
        RETURN QUERY INSERT INTO core.incident AS i
            (fingerprint, source, state, severity, title, app_name, value, worst_value, threshold, unit, occurrences, detail,
             active_since, fired_at, last_seen_at, quiet_at, changed_at)
            SELECT incident_observe.fingerprint, incident_observe.source, 'firing', incident_observe.severity,
                   incident_observe.title, incident_observe.app_name, incident_observe.value, incident_observe.value,
                   incident_observe.threshold, incident_observe.unit, incident_observe.occurrences, incident_observe.detail,
                   incident_observe.at, incident_observe.at, incident_observe.at,
                   incident_observe.at + make_interval(secs => incident_observe.quiet_seconds), incident_observe.at
            ON CONFLICT (fingerprint) WHERE state <> 'resolved' DO NOTHING
            RETURNING i.id, false;
        EXIT WHEN FOUND;
    END LOOP;
END
$$;

-- Acknowledges an incident that fires, for whoever acts in this transaction, unless `by` names another. The first one who
-- does stays. NULL: there is none of this id; false: it does not fire, or it was acknowledged before.
CREATE FUNCTION core.incident_acknowledge(
    incident integer, by text DEFAULT NULL, note text DEFAULT NULL, at timestamptz DEFAULT now()
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    who  CONSTANT text := coalesce(
        by, nullif(current_setting('flamewarden.acting', true), '')::jsonb ->> 'actor', 'sql:' || session_user);
    done core.incident;
BEGIN
    UPDATE core.incident AS i
        SET acknowledged_at = incident_acknowledge.at, acknowledged_by = who, acknowledged_note = incident_acknowledge.note
        WHERE i.id = incident_acknowledge.incident AND i.state = 'firing' AND i.acknowledged_at IS NULL
        RETURNING i.* INTO done;
    IF NOT FOUND THEN
        RETURN CASE WHEN EXISTS (SELECT FROM core.incident AS i WHERE i.id = incident_acknowledge.incident) THEN false END;
    END IF;
    PERFORM core.audit_append('alert.acknowledge', 'alert', done.id::text, done.app_name::text,
                              after => jsonb_build_object('by', who, 'note', note));
    RETURN true;
END
$$;

-- Silences what matches the members given, of which there is at least one. Answers the silence.
CREATE FUNCTION core.silence_create(
    app_name text, source text, rule_id integer, starts_at timestamptz, ends_at timestamptz, reason text, created_by text
) RETURNS core.silence LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO core.silence (app_name, source, rule_id, starts_at, ends_at, reason, created_by)
    VALUES (silence_create.app_name, silence_create.source, silence_create.rule_id, silence_create.starts_at,
            silence_create.ends_at, silence_create.reason, silence_create.created_by)
    RETURNING *
$$;

-- The incidents for other rooms. Columns are added at the end; none is renamed or removed.
CREATE VIEW core.incident_v1 AS
    SELECT i.id, i.fingerprint, i.source, i.state, i.severity, i.title, i.app_name, i.rule_id, i.value, i.worst_value,
           i.threshold, i.unit, i.occurrences, i.detail, i.active_since, i.fired_at, i.last_seen_at, i.resolved_at,
           i.resolve_reason, i.acknowledged_at, i.acknowledged_by, i.snoozed_until, i.flapping_since, i.changed_at,
           core.silenced_by(i.app_name, i.source, i.rule_id, now()) AS silenced_by
    FROM core.incident AS i;
