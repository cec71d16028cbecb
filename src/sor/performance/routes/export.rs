//! Traces that OpenTelemetry's exporters send.

use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};

use super::Operations;
use super::intake::TraceIntake;
use crate::http::{Code, NoBody, NoParams, Problem, Query, RawBody, is_gzip};
use crate::kernel::{Call, Clock, offload};
use crate::protobuf::Encoding;
use crate::sor::performance::otlp::{ExportOutcome, ExportRefused, LeftOut, SentTraces, TraceExport, content_type};

/// When an exporter that was turned away may come again, in seconds.
const RETRY_AFTER_S: u32 = 2;

/// Export traces of OpenTelemetry
///
/// What SDKs of OpenTelemetry and Collectors send over HTTP: an `ExportTraceServiceRequest` as protobuf or JSON, plain or with
/// `Content-Encoding: gzip`. Set `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` to this route. gRPC is not taken. Each span is an
/// operation: its type is the span's name (up to 128 bytes; after 1,000 names of a service further ones are `other`), its scope
/// `service.name`, its user the attribute `user.id`, else `otlp`. It failed where its status is an error, and counts in
/// statistics unless it is an internal one with a parent. Up to 8 KiB of its attributes and 32 events are kept, no links.
/// Spans with invalid ids, that end before they begin, last over 31 days, or did not end from 7 days ago to 10 minutes ahead
/// are rejected, and the answer's `partialSuccess` says how many and why. The same message sent again is recorded once.
/// Limits: 8 MiB, 32 MiB inflated, 5,000 spans (of a Collector set `send_batch_max_size`).
#[utoipa::path(
    post, path = "/v1/traces", tag = "performance", operation_id = "exportTraces",
    request_body(
        description = "`ExportTraceServiceRequest`, as protobuf or JSON",
        content(
            (Object = "application/json", example = json!({
                "resourceSpans": [{
                    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "checkout"}}]},
                    "scopeSpans": [{"spans": [{
                        "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7", "name": "POST /orders",
                        "kind": 2, "startTimeUnixNano": "1706000000000000000", "endTimeUnixNano": "1706000000120000000",
                        "attributes": [{"key": "http.response.status_code", "value": {"intValue": "201"}}],
                    }]}],
                }],
            })),
            ("application/x-protobuf"),
            ("application/protobuf"),
        ),
    ),
    responses(
        (status = 200, description = "Recorded: an `ExportTraceServiceResponse`, with `partialSuccess` where spans were rejected", body = Object, content_type = "application/json", example = json!({"partialSuccess": {"rejectedSpans": "1", "errorMessage": "spans were rejected: 1 without a valid trace id and span id"}})),
        (status = 400, description = "`body_invalid`: no such request; `parameter_unknown`: it takes no parameters", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`: over a limit, which the text names", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`content_type_unsupported`: neither protobuf nor JSON, or a content encoding other than gzip", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`database_unavailable`, `overloaded`: come again after `Retry-After` seconds", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "`timeout`: the database did not answer in time", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = ["ingest"]), ("basic" = ["ingest"])),
)]
pub(in crate::sor::performance) async fn export_traces(
    port: Operations,
    call: Call,
    clock: web::Data<dyn Clock>,
    intake: web::Data<TraceIntake>,
    request: HttpRequest,
    _: Query<NoParams>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let unsupported = |why| Problem::new(Code::ContentTypeUnsupported, why);
    let encoding = encoding(request.headers()).map_err(unsupported)?;
    let gzip = is_gzip(request.headers()).map_err(unsupported)?;
    let RawBody { bytes: body, room: _room } = intake.body(request.headers(), payload).await.map_err(not_taken)?;
    let _turn = intake.turn().await.map_err(not_taken)?;
    let (sent, now) = (SentTraces { encoding, gzip, body }, clock.now());
    let read = offload("reading traces", move || TraceExport::read(sent, now)).await;
    let export = read.map_err(|error| Problem::of_relational(&error))?.map_err(|refused| problem(&refused))?;
    let (spans, left_out) = (export.spans.len(), export.left_out);
    let outcome = port.record_export(&call, export).await.map_err(|error| Problem::of_relational(&error))?;
    count(spans, left_out, &outcome);
    Ok(HttpResponse::Ok().content_type(content_type(encoding)).body(outcome.encode(encoding)))
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, String> {
    let said = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    Encoding::of(said, content_type(Encoding::Proto))
}

fn not_taken(why: NoBody) -> Problem {
    match why {
        NoBody::TooLarge(limit) => Problem::new(Code::BodyTooLarge, format!("the body is over {limit} bytes")),
        NoBody::CutOff(why) => Problem::new(Code::BodyInvalid, why),
        NoBody::Busy => {
            Problem::new(Code::Overloaded, "too many traces are being taken in, try again").retry_after(RETRY_AFTER_S)
        }
    }
}

fn problem(refused: &ExportRefused) -> Problem {
    let code = match refused {
        ExportRefused::Malformed(_) => Code::BodyInvalid,
        ExportRefused::TooLarge(_) => Code::BodyTooLarge,
    };
    Problem::new(code, refused.to_string())
}

/// Counts what of a request was recorded and what was not.
fn count(spans: usize, left_out: LeftOut, outcome: &ExportOutcome) {
    let LeftOut { attributes, events, links } = left_out;
    metrics::counter!("perf_recorded_total", "source" => "otlp").increment(spans as u64);
    for (reason, count) in [("span", outcome.rejected), ("attribute", attributes), ("event", events), ("link", links)] {
        if count > 0 {
            metrics::counter!("perf_refused_total", "reason" => reason).increment(count);
        }
    }
}
