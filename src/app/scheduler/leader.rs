//! Takes part in the election of a group's leader, and runs its jobs while this process leads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Job;
use super::run::{CALL_LIMIT, call_within, count, run_once};
use crate::kernel::{Clock, PortError, PortResult};
use crate::sor::schedule::{JobRecord, Lease, RunOutcome, RunStart, ScheduleName, ScheduleSor};

/// How fast a process is in the election of leaders.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// How often a leader renews its lease and others try to take it.
    pub(super) renew_every: Duration,
    /// How long a lease is relied on after it was asked for.
    pub(super) trusted_for: Duration,
    /// The pause after a call that failed.
    pub(super) retry_after: Duration,
}

impl Pace {
    pub(super) const OF_SERVERS: Self = Self {
        renew_every: Duration::from_secs(5),
        trusted_for: Lease::DURATION.saturating_sub(Duration::from_secs(2)),
        retry_after: Duration::from_secs(1),
    };
}

/// How long it may take to give a lease back.
const RESIGN_WITHIN: Duration = Duration::from_secs(2);

/// A process's part in a group.
pub(super) struct Scheduler {
    port: Arc<dyn ScheduleSor>,
    group: ScheduleName,
    jobs: Vec<Arc<Job>>,
    clock: Arc<dyn Clock>,
    /// This process.
    holder: Uuid,
    pub(super) pace: Pace,
    /// Whether the last try to take the lease may have succeeded.
    may_lead: bool,
    /// The last failure that was logged.
    said: String,
}

impl Scheduler {
    /// The part of the process `holder` in a group, with its jobs.
    pub(super) fn new(
        port: Arc<dyn ScheduleSor>,
        group: ScheduleName,
        jobs: Vec<Arc<Job>>,
        clock: Arc<dyn Clock>,
        holder: Uuid,
    ) -> Self {
        Self { port, group, jobs, clock, holder, pace: Pace::OF_SERVERS, may_lead: false, said: String::new() }
    }

    /// Takes part until it is told to stop. Then runs are cut off, and the lease is given back.
    pub(super) async fn run(mut self, stop: &CancellationToken) {
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
                Ok(None) => {
                    self.said.clear();
                    sleep(self.pace.renew_every).await;
                }
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
        Ok(lease.map(|lease| Term {
            number: lease.term,
            trusted_until: asked + self.pace.trusted_for,
            renew_at: asked + self.pace.renew_every,
        }))
    }

    /// Logs a failure, unless it is the same as the last one. While a server starts, its schema is what is logged about.
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

    /// Does the next thing. Returns false if another process leads.
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
                self.scheduler.said.clear();
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

    /// Whether the last run of a job is known and a new run may begin.
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
            // Another process has begun it, or the next look tells.
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
