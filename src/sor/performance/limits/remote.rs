//! Limits and alerts that another Flamewarden keeps, over its public routes.

use async_trait::async_trait;
use reqwest::Method;

use super::detection::{Anomaly, Correlation, Degradation};
use super::port::{LatencyAlertSor, LatencyBaselineSor};
use super::routes::{
    AlertsBody, AnomaliesBody, BaselinesBody, CorrelationsBody, DegradationsBody, HealthBody, TypesBody,
};
use super::{
    Acknowledgement, CorrelationQuery, LatencyAlert, LatencyAlertPage, LatencyAlertQuery, LatencyAlertType,
    LatencyBaseline, LatencyBaselineHealth, LatencyBaselinePage, LatencyBaselineQuery, LookbackDays,
    NewLatencyBaseline, NewOperationType, OperationTypeRow,
};
use crate::http::{Code, Cursor, Outward, Peer, Repeatable};
use crate::kernel::{Call, LimitSeverity, PortResult};

pub(super) struct RemoteLimits {
    baselines: Peer,
    learning: Peer,
    alerts: Peer,
}

impl RemoteLimits {
    pub(super) fn new(outward: Outward) -> Self {
        Self {
            baselines: Peer::new(outward.clone(), Code::LatencyBaselineUnknown),
            learning: Peer::new(outward.clone(), Code::SamplesInsufficient),
            alerts: Peer::new(outward, Code::LatencyAlertUnknown),
        }
    }
}

type Parameters = Vec<(&'static str, String)>;

fn with<T: ToString>(parameters: &mut Parameters, name: &'static str, value: Option<T>) {
    parameters.extend(value.map(|value| (name, value.to_string())));
}

#[async_trait]
impl LatencyBaselineSor for RemoteLimits {
    async fn learn(&self, call: &Call, new: NewLatencyBaseline) -> PortResult<Option<LatencyBaseline>> {
        let request =
            |outward: &Outward| outward.request(Method::POST, outward.url(["performance", "baselines"])).json(&new);
        self.learning.read(call, Repeatable::No, request).await
    }

    async fn page(&self, call: &Call, query: &LatencyBaselineQuery) -> PortResult<LatencyBaselinePage> {
        let mut parameters = vec![("limit", query.limit.to_string())];
        with(&mut parameters, "operationType", query.operation_type.as_ref());
        with(&mut parameters, "scope", query.scope.as_ref());
        with(
            &mut parameters,
            "active",
            Some(query.active.map_or_else(|| "all".to_owned(), |active| active.to_string())),
        );
        with(&mut parameters, "cursor", query.after.as_ref().map(Cursor::encode));
        let request = |outward: &Outward| {
            outward.request(Method::GET, outward.url(["performance", "baselines"])).query(&parameters)
        };
        let body: BaselinesBody = self.baselines.written(call, Repeatable::Yes, request).await?;
        Ok(LatencyBaselinePage { entries: body.baselines, next: Cursor::next(body.next_cursor)? })
    }

    async fn get(&self, call: &Call, id: i64) -> PortResult<Option<LatencyBaseline>> {
        let request = |outward: &Outward| {
            outward.request(Method::GET, outward.url(["performance", "baselines", &id.to_string()]))
        };
        self.baselines.read(call, Repeatable::Yes, request).await
    }

    async fn deactivate(&self, call: &Call, id: i64) -> PortResult<bool> {
        self.baselines.remove(call, &["performance", "baselines", &id.to_string()]).await
    }

    async fn health(&self, call: &Call, limit: u16) -> PortResult<Vec<LatencyBaselineHealth>> {
        let request = |outward: &Outward| {
            outward.request(Method::GET, outward.url(["performance", "baseline-health"])).query(&[("limit", limit)])
        };
        Ok(self.baselines.written::<HealthBody>(call, Repeatable::Yes, request).await?.baselines)
    }

    async fn types(&self, call: &Call, limit: u16) -> PortResult<Vec<OperationTypeRow>> {
        let request = |outward: &Outward| {
            outward.request(Method::GET, outward.url(["performance", "operation-types"])).query(&[("limit", limit)])
        };
        Ok(self.baselines.written::<TypesBody>(call, Repeatable::Yes, request).await?.types)
    }

    async fn set_type(&self, call: &Call, new: NewOperationType) -> PortResult<OperationTypeRow> {
        let request = |outward: &Outward| {
            outward.request(Method::POST, outward.url(["performance", "operation-types"])).json(&new)
        };
        self.baselines.written(call, Repeatable::Yes, request).await
    }
}

#[async_trait]
impl LatencyAlertSor for RemoteLimits {
    async fn page(&self, call: &Call, query: &LatencyAlertQuery) -> PortResult<LatencyAlertPage> {
        let mut parameters = vec![("limit", query.limit.to_string()), ("days", query.days.to_string())];
        for (name, value) in
            [("acknowledged", query.acknowledged), ("resolved", query.resolved), ("sustained", query.sustained)]
        {
            with(&mut parameters, name, value);
        }
        with(&mut parameters, "severity", query.severity.map(LimitSeverity::as_str));
        with(&mut parameters, "type", query.alert_type.map(LatencyAlertType::as_str));
        with(&mut parameters, "operationType", query.operation_type.as_ref());
        with(&mut parameters, "scope", query.scope.as_ref());
        with(&mut parameters, "cursor", query.after.as_ref().map(Cursor::encode));
        let request =
            |outward: &Outward| outward.request(Method::GET, outward.url(["performance", "alerts"])).query(&parameters);
        let body: AlertsBody = self.alerts.written(call, Repeatable::Yes, request).await?;
        Ok(LatencyAlertPage { entries: body.alerts, next: Cursor::next(body.next_cursor)? })
    }

    async fn get(&self, call: &Call, id: i64) -> PortResult<Option<LatencyAlert>> {
        let request =
            |outward: &Outward| outward.request(Method::GET, outward.url(["performance", "alerts", &id.to_string()]));
        self.alerts.read(call, Repeatable::Yes, request).await
    }

    async fn anomalies(&self, call: &Call) -> PortResult<Vec<Anomaly>> {
        let request = |outward: &Outward| outward.request(Method::GET, outward.url(["performance", "anomalies"]));
        Ok(self.alerts.written::<AnomaliesBody>(call, Repeatable::Yes, request).await?.anomalies)
    }

    async fn degradations(&self, call: &Call, days: LookbackDays) -> PortResult<Vec<Degradation>> {
        let request = |outward: &Outward| {
            outward.request(Method::GET, outward.url(["performance", "degradations"])).query(&[("days", days.get())])
        };
        Ok(self.alerts.written::<DegradationsBody>(call, Repeatable::Yes, request).await?.degradations)
    }

    async fn correlations(&self, call: &Call, query: &CorrelationQuery) -> PortResult<Vec<Correlation>> {
        let parameters = [("hours", query.hours.to_string()), ("threshold", query.threshold.get().to_string())];
        let request = |outward: &Outward| {
            outward.request(Method::GET, outward.url(["performance", "correlations"])).query(&parameters)
        };
        Ok(self.alerts.written::<CorrelationsBody>(call, Repeatable::Yes, request).await?.correlations)
    }

    async fn acknowledge(&self, call: &Call, id: i64, who: Acknowledgement) -> PortResult<Option<LatencyAlert>> {
        let request = |outward: &Outward| {
            let url = outward.url(["performance", "alerts", &id.to_string(), "acknowledge"]);
            outward.request(Method::PUT, url).json(&who)
        };
        self.alerts.read(call, Repeatable::No, request).await
    }
}
