//! What is done around every request: its id, its counts, its one log line, and errors in one shape.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, ResponseError, web};
use futures::FutureExt;
use percent_encoding::percent_decode_str;
use tracing::Instrument;

use super::call::{self, GivenUrgency, RequestId};
use super::codes::Code;
use super::compress;
use super::problem::{PROBLEM_JSON, Problem};
use crate::kernel::{Caller, IdSource, Trace};
use crate::telemetry::{REQUEST_DURATION, Recording, RequestScope, TraceSink, Work};

const REQUEST_ID: HeaderName = HeaderName::from_static(call::REQUEST_ID);
const MAX_REQUEST_ID_BYTES: usize = 128;

/// Does what is done around every route: request id, tracing span, counts, log line, and a problem document for an
/// error or a panic. The app's data must hold a `dyn IdSource`.
///
/// # Errors
/// Only where there is no request left to answer to, after a panic; the error carries the answer.
pub async fn handle_request<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let start = Instant::now();
    let id: Arc<str> = given_id(&request).unwrap_or_else(|| new_id(&request)).into();
    request.extensions_mut().insert(RequestId(Arc::clone(&id)));
    let method = request.method().clone();
    if method == Method::HEAD {
        // What answers GET answers HEAD; the connection leaves the body out.
        request.head_mut().method = Method::GET;
    }
    let path = request.path().to_owned();
    let gzip = compress::accepts_gzip(request.headers());
    let urgency = GivenUrgency::of(request.headers());
    let given = call::trace_of(request.headers());
    let sink = request.app_data::<web::Data<dyn TraceSink>>().cloned();
    let recording = sink.as_ref().and_then(|sink| sink.begin(Work::Request(method.as_str(), &path), given));
    let scope = RequestScope::recorded(Arc::clone(&id), recording.clone());
    let span = tracing::info_span!("request", request_id = %id, trace_id = tracing::field::Empty);
    if let Some(trace_id) = recording.as_ref().map(|recording| recording.trace_id()).or(given.map(Trace::trace_id)) {
        span.record("trace_id", format!("{trace_id:032x}"));
    }
    let outcome = scope
        .clone()
        .run(async {
            let answer = AssertUnwindSafe(next.call(request)).catch_unwind().await;
            RequestOutcome::of(answer.unwrap_or_else(|panic| Err(Problem::internal_error(panic_text(&*panic)).into())))
        })
        .instrument(span.clone())
        .await;
    span.in_scope(|| log((&method, &path), urgency, &outcome, start.elapsed(), &scope));
    if let (Some(sink), Some(recording)) = (sink, recording) {
        outcome.recorded(&recording, &**sink);
    }
    let id = HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static(""));
    match outcome.answer {
        Ok(mut answer) => {
            answer.headers_mut().insert(REQUEST_ID, id);
            if gzip {
                let (request, answer) = answer.into_parts();
                return Ok(ServiceResponse::new(request, compress::gzip(answer).await));
            }
            Ok(answer)
        }
        Err(mut answer) => {
            answer.headers_mut().insert(REQUEST_ID, id);
            Err(InternalError::from_response("", answer).into())
        }
    }
}

/// How a request ended.
struct RequestOutcome {
    answer: Result<ServiceResponse<BoxBody>, HttpResponse>,
    route: String,
    problem: Option<Problem>,
}

impl RequestOutcome {
    /// Reads the answer and turns every error into a problem document. It runs within the request's scope, because the
    /// document names the request.
    fn of<B: MessageBody + 'static>(answer: Result<ServiceResponse<B>, Error>) -> Self {
        let answer = match answer {
            Ok(answer) => answer.map_into_boxed_body(),
            Err(error) => {
                let problem = problem_of(&error);
                let answer = Err(problem.error_response());
                return Self { answer, route: "none".to_owned(), problem: Some(problem) };
            }
        };
        let route = answer.request().match_pattern().unwrap_or_else(|| "none".to_owned());
        if !answer.status().is_client_error() && !answer.status().is_server_error() {
            return Self { answer: Ok(answer), route, problem: None };
        }
        let problem = answer.response().error().map(problem_of);
        if is_told(answer.response()) {
            return Self { answer: Ok(answer), route, problem };
        }
        let problem = problem.unwrap_or_else(|| problem_of_status(answer.status(), "the framework refused it"));
        let response = problem.error_response();
        Self { answer: Ok(answer.into_response(response)), route, problem: Some(problem) }
    }

    /// Hands in what the request was made of, unless no route took it.
    fn recorded(&self, recording: &Recording, sink: &dyn TraceSink) {
        let Ok(answer) = &self.answer else { return };
        let request = answer.request();
        if request.match_pattern().is_none() {
            return;
        }
        let app = request.match_info().get("appName").unwrap_or_default();
        let app = percent_decode_str(app).decode_utf8_lossy().into_owned();
        let user = request.extensions().get::<Caller>().map(|caller| caller.actor.to_string());
        let status = self.status();
        let failed = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        let error = failed.then(|| self.problem.as_ref().map_or("internal", |problem| problem.code().id()));
        sink.end(recording.finish(app, user.unwrap_or_else(|| "open:local".to_owned()), error));
    }

    fn status(&self) -> StatusCode {
        match &self.answer {
            Ok(answer) => answer.status(),
            Err(answer) => answer.status(),
        }
    }
}

