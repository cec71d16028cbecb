//! The core: what the server needs to act by itself. Its systems of record are placed together.

use super::list::RELATIONAL;
use super::{Kind, Room, Sor};
use crate::app::placement::{Placement, nothing_to_add, relational};
use crate::app::wiring::Wiring;
use crate::http::Routes;

pub(super) const ROOM: Room = Room {
    functions: &["ReadPyroscopeCore.sor.v1"],
    chapters: &[],
    kind: Kind::Sor(Sor {
        title: "core",
        url_key: "core_url",
        placement: relational,
        described: RELATIONAL,
        warnings: nothing_to_add,
        build,
        routes,
    }),
};

/// Offers each port, a line for each system of record.
#[expect(clippy::unnecessary_wraps, reason = "systems of record follow")]
fn build(_: &mut Wiring<'_>, _: &Placement) -> anyhow::Result<()> {
    Ok(())
}

/// Mounts the routes of each system of record.
fn routes(_: &mut Routes<'_>, _: &Placement) {}
