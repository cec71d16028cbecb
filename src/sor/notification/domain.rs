use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::kernel::{JsonObject, LimitSeverity, RowId, Text255, words};

words! {
    /// What happened to an incident, for those who are told of it.
    NoticeEvent:
    /// It fires.
    Firing = "firing",
    /// It still fires, and nobody looks after it.
    Repeated = "repeated",
    /// It is worse than before.
    Severity = "severity",
    /// Somebody looks after it.
    Acknowledged = "acknowledged",
    /// It fires and is resolved again and again; nothing more is told until it stays as it is.
    Flapping = "flapping",
    /// It stays as it is again.
    FlappingEnded = "flapping_ended",
    /// It is over.
    Resolved = "resolved",
}

/// A link of a notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NoticeLink {
    /// What it shows, such as `triage`.
    pub name: String,
    /// Where it leads.
    pub url: String,
}

/// What people are told of an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Notice {
    /// What happened.
    pub event: NoticeEvent,
    /// How bad it is.
    pub severity: LimitSeverity,
    /// The first line: what fires, where, since when, with figures.
    pub headline: String,
    /// More lines: the verdict, who owns it.
    pub lines: Vec<String>,
    /// Where to look.
    pub links: Vec<NoticeLink>,
    /// The incident, as `GET /alerts/{id}` shows it without its events.
    #[schema(value_type = Object)]
    pub alert: JsonObject,
}

/// A message to be delivered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewMessage {
    /// The same message has the same key, however often it is handed in: `{id}/{firedAt}/{what}/{toldAt}`.
    #[schema(value_type = String, min_length = 1, max_length = 255)]
    pub key: Text255,
    /// The incident that it is about.
    #[schema(value_type = i32)]
    pub incident_id: RowId,
    /// Which channels it is meant for, the most wanted first. Where none of them is defined it goes to the default one.
    #[schema(value_type = Vec<String>)]
    pub meant_for: Vec<Text255>,
    /// What it says.
    pub notice: Notice,
}

/// What became of a message that was handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Enqueued {
    /// The channel that it goes to; null where no channel is defined, and the message is not kept.
    pub channel: Option<String>,
    /// The channels that it was meant for and that are not defined.
    pub unresolved: Vec<String>,
}

/// An alert as an Alertmanager keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MirroredAlert {
    /// What tells it apart from others: `alertname`, `app`, `severity`, …
    pub labels: BTreeMap<String, String>,
    /// What else is known of it.
    pub annotations: BTreeMap<String, String>,
    /// Since when it fires.
    pub starts_at: DateTime<Utc>,
    /// When it is over, or will be unless it is mirrored again.
    pub ends_at: DateTime<Utc>,
    /// Where it is shown.
    #[serde(rename = "generatorURL")]
    pub generator_url: String,
}
