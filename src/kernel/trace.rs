use std::fmt;
use std::str::FromStr;

/// The trace that a call belongs to: a W3C `traceparent`, version 00.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Trace {
    id: u128,
    parent_id: u64,
    flags: u8,
}

/// The text is no `traceparent` of version 00. W3C asks receivers to go on as if there were none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no W3C traceparent of version 00")]
pub struct InvalidTrace;

impl Trace {
    /// The trace and span of a call that is recorded. Neither is 0.
    pub fn of(trace_id: u128, span: u64) -> Self {
        Self { id: trace_id.max(1), parent_id: span.max(1), flags: 1 }
    }

    /// The span of the caller.
    pub fn parent_id(self) -> u64 {
        self.parent_id
    }

    /// The id of the whole trace, 32 hexadecimal digits when written.
    pub fn trace_id(self) -> u128 {
        self.id
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.id, self.parent_id, self.flags)
    }
}

impl FromStr for Trace {
    type Err = InvalidTrace;

    fn from_str(text: &str) -> Result<Self, InvalidTrace> {
        let is_hex = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let parts: Vec<&str> = text.split('-').collect();
        let ["00", trace_id, parent_id, flags] = parts[..] else { return Err(InvalidTrace) };
        if (trace_id.len(), parent_id.len(), flags.len()) != (32, 16, 2) || !parts.into_iter().all(is_hex) {
            return Err(InvalidTrace);
        }
        let trace = Self {
            id: u128::from_str_radix(trace_id, 16).map_err(|_| InvalidTrace)?,
            parent_id: u64::from_str_radix(parent_id, 16).map_err(|_| InvalidTrace)?,
            flags: u8::from_str_radix(flags, 16).map_err(|_| InvalidTrace)?,
        };
        if trace.id == 0 || trace.parent_id == 0 { Err(InvalidTrace) } else { Ok(trace) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn reads_what_it_writes() {
        assert_eq!(GIVEN.parse::<Trace>().unwrap().to_string(), GIVEN);
    }

    #[rstest]
    #[case::version("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")]
    #[case::upper_case("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01")]
    #[case::short("00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01")]
    #[case::sign("00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")]
    #[case::no_trace("00-00000000000000000000000000000000-00f067aa0ba902b7-01")]
    #[case::no_parent("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01")]
    #[case::more("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x")]
    fn refuses_what_is_none(#[case] text: &str) {
        assert_eq!(text.parse::<Trace>(), Err(InvalidTrace));
    }
}
