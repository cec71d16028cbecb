//! `application/problem+json`: the one shape of every error that leaves the server.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

use super::codes::Code;
use crate::kernel::{AppName, PortError};

/// One invalid member of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// Where: a JSON pointer into the body, or the parameter's name.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

/// An error to be answered. `detail` is for the caller. `internal` is logged once and never sent.
#[derive(Debug, Clone)]
pub struct Problem {
    code: Code,
    detail: String,
    errors: Vec<FieldError>,
    internal: Option<String>,
    retry_after_s: Option<u32>,
    allow: Option<String>,
}

/// The media type of problem documents.
pub const PROBLEM_JSON: &str = "application/problem+json";

impl utoipa::PartialSchema for Problem {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        ProblemBody::schema()
    }
}

/// So that handlers document their errors with `body = Problem, content_type = "application/problem+json"`.
impl utoipa::ToSchema for Problem {
    fn name() -> std::borrow::Cow<'static, str> {
        "Problem".into()
    }

    fn schemas(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>)>) {
        ProblemBody::schemas(schemas);
    }
}

impl Problem {
    /// An error with a text for the caller.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), errors: Vec::new(), internal: None, retry_after_s: None, allow: None }
    }

    /// An error in one parameter or member.
    pub fn field(code: Code, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let (pointer, detail) = (pointer.into(), detail.into());
        let mut problem = Self::new(code, format!("{pointer}: {detail}"));
        problem.errors.push(FieldError { pointer, detail });
        problem
    }

    /// The same error in several parameters or members.
    pub fn fields(code: Code, pointers: Vec<String>, detail: &str) -> Self {
        let problem = Self::new(code, format!("{}: {detail}", pointers.join(", ")));
        let error = |pointer| FieldError { pointer, detail: detail.to_owned() };
        Self { errors: pointers.into_iter().map(error).collect(), ..problem }
    }

    /// Adds the full text for the log.
    #[must_use]
    pub fn because(mut self, internal: impl std::fmt::Display) -> Self {
        self.internal = Some(internal.to_string());
        self
    }

    /// Tells the caller when to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Tells the caller which methods this path knows.
    #[must_use]
    pub fn allowing(mut self, methods: impl Into<String>) -> Self {
        self.allow = Some(methods.into());
        self
    }

    /// An unknown app, with the names that may have been meant.
    pub fn app_unknown(app: &AppName, near: &[AppName]) -> Self {
        let near: Vec<_> = near.iter().map(|app| format!("{:?}", app.as_str())).collect();
        let hint = if near.is_empty() {
            "GET /profiles/apps lists those that are".to_owned()
        } else {
            format!("did you mean {}?", near.join(" or "))
        };
        Self::new(Code::AppUnknown, format!("no profiles of the app {:?} are known; {hint}", app.as_str()))
    }

    /// A fault of this server. `internal` goes to the log.
    pub fn internal_error(internal: impl std::fmt::Display) -> Self {
        Self::new(Code::Internal, "an internal error, see the log under this request id").because(internal)
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The text for the caller.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The text for the log, if it contains more than the text for the caller.
    pub fn internal(&self) -> Option<&str> {
        self.internal.as_deref()
    }

    /// The answer of a server that is starting.
    fn starting(why: &str) -> Self {
        Self::new(Code::NotReady, why).retry_after(1)
    }

    /// The answer of a relational SOR's own route whose port failed.
    pub fn of_relational(error: &PortError) -> Self {
        match error {
            PortError::Conflict(detail) => Self::new(Code::Conflict, detail),
            PortError::Invalid(detail) => Self::new(Code::BodyInvalid, detail),
            PortError::Starting(why) => Self::starting(why),
            PortError::Unavailable(_) | PortError::Denied(_) => {
                Self::new(Code::DatabaseUnavailable, "the database is away, try again").retry_after(1)
            }
            PortError::Overloaded { retry_after_s, .. } => {
                Self::new(Code::Overloaded, "no database connection was free in time").retry_after(*retry_after_s)
            }
            PortError::Timeout(_) => Self::new(Code::Timeout, "the database did not answer in time"),
            // This answer is not read: a caller that cancelled has closed its connection.
            PortError::Cancelled => Self::new(Code::Timeout, "the call was cancelled"),
            PortError::Internal(_) => Self::new(Code::Internal, "an internal error, see the log under this request id"),
        }
        .because(error)
    }

    /// The answer of a profile route or a BOR whose profile port failed.
    pub fn of_profiles(error: &PortError) -> Self {
        match error {
            PortError::Conflict(detail) | PortError::Invalid(detail) => Self::new(Code::ParameterInvalid, detail),
            PortError::Starting(why) => Self::starting(why),
            PortError::Unavailable(_) => Self::new(Code::ProfileSourceFailed, "the source of profiles failed"),
            PortError::Denied(_) => {
                Self::new(Code::ProfileSourceDenied, "the source of profiles refused this server's credentials")
            }
            PortError::Timeout(_) => Self::new(Code::Timeout, "the source of profiles did not answer in time"),
            PortError::Overloaded { retry_after_s, .. } => {
                Self::new(Code::ProfileSourceBusy, "the source of profiles is busy").retry_after(*retry_after_s)
            }
            // This answer is not read: a caller that cancelled has closed its connection.
            PortError::Cancelled => Self::new(Code::Timeout, "the call was cancelled"),
            PortError::Internal(_) => Self::new(Code::Internal, "an internal error, see the log under this request id"),
        }
        .because(error)
    }
}

/// The document as it goes over the wire.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem, example = json!({"type": "/problems/parameter_invalid", "title": "A parameter is missing or invalid",
    "status": 400, "detail": "limit: must be a whole number from 0 to 4294967295",
    "instance": "urn:request:018d3f3e-7c1a-7000-8000-000000000002", "code": "parameter_invalid",
    "error": "limit: must be a whole number from 0 to 4294967295",
    "errors": [{"pointer": "limit", "detail": "must be a whole number from 0 to 4294967295"}], "retryable": false}))]
pub(super) struct ProblemBody<'a> {
    /// A URI reference that names the code.
    #[serde(rename = "type")]
    kind: String,
    /// The code's title.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What went wrong this time.
    detail: &'a str,
    /// The request's id, to be found in the log.
    instance: String,
    /// The machine-readable code.
    code: &'a str,
    /// The same as `detail`, for older clients.
    error: &'a str,
    /// Each invalid member, if any.
    errors: &'a [FieldError],
    /// Whether the same request may succeed later.
    retryable: bool,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.id(), self.detail)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        let row = self.code.row();
        let body = ProblemBody {
            kind: format!("/problems/{}", row.id),
            title: row.title,
            status: row.status,
            detail: &self.detail,
            instance: crate::telemetry::request_id().map_or_else(String::new, |id| format!("urn:request:{id}")),
            code: row.id,
            error: &self.detail,
            errors: &self.errors,
            retryable: row.retryable,
        };
        let mut answer = HttpResponse::build(self.status_code());
        if let Some(seconds) = self.retry_after_s {
            answer.insert_header((header::RETRY_AFTER, seconds));
        }
        if let Some(methods) = &self.allow {
            answer.insert_header((header::ALLOW, methods.as_str()));
        }
        if self.status_code() == StatusCode::UNAUTHORIZED {
            // Browsers ask for a password: they can send the token so.
            answer.append_header((header::WWW_AUTHENTICATE, "Basic realm=\"flamewarden\""));
            answer.append_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        answer.content_type(PROBLEM_JSON).body(serde_json::to_vec(&body).unwrap_or_default())
    }
}
