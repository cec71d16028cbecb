//! Runs what the server does by itself. The processes that have the jobs of a group elect one that leads it: it holds a
//! lease and runs the jobs that are due.

mod leader;
mod run;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use self::leader::Scheduler;
use super::wiring::Wiring;
use crate::kernel::{Call, PortResult};
use crate::sor::schedule::{self, ScheduleName, ScheduleSor, Timetable};
use crate::telemetry::{self, TraceSink, Work};

/// How long a run may take.
pub(super) const RUN_LIMIT: Duration = Duration::from_secs(55);
/// How long upkeep may take.
pub(super) const UPKEEP_LIMIT: Duration = Duration::from_mins(10);

/// Jobs that one process at a time runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    /// Run by a process that evaluates alert rules.
    Alert,
    /// Run by a process that keeps the core.
    Core,
    /// Run by a process that keeps operations. The lease is in the same database, even if the core is elsewhere.
    Performance,
}

impl Group {
    fn name(self) -> ScheduleName {
        match self {
            Self::Alert => const { ScheduleName::of("alert") },
            Self::Core => const { ScheduleName::of("core") },
            Self::Performance => const { ScheduleName::of("performance") },
        }
    }
}

/// The code of a job. A run may be interrupted at any point and repeated for the same due time.
pub(super) type Run = Box<dyn Fn(Call) -> BoxFuture<'static, PortResult<()>> + Send + Sync>;

/// Recurring work of the server itself.
pub(super) struct Job {
    /// Its name. A job of this name does the same in every process of the group.
    pub(super) name: ScheduleName,
    /// Which processes may run it.
    pub(super) group: Group,
    /// When it is due. If several due times were missed, it runs once for the last of them.
    pub(super) timetable: Timetable,
    /// How long a run may take before it is cut off.
    pub(super) limit: Duration,
    /// What it does.
    pub(super) run: Run,
}

/// The same job, each run of which is recorded.
fn recorded(job: Job, sink: &Arc<dyn TraceSink>) -> Job {
    let (name, run, sink) = (job.name.clone(), job.run, Arc::clone(sink));
    let user = format!("system:{name}");
    let run: Run = Box::new(move |call| {
        let work = run(call);
        let (sink, name, user) = (Arc::clone(&sink), name.clone(), user.clone());
        Box::pin(async move { telemetry::recorded(&*sink, (Work::Job(name.as_str()), None), ("", &user), work).await })
    });
    Job { run, ..job }
}

/// Starts a scheduler for each group that has jobs here.
pub(super) fn start(wiring: &mut Wiring<'_>) -> anyhow::Result<()> {
    let mut groups: BTreeMap<Group, Vec<Arc<Job>>> = BTreeMap::new();
    let sink = wiring.find::<dyn TraceSink>();
    for job in std::mem::take(&mut wiring.jobs) {
        let job = match &sink {
            Some(sink) => recorded(job, sink),
            None => job,
        };
        groups.entry(job.group).or_default().push(Arc::new(job));
    }
    metrics::describe_gauge!("scheduler_leader", "Whether this process runs the jobs of the group: 1 or 0");
    metrics::describe_counter!("scheduler_runs_total", "Runs of jobs, by outcome: ok, failed, abandoned");
    let seconds = metrics::Unit::Seconds;
    metrics::describe_histogram!("scheduler_run_duration_seconds", seconds, "How long runs of jobs take");
    let holder = wiring.ids.next();
    for (group, jobs) in groups {
        let port = match group {
            Group::Alert | Group::Core => {
                wiring.find::<dyn ScheduleSor>().context("a job of the core, which is off")?
            }
            Group::Performance => schedule::local(wiring.database()?),
        };
        let clock = Arc::clone(&wiring.clock);
        let scheduler = Scheduler::new(port, group.name(), jobs, clock, holder);
        let (stop, stopped) = (CancellationToken::new(), CancellationToken::new());
        let (until, ended) = (stop.clone(), stopped.clone().drop_guard());
        wiring.in_background(async move {
            let _ended = ended;
            scheduler.run(&until).await;
        });
        wiring.before_the_end(async move {
            stop.cancel();
            stopped.cancelled().await;
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
