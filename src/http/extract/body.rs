use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpRequest, error::PayloadError};
use bytes::BytesMut;
use futures::StreamExt;
use futures::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

use utoipa::PartialSchema;
use utoipa::openapi::{RefOr, Schema};

use crate::http::{Code, Problem};
use crate::kernel::Repeated;

/// The largest JSON body taken: 8 MiB.
pub const BODY_LIMIT_BYTES: usize = 8 * 1024 * 1024;

/// A JSON object as body.
///
/// Errors carry a JSON pointer to the member that is wrong. `T` should deny unknown fields.
#[derive(Debug, Clone)]
pub struct Body<T>(pub T);

impl<T> Body<T> {
    /// The value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T: DeserializeOwned + PartialSchema> Body<T> {
    /// Reads a JSON text.
    ///
    /// # Errors
    /// `body_invalid`.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Problem> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(Problem::new(Code::BodyInvalid, "the body is empty, send JSON"));
        }
        // serde would read an array as a struct, member by member.
        if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
            return Err(Problem::new(Code::BodyInvalid, "the body: must be a JSON object"));
        }
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let missing = missing::<T>(bytes);
            if is_missing_member(&error) && missing.len() > 1 {
                return Problem::fields(Code::BodyInvalid, missing, "is missing");
            }
            problem(&error)
        })?;
        json.end().map_err(|error| Problem::new(Code::BodyInvalid, format!("the body is not JSON: {error}")))?;
        Ok(Self(value))
    }
}

/// The body of a change: the members to change, and the read-only members that it repeats. A client that sends back the
/// whole row that it read repeats them.
#[derive(Debug, Clone)]
pub struct ChangeBody<T> {
    /// What is to be changed.
    pub change: T,
    /// Members that cannot be changed.
    pub repeated: Repeated,
}

/// Which members of a row cannot be changed.
pub trait ReadOnly {
    /// Their names. `problems` is always one of them.
    const MEMBERS: &'static [&'static str];
}

impl<T: DeserializeOwned + PartialSchema + ReadOnly> ChangeBody<T> {
    /// Reads a JSON text.
    ///
    /// # Errors
    /// `body_invalid`.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Problem> {
        let given: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(bytes).unwrap_or_default();
        let is_read_only = |name: &String| T::MEMBERS.contains(&name.as_str()) || name == "problems";
        let (repeated, rest): (serde_json::Map<_, _>, serde_json::Map<_, _>) =
            given.into_iter().partition(|(name, _)| is_read_only(name));
        let change = if repeated.is_empty() {
            Body::from_json(bytes)?
        } else {
            Body::from_json(serde_json::Value::Object(rest).to_string().as_bytes())?
        };
        Ok(Self { change: change.into_inner(), repeated: Repeated::new(repeated) })
    }
}

impl<T: DeserializeOwned + PartialSchema + ReadOnly> FromRequest for ChangeBody<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let bytes = received(request, payload);
        Box::pin(async move { Self::from_json(&bytes.await?) })
    }
}

impl<T: DeserializeOwned + PartialSchema> FromRequest for Body<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let bytes = received(request, payload);
        Box::pin(async move { Self::from_json(&bytes.await?) })
    }
}

/// The bytes of a JSON body, within the limit.
fn received(request: &HttpRequest, payload: &mut Payload) -> impl Future<Output = Result<BytesMut, Problem>> + 'static {
    let (head, payload) = (check(request), payload.take());
    async move {
        head?;
        read(payload, BODY_LIMIT_BYTES).await
    }
}

fn check(request: &HttpRequest) -> Result<(), Problem> {
    let given = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let kind = given.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    if kind != "application/json" && !(kind.starts_with("application/") && kind.ends_with("+json")) {
        return Err(Problem::new(
            Code::ContentTypeUnsupported,
            format!("the content type is {given:?}, send application/json"),
        ));
    }
    let length = request.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > BODY_LIMIT_BYTES as u64) {
        return Err(too_large(BODY_LIMIT_BYTES));
    }
    Ok(())
}

async fn read(mut payload: Payload, limit: usize) -> Result<BytesMut, Problem> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| cut(&error))?;
        if body.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn cut(error: &PayloadError) -> Problem {
    Problem::new(Code::BodyInvalid, "the body was cut off").because(error)
}

