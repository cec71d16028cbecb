//! What is true of a category whatever the profile.

use super::Category;

impl Category {
    /// A means rather than an end: where most of its samples lie beneath one purpose, the purpose is the diagnosis.
    pub fn is_mechanism(self) -> bool {
        matches!(
            self,
            Self::Allocation
                | Self::MemoryCopy
                | Self::CollectionResizing
                | Self::StringAllocation
                | Self::Boxing
                | Self::Hashing
                | Self::PageFaults
                | Self::Reflection
        )
    }

    /// An end that mechanisms serve.
    pub fn is_purpose(self) -> bool {
        matches!(
            self,
            Self::Serialization
                | Self::Regex
                | Self::Logging
                | Self::Database
                | Self::Compression
                | Self::Crypto
                | Self::NetworkIo
                | Self::DiskIo
                | Self::Exception
                | Self::ClassLoading
        )
    }

    /// Whether its samples stay in the active ticks, which shares of findings are of.
    pub fn is_active(self) -> bool {
        !matches!(self, Self::Idle | Self::ProfilerOverhead)
    }

    /// Whether it may be a diagnosis.
    pub fn competes(self) -> bool {
        self.is_active() && self != Self::Unresolved
    }
}
