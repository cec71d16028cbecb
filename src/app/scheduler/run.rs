//! One run of a job.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::Job;
use crate::kernel::{Call, PortError, Text255};
use crate::sor::schedule::{RunEnd, RunOutcome, ScheduleName, ScheduleSor};

/// How long a call for the schedule may take.
pub(super) const CALL_LIMIT: Duration = Duration::from_secs(5);

/// Runs a job that was begun, and reports the result until the schedule has it. Returns the job's name.
pub(super) async fn run_once(
    job: Arc<Job>,
    port: Arc<dyn ScheduleSor>,
    (holder, term): (Uuid, i64),
    retry_after: Duration,
) -> ScheduleName {
    let begun = Instant::now();
    let call = Call::system(job.name.as_str()).until(begun + job.limit);
    // A run that panics must not look like one that goes on.
    let work = AssertUnwindSafe(async { (job.run)(call).await }).catch_unwind();
    let done = timeout(job.limit, work).await;
    let took = begun.elapsed();
    let error = match done {
        Ok(Ok(Ok(()))) => None,
        Ok(Ok(Err(error))) if took < job.limit => {
            tracing::warn!(job = %job.name, %error, "a run failed");
            Some(for_people(&error))
        }
        Ok(Ok(Err(_))) | Err(_) => {
            let error = format!("it took longer than {:?} and was cut off", job.limit);
            tracing::warn!(job = %job.name, error, "a run failed");
            Some(error)
        }
        Ok(Err(_)) => {
            tracing::error!(job = %job.name, "a run panicked");
            Some(for_people(&PortError::Internal(String::new())))
        }
    };
    count(&job.name, if error.is_none() { RunOutcome::Ok } else { RunOutcome::Failed });
    metrics::histogram!("scheduler_run_duration_seconds", "job" => job.name.to_string()).record(took.as_secs_f64());
    let end = RunEnd {
        job: job.name.clone(),
        holder,
        term,
        duration_ms: u32::try_from(took.as_millis()).unwrap_or(u32::MAX),
        error: error.and_then(|mut error| {
            error.truncate(error.floor_char_boundary(Text255::MAX_BYTES));
            error.parse().ok()
        }),
    };
    loop {
        let call = call_within(CALL_LIMIT);
        match call.bound(port.end(&call, end.clone())).await {
            Ok(true) => break,
            Ok(false) => {
                tracing::debug!(job = %job.name, "another process has begun it since, or this was kept before");
                break;
            }
            Err(error) => {
                tracing::debug!(job = %job.name, %error, "how a run went is not kept yet");
                sleep(retry_after).await;
            }
        }
    }
    job.name.clone()
}

/// A call for the schedule.
pub(super) fn call_within(limit: Duration) -> Call {
    Call::system("scheduler").until(Instant::now() + limit)
}

/// Counts a run.
pub(super) fn count(job: &ScheduleName, outcome: RunOutcome) {
    metrics::counter!("scheduler_runs_total", "job" => job.to_string(), "outcome" => outcome.as_str()).increment(1);
}

/// The public text of a failure. The log has the full one.
fn for_people(error: &PortError) -> String {
    match error {
        PortError::Conflict(text) | PortError::Invalid(text) | PortError::Starting(text) => text.clone(),
        PortError::Unavailable(_) | PortError::Denied(_) => "something that it needs cannot be reached".to_owned(),
        PortError::Timeout(_) => "something that it needs did not answer in time".to_owned(),
        PortError::Overloaded { .. } => "something that it needs has too much work".to_owned(),
        PortError::Cancelled => "it was cancelled".to_owned(),
        PortError::Internal(_) => "an internal error; the log of the process that ran it says more".to_owned(),
    }
}
