//! A relational SOR of another Flamewarden, called by its public routes.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use reqwest::header::RETRY_AFTER;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::call::announce;
use super::client::{Answer, Outward};
use super::codes::Code;
use crate::kernel::{Call, PortError, PortResult};

/// Whether a request may be sent again when there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeatable {
    /// It may: it is a read, or a write that has the same effect when it is done twice.
    Yes,
    /// It must not.
    No,
}

/// One kind of entity on another Flamewarden. Answers become port results with the meaning that they had on that
/// server.
#[derive(Debug, Clone)]
pub struct Peer {
    outward: Outward,
    unknown: Code,
}

/// The members of a problem document that matter to a caller.
#[derive(Debug, Deserialize)]
struct ProblemMembers {
    code: String,
    detail: String,
}

/// Another Flamewarden refused this one.
pub fn denied(detail: &str) -> PortError {
    PortError::Denied(format!("{detail}; SERVICE_TOKEN must be the same in both processes"))
}

impl Peer {
    /// An entity of that server; `unknown` is the code for its absence. [`Code::RouteUnknown`] stands for a route that
    /// not every version has.
    pub fn new(outward: Outward, unknown: Code) -> Self {
        Self { outward, unknown }
    }

    /// The client, to build requests with.
    pub fn outward(&self) -> &Outward {
        &self.outward
    }

    /// Sends a request and reads the JSON of its answer. `None` if the server says that it has no such entity.
    pub async fn read<T: DeserializeOwned>(
        &self,
        call: &Call,
        repeatable: Repeatable,
        request: impl Fn(&Outward) -> RequestBuilder,
    ) -> PortResult<Option<T>> {
        let Some(answer) = self.send(call, repeatable, request).await? else { return Ok(None) };
        let value = serde_json::from_slice(&answer.body);
        value.map(Some).map_err(|error| PortError::Unavailable(format!("the answer is not understood: {error}")))
    }

    /// Sends a request and answers the body as it is. `None`: the entity is unknown.
    ///
    /// # Errors
    /// The other server's, translated.
    pub async fn bytes(
        &self,
        call: &Call,
        repeatable: Repeatable,
        request: impl Fn(&Outward) -> RequestBuilder,
    ) -> PortResult<Option<Bytes>> {
        Ok(self.send(call, repeatable, request).await?.map(|answer| answer.body))
    }

    /// The same, for answers that must hold a row.
    pub async fn written<T: DeserializeOwned>(
        &self,
        call: &Call,
        repeatable: Repeatable,
        request: impl Fn(&Outward) -> RequestBuilder,
    ) -> PortResult<T> {
        let row = self.read(call, repeatable, request).await?;
        row.ok_or_else(|| PortError::Unavailable("the answer has no row".to_owned()))
    }

    /// Removes the entity at a path. Returns whether there was one.
    pub async fn remove(&self, call: &Call, path: &[&str]) -> PortResult<bool> {
        // Not repeated: the second try would find nothing and say that there was nothing.
        let remove = |outward: &Outward| outward.request(Method::DELETE, outward.url(path.iter().copied()));
        match self.send(call, Repeatable::No, remove).await? {
            None => Ok(false),
            Some(answer) if answer.status == StatusCode::NO_CONTENT => Ok(true),
            // A page of another server, such as one to log in, does not mean that something was removed.
            Some(answer) => Err(PortError::Unavailable(format!("the other server answered {}", answer.status))),
        }
    }

    async fn send(
        &self,
        call: &Call,
        repeatable: Repeatable,
        request: impl Fn(&Outward) -> RequestBuilder,
    ) -> PortResult<Option<Answer>> {
        let once = async || self.judge(self.outward.send(call, announce(call, request(&self.outward))).await?);
        let retries = if repeatable == Repeatable::Yes { 2 } else { 0 };
        let pauses = ExponentialBuilder::default().with_min_delay(Duration::from_millis(50)).with_max_times(retries);
        // A deadline that passed is not doubled, and what is full is not asked at once again.
        let tried = once.retry(pauses.with_jitter()).when(|error| matches!(error, PortError::Unavailable(_)));
        call.bound(tried.into_future()).await
    }

    fn judge(&self, answer: Answer) -> PortResult<Option<Answer>> {
        let status = answer.status;
        if status.is_success() {
            return Ok(Some(answer));
        }
        let problem = serde_json::from_slice::<ProblemMembers>(&answer.body).ok();
        let code = problem.as_ref().and_then(|problem| Code::of_id(&problem.code));
        // A text may be shown to the caller only if another Flamewarden wrote it.
        let detail = match (&problem, code) {
            (Some(problem), Some(_)) => problem.detail.clone(),
            _ => format!("the other server answered {status}"),
        };
        let strange = || PortError::Unavailable(format!("the other server answered {status}: {detail}"));
        Err(match status {
            StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY if code == Some(self.unknown) => return Ok(None),
            // A server that has not this route may have another one of its path.
            StatusCode::METHOD_NOT_ALLOWED if self.unknown == Code::RouteUnknown => return Ok(None),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => denied(&detail),
            StatusCode::CONFLICT => PortError::Conflict(detail),
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                PortError::Invalid(detail)
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => PortError::Timeout(detail),
            StatusCode::TOO_MANY_REQUESTS => overloaded(&answer, detail),
            StatusCode::SERVICE_UNAVAILABLE if code == Some(Code::Overloaded) => overloaded(&answer, detail),
            StatusCode::SERVICE_UNAVAILABLE if code == Some(Code::NotReady) => PortError::Starting(detail),
            StatusCode::INTERNAL_SERVER_ERROR if code == Some(Code::Internal) => PortError::Internal(detail),
            _ => strange(),
        })
    }
}

