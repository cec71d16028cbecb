//! Runs what the server does by itself. The processes that have the jobs of a group elect one that leads it: it holds a
//! lease and runs the jobs that are due.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::wiring::Wiring;
use crate::kernel::{Call, Clock, PortError, PortResult, Text255};
use crate::sor::schedule::{
    self, JobRecord, Lease, RunEnd, RunOutcome, RunStart, ScheduleName, ScheduleSor, Timetable,
};

/// How long a run may take.
#[cfg_attr(not(test), expect(dead_code, reason = "the jobs that end within it follow"))]
pub(super) const RUN_LIMIT: Duration = Duration::from_secs(55);
/// How long upkeep may take.
pub(super) const UPKEEP_LIMIT: Duration = Duration::from_mins(10);

/// How fast a process is in the election of leaders.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// How often a leader renews its lease and others try to take it.
    renew_every: Duration,
    /// How long a lease is relied on after it was asked for.
    trusted_for: Duration,
    /// The pause after a call that failed.
    retry_after: Duration,
}

impl Pace {
    const OF_SERVERS: Self = Self {
        renew_every: Duration::from_secs(5),
        trusted_for: Lease::DURATION.saturating_sub(Duration::from_secs(2)),
        retry_after: Duration::from_secs(1),
    };
}

/// How long a call for the schedule may take.
const CALL_LIMIT: Duration = Duration::from_secs(5);
/// How long it may take to give a lease back.
const RESIGN_WITHIN: Duration = Duration::from_secs(2);

/// Jobs that one process at a time runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    /// Of processes that keep the core.
    Core,
    /// Of every process with that database. Its lease is in the database itself, wherever the core is.
    #[expect(dead_code, reason = "its jobs follow")]
    Database,
}

impl Group {
    fn name(self) -> ScheduleName {
        match self {
            Self::Core => const { ScheduleName::of("core") },
            Self::Database => const { ScheduleName::of("database") },
        }
    }
}

/// One run of a job. It may be cut off anywhere, and run again for the same time.
pub(super) type Run = Box<dyn Fn(Call) -> BoxFuture<'static, PortResult<()>> + Send + Sync>;

/// Something that the server does by itself, again and again.
pub(super) struct Job {
    /// Its name. All processes of its group have a job of this name that does the same.
    pub(super) name: ScheduleName,
    /// Which processes may run it.
    pub(super) group: Group,
    /// When it is due. Of several times that were missed only the last is made up for.
    pub(super) timetable: Timetable,
    /// How long a run may take before it is cut off.
    pub(super) limit: Duration,
    /// What it does.
    pub(super) run: Run,
}

