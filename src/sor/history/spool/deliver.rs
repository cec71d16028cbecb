//! The background work of the spool: it delivers entries in order, forces files to the disk, and adopts the files of
//! processes that died.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

use super::frame::{Line, first};
use super::journal::{Front, Journal};
use super::segment::adopt_all;
use super::{Entry, Shared};
use crate::kernel::{Call, PortError, PortResult, RowId};
use crate::sor::history::batch::{MAX_BATCH, Recorded, create_valid};

/// After so many internal errors in a row an entry counts as the cause.
const SUSPICIOUS: u32 = 5;
/// How many bytes of lines are delivered together. A body is not longer: an eighth of what the other server accepts,
/// and what proxies accept in their default configuration.
const BATCH_BYTES: usize = 1_000_000;

/// How long the background tasks wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// The pause after a first failure; it doubles with each further one.
    pub(super) first_pause: Duration,
    /// The longest pause.
    pub(super) longest_pause: Duration,
    /// How often appended entries are forced to the disk.
    pub(super) fsync: Duration,
    /// How often files of processes that died are looked for.
    pub(super) look_around: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(30),
            fsync: Duration::from_secs(1),
            look_around: Duration::from_secs(30),
        }
    }
}

impl Pace {
    /// How long to wait after so many failures in a row, of which this is the last.
    fn pause(&self, failures: u32, error: &PortError) -> Duration {
        let doubled = self.first_pause.saturating_mul(1 << failures.saturating_sub(1).min(16));
        let asked = match error {
            PortError::Overloaded { retry_after_s, .. } => Duration::from_secs(u64::from(*retry_after_s)),
            _ => Duration::ZERO,
        };
        doubled.max(asked).min(self.longest_pause)
    }
}

/// Delivers entries in order, for ever.
pub(super) async fn deliver(shared: Arc<Shared>) {
    let (mut failures, mut at_once) = (0, MAX_BATCH);
    loop {
        let batch = next(&shared, at_once);
        if batch.is_empty() {
            shared.drained.notify_waiters();
            shared.arrived.notified().await;
            continue;
        }
        let (settled, failure) = match send(&shared, &batch).await {
            Ok(results) => settle(&shared, &batch, results),
            Err(error) => (0, Some(error)),
        };
        if settled > 0 {
            if failures > 0 {
                tracing::info!(failures, "history is delivered again");
            }
            failures = 0;
        }
        let Some(error) = failure else {
            at_once = (at_once * 2).min(MAX_BATCH);
            continue;
        };
        // One entry may be at fault, or there are too many for the time: three failures lead to batches of one.
        at_once = (batch.len() / 8).max(1);
        failures += 1;
        shared.stalled.store(true, Ordering::Relaxed);
        if failures == 1 {
            tracing::warn!(%error, "history cannot be delivered, it is tried again");
        }
        if let ([only], PortError::Internal(_)) = (batch.as_slice(), &error)
            && failures >= SUSPICIOUS
            && next_one_passes(&shared).await
        {
            refuse(&shared, &mut shared.journal(), only, &error);
            failures = 0;
        } else {
            pause(&shared, failures, &error).await;
        }
    }
}

/// The first pending entries, at most so many.
fn next(shared: &Shared, at_once: usize) -> Vec<Front> {
    let mut journal = shared.journal();
    loop {
        match journal.peek(at_once, BATCH_BYTES) {
            Ok(batch) => return batch,
            Err((segment, error)) => {
                tracing::error!(%error, "a spooled assessment cannot be read back and is given up");
                journal.done(segment);
                shared.rejected.fetch_add(1, Ordering::Relaxed);
                shared.gauges.rejected.increment(1);
            }
        }
    }
}

fn read(line: &[u8]) -> PortResult<Recorded> {
    let Some(Line::Whole { payload, .. }) = first(line) else {
        return Err(PortError::Invalid("the spooled entry is damaged".to_owned()));
    };
    let Entry { key, trace, assessment } = serde_json::from_slice(payload)
        .map_err(|error| PortError::Invalid(format!("the spooled entry is not understood: {error}")))?;
    Ok(Recorded { key, trace: trace.and_then(|trace| trace.parse().ok()), entry: assessment.into() })
}

/// Delivers entries and returns the result for each, in order.
async fn send(shared: &Shared, batch: &[Front]) -> PortResult<Vec<PortResult<RowId>>> {
    if let [only] = batch {
        return Ok(vec![send_alone(shared, only).await]);
    }
    let read = batch.iter().map(|front| read(&front.line)).collect();
    let results = create_valid(&*shared.inner, &Call::system("spool"), read).await?;
    Ok(results.into_iter().map(Result::flatten).collect())
}

