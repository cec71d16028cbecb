use async_trait::async_trait;

use super::domain::{MergedProfile, ProfileQuery};
use super::timeline::{StepWidth, Timeline};
use crate::kernel::{AppName, Call, PortResult, Selector, Tenant, TimeWindow};
use crate::profile::Profile;

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

    /// The totals of the query's window, which should be [whole steps](StepWidth::widened), step by step. `None` as for
    /// [`merged`](Self::merged). More than 1,440 steps are [invalid](crate::kernel::PortError::Invalid).
    async fn totals(&self, call: &Call, query: &ProfileQuery, width: StepWidth) -> PortResult<Option<Timeline<i64>>>;

    /// The merged profiles of the same, step by step. Invalid are more than 240 steps, behind a Pyroscope server 60,
    /// and whatever the source does not have step by step.
    async fn stacks(
        &self,
        call: &Call,
        query: &ProfileQuery,
        width: StepWidth,
    ) -> PortResult<Option<Timeline<Profile>>>;
}
