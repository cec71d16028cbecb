//! What this server records of itself, and whether it can.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::health::{CHECK_WITHIN, Check, HealthCheck, PerformanceHealth};
use crate::app::recorder::{Pace, Recorder, RecorderHealth, write};
use crate::app::wiring::Wiring;
use crate::kernel::{Call, Clock};
use crate::sor::performance::OperationSor;
use crate::sor::performance::statistics::StatisticsSor;
use crate::telemetry::TraceSink;

/// When the hour that is over must be rolled up: 10 minutes after its end.
const ROLLED_WITHIN: TimeDelta = TimeDelta::minutes(70);

/// Records requests and jobs, unless that is off, and tells how operations are kept.
pub(super) fn build(wiring: &mut Wiring<'_>, port: Arc<dyn OperationSor>, statistics: Arc<dyn StatisticsSor>) {
    let settings = wiring.settings.performance;
    let (clock, ids) = (Arc::clone(&wiring.clock), Arc::clone(&wiring.ids));
    let recorder = settings
        .self_record
        .then(|| Arc::new(Recorder::new(Arc::clone(&clock), ids, settings.self_rows_per_second, settings.queue_rows)));
    wiring.check_health(Arc::new(PerformanceCheck { recorder: recorder.clone(), statistics, clock }));
    let Some(recorder) = recorder else { return };
    wiring.offer::<dyn TraceSink>(Arc::clone(&recorder) as Arc<dyn TraceSink>);
    let (stop, stopped) = (CancellationToken::new(), CancellationToken::new());
    let (until, ended) = (stop.clone(), stopped.clone().drop_guard());
    wiring.in_background(async move {
        let _ended = ended;
        write(recorder, port, Pace::OF_SERVERS, until).await;
    });
    wiring.before_the_end(async move {
        stop.cancel();
        stopped.cancelled().await;
    });
}

/// Whether own operations are recorded, and operations are rolled up, whichever process does it.
struct PerformanceCheck {
    recorder: Option<Arc<Recorder>>,
    statistics: Arc<dyn StatisticsSor>,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl HealthCheck for PerformanceCheck {
    fn name(&self) -> &'static str {
        "performance"
    }

    async fn check(&self) -> Check {
        let call = Call::system("health").until(Instant::now() + CHECK_WITHIN);
        let rolled_through =
            call.bound(self.statistics.overview(&call)).await.ok().and_then(|overview| overview.rolled_through);
        let behind = rolled_through.is_some_and(|at| self.clock.now() - at > ROLLED_WITHIN);
        let (recorder, dropping) = self.recorder.as_ref().map(|recorder| recorder.health()).unzip();
        let (queued, dropped) = recorder.map(|RecorderHealth { queued, dropped }| (queued, dropped)).unzip();
        let health = PerformanceHealth { queued, dropped, rolled_through };
        let warn = behind || dropping.unwrap_or_default();
        Check { warn, details: serde_json::to_value(health).unwrap_or_default() }
    }
}
