/// The contract that a decision is served under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// Profiles only: no baselines, no history, no registry.
    V1,
    /// With baselines, history and the registry.
    V2,
}
