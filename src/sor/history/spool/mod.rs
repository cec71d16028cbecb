//! The spool: what is recorded is in a file before it is answered, and delivered in batches when the inner port takes it.
//!
//! `kill -9` loses nothing: the file is adopted by whichever process starts next or looks around, and the idempotency key
//! of each entry makes it harmless to deliver one twice. A power cut may lose the last second, or nothing with
//! [`Fsync::Always`].

mod deliver;
mod frame;
mod journal;
mod segment;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use uuid::Uuid;

use self::deliver::Pace;
use self::frame::frame;
use self::journal::{AppendError, Journal};
use super::batch::{Batch, Recorded};
use super::domain::{Assessment, HistoryPage, HistoryQuery, NewAssessment};
use super::port::HistorySor;
use super::wire::NewAssessmentBody;
use crate::kernel::{AppName, Call, Clock, IdSource, PortError, PortResult, RowId, Stored};

/// When what was appended is forced to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// Once a second, in the background.
    EachSecond,
    /// Before an entry counts as recorded.
    Always,
}

/// How the spool works.
#[derive(Debug, Clone)]
pub struct SpoolSettings {
    /// The directory `DATA_DIR/spool`; `None` keeps entries in memory only, where a crash loses them.
    pub directory: Option<PathBuf>,
    /// When entries are forced to the disk.
    pub fsync: Fsync,
    /// At most this many bytes of undelivered entries.
    pub max_bytes: u64,
}

/// Why there is no spool.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The directory cannot be written.
    #[error(
        "the spool cannot write to {directory}: {said}; point DATA_DIR to a directory that can be written, or set \
         SPOOL=memory to keep undelivered history in memory only, where a crash loses it",
        directory = directory.display()
    )]
    NotWritable {
        /// The spool's directory.
        directory: PathBuf,
        /// What the system said.
        said: std::io::Error,
    },
}

/// How the spool is, for `/api/v1/health`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpoolHealth {
    /// Entries recorded and not delivered yet.
    pub pending_entries: u64,
    /// Their bytes.
    pub pending_bytes: u64,
    /// The limit of these bytes.
    pub max_bytes: u64,
    /// Entries delivered since the start.
    pub delivered: u64,
    /// Entries that the SOR refused since the start. They are in `spool/rejected/`.
    pub rejected: u64,
    /// Entries that could not be appended since the start: their answers said so.
    pub append_failures: u64,
    /// Whether the last append failed.
    pub degraded: bool,
    /// Whether the last delivery failed, so that entries wait.
    pub stalled: bool,
    /// Whether entries are in memory only.
    pub in_memory: bool,
}

/// A [`HistorySor`] that takes assessments at once and delivers them later.
pub struct Spool {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

/// What the appending side and the background tasks share.
struct Shared {
    inner: Arc<dyn HistorySor>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    settings: SpoolSettings,
    pace: Pace,
    journal: Mutex<Journal>,
    /// An entry came.
    arrived: Notify,
    /// Ends the pause before the next try.
    hurry: Notify,
    /// Whether the process ends, so that pauses are short.
    flushing: AtomicBool,
    /// Everything pending was delivered or refused.
    drained: Notify,
    delivered: AtomicU64,
    rejected: AtomicU64,
    append_failures: AtomicU64,
    degraded: AtomicBool,
    stalled: AtomicBool,
    gauges: Gauges,
}

struct Gauges {
    entries: metrics::Gauge,
    bytes: metrics::Gauge,
    delivered: metrics::Counter,
    rejected: metrics::Counter,
    append_failures: metrics::Counter,
}

impl Gauges {
    fn registered() -> Self {
        metrics::describe_gauge!("spool_pending_entries", "Assessments recorded and not delivered yet");
        metrics::describe_gauge!("spool_pending_bytes", "Bytes of the assessments not delivered yet");
        metrics::describe_counter!("spool_delivered_total", "Assessments delivered to the History SOR");
        metrics::describe_counter!("spool_rejected_total", "Assessments that the History SOR refused");
        metrics::describe_counter!("spool_append_failures_total", "Assessments that could not be appended");
        Self {
            entries: metrics::gauge!("spool_pending_entries"),
            bytes: metrics::gauge!("spool_pending_bytes"),
            delivered: metrics::counter!("spool_delivered_total"),
            rejected: metrics::counter!("spool_rejected_total"),
            append_failures: metrics::counter!("spool_append_failures_total"),
        }
    }
}

/// An entry in a file.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    key: Uuid,
    /// The `traceparent` of the request that it was recorded for, which older files do not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    #[serde(rename = "entry")]
    assessment: NewAssessmentBody,
}

