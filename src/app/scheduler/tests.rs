//! A scheduler over a mocked schedule, and over a real one of another server.

use std::sync::Mutex;

use actix_web::web;
use chrono::{DateTime, TimeDelta, Utc};
use mockall::Sequence;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use uuid::Uuid;

use super::leader::Pace;
use super::*;
use crate::http::Routes;
use crate::http::testing::Served;
use crate::kernel::{Clock, FixedClock, PortError, SystemClock};
use crate::sor::schedule::{JobRecord, Lease, MockScheduleSor, RunOutcome, Schedule};
use crate::storage::testing::database;

const JOB: ScheduleName = ScheduleName::of("job");
const GROUP: ScheduleName = ScheduleName::of("group");
const ME: Uuid = Uuid::from_u128(1);
/// Fast enough to wait for; a lease is relied on for longer than any test takes.
const FAST: Pace = Pace {
    renew_every: Duration::from_millis(5),
    trusted_for: Duration::from_hours(1),
    retry_after: Duration::from_millis(1),
};

fn at(text: &str) -> DateTime<Utc> {
    format!("2026-01-23T{text}Z").parse().unwrap()
}

fn lease() -> Lease {
    Lease { group: GROUP, holder: ME, term: 1, expires_at: at("08:53:15") }
}

/// A job that has run for a due time.
fn ran(due: DateTime<Utc>) -> JobRecord {
    JobRecord {
        name: JOB,
        group: GROUP,
        timetable: Timetable::of(60, 30),
        last_due_at: due,
        started_at: due,
        finished_at: Some(due),
        outcome: Some(RunOutcome::Ok),
        error: None,
        duration_ms: Some(1),
        runs: 1,
        failures: 0,
        asked_at: None,
        holder: ME,
        term: 1,
    }
}

fn away() -> PortError {
    PortError::Unavailable("database: 10.0.0.1:5432".to_owned())
}

/// What a scheduler did.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    /// It read the jobs.
    Look,
    /// It began a run for this due time.
    Begin(DateTime<Utc>),
    /// It said that a run ended, with this error.
    End(Option<String>),
}

use Step::{Begin, End, Look};

/// A schedule in which the lease is always there, and which answers as the functions say.
struct Scene {
    port: MockScheduleSor,
    clock: Arc<FixedClock>,
    steps: mpsc::UnboundedReceiver<Step>,
    told: mpsc::UnboundedSender<Step>,
}

impl Scene {
    fn new() -> Self {
        let (told, steps) = mpsc::unbounded_channel();
        let clock = Arc::new(FixedClock::at(at("08:53:00")));
        Self { port: MockScheduleSor::new(), clock, steps, told }
    }

    /// One process leads all the time.
    fn led(mut self) -> Self {
        self.port.expect_lead().returning(|_, _, _| Ok(Some(lease())));
        self.port.expect_resign().times(1).returning(|_, _, _| Ok(true));
        self
    }

    /// The jobs that are read.
    fn jobs(mut self, jobs: impl Fn() -> Vec<JobRecord> + Send + 'static) -> Self {
        let told = self.told.clone();
        self.port.expect_jobs().returning(move |_| {
            let _ = told.send(Look);
            Ok(Schedule { leaders: vec![lease()], jobs: jobs() })
        });
        self
    }

    /// A schedule that keeps when the job ran last: before that, at this time.
    fn kept(self, last: &str) -> Self {
        let last = Arc::new(Mutex::new(at(last)));
        let kept = Arc::clone(&last);
        self.jobs(move || vec![ran(*last.lock().unwrap())]).begun(move |due| {
            *kept.lock().unwrap() = due;
            true
        })
    }

