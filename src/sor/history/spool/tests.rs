mod batches;
mod left_behind;
mod refused;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Mutex;

use chrono::{DateTime, Utc};
use tempfile::TempDir;

use super::*;
use crate::kernel::{CALL, Call, FixedClock, RandomIds, Stored, Trace};
use crate::sor::history::conformance::{new, now};
use crate::sor::history::domain::AssessmentSeverity;

/// A history that stores entries by key, and fails on request.
#[derive(Default)]
struct Fake {
    kept: Mutex<Vec<NewAssessment>>,
    /// What the next calls answer; then all is well.
    failures: Mutex<VecDeque<PortError>>,
    /// Diagnoses that are refused, and with what.
    refuses: Mutex<Vec<(&'static str, PortError)>>,
    down: AtomicBool,
    calls: AtomicU64,
    /// How many entries came together each time.
    batches: Mutex<Vec<usize>>,
    /// The traces of what was kept.
    traces: Mutex<Vec<Option<Trace>>>,
    changed: Notify,
}

impl Fake {
    fn diagnoses(&self) -> Vec<String> {
        self.kept.lock().unwrap().iter().map(|entry| entry.diagnosis.to_string()).collect()
    }

    async fn until(&self, enough: impl Fn(&Self) -> bool) {
        loop {
            let changed = self.changed.notified();
            if enough(self) {
                return;
            }
            changed.await;
        }
    }

    async fn keeps(&self, diagnoses: &[&str]) {
        self.until(|fake| fake.diagnoses().len() >= diagnoses.len()).await;
        assert_eq!(self.diagnoses(), diagnoses);
    }

    async fn called(&self, times: u64) {
        self.until(|fake| fake.calls.load(Ordering::Relaxed) >= times).await;
    }
}

#[async_trait]
impl HistorySor for Fake {
    async fn create(&self, call: &Call, entry: NewAssessment) -> PortResult<Assessment> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let refused = self.refuses.lock().unwrap().iter().find(|(name, _)| *name == entry.diagnosis.as_str()).cloned();
        let failure = self.failures.lock().unwrap().pop_front().or(refused.map(|(_, error)| error));
        let failure = failure.or(self.down.load(Ordering::Relaxed).then(|| PortError::Unavailable("down".into())));
        if failure.is_none() {
            let mut kept = self.kept.lock().unwrap();
            if !kept.iter().any(|other| other.idempotency_key == entry.idempotency_key) {
                kept.push(entry.clone());
                self.traces.lock().unwrap().push(call.trace());
            }
        }
        self.changed.notify_waiters();
        match failure {
            Some(error) => Err(error),
            None => Ok(Assessment {
                id: RowId::new(1).unwrap(),
                app_name: entry.app_name,
                diagnosis: entry.diagnosis,
                severity: AssessmentSeverity::High,
                profile_types: entry.profile_types,
                top_functions: None,
                recommendation: None,
                requested_by: None,
                created_at: now(),
            }),
        }
    }

    /// Like another server: what breaks it over one entry fails them all.
    async fn create_all(&self, call: &Call, batch: Batch<Recorded>) -> PortResult<Vec<PortResult<RowId>>> {
        let (batch, mut results) = (batch.into_inner(), Vec::new());
        self.batches.lock().unwrap().push(batch.len());
        for recorded in batch {
            let call = call.clone().traced(recorded.trace);
            results.push(match self.create(&call, recorded.into_new()).await {
                Ok(row) => Ok(row.id),
                Err(error @ (PortError::Invalid(_) | PortError::Conflict(_))) => Err(error),
                Err(error) => return Err(error),
            });
        }
        Ok(results)
    }

    async fn list(&self, _: &Call, _: &HistoryQuery) -> PortResult<HistoryPage> {
        Ok(HistoryPage { entries: Vec::new(), next: None })
    }

    async fn latest(&self, _: &Call, _: &AppName) -> PortResult<Option<Stored<Assessment>>> {
        Ok(None)
    }

    async fn remove(&self, _: &Call, _: RowId) -> PortResult<bool> {
        Ok(false)
    }
}

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn settings(directory: &Path) -> SpoolSettings {
    SpoolSettings { directory: Some(directory.join("spool")), fsync: Fsync::EachSecond, max_bytes: 64 << 20 }
}

/// Pauses of no length.
const QUICK: Pace = Pace {
    first_pause: Duration::from_millis(1),
    longest_pause: Duration::from_millis(2),
    fsync: Duration::from_millis(5),
    look_around: Duration::from_millis(5),
};

fn open_with(settings: SpoolSettings, inner: &Arc<Fake>) -> Result<Spool, SpoolError> {
    open_paced(settings, inner, QUICK)
}

fn open_paced(settings: SpoolSettings, inner: &Arc<Fake>, pace: Pace) -> Result<Spool, SpoolError> {
    let clock = Arc::new(FixedClock::at(now()));
    Spool::paced(settings, Arc::clone(inner) as Arc<dyn HistorySor>, clock, Arc::new(RandomIds), pace)
}

fn open(directory: &TempDir, inner: &Arc<Fake>) -> Spool {
    open_with(settings(directory.path()), inner).unwrap()
}

fn down() -> Arc<Fake> {
    let fake = Fake::default();
    fake.down.store(true, Ordering::Relaxed);
    Arc::new(fake)
}

async fn record(spool: &Spool, diagnoses: &[impl AsRef<str>]) {
    for diagnosis in diagnoses {
        spool.record(&CALL, new("shop", diagnosis.as_ref())).await.unwrap();
    }
}

/// Ends a spool as `kill -9` does: nothing is flushed, its files are closed by the system.
async fn kill(mut spool: Spool) {
    for task in spool.tasks.drain(..) {
        task.abort();
        let _ = task.await;
    }
}

