//! What the routes of decisions share: who asks, which series, the answer to a refusal, and the errors they document.

use actix_web::HttpRequest;
use serde::Deserialize;
use serde::de::Error as _;

use super::Refusal;
use crate::http::{Answers, Code, Problem, documented};
use crate::kernel::{AccessMethod, Call, Selector, Text255};

/// Who asks, for the history.
const REQUESTED_BY: &str = "x-requested-by";

/// Who asks for a decision, as the history keeps it: the name in `X-Requested-By`, or else the name of the token or of the
/// gateway's user.
///
/// # Errors
/// `parameter_invalid` for a name that the history could not keep.
pub(super) fn requested_by(request: &HttpRequest, call: &Call) -> Result<Option<Text255>, Problem> {
    let known = || {
        let actor = &call.caller()?.actor;
        matches!(actor.method, AccessMethod::Token | AccessMethod::Gateway).then(|| actor.name.clone())
    };
    let Some(value) = request.headers().get(REQUESTED_BY) else { return Ok(known()) };
    let invalid = |detail: String| Problem::field(Code::ParameterInvalid, "X-Requested-By", detail);
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| invalid("is not UTF-8".to_owned()))?;
    if text.trim().is_empty() {
        return Ok(known());
    }
    text.parse().map(Some).map_err(|e: crate::kernel::InvalidName| invalid(e.to_string()))
}

/// Reads a selector in a struct of parameters.
pub(super) fn selector<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Selector>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(D::Error::custom)
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match &refusal {
            Refusal::AppUnknown { app, near } => Self::app_unknown(app, near),
            Refusal::Profiles(error) => Self::of_profiles(error),
        }
    }
}

/// The errors that a decision on one app may answer; `bad` are its codes for 400.
pub(super) fn error_responses(bad: &[Code]) -> Answers {
    let mut answers = source_responses(bad);
    answers.extend(documented(&[("404", &[Code::AppUnknown])]));
    answers
}

/// The errors that any decision that reads profiles may answer.
pub(super) fn source_responses(bad: &[Code]) -> Answers {
    documented(&[
        ("400", bad),
        ("500", &[Code::Internal]),
        ("502", &[Code::ProfileSourceFailed, Code::ProfileSourceDenied]),
        ("503", &[Code::ProfileSourceBusy]),
        ("504", &[Code::Timeout]),
    ])
}
