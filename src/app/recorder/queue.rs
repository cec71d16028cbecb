//! The queue of traces to be written, and the rate at which traces are accepted. Pure: times come from outside.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};

use crate::telemetry::FinishedTrace;

/// Why rows were not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dropped {
    /// More came within a second than is recorded.
    Rate,
    /// Too many wait.
    Queue,
    /// They were refused.
    Refused,
    /// The server stopped before they were written.
    Stop,
}

impl Dropped {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Queue => "queue",
            Self::Refused => "refused",
            Self::Stop => "stop",
        }
    }
}

/// Traces that wait, oldest first, and a token bucket of rows: it fills at a steady rate, holds two seconds of it, and is
/// emptied by what comes, also below zero, as only the end of a request tells how many rows it was.
pub(super) struct TraceQueue {
    traces: VecDeque<FinishedTrace>,
    rows: usize,
    most_rows: usize,
    per_second: f64,
    tokens: f64,
    filled_at: DateTime<Utc>,
}

impl TraceQueue {
    pub(super) fn new(per_second: u32, most_rows: usize, now: DateTime<Utc>) -> Self {
        let per_second = f64::from(per_second);
        Self { traces: VecDeque::new(), rows: 0, most_rows, per_second, tokens: 2.0 * per_second, filled_at: now }
    }

    /// How many rows wait.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Whether a request that begins now is recorded.
    pub(super) fn admits(&mut self, now: DateTime<Utc>) -> bool {
        let seconds = (now - self.filled_at).as_seconds_f64().max(0.0);
        self.tokens = (self.tokens + seconds * self.per_second).min(2.0 * self.per_second);
        self.filled_at = now;
        self.tokens >= 1.0
    }

    /// Takes a trace, unless too many rows wait: the newest are dropped, each trace as a whole.
    pub(super) fn push(&mut self, trace: FinishedTrace, now: DateTime<Utc>) -> bool {
        let rows = trace.spans.len();
        self.admits(now);
        #[expect(clippy::cast_precision_loss, reason = "at most 256")]
        let cost = rows as f64;
        self.tokens -= cost;
        if self.rows + rows > self.most_rows {
            return false;
        }
        self.rows += rows;
        self.traces.push_back(trace);
        true
    }

    /// Takes traces of at most `most` rows together, and at least one trace if there is any.
    pub(super) fn take(&mut self, most: usize) -> Vec<FinishedTrace> {
        let mut taken = Vec::new();
        let mut rows = 0;
        while let Some(next) = self.traces.front() {
            if !taken.is_empty() && rows + next.spans.len() > most {
                break;
            }
            rows += next.spans.len();
            taken.extend(self.traces.pop_front());
        }
        self.rows -= rows;
        taken
    }
}
