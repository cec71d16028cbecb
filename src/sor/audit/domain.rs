use core::net::IpAddr;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kernel::{AccessMethod, AppName, InvalidName, JsonObject, Page, Text255, check_text, words};

/// A text that the log is filtered by, or that an entry holds: 1 to 2,000 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct AuditText(Cow<'static, str>);

impl AuditText {
    /// Longest text, in bytes.
    pub const MAX_BYTES: usize = 2_000;

    /// A text that stands in the code.
    pub(super) const fn of(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// The text, cut where it is too long; `None` where nothing is left.
    pub(super) fn cut(text: &str) -> Option<Self> {
        text.get(..text.floor_char_boundary(Self::MAX_BYTES))?.parse().ok()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AuditText {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        check_text(&text, Self::MAX_BYTES)?;
        Ok(Self(text.into()))
    }
}

impl FromStr for AuditText {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        text.to_owned().try_into()
    }
}

impl fmt::Display for AuditText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

words! {
    /// How it ended.
    AuditResult:
    /// It was done.
    Success = "success",
    /// It was not allowed.
    Denied = "denied",
    /// It failed.
    Error = "error",
}

words! {
    /// How it is known who acted.
    AuditMethod:
    /// By a token.
    Token = "token",
    /// By a gateway in front of the server.
    Gateway = "gateway",
    /// Not at all: the server was open.
    Open = "open",
    /// Another Flamewarden that named no actor.
    Service = "service",
    /// By the link of a shared dashboard.
    ShareToken = "share_token",
    /// By the database: the change was made past the server.
    Sql = "sql",
    /// It was the server itself.
    System = "system",
}

impl From<AccessMethod> for AuditMethod {
    fn from(method: AccessMethod) -> Self {
        match method {
            AccessMethod::Token => Self::Token,
            AccessMethod::Gateway => Self::Gateway,
            AccessMethod::Open => Self::Open,
            AccessMethod::Service => Self::Service,
            AccessMethod::ShareToken => Self::ShareToken,
            AccessMethod::System => Self::System,
        }
    }
}

/// What is appended beside the changes that tables tell themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewAuditEntry {
    /// Who acted: `method:name`, or `anonymous`.
    #[schema(value_type = String, min_length = 1, max_length = 2000, example = "token:ci")]
    pub user_id: AuditText,
    /// How that is known.
    pub access_method: AuditMethod,
    /// What was done, such as `request.denied`.
    #[schema(value_type = String, min_length = 1, max_length = 2000, example = "request.denied")]
    pub action: AuditText,
    /// The kind of what it was done to.
    #[schema(value_type = String, min_length = 1, max_length = 2000, example = "route")]
    pub resource_type: AuditText,
    /// Which one it was.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 2000, example = "PUT /baselines/{key}")]
    pub resource_id: Option<AuditText>,
    /// How it ended.
    pub result: AuditResult,
    /// How often it happened, where one entry stands for several.
    #[schema(minimum = 1, example = 1)]
    pub times: i32,
    /// The address that it came from.
    #[schema(value_type = Option<String>, example = "192.0.2.7")]
    pub client_ip: Option<IpAddr>,
    /// What the client calls itself.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 2000, example = "curl/8.5.0")]
    pub user_agent: Option<AuditText>,
    /// The request it was part of.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 2000, example = "0198f1a2-0000-7000-8000-000000000000")]
    pub request_id: Option<AuditText>,
    /// What else is to be said of it.
    #[schema(value_type = Option<Object>, example = json!({"reason": "forbidden"}))]
    pub metadata: Option<JsonObject>,
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"id": 7, "at": "2026-01-23T08:53:20.123456Z", "userId": "token:ci",
    "action": "baseline.update", "resourceType": "baseline", "resourceId": "1", "appName": "flamewarden",
    "projectId": null, "result": "success", "accessMethod": "token", "times": 1, "clientIp": "192.0.2.7",
    "userAgent": "curl/8.5.0", "requestId": "0198f1a2-0000-7000-8000-000000000000",
    "before": {"max_self_percent": 5.0}, "after": {"max_self_percent": 7.5}, "metadata": null}))]
