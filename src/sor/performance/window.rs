//! The window of time that a request asks for.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use utoipa::IntoResponses;

use crate::http::{Answers, Code, Problem, TimeParam, documented};
use crate::kernel::Clock;

/// What is wrong with a request for a window, for its documentation.
pub(super) struct WindowErrors;

impl IntoResponses for WindowErrors {
    fn responses() -> Answers {
        documented(&[("400", &[Code::ParameterInvalid, Code::ParameterUnknown, Code::WindowInvalid])])
    }
}

/// The window that a request asks for: until later if no end is given, and so long if no start is.
pub(super) fn window(
    (from, to): (Option<TimeParam>, Option<TimeParam>),
    length: TimeDelta,
    clock: &dyn Clock,
) -> Result<(DateTime<Utc>, Option<DateTime<Utc>>), Problem> {
    let from = from.map(|time| time.resolve(clock)).transpose()?;
    let to = to.map(|time| time.resolve(clock)).transpose()?;
    let from = from.unwrap_or_else(|| clock.now().trunc_subsecs(0) - length);
    if to.is_some_and(|to| from >= to) {
        return Err(Problem::new(Code::WindowInvalid, "from must lie before to"));
    }
    Ok((from, to))
}
