//! What the routes of all relational SORs share.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use utoipa::IntoResponses;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

use super::codes::Code;

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
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        responses(&[
            ("400", &[Code::ParameterInvalid, Code::ParameterUnknown, Code::ProfileTypeUnknown, Code::BodyInvalid]),
            ("500", &[Code::Internal]),
            ("503", &[Code::DatabaseUnavailable, Code::Overloaded]),
            ("504", &[Code::Timeout]),
        ])
    }
}

impl IntoResponses for WriteErrors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut all = RelationalErrors::responses();
        all.extend(responses(&[
            ("409", &[Code::Conflict]),
            ("413", &[Code::BodyTooLarge]),
            ("415", &[Code::ContentTypeUnsupported]),
        ]));
        all
    }
}

fn responses(groups: &[(&str, &[Code])]) -> BTreeMap<String, RefOr<Response>> {
    groups.iter().map(|(status, codes)| ((*status).to_owned(), RefOr::T(response(codes)))).collect()
}

fn response(codes: &[Code]) -> Response {
    let lines: Vec<String> =
        codes.iter().map(|code| code.row()).map(|row| format!("`{}`: {}", row.id, row.title)).collect();
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(lines.join("; ")).content("application/problem+json", content).build()
}

/// Reads a member that may be absent but not null: for `#[serde(default, deserialize_with = "given")]`.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