pub struct AuditEntry {
    /// Its id. Ids grow, and some are left out.
    pub id: i64,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// Who acted: `method:name`; null where the name was erased.
    pub user_id: Option<String>,
    /// What was done: `baseline.update`, `history.expire`, `request.denied`.
    pub action: String,
    /// The kind of what it was done to.
    pub resource_type: String,
    /// Which one it was.
    pub resource_id: Option<String>,
    /// The app it belongs to.
    pub app_name: Option<String>,
    /// The project it belongs to.
    pub project_id: Option<String>,
    /// How it ended.
    pub result: AuditResult,
    /// How it is known who acted.
    pub access_method: AuditMethod,
    /// How often it happened, where one entry stands for several.
    pub times: i32,
    /// The address that it came from.
    #[schema(value_type = Option<String>)]
    pub client_ip: Option<IpAddr>,
    /// What the client called itself.
    pub user_agent: Option<String>,
    /// The request it was part of.
    pub request_id: Option<String>,
    /// The row before the change, by its columns. A value of over 8 KiB is shown as `{"sha256", "bytes"}` of its text.
    #[schema(value_type = Option<Object>)]
    pub before: Option<Value>,
    /// The row after the change.
    #[schema(value_type = Option<Object>)]
    pub after: Option<Value>,
    /// What else there is to say.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Value>,
}

/// Which entries to list, newest first. What is absent narrows nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditQuery {
    /// By this user, `method:name`.
    pub user: Option<AuditText>,
    /// Of this action.
    pub action: Option<AuditText>,
    /// Of this kind of resource.
    pub resource_type: Option<AuditText>,
    /// Of this resource.
    pub resource_id: Option<AuditText>,
    /// Of this app.
    pub app: Option<AppName>,
    /// Of one of these projects.
    pub projects: Option<Vec<Text255>>,
    /// That ended so.
    pub result: Option<AuditResult>,
    /// From this time on.
    pub from: Option<DateTime<Utc>>,
    /// Before this time.
    pub to: Option<DateTime<Utc>>,
    /// At most this many, 1 to 1,000.
    pub limit: u16,
    /// Continue after this place.
    pub after: Option<AuditPosition>,
}

impl AuditQuery {
    /// The largest page.
    pub const MAX_LIMIT: u16 = 1_000;
    /// A page where none is asked for.
    pub const DEFAULT_LIMIT: u16 = 100;

    /// The newest entries.
    pub fn newest(limit: u16) -> Self {
        Self {
            user: None,
            action: None,
            resource_type: None,
            resource_id: None,
            app: None,
            projects: None,
            result: None,
            from: None,
            to: None,
            limit,
            after: None,
        }
    }
}

/// A place in the log: pages continue after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPosition(pub(super) i64);

/// One page of the log, newest first.
pub type AuditPage = Page<AuditEntry, AuditPosition>;

/// How many links of the chain to verify: 1 to 1,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct VerifyLimit(u32);

impl VerifyLimit {
    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for VerifyLimit {
    fn default() -> Self {
        Self(100_000)
    }
}

impl TryFrom<u32> for VerifyLimit {
    type Error = &'static str;

    fn try_from(number: u32) -> Result<Self, Self::Error> {
        let valid = (1..=1_000_000).contains(&number);
        valid.then_some(Self(number)).ok_or("must be a whole number from 1 to 1000000")
    }
}

/// What came of verifying a part of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"ok": true, "checkedRows": 1234, "firstBrokenId": null, "unchained": 0,
    "head": {"seq": 1234, "hash": "9f2c3f9d0d1c2b3a49f2c3f9d0d1c2b3a49f2c3f9d0d1c2b3a49f2c3f9d0d1c2", "at": "2026-01-23T08:53:20.123456Z"},
    "nextSeq": null}))]
pub struct Verification {
    /// Whether no row was found that is gone or not what it was.
    pub ok: bool,
    /// How many rows were checked.
    pub checked_rows: u64,
    /// The first row that is gone or not what it was.
    pub first_broken_id: Option<i64>,
    /// Rows that are not in the chain yet.
    pub unchained: u64,
    /// The last link of the chain; null before the first.
    pub head: Option<AuditHead>,
    /// Where to continue; null where nothing is left.
    pub next_seq: Option<i64>,
}

/// The last link of the chain. Whoever keeps it elsewhere can tell later that nothing before it was rewritten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditHead {
    /// Its number.
    pub seq: i64,
    /// Its SHA-256, in hex.
    pub hash: String,
    /// The time of its row.
    pub at: DateTime<Utc>,
}
