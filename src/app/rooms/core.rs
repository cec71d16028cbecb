//! The core: what the server needs to act by itself. Its systems of record are placed together.

use std::sync::Arc;

use super::list::RELATIONAL;
use super::{Kind, Room, Sor, audit_log, incidents, notifications};
use crate::app::placement::{Demand, InvalidPlan, Placement, relational};
use crate::app::scheduler::{Group, Job, UPKEEP_LIMIT};
use crate::app::wiring::Wiring;
use crate::config::Settings;
use crate::http::Routes;
use crate::sor::audit;
use crate::sor::incident;
use crate::sor::notification;
use crate::sor::schedule::{self, ScheduleName, ScheduleSor, Timetable};

pub(super) const FUNCTION: &str = "ReadPyroscopeCore.sor.v1";

pub(super) const ROOM: Room = Room {
    functions: &[FUNCTION],
    chapters: &[
        ("alerts", "What is wrong, since when, and who looks after it"),
        ("silences", "When nobody is told of alerts"),
        ("schedule", "What the server does by itself: which process does it, when, and how it went"),
        ("audit", "Who changed what, and when"),
        ("channels", "Where people are told of alerts"),
        ("notifications", "What people are told of alerts, and whether it arrived"),
    ],
    kind: Kind::Sor(Sor {
        title: "core",
        url_key: "core_url",
        placement,
        described: RELATIONAL,
        warnings: |settings, placement, _| {
            let of_audit_log = audit_log::warnings(settings, placement);
            of_audit_log.into_iter().chain(notifications::warnings(settings, placement)).collect()
        },
        build,
        routes,
    }),
};

/// Every process with `CORE_URL` uses the core: each can deny a request, and denied requests are logged there.
fn placement(settings: &Settings, demand: &Demand<'_>) -> Result<Placement, InvalidPlan> {
    relational(settings, &Demand { wanted: true, ..*demand })
}

/// Offers each port, and registers its jobs.
fn build(wiring: &mut Wiring<'_>, placement: &Placement) -> anyhow::Result<()> {
    wiring.relational::<dyn ScheduleSor>(placement, schedule::local, schedule::remote)?;
    if let (Placement::Local, Some(schedule)) = (placement, wiring.find::<dyn ScheduleSor>()) {
        wiring.job(schedule_upkeep(schedule));
    }
    audit_log::build(wiring, placement)?;
    incidents::build(wiring, placement)?;
    notifications::build(wiring, placement)
}

/// Mounts the routes of each system of record.
fn routes(routes: &mut Routes<'_>, _: &Placement) {
    schedule::routes(routes);
    audit::routes(routes);
    incident::routes(routes);
    notification::routes(routes);
}

/// Forgets jobs that no version has any more.
fn schedule_upkeep(schedule: Arc<dyn ScheduleSor>) -> Job {
    Job {
        name: const { ScheduleName::of("schedule_upkeep") },
        group: Group::Core,
        timetable: const { Timetable::of(3_600, 0) },
        limit: UPKEEP_LIMIT,
        run: Box::new(move |call| {
            let schedule = Arc::clone(&schedule);
            Box::pin(async move { schedule.forget(&call).await.map(drop) })
        }),
    }
}
