//! The meaning of Pyroscope's error answers.

use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use serde::Deserialize;

use crate::http::Answer;
use crate::kernel::PortError;
use crate::telemetry::Failure;

/// The longest text of another server that is logged, in characters.
const LONGEST_QUOTE: usize = 300;

/// Why a call gave no profile, by what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The window is longer than the server allows. Ask for shorter ones.
    TooLong(String),
    /// It took too long or is too large. Halves may succeed.
    TooMuch(PortError),
    /// The server has no such method.
    Lacks(String),
    /// There is no other way to ask.
    Final(PortError),
}

impl Failure for Refusal {
    fn code(&self) -> Option<&'static str> {
        match self {
            Self::TooLong(_) => Some("too_long"),
            Self::TooMuch(error) | Self::Final(error) => error.code(),
            Self::Lacks(_) => Some("lacks_method"),
        }
    }
}

impl Refusal {
    /// The error for a caller that has no other way to ask.
    pub(super) fn into_error(self) -> PortError {
        match self {
            Self::TooLong(text) | Self::Lacks(text) => PortError::Unavailable(text),
            Self::TooMuch(error) | Self::Final(error) => error,
        }
    }
}

impl From<PortError> for Refusal {
    fn from(error: PortError) -> Self {
        Self::Final(error)
    }
}

/// The body of an error in the Connect protocol.
#[derive(Deserialize)]
struct ConnectError {
    #[serde(default)]
    message: String,
}

/// The innermost message: version 1 puts a whole error document into the text of another one.
fn message_of(body: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(body).into_owned();
    for _ in 0..4 {
        match serde_json::from_str::<ConnectError>(&text) {
            Ok(error) if !error.message.is_empty() => text = error.message,
            _ => break,
        }
    }
    text.chars().take(LONGEST_QUOTE).collect()
}

/// Phrases with which Pyroscope refuses a window that is too long. The status is that of any bad request, so only the
/// text shows it.
const WINDOW_TOO_LONG: &[&str] = &["max_query_length", "time range exceeds"];
/// The same for a selector that it cannot parse.
const SELECTOR_UNREADABLE: &[&str] =
    &["parse error", "parsing label selector", "error parsing regexp", "invalid regexp"];

/// The meaning of an answer other than 200. `selected`: the caller gave a selector, so an error in one may be the
/// caller's.
pub(super) fn refusal_of(answer: &Answer, selected: bool) -> Refusal {
    let status = answer.status;
    let message = message_of(&answer.body);
    let says_any = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
    let text = format!("the source answered {}: {message}", status.as_u16());
    let retry_after_s = || {
        let given = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        given.unwrap_or(1).clamp(1, 60)
    };
    match status {
        StatusCode::TOO_MANY_REQUESTS => PortError::Overloaded { detail: text, retry_after_s: retry_after_s() }.into(),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => PortError::Denied(text).into(),
        StatusCode::GATEWAY_TIMEOUT | StatusCode::REQUEST_TIMEOUT => Refusal::TooMuch(PortError::Timeout(text)),
        StatusCode::NOT_FOUND
        | StatusCode::METHOD_NOT_ALLOWED
        | StatusCode::NOT_IMPLEMENTED
        | StatusCode::UNSUPPORTED_MEDIA_TYPE => Refusal::Lacks(text),
        StatusCode::BAD_REQUEST if says_any(WINDOW_TOO_LONG) => Refusal::TooLong(text),
        // Version 1 answers 500 to an invalid matcher of a label call.
        StatusCode::BAD_REQUEST | StatusCode::INTERNAL_SERVER_ERROR if selected && says_any(SELECTOR_UNREADABLE) => {
            tracing::info!(%message, "the source of profiles cannot read the caller's selector");
            PortError::Invalid("selector: the source of profiles cannot read it".to_owned()).into()
        }
        _ => PortError::Unavailable(text).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: reqwest::header::HeaderMap::new(),
            body: body.to_owned().into(),
        }
    }

    #[test]
    fn finds_the_message_that_version_1_wraps_twice() {
        let inner = r#"{"code":"invalid_argument","message":"1:15: parse error"}"#;
        let outer = serde_json::json!({"code": "invalid_argument", "message": inner}).to_string();
        assert_eq!(message_of(outer.as_bytes()), "1:15: parse error");
        assert_eq!(message_of(b"plain"), "plain");
        assert_eq!(message_of(b"{}"), "{}");
    }

    #[rstest]
    #[case(401)]
    #[case(403)]
    fn wrong_credentials_are_denied(#[case] status: u16) {
        assert!(matches!(refusal_of(&answer(status, "no org id"), false), Refusal::Final(PortError::Denied(_))));
    }

    #[test]
    fn too_many_requests_tell_when_to_come_back() {
        let mut busy = answer(429, r#"{"code":"resource_exhausted","message":"slow down"}"#);
        busy.headers.insert(RETRY_AFTER, "7".parse().unwrap());
        let Refusal::Final(PortError::Overloaded { retry_after_s, detail }) = refusal_of(&busy, false) else {
            panic!("not overloaded")
        };
        assert_eq!((retry_after_s, detail.as_str()), (7, "the source answered 429: slow down"));
    }

    #[test]
    fn a_bad_request_is_the_callers_only_where_it_is_about_their_selector() {
        let bad = answer(400, r#"{"message":"parsing label selector \"{x=~\\\"(\\\"}\": error parsing regexp"}"#);
        assert!(matches!(refusal_of(&bad, true), Refusal::Final(PortError::Invalid(_))));
        assert!(matches!(refusal_of(&bad, false), Refusal::Final(PortError::Unavailable(_))));
        let ours = answer(400, r#"{"message":"missing time range in the query"}"#);
        assert!(matches!(refusal_of(&ours, true), Refusal::Final(PortError::Unavailable(_))));
    }

    #[test]
    fn a_window_over_the_servers_limit_may_be_split() {
        let text = r#"{"code":"invalid_argument","message":"the query time range exceeds the limit (max_query_length, actual: 48h0m0s, limit: 24h0m0s)"}"#;
        assert!(matches!(refusal_of(&answer(400, text), false), Refusal::TooLong(_)));
    }

    #[test]
    fn a_gateway_timeout_may_be_halved_and_a_missing_method_replaced() {
        assert!(matches!(refusal_of(&answer(504, ""), false), Refusal::TooMuch(PortError::Timeout(_))));
        assert!(matches!(refusal_of(&answer(501, ""), false), Refusal::Lacks(_)));
        assert!(matches!(refusal_of(&answer(404, "404 page not found"), false), Refusal::Lacks(_)));
    }

    #[test]
    fn a_long_page_of_another_server_is_cut() {
        let page = "x".repeat(5_000);
        let Refusal::Final(error) = refusal_of(&answer(502, &page), false) else { panic!() };
        assert!(error.to_string().len() < 400);
    }
}