fn too_large(limit: usize) -> Problem {
    Problem::new(Code::BodyTooLarge, format!("the body is over {limit} bytes"))
}

fn is_missing_member(error: &serde_path_to_error::Error<serde_json::Error>) -> bool {
    pointer(error.path()).is_empty() && error.inner().to_string().starts_with("missing field `")
}

/// Pointers to the required members that an object lacks, as its schema lists them. serde stops at the first one.
fn missing<T: PartialSchema>(bytes: &[u8]) -> Vec<String> {
    let RefOr::T(Schema::Object(schema)) = T::schema() else { return Vec::new() };
    let given: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(bytes).unwrap_or_default();
    let missing = schema.required.iter().filter(|name| !given.contains_key(*name));
    missing.map(|name| format!("/{}", escape(name))).collect()
}

fn problem(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let (inner, mut pointer) = (error.inner(), pointer(error.path()));
    if !inner.is_data() {
        return Problem::new(Code::BodyInvalid, format!("the body is not JSON: {inner}"));
    }
    let text = inner.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    // serde_json names the field of these only in its text, which is their only mark, and gives the path of the object
    // around it.
    let detail = if let Some(field) = quoted(text, "missing field `") {
        pointer.push('/');
        pointer.push_str(&escape(field));
        "is missing".to_owned()
    } else if let Some(field) = quoted(text, "duplicate field `") {
        within(&mut pointer, field);
        "is given more than once".to_owned()
    } else if let Some(field) = quoted(text, "unknown field `") {
        within(&mut pointer, field);
        match text.split_once(", expected ") {
            Some((_, known)) => format!("is unknown: expected {}", known.replace('`', "")),
            None => "is unknown: this object has no members".to_owned(),
        }
    } else {
        in_plain_words(&text.replace('`', ""))
    };
    if pointer.is_empty() {
        return Problem::new(Code::BodyInvalid, format!("the body: {detail}"));
    }
    Problem::field(Code::BodyInvalid, pointer, detail)
}

/// The names that serde has for kinds of values, and plain words for them.
const KINDS: [(&str, &str); 14] = [
    ("f64", "a number"),
    ("u8", "a whole number from 0 to 255"),
    ("u16", "a whole number from 0 to 65535"),
    ("u32", "a whole number from 0 to 4294967295"),
    ("u64", "a whole number, 0 or more"),
    ("i32", "a whole number"),
    ("i64", "a whole number"),
    ("a boolean", "true or false"),
    ("a string", "a text"),
    ("a sequence", "a list"),
    ("a map", "an object"),
    ("a borrowed string", "a text"),
    ("struct", "an object"),
    ("unit", "null"),
];

/// How serde begins to describe a value, and plain words for it.
const FOUND: [(&str, &str); 6] = [
    ("integer ", "the number "),
    ("floating point ", "the number "),
    ("string ", "the text "),
    ("boolean ", ""),
    ("map", "an object"),
    ("sequence", "a list"),
];

/// `invalid type: string "1", expected f64` as people say it: `must be a number, not the text "1"`.
fn in_plain_words(text: &str) -> String {
    let invalid = text.strip_prefix("invalid type: ").or_else(|| text.strip_prefix("invalid value: "));
    let Some((found, expected)) = invalid.and_then(|text| text.rsplit_once(", expected ")) else {
        return text.to_owned();
    };
    let kind = expected.split(' ').next().filter(|kind| *kind == "struct").unwrap_or(expected);
    let expected = KINDS.iter().find(|(name, _)| *name == kind).map_or(expected, |(_, plain)| plain);
    let found = FOUND.iter().find_map(|(name, plain)| Some(format!("{plain}{}", found.strip_prefix(name)?)));
    format!("must be {expected}, not {}", found.unwrap_or_else(|| invalid_found(text).to_owned()))
}

fn invalid_found(text: &str) -> &str {
    let (_, found) = text.split_once(": ").unwrap_or(("", text));
    found.rsplit_once(", expected ").map_or(found, |(found, _)| found)
}

fn quoted<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    text.strip_prefix(prefix)?.split('`').next()
}

