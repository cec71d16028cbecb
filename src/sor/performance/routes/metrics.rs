//! Operations that ended.

use actix_web::{HttpRequest, HttpResponse, web};

use super::{Operations, TimeErrors};
use crate::http::{
    BigRowKey, Body, Code, NoParams, PathParam, Problem, Query, RelationalErrors, WriteErrors, answered, created,
    found, idempotency_key,
};
use crate::kernel::{Call, Clock};
use crate::sor::performance::domain::{Metric, MetricBatch, RecordedBatch, RecordedMetric};
use crate::sor::performance::wire::{NewMetricBody, NewMetricsBody};

/// Record an operation
///
/// What was done, and how long it took. A repeated `Idempotency-Key` answers what was answered the first time, for 24 hours.
#[utoipa::path(
    post, path = "/performance/metrics", tag = "performance", operation_id = "recordMetric",
    params(("Idempotency-Key" = Option<Uuid>, Header, description = "the same key is the same request",
        example = "018d3f3e-7c1a-7000-8000-000000000010")),
    request_body = NewMetricBody,
    responses((status = 201, description = "The row's id", body = RecordedMetric), WriteErrors, TimeErrors),
    security(("bearer" = ["ingest"]), ("basic" = ["ingest"])),
)]
pub(in crate::sor::performance) async fn record_metric(
    port: Operations,
    call: Call,
    clock: web::Data<dyn Clock>,
    request: HttpRequest,
    _: Query<NoParams>,
    body: Body<NewMetricBody>,
) -> Result<HttpResponse, Problem> {
    let key = idempotency_key(&request)?;
    let metric = body.into_inner().checked(clock.now())?;
    let recorded = port.record(&call, metric, key).await;
    count(recorded.as_ref().map_or(0, |_| 1), 0);
    created::<RecordedMetric, _>(recorded)
}

/// Record several operations
///
/// Up to 5,000, in one transaction. One with a value that is not valid is rejected and does not affect the others; a member of
/// a wrong type or name refuses all. A repeated `Idempotency-Key` answers what was answered the first time, for 24 hours.
#[utoipa::path(
    post, path = "/performance/metrics/batch", tag = "performance", operation_id = "recordMetrics",
    params(("Idempotency-Key" = Option<Uuid>, Header, description = "the same key is the same request",
        example = "018d3f3e-7c1a-7000-8000-000000000011")),
    request_body = NewMetricsBody,
    responses((status = 200, description = "What became of them", body = RecordedBatch), WriteErrors),
    security(("bearer" = ["ingest"]), ("basic" = ["ingest"])),
)]
pub(in crate::sor::performance) async fn record_metrics(
    port: Operations,
    call: Call,
    clock: web::Data<dyn Clock>,
    request: HttpRequest,
    _: Query<NoParams>,
    body: Body<NewMetricsBody>,
) -> Result<HttpResponse, Problem> {
    let key = idempotency_key(&request)?;
    let body = body.into_inner();
    let given = body.metrics.len();
    if given > MetricBatch::MAX {
        let most = MetricBatch::MAX;
        return Err(Problem::new(Code::BodyTooLarge, format!("{given} metrics, at most {most} are taken at once")));
    }
    let recorded = port.record_all(&call, body.checked(clock.now()), key).await;
    if let Ok(batch) = &recorded {
        count(batch.accepted, batch.rejected.len());
    }
    answered(recorded, RecordedBatch::from)
}

fn count(recorded: usize, rejected: usize) {
    metrics::counter!("perf_recorded_total", "source" => "rest").increment(recorded as u64);
    if rejected > 0 {
        metrics::counter!("perf_refused_total", "reason" => "metric").increment(rejected as u64);
    }
}

/// Show a metric
///
/// The row of an id that was answered to a recording. 404 if there is none.
#[utoipa::path(
    get, path = "/performance/metrics/{id}", tag = "performance", operation_id = "showMetric",
    params(("id" = i64, Path, description = "the row's id", example = 1)),
    responses(
        (status = 200, description = "The row", body = Metric),
        (status = 404, description = "`metric_unknown`: no row has this id", body = Problem, content_type = "application/problem+json"),
        RelationalErrors,
    ),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(in crate::sor::performance) async fn show_metric(
    port: Operations,
    call: Call,
    id: PathParam<BigRowKey>,
    _: Query<NoParams>,
) -> Result<HttpResponse, Problem> {
    let id = id.into_inner().known(Code::MetricUnknown)?;
    let unknown = || Problem::new(Code::MetricUnknown, "no metric has this id");
    found::<Metric, _>(port.metric(&call, id).await, unknown)
}