impl Spool {
    /// Opens the spool around a port, adopts what other processes left behind and begins to deliver. Must be called
    /// within a Tokio runtime.
    ///
    /// # Errors
    /// Where the directory cannot be written.
    pub fn open(
        settings: SpoolSettings,
        inner: Arc<dyn HistorySor>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Result<Self, SpoolError> {
        Self::paced(settings, inner, clock, ids, Pace::default())
    }

    fn paced(
        settings: SpoolSettings,
        inner: Arc<dyn HistorySor>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        pace: Pace,
    ) -> Result<Self, SpoolError> {
        let mut journal = Journal::open(settings.clone(), Arc::clone(&ids))?;
        journal.adopt(settings.directory.as_deref().map(segment::adopt_all).unwrap_or_default());
        let shared = Arc::new(Shared {
            inner,
            clock,
            ids,
            settings,
            pace,
            journal: Mutex::new(journal),
            arrived: Notify::new(),
            hurry: Notify::new(),
            flushing: AtomicBool::new(false),
            drained: Notify::new(),
            delivered: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            append_failures: AtomicU64::new(0),
            degraded: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
            gauges: Gauges::registered(),
        });
        shared.measure(&shared.journal());
        let tasks = vec![
            tokio::spawn(deliver::deliver(Arc::clone(&shared))),
            tokio::spawn(deliver::force_to_disk(Arc::clone(&shared))),
            tokio::spawn(deliver::look_around(Arc::clone(&shared))),
        ];
        Ok(Self { shared, tasks })
    }

    /// How the spool is.
    pub fn health(&self) -> SpoolHealth {
        let shared = &self.shared;
        let pending = shared.journal().pending();
        SpoolHealth {
            pending_entries: pending.entries,
            pending_bytes: pending.bytes,
            max_bytes: shared.settings.max_bytes,
            delivered: shared.delivered.load(Ordering::Relaxed),
            rejected: shared.rejected.load(Ordering::Relaxed),
            append_failures: shared.append_failures.load(Ordering::Relaxed),
            degraded: shared.degraded.load(Ordering::Relaxed),
            stalled: shared.stalled.load(Ordering::Relaxed),
            in_memory: shared.settings.directory.is_none(),
        }
    }

    /// Tries whether its file can be written. One that is full can: what fills it waits for another server.
    ///
    /// # Errors
    /// The file is gone, or the disk takes no more.
    pub fn probe(&self) -> std::io::Result<()> {
        self.shared.journal().probe()
    }

    /// Delivers pending entries until the `deadline` and forces the rest to disk. Returns how many entries are left for
    /// the next process. To be called when nothing is recorded any more.
    pub async fn flush(&self, deadline: Duration) -> u64 {
        self.shared.flushing.store(true, Ordering::Relaxed);
        self.shared.hurry.notify_one();
        let drained = async {
            loop {
                let notified = self.shared.drained.notified();
                if self.shared.journal().pending().entries == 0 {
                    return;
                }
                notified.await;
            }
        };
        let _ = tokio::time::timeout(deadline, drained).await;
        for task in &self.tasks {
            task.abort();
        }
        let files = self.shared.journal().take_dirty();
        deliver::sync(files).await;
        let mut journal = self.shared.journal();
        journal.close();
        journal.pending().entries
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Shared {
    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn measure(&self, journal: &Journal) {
        let pending = journal.pending();
        self.gauges.entries.set(pending.entries as f64);
        self.gauges.bytes.set(pending.bytes as f64);
    }

    /// Appends an entry: one write under one lock.
    fn append(&self, line: &[u8]) -> PortResult<Option<Arc<File>>> {
        let appended = {
            let mut journal = self.journal();
            let appended = journal.append(line);
            self.measure(&journal);
            appended
        };
        self.degraded.store(appended.is_err(), Ordering::Relaxed);
        match appended {
            Ok(file) => {
                self.arrived.notify_one();
                Ok(file)
            }
            Err(error) => Err(self.append_failed(match error {
                AppendError::Full => PortError::Overloaded {
                    detail: format!("the spool holds {} bytes of undelivered history", self.settings.max_bytes),
                    retry_after_s: 1,
                },
                AppendError::Io(error) => PortError::Unavailable(format!("the spool's file: {error}")),
            })),
        }
    }

    fn append_failed(&self, error: PortError) -> PortError {
        self.append_failures.fetch_add(1, Ordering::Relaxed);
        self.gauges.append_failures.increment(1);
        error
    }
}

#[async_trait]
impl HistorySor for Spool {
    async fn create(&self, call: &Call, entry: NewAssessment) -> PortResult<Assessment> {
        self.shared.inner.create(call, entry).await
    }

    async fn create_all(&self, call: &Call, batch: Batch<Recorded>) -> PortResult<Vec<PortResult<RowId>>> {
        self.shared.inner.create_all(call, batch).await
    }

    async fn record(&self, call: &Call, mut entry: NewAssessment) -> PortResult<()> {
        let shared = &self.shared;
        // It may be delivered much later, and more than once.
        entry.assessed_at.get_or_insert_with(|| shared.clock.now());
        let key = entry.idempotency_key.unwrap_or_else(|| shared.ids.next());
        let trace = call.trace().map(|trace| trace.to_string());
        let payload = serde_json::to_string(&Entry { key, trace, assessment: NewAssessmentBody::from(&entry) });
        let payload = payload.map_err(|error| shared.append_failed(PortError::Internal(error.to_string())))?;
        let file = shared.append(&frame(&payload))?;
        if shared.settings.fsync == Fsync::Always && !deliver::sync(file.into_iter().collect()).await {
            shared.degraded.store(true, Ordering::Relaxed);
            return Err(shared.append_failed(PortError::Unavailable("the spool's file is not on the disk".into())));
        }
        Ok(())
    }

    async fn list(&self, call: &Call, query: &HistoryQuery) -> PortResult<HistoryPage> {
        self.shared.inner.list(call, query).await
    }

    async fn latest(&self, call: &Call, app: &AppName) -> PortResult<Option<Stored<Assessment>>> {
        self.shared.inner.latest(call, app).await
    }

    async fn remove(&self, call: &Call, id: RowId) -> PortResult<bool> {
        self.shared.inner.remove(call, id).await
    }
}