/// Appends a member to the pointer unless it ends in that member already.
fn within(pointer: &mut String, field: &str) {
    let last = format!("/{}", escape(field));
    if !pointer.ends_with(&last) {
        pointer.push_str(&last);
    }
}

fn pointer(path: &Path) -> String {
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(format!("/{index}")),
            Segment::Map { key } => Some(format!("/{}", escape(key))),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

fn escape(member: &str) -> String {
    member.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::AppName;
    use actix_web::http::StatusCode;
    use actix_web::{App, test as http_test, web};
    use rstest::rstest;

    #[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Sample {
        #[schema(value_type = String)]
        app_name: AppName,
        percent: f64,
        #[serde(default)]
        inner: Vec<Inner>,
    }

    #[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Inner {
        #[serde(rename = "a/b")]
        member: u8,
    }

    #[rstest]
    #[case(r#"{"percent":1}"#, "/appName: is missing")]
    #[case("{}", "/appName, /percent: is missing")]
    #[case(r#"{"appName":"","percent":1}"#, "/appName: must not be empty")]
    #[case(r#"{"appName":"a","percent":"1"}"#, "/percent: must be a number, not the text \"1\"")]
    #[case(r#"{"appName":"a","percent":1,"x":2}"#, "/x: is unknown: expected one of appName, percent, inner")]
    #[case(r#"{"appName":"a","appName":"b","percent":1}"#, "/appName: is given more than once")]
    #[case(
        r#"{"appName":"a","percent":1,"inner":[{"a/b":1},{"a/b":300}]}"#,
        "/inner/1/a~1b: must be a whole number from 0 to 255, not the number 300"
    )]
    #[case(r#"{"appName":"a","percent":1,"inner":[{}]}"#, "/inner/0/a~1b: is missing")]
    #[case(" [\"a\", 1, []]", "the body: must be a JSON object")]
    #[case("7", "the body: must be an object, not the number 7")]
    #[case(r#"{"appName":"a","percent":1,"inner":{}}"#, "/inner: must be a list, not an object")]
    #[case(r#"{"appName":"a","percent":null}"#, "/percent: must be a number, not null")]
    #[case(r#"{"appName":"a","percent":true}"#, "/percent: must be a number, not true")]
    #[case("", "the body is empty, send JSON")]
    #[case("{", "the body is not JSON: EOF while parsing an object at line 1 column 1")]
    #[case(r#"{"appName":"a","percent":1} x"#, "the body is not JSON: trailing characters at line 1 column 29")]
    fn points_at_the_member_at_fault(#[case] json: &str, #[case] detail: &str) {
        let problem = Body::<Sample>::from_json(json.as_bytes()).unwrap_err();
        assert_eq!((problem.code(), problem.detail()), (Code::BodyInvalid, detail));
    }

    #[rstest]
    #[case("application/json", 2, StatusCode::OK)]
    #[case("Application/JSON; charset=utf-8", 2, StatusCode::OK)]
    #[case("application/merge-patch+json", 2, StatusCode::OK)]
    #[case("text/plain", 2, StatusCode::UNSUPPORTED_MEDIA_TYPE)]
    #[case("application/json", BODY_LIMIT_BYTES, StatusCode::OK)]
    #[case("application/json", BODY_LIMIT_BYTES + 1, StatusCode::PAYLOAD_TOO_LARGE)]
    #[actix_web::test]
    async fn checks_type_and_size(#[case] kind: &str, #[case] size: usize, #[case] status: StatusCode) {
        async fn handler(_: Body<std::collections::BTreeMap<String, u8>>) -> &'static str {
            "OK"
        }
        let app = http_test::init_service(App::new().route("/", web::post().to(handler))).await;
        let body = format!("{{{}}}", " ".repeat(size - 2));
        for with_length in [true, false] {
            let mut request = http_test::TestRequest::post().uri("/").insert_header(("content-type", kind));
            if with_length {
                request = request.insert_header(("content-length", body.len().to_string()));
            }
            let answer = http_test::call_service(&app, request.set_payload(body.clone()).to_request()).await;
            assert_eq!(answer.status(), status);
        }
    }
}