fn files(directory: &TempDir) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(directory.path().join("spool"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn delivers_in_order_and_frees_the_space() {
    let (directory, inner) = (directory(), Arc::new(Fake::default()));
    let spool = open(&directory, &inner);
    record(&spool, &["a", "b", "c"]).await;
    inner.keeps(&["a", "b", "c"]).await;
    assert_eq!(spool.flush(Duration::from_secs(10)).await, 0);
    let health = spool.health();
    assert_eq!((health.pending_entries, health.pending_bytes, health.delivered, health.rejected), (0, 0, 3, 0));
    assert_eq!(files(&directory), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn an_entry_gets_its_time_and_key_when_it_is_recorded_and_comes_back_whole() {
    use crate::sor::history::{Recommendation, TopFunctions};
    let (directory, inner) = (directory(), down());
    let entry = NewAssessment {
        top_functions: Some(TopFunctions::try_from(serde_json::json!({"cpu": [{"selfPercent": 0.1 + 0.2}]})).unwrap()),
        recommendation: Some(Recommendation::fitting("line\nline \u{1} ü")),
        requested_by: Some("ana".parse().unwrap()),
        profile_types: Vec::new(),
        ..new("größe\n", "gc_pressure")
    };
    let spool = open(&directory, &inner);
    spool.record(&CALL, entry.clone()).await.unwrap();
    let own = NewAssessment {
        assessed_at: DateTime::<Utc>::from_timestamp(1, 123_456_000),
        idempotency_key: Some(Uuid::from_u128(7)),
        ..entry.clone()
    };
    spool.record(&CALL, own.clone()).await.unwrap();
    kill(spool).await;
    let inner = Arc::new(Fake::default());
    let spool = open(&directory, &inner);
    inner.until(|fake| fake.diagnoses().len() == 2).await;
    let kept = inner.kept.lock().unwrap().clone();
    let key = kept[0].idempotency_key;
    assert!(key.is_some());
    assert_eq!(kept[0], NewAssessment { assessed_at: Some(now()), idempotency_key: key, ..entry });
    assert_eq!(kept[1], own);
    kill(spool).await;
}

#[tokio::test]
async fn over_the_limit_an_entry_is_refused_until_others_are_delivered() {
    let (directory, inner) = (directory(), down());
    let spool = open_with(SpoolSettings { max_bytes: 600, ..settings(directory.path()) }, &inner).unwrap();
    record(&spool, &["a", "b"]).await;
    let full = spool.record(&CALL, new("shop", "c")).await;
    assert!(matches!(full, Err(PortError::Overloaded { retry_after_s: 1, .. })), "{full:?}");
    let health = spool.health();
    assert_eq!((health.pending_entries, health.append_failures, health.degraded), (2, 1, true));
    assert!(spool.probe().is_ok(), "it could be written");
    inner.down.store(false, Ordering::Relaxed);
    inner.keeps(&["a", "b"]).await;
    inner.until(|_| spool.health().pending_entries == 0).await;
    record(&spool, &["d"]).await;
    inner.keeps(&["a", "b", "d"]).await;
    assert!(!spool.health().degraded);
    kill(spool).await;
}

#[tokio::test]
async fn a_probe_leaves_no_trace() {
    let (directory, inner) = (directory(), down());
    let spool = open(&directory, &inner);
    record(&spool, &["a"]).await;
    let before = std::fs::read(&files(&directory)[0]).unwrap();
    spool.probe().unwrap();
    assert_eq!(std::fs::read(&files(&directory)[0]).unwrap(), before);
    std::fs::remove_file(&files(&directory)[0]).unwrap();
    assert!(spool.probe().is_err());
    kill(spool).await;
}

#[tokio::test]
async fn with_fsync_always_an_entry_is_on_the_disk_before_it_counts() {
    let (directory, inner) = (directory(), down());
    let spool = open_with(SpoolSettings { fsync: Fsync::Always, ..settings(directory.path()) }, &inner).unwrap();
    record(&spool, &["a"]).await;
    assert!(std::fs::read_to_string(&files(&directory)[0]).unwrap().contains("\"diagnosis\":\"a\""));
    kill(spool).await;
}

#[tokio::test]
async fn in_memory_entries_are_delivered_too_and_no_file_is_made() {
    let inner = down();
    let memory = SpoolSettings { directory: None, fsync: Fsync::EachSecond, max_bytes: 64 << 20 };
    let spool = open_with(memory, &inner).unwrap();
    record(&spool, &["a", "b"]).await;
    assert!(spool.health().in_memory);
    inner.down.store(false, Ordering::Relaxed);
    inner.keeps(&["a", "b"]).await;
    record(&spool, &["c"]).await;
    inner.keeps(&["a", "b", "c"]).await;
    assert_eq!(spool.flush(Duration::from_secs(10)).await, 0);
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_an_error_that_names_the_ways_out() {
    let directory = directory();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = open_with(settings(&file), &down()).err().unwrap().to_string();
    for part in ["file/spool", "DATA_DIR", "SPOOL=memory"] {
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn reads_and_direct_writes_pass_through() {
    let (directory, inner) = (directory(), Arc::new(Fake::default()));
    let spool = open(&directory, &inner);
    assert_eq!(spool.create(&CALL, new("shop", "a")).await.unwrap().diagnosis.as_str(), "a");
    assert_eq!(spool.latest(&CALL, &"shop".parse().unwrap()).await, Ok(None));
    assert_eq!(spool.remove(&CALL, RowId::new(1).unwrap()).await, Ok(false));
    assert_eq!(spool.health().delivered, 0);
    kill(spool).await;
}
