//! The fleet search: who else runs this function, and which functions cost most over all apps. It reads the profiles of
//! many apps, a few at a time, and answers with what it got: what could not be read is named.
//!
//! It owns no data. Its ports: profile data; in v2 also the registry, which may be off.

mod domain;
mod example;
mod lists;
mod routes;
mod service;
#[cfg(test)]
mod tests;
mod wire;

pub use domain::{AppFailure, AppTicks, FleetHotspots, FleetMatches, FleetQuery, HotspotsRequest, Scan, SearchRequest};
pub use routes::routes;
pub use service::{FleetParts, FleetService};
pub use wire::{AppErrorBody, HotspotBody, HotspotServiceBody, HotspotsBody, MatchBody, SearchBody};
