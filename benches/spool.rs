//! What it costs to record an assessment before it is answered: one append to the spool's file.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flamewarden::kernel::{AppName, Call, PortError, PortResult, RandomIds, RowId, SystemClock};
use flamewarden::sor::history::{
    Assessment, AssessmentSeverity, Batch, Fsync, HistoryPage, HistoryQuery, HistorySor, NewAssessment, Recommendation,
    Recorded, Spool, SpoolSettings, TopFunctions,
};
use serde_json::json;
use tokio::runtime::Runtime;

fn main() {
    divan::main();
}

/// A history that takes everything at once, or nothing.
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

    async fn latest(&self, _: &Call, _: &AppName) -> PortResult<Option<Assessment>> {
        Ok(None)
    }

    async fn remove(&self, _: &Call, _: RowId) -> PortResult<bool> {
        Ok(false)
    }
}

/// An assessment as triage writes it: ten functions.
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

fn record(bencher: divan::Bencher<'_, '_>, there: bool, fsync: Fsync) {
    let (Ok(runtime), Ok(directory), Some(entry)) = (Runtime::new(), tempfile::tempdir(), assessment()) else { return };
    let settings = SpoolSettings { directory: Some(directory.path().join("spool")), fsync, max_bytes: 4 << 30 };
    let inner = Arc::new(History { there });
    let (clock, ids) = (Arc::new(SystemClock), Arc::new(RandomIds));
    let Ok(spool) = runtime.block_on(async { Spool::open(settings, inner, clock, ids) }) else { return };
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
