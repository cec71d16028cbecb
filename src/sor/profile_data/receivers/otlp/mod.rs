//! `POST /v1development/profiles`: profiles of OpenTelemetry over HTTP.
//!
//! The protocol is in development and its messages change between revisions. The one that is read is [`REVISION`]; a
//! message of another one is refused, since its numbers would be taken for other things.

mod dictionary;
mod kind;
mod profiles;
mod shape;
#[cfg(test)]
mod tests;

use prost::Message;

pub(super) use self::profiles::{OtlpProfile, pushed};
use super::super::proto::otlp::v1::ExportProfilesServiceRequest;
use crate::profile::{ReadError, ReadLimits};
use crate::protobuf::Encoding;

/// The revision of the messages that is read. Those of v1.10.0 have the same fields in the same places.
pub(super) const REVISION: &str = "opentelemetry-proto v1.11.0 (profiles v1development)";

/// The path of earlier revisions.
pub(super) const EARLIER_PATH: &str = "/v1experimental/profiles";

/// Reads a request: its profiles, split by service and by the labels that are kept. To be called on the threads for heavy
/// work.
///
/// # Errors
/// The limit passed, a message of another revision, or what cannot be read.
pub(super) fn read(bytes: &[u8], encoding: Encoding, limits: &ReadLimits) -> Result<Vec<OtlpProfile>, ReadError> {
    let request = match encoding {
        Encoding::Proto => {
            shape::check(bytes, limits)?;
            ExportProfilesServiceRequest::decode(bytes).map_err(|e| bad(format!("no {REVISION}: {e}")))?
        }
        Encoding::Json => {
            shape::check_json(bytes, limits)?;
            serde_json::from_slice(bytes).map_err(|e| bad(format!("no {REVISION} as JSON: {e}")))?
        }
    };
    profiles::read(&request, limits)
}

/// What cannot be read, and why.
fn bad(what: impl Into<String>) -> ReadError {
    ReadError::Malformed { what: what.into(), at: 0 }
}