    /// Whether a run for a due time is begun.
    fn begun(mut self, begun: impl Fn(DateTime<Utc>) -> bool + Send + 'static) -> Self {
        let told = self.told.clone();
        self.port.expect_begin().returning(move |_, run| {
            assert_eq!((run.job, run.group, run.holder, run.term), (JOB, GROUP, ME, 1));
            let _ = told.send(Begin(run.due));
            Ok(begun(run.due).then(|| JobRecord { finished_at: None, ..ran(run.due) }))
        });
        self
    }

    /// How the end of a run is kept.
    fn ended(mut self, kept: impl Fn() -> PortResult<bool> + Send + 'static) -> Self {
        let told = self.told.clone();
        self.port.expect_end().returning(move |_, end| {
            let _ = told.send(End(end.error.map(|error| error.to_string())));
            kept()
        });
        self
    }

    /// Starts it with this job.
    fn start(self, job: Job) -> Started {
        let scheduler = scheduler(Arc::new(self.port), job, self.clock.clone(), FAST);
        let stop = CancellationToken::new();
        let until = stop.clone();
        let task = tokio::spawn(async move { scheduler.run(&until).await });
        Started { clock: self.clock, steps: self.steps, stop, task }
    }
}

struct Started {
    clock: Arc<FixedClock>,
    steps: mpsc::UnboundedReceiver<Step>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Started {
    /// What it does next, apart from looking.
    async fn next(&mut self) -> Step {
        loop {
            match self.steps.recv().await.unwrap() {
                Look => {}
                step => return step,
            }
        }
    }

    /// Waits until it has looked twice, so that it has seen the clock, and answers what else it did.
    async fn meanwhile(&mut self) -> Vec<Step> {
        let (mut looks, mut others) = (0, Vec::new());
        while looks < 2 {
            match self.steps.recv().await.unwrap() {
                Look => looks += 1,
                step => others.push(step),
            }
        }
        others
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

fn job<F: Future<Output = PortResult<()>> + Send + 'static>(run: impl Fn() -> F + Send + Sync + 'static) -> Job {
    let run: Run = Box::new(move |_| Box::pin(run()));
    Job { name: JOB, group: Group::Core, timetable: Timetable::of(60, 30), limit: RUN_LIMIT, run }
}

fn done() -> Job {
    job(|| async { Ok(()) })
}

/// A job that never ends: it says that it began, and its answer is closed when it is cut off.
fn endless() -> (Job, mpsc::UnboundedReceiver<oneshot::Receiver<()>>) {
    let (begun, runs) = mpsc::unbounded_channel();
    let job = job(move || {
        let (running, cut_off) = oneshot::channel();
        begun.send(cut_off).unwrap();
        async move {
            let _running: oneshot::Sender<()> = running;
            std::future::pending().await
        }
    });
    (job, runs)
}

fn scheduler(port: Arc<dyn ScheduleSor>, job: Job, clock: Arc<dyn Clock>, pace: Pace) -> Scheduler {
    let mut scheduler = Scheduler::new(port, GROUP, vec![Arc::new(job)], clock, ME);
    scheduler.pace = pace;
    scheduler
}

#[tokio::test]
async fn runs_at_each_due_time_once_and_makes_up_for_missed_times_by_one_run() {
    let mut started = Scene::new().led().kept("04:10:30").ended(|| Ok(true)).start(done());
    for (now, due) in [("08:53:00", "08:52:30"), ("08:53:30", "08:53:30"), ("09:01:07", "09:00:30")] {
        started.clock.set(at(now));
        assert_eq!([started.next().await, started.next().await], [Begin(at(due)), End(None)]);
        assert_eq!(started.meanwhile().await, []);
    }
    started.stop().await;
}

#[tokio::test]
async fn a_job_that_nobody_ever_ran_is_run_at_once() {
    let mut started = Scene::new().led().jobs(Vec::new).begun(|_| true).ended(|| Ok(true)).start(done());
    assert_eq!([started.next().await, started.next().await], [Begin(at("08:52:30")), End(None)]);
    started.stop().await;
}

#[tokio::test]
async fn what_was_asked_for_and_what_a_lost_process_has_left_is_run_though_it_is_not_due() {
    let up_to_date = ran(at("08:52:30"));
    let asked = JobRecord { asked_at: Some(at("08:53:00")), ..up_to_date.clone() };
    let lost = JobRecord { finished_at: None, ..up_to_date.clone() };
    for found in [asked, lost] {
        let jobs = Arc::new(Mutex::new(vec![up_to_date.clone()]));
        let (read, done_with) = (Arc::clone(&jobs), Arc::clone(&jobs));
        let again = up_to_date.clone();
        let scene = Scene::new().led().jobs(move || read.lock().unwrap().clone()).ended(|| Ok(true));
        let begun = move |_| {
            *done_with.lock().unwrap() = vec![again.clone()];
            true
        };
        let mut started = scene.begun(begun).start(done());
        assert_eq!(started.meanwhile().await, []);
        *jobs.lock().unwrap() = vec![found];
        assert_eq!([started.next().await, started.next().await], [Begin(at("08:52:30")), End(None)]);
        assert_eq!(started.meanwhile().await, []);
        started.stop().await;
    }
}

#[tokio::test]
async fn what_another_has_begun_is_tried_again_only_after_a_look() {
    let mut started = Scene::new().led().jobs(Vec::new).begun(|_| false).start(done());
    let (mut tries, mut before) = (0, None);
    while tries < 3 {
        let step = started.steps.recv().await.unwrap();
        assert!(step == Look || before == Some(Look), "{step:?} after {before:?}");
        tries += usize::from(step != Look);
        before = Some(step);
    }
    started.stop().await;
}

#[tokio::test]
async fn a_run_is_cut_off_at_its_limit() {
    let (endless, mut runs) = endless();
    let short = Job { limit: Duration::from_millis(20), ..endless };
    let mut started = Scene::new().led().kept("08:51:30").ended(|| Ok(true)).start(short);
    assert_eq!(started.next().await, Begin(at("08:52:30")));
    assert_eq!(started.next().await, End(Some("it took longer than 20ms and was cut off".to_owned())));
    assert!(runs.recv().await.unwrap().await.is_err());
    started.stop().await;
}

#[tokio::test]
async fn a_failure_is_told_without_what_is_internal_and_a_panic_is_one() {
    for (failure, told) in [
        (Some(away()), "something that it needs cannot be reached".to_owned()),
        (Some(PortError::Conflict("ä".repeat(300))), "ä".repeat(127)),
        (None, "an internal error; the log of the process that ran it says more".to_owned()),
    ] {
        let run = job(move || std::future::ready(Err(failure.clone().expect("a panic"))));
        let mut started = Scene::new().led().kept("08:51:30").ended(|| Ok(true)).start(run);
        assert_eq!([started.next().await, started.next().await], [Begin(at("08:52:30")), End(Some(told))]);
        started.stop().await;
    }
}

#[tokio::test]
async fn how_a_run_went_is_said_until_it_is_kept_and_nothing_is_run_meanwhile() {
    let away_for = Mutex::new(3);
    let kept = move || {
        let mut left = away_for.lock().unwrap();
        *left -= 1;
        if *left < 0 { Ok(true) } else { Err(away()) }
    };
    let scene = Scene::new().led().kept("08:51:30").ended(kept);
    let mut started = scene.start(done());
    assert_eq!(started.next().await, Begin(at("08:52:30")));
    // It is due again before that is kept.
    started.clock.set(at("08:53:30"));
    for _ in 0..4 {
        assert_eq!(started.next().await, End(None));
    }
    assert_eq!([started.next().await, started.next().await], [Begin(at("08:53:30")), End(None)]);
    started.stop().await;
}

/// A leader with a run that never ends. Once that has begun, the lease is answered as `then` says. Waits until the run is cut
/// off, and answers when the lease was last taken or renewed.
async fn cut_off(pace: Pace, resigns: usize, then: fn() -> PortResult<Option<Lease>>) -> Instant {
    let mut scene = Scene::new().jobs(Vec::new).begun(|_| true);
    let (endless, mut runs) = endless();
    let held = Arc::new(Mutex::new((true, Instant::now())));
    let (leading, running) = (Arc::clone(&held), Arc::clone(&held));
    scene.port.expect_lead().returning(move |_, _, _| {
        let mut held = leading.lock().unwrap();
        if !held.0 {
            return then();
        }
        held.1 = Instant::now();
        Ok(Some(lease()))
    });
    scene.port.expect_resign().times(resigns).returning(|_, _, _| Ok(true));
    let scheduler = scheduler(Arc::new(scene.port), endless, scene.clock, pace);
    let stop = CancellationToken::new();
    let cut_off = async {
        let run = runs.recv().await.unwrap();
        running.lock().unwrap().0 = false;
        assert!(run.await.is_err());
        stop.cancel();
    };
    tokio::join!(scheduler.run(&stop), cut_off);
    held.lock().unwrap().1
}

#[tokio::test]
async fn a_leader_that_cannot_renew_cuts_its_runs_off_when_its_lease_is_not_relied_on() {
    assert_eq!(Pace::OF_SERVERS.trusted_for, Duration::from_secs(13), "2 s before its end");
    let pace = Pace { trusted_for: Duration::from_millis(100), ..FAST };
    // It gives the lease back, since it may have it for all it knows.
    let renewed = cut_off(pace, 1, || Err(away())).await;
    assert!(renewed.elapsed() >= pace.trusted_for, "until then it goes on");
}

#[tokio::test]
async fn a_leader_whose_lease_another_has_taken_cuts_its_runs_off_at_once() {
    // It is relied on for an hour.
    cut_off(FAST, 0, || Ok(None)).await;
}

#[tokio::test]
async fn a_schedule_that_is_away_is_asked_again_and_led_when_it_is_back() {
    let mut scene = Scene::new().jobs(Vec::new).begun(|_| true).ended(|| Ok(true));
    let mut order = Sequence::new();
    scene.port.expect_lead().times(3).in_sequence(&mut order).returning(|_, _, _| Err(away()));
    scene.port.expect_lead().in_sequence(&mut order).returning(|_, _, _| Ok(Some(lease())));
    scene.port.expect_resign().times(1).returning(|_, _, _| Ok(true));
    let mut started = scene.start(done());
    assert_eq!([started.next().await, started.next().await], [Begin(at("08:52:30")), End(None)]);
    started.stop().await;
}

#[actix_web::test]
async fn leads_and_runs_by_the_schedule_of_another_server_and_gives_the_lease_back() {
    let database = database().await;
    let there = schedule::local(database.db.clone());
    let data = web::Data::from(Arc::clone(&there));
    let served = Served::with(move |app| {
        app.app_data(data.clone()).configure(Routes::serve(schedule::routes));
    });
    let (ran, mut runs) = mpsc::unbounded_channel();
    let job = job(move || {
        ran.send(()).unwrap();
        async { Ok(()) }
    });
    let call = Call::system("test");
    let stop = CancellationToken::new();
    let scheduler = scheduler(schedule::remote(served.client()), job, Arc::new(SystemClock), Pace::OF_SERVERS);
    let stopping = async {
        runs.recv().await.unwrap();
        let found = there.jobs(&call).await.unwrap();
        assert_eq!((found.leaders[0].holder, found.leaders[0].term), (ME, 1));
        assert!(SystemClock.now() - found.jobs[0].last_due_at < TimeDelta::minutes(2));
        stop.cancel();
    };
    tokio::join!(scheduler.run(&stop), stopping);
    assert_eq!(there.jobs(&call).await.unwrap().leaders, []);
    assert!(runs.try_recv().is_err(), "it ran once");
}
