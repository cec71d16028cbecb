//! The check in front of every route.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, header, uri::Authority};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};

use super::access::{AccessControl, Asked, Denied};
use super::known::Identity;
use crate::http::{Code, Problem};
use crate::sor::audit::{DeniedRequest, DeniedRequests};
use crate::telemetry::{self, AUTH_REQUESTS};

/// How long an address waits after too many bad credentials, in seconds.
const RETRY_AFTER_S: u32 = 60;

/// The header in which browsers say that the page of another site sends a request. With it they send the credentials
/// that they keep, and they reach servers of their own machine.
const FETCH_SITE: &str = "sec-fetch-site";
/// How many characters of a refused host are shown in the answer.
const SHOWN_CHARS: usize = 255;

/// Refuses a request whose caller is not known or may not do what it asks, and otherwise leaves with it who the caller
/// is: as [`Identity`] for this room, and as `kernel::Caller` for calls. The app's data must hold an [`AccessControl`].
///
/// # Errors
/// Those of the route.
pub async fn guard<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    match decide(&request) {
        Ok(identity) => {
            if let Some(identity) = identity {
                let mut extensions = request.extensions_mut();
                extensions.insert(identity.caller());
                extensions.insert(identity);
            }
            Ok(next.call(request).await?.map_into_left_body())
        }
        Err(problem) => Ok(request.error_response(problem).map_into_right_body()),
    }
}

fn decide(request: &ServiceRequest) -> Result<Option<Identity>, Problem> {
    let access = request.app_data::<web::Data<AccessControl>>();
    let access = access.ok_or_else(|| Problem::internal_error("there is no access control"))?;
    let headers = request.headers();
    if request.method() != Method::GET && headers.get(FETCH_SITE).is_some_and(|site| site == "cross-site") {
        return Err(Problem::new(Code::Forbidden, "a page of another site sent this request"));
    }
    // In HTTP/2, and where a proxy is asked, the host is in the address.
    let in_address = request.uri().authority().map(Authority::as_str);
    let host = in_address.or_else(|| headers.get(header::HOST).map(|host| host.to_str().unwrap_or("")));
    let asked = Asked {
        // The path as the router reads it: what is percent-encoded without need is decoded.
        need: access.needs().need(request.method(), request.match_info().as_str()),
        peer: request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip()),
        host,
        headers,
    };
    let decision = access.admit(&asked);
    let (method, outcome) = match &decision {
        Ok(None) => ("none", "admitted"),
        Ok(Some(identity)) => (identity.actor.method.as_str(), "admitted"),
        Err(denied) => (denied.method(), denied.code().id()),
    };
    metrics::counter!(AUTH_REQUESTS, "method" => method, "outcome" => outcome).increment(1);
    decision.map_err(|denied| {
        if denied.is_logged()
            && let Some(log) = request.app_data::<web::Data<DeniedRequests>>()
        {
            log.note(denied.entry(request, access.client(&asked)));
        }
        denied.problem()
    })
}

impl Denied {
    fn method(&self) -> &'static str {
        match self {
            Self::Forbidden { identity, .. } => identity.actor.method.as_str(),
            Self::Announced(_) => "service",
            Self::Missing | Self::Bad(_) | Self::TooMany | Self::Host(_) => "none",
        }
    }

    /// Whether it is written to the audit log. A request without credentials is not: it is only asked for them. Once there
    /// are too many bad credentials from an address, only the first ones are.
    fn is_logged(&self) -> bool {
        matches!(self, Self::Bad(_) | Self::Forbidden { .. } | Self::Host(_))
    }

    /// The entry of the audit log.
    fn entry(&self, request: &ServiceRequest, client: IpAddr) -> DeniedRequest {
        let identity = match self {
            Self::Forbidden { identity, .. } => Some(identity),
            _ => None,
        };
        let route = request.match_pattern().unwrap_or_else(|| "none".to_owned());
        let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        DeniedRequest {
            actor: identity.map(|identity| identity.actor.clone()),
            client: Some(identity.and_then(|identity| identity.client).unwrap_or(client)),
            agent: agent.map(str::to_owned),
            request_id: telemetry::request_id().map(|id| id.to_string()),
            route: format!("{} {route}", request.method()),
            reason: self.code().id(),
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Missing | Self::Bad(_) => Code::Unauthenticated,
            Self::TooMany => Code::RateLimited,
            Self::Forbidden { .. } => Code::Forbidden,
            Self::Host(_) => Code::HostRefused,
            Self::Announced(problem) => problem.code(),
        }
    }

    /// The answer to the caller.
    fn problem(self) -> Problem {
        let code = self.code();
        match self {
            Self::Missing => Problem::new(
                code,
                "no credentials: send Authorization with Bearer TOKEN, or Basic with the token as password",
            ),
            Self::Bad(why) => Problem::new(code, why),
            Self::TooMany => {
                let detail = "too many bad credentials came from this address within a minute: wait for its end";
                Problem::new(code, detail).retry_after(RETRY_AFTER_S)
            }
            Self::Forbidden { identity, needed } => {
                let Identity { actor, role, .. } = *identity;
                Problem::new(code, format!("this needs the role {needed}, and {actor} has the role {role}"))
            }
            Self::Host(host) => Problem::new(
                code,
                format!(
                    "{:?} is not a name of this machine, and without authentication this server answers on localhost \
                     alone: set ADMIN_TOKEN or AUTH_TOKENS_FILE, or AUTH=open",
                    host.chars().take(SHOWN_CHARS).collect::<String>()
                ),
            ),
            Self::Announced(problem) => problem,
        }
    }
}
