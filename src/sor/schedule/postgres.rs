//! Leases and jobs in PostgreSQL. A lease ends by the clock of the database.

use std::fmt::Display;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::postgres::types::PgInterval;
use uuid::Uuid;

use super::domain::{FORGOTTEN_AFTER_DAYS, JobRecord, Lease, RunEnd, RunStart, Schedule, ScheduleName, Timetable};
use super::port::ScheduleSor;
use crate::kernel::{Call, PortError, PortResult, Text255};
use crate::storage::{Db, Repeat, begin};

pub(super) struct PostgresSchedule {
    db: Db,
}

impl PostgresSchedule {
    pub(super) fn new(db: Db) -> Self {
        Self { db }
    }
}

struct LeaseRow {
    name: String,
    holder: Uuid,
    term: i64,
    expires_at: DateTime<Utc>,
}

impl TryFrom<LeaseRow> for Lease {
    type Error = PortError;

    fn try_from(row: LeaseRow) -> PortResult<Self> {
        let LeaseRow { name, holder, term, expires_at } = row;
        Ok(Self { group: read(name)?, holder, term, expires_at })
    }
}

struct JobRow {
    name: String,
    group_name: String,
    period_seconds: i32,
    offset_seconds: i32,
    last_due_at: DateTime<Utc>,
    started_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    outcome: Option<String>,
    error: Option<String>,
    duration_ms: Option<i64>,
    runs: i64,
    failures: i64,
    asked_at: Option<DateTime<Utc>>,
    holder: Uuid,
    term: i64,
}

impl TryFrom<JobRow> for JobRecord {
    type Error = PortError;

    fn try_from(row: JobRow) -> PortResult<Self> {
        Ok(Self {
            name: read(row.name)?,
            group: read(row.group_name)?,
            timetable: Timetable::new(row.period_seconds, row.offset_seconds).map_err(broken)?,
            last_due_at: row.last_due_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            outcome: row.outcome.map(|outcome| outcome.parse().map_err(broken)).transpose()?,
            error: row.error.map(read).transpose()?,
            duration_ms: row.duration_ms,
            runs: row.runs,
            failures: row.failures,
            asked_at: row.asked_at,
            holder: row.holder,
            term: row.term,
        })
    }
}

fn read<T: TryFrom<String, Error: Display>>(text: String) -> PortResult<T> {
    text.try_into().map_err(broken)
}

/// The checks of the tables allow no such row.
fn broken(why: impl Display) -> PortError {
    PortError::Internal(format!("a row of the schedule: {why}"))
}

fn lease_duration() -> PgInterval {
    let microseconds = Lease::DURATION.as_micros().try_into().unwrap_or(i64::MAX);
    PgInterval { months: 0, days: 0, microseconds }
}

