//! Requests that may be sent twice and count once.

use actix_web::HttpRequest;
use uuid::Uuid;

use super::codes::Code;
use super::problem::Problem;

/// The header with the key of a request: the same key is the same request.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The key of a request, if it has one.
///
/// # Errors
/// More than one, or one that is no UUID.
pub fn idempotency_key(request: &HttpRequest) -> Result<Option<Uuid>, Problem> {
    let mut values = request.headers().get_all(IDEMPOTENCY_KEY);
    let key = values.next().map(|value| value.to_str().ok().and_then(|text| text.trim().parse().ok()));
    match (key, values.next()) {
        (None, _) => Ok(None),
        (Some(Some(key)), None) => Ok(Some(key)),
        _ => Err(Problem::field(Code::ParameterInvalid, "Idempotency-Key", "must be one UUID")),
    }
}
