use async_trait::async_trait;
use uuid::Uuid;

use super::domain::{JobRecord, Lease, RunEnd, RunStart, Schedule, ScheduleName};
use crate::kernel::{Call, PortResult};

/// Decides which process leads a group of jobs, and keeps when each job ran. Adapters: PostgreSQL, another Flamewarden.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait ScheduleSor: Send + Sync {
    /// Takes the lease of a group for 15 s, or renews it. `None`: another process holds it.
    async fn lead(&self, call: &Call, group: &ScheduleName, holder: Uuid) -> PortResult<Option<Lease>>;

    /// Gives the lease of a group back; whether this process held it.
    async fn resign(&self, call: &Call, group: &ScheduleName, holder: Uuid) -> PortResult<bool>;

    /// Begins a run, and answers the job as it is then: `abandoned` where the run before was never ended. `None`: that due
    /// time was run for, or a leader of a later term began one. Of two that begin the same, one does.
    async fn begin(&self, call: &Call, run: RunStart) -> PortResult<Option<JobRecord>>;

    /// Ends a run. False: it is not running, or another process has begun one since.
    async fn end(&self, call: &Call, run: RunEnd) -> PortResult<bool>;

    /// Who leads, and all jobs: a few dozen.
    async fn jobs(&self, call: &Call) -> PortResult<Schedule>;

    /// Asks for a run as soon as possible; whether there is such a job.
    async fn ask(&self, call: &Call, job: &ScheduleName) -> PortResult<bool>;

    /// Removes jobs that were not begun for 30 days; how many.
    async fn forget(&self, call: &Call) -> PortResult<u64>;
}