#[async_trait]
impl ScheduleSor for PostgresSchedule {
    async fn lead(&self, call: &Call, group: &ScheduleName, holder: Uuid) -> PortResult<Option<Lease>> {
        let row = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let group = group.clone();
            Box::pin(async move {
                // The time is read when the row is locked, not when the statement begins.
                sqlx::query_as!(
                    LeaseRow,
                    "INSERT INTO core.lease AS l (name, holder, term, expires_at)
                     VALUES ($1, $2, 1, clock_timestamp() + $3)
                     ON CONFLICT (name) DO UPDATE
                     SET holder = excluded.holder, expires_at = clock_timestamp() + $3,
                         term = l.term + CASE WHEN l.holder = excluded.holder THEN 0 ELSE 1 END
                     WHERE l.holder = excluded.holder OR l.expires_at <= clock_timestamp()
                     RETURNING l.name, l.holder, l.term, l.expires_at",
                    group.as_str(),
                    holder,
                    lease_duration(),
                )
                .fetch_optional(connection)
                .await
            })
        }));
        row.await?.map(Lease::try_from).transpose()
    }

    async fn resign(&self, call: &Call, group: &ScheduleName, holder: Uuid) -> PortResult<bool> {
        let done = call.bound(self.db.run(Repeat::Unsafe, move |connection| {
            let group = group.clone();
            Box::pin(async move {
                sqlx::query!(
                    "UPDATE core.lease SET expires_at = clock_timestamp()
                     WHERE name = $1 AND holder = $2 AND expires_at > clock_timestamp()",
                    group.as_str(),
                    holder,
                )
                .execute(connection)
                .await
            })
        }));
        Ok(done.await?.rows_affected() > 0)
    }

    async fn begin(&self, call: &Call, run: RunStart) -> PortResult<Option<JobRecord>> {
        // Sent twice, the first would count as abandoned.
        let row = call.bound(self.db.run(Repeat::Unsafe, move |connection| {
            let run = run.clone();
            Box::pin(async move {
                // A run that was not ended is lost if a later term has begun, or if its own process says so. Terms of two
                // groups are not compared: a newer version may have moved the job.
                sqlx::query_as!(
                    JobRow,
                    "INSERT INTO core.job AS j (name, group_name, period_seconds, offset_seconds, last_due_at, started_at,
                                                runs, failures, holder, term)
                     VALUES ($1, $2, $3, $4, $5, clock_timestamp(), 1, 0, $6, $7)
                     ON CONFLICT (name) DO UPDATE
                     SET group_name = excluded.group_name, period_seconds = excluded.period_seconds,
                         offset_seconds = excluded.offset_seconds,
                         last_due_at = greatest(j.last_due_at, excluded.last_due_at),
                         started_at = clock_timestamp(), finished_at = NULL,
                         outcome = CASE WHEN j.finished_at IS NULL THEN 'abandoned' ELSE j.outcome END,
                         error = CASE WHEN j.finished_at IS NULL THEN NULL ELSE j.error END,
                         duration_ms = CASE WHEN j.finished_at IS NULL THEN NULL ELSE j.duration_ms END,
                         runs = j.runs + 1,
                         failures = j.failures + CASE WHEN j.finished_at IS NULL THEN 1 ELSE 0 END,
                         asked_at = NULL, holder = excluded.holder, term = excluded.term
                     WHERE CASE WHEN j.finished_at IS NULL
                                THEN j.term < excluded.term OR j.holder = excluded.holder
                                     OR j.group_name <> excluded.group_name
                                ELSE (j.term <= excluded.term OR j.group_name <> excluded.group_name)
                                     AND (j.last_due_at < excluded.last_due_at OR j.asked_at IS NOT NULL) END
                     RETURNING j.name, j.group_name, j.period_seconds, j.offset_seconds, j.last_due_at, j.started_at,
                               j.finished_at, j.outcome, j.error, j.duration_ms, j.runs, j.failures, j.asked_at, j.holder,
                               j.term",
                    run.job.as_str(),
                    run.group.as_str(),
                    run.timetable.period_seconds(),
                    run.timetable.offset_seconds(),
                    run.due,
                    run.holder,
                    run.term,
                )
                .fetch_optional(connection)
                .await
            })
        }));
        row.await?.map(JobRecord::try_from).transpose()
    }

    async fn end(&self, call: &Call, run: RunEnd) -> PortResult<bool> {
        let done = call.bound(self.db.run(Repeat::Unsafe, move |connection| {
            let run = run.clone();
            Box::pin(async move {
                sqlx::query!(
                    "UPDATE core.job
                     SET finished_at = clock_timestamp(), duration_ms = $4, error = $5,
                         outcome = CASE WHEN $5::varchar IS NULL THEN 'ok' ELSE 'failed' END,
                         failures = failures + CASE WHEN $5::varchar IS NULL THEN 0 ELSE 1 END
                     WHERE name = $1 AND holder = $2 AND term = $3 AND finished_at IS NULL",
                    run.job.as_str(),
                    run.holder,
                    run.term,
                    i64::from(run.duration_ms),
                    run.error.as_ref().map(Text255::as_str),
                )
                .execute(connection)
                .await
            })
        }));
        Ok(done.await?.rows_affected() > 0)
    }

    async fn jobs(&self, call: &Call) -> PortResult<Schedule> {
        let rows = call.bound(self.db.run(Repeat::Safe, |connection| {
            Box::pin(async move {
                let mut transaction = begin(connection).await?;
                let leaders = sqlx::query_as!(
                    LeaseRow,
                    "SELECT name, holder, term, expires_at FROM core.lease
                     WHERE expires_at > clock_timestamp() ORDER BY name",
                )
                .fetch_all(&mut *transaction)
                .await?;
                let jobs = sqlx::query_as!(
                    JobRow,
                    "SELECT name, group_name, period_seconds, offset_seconds, last_due_at, started_at, finished_at, outcome,
                            error, duration_ms, runs, failures, asked_at, holder, term
                     FROM core.job ORDER BY name",
                )
                .fetch_all(&mut *transaction)
                .await?;
                transaction.commit().await?;
                Ok((leaders, jobs))
            })
        }));
        let (leaders, jobs) = rows.await?;
        Ok(Schedule {
            leaders: leaders.into_iter().map(Lease::try_from).collect::<PortResult<_>>()?,
            jobs: jobs.into_iter().map(JobRecord::try_from).collect::<PortResult<_>>()?,
        })
    }

    async fn ask(&self, call: &Call, job: &ScheduleName) -> PortResult<bool> {
        let done = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let job = job.clone();
            Box::pin(async move {
                sqlx::query!(
                    "UPDATE core.job SET asked_at = coalesce(asked_at, clock_timestamp()) WHERE name = $1",
                    job.as_str(),
                )
                .execute(connection)
                .await
            })
        }));
        Ok(done.await?.rows_affected() > 0)
    }

    async fn forget(&self, call: &Call) -> PortResult<u64> {
        let done = call.bound(self.db.run(Repeat::Safe, |connection| {
            Box::pin(async move {
                sqlx::query!(
                    "DELETE FROM core.job WHERE started_at < clock_timestamp() - make_interval(days => $1)",
                    FORGOTTEN_AFTER_DAYS,
                )
                .execute(connection)
                .await
            })
        }));
        Ok(done.await?.rows_affected())
    }
}
