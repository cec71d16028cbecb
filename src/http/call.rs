//! A [`Call`] across HTTP: made from a request, and told to another Flamewarden.
//!
//! | Header | Says |
//! |---|---|
//! | `x-request-id` | the id of the request |
//! | `traceparent` | the W3C trace |
//! | `X-Flamewarden-Actor` | who asks, `method:name`, percent-encoded |
//! | `X-Flamewarden-Client` | the address that it asks from |
//! | `X-Flamewarden-Deadline-Ms` | milliseconds left: no clocks are compared |
//! | `X-Flamewarden-Priority` | `scan` where it gives way to others |
//!
//! The deadline only shortens what a service takes, and the priority only lowers it.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::HeaderMap;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use reqwest::RequestBuilder;
use tokio::time::Instant;

use super::codes::Code;
use super::problem::Problem;
use crate::kernel::{AccessMethod, Actor, Call, Caller};

/// The id of a request.
pub(super) const REQUEST_ID: &str = "x-request-id";
const TRACE: &str = "traceparent";
const ACTOR: &str = "x-flamewarden-actor";
const CLIENT: &str = "x-flamewarden-client";
const DEADLINE: &str = "x-flamewarden-deadline-ms";
const PRIORITY: &str = "x-flamewarden-priority";
/// The priorities; only that of a scan is told, the other one is usual.
const SCAN: &str = "scan";
const PROMPT: &str = "prompt";

/// What an actor may hold unencoded.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// The id that the middleware gave a request.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub(super) Arc<str>);

impl FromRequest for Call {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(call_of(request))
    }
}

fn call_of(request: &HttpRequest) -> Result<Call, Problem> {
    let headers = request.headers();
    let caller = Caller { actor: actor_of(headers)?, client: client_of(request)?, projects: None };
    let mut call = Call::default().by(caller);
    if let Some(RequestId(id)) = request.extensions().get() {
        call = call.of_request(Arc::clone(id));
    }
    // W3C: what cannot be read is taken for absent.
    let trace = headers.get(TRACE).and_then(|value| value.to_str().ok()?.parse().ok());
    call = call.traced(trace);
    if let Some(left) = text(headers, DEADLINE)? {
        let left = left.parse().map_err(|_| invalid(DEADLINE, "must be whole milliseconds"))?;
        if let Some(deadline) = Instant::now().checked_add(Duration::from_millis(left)) {
            call = call.until(deadline);
        }
    }
    match text(headers, PRIORITY)? {
        None | Some(PROMPT) => Ok(call),
        Some(SCAN) => Ok(call.scanning()),
        Some(_) => Err(invalid(PRIORITY, "must be scan or prompt")),
    }
}

/// Who asks: whom another Flamewarden names, else whoever reaches an open server.
fn actor_of(headers: &HeaderMap) -> Result<Actor, Problem> {
    let Some(text) = text(headers, ACTOR)? else {
        let name = "local".parse().map_err(|_| invalid(ACTOR, "cannot be named"))?;
        return Ok(Actor { method: AccessMethod::Open, name });
    };
    let decoded = percent_decode(text.as_bytes()).decode_utf8().map_err(|_| invalid(ACTOR, "is not UTF-8"))?;
    decoded.parse().map_err(|error: crate::kernel::InvalidActor| invalid(ACTOR, &error.to_string()))
}

fn client_of(request: &HttpRequest) -> Result<Option<std::net::IpAddr>, Problem> {
    match text(request.headers(), CLIENT)? {
        Some(text) => text.parse().map(Some).map_err(|_| invalid(CLIENT, "must be an IP address")),
        None => Ok(request.peer_addr().map(|peer| peer.ip())),
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    value.to_str().map(Some).map_err(|_| invalid(name, "holds something else than ASCII"))
}

fn invalid(header: &str, why: &str) -> Problem {
    Problem::field(Code::ParameterInvalid, header, why)
}

/// Tells any server which request and trace its work is part of.
pub(super) fn identify(call: &Call, mut request: RequestBuilder) -> RequestBuilder {
    if let Some(id) = call.request_id() {
        request = request.header(REQUEST_ID, id);
    }
    if let Some(trace) = call.trace() {
        request = request.header(TRACE, trace.to_string());
    }
    request
}

/// Tells another Flamewarden who asks, until when and how urgently.
pub fn announce(call: &Call, mut request: RequestBuilder) -> RequestBuilder {
    if let Some(caller) = call.caller() {
        request = request.header(ACTOR, utf8_percent_encode(&caller.actor.to_string(), PLAIN).to_string());
        if let Some(client) = caller.client {
            request = request.header(CLIENT, client.to_string());
        }
    }
    let urgency = call.urgency();
    if let Some(deadline) = urgency.deadline {
        let left = deadline.saturating_duration_since(Instant::now());
        request = request.header(DEADLINE, left.as_millis().to_string());
    }
    if call.is_scan() { request.header(PRIORITY, SCAN) } else { request }
}
