//! The Incident SOR: what is wrong, since when, and who looks after it. It owns the tables `core.incident`,
//! `core.incident_event`, `core.rule_state` and `core.silence`.
//!
//! It decides nothing about limits: an evaluation of rules hands in what it decided ([`AlertStateSor::apply`]), and other
//! sources say what they see ([`IncidentSor::observe`]). Triggers of the tables keep what follows from a change, whichever
//! way it is made: reopenings, flapping, and the timeline.

mod domain;
mod port;
mod postgres;
mod remote;
mod rounds;
mod routes;
mod upkeep;
mod wire;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use domain::{
    Act, Findings, Incident, IncidentEvent, IncidentLevel, IncidentPage, IncidentPosition, IncidentQuery,
    IncidentSource, IncidentState, IncidentTimeline, Minutes, NewSilence, Observation, Observed, ResolveReason,
    Silence, SilencePage, SilenceQuery, ValueUnit,
};
pub use port::{AlertStateSor, IncidentSor, SilenceSor};
#[cfg(test)]
pub use port::{MockAlertStateSor, MockIncidentSor, MockSilenceSor};
pub use rounds::{Decided, IncidentWrite, RuleEvaluated, RuleState, StandingIncidents, Told, Untold};
pub use routes::routes;
pub use upkeep::IncidentUpkeep;

use crate::http::Outward;
use crate::storage::Db;

/// The three ports of the room.
pub struct IncidentPorts {
    /// What people and other sources see and do.
    pub incidents: Arc<dyn IncidentSor>,
    /// What those see and do that evaluate rules and tell of alerts.
    pub states: Arc<dyn AlertStateSor>,
    /// When nobody is told.
    pub silences: Arc<dyn SilenceSor>,
}

impl<A: IncidentSor + AlertStateSor + SilenceSor + 'static> From<A> for IncidentPorts {
    fn from(adapter: A) -> Self {
        let adapter = Arc::new(adapter);
        Self { incidents: Arc::clone(&adapter) as _, states: Arc::clone(&adapter) as _, silences: adapter }
    }
}

/// Incidents kept in this database.
pub fn local(db: Db) -> IncidentPorts {
    postgres::PostgresIncidents::new(db).into()
}

/// Incidents kept by another Flamewarden.
pub fn remote(outward: Outward) -> IncidentPorts {
    remote::RemoteIncidents::new(outward).into()
}
