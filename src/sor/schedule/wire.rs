//! The schedule as JSON: the bodies that are more than a type of the port. The remote adapter reads them too.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::domain::{JobRecord, Lease, Schedule, ScheduleName};

/// Who leads, and how each job did.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Schedule)]
pub(super) struct ScheduleBody {
    /// The leases that hold, by group.
    leaders: Vec<Lease>,
    /// The jobs, by name.
    jobs: Vec<JobBody>,
}

/// A job, how its last run went, and when it is due next.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Job)]
struct JobBody {
    #[serde(flatten)]
    job: JobRecord,
    /// When it is due next; in the past if no process runs it.
    next_due_at: DateTime<Utc>,
}

impl From<Schedule> for ScheduleBody {
    fn from(schedule: Schedule) -> Self {
        let body = |job: JobRecord| JobBody { next_due_at: job.timetable.next_due(job.last_due_at), job };
        Self { leaders: schedule.leaders, jobs: schedule.jobs.into_iter().map(body).collect() }
    }
}

impl From<ScheduleBody> for Schedule {
    fn from(body: ScheduleBody) -> Self {
        Self { leaders: body.leaders, jobs: body.jobs.into_iter().map(|body| body.job).collect() }
    }
}

/// A process and a group.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"group": "example", "holder": "018d3f3e-7c1a-7000-8000-000000000001"}))]
pub(super) struct CandidateBody {
    /// The group.
    pub(super) group: ScheduleName,
    /// The process.
    pub(super) holder: Uuid,
}

/// The lease of a process.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub(super) struct LedBody {
    /// Null where another process holds it.
    #[serde(deserialize_with = "Option::deserialize")]
    // null, but not absent: that is the answer of another server
    pub(super) lease: Option<Lease>,
}

/// A run that was begun.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub(super) struct BegunBody {
    /// The job, with the outcome `abandoned` where the run before was never ended; null where nothing was begun.
    #[serde(deserialize_with = "Option::deserialize")]
    // null, but not absent: that is the answer of another server
    pub(super) job: Option<JobRecord>,
}

/// Whether something was done.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub(super) struct DoneBody {
    /// False where there was nothing to do it to.
    pub(super) done: bool,
}

/// How many jobs were removed.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub(super) struct ForgottenBody {
    /// The jobs.
    pub(super) forgotten: u64,
}