/// Whether an error answer already has a body of its own.
fn is_told(answer: &HttpResponse) -> bool {
    let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    kind.starts_with(PROBLEM_JSON) || kind.starts_with("application/json")
}

fn problem_of(error: &Error) -> Problem {
    error.as_error::<Problem>().cloned().unwrap_or_else(|| {
        let status = error.as_response_error().status_code();
        problem_of_status(status, &error.to_string())
    })
}

/// The problem document for a refusal of the framework.
fn problem_of_status(status: StatusCode, text: &str) -> Problem {
    let (code, detail) = match status {
        StatusCode::NOT_FOUND => (Code::RouteUnknown, "no such route"),
        StatusCode::METHOD_NOT_ALLOWED => (Code::MethodNotAllowed, "the method is not allowed here"),
        StatusCode::PAYLOAD_TOO_LARGE => (Code::BodyTooLarge, "the body is too large"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => (Code::ContentTypeUnsupported, "the content type is not supported"),
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => (Code::Timeout, "the request took too long"),
        StatusCode::SERVICE_UNAVAILABLE => (Code::NotReady, "the server is not ready"),
        status if status.is_client_error() => (Code::BodyInvalid, "the request cannot be read"),
        _ => return Problem::internal_error(text),
    };
    Problem::new(code, detail).because(text)
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", text.unwrap_or("without a text"))
}

/// The caller's id, if it is short, visible ASCII without quotes.
fn given_id(request: &ServiceRequest) -> Option<String> {
    let id = request.headers().get(REQUEST_ID)?.to_str().ok()?;
    let sane = !id.is_empty()
        && id.len() <= MAX_REQUEST_ID_BYTES
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=@".contains(&b));
    sane.then(|| id.to_owned())
}

fn new_id(request: &ServiceRequest) -> String {
    request.app_data::<web::Data<dyn IdSource>>().map_or_else(String::new, |ids| ids.next().to_string())
}

fn log(
    (method, path): (&Method, &str),
    urgency: GivenUrgency,
    outcome: &RequestOutcome,
    took: Duration,
    scope: &RequestScope,
) {
    let GivenUrgency { deadline_ms, scan } = urgency;
    let status = outcome.status();
    let route = outcome.route.as_str();
    metrics::histogram!(
        REQUEST_DURATION, "method" => label(method), "route" => route.to_owned(), "status" => status.as_u16().to_string()
    )
    .record(took);
    let ((queries, db_us), (upstream_calls, upstream_us)) = (scope.queries(), scope.upstream_calls());
    let duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    macro_rules! line {
        ($level:expr $(, $($more:tt)+)?) => {
            tracing::event!(
                $level, method = method.as_str(), route, path, status = status.as_u16(), duration_us, queries, db_us,
                upstream_calls, upstream_us, scan, deadline_ms $(, $($more)+)?, "answered"
            )
        };
    }
    match &outcome.problem {
        None if status.is_server_error() => line!(tracing::Level::WARN),
        None => line!(tracing::Level::INFO),
        Some(problem) => {
            let (code, error) = (problem.code().id(), problem.internal().unwrap_or(problem.detail()));
            match status {
                StatusCode::INTERNAL_SERVER_ERROR => line!(tracing::Level::ERROR, code, error),
                status if status.is_server_error() => line!(tracing::Level::WARN, code, error),
                _ => line!(tracing::Level::INFO, code, error),
            }
        }
    }
}

/// The method as a label. Unknown methods share one label, so that callers cannot create labels.
fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}
