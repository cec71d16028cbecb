use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::channels::{ChannelKind, ChannelName};
use crate::kernel::{
    JsonObject, LimitSeverity, Page, PortError, PortResult, RowId, Text255, check_json, rfc3339, words,
};

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

impl NewMessage {
    /// The most messages that are handed in at once.
    pub const MOST_AT_ONCE: usize = 1_000;

    /// Refuses what no row could hold.
    ///
    /// # Errors
    /// `Invalid` says what is wrong with the notice.
    pub(super) fn check(&self) -> PortResult<()> {
        let Notice { event, severity, headline, lines, links, alert: _ } = &self.notice;
        let beside_alert =
            json!({"event": event, "severity": severity, "headline": headline, "lines": lines, "links": links});
        check_json(&beside_alert).map_err(|why| PortError::Invalid(format!("the notice of message {} {why}", self.key)))
    }
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

words! {
    /// How a message stands.
    MessageState:
    /// It is to be delivered.
    Pending = "pending",
    /// Its channel has taken it.
    Delivered = "delivered",
    /// A newer message about the same incident took its place before it was delivered.
    Superseded = "superseded",
    /// Its channel refused it, or took nothing for a day.
    Dead = "dead",
}

/// What a message says, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MessageBody {
    /// What people are told.
    pub notice: Notice,
    /// The channels that it was meant for and that are not defined.
    pub unresolved: Vec<String>,
}

/// A message that was handed in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Notification)]
pub struct Message {
    /// Its id.
    #[schema(value_type = i32, example = 7)]
    pub id: RowId,
    /// Its key.
    #[schema(example = "7/2026-01-23T08:53:20Z/firing/-")]
    pub key: String,
    /// The channel that it goes to.
    #[schema(value_type = String, example = "ops")]
    pub channel: ChannelName,
    /// The incident that it is about.
    #[schema(value_type = i32, example = 7)]
    pub incident_id: RowId,
    /// What it says.
    #[serde(flatten)]
    pub body: MessageBody,
    /// How it stands.
    pub state: MessageState,
    /// How often it was sent.
    #[schema(minimum = 0)]
    pub attempts: i32,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When it was handed in.
    #[serde(deserialize_with = "rfc3339")]
    pub created_at: DateTime<Utc>,
    /// When it was delivered, superseded or given up; null while it is pending.
    pub settled_at: Option<DateTime<Utc>>,
}

/// Which messages to list, newest first. What is absent narrows nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageQuery {
    /// That stand so.
    pub state: Option<MessageState>,
    /// Of this channel.
    pub channel: Option<ChannelName>,
    /// About this incident.
    pub incident_id: Option<RowId>,
    /// At most this many, 1 to 1,000.
    pub limit: u16,
    /// Continue after this place.
    pub after: Option<MessagePosition>,
}

impl MessageQuery {
    /// The largest page.
    pub const MAX_LIMIT: u16 = 1_000;
    /// A page where none is asked for.
    pub const DEFAULT_LIMIT: u16 = 100;

    /// The newest messages.
    pub fn newest(limit: u16) -> Self {
        Self { state: None, channel: None, incident_id: None, limit, after: None }
    }
}

/// A place in a list of messages: pages continue after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessagePosition(pub(super) i32);

/// One page of messages, newest first.
pub type MessagePage = Page<Message, MessagePosition>;

words! {
    /// How a channel does.
    ChannelState:
    /// It took what was sent last.
    Ok = "ok",
    /// It did not.
    Failing = "failing",
    /// Nothing was sent yet.
    Unused = "unused",
}

/// A channel, without its address and its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Channel)]
pub struct ChannelStatus {
    /// Its name.
    #[schema(value_type = String, example = "ops")]
    pub name: ChannelName,
    /// What kind of receiver it is.
    pub kind: ChannelKind,
    /// What rules and services may write to mean it, beside its name.
    #[serde(rename = "match")]
    #[schema(example = json!(["#orders*"]))]
    pub globs: Vec<String>,
    /// How it does.
    pub state: ChannelState,
    /// Since when it takes nothing.
    pub failing_since: Option<DateTime<Utc>>,
    /// When it took something last.
    pub last_ok_at: Option<DateTime<Utc>>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// How many messages wait for it.
    pub pending: i64,
}

/// The channels that are defined, and those that are only meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Channels)]
pub struct ChannelList {
    /// The channel of messages that are meant for none that is defined.
    #[schema(value_type = Option<String>, example = "ops")]
    pub default: Option<ChannelName>,
    /// The channels, by name.
    pub channels: Vec<ChannelStatus>,
    /// Channels that are not defined although messages of the last 30 days were addressed to them, sorted by name.
    pub unresolved: Vec<String>,
}

/// What came of a message that was sent as a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ChannelTest)]
pub struct TestDelivery {
    /// Whether the channel took it.
    pub delivered: bool,
    /// The status that it answered with; null where it gave no answer.
    #[schema(example = 200)]
    pub status: Option<u16>,
    /// Why it was not delivered.
    pub error: Option<String>,
}
