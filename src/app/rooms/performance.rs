//! Operations and how long they took.

use std::sync::Arc;

use super::list::RELATIONAL;
use super::{Kind, Room, Sor};
use crate::app::placement::{Placement, nothing_to_add, relational};
use crate::app::wiring::Wiring;
use crate::sor::performance::{self, OperationSor, OperationUpkeep};

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
    wiring.relational::<dyn OperationSor>(placement, performance::local, performance::remote)?;
    if *placement == Placement::Local {
        let settings = wiring.settings.performance;
        let clock = Arc::clone(&wiring.clock);
        let upkeep = OperationUpkeep::new(wiring.database()?, clock, settings.retention_days, settings.span_timeout);
        wiring.maintain(upkeep.maintenance_round())?;
    }
    Ok(())
}
