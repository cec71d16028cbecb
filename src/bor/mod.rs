//! Business decisions: they reach data through ports only.

mod facts;
mod labels;
mod relational;
pub mod triage;

pub use relational::Absence;

/// The contract that a decision is served under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Profiles only: no baselines, no history, no registry.
    V1,
    /// With baselines, history and the registry's labels.
    V2,
}
