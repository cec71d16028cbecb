//! Merges that another Flamewarden keeps, over its public routes.

use async_trait::async_trait;
use reqwest::Method;

use super::domain::{Merge, MergePage, MergeQuery, MergeStatistics, MergeStatus, NewMerge};
use super::port::MergeSor;
use super::routes::{MergeStatisticsBody, MergesBody};
use crate::http::{Code, Cursor, Outward, Peer, Repeatable};
use crate::kernel::{Call, PortResult};

pub(super) struct RemoteMerges {
    merges: Peer,
}

impl RemoteMerges {
    pub(super) fn new(outward: Outward) -> Self {
        Self { merges: Peer::new(outward, Code::MetricUnknown) }
    }
}

#[async_trait]
impl MergeSor for RemoteMerges {
    async fn record(&self, call: &Call, merge: NewMerge) -> PortResult<Merge> {
        let request =
            |outward: &Outward| outward.request(Method::POST, outward.url(["performance", "merges"])).json(&merge);
        self.merges.written(call, Repeatable::No, request).await
    }

    async fn page(&self, call: &Call, query: &MergeQuery) -> PortResult<MergePage> {
        let MergeQuery { source_scope, target_scope, status, limit, after } = query;
        let parameters = [
            ("limit", Some(limit.to_string())),
            ("sourceScope", source_scope.as_ref().map(ToString::to_string)),
            ("targetScope", target_scope.as_ref().map(ToString::to_string)),
            ("status", status.map(MergeStatus::as_str).map(str::to_owned)),
            ("cursor", after.as_ref().map(Cursor::encode)),
        ];
        let request = |outward: &Outward| {
            let given = parameters.iter().filter(|(_, value)| value.is_some()).collect::<Vec<_>>();
            outward.request(Method::GET, outward.url(["performance", "merges"])).query(&given)
        };
        let body: MergesBody = self.merges.written(call, Repeatable::Yes, request).await?;
        Ok(MergePage { entries: body.merges, next: Cursor::next(body.next_cursor)? })
    }

    async fn statistics(&self, call: &Call, limit: u16) -> PortResult<Vec<MergeStatistics>> {
        let request = |outward: &Outward| {
            outward.request(Method::GET, outward.url(["performance", "merge-statistics"])).query(&[("limit", limit)])
        };
        Ok(self.merges.written::<MergeStatisticsBody>(call, Repeatable::Yes, request).await?.statistics)
    }
}
