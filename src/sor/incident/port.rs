use async_trait::async_trait;

use super::domain::{
    Act, Incident, IncidentPage, IncidentQuery, IncidentTimeline, NewSilence, Observation, Observed, Silence,
    SilencePage, SilenceQuery,
};
use super::rounds::{Decided, RuleState, StandingIncidents, Told, Untold};
use crate::kernel::{Call, PortResult, RowId};

/// Keeps incidents. Adapters of the three ports: PostgreSQL, another Flamewarden.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait IncidentSor: Send + Sync {
    /// One page of incidents, newest first.
    async fn page(&self, call: &Call, query: &IncidentQuery) -> PortResult<IncidentPage>;

    /// An incident and its timeline.
    async fn get(&self, call: &Call, id: RowId) -> PortResult<Option<IncidentTimeline>>;

    /// Does something to an incident, and answers it. `Conflict`: its state does not allow that. `None`: there is none.
    async fn act(&self, call: &Call, id: RowId, act: Act) -> PortResult<Option<Incident>>;

    /// Opens an incident, or brings the open one up to date. A repeated call changes nothing.
    async fn observe(&self, call: &Call, observation: Observation) -> PortResult<Observed>;
}

/// Keeps how alerts stand, for those that evaluate rules and tell of them.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait AlertStateSor: Send + Sync {
    /// Where an evaluation begins.
    async fn standing(&self, call: &Call) -> PortResult<StandingIncidents>;

    /// Keeps what an evaluation decided.
    async fn apply(&self, call: &Call, decided: Decided) -> PortResult<()>;

    /// Incidents of which somebody may have to be told, those that changed first come first; at most 500.
    async fn untold(&self, call: &Call, which: Untold) -> PortResult<Vec<Incident>>;

    /// Keeps what was told.
    async fn told(&self, call: &Call, told: Vec<Told>) -> PortResult<()>;

    /// What the last evaluation found of a rule.
    async fn rule_state(&self, call: &Call, rule_id: RowId) -> PortResult<Option<RuleState>>;
}

/// Keeps silences.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait SilenceSor: Send + Sync {
    /// Makes a silence.
    async fn create(&self, call: &Call, silence: NewSilence) -> PortResult<Silence>;

    /// One page of silences, newest first.
    async fn page(&self, call: &Call, query: SilenceQuery) -> PortResult<SilencePage>;

    /// Removes a silence; whether there was one.
    async fn remove(&self, call: &Call, id: RowId) -> PortResult<bool>;
}
