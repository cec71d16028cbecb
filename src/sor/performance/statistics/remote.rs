//! Statistics of operations that another Flamewarden keeps, over its public routes.

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::Method;
use serde::de::DeserializeOwned;

use super::port::StatisticsSor;
use super::routes::{OperationsBody, ScopesBody, SlowestBody, UsersBody};
use super::{
    Operation, OperationTotals, PerformanceOverview, ScopeFigures, SeriesAnswer, SeriesQuery, SlowOperation,
    SlowestQuery, StatisticsQuery, Trend, TrendQuery, UserFigures,
};
use crate::http::{Code, Outward, Peer, Repeatable};
use crate::kernel::{Call, PortResult};
use crate::sor::performance::names::{OperationScope, OperationType};

pub(super) struct RemoteStatistics {
    peer: Peer,
}

impl RemoteStatistics {
    pub(super) fn new(outward: Outward) -> Self {
        Self { peer: Peer::new(outward, Code::OperationUnknown) }
    }

    async fn found<T: DeserializeOwned>(
        &self,
        call: &Call,
        path: &[&str],
        parameters: &Parameters,
    ) -> PortResult<Option<T>> {
        let request =
            |outward: &Outward| outward.request(Method::GET, outward.url(path.iter().copied())).query(&parameters.0);
        self.peer.read(call, Repeatable::Yes, request).await
    }

    async fn read<T: DeserializeOwned>(&self, call: &Call, what: &str, parameters: &Parameters) -> PortResult<T> {
        let request =
            |outward: &Outward| outward.request(Method::GET, outward.url(["performance", what])).query(&parameters.0);
        self.peer.written(call, Repeatable::Yes, request).await
    }
}

/// The parameters of a request.
#[derive(Default)]
struct Parameters(Vec<(&'static str, String)>);

impl Parameters {
    fn with(mut self, name: &'static str, value: &impl ToString) -> Self {
        self.0.push((name, value.to_string()));
        self
    }

    fn time(self, name: &'static str, at: DateTime<Utc>) -> Self {
        self.with(name, &at.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }

    fn of(self, operation_type: Option<&OperationType>, scope: Option<&OperationScope>) -> Self {
        let with = operation_type.into_iter().fold(self, |parameters, kind| parameters.with("operationType", kind));
        scope.into_iter().fold(with, |parameters, scope| parameters.with("scope", scope))
    }
}

#[async_trait]
impl StatisticsSor for RemoteStatistics {
    async fn operations(&self, call: &Call, query: &StatisticsQuery) -> PortResult<Vec<Operation>> {
        let parameters = Parameters::default().time("from", query.from).with("limit", &query.limit);
        let parameters = query.to.into_iter().fold(parameters, |parameters, to| parameters.time("to", to));
        let parameters = parameters.of(None, query.scope.as_ref());
        Ok(self.read::<OperationsBody>(call, "operations", &parameters).await?.operations)
    }

    async fn totals(
        &self,
        call: &Call,
        operation_type: &OperationType,
        scope: Option<OperationScope>,
    ) -> PortResult<Option<OperationTotals>> {
        let parameters = Parameters::default().of(None, scope.as_ref());
        self.found(call, &["performance", "operations", operation_type.as_str()], &parameters).await
    }

    async fn trend(&self, call: &Call, query: &TrendQuery) -> PortResult<Option<Trend>> {
        let parameters = Parameters::default().with("days", &query.days).with("bucket", &query.bucket.as_str());
        let parameters = parameters.of(None, query.scope.as_ref());
        self.found(call, &["performance", "operations", query.operation_type.as_str(), "trend"], &parameters).await
    }

    async fn series(&self, call: &Call, query: &SeriesQuery) -> PortResult<SeriesAnswer> {
        let parameters = Parameters::default().time("from", query.from).time("to", query.to);
        let parameters = parameters.with("step", &query.step.as_text()).with("groupBy", &query.group_by.as_str());
        self.read(call, "series", &parameters.of(query.operation_type.as_ref(), query.scope.as_ref())).await
    }

    async fn slowest(&self, call: &Call, query: &SlowestQuery) -> PortResult<Vec<SlowOperation>> {
        let parameters = Parameters::default().with("days", &query.days).with("limit", &query.limit);
        let parameters = parameters.of(query.operation_type.as_ref(), query.scope.as_ref());
        Ok(self.read::<SlowestBody>(call, "slowest", &parameters).await?.operations)
    }

    async fn overview(&self, call: &Call) -> PortResult<PerformanceOverview> {
        self.read(call, "dashboard", &Parameters::default()).await
    }

    async fn scopes(&self, call: &Call, limit: u16) -> PortResult<Vec<ScopeFigures>> {
        Ok(self.read::<ScopesBody>(call, "scopes", &Parameters::default().with("limit", &limit)).await?.scopes)
    }

    async fn users(&self, call: &Call, limit: u16) -> PortResult<Vec<UserFigures>> {
        Ok(self.read::<UsersBody>(call, "users", &Parameters::default().with("limit", &limit)).await?.users)
    }
}
