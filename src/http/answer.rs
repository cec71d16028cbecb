use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;

use super::problem::Problem;

/// Answers a value as JSON, with a status.
///
/// # Errors
/// `internal` if the value cannot be written as JSON, such as a map with keys that are no texts.
pub fn json(status: StatusCode, value: &impl Serialize) -> Result<HttpResponse, Problem> {
    let body = serde_json::to_vec(value).map_err(Problem::internal_error)?;
    Ok(HttpResponse::build(status).content_type("application/json").body(body))
}
