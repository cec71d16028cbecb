//! Business decisions: they reach data through ports only.

pub mod diff;
mod facts;
pub mod fleet;
mod labels;
mod links;
mod owners;
mod relational;
mod request;
pub mod triage;

pub use links::{Grafana, LinkSettings};
pub use relational::{Absence, RelationalPorts};

/// The contract that a decision is served under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Profiles only: no baselines, no history, no registry.
    V1,
    /// With baselines, history and the registry's labels.
    V2,
}
