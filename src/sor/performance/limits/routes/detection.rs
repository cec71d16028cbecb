//! What became slower, and what becomes slower together.

use actix_web::HttpResponse;
use serde::Deserialize;

use super::{Alerts, AnomaliesBody, CorrelationsBody, DegradationsBody};
use crate::http::{Limit, NoParams, Problem, Query, RelationalErrors, answered};
use crate::kernel::Call;
use crate::sor::performance::limits::{Coefficient, CorrelationQuery, LookbackDays};

/// List operations that were much slower within an hour
///
/// The median duration of the last hour that is rolled up is compared with those of the hours of the 7 days before: at least 30
/// hours, each with 30 operations or more. An operation is listed if its modified z-score is 3.5 or more and its median is at
/// least 1.5 times the usual one.
#[utoipa::path(
    get, path = "/performance/anomalies", tag = "performance", operation_id = "listOperationAnomalies",
    responses((status = 200, description = "The operations, the worst first", body = AnomaliesBody), RelationalErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn list_anomalies(port: Alerts, call: Call, _: Query<NoParams>) -> Result<HttpResponse, Problem> {
    answered(port.anomalies(&call).await, |anomalies| AnomaliesBody { anomalies })
}

/// The days whose two halves are compared.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DegradationParams {
    /// How many days until now; 7 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 35, example = 7)]
    days: Option<Limit<35>>,
}

/// List operations that became slower over days
///
/// Those whose 99th percentile is 20 % or more above that of the first half of the days, with at least 100 operations in each.
#[utoipa::path(
    get, path = "/performance/degradations", tag = "performance", operation_id = "listOperationDegradations",
    params(DegradationParams),
    responses((status = 200, description = "The operations, the largest first", body = DegradationsBody), RelationalErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn list_degradations(
    port: Alerts,
    call: Call,
    params: Query<DegradationParams>,
) -> Result<HttpResponse, Problem> {
    let days = params.into_inner().days.and_then(|days| LookbackDays::try_from(i64::from(days.get())).ok());
    answered(port.degradations(&call, days.unwrap_or_default()).await, |degradations| DegradationsBody { degradations })
}

/// Which operations to compare with each other.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CorrelationParams {
    /// How many hours to compare; 168 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 840, example = 168)]
    hours: Option<Limit<{ CorrelationQuery::MOST_HOURS }>>,
    /// From which coefficient on: 0 to 1, 0.75 if absent.
    #[param(value_type = Option<f64>, minimum = 0, maximum = 1, example = 0.75)]
    threshold: Option<Coefficient>,
}

/// List operations that become slower together
///
/// Pairs of tracked operations of the same scope whose hourly medians go together, by Pearson's coefficient over at least 24
/// common hours, and what they may both wait for.
#[utoipa::path(
    get, path = "/performance/correlations", tag = "performance", operation_id = "listOperationCorrelations",
    params(CorrelationParams),
    responses((status = 200, description = "The pairs, the closest first", body = CorrelationsBody), RelationalErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn list_correlations(
    port: Alerts,
    call: Call,
    params: Query<CorrelationParams>,
) -> Result<HttpResponse, Problem> {
    let params = params.into_inner();
    let query = CorrelationQuery {
        hours: params.hours.map_or(CorrelationQuery::DEFAULT_HOURS, Limit::get),
        threshold: params.threshold.unwrap_or_default(),
    };
    answered(port.correlations(&call, &query).await, |correlations| CorrelationsBody { correlations })
}
