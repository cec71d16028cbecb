//! How a [`Call`] crosses HTTP: it is made from the headers of a request, and sent to another Flamewarden in headers.
//!
//! | Header | Says |
//! |---|---|
//! | `x-request-id` | the id of the request |
//! | `traceparent` | the W3C trace |
//! | `X-Flamewarden-Actor` | who asks, `method:name`, percent-encoded |
//! | `X-Flamewarden-Client` | the address that it asks from |
//! | `User-Agent` | what the client calls itself, cut to 255 bytes |
//! | `X-Flamewarden-Deadline-Ms` | milliseconds left: no clocks are compared |
//! | `X-Flamewarden-Priority` | `scan` where it gives way to others |
//!
//! A deadline can only shorten the time that a service takes, and a priority can only lower its own.

use std::future::{Ready, ready};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderMap, USER_AGENT};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use reqwest::RequestBuilder;
use tokio::time::Instant;

use super::codes::Code;
use super::problem::Problem;
use crate::kernel::{AccessMethod, Actor, Call, Caller, Text255, Trace};
use crate::telemetry::outgoing_trace;

/// The id of a request.
pub(super) const REQUEST_ID: &str = "x-request-id";
const TRACE: &str = "traceparent";
const ACTOR: &str = "x-flamewarden-actor";
const CLIENT: &str = "x-flamewarden-client";
const DEADLINE: &str = "x-flamewarden-deadline-ms";
const PRIORITY: &str = "x-flamewarden-priority";
/// The longest name of a client that is kept, in bytes.
const LONGEST_AGENT: usize = 255;
/// The priorities. Only that of a scan is sent; the other is the usual one.
const SCAN: &str = "scan";
const PROMPT: &str = "prompt";

/// The characters of an actor that are not percent-encoded.
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
    let mut call = Call::default().by(caller_of(request));
    if let Some(RequestId(id)) = request.extensions().get() {
        call = call.of_request(Arc::clone(id));
    }
    // What is not ASCII is nobody's name.
    let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
    if let Some(agent) = agent.and_then(|agent| agent.get(..agent.len().min(LONGEST_AGENT))) {
        call = call.from_agent(agent);
    }
    call = call.traced(trace_of(headers));
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

/// The caller, as whoever checked its credentials left it with the request; without such a check anybody, from the
/// address of the peer.
fn caller_of(request: &HttpRequest) -> Caller {
    if let Some(caller) = request.extensions().get::<Caller>() {
        return caller.clone();
    }
    let actor = Actor { method: AccessMethod::Open, name: Text255::literal("local") };
    Caller { actor, client: request.peer_addr().map(|peer| peer.ip()), projects: None }
}

/// The trace that the caller said. W3C: what cannot be read is taken for absent.
pub(super) fn trace_of(headers: &HeaderMap) -> Option<Trace> {
    headers.get(TRACE).and_then(|value| value.to_str().ok()?.parse().ok())
}

/// How urgent another Flamewarden says that a call is, for the log.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct GivenUrgency {
    /// Milliseconds left when it was sent.
    pub(super) deadline_ms: Option<u64>,
    /// Whether prompt calls go first.
    pub(super) scan: bool,
}

impl GivenUrgency {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        Self { deadline_ms: text(DEADLINE).and_then(|ms| ms.parse().ok()), scan: text(PRIORITY) == Some(SCAN) }
    }
}

/// Whom another Flamewarden acts for, and the address that these ask from.
///
/// # Errors
/// `parameter_invalid` for a header that cannot be read.
pub fn announced(headers: &HeaderMap) -> Result<(Option<Actor>, Option<IpAddr>), Problem> {
    let actor = text(headers, ACTOR)?.map(|text| {
        let decoded = percent_decode(text.as_bytes()).decode_utf8().map_err(|_| invalid(ACTOR, "is not UTF-8"))?;
        decoded.parse().map_err(|error: crate::kernel::InvalidActor| invalid(ACTOR, &error.to_string()))
    });
    let client = text(headers, CLIENT)?.map(|text| text.parse().map_err(|_| invalid(CLIENT, "must be an IP address")));
    Ok((actor.transpose()?, client.transpose()?))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    value.to_str().map(Some).map_err(|_| invalid(name, "holds something else than ASCII"))
}

fn invalid(header: &str, why: &str) -> Problem {
    Problem::field(Code::ParameterInvalid, header, why)
}

/// Adds the headers that tell any server which request and trace its work belongs to.
pub(super) fn identify(call: &Call, mut request: RequestBuilder) -> RequestBuilder {
    if let Some(id) = call.request_id() {
        request = request.header(REQUEST_ID, id);
    }
    // The span that the call is part of, where this server records it.
    if let Some(trace) = outgoing_trace().or(call.trace()) {
        request = request.header(TRACE, trace.to_string());
    }
    request
}

