use async_trait::async_trait;

use super::domain::{Merge, MergePage, MergeQuery, MergeStatistics, NewMerge};
use crate::kernel::{Call, PortResult};

/// Keeps merges. Adapters: PostgreSQL, another Flamewarden.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait MergeSor: Send + Sync {
    /// Records a merge that is over now, and its duration as a metric of type `merge` in the target's scope. `Invalid`: its
    /// figures contradict each other.
    async fn record(&self, call: &Call, merge: NewMerge) -> PortResult<Merge>;

    /// One page of merges, newest first.
    async fn page(&self, call: &Call, query: &MergeQuery) -> PortResult<MergePage>;

    /// Figures of each source and target, the most frequent first; at most `limit`.
    async fn statistics(&self, call: &Call, limit: u16) -> PortResult<Vec<MergeStatistics>>;
}
