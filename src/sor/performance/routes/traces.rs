//! Traces: what an operation was made of.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::Operations;
use crate::http::{Code, Cursor, Limit, NoParams, PathParam, Problem, Query, RelationalErrors, TimeParam, found, json};
use crate::kernel::{Call, Clock, Text255};
use crate::sor::performance::domain::Micros;
use crate::sor::performance::names::{OperationScope, OperationType};
use crate::sor::performance::spans::{SpanStatus, TracePosition, TraceQuery};
use crate::sor::performance::tree::Trace;
use crate::sor::performance::window::{WindowErrors, window};
use crate::sor::performance::wire::TracesBody;

/// Which traces to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::sor::performance) struct TraceParams {
    /// Only traces whose root is of this type.
    #[param(value_type = Option<String>, min_length = 1, max_length = 128, example = "triage")]
    operation_type: Option<OperationType>,
    /// Only traces whose root belongs to this.
    #[param(value_type = Option<String>, max_length = 512)]
    scope: Option<OperationScope>,
    /// Only traces whose root stands so.
    status: Option<SpanStatus>,
    /// Only traces whose root took at least so long, in microseconds.
    #[param(value_type = Option<i64>, minimum = 0, maximum = 2_678_400_000_000_i64)]
    min_duration_us: Option<Micros>,
    /// Only traces whose root ended at or after this time, or runs: epoch seconds, RFC 3339, `now`, `now-90m`; an hour ago if
    /// absent.
    #[param(value_type = Option<String>, example = "now-1h")]
    from: Option<TimeParam>,
    /// Only traces whose root began before this time.
    #[param(value_type = Option<String>, example = "now")]
    to: Option<TimeParam>,
    /// At most this many traces; 100 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1_000, example = 100)]
    limit: Option<Limit<{ TraceQuery::MAX_LIMIT }>>,
    /// Continue here: `nextCursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<TracePosition>>,
}

/// List traces
///
/// By their roots, newest first. A span whose parent is not there is a root.
#[utoipa::path(
    get, path = "/performance/traces", tag = "performance", operation_id = "listTraces",
    params(TraceParams),
    responses((status = 200, description = "One page", body = TracesBody), RelationalErrors, WindowErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(in crate::sor::performance) async fn list_traces(
    port: Operations,
    call: Call,
    clock: web::Data<dyn Clock>,
    params: Query<TraceParams>,
) -> Result<HttpResponse, Problem> {
    let params = params.into_inner();
    let (from, to) = window((params.from, params.to), TraceQuery::DEFAULT_WINDOW, &**clock)?;
    let query = TraceQuery {
        operation_type: params.operation_type,
        scope: params.scope,
        status: params.status,
        min_duration: params.min_duration_us,
        from,
        to,
        limit: params.limit.map_or(TraceQuery::DEFAULT_LIMIT, Limit::get),
        after: params.cursor.map(|cursor| cursor.0),
    };
    let page = port.traces(&call, &query).await.map_err(|e| Problem::of_relational(&e))?;
    let (count, next_cursor) = (page.entries.len(), page.next.as_ref().map(Cursor::encode));
    json(StatusCode::OK, &TracesBody { count, traces: page.entries, next_cursor })
}

/// Show a trace
///
/// Its spans depth first, at most 10,000, each with the time that none of its children ran. 404 if there is none.
#[utoipa::path(
    get, path = "/performance/traces/{traceId}", tag = "performance", operation_id = "showTrace",
    params(("traceId" = String, Path, description = "32 hexadecimal digits, a UUID, or the text that was given",
        example = "4bf92f3577b34da6a3ce929d0e0e4736")),
    responses(
        (status = 200, description = "The trace", body = Trace),
        (status = 404, description = "`trace_unknown`: no span of this trace is there", body = Problem, content_type = "application/problem+json"),
        RelationalErrors,
    ),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(in crate::sor::performance) async fn show_trace(
    port: Operations,
    call: Call,
    id: PathParam<Text255>,
    _: Query<NoParams>,
) -> Result<HttpResponse, Problem> {
    let unknown = || Problem::new(Code::TraceUnknown, "no span of this trace is there");
    found::<Trace, _>(port.trace(&call, &id.into_inner()).await, unknown)
}