fn overloaded(answer: &Answer, detail: String) -> PortError {
    let seconds = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    PortError::Overloaded { detail, retry_after_s: seconds.unwrap_or(1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::OutwardSettings;
    use rstest::rstest;
    use serde_json::json;
    use wiremock::matchers::any;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    fn peer(server: &MockServer) -> Peer {
        let settings = OutwardSettings {
            base: server.uri().parse().unwrap(),
            timeout: Duration::from_secs(5),
            max_answer_bytes: 1_000,
            authorization: None,
        };
        Peer::new(Outward::new(settings).unwrap(), Code::BaselineUnknown)
    }

    async fn ask(repeatable: Repeatable, answer: ResponseTemplate) -> (PortResult<Option<u32>>, usize) {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let peer = peer(&server);
        let result = peer
            .read(&Call::default(), repeatable, |outward| outward.request(Method::GET, outward.url(["baselines"])))
            .await;
        (result, server.received_requests().await.unwrap().len())
    }

    fn problem(status: u16, code: &str) -> ResponseTemplate {
        ResponseTemplate::new(status).set_body_json(json!({"code": code, "detail": "why", "status": status}))
    }

    #[rstest]
    #[case(problem(404, "baseline_unknown"), Ok(None))]
    #[case(problem(400, "body_invalid"), Err(PortError::Invalid("why".into())))]
    #[case(problem(413, "body_too_large"), Err(PortError::Invalid("why".into())))]
    #[case(problem(409, "conflict"), Err(PortError::Conflict("why".into())))]
    #[case(problem(504, "timeout"), Err(PortError::Timeout("why".into())))]
    #[case(problem(500, "internal"), Err(PortError::Internal("why".into())))]
    #[case(problem(503, "overloaded").insert_header("retry-after", "7"), Err(PortError::Overloaded { detail: "why".into(), retry_after_s: 7 }))]
    #[case(problem(503, "not_ready"), Err(PortError::Starting("why".into())))]
    #[case(ResponseTemplate::new(403), Err(PortError::Denied("the other server answered 403 Forbidden; SERVICE_TOKEN must be the same in both processes".into())))]
    #[case(ResponseTemplate::new(400).set_body_string("<html>"), Err(PortError::Invalid("the other server answered 400 Bad Request".into())))]
    #[case(ResponseTemplate::new(200).set_body_string("7"), Ok(Some(7)))]
    #[tokio::test]
    async fn an_answer_keeps_its_meaning(#[case] answer: ResponseTemplate, #[case] expected: PortResult<Option<u32>>) {
        assert_eq!(ask(Repeatable::Yes, answer).await, (expected, 1));
    }

    #[rstest]
    #[case(problem(404, "history_unknown"))]
    #[case(problem(404, "route_unknown"))]
    #[case(ResponseTemplate::new(404).set_body_string("not found"))]
    #[case(problem(503, "database_unavailable"))]
    #[case(ResponseTemplate::new(502))]
    #[case(ResponseTemplate::new(302))]
    #[tokio::test]
    async fn whoever_cannot_be_the_entity_is_unavailable_and_asked_again_only_if_that_is_harmless(
        #[case] answer: ResponseTemplate,
    ) {
        let (result, calls) = ask(Repeatable::Yes, answer.clone()).await;
        assert!(matches!(result, Err(PortError::Unavailable(_))), "{result:?}");
        assert_eq!(calls, 3);
        assert_eq!(ask(Repeatable::No, answer).await.1, 1);
    }

    #[rstest]
    #[case(problem(404, "route_unknown"))]
    #[case(problem(405, "method_not_allowed"))]
    #[case(ResponseTemplate::new(405))]
    #[tokio::test]
    async fn a_route_that_not_every_version_has_may_be_missing(#[case] answer: ResponseTemplate) {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let peer = Peer { unknown: Code::RouteUnknown, ..peer(&server) };
        let request = |outward: &Outward| outward.request(Method::POST, outward.url(["baselines", "batch"]));
        assert_eq!(peer.read::<u32>(&Call::default(), Repeatable::Yes, request).await, Ok(None));
    }

    #[rstest]
    #[case(ResponseTemplate::new(204), Some(true))]
    #[case(problem(404, "baseline_unknown"), Some(false))]
    #[case(ResponseTemplate::new(200).set_body_string("<html>"), None)]
    #[tokio::test]
    async fn only_who_says_so_has_removed_something(#[case] answer: ResponseTemplate, #[case] expected: Option<bool>) {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(answer).mount(&server).await;
        assert_eq!(peer(&server).remove(&Call::default(), &["baselines", "1"]).await.ok(), expected);
    }

    #[tokio::test]
    async fn nonsense_is_unavailable() {
        let (result, _) = ask(Repeatable::Yes, ResponseTemplate::new(200).set_body_string("<html>")).await;
        assert!(matches!(result, Err(PortError::Unavailable(text)) if text.contains("not understood")));
    }
}
