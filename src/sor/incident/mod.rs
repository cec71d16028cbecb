//! The Incident SOR: what is wrong, since when, and who looks after it. It owns the tables `core.incident`,
//! `core.incident_event`, `core.rule_state` and `core.silence`.
//!
//! It decides nothing about limits: an evaluation of rules hands in what it decided ([`AlertStateSor::apply`]), and other
//! sources say what they see ([`IncidentSor::observe`]). Triggers of the tables keep what follows from a change, whichever
//! way it is made: reopenings, flapping, and the timeline.

mod domain;
mod port;
mod rounds;

pub use domain::{
    Act, Findings, Incident, IncidentEvent, IncidentLevel, IncidentPage, IncidentPosition, IncidentQuery,
    IncidentSource, IncidentState, IncidentTimeline, Minutes, NewSilence, Note, Observation, Observed, ResolveReason,
    Silence, SilencePage, SilenceQuery, ValueUnit,
};
pub use port::{AlertStateSor, IncidentSor, SilenceSor};
#[cfg(test)]
pub use port::{MockAlertStateSor, MockIncidentSor, MockSilenceSor};
pub use rounds::{Decided, IncidentWrite, RuleEvaluated, RuleState, StandingIncidents, Told, Untold};
