//! The history, and the spool through which decisions record in it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::list::RELATIONAL;
use super::{Kind, Room, Sor};
use crate::app::health::{Check, HealthCheck};
use crate::app::placement::{Demand, Placement, relational};
use crate::app::traced_history::TracedHistory;
use crate::app::wiring::Wiring;
use crate::config::{Settings, SpoolFsync, SpoolMode};
use crate::sor::history::{self, Fsync, HistorySor, Repeats, Retention, Spool, SpoolSettings};
use crate::telemetry::TraceSink;

pub(super) const FUNCTION: &str = "CreatePyroscopeTriageHistory.sor.v1";

pub(super) const ROOM: Room = Room {
    functions: &[FUNCTION],
    chapters: &[("history", "The audit trail of assessments")],
    kind: Kind::Sor(Sor {
        title: "history",
        url_key: "history_url",
        placement: relational,
        described: RELATIONAL,
        warnings,
        build,
        routes: |routes, _| history::routes(routes),
    }),
};

/// How long undelivered assessments are tried once more when the server stops.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);

fn warnings(settings: &Settings, placement: &Placement, demand: &Demand<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    if settings.history.retention_days.is_some() && *placement != Placement::Local {
        warnings.push("HISTORY_RETENTION_DAYS is ignored: the history is not kept by this process".to_owned());
    }
    if settings.history.repeats_every.is_some() && (!demand.wanted || *placement == Placement::Off) {
        warnings.push("HISTORY_REPEATS_EVERY is ignored: nothing that is served here writes the history".to_owned());
    }
    warnings
}

fn build(wiring: &mut Wiring<'_>, placement: &Placement) -> anyhow::Result<()> {
    let clock = Arc::clone(&wiring.clock);
    wiring.relational::<dyn HistorySor>(placement, |db| history::local(db, clock), history::remote)?;
    if let (Some(days), Placement::Local) = (wiring.settings.history.retention_days, placement) {
        let retention = Retention::new(wiring.database()?, Arc::clone(&wiring.clock), days);
        wiring.maintain(retention.maintenance_round())?;
    }
    Ok(())
}

/// Where a decision records: the spool around the history, which all share, and around it what leaves out repeats, of
/// which each has its own. `None` where the history is off.
pub(in crate::app) fn recorder(wiring: &mut Wiring<'_>) -> anyhow::Result<Option<Arc<dyn HistorySor>>> {
    let spool = match wiring.find::<Spool>() {
        Some(spool) => spool,
        None => match wiring.find::<dyn HistorySor>() {
            Some(history) => open_spool(wiring, history)?,
            None => return Ok(None),
        },
    };
    Ok(Some(match wiring.settings.history.repeats_every {
        Some(every) => Arc::new(Repeats::new(spool, Arc::clone(&wiring.clock), every)),
        None => spool,
    }))
}

fn open_spool(wiring: &mut Wiring<'_>, history: Arc<dyn HistorySor>) -> anyhow::Result<Arc<Spool>> {
    let given = &wiring.settings.spool;
    let settings = SpoolSettings {
        directory: (given.mode == SpoolMode::Disk).then(|| wiring.settings.server.data_dir.join("spool")),
        fsync: match given.fsync {
            SpoolFsync::EachSecond => Fsync::EachSecond,
            SpoolFsync::Always => Fsync::Always,
        },
        max_bytes: given.max_bytes,
    };
    let history = match wiring.find::<dyn TraceSink>() {
        Some(sink) => Arc::new(TracedHistory { history, sink }),
        None => history,
    };
    let spool = Arc::new(Spool::open(settings, history, Arc::clone(&wiring.clock), Arc::clone(&wiring.ids))?);
    wiring.offer(Arc::clone(&spool));
    wiring.check_health(Arc::new(SpoolCheck(Arc::clone(&spool))));
    let last = Arc::clone(&spool);
    wiring.before_the_end(async move {
        let left = last.flush(FLUSH_WITHIN).await;
        if left > 0 {
            tracing::warn!(left, "assessments were not delivered; they are kept for the next start");
        }
    });
    Ok(spool)
}

/// The health of the spool.
struct SpoolCheck(Arc<Spool>);

#[async_trait]
impl HealthCheck for SpoolCheck {
    fn name(&self) -> &'static str {
        "spool"
    }

    async fn check(&self) -> Check {
        let health = self.0.health();
        let warn = health.degraded || health.stalled || health.rejected > 0 || self.0.probe().is_err();
        Check { warn, details: serde_json::to_value(health).unwrap_or_default() }
    }

    fn obstacle(&self) -> Option<(&'static str, String)> {
        self.0.probe().err().map(|error| ("the spool cannot be written", error.to_string()))
    }
}
