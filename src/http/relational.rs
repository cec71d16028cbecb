//! What the routes of all relational SORs share.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::IntoResponses;

use super::answer::json;

use super::codes::Code;
use super::documented::{Answers, documented};
use super::problem::Problem;
use crate::kernel::PortResult;

/// A route without parameters.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct NoParams {}

/// The errors that any route of a relational SOR may answer, for its documentation.
#[derive(Debug)]
pub struct RelationalErrors;

/// The errors that a route of a relational SOR with a body may answer, for its documentation.
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

/// Reads a member that may be absent but must not be null, for `#[serde(default, deserialize_with = "given")]`.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Answers 201 with a row that was written.
///
/// # Errors
/// What a relational SOR answers where its port fails.
pub fn created<B: Serialize + From<R>, R>(row: PortResult<R>) -> Result<HttpResponse, Problem> {
    json(StatusCode::CREATED, &B::from(row.map_err(|error| Problem::of_relational(&error))?))
}

/// Answers 200 with a row, or says that it is unknown.
///
/// # Errors
/// As [`created`]; `unknown` where there is no row.
pub fn found<B: Serialize + From<R>, R>(
    row: PortResult<Option<R>>,
    unknown: impl FnOnce() -> Problem,
) -> Result<HttpResponse, Problem> {
    let row = row.map_err(|error| Problem::of_relational(&error))?;
    json(StatusCode::OK, &B::from(row.ok_or_else(unknown)?))
}

/// Answers 200 with what a port answered, as a body.
///
/// # Errors
/// The port's.
pub fn answered<T, B: Serialize>(done: PortResult<T>, body: impl FnOnce(T) -> B) -> Result<HttpResponse, Problem> {
    json(StatusCode::OK, &body(done.map_err(|error| Problem::of_relational(&error))?))
}

/// Answers 204 where a row was removed, or says that it is unknown.
///
/// # Errors
/// As [`found`].
pub fn removed(done: PortResult<bool>, unknown: impl FnOnce() -> Problem) -> Result<HttpResponse, Problem> {
    if done.map_err(|error| Problem::of_relational(&error))? {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(unknown())
    }
}
