//! What decisions have in common on their way in: who asks, which series, and the errors they document.

use actix_web::HttpRequest;
use serde::Deserialize;
use serde::de::Error as _;

use crate::http::{Answers, Code, Problem, documented};
use crate::kernel::{AppName, PortError, Selector, Text255};

/// Who asks, for the history.
const REQUESTED_BY: &str = "x-requested-by";

/// Who asks, where the request says so.
///
/// # Errors
/// `parameter_invalid` for a name that the history could not keep.
pub(super) fn requested_by(request: &HttpRequest) -> Result<Option<Text255>, Problem> {
    let Some(value) = request.headers().get(REQUESTED_BY) else { return Ok(None) };
    let invalid = |detail: String| Problem::field(Code::ParameterInvalid, "X-Requested-By", detail);
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| invalid("is not UTF-8".to_owned()))?;
    if text.trim().is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|e: crate::kernel::InvalidName| invalid(e.to_string()))
}

/// Reads a selector in a struct of parameters.
pub(super) fn selector<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Selector>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(D::Error::custom)
}

/// What is answered where nobody knows the app.
pub(super) fn app_unknown(app: &AppName) -> Problem {
    Problem::new(Code::AppUnknown, format!("no profile of {:?} was ever seen", app.as_str()))
}

/// What is answered where nothing could be read: a timeout only if all timed out, overload only if all were refused
/// for it, else the first failure that says more.
pub(super) fn all_failed(errors: &[&PortError]) -> Problem {
    let chosen = errors
        .iter()
        .find(|e| matches!(e, PortError::Denied(_)))
        .or_else(|| errors.iter().find(|e| !matches!(e, PortError::Timeout(_) | PortError::Overloaded { .. })))
        .or_else(|| errors.first().filter(|first| errors.iter().all(|e| same_case(e, first))));
    match chosen {
        Some(error) => Problem::of_profiles(error),
        None => Problem::of_profiles(&PortError::Unavailable("some calls timed out, others were refused".to_owned())),
    }
}

fn same_case(a: &PortError, b: &PortError) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

/// What a decision on one app may answer beside 200; `bad` are its codes of 400.
pub(super) fn error_responses(bad: &[Code]) -> Answers {
    let mut answers = source_responses(bad);
    answers.extend(documented(&[("404", &[Code::AppUnknown])]));
    answers
}

/// What a decision that reads profiles may answer beside 200, whatever app it is asked about.
pub(super) fn source_responses(bad: &[Code]) -> Answers {
    documented(&[
        ("400", bad),
        ("500", &[Code::Internal]),
        ("502", &[Code::ProfileSourceFailed, Code::ProfileSourceDenied]),
        ("503", &[Code::ProfileSourceBusy]),
        ("504", &[Code::Timeout]),
    ])
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&["timeout", "timeout"], Code::Timeout)]
    #[case(&["timeout", "unavailable"], Code::ProfileSourceFailed)]
    #[case(&["unavailable", "denied"], Code::ProfileSourceDenied)]
    #[case(&["overloaded", "overloaded"], Code::ProfileSourceBusy)]
    #[case(&["overloaded", "timeout"], Code::ProfileSourceFailed)]
    fn chooses_what_to_answer_where_all_failed(#[case] cases: &[&str], #[case] code: Code) {
        let error = |case: &&str| match *case {
            "timeout" => PortError::Timeout(String::new()),
            "denied" => PortError::Denied(String::new()),
            "overloaded" => PortError::Overloaded { detail: String::new(), retry_after_s: 3 },
            _ => PortError::Unavailable(String::new()),
        };
        let errors: Vec<_> = cases.iter().map(error).collect();
        assert_eq!(all_failed(&errors.iter().collect::<Vec<_>>()).code(), code);
    }
}
