//! The Connect protocol of single calls: messages as protobuf or JSON, errors as `{"code": …, "message": …}`.

use std::sync::LazyLock;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::http::{Code, Problem};
use crate::profile::{ReadLimits, gunzip};
use crate::protobuf::Encoding;

/// The content types of messages.
const PROTO: &str = "application/proto";
const JSON: &str = "application/json";

/// The largest request, before and after inflating, in bytes.
const MAX_REQUEST: usize = 1 << 20;

/// The limits of a request that is compressed.
static LIMITS: LazyLock<ReadLimits> =
    LazyLock::new(|| ReadLimits { body: MAX_REQUEST as u64, inflated: MAX_REQUEST as u64, ..ReadLimits::default() });

/// Reads the message of a request.
pub(super) async fn read<M: Message + Default + DeserializeOwned>(
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<(Encoding, M), Problem> {
    let header = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let unsupported = |detail| Problem::new(Code::ContentTypeUnsupported, detail);
    let encoding = Encoding::of(header(CONTENT_TYPE), PROTO).map_err(unsupported)?;
    let bytes = body(payload).await?;
    let bytes = match header(CONTENT_ENCODING).unwrap_or("identity").trim().to_ascii_lowercase().as_str() {
        "" | "identity" => bytes,
        "gzip" => gunzip(&bytes, &LIMITS)
            .map_err(|error| if error.is_limit() { too_large() } else { invalid(format!("the body: {error}")) })?
            .into(),
        other => return Err(unsupported(format!("the content encoding {other:?} is not taken, gzip is"))),
    };
    let message = match encoding {
        Encoding::Proto => M::decode(bytes).map_err(|e| e.to_string()),
        Encoding::Json => from_json(&bytes),
    };
    Ok((encoding, message.map_err(|e| invalid(format!("the body is no such message: {e}")))?))
}

async fn body(mut payload: web::Payload) -> Result<Bytes, Problem> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|e| invalid(format!("the body was cut off: {e}")))?;
        if bytes.len() + chunk.len() > MAX_REQUEST {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

fn too_large() -> Problem {
    Problem::new(Code::BodyTooLarge, format!("the request is larger than {MAX_REQUEST} bytes"))
}

/// A request that cannot be answered as it is.
pub(super) fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(Code::ParameterInvalid, detail)
}

/// Reads protobuf's JSON form, in which `null` is an absent field.
fn from_json<M: DeserializeOwned>(bytes: &[u8]) -> Result<M, String> {
    fn without_nulls(value: &mut Value) {
        if let Value::Object(members) = value {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(without_nulls);
        }
    }
    let mut value: Value = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    if !value.is_object() {
        return Err("it must be a JSON object".to_owned());
    }
    without_nulls(&mut value);
    serde_json::from_value(value).map_err(|e| e.to_string())
}

/// An answer in the encoding of the request.
pub(super) fn answer<M: Message + Serialize>(encoding: Encoding, message: &M) -> Result<HttpResponse, Problem> {
    Ok(match encoding {
        Encoding::Proto => HttpResponse::Ok().content_type(PROTO).body(message.encode_to_vec()),
        Encoding::Json => {
            let json = serde_json::to_vec(message).map_err(Problem::internal_error)?;
            HttpResponse::Ok().content_type(JSON).body(json)
        }
    })
}

/// An answer of a message that is encoded already, or is to be written as JSON.
pub(super) fn encoded<M: Message + Default + Serialize>(
    encoding: Encoding,
    message: Vec<u8>,
) -> Result<HttpResponse, Problem> {
    match encoding {
        Encoding::Proto => Ok(HttpResponse::Ok().content_type(PROTO).body(message)),
        Encoding::Json => answer(encoding, &M::decode(message.as_slice()).map_err(Problem::internal_error)?),
    }
}

/// The answer that a client of Pyroscope expects in place of a problem document. The log gets the problem.
pub(super) fn refused(problem: Problem) -> HttpResponse {
    let code = match problem.code().status() {
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::PAYLOAD_TOO_LARGE => "resource_exhausted",
        StatusCode::SERVICE_UNAVAILABLE => "unavailable",
        StatusCode::GATEWAY_TIMEOUT => "deadline_exceeded",
        status if status.is_client_error() => "invalid_argument",
        _ => "internal",
    };
    let body = json!({"code": code, "message": problem.detail()}).to_string();
    let mut answer = HttpResponse::from_error(problem);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    answer.set_body(actix_web::body::BoxBody::new(body))
}
