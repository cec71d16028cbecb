//! Traces that OpenTelemetry's exporters send.

use std::time::Duration;

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::Operations;
use crate::http::{Code, NoParams, Problem, Query};
use crate::kernel::{Call, Clock, offload};
use crate::protobuf::Encoding;
use crate::sor::performance::otlp::{
    ExportOutcome, ExportRefused, LeftOut, MOST_BYTES, SentTraces, TraceExport, content_type,
};

/// The most KiB of bodies in memory at the same time: 64 MiB.
const MOST_KIB: usize = 64 << 10;
/// The most requests that are read and recorded at the same time; others wait with their bodies.
const MOST_AT_ONCE: usize = 4;
/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// When an exporter that was turned away may come again, in seconds.
const RETRY_AFTER_S: u32 = 2;

/// The memory for bodies, of the whole process.
static BODIES: Semaphore = Semaphore::const_new(MOST_KIB);
/// The turns to be read and recorded, of the whole process.
static TURNS: Semaphore = Semaphore::const_new(MOST_AT_ONCE);

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
    request: HttpRequest,
    _: Query<NoParams>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let (encoding, gzip) = (encoding(&request)?, is_gzip(&request)?);
    let (_room, body) = read_body(&request, payload).await?;
    let _turn = timeout(PATIENCE, TURNS.acquire()).await.map_err(|_| busy())?;
    let (sent, now) = (SentTraces { encoding, gzip, body }, clock.now());
    let read = offload("reading traces", move || TraceExport::read(sent, now)).await;
    let export = read.map_err(|error| Problem::of_relational(&error))?.map_err(|refused| problem(&refused))?;
    let (spans, left_out) = (export.spans.len(), export.left_out);
    let outcome = port.record_export(&call, export).await.map_err(|error| Problem::of_relational(&error))?;
    count(spans, left_out, &outcome);
    Ok(HttpResponse::Ok().content_type(content_type(encoding)).body(outcome.encode(encoding)))
}

fn header(request: &HttpRequest, name: HeaderName) -> Option<&str> {
    request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

fn encoding(request: &HttpRequest) -> Result<Encoding, Problem> {
    let encoding = Encoding::of(header(request, CONTENT_TYPE), content_type(Encoding::Proto));
    encoding.map_err(|why| Problem::new(Code::ContentTypeUnsupported, why))
}

fn is_gzip(request: &HttpRequest) -> Result<bool, Problem> {
    match header(request, CONTENT_ENCODING).unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(false),
        "gzip" => Ok(true),
        other => {
            let why = format!("the content encoding {other:?} is not taken, gzip is");
            Err(Problem::new(Code::ContentTypeUnsupported, why))
        }
    }
}

/// Reads the body, and the part of the memory for bodies that it takes.
async fn read_body(
    request: &HttpRequest,
    mut payload: web::Payload,
) -> Result<(SemaphorePermit<'static>, Bytes), Problem> {
    let too_large = || Problem::new(Code::BodyTooLarge, format!("the body is over {MOST_BYTES} bytes"));
    let said = header(request, CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    // A body of a length that is not said may be of the largest.
    let length = said.unwrap_or(MOST_BYTES);
    if length > MOST_BYTES {
        return Err(too_large());
    }
    let kib = u32::try_from(length.div_ceil(1 << 10)).map_err(|_| too_large())?;
    let room = BODIES.try_acquire_many(kib).map_err(|_| busy())?;
    let mut body = BytesMut::with_capacity(said.unwrap_or_default());
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| Problem::new(Code::BodyInvalid, format!("the body was cut off: {error}")))?;
        if body.len() + chunk.len() > MOST_BYTES {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok((room, body.freeze()))
}

fn busy() -> Problem {
    Problem::new(Code::Overloaded, "too many traces are being taken in, try again").retry_after(RETRY_AFTER_S)
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
