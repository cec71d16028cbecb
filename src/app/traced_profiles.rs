//! Profile data whose calls are spans of the decision that makes them.

use std::sync::Arc;

use async_trait::async_trait;

use crate::kernel::{AppName, Call, PortResult, Selector, Tenant, TimeWindow};
use crate::profile::Profile;
use crate::sor::profile_data::{MergedProfile, ProfileDataSor, ProfileQuery, StepWidth, Timeline};
use crate::telemetry::span;

const FETCH: &str = "profile.fetch";
const DISCOVER: &str = "profile.discover";

/// The port, with a span for each call.
pub(super) struct TracedProfiles(pub(super) Arc<dyn ProfileDataSor>);

#[async_trait]
impl ProfileDataSor for TracedProfiles {
    async fn apps<'a>(
        &'a self,
        call: &'a Call,
        tenant: Option<&'a Tenant>,
        window: TimeWindow,
    ) -> PortResult<Vec<AppName>> {
        span(DISCOVER, "", self.0.apps(call, tenant, window)).await
    }

    async fn merged(&self, call: &Call, query: &ProfileQuery) -> PortResult<Option<MergedProfile>> {
        span(FETCH, query.app.as_str(), self.0.merged(call, query)).await
    }

    async fn merged_pair(
        &self,
        call: &Call,
        query: &ProfileQuery,
        baseline: TimeWindow,
        baseline_selector: &Selector,
    ) -> PortResult<Option<(MergedProfile, MergedProfile)>> {
        span(FETCH, query.app.as_str(), self.0.merged_pair(call, query, baseline, baseline_selector)).await
    }

    async fn totals(&self, call: &Call, query: &ProfileQuery, width: StepWidth) -> PortResult<Option<Timeline<i64>>> {
        span(FETCH, query.app.as_str(), self.0.totals(call, query, width)).await
    }

    async fn stacks(
        &self,
        call: &Call,
        query: &ProfileQuery,
        width: StepWidth,
    ) -> PortResult<Option<Timeline<Profile>>> {
        span(FETCH, query.app.as_str(), self.0.stacks(call, query, width)).await
    }
}
