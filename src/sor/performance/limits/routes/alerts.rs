//! Alerts of operations.

use actix_web::HttpResponse;
use serde::Deserialize;

use super::{Alerts, AlertsBody};
use crate::http::{
    BigRowKey, Body, Code, Cursor, Limit, NoParams, PathParam, Problem, Query, RelationalErrors, WriteErrors, answered,
    found,
};
use crate::kernel::{Call, LimitSeverity};
use crate::sor::performance::limits::{
    Acknowledgement, DEFAULT_LIMIT, LatencyAlert, LatencyAlertQuery, LatencyAlertType, MAX_LIMIT,
};
use crate::sor::performance::names::{OperationScope, OperationType};

/// Which alerts to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct LatencyAlertParams {
    /// Whether they are acknowledged; both if absent.
    acknowledged: Option<bool>,
    /// Whether they are resolved; both if absent.
    resolved: Option<bool>,
    /// Whether they are sustained, so that people are told; both if absent.
    sustained: Option<bool>,
    /// Only those of this severity.
    severity: Option<LimitSeverity>,
    /// Only those of this kind.
    #[serde(rename = "type")]
    #[param(rename = "type")]
    alert_type: Option<LatencyAlertType>,
    /// Only those of this type of operation.
    #[param(value_type = Option<String>, min_length = 1, max_length = 128, example = "commit")]
    operation_type: Option<OperationType>,
    /// Only those of a limit for this scope.
    #[param(value_type = Option<String>, max_length = 512)]
    scope: Option<OperationScope>,
    /// Within how many calendar days (UTC) they were opened, today included; 7 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 3_650, example = 7)]
    days: Option<Limit<{ LatencyAlertQuery::MOST_DAYS }>>,
    /// At most this many; 100 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1_000, example = 100)]
    limit: Option<Limit<{ MAX_LIMIT }>>,
    /// Continue here: `nextCursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<i64>>,
}

fn unknown() -> Problem {
    Problem::new(Code::LatencyAlertUnknown, "no alert of an operation has this id")
}

/// List alerts of operations
///
/// What is or was over a limit, newest first: one open row for each type and scope. Those that are sustained are alerts of
/// `GET /alerts` too.
#[utoipa::path(
    get, path = "/performance/alerts", tag = "performance", operation_id = "listLatencyAlerts",
    params(LatencyAlertParams),
    responses((status = 200, description = "One page", body = AlertsBody), RelationalErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn list_latency_alerts(
    port: Alerts,
    call: Call,
    params: Query<LatencyAlertParams>,
) -> Result<HttpResponse, Problem> {
    let params = params.into_inner();
    let query = LatencyAlertQuery {
        acknowledged: params.acknowledged,
        resolved: params.resolved,
        sustained: params.sustained,
        severity: params.severity,
        alert_type: params.alert_type,
        operation_type: params.operation_type,
        scope: params.scope,
        days: params.days.map_or(LatencyAlertQuery::DEFAULT_DAYS, Limit::get),
        limit: params.limit.map_or(DEFAULT_LIMIT, Limit::get),
        after: params.cursor.map(|cursor| cursor.0),
    };
    answered(port.page(&call, &query).await, |page| AlertsBody {
        count: page.entries.len(),
        next_cursor: page.next.as_ref().map(Cursor::encode),
        alerts: page.entries,
    })
}

/// Show an alert of operations
///
/// 404 if there is none of this id.
#[utoipa::path(
    get, path = "/performance/alerts/{id}", tag = "performance", operation_id = "showLatencyAlert",
    params(("id" = i64, Path, description = "the alert's id", example = 1)),
    responses(
        (status = 200, description = "The alert", body = LatencyAlert),
        (status = 404, description = "`latency_alert_unknown`: none has this id", body = Problem, content_type = "application/problem+json"),
        RelationalErrors,
    ),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn show_latency_alert(
    port: Alerts,
    call: Call,
    id: PathParam<BigRowKey>,
    _: Query<NoParams>,
) -> Result<HttpResponse, Problem> {
    let id = id.into_inner().known(Code::LatencyAlertUnknown)?;
    found::<LatencyAlert, _>(port.get(&call, id).await, unknown)
}

/// Acknowledge an alert of operations
///
/// Somebody looks after it. 409 where somebody said so before, who stays. The alert of `GET /alerts` is acknowledged within
/// seconds.
#[utoipa::path(
    put, path = "/performance/alerts/{id}/acknowledge", tag = "performance", operation_id = "acknowledgeLatencyAlert",
    params(("id" = i64, Path, description = "the alert's id", example = 1)),
    request_body = Acknowledgement,
    responses(
        (status = 200, description = "The alert", body = LatencyAlert),
        (status = 404, description = "`latency_alert_unknown`: none has this id", body = Problem, content_type = "application/problem+json"),
        WriteErrors,
    ),
    security(("bearer" = ["editor"]), ("basic" = ["editor"])),
)]
pub(super) async fn acknowledge_latency_alert(
    port: Alerts,
    call: Call,
    id: PathParam<BigRowKey>,
    _: Query<NoParams>,
    body: Body<Acknowledgement>,
) -> Result<HttpResponse, Problem> {
    let id = id.into_inner().known(Code::LatencyAlertUnknown)?;
    found::<LatencyAlert, _>(port.acknowledge(&call, id, body.into_inner()).await, unknown)
}