/// Delivers an entry as part of the trace that it was recorded in, which several cannot share.
async fn send_alone(shared: &Shared, front: &Front) -> PortResult<RowId> {
    let recorded = read(&front.line)?;
    let call = Call::system("spool").traced(recorded.trace);
    Ok(shared.inner.create(&call, recorded.into_new()).await?.id)
}

/// Whether the entry after the first is taken: then the first is at fault, and not the SOR. That one will be delivered
/// again, which its key makes harmless.
async fn next_one_passes(shared: &Shared) -> bool {
    let first_two = shared.journal().peek(2, usize::MAX).unwrap_or_default();
    match first_two.as_slice() {
        [_, second] => send_alone(shared, second).await.is_ok(),
        _ => false,
    }
}

/// Removes entries that were delivered or refused, from the first one on, and stops at one that has to be tried again.
/// Returns how many were removed, and the error of the one that stays.
fn settle(shared: &Shared, batch: &[Front], results: Vec<PortResult<RowId>>) -> (usize, Option<PortError>) {
    let mut journal = shared.journal();
    for (settled, (front, result)) in batch.iter().zip(results).enumerate() {
        match result {
            Ok(_) => {
                shared.delivered.fetch_add(1, Ordering::Relaxed);
                shared.gauges.delivered.increment(1);
                take(shared, &mut journal, front);
            }
            Err(error @ (PortError::Invalid(_) | PortError::Conflict(_))) => {
                refuse(shared, &mut journal, front, &error);
            }
            Err(error) => return (settled, Some(error)),
        }
    }
    (batch.len(), None)
}

/// Sets an entry aside.
fn refuse(shared: &Shared, journal: &mut Journal, front: &Front, error: &PortError) {
    let kept = journal.reject(&front.line);
    shared.rejected.fetch_add(1, Ordering::Relaxed);
    shared.gauges.rejected.increment(1);
    let kept = kept.err().map_or_else(|| "spool/rejected".to_owned(), |error| format!("nowhere: {error}"));
    tracing::error!(%error, kept, "an assessment was refused by history");
    take(shared, journal, front);
}

fn take(shared: &Shared, journal: &mut Journal, front: &Front) {
    journal.done(front.segment);
    shared.stalled.store(false, Ordering::Relaxed);
    shared.measure(journal);
}

async fn pause(shared: &Shared, failures: u32, error: &PortError) {
    let flushing = shared.flushing.load(Ordering::Relaxed);
    let pause = if flushing { Pace::default().first_pause } else { shared.pace.pause(failures, error) };
    // New entries change nothing about it, only a flush does.
    let _ = timeout(pause, shared.hurry.notified()).await;
}

/// Forces what was appended to the disk, once a second.
pub(super) async fn force_to_disk(shared: Arc<Shared>) {
    let mut ticks = interval(shared.pace.fsync);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let files = shared.journal().take_dirty();
        sync(files).await;
    }
}

/// Forces files to the disk; whether that worked.
pub(super) async fn sync(files: Vec<Arc<File>>) -> bool {
    if files.is_empty() {
        return true;
    }
    let synced = tokio::task::spawn_blocking(move || files.iter().try_for_each(|file| file.sync_data())).await;
    match synced {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::error!(%error, "the spool's file cannot be forced to the disk");
            false
        }
        Err(_) => false,
    }
}

/// Adopts files of processes that died, from time to time.
pub(super) async fn look_around(shared: Arc<Shared>) {
    let mut ticks = interval(shared.pace.look_around);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let Some(directory) = shared.settings.directory.clone() else { return };
        let Ok(segments) = tokio::task::spawn_blocking(move || adopt_all(&directory)).await else { continue };
        if !segments.is_empty() {
            let mut journal = shared.journal();
            journal.adopt(segments);
            shared.measure(&journal);
            shared.arrived.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_minute_and_honour_what_history_asks_for() {
        let pace = Pace::default();
        let away = PortError::Unavailable("down".into());
        let pauses: Vec<_> = [1, 2, 3, 4, 9, 10, 99].map(|n| pace.pause(n, &away).as_millis()).into();
        assert_eq!(pauses, [100, 200, 400, 800, 25_600, 30_000, 30_000]);
        let full = |retry_after_s| PortError::Overloaded { detail: String::new(), retry_after_s };
        assert_eq!(pace.pause(1, &full(7)).as_secs(), 7);
        assert_eq!(pace.pause(1, &full(3_600)).as_secs(), 30);
    }
}
