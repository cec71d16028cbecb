use async_trait::async_trait;

use super::domain::{ByMinute, MergedProfile, ProfileQuery};
use crate::kernel::{AppName, Call, PortResult, Selector, Tenant, TimeWindow};

/// Reads profiles. Adapters: Pyroscope, the embedded store, another Flamewarden.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait ProfileDataSor: Send + Sync {
    /// The tenant's apps that have any profile in the window, sorted, without repetition. `None`: the configured tenant.
    async fn apps<'a>(
        &'a self,
        call: &'a Call,
        tenant: Option<&'a Tenant>,
        window: TimeWindow,
    ) -> PortResult<Vec<AppName>>;

    /// All profiles of the query merged into one. `None`: the app is unknown, in the window and in the last seven days.
    /// An app that is known but has no data is a [`MergedProfile`] without stacks.
    async fn merged(&self, call: &Call, query: &ProfileQuery) -> PortResult<Option<MergedProfile>>;

    /// Two windows of one app, read with the same sample type: the first alternative that both have. First the
    /// baseline, then the current window. `query` describes the current one. The baseline has its [first
    /// half](MergedProfile::first_half) separately unless it is a snapshot or was truncated.
    async fn merged_pair(
        &self,
        call: &Call,
        query: &ProfileQuery,
        baseline: TimeWindow,
        baseline_selector: &Selector,
    ) -> PortResult<Option<(MergedProfile, MergedProfile)>>;

    /// The profiles of the query's window and of the hour before it, minute by minute. `None`: they cannot be had by the
    /// minute. Only the embedded store has them.
    async fn by_minute(&self, _call: &Call, _query: &ProfileQuery) -> PortResult<Option<ByMinute>> {
        Ok(None)
    }
}
