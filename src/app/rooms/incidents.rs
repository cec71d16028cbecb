//! Incidents and silences, and what time does to them.

use crate::app::placement::Placement;
use crate::app::scheduler::{Group, Job, UPKEEP_LIMIT};
use crate::app::wiring::Wiring;
use crate::sor::incident::{self, IncidentPorts, IncidentUpkeep};
use crate::sor::schedule::{ScheduleName, Timetable};

/// Offers the ports.
pub(super) fn build(wiring: &mut Wiring<'_>, placement: &Placement) -> anyhow::Result<()> {
    let Some(ports) = wiring.placed(placement, incident::local, incident::remote)? else { return Ok(()) };
    let IncidentPorts { incidents, states, silences } = ports;
    wiring.offer(incidents);
    wiring.offer(states);
    wiring.offer(silences);
    if *placement == Placement::Local {
        let days = wiring.settings.alerts.retention_days;
        wiring.job(incident_upkeep(IncidentUpkeep::new(wiring.database()?, days)));
    }
    Ok(())
}

/// Ends and removes what is old. A problem that is not seen any more is resolved within a minute.
fn incident_upkeep(upkeep: IncidentUpkeep) -> Job {
    Job {
        name: const { ScheduleName::of("incident_upkeep") },
        group: Group::Core,
        timetable: const { Timetable::of(60, 15) },
        limit: UPKEEP_LIMIT,
        run: Box::new(move |call| {
            let upkeep = upkeep.clone();
            Box::pin(async move { upkeep.run(&call).await })
        }),
    }
}
