//! Limits how many calls a source gets at once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::kernel::Call;

/// Calls in flight at the start.
const START: usize = 2;
/// Calls in flight at most, the slot of its own for a triage not counted.
const MOST: usize = 16;
/// Successes after which the limit moves.
const ROUND: u32 = 10;
/// Latency must grow by more than this, beside doubling, to count as congestion: below it is the noise of a scheduler.
const NOISE: Duration = Duration::from_millis(20);
/// Bounds the calls in flight: grows by one after ten successes, halves when the source says it is busy or its latency
/// doubles. A scan waits behind all prompt calls, and a prompt call gets a slot even while scans hold all.
#[derive(Debug, Default)]
pub struct Limiter {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: usize,
    /// Whether latency that doubles means congestion.
    minds_latency: bool,
    prompt: Lane,
    scans: Lane,
    round: Round,
}

#[derive(Debug, Default)]
struct Lane {
    in_flight: usize,
    waiting: VecDeque<oneshot::Sender<Permit>>,
}

/// The successes since the limit last moved.
#[derive(Debug, Default)]
struct Round {
    successes: u32,
    time: Duration,
    usual: Option<Duration>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            limit: START,
            minds_latency: true,
            prompt: Lane::default(),
            scans: Lane::default(),
            round: Round::default(),
        }
    }
}

impl State {
    fn has_room(&self, scan: bool) -> bool {
        let room = self.prompt.in_flight + self.scans.in_flight < self.limit;
        if scan { room && self.prompt.waiting.is_empty() } else { room || self.prompt.in_flight == 0 }
    }

    fn lane(&mut self, scan: bool) -> &mut Lane {
        if scan { &mut self.scans } else { &mut self.prompt }
    }

    fn halve(&mut self) {
        self.limit = (self.limit / 2).max(1);
        self.round.successes = 0;
        self.round.time = Duration::ZERO;
    }

    fn succeeded(&mut self, took: Duration) {
        self.round.successes += 1;
        self.round.time += took;
        if self.round.successes < ROUND {
            return;
        }
        let mean = self.round.time / ROUND;
        let usual = self.round.usual.unwrap_or(mean);
        if self.minds_latency && mean > usual * 2 && mean > usual + NOISE {
            self.halve();
            // The usual latency adapts soon to a source that has become slower for good.
            self.round.usual = Some(usual * 3 / 2);
        } else {
            self.limit = (self.limit + 1).min(MOST);
            self.round = Round { usual: Some(usual * 7 / 8 + mean / 8), ..Round::default() };
        }
    }
}

/// What a call says about the load of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutcome {
    /// It answered.
    Answered,
    /// It is busy: 429, 503, 504 or no answer in time.
    Busy,
    /// Nothing to learn from, such as a refused connection.
    Unknown,
}

/// The right to one call, given back when dropped.
#[derive(Debug)]
pub struct Permit {
    limiter: Arc<Limiter>,
    scan: bool,
    since: Instant,
    outcome: CallOutcome,
}

impl Permit {
    /// Ends the call with its outcome.
    pub fn end(mut self, outcome: CallOutcome) {
        self.outcome = outcome;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let granted = {
            let mut state = self.limiter.lock();
            let lane = state.lane(self.scan);
            lane.in_flight = lane.in_flight.saturating_sub(1);
            match self.outcome {
                CallOutcome::Answered => state.succeeded(self.since.elapsed()),
                CallOutcome::Busy => state.halve(),
                CallOutcome::Unknown => {}
            }
            self.limiter.grant(&mut state)
        };
        // Outside of the lock: a permit whose waiter has gone is dropped here and frees its slot again.
        for (waiter, permit) in granted {
            drop(waiter.send(permit));
        }
    }
}

impl Limiter {
    /// Calls in flight at most.
    pub const MOST: usize = MOST;

