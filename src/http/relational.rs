//! What the routes of all relational SORs share.

use serde::{Deserialize, Deserializer};
use utoipa::IntoResponses;

use super::codes::Code;
use super::documented::{Answers, documented};

/// A route without parameters.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct NoParams {}

/// The errors that any route of a relational SOR can answer, for its documentation.
#[derive(Debug)]
pub struct RelationalErrors;

/// The errors that a route of a relational SOR can answer which takes a body, for its documentation.
#[derive(Debug)]
pub struct WriteErrors;

impl IntoResponses for RelationalErrors {
    fn responses() -> Answers {
        documented(&[
            ("400", &[Code::ParameterInvalid, Code::ParameterUnknown, Code::ProfileTypeUnknown, Code::BodyInvalid]),
            ("500", &[Code::Internal]),
            ("503", &[Code::DatabaseUnavailable, Code::Overloaded]),
            ("504", &[Code::Timeout]),
        ])
    }
}

impl IntoResponses for WriteErrors {
    fn responses() -> Answers {
        let mut all = RelationalErrors::responses();
        all.extend(documented(&[
            ("409", &[Code::Conflict]),
            ("413", &[Code::BodyTooLarge]),
            ("415", &[Code::ContentTypeUnsupported]),
        ]));
        all
    }
}

/// Reads a member that may be absent but not null: for `#[serde(default, deserialize_with = "given")]`.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
