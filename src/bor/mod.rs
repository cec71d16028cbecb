//! Business decisions: they reach data through ports only.

mod facts;
pub mod triage;

/// The contract that a decision is served under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Profiles only: no baselines, no history, no registry.
    V1,
    /// With baselines and history.
    V2,
}
