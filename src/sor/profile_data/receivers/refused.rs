use crate::http::{Code, NoBody, Problem};
use crate::kernel::PortError;
use crate::profile::{LimitName, ReadError};

use super::super::store::PushError;
use super::super::within::NotRead;

/// Why a push is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// A parameter or member is wrong.
    Parameter(&'static str, String),
    /// It exceeds a limit, which the text names.
    TooLarge(String),
    /// Not a profile, or not in an accepted format.
    Unreadable(String),
    /// Too old, or from the future.
    Time(String),
    /// The content type is not accepted.
    ContentType(String),
    /// Too much at once.
    Busy,
    /// The store failed.
    Store(PortError),
}

impl From<ReadError> for Refused {
    fn from(error: ReadError) -> Self {
        if error.is_limit() { Self::TooLarge(error.to_string()) } else { Self::Unreadable(error.to_string()) }
    }
}

impl From<NoBody> for Refused {
    fn from(why: NoBody) -> Self {
        match why {
            NoBody::TooLarge(number) => ReadError::Limit { limit: LimitName::Body, number }.into(),
            NoBody::CutOff(why) => Self::Unreadable(why),
            NoBody::Busy => Self::Busy,
        }
    }
}

impl From<NotRead> for Refused {
    fn from(error: NotRead) -> Self {
        match error {
            NotRead::Bad(error) => error.into(),
            NotRead::Busy => Self::Busy,
            NotRead::Lost(error) => Self::Store(error),
        }
    }
}

impl From<PushError> for Refused {
    fn from(error: PushError) -> Self {
        match error {
            PushError::TooLarge(full) => Self::TooLarge(full.to_string()),
            PushError::Port(error) => Self::Store(error),
        }
    }
}

impl Refused {
    /// The answer of a route whose clients expect `unreadable` for a profile that cannot be read.
    pub(super) fn problem(self, unreadable: Code) -> Problem {
        match self {
            Self::Parameter(name, detail) => Problem::field(Code::ParameterInvalid, name, detail),
            Self::TooLarge(detail) => Problem::new(Code::ProfileTooLarge, detail),
            Self::Unreadable(detail) => Problem::new(unreadable, detail),
            Self::Time(detail) => Problem::new(Code::TimeOutOfRange, detail),
            Self::ContentType(detail) => Problem::new(Code::ContentTypeUnsupported, detail),
            Self::Busy => {
                Problem::new(Code::Overloaded, "too many profiles are being taken in, try again").retry_after(5)
            }
            Self::Store(error) => Problem::of_relational(&error),
        }
    }
}
