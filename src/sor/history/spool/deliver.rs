//! What the spool does in the background: deliver in order, force to the disk, adopt what others left behind.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

use super::frame::{Line, first};
use super::journal::Front;
use super::segment::adopt_all;
use super::{Entry, Shared};
use crate::kernel::{Call, PortError, PortResult};
use crate::sor::history::domain::NewAssessment;

/// So many internal errors in a row over one entry make it suspicious.
const SUSPICIOUS: u32 = 5;
/// How long the background tasks wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// The pause after a first failure; it doubles with each further one.
    pub(super) first_pause: Duration,
    /// The longest pause.
    pub(super) longest_pause: Duration,
    /// How often what was appended is forced to the disk.
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
    let mut failures = 0;
    loop {
        let Some(front) = next(&shared) else {
            shared.drained.notify_waiters();
            shared.arrived.notified().await;
            continue;
        };
        match create(&shared, &front).await {
            Ok(()) => {
                settle(&shared, &front, None);
                if failures > 0 {
                    tracing::info!(failures, "history is delivered again");
                }
                failures = 0;
            }
            Err(error @ (PortError::Invalid(_) | PortError::Conflict(_))) => {
                settle(&shared, &front, Some(&error));
                failures = 0;
            }
            Err(error) => {
                failures += 1;
                shared.stalled.store(true, Ordering::Relaxed);
                if failures == 1 {
                    tracing::warn!(%error, "history cannot be delivered, it is tried again");
                }
                if matches!(error, PortError::Internal(_)) && failures >= SUSPICIOUS && only_this_fails(&shared).await {
                    settle(&shared, &front, Some(&error));
                    failures = 0;
                    continue;
                }
                pause(&shared, failures, &error).await;
            }
        }
    }
}

fn next(shared: &Shared) -> Option<Front> {
    let mut journal = shared.journal();
    loop {
        match journal.peek(0) {
            Ok(front) => return front,
            Err((segment, error)) => {
                tracing::error!(%error, "a spooled assessment cannot be read back and is given up");
                journal.done(segment);
                shared.rejected.fetch_add(1, Ordering::Relaxed);
                shared.gauges.rejected.increment(1);
            }
        }
    }
}

fn read(line: &[u8]) -> PortResult<NewAssessment> {
    let Some(Line::Whole { payload, .. }) = first(line) else {
        return Err(PortError::Invalid("the spooled entry is damaged".to_owned()));
    };
    let Entry { key, entry } = serde_json::from_slice(payload)
        .map_err(|error| PortError::Invalid(format!("the spooled entry is not understood: {error}")))?;
    Ok(NewAssessment { idempotency_key: Some(key), ..entry.into() })
}

async fn create(shared: &Shared, front: &Front) -> PortResult<()> {
    shared.inner.create(&Call::system("spool"), read(&front.line)?).await.map(drop)
}

/// Whether the entry after the first is taken: then the first is at fault, and not the SOR. That one will be delivered
/// again, which its key makes harmless.
async fn only_this_fails(shared: &Shared) -> bool {
    let second = shared.journal().peek(1).ok().flatten();
    match second {
        Some(second) => create(shared, &second).await.is_ok(),
        None => false,
    }
}

/// Takes an entry from those that are pending: delivered, or refused.
fn settle(shared: &Shared, front: &Front, refused: Option<&PortError>) {
    let mut journal = shared.journal();
    match refused {
        None => {
            shared.delivered.fetch_add(1, Ordering::Relaxed);
            shared.gauges.delivered.increment(1);
        }
        Some(error) => {
            let kept = journal.reject(&front.line);
            shared.rejected.fetch_add(1, Ordering::Relaxed);
            shared.gauges.rejected.increment(1);
            let kept = kept.err().map_or_else(|| "spool/rejected".to_owned(), |error| format!("nowhere: {error}"));
            tracing::error!(%error, kept, "an assessment was refused by history");
        }
    }
    journal.done(front.segment);
    shared.stalled.store(false, Ordering::Relaxed);
    shared.measure(&journal);
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
