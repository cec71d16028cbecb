//! Operations and how long they took.

use std::sync::Arc;

use super::list::RELATIONAL;
use super::{Kind, Room, Sor, operation_jobs, self_record};
use crate::app::placement::{Demand, InvalidPlan, Placement, nothing_to_add, relational};
use crate::app::wiring::Wiring;
use crate::config::Settings;
use crate::sor::performance::{self, KeptFor, OperationUpkeep, PerformancePorts, TraceIntake};

pub(super) const ROOM: Room = Room {
    functions: &["ReadPyroscopePerformance.sor.v1"],
    chapters: &[("performance", "Which operation took how long, and where the time went")],
    kind: Kind::Sor(Sor {
        title: "performance",
        url_key: "performance_url",
        placement,
        described: RELATIONAL,
        warnings: nothing_to_add,
        build,
        routes: |routes, _| performance::routes(routes),
    }),
};

/// Every process with `PERFORMANCE_URL` records itself there.
fn placement(settings: &Settings, demand: &Demand<'_>) -> Result<Placement, InvalidPlan> {
    let wanted = demand.wanted || settings.performance.self_record;
    relational(settings, &Demand { wanted, ..*demand })
}

fn build(wiring: &mut Wiring<'_>, placement: &Placement) -> anyhow::Result<()> {
    let Some(ports) = wiring.placed(placement, |db| performance::local(db.leaving_a_quarter()), performance::remote)?
    else {
        if wiring.settings.performance.self_record {
            tracing::info!("not recording its own operations: PERFORMANCE_URL is not set");
        }
        return Ok(());
    };
    let PerformancePorts { operations, statistics, baselines, alerts, merges } = ports;
    self_record::build(wiring, Arc::clone(&operations), Arc::clone(&statistics));
    wiring.offer(operations);
    wiring.offer(statistics);
    wiring.offer(baselines);
    wiring.offer(Arc::clone(&alerts));
    wiring.offer(merges);
    wiring.offer_service(TraceIntake::default());
    if *placement == Placement::Local {
        let settings = wiring.settings.performance;
        let (db, clock) = (wiring.database()?.leaving_a_quarter(), Arc::clone(&wiring.clock));
        let kept = KeptFor { rows_days: settings.retention_days, rollups_days: settings.rollup_days };
        let upkeep = OperationUpkeep::new(db.clone(), clock, kept, settings.span_timeout);
        wiring.maintain(upkeep.maintenance_round())?;
        operation_jobs::register(wiring, db, alerts);
    }
    Ok(())
}
