//! The one task that writes what waits.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::queue::Dropped;
use super::rows::batch;
use super::{Recorder, gauge};
use crate::kernel::{Call, PortError};
use crate::sor::performance::{MetricBatch, OperationSor};

/// The most rows of a batch.
const MOST_ROWS: usize = 500;
/// How long a write may take: then it is given up and tried again.
const WRITE_WITHIN: Duration = Duration::from_secs(5);

/// How fast it is written.
#[derive(Debug, Clone, Copy)]
pub(in crate::app) struct Pace {
    /// For how long others may join a batch.
    pub(super) gather: Duration,
    /// How long to wait after a failure, at least. An eighth of the time since the first failure where that is longer, so that
    /// what waits is written soon after an outage of any length.
    pub(super) least_pause: Duration,
    /// How long to wait at most.
    pub(super) longest_pause: Duration,
    /// How long the last rows have when the server stops.
    pub(super) flush: Duration,
}

impl Pace {
    /// That of a server.
    pub(in crate::app) const OF_SERVERS: Self = Self {
        gather: Duration::from_secs(1),
        least_pause: Duration::from_millis(100),
        longest_pause: Duration::from_secs(30),
        flush: Duration::from_secs(2),
    };
}

/// Writes what waits until it is told to stop, and then what is left.
pub(in crate::app) async fn write(
    recorder: Arc<Recorder>,
    port: Arc<dyn OperationSor>,
    pace: Pace,
    stop: CancellationToken,
) {
    let mut left = None;
    tokio::select! {
        () = stop.cancelled() => {}
        () = write_on(&recorder, &*port, pace, &mut left) => {}
    }
    let last = async {
        while let Some(batch) = left.take().or_else(|| next(&recorder)) {
            if once(&recorder, &*port, left.insert(batch)).await.is_ok() {
                left = None;
            } else {
                sleep(pace.least_pause).await;
            }
        }
    };
    if tokio::time::timeout(pace.flush, last).await.is_err() {
        let waiting = left.map_or(0, |batch: Keyed| batch.rows.metrics.len());
        let mut state = recorder.state();
        let rows = waiting + state.queue.rows();
        recorder.drop_rows(&mut state, rows, Dropped::Stop);
        tracing::warn!(rows, "own operations were not recorded before the stop");
    }
}

/// Rows that are sent under one key, so that a repetition records nothing twice.
#[derive(Debug)]
struct Keyed {
    key: Uuid,
    rows: MetricBatch,
}

async fn write_on(recorder: &Recorder, port: &dyn OperationSor, pace: Pace, left: &mut Option<Keyed>) {
    loop {
        recorder.filled.notified().await;
        sleep(pace.gather).await;
        while let Some(batch) = next(recorder) {
            let (batch, since) = (left.insert(batch), Instant::now());
            while let Err(error) = once(recorder, port, batch).await {
                tracing::debug!(%error, "own operations are recorded later");
                sleep((since.elapsed() / 8).clamp(pace.least_pause, pace.longest_pause)).await;
            }
            *left = None;
        }
    }
}

fn next(recorder: &Recorder) -> Option<Keyed> {
    let mut state = recorder.state();
    let traces = state.queue.take(MOST_ROWS);
    metrics::gauge!("perf_queue_rows").set(gauge(state.queue.rows()));
    drop(state);
    (!traces.is_empty()).then(|| Keyed { key: recorder.ids.next(), rows: batch(&traces) })
}

/// Writes a batch. What is refused is dropped, as it would be refused again.
async fn once(recorder: &Recorder, port: &dyn OperationSor, batch: &Keyed) -> Result<(), PortError> {
    let call = Call::system("recorder").until(Instant::now() + WRITE_WITHIN);
    match call.bound(port.record_all(&call, batch.rows.clone(), Some(batch.key))).await {
        Ok(done) => {
            metrics::counter!("perf_recorded_total", "source" => "self").increment(done.accepted as u64);
            refuse(recorder, done.rejected.len(), "row");
            Ok(())
        }
        Err(PortError::Invalid(why) | PortError::Conflict(why)) => {
            tracing::warn!(why, "own operations were refused");
            refuse(recorder, batch.rows.metrics.len(), "batch");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn refuse(recorder: &Recorder, rows: usize, reason: &'static str) {
    if rows > 0 {
        metrics::counter!("perf_refused_total", "reason" => reason).increment(rows as u64);
        recorder.drop_rows(&mut recorder.state(), rows, Dropped::Refused);
    }
}
