-- The Schedule SOR: which process does what the server does by itself, and how it went. Other systems of record of the
-- core have tables in this schema too.
CREATE SCHEMA IF NOT EXISTS core;

-- Who leads a group of jobs. `term` grows each time another holder takes the lease.
CREATE TABLE core.lease (
    name       varchar(63) NOT NULL,
    holder     uuid        NOT NULL,
    term       bigint      NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT core_lease_pkey PRIMARY KEY (name),
    CONSTRAINT core_lease_name_check CHECK (name ~ '^[a-z0-9_]+$'),
    CONSTRAINT core_lease_term_check CHECK (term >= 1)
);

-- A job and its last run: while one runs `finished_at` is NULL, and `outcome`, `error` and `duration_ms` are of the run
-- before.
CREATE TABLE core.job (
    name           varchar(63) NOT NULL,
    group_name     varchar(63) NOT NULL,
    period_seconds integer     NOT NULL,
    offset_seconds integer     NOT NULL,
    last_due_at    timestamptz NOT NULL,
    started_at     timestamptz NOT NULL,
    finished_at    timestamptz,
    outcome        varchar(9),
    error          varchar(255),
    duration_ms    bigint,
    runs           bigint      NOT NULL,
    failures       bigint      NOT NULL,
    asked_at       timestamptz,
    holder         uuid        NOT NULL,
    term           bigint      NOT NULL,
    CONSTRAINT core_job_pkey PRIMARY KEY (name),
    CONSTRAINT core_job_name_check CHECK (name ~ '^[a-z0-9_]+$'),
    CONSTRAINT core_job_group_name_check CHECK (group_name ~ '^[a-z0-9_]+$'),
    CONSTRAINT core_job_timetable_check CHECK (period_seconds >= 1 AND offset_seconds BETWEEN 0 AND period_seconds - 1),
    CONSTRAINT core_job_outcome_check CHECK (outcome IN ('ok', 'failed', 'abandoned')),
    CONSTRAINT core_job_duration_ms_check CHECK (duration_ms >= 0),
    CONSTRAINT core_job_runs_check CHECK (runs >= 1 AND failures BETWEEN 0 AND runs),
    CONSTRAINT core_job_term_check CHECK (term >= 1)
);
