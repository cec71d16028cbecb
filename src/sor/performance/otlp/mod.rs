//! Spans that OpenTelemetry's SDKs and Collectors export: `POST /v1/traces`.
//!
//! A request is read whole and checked span by span before any of it is recorded. Each span is an operation: its name is the
//! type, `service.name` the scope.

mod messages;
mod read;
mod shape;
#[cfg(test)]
mod tests;
mod types;

use std::io::Read;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use flate2::read::MultiGzDecoder;
use prost::Message;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use self::messages::{ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse};
pub use self::read::{ExportedSpan, LeftOut, SpanEvent, SpanKind};
pub(super) use self::types::KnownTypes;
use crate::protobuf::Encoding;

/// The largest body of a request: 8 MiB.
pub const MOST_BYTES: usize = 8 << 20;
/// The largest body once it is inflated: 32 MiB.
pub const MOST_INFLATED: usize = 32 << 20;
/// The most spans of a request.
pub const MOST_SPANS: usize = 5_000;

/// The content type of a message.
pub(super) fn content_type(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Proto => "application/x-protobuf",
        Encoding::Json => "application/json",
    }
}

/// A request as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentTraces {
    /// How its message is encoded.
    pub encoding: Encoding,
    /// Whether it is compressed with gzip.
    pub gzip: bool,
    /// The body.
    pub body: Bytes,
}

/// Spans to record together, and what of the request is not recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceExport {
    /// What is recorded.
    pub spans: Vec<ExportedSpan>,
    /// What is not.
    pub outcome: ExportOutcome,
    /// Parts of the recorded spans that are not kept.
    pub left_out: LeftOut,
    /// Identifies the message, so that one that is sent again is recorded once.
    pub key: Uuid,
    /// The request, for another server.
    pub sent: SentTraces,
}

/// How many spans of a request were rejected, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportOutcome {
    /// How many spans were not recorded.
    pub rejected: u64,
    /// Why; empty if all were recorded.
    pub why: String,
}

/// Why a request is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportRefused {
    /// It is no such message.
    #[error("the body is no ExportTraceServiceRequest of OpenTelemetry: {0}")]
    Malformed(String),
    /// It is over a limit.
    #[error("{0}")]
    TooLarge(String),
}

impl TraceExport {
    /// Reads a request. It takes a while: call it on the threads for heavy work.
    ///
    /// # Errors
    /// A limit passed, or what cannot be read.
    pub fn read(sent: SentTraces, now: DateTime<Utc>) -> Result<Self, ExportRefused> {
        let inflated = sent.inflated()?;
        let malformed = |error: &dyn std::fmt::Display| ExportRefused::Malformed(error.to_string());
        let request = match sent.encoding {
            Encoding::Proto => {
                shape::check(&inflated)?;
                ExportTraceServiceRequest::decode(&*inflated).map_err(|error| malformed(&error))?
            }
            Encoding::Json => {
                shape::check_json(&inflated)?;
                serde_json::from_slice(&inflated).map_err(|error| malformed(&error))?
            }
        };
        let count = request.spans();
        if count > MOST_SPANS {
            return Err(shape::too_many_spans());
        }
        let key = key_of(&inflated);
        let (spans, outcome, left_out) = read::spans(request, now);
        Ok(Self { spans, outcome, left_out, key, sent })
    }
}

impl SentTraces {
    /// The message's bytes.
    fn inflated(&self) -> Result<Bytes, ExportRefused> {
        if !self.gzip {
            return Ok(self.body.clone());
        }
        let mut inflated = Vec::new();
        let mut reader = MultiGzDecoder::new(&*self.body).take(MOST_INFLATED as u64 + 1);
        let read = reader.read_to_end(&mut inflated);
        if inflated.len() > MOST_INFLATED {
            return Err(ExportRefused::TooLarge(format!("the body inflates to more than {MOST_INFLATED} bytes")));
        }
        read.map_err(|error| ExportRefused::Malformed(format!("it is not gzip: {error}")))?;
        Ok(inflated.into())
    }
}

fn key_of(message: &[u8]) -> Uuid {
    let digest: [u8; 32] = Sha256::digest(message).into();
    let mut half = [0; 16];
    half.iter_mut().zip(digest).for_each(|(half, digest)| *half = digest);
    uuid::Builder::from_custom_bytes(half).into_uuid()
}

impl ExportOutcome {
    /// The answer, an `ExportTraceServiceResponse`.
    pub fn encode(&self, encoding: Encoding) -> Vec<u8> {
        let partial_success = (self.rejected > 0).then(|| ExportTracePartialSuccess {
            rejected_spans: i64::try_from(self.rejected).unwrap_or(i64::MAX),
            error_message: self.why.clone(),
        });
        let response = ExportTraceServiceResponse { partial_success };
        match encoding {
            Encoding::Proto => response.encode_to_vec(),
            Encoding::Json => serde_json::to_vec(&response).unwrap_or_else(|_| b"{}".to_vec()),
        }
    }

    /// Reads such an answer; `None` where it is none.
    pub(super) fn decode(answer: &[u8], encoding: Encoding) -> Option<Self> {
        let response = match encoding {
            Encoding::Proto => ExportTraceServiceResponse::decode(answer).ok()?,
            Encoding::Json => serde_json::from_slice(answer).ok()?,
        };
        let ExportTracePartialSuccess { rejected_spans, error_message } = response.partial_success.unwrap_or_default();
        Some(Self { rejected: u64::try_from(rejected_spans).unwrap_or_default(), why: error_message })
    }
}
