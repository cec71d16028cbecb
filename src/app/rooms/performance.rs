//! Operations and how long they took.

use std::sync::Arc;

use super::list::RELATIONAL;
use super::{Kind, Room, Sor, operation_jobs};
use crate::app::placement::{Placement, nothing_to_add, relational};
use crate::app::wiring::Wiring;
use crate::sor::performance::{self, KeptFor, OperationUpkeep, PerformancePorts};

pub(super) const ROOM: Room = Room {
    functions: &["ReadPyroscopePerformance.sor.v1"],
    chapters: &[("performance", "Which operation took how long, and where the time went")],
    kind: Kind::Sor(Sor {
        title: "performance",
        url_key: "performance_url",
        placement: relational,
        described: RELATIONAL,
        warnings: nothing_to_add,
        build,
        routes: |routes, _| performance::routes(routes),
    }),
};

fn build(wiring: &mut Wiring<'_>, placement: &Placement) -> anyhow::Result<()> {
    let Some(ports) = wiring.placed(placement, performance::local, performance::remote)? else { return Ok(()) };
    let PerformancePorts { operations, statistics, baselines, alerts } = ports;
    wiring.offer(operations);
    wiring.offer(statistics);
    wiring.offer(baselines);
    wiring.offer(Arc::clone(&alerts));
    if *placement == Placement::Local {
        let settings = wiring.settings.performance;
        let clock = Arc::clone(&wiring.clock);
        let kept = KeptFor { rows_days: settings.retention_days, rollups_days: settings.rollup_days };
        let upkeep = OperationUpkeep::new(wiring.database()?, clock, kept, settings.span_timeout);
        wiring.maintain(upkeep.maintenance_round())?;
        operation_jobs::register(wiring, alerts)?;
    }
    Ok(())
}
