//! Verdicts over many apps: which functions cost most across a fleet, and which apps run a function.
//!
//! Each app's profile is reduced to its functions as it comes; spellings of one function are joined by
//! [`key`](super::names::key). The result does not depend on the order in which apps arrive.

mod hotspots;
mod reduced;
mod search;
#[cfg(test)]
mod tests;

pub use hotspots::{Hotspot, HotspotService, Hotspots, Ranking};
pub use reduced::{AppFunctions, FleetApp};
pub use search::{AppMatches, Match, Matches, Needle};