/// Adds the headers that tell another Flamewarden who asks, until when, and how urgently.
pub fn announce(call: &Call, mut request: RequestBuilder) -> RequestBuilder {
    if let Some(caller) = call.caller() {
        request = request.header(ACTOR, utf8_percent_encode(&caller.actor.to_string(), PLAIN).to_string());
        if let Some(client) = caller.client {
            request = request.header(CLIENT, client.to_string());
        }
    }
    if let Some(agent) = call.agent() {
        request = request.header(reqwest::header::USER_AGENT, agent);
    }
    let urgency = call.urgency();
    if let Some(deadline) = urgency.deadline {
        let left = deadline.saturating_duration_since(Instant::now());
        request = request.header(DEADLINE, left.as_millis().to_string());
    }
    if call.is_scan() { request.header(PRIORITY, SCAN) } else { request }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use actix_web::http::StatusCode;
    use actix_web::test::TestRequest;
    use actix_web::{HttpResponse, web};
    use reqwest::Method;
    use rstest::rstest;

    use super::*;
    use crate::http::Peer;
    use crate::http::peer::Repeatable;
    use crate::http::testing::Served;
    use crate::kernel::Priority;

    const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    /// The call as another Flamewarden has it, which is asked for this one.
    async fn carried(call: &Call) -> Call {
        let seen = web::Data::new(Mutex::new(None));
        let kept = seen.clone();
        let served = Served::with(move |app| {
            app.app_data(kept.clone()).route("/baselines", web::get().to(keep));
        });
        let peer = Peer::new(served.client(), Code::BaselineUnknown);
        let ask = |outward: &crate::http::Outward| outward.request(Method::GET, outward.url(["baselines"]));
        assert_eq!(peer.read::<u32>(call, Repeatable::No, ask).await, Ok(Some(7)));
        seen.lock().unwrap().take().unwrap()
    }

    async fn keep(call: Call, id: web::Header<GivenId>, kept: web::Data<Mutex<Option<Call>>>) -> HttpResponse {
        // In a whole server the middleware takes the id from the header.
        let call = match id.into_inner().0 {
            Some(id) => call.of_request(id),
            None => call,
        };
        *kept.lock().unwrap() = Some(call);
        HttpResponse::Ok().json(7)
    }

    struct GivenId(Option<String>);

    impl actix_web::http::header::Header for GivenId {
        fn name() -> actix_web::http::header::HeaderName {
            actix_web::http::header::HeaderName::from_static(REQUEST_ID)
        }

        fn parse<M: HttpMessage>(message: &M) -> Result<Self, actix_web::error::ParseError> {
            let id = message.headers().get(REQUEST_ID).map(|id| id.to_str().unwrap().to_owned());
            Ok(Self(id))
        }
    }

    impl actix_web::http::header::TryIntoHeaderValue for GivenId {
        type Error = actix_web::http::header::InvalidHeaderValue;

        fn try_into_value(self) -> Result<actix_web::http::header::HeaderValue, Self::Error> {
            self.0.unwrap_or_default().try_into()
        }
    }

    #[actix_web::test]
    async fn who_asks_and_from_where_is_carried() {
        for name in ["ci", "größe:%2F 🔥"] {
            let actor = Actor { method: AccessMethod::Token, name: name.parse().unwrap() };
            let caller = Caller { actor, client: Some("2001:db8::7".parse().unwrap()), projects: None };
            assert_eq!(carried(&Call::default().by(caller.clone())).await.caller(), Some(&caller));
        }
        assert_eq!(carried(&Call::system("spool")).await.caller().unwrap().actor.to_string(), "system:spool");
    }

    #[actix_web::test]
    async fn who_says_nothing_is_local_and_asks_from_its_own_address() {
        let call = carried(&Call::default()).await;
        let caller = call.caller().unwrap();
        assert_eq!((caller.actor.to_string().as_str(), caller.client.unwrap().is_loopback()), ("open:local", true));
        assert_eq!((call.request_id(), call.trace(), call.urgency().deadline), (None, None, None));
        assert_eq!(call.urgency().priority, Priority::Prompt);
    }

    #[actix_web::test]
    async fn what_the_client_calls_itself_is_carried() {
        let long = "x".repeat(LONGEST_AGENT);
        for agent in ["curl/8.5", &long] {
            assert_eq!(carried(&Call::default().from_agent(agent)).await.agent(), Some(agent));
        }
        let longer = TestRequest::get().insert_header((USER_AGENT, format!("{long}y"))).to_http_request();
        assert_eq!(call_of(&longer).unwrap().agent(), Some(long.as_str()));
    }

    #[actix_web::test]
    async fn the_request_and_its_trace_are_carried() {
        let call = Call::default().of_request("r-1").traced(TRACEPARENT.parse().ok());
        let call = carried(&call).await;
        assert_eq!((call.request_id(), call.trace().unwrap().to_string().as_str()), (Some("r-1"), TRACEPARENT));
    }

    #[actix_web::test]
    async fn the_time_that_is_left_and_the_priority_are_carried() {
        let deadline = Instant::now() + Duration::from_hours(1);
        let call = carried(&Call::default().until(deadline).scanning()).await;
        let there = call.urgency().deadline.unwrap();
        assert!(there > deadline - Duration::from_mins(1) && there < deadline + Duration::from_mins(1), "{there:?}");
        assert!(call.is_scan());
    }

    #[rstest]
    #[case(ACTOR, "ci", "must be method:name")]
    #[case(ACTOR, "token:%FF", "is not UTF-8")]
    #[case(CLIENT, "here", "must be an IP address")]
    #[case(DEADLINE, "soon", "must be whole milliseconds")]
    #[case(DEADLINE, "-1", "must be whole milliseconds")]
    #[case(PRIORITY, "first", "must be scan or prompt")]
    fn a_header_that_cannot_be_read_is_refused_by_name(#[case] name: &str, #[case] value: &str, #[case] why: &str) {
        let request = TestRequest::get().insert_header((name, value)).to_http_request();
        let problem = match name {
            ACTOR | CLIENT => announced(request.headers()).unwrap_err(),
            _ => call_of(&request).unwrap_err(),
        };
        assert_eq!(problem.code().status(), StatusCode::BAD_REQUEST);
        assert!(problem.detail().contains(name) && problem.detail().contains(why), "{problem}");
    }

    #[test]
    fn a_trace_that_cannot_be_read_is_taken_for_none() {
        let request = TestRequest::get().insert_header((TRACE, "00-x")).to_http_request();
        assert_eq!(call_of(&request).unwrap().trace(), None);
    }
}
