/// The phases of a decision, in the order they are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Asks the registry for labels, tenant and owners, and discovers apps.
    Resolve,
    /// Reads profiles.
    Fetch,
    /// Reads what profiles are checked against, such as approved limits.
    Restore,
    /// Judges, compares or ranks.
    Analyze,
    /// Holds the result against limits and sums it up.
    Policy,
    /// Records the result.
    Report,
}

/// Listens to the progress of a decision. No answer depends on it.
pub trait Progress: Send + Sync {
    /// `done` of `of` parts of a phase are done. Returns at once.
    fn at(&self, phase: Phase, done: u32, of: u32);
}
