//! Records what this server does itself: requests and jobs are handed in when they are done, wait in a queue, and are written by one
//! task. No request waits for it, and none fails because of it.

mod queue;
mod rows;
mod writer;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;

use self::queue::{Dropped, TraceQueue};
pub(super) use self::writer::{Pace, write};
use crate::kernel::{Clock, IdSource, Trace};
use crate::telemetry::{FinishedTrace, Recording, TraceSink, Work};

/// For how long health warns after something was dropped.
const WARN_FOR: TimeDelta = TimeDelta::minutes(5);

/// Keeps what requests and jobs were made of until it is written.
pub(super) struct Recorder {
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    state: Mutex<State>,
    /// Something is there to be written.
    filled: Notify,
}

struct State {
    queue: TraceQueue,
    dropped: u64,
    dropped_at: Option<DateTime<Utc>>,
}

/// How it stands with what waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecorderHealth {
    /// Rows that wait to be written.
    pub(super) queued: usize,
    /// Rows that were dropped since the start.
    pub(super) dropped: u64,
}

impl Recorder {
    /// A recorder that takes `rows_per_second`, of which `most_rows` may wait.
    pub(super) fn new(clock: Arc<dyn Clock>, ids: Arc<dyn IdSource>, rows_per_second: u32, most_rows: usize) -> Self {
        metrics::describe_counter!("perf_recorded_total", "Operations that were recorded, by source");
        metrics::describe_counter!(
            "perf_refused_total",
            "Operations that were refused when they were recorded, by reason"
        );
        metrics::describe_counter!("perf_dropped_total", "Own operations that were not recorded, by reason");
        metrics::describe_gauge!("perf_queue_rows", "Own operations that wait to be recorded");
        let queue = TraceQueue::new(rows_per_second, most_rows, clock.now());
        let state = Mutex::new(State { queue, dropped: 0, dropped_at: None });
        Self { clock, ids, state, filled: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drop_rows(&self, state: &mut State, rows: usize, reason: Dropped) {
        let rows = rows as u64;
        state.dropped += rows;
        state.dropped_at = Some(self.clock.now());
        metrics::counter!("perf_dropped_total", "reason" => reason.as_str()).increment(rows);
    }

    /// How it stands, and whether rows were dropped lately.
    pub(super) fn health(&self) -> (RecorderHealth, bool) {
        let state = self.state();
        let warn = state.dropped_at.is_some_and(|at| self.clock.now() - at < WARN_FOR);
        (RecorderHealth { queued: state.queue.rows(), dropped: state.dropped }, warn)
    }
}

impl TraceSink for Recorder {
    fn begin(&self, work: Work<'_>, given: Option<Trace>) -> Option<Arc<Recording>> {
        let kind = rows::kind_of(work)?;
        let now = self.clock.now();
        let mut state = self.state();
        if !state.queue.admits(now) {
            // How many rows it would have been nobody knows: its own is one.
            self.drop_rows(&mut state, 1, Dropped::Rate);
            return None;
        }
        drop(state);
        let (trace, own) = (self.ids.next().as_u128(), self.ids.next().as_u64_pair().1);
        Some(Recording::new(kind, given, (trace, own), now))
    }

    fn end(&self, trace: FinishedTrace) {
        let rows = trace.spans.len();
        let mut state = self.state();
        if state.queue.push(trace, self.clock.now()) {
            metrics::gauge!("perf_queue_rows").set(gauge(state.queue.rows()));
        } else {
            self.drop_rows(&mut state, rows, Dropped::Queue);
        }
        drop(state);
        self.filled.notify_one();
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn gauge(rows: usize) -> f64 {
    rows as f64
}
