//! Spans: operations that are told when they begin and when they end.

use actix_web::{HttpResponse, web};

use super::{Operations, TimeErrors};
use crate::http::{Body, Code, NoParams, PathParam, Problem, Query, WriteErrors, created, found};
use crate::kernel::{Call, Clock, Text255};
use crate::sor::performance::domain::check_time;
use crate::sor::performance::spans::{BegunSpan, EndedSpan, NewSpan, SpanEnd};

/// Begin a span
///
/// An operation that is part of a trace, when it begins. A child of a span that is known belongs to its trace. A span that
/// nobody ends within 24 hours (`performance.span_timeout`) ends as failed, with the error code `SPAN_ABANDONED`.
#[utoipa::path(
    post, path = "/performance/spans", tag = "performance", operation_id = "beginSpan",
    request_body = NewSpan,
    responses((status = 201, description = "The span", body = BegunSpan), WriteErrors, TimeErrors),
    security(("bearer" = ["ingest"]), ("basic" = ["ingest"])),
)]
pub(in crate::sor::performance) async fn begin_span(
    port: Operations,
    call: Call,
    clock: web::Data<dyn Clock>,
    _: Query<NoParams>,
    body: Body<NewSpan>,
) -> Result<HttpResponse, Problem> {
    let span = body.into_inner();
    in_range("/startedAt", span.started_at, &**clock)?;
    created::<BegunSpan, _>(port.begin_span(&call, span).await)
}

/// End a span
///
/// The span is part of its trace from then on. 404 if no span of that id was begun; 409 if it has ended, which is known for an
/// hour.
#[utoipa::path(
    put, path = "/performance/spans/{spanId}/end", tag = "performance", operation_id = "endSpan",
    params(("spanId" = String, Path, description = "the id that was given or answered when it was begun",
        example = "00f067aa0ba902b7")),
    request_body = SpanEnd,
    responses(
        (status = 200, description = "The span", body = EndedSpan),
        (status = 404, description = "`span_unknown`: no span of this id was begun", body = Problem, content_type = "application/problem+json"),
        WriteErrors,
        TimeErrors,
    ),
    security(("bearer" = ["ingest"]), ("basic" = ["ingest"])),
)]
pub(in crate::sor::performance) async fn end_span(
    port: Operations,
    call: Call,
    clock: web::Data<dyn Clock>,
    id: PathParam<Text255>,
    _: Query<NoParams>,
    body: Body<SpanEnd>,
) -> Result<HttpResponse, Problem> {
    let end = body.into_inner();
    in_range("/endedAt", end.ended_at, &**clock)?;
    let unknown = || Problem::new(Code::SpanUnknown, "no span of this id was begun");
    found::<EndedSpan, _>(port.end_span(&call, &id.into_inner(), end).await, unknown)
}

fn in_range(member: &str, at: Option<chrono::DateTime<chrono::Utc>>, clock: &dyn Clock) -> Result<(), Problem> {
    let checked = at.map(|at| check_time(at, clock.now())).transpose();
    checked.map(drop).map_err(|why| Problem::field(Code::TimeOutOfRange, member, why.to_string()))
}