    /// A limiter of whole reads, some of which are answered from memory: how long they take says nothing of the source.
    pub fn of_reads() -> Self {
        let state = State { minds_latency: false, ..State::default() };
        Self { state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn permit(self: &Arc<Self>, scan: bool) -> Permit {
        Permit { limiter: self.clone(), scan, since: Instant::now(), outcome: CallOutcome::Unknown }
    }

    /// Takes calls that may run now from the queues.
    fn grant(self: &Arc<Self>, state: &mut State) -> Vec<(oneshot::Sender<Permit>, Permit)> {
        let mut granted = Vec::new();
        for scan in [false, true] {
            while state.has_room(scan) {
                let Some(waiter) = state.lane(scan).waiting.pop_front() else { break };
                if !waiter.is_closed() {
                    state.lane(scan).in_flight += 1;
                    granted.push((waiter, self.permit(scan)));
                }
            }
        }
        granted
    }

    /// A permit at once, or a place in the queue.
    fn line_up(self: &Arc<Self>, scan: bool) -> Result<Permit, oneshot::Receiver<Permit>> {
        let mut state = self.lock();
        if state.has_room(scan) {
            state.lane(scan).in_flight += 1;
            return Ok(self.permit(scan));
        }
        let (sender, receiver) = oneshot::channel();
        state.lane(scan).waiting.push_back(sender);
        Err(receiver)
    }

    /// Waits until one call may run. A shared call that an urgent caller joins leaves the queue of scans.
    pub async fn enter(self: &Arc<Self>, call: &Call) -> Permit {
        let mut permit = loop {
            let scan = call.is_scan();
            let mut turn = match self.line_up(scan) {
                Ok(permit) => break permit,
                Err(turn) => turn,
            };
            tokio::select! {
                biased;
                // A queue lets go of a sender only with a permit, so this never takes a slot that was not granted.
                granted = &mut turn => break granted.unwrap_or_else(|_| self.permit(scan)),
                () = call.prompted(), if scan => {}
            }
        };
        permit.since = Instant::now();
        permit
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::sync::watch;

    use super::*;
    use crate::kernel::{Priority, Urgency};

    fn prompt() -> Call {
        Call::default()
    }

    fn scan() -> Call {
        Call::default().scanning()
    }

    async fn succeed(limiter: &Arc<Limiter>, times: u32, taking: Duration) {
        for _ in 0..times {
            let permit = limiter.enter(&prompt()).await;
            limiter.lock().succeeded(taking);
            drop(permit);
        }
    }

    fn limit(limiter: &Limiter) -> usize {
        limiter.lock().limit
    }

    #[tokio::test]
    async fn grows_by_one_after_ten_successes_up_to_sixteen() {
        let limiter = Arc::new(Limiter::default());
        assert_eq!(limit(&limiter), 2);
        succeed(&limiter, 9, Duration::from_millis(5)).await;
        assert_eq!(limit(&limiter), 2);
        succeed(&limiter, 1, Duration::from_millis(5)).await;
        assert_eq!(limit(&limiter), 3);
        succeed(&limiter, 500, Duration::from_millis(5)).await;
        assert_eq!(limit(&limiter), 16);
    }

    #[tokio::test]
    async fn halves_when_the_source_is_busy_but_never_below_one() {
        let limiter = Arc::new(Limiter::default());
        succeed(&limiter, 60, Duration::from_millis(5)).await;
        assert_eq!(limit(&limiter), 8);
        for expected in [4, 2, 1, 1] {
            limiter.enter(&prompt()).await.end(CallOutcome::Busy);
            assert_eq!(limit(&limiter), expected);
        }
    }

    #[tokio::test]
    async fn halves_when_latency_doubles() {
        let limiter = Arc::new(Limiter::default());
        succeed(&limiter, 40, Duration::from_millis(50)).await;
        assert_eq!(limit(&limiter), 6);
        succeed(&limiter, 10, Duration::from_millis(120)).await;
        assert_eq!(limit(&limiter), 3);
    }

    #[tokio::test]
    async fn reads_that_take_longer_are_no_congestion() {
        let limiter = Arc::new(Limiter::of_reads());
        succeed(&limiter, 40, Duration::from_micros(5)).await;
        succeed(&limiter, 10, Duration::from_millis(120)).await;
        assert_eq!(limit(&limiter), 7);
        limiter.enter(&prompt()).await.end(CallOutcome::Busy);
        assert_eq!(limit(&limiter), 3);
    }

    #[tokio::test]
    async fn a_refused_connection_teaches_nothing() {
        let limiter = Arc::new(Limiter::default());
        drop(limiter.enter(&prompt()).await);
        assert_eq!(limit(&limiter), 2);
    }

    #[tokio::test]
    async fn a_triage_finds_a_slot_where_a_scan_holds_all() {
        let limiter = Arc::new(Limiter::default());
        let _first = limiter.enter(&scan()).await;
        let _second = limiter.enter(&scan()).await;
        assert!(limiter.enter(&scan()).now_or_never().is_none());
        assert!(limiter.enter(&prompt()).now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_scan_waits_behind_everyone_else() {
        let limiter = Arc::new(Limiter::default());
        let (first, _second) = (limiter.enter(&prompt()).await, limiter.enter(&prompt()).await);
        let (of_scan, of_triage) = (scan(), prompt());
        let mut scan = Box::pin(limiter.enter(&of_scan));
        let mut triage = Box::pin(limiter.enter(&of_triage));
        assert!(scan.as_mut().now_or_never().is_none());
        assert!(triage.as_mut().now_or_never().is_none());
        drop(first);
        assert!(scan.as_mut().now_or_never().is_none());
        assert!(triage.now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_scan_that_somebody_prompt_joins_waits_with_the_prompt() {
        let limiter = Arc::new(Limiter::default());
        let (first, _second) = (limiter.enter(&prompt()).await, limiter.enter(&prompt()).await);
        let (raise, shared) = watch::channel(scan().urgency());
        let joined = prompt().shared(shared);
        let mut joined = Box::pin(limiter.enter(&joined));
        assert!(joined.as_mut().now_or_never().is_none());
        let (other, call) = (Arc::clone(&limiter), prompt());
        let mut other = Box::pin(other.enter(&call));
        raise.send_replace(Urgency { deadline: None, priority: Priority::Prompt });
        assert!(joined.as_mut().now_or_never().is_none());
        assert!(other.as_mut().now_or_never().is_none());
        drop(first);
        let _joined = joined.now_or_never().expect("it lined up before the other");
        assert!(other.now_or_never().is_none());
    }

    #[tokio::test]
    async fn a_call_given_up_while_waiting_leaves_no_slot_behind() {
        let limiter = Arc::new(Limiter::default());
        let held = [limiter.enter(&prompt()).await, limiter.enter(&prompt()).await];
        let call = prompt();
        let mut waiting = Box::pin(limiter.enter(&call));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(held);
        drop(waiting);
        assert_eq!(limiter.lock().prompt.in_flight, 0);
    }
}
