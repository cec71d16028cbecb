//! The one list of rooms: every system of record and every decision that a process can serve is in [`ROOMS`], and nowhere
//! else. The served routes, the placement of systems of record, warnings, `flamewarden config check`, the tags of the
//! OpenAPI document and what is built at start all follow from it.

mod alerts;
mod audit_log;
mod core;
mod history;
mod incidents;
mod list;
mod notifications;
mod operation_jobs;
mod performance;
mod profile_data;
mod self_record;

use utoipa::openapi::OpenApi;

use super::always;
use super::placement::{Demand, InvalidPlan, Placement};
use super::plan::Plan;
use super::wiring::Wiring;
use crate::config::Settings;
use crate::http::{self, Routes};
use crate::kernel::Version;
use crate::ui;

pub(super) use history::recorder;
pub(super) use list::ROOMS;
pub(super) use profile_data::FUNCTION as PROFILE_DATA;

/// A room that a process may serve.
pub(super) struct Room {
    /// Its values of `FUNCTION`, the oldest version first.
    pub(super) functions: &'static [&'static str],
    /// Its tags in the OpenAPI document, each with its description.
    pub(super) chapters: &'static [(&'static str, &'static str)],
    /// What it is.
    pub(super) kind: Kind,
}

/// What a room is.
pub(super) enum Kind {
    /// It owns data.
    Sor(Sor),
    /// It decides.
    Bor(Bor),
}

/// A system of record.
pub(super) struct Sor {
    /// Its name for people.
    pub(super) title: &'static str,
    /// The key in section `sor` with its address, if it is in another process. Several may share one.
    pub(super) url_key: &'static str,
    /// Decides its placement.
    pub(super) placement: fn(&Settings, &Demand<'_>) -> Result<Placement, InvalidPlan>,
    /// How its placement is described when it is local, and when it is off.
    pub(super) described: [&'static str; 2],
    /// Warnings at start that only this system of record has.
    pub(super) warnings: fn(&Settings, &Placement, &Demand<'_>) -> Vec<String>,
    /// Offers its port and registers its maintenance, health checks and work at shutdown.
    pub(super) build: fn(&mut Wiring<'_>, &Placement) -> anyhow::Result<()>,
    /// Mounts its routes.
    pub(super) routes: fn(&mut Routes<'_>, &Placement),
}

/// A decision.
pub(super) struct Bor {
    /// The systems of record without which it is not served.
    pub(super) needs: &'static [&'static str],
    /// Those that it uses in the newest version of its contract. Each may be off.
    pub(super) wants: &'static [&'static str],
    /// Offers its service.
    pub(super) build: fn(&mut Wiring<'_>, Version) -> anyhow::Result<()>,
    /// Mounts its routes.
    pub(super) routes: fn(&mut Routes<'_>),
}

impl Room {
    /// The function and the version of the contract that is served, if the room is.
    pub(super) fn served(&self, serves: impl Fn(&str) -> bool) -> Option<(&'static str, Version)> {
        let versions = [Version::V1, Version::V2];
        self.functions.iter().copied().zip(versions).rfind(|(function, _)| serves(function))
    }

    /// The system of record, if it is one.
    pub(super) fn sor(&self) -> Option<&Sor> {
        if let Kind::Sor(sor) = &self.kind { Some(sor) } else { None }
    }
}

impl Sor {
    /// The environment variable with its address.
    pub(super) fn variable(&self) -> String {
        self.url_key.to_uppercase()
    }
}

/// The values that `FUNCTION` may hold, in the order of the documentation.
pub fn functions() -> Vec<&'static str> {
    ROOMS.iter().flat_map(|room| room.functions.iter().copied()).collect()
}

/// Mounts the routes of a plan, and those that every process has.
pub(super) fn open(plan: &Plan, routes: &mut Routes<'_>) {
    for room in ROOMS {
        if room.served(|function| plan.functions.serve(function)).is_some() {
            match &room.kind {
                Kind::Sor(sor) => (sor.routes)(routes, plan.placement(room)),
                Kind::Bor(bor) => (bor.routes)(routes),
            }
        }
    }
    always::routes(routes);
    ui::routes(routes);
}

/// The document of what a server of this plan serves.
pub(super) fn document(plan: &Plan) -> OpenApi {
    let decisions = ROOMS.iter().filter(|room| room.sor().is_none());
    let records = ROOMS.iter().filter(|room| room.sor().is_some());
    let chapters = decisions.chain(records).flat_map(|room| room.chapters.iter().copied());
    let document = http::document(chapters.chain([("health", "Whether this process is well")]));
    let document = Routes::describe(document, |routes| open(plan, routes));
    http::with_access_errors(http::with_its_own_tags(document))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_rooms_have_a_function_or_a_chapter_in_common_and_each_is_served_by_its_newest_version() {
        let functions = functions();
        assert_eq!(functions.iter().collect::<BTreeSet<_>>().len(), functions.len());
        let chapters: Vec<_> = ROOMS.iter().flat_map(|room| room.chapters).map(|(name, _)| name).collect();
        assert_eq!(chapters.iter().collect::<BTreeSet<_>>().len(), chapters.len());
        for room in ROOMS {
            assert_eq!(room.served(|_| true).map(|(function, _)| function), room.functions.last().copied());
        }
    }

    #[test]
    fn every_address_of_a_system_of_record_is_a_setting_and_every_such_setting_is_one_of_them() {
        let (_, effective) = Settings::load(&functions(), None, []).unwrap();
        let keys = effective.iter().filter_map(|row| row.key.strip_prefix("sor."));
        let settings: BTreeSet<_> = keys.filter(|key| key.ends_with("_url")).collect();
        assert_eq!(settings, ROOMS.iter().filter_map(Room::sor).map(|sor| sor.url_key).collect());
    }

    #[test]
    fn what_a_decision_asks_for_is_a_system_of_record() {
        let records: BTreeSet<_> =
            ROOMS.iter().filter(|room| room.sor().is_some()).flat_map(|room| room.functions).collect();
        for room in ROOMS {
            if let Kind::Bor(bor) = &room.kind {
                assert!(bor.needs.iter().chain(bor.wants).all(|asked| records.contains(asked)), "{:?}", room.functions);
            }
        }
    }
}
