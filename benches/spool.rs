//! What it costs to record an assessment before it is answered: one append to the spool's file. And how fast a full
//! spool is delivered: to a database with the usual durability, and to another server over HTTP that has the same.

#[path = "load/process.rs"]
#[expect(dead_code, reason = "other benches need the rest")]
mod process;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use divan::counter::ItemsCount;
use flamewarden::http::{Outward, OutwardSettings};
use flamewarden::kernel::{AppName, Call, PortError, PortResult, RandomIds, RowId, Stored, SystemClock};
use flamewarden::sor::history::{
    self, Assessment, AssessmentSeverity, Batch, Fsync, HistoryPage, HistoryQuery, HistorySor, NewAssessment,
    Recommendation, Recorded, Spool, SpoolSettings, TopFunctions,
};
use flamewarden::storage::{Db, Embedded, EmbeddedSettings, PoolSettings};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The number of entries in a full spool.
const ENTRIES: usize = 10_000;

fn main() {
    divan::main();
}

/// A history that takes everything at once, or refuses everything.
struct History {
    there: bool,
}

#[async_trait]
impl HistorySor for History {
    async fn create(&self, _: &Call, entry: NewAssessment) -> PortResult<Assessment> {
        let id = RowId::new(1).filter(|_| self.there).ok_or_else(|| PortError::Unavailable("away".to_owned()))?;
        Ok(Assessment {
            id,
            app_name: entry.app_name,
            diagnosis: entry.diagnosis,
            severity: entry.severity,
            profile_types: entry.profile_types,
            top_functions: entry.top_functions,
            recommendation: entry.recommendation,
            requested_by: entry.requested_by,
            created_at: entry.assessed_at.unwrap_or_default(),
        })
    }

    async fn create_all(&self, call: &Call, batch: Batch<Recorded>) -> PortResult<Vec<PortResult<RowId>>> {
        let mut ids = Vec::new();
        for recorded in batch.into_inner() {
            ids.push(Ok(self.create(call, recorded.into_new()).await?.id));
        }
        Ok(ids)
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

/// An assessment as triage records it, with ten functions.
fn assessment() -> Option<NewAssessment> {
    let rows: Vec<_> = (0..10)
        .map(|i| json!({"name": format!("com.example.service.Handler.process{i}"), "selfPercent": 3.25, "selfSamples": 41_000 + i}))
        .collect();
    Some(NewAssessment {
        app_name: "checkout".parse().ok()?,
        diagnosis: "gc_pressure".parse().ok()?,
        severity: AssessmentSeverity::High,
        profile_types: vec!["cpu".parse().ok()?],
        top_functions: TopFunctions::try_from(json!({ "cpu": rows })).ok(),
        recommendation: Some(Recommendation::fitting(
            "Reduce the allocation rate of com.example.service.Handler.process0.",
        )),
        requested_by: None,
        assessed_at: None,
        idempotency_key: None,
    })
}

fn open(directory: &TempDir, fsync: Fsync, inner: Arc<dyn HistorySor>) -> Option<Spool> {
    let settings = SpoolSettings { directory: Some(directory.path().join("spool")), fsync, max_bytes: 4 << 30 };
    Spool::open(settings, inner, Arc::new(SystemClock), Arc::new(RandomIds)).ok()
}

fn record(bencher: divan::Bencher<'_, '_>, there: bool, fsync: Fsync) {
    let (Ok(runtime), Ok(directory), Some(entry)) = (Runtime::new(), tempfile::tempdir(), assessment()) else { return };
    let Some(spool) = runtime.block_on(async { open(&directory, fsync, Arc::new(History { there })) }) else { return };
    bencher
        .with_inputs(|| entry.clone())
        .bench_local_values(|entry| runtime.block_on(spool.record(&Call::default(), entry)));
    runtime.block_on(spool.flush(Duration::ZERO));
}

#[divan::bench(sample_count = 1_000, sample_size = 10)]
fn record_while_history_takes_all(bencher: divan::Bencher<'_, '_>) {
    record(bencher, true, Fsync::EachSecond);
}

#[divan::bench(sample_count = 1_000, sample_size = 10)]
fn record_while_history_is_away(bencher: divan::Bencher<'_, '_>) {
    record(bencher, false, Fsync::EachSecond);
}

#[divan::bench(sample_count = 100, sample_size = 1)]
fn record_with_fsync_always(bencher: divan::Bencher<'_, '_>) {
    record(bencher, true, Fsync::Always);
}

/// A spool that its process left full. Its files are free once its tasks have ended, which they do with the runtime.
fn full() -> Option<TempDir> {
    let (runtime, directory, entry) = (Runtime::new().ok()?, tempfile::tempdir().ok()?, assessment()?);
    runtime.block_on(async {
        let spool = open(&directory, Fsync::EachSecond, Arc::new(History { there: false }))?;
        for _ in 0..ENTRIES {
            spool.record(&Call::default(), entry.clone()).await.ok()?;
        }
        Some(())
    })?;
    Some(directory)
}

fn deliver(bencher: divan::Bencher<'_, '_>, runtime: &Runtime, history: &Arc<dyn HistorySor>) {
    bencher.counter(ItemsCount::new(ENTRIES)).with_inputs(full).bench_local_values(|directory| {
        let delivered = runtime.block_on(async {
            let spool = open(directory.as_ref()?, Fsync::EachSecond, Arc::clone(history))?;
            spool.flush(Duration::from_mins(5)).await;
            Some(spool.health().delivered)
        });
        assert_eq!(delivered, Some(ENTRIES as u64), "all is delivered");
    });
}

#[divan::bench(sample_count = 7, sample_size = 1)]
fn deliver_to_a_database(bencher: divan::Bencher<'_, '_>) {
    let (Ok(runtime), Ok(data)) = (Runtime::new(), tempfile::tempdir()) else { return };
    let Ok(cluster) = runtime.block_on(Embedded::start(EmbeddedSettings::new(data.path()))) else { return };
    let db = runtime.block_on(async {
        let db = Db::open(cluster.connect_options(), PoolSettings::of_size(5));
        db.prepare(true).await.ok().map(|()| db)
    });
    if let Some(db) = db {
        deliver(bencher, &runtime, &history::local(db, Arc::new(SystemClock)));
    }
    runtime.block_on(cluster.stop());
}

/// A client of a server that is ready.
async fn client(address: &str) -> Option<Outward> {
    let settings = OutwardSettings {
        base: format!("http://{address}").parse().ok()?,
        timeout: Duration::from_secs(5),
        max_answer_bytes: 64 << 20,
        authorization: None,
    };
    let outward = Outward::new(settings).ok()?;
    for _ in 0..600 {
        let ready = outward.request(reqwest::Method::GET, outward.url(["ready"]));
        if outward.send(&Call::default(), ready).await.is_ok_and(|answer| answer.status == 200) {
            return Some(outward);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    None
}

#[divan::bench(sample_count = 7, sample_size = 1)]
fn deliver_to_another_server(bencher: divan::Bencher<'_, '_>) {
    let (Ok(runtime), Ok(data)) = (Runtime::new(), tempfile::tempdir()) else { return };
    let Some(data_dir) = data.path().to_str() else { return };
    let (address, variables) = ("127.0.0.1:19056", [("DATA_DIR", data_dir), ("LOG_LEVEL", "error")]);
    let Ok(_server) = process::start(address, "CreatePyroscopeTriageHistory.sor.v1", &variables) else {
        return;
    };
    let Some(outward) = runtime.block_on(client(address)) else { return };
    deliver(bencher, &runtime, &history::remote(outward));
}