/// Starts a scheduler for each group that has jobs here.
pub(super) fn start(wiring: &mut Wiring<'_>) -> anyhow::Result<()> {
    let mut groups: BTreeMap<Group, Vec<Arc<Job>>> = BTreeMap::new();
    for job in std::mem::take(&mut wiring.jobs) {
        groups.entry(job.group).or_default().push(Arc::new(job));
    }
    metrics::describe_gauge!("scheduler_leader", "Whether this process runs the jobs of the group: 1 or 0");
    metrics::describe_counter!("scheduler_runs_total", "Runs of jobs, by outcome: ok, failed, abandoned");
    let seconds = metrics::Unit::Seconds;
    metrics::describe_histogram!("scheduler_run_duration_seconds", seconds, "How long runs of jobs take");
    let holder = wiring.ids.next();
    for (group, jobs) in groups {
        let port = match group {
            Group::Core => wiring.find::<dyn ScheduleSor>().context("a job of the core, which is off")?,
            Group::Database => schedule::local(wiring.database()?),
        };
        let clock = Arc::clone(&wiring.clock);
        let scheduler = Scheduler {
            port,
            group: group.name(),
            jobs,
            clock,
            holder,
            pace: Pace::OF_SERVERS,
            may_lead: false,
            said: String::new(),
        };
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

/// A process's part in a group.
struct Scheduler {
    port: Arc<dyn ScheduleSor>,
    group: ScheduleName,
    jobs: Vec<Arc<Job>>,
    clock: Arc<dyn Clock>,
    /// This process.
    holder: Uuid,
    pace: Pace,
    /// Whether the last try to take the lease may have succeeded.
    may_lead: bool,
    /// The last failure that was logged.
    said: String,
}

impl Scheduler {
    /// Takes part until it is told to stop. Then runs are cut off, and the lease is given back.
    async fn run(mut self, stop: &CancellationToken) {
        self.show_leader(false);
        tokio::select! {
            () = self.compete() => {}
            () = stop.cancelled() => {}
        }
        self.show_leader(false);
        if self.may_lead {
            let call = call_within(RESIGN_WITHIN);
            if let Err(error) = call.bound(self.port.resign(&call, &self.group, self.holder)).await {
                tracing::debug!(group = %self.group, %error, "the lease was not given back; it expires by itself");
            }
        }
    }

    /// Leads whenever nobody else does.
    async fn compete(&mut self) {
        loop {
            match self.lead().await {
                Ok(Some(term)) => {
                    tracing::debug!(group = %self.group, term = term.number, "leads");
                    self.show_leader(true);
                    Leadership::new(self, term).hold().await;
                    self.show_leader(false);
                }
                Ok(None) => sleep(self.pace.renew_every).await,
                Err(error) => {
                    self.tell(&error);
                    sleep(self.pace.retry_after).await;
                }
            }
        }
    }

    /// Takes or renews the lease. The time that it is relied on begins before it is asked for.
    async fn lead(&mut self) -> PortResult<Option<Term>> {
        let asked = Instant::now();
        self.may_lead = true;
        let call = call_within(CALL_LIMIT);
        let lease = call.bound(self.port.lead(&call, &self.group, self.holder)).await?;
        self.may_lead = lease.is_some();
        self.said.clear();
        Ok(lease.map(|lease| Term {
            number: lease.term,
            trusted_until: asked + self.pace.trusted_for,
            renew_at: asked + self.pace.renew_every,
        }))
    }

    /// Logs a failure, unless it was the last one too. Why a server is starting is logged where its schema is made ready.
    fn tell(&mut self, error: &PortError) {
        let text = error.to_string();
        if text != self.said && !matches!(error, PortError::Starting(_)) {
            tracing::warn!(group = %self.group, error = text, "the schedule cannot be reached; its jobs wait");
        }
        self.said = text;
    }

    fn show_leader(&self, leads: bool) {
        metrics::gauge!("scheduler_leader", "group" => self.group.to_string()).set(u8::from(leads));
    }
}

/// A lease that was taken or renewed.
#[derive(Clone, Copy)]
struct Term {
    number: i64,
    trusted_until: Instant,
    renew_at: Instant,
}

/// The time for which this process leads a group. Runs that go on when it is over are cut off.
struct Leadership<'s> {
    scheduler: &'s mut Scheduler,
    term: Term,
    /// The jobs as they were read last, brought up to date by what was done here since. `None` until they are read.
    seen: Option<BTreeMap<ScheduleName, JobRecord>>,
    /// Jobs that could not be begun since they were read.
    refused: BTreeSet<ScheduleName>,
    running: BTreeSet<ScheduleName>,
    runs: JoinSet<ScheduleName>,
}

impl<'s> Leadership<'s> {
    fn new(scheduler: &'s mut Scheduler, term: Term) -> Self {
        let (refused, running) = (BTreeSet::new(), BTreeSet::new());
        Self { scheduler, term, seen: None, refused, running, runs: JoinSet::new() }
    }

    /// Leads until the lease is lost, or can no longer be relied on.
    async fn hold(mut self) {
        self.look().await;
        while let Ok(true) = timeout_at(self.term.trusted_until, self.turn()).await {}
        tracing::warn!(group = %self.scheduler.group, cut_off = ?self.running, "no longer leads");
    }

    /// Does what comes next. False: another leads.
    async fn turn(&mut self) -> bool {
        let due_in = self.due_in();
        tokio::select! {
            Some(ended) = self.runs.join_next() => {
                if let Ok(job) = ended {
                    self.ended(&job);
                }
            }
            () = sleep_until(self.term.renew_at) => return self.renew().await,
            () = sleep(due_in) => self.begin_due().await,
        }
        true
    }

    async fn renew(&mut self) -> bool {
        match self.scheduler.lead().await {
            Ok(Some(term)) if term.number == self.term.number => {
                self.term = term;
                self.look().await;
                true
            }
            Ok(_) => false,
            Err(error) => {
                self.scheduler.tell(&error);
                self.term.renew_at = Instant::now() + self.scheduler.pace.retry_after;
                true
            }
        }
    }

    /// Reads the jobs: what was asked for, and what a process that was lost has left.
    async fn look(&mut self) {
        let call = call_within(CALL_LIMIT);
        match timeout_at(self.term.trusted_until, self.scheduler.port.jobs(&call)).await {
            Ok(Ok(schedule)) => {
                self.seen = Some(schedule.jobs.into_iter().map(|job| (job.name.clone(), job)).collect());
                self.refused.clear();
            }
            Ok(Err(error)) => self.scheduler.tell(&error),
            Err(_) => {}
        }
    }

    /// How long it is until a job is to be begun.
    fn due_in(&self) -> Duration {
        let now = self.scheduler.clock.now();
        let in_time = |job: &Arc<Job>| {
            if self.is_to_run(job) {
                return Duration::ZERO;
            }
            (job.timetable.next_due(now) - now).to_std().unwrap_or_default()
        };
        self.scheduler.jobs.iter().filter(|job| self.may_run(job)).map(in_time).min().unwrap_or(Duration::MAX)
    }

    /// Whether it is known when a job ran, and nothing is in the way of another run.
    fn may_run(&self, job: &Job) -> bool {
        self.seen.is_some() && !self.running.contains(&job.name) && !self.refused.contains(&job.name)
    }

    fn is_to_run(&self, job: &Job) -> bool {
        let seen = self.seen.as_ref().and_then(|seen| seen.get(&job.name));
        seen.is_none_or(|seen| seen.is_to_run(job.timetable, self.scheduler.clock.now()))
    }

    async fn begin_due(&mut self) {
        for job in self.scheduler.jobs.clone() {
            if self.may_run(&job) && self.is_to_run(&job) {
                self.begin(job).await;
            }
        }
    }

    async fn begin(&mut self, job: Arc<Job>) {
        let Scheduler { port, group, clock, holder, pace, .. } = &*self.scheduler;
        let run = RunStart {
            job: job.name.clone(),
            group: group.clone(),
            timetable: job.timetable,
            due: job.timetable.last_due(clock.now()),
            holder: *holder,
            term: self.term.number,
        };
        let call = call_within(CALL_LIMIT);
        match call.bound(port.begin(&call, run)).await {
            Ok(Some(record)) => {
                if record.outcome == Some(RunOutcome::Abandoned) {
                    tracing::warn!(job = %job.name, "the process that ran it was lost; it is run again");
                    count(&job.name, RunOutcome::Abandoned);
                }
                let this = (*holder, self.term.number);
                self.runs.spawn(run_once(Arc::clone(&job), Arc::clone(port), this, pace.retry_after));
                self.running.insert(job.name.clone());
                if let Some(seen) = &mut self.seen {
                    seen.insert(job.name.clone(), record);
                }
            }
            // Somebody else has begun it, or it is known after the next look.
            Ok(None) => _ = self.refused.insert(job.name.clone()),
            Err(error) => {
                self.scheduler.tell(&error);
                self.refused.insert(job.name.clone());
            }
        }
    }

    fn ended(&mut self, job: &ScheduleName) {
        self.running.remove(job);
        if let Some(seen) = self.seen.as_mut().and_then(|seen| seen.get_mut(job)) {
            seen.finished_at = Some(self.scheduler.clock.now());
        }
    }
}

/// Runs a job that was begun, and says how it went until that is kept. Answers the job's name.
async fn run_once(
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
fn call_within(limit: Duration) -> Call {
    Call::system("scheduler").until(Instant::now() + limit)
}

fn count(job: &ScheduleName, outcome: RunOutcome) {
    metrics::counter!("scheduler_runs_total", "job" => job.to_string(), "outcome" => outcome.as_str()).increment(1);
}

/// What people may read of a failure. The log has the rest.
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

#[cfg(test)]
mod tests;
