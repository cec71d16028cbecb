//! The fleet search: who else runs this function, and which functions cost most over all apps? It reads the profiles of
//! many apps, a few at a time. Apps that could not be read are named.
//!
//! It owns no data. It uses the port of profile data; in v2 also that of the registry, which may be off.

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
