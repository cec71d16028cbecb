use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::kernel::{
    AppName, JsonObject, LimitSeverity, Note, Page, RowId, Text255, check_text, rfc3339, rfc3339_or_null, words,
};

/// The longest fingerprint and the longest title, in bytes.
const MAX_LINE_BYTES: usize = 1_024;

/// Reads a fingerprint or a title: 1 to 1,024 bytes, no U+0000.
fn line<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    check_text(&text, MAX_LINE_BYTES).map_err(serde::de::Error::custom)?;
    Ok(text)
}

words! {
    /// Where an incident comes from.
    IncidentSource:
    /// An alert rule.
    Rule = "rule",
    /// An approved limit.
    Baseline = "baseline",
    /// The duration of an operation.
    Latency = "latency",
    /// A service level objective.
    Slo = "slo",
    /// The server itself.
    System = "system",
}

words! {
    /// How an incident stands.
    IncidentState:
    /// Over the limit, but not yet for long enough.
    Pending = "pending",
    /// Over the limit for long enough.
    Firing = "firing",
    /// Over.
    Resolved = "resolved",
}

words! {
    /// Why an incident is over.
    ResolveReason:
    /// The value was clear of the limit for long enough.
    Clear = "clear",
    /// There was no data for an hour, which says nothing about the health of the app.
    NoData = "no_data",
    /// The rule was disabled.
    RuleDisabled = "rule_disabled",
    /// The rule was removed, or is for this app no more.
    RuleRemoved = "rule_removed",
    /// It was not seen again for as long as its source said.
    Quiet = "quiet",
}

words! {
    /// What a value is in.
    ValueUnit:
    /// Percent of a profile.
    Percent = "percent",
    /// A ratio.
    Ratio = "ratio",
    /// How fast an error budget is spent: 1 spends it exactly in its period.
    BurnRate = "burn_rate",
    /// Milliseconds.
    Ms = "ms",
    /// A number of things.
    Count = "count",
}

words! {
    /// How an incident stands for those who are told of it.
    IncidentLevel:
    /// It fires.
    Firing = "firing",
    /// It fires, and somebody looks after it.
    Acknowledged = "acknowledged",
    /// It fires and is resolved again and again.
    Flapping = "flapping",
    /// It is over.
    Resolved = "resolved",
}

/// What is found out about an incident, by whoever evaluates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Findings {
    /// What it is about: the same problem has the same fingerprint, such as `rule/12/checkout`.
    #[schema(max_length = 1024, example = "rule/12/checkout")]
    #[serde(deserialize_with = "line")]
    pub fingerprint: String,
    /// Where it comes from.
    pub source: IncidentSource,
    /// How it stands.
    pub state: IncidentState,
    /// How bad it is.
    pub severity: LimitSeverity,
    /// What is wrong, in a few words.
    #[schema(max_length = 1024, example = "gc_pressure over 30 % of cpu")]
    #[serde(deserialize_with = "line")]
    pub title: String,
    /// The app.
    #[schema(value_type = Option<String>, example = "checkout")]
    pub app_name: Option<AppName>,
    /// The alert rule.
    #[schema(example = 12)]
    pub rule_id: Option<i32>,
    /// The value when it was seen last.
    pub value: Option<f64>,
    /// The worst value since it is active.
    pub worst_value: Option<f64>,
    /// The limit.
    pub threshold: Option<f64>,
    /// What the values are in.
    pub unit: Option<ValueUnit>,
    /// How often it was seen since it is active.
    #[schema(minimum = 1)]
    pub occurrences: i64,
    /// What else is known of it, by its source: at most 64 KiB.
    #[schema(value_type = Object)]
    pub detail: JsonObject,
    /// Since when the value is over the limit.
    #[serde(deserialize_with = "rfc3339")]
    pub active_since: DateTime<Utc>,
    /// Since when it fires.
    #[serde(default, deserialize_with = "rfc3339_or_null")]
    pub fired_at: Option<DateTime<Utc>>,
    /// When it was seen last.
    #[serde(deserialize_with = "rfc3339")]
    pub last_seen_at: DateTime<Utc>,
    /// Since when the value is clear of the limit.
    #[serde(default, deserialize_with = "rfc3339_or_null")]
    pub clear_since: Option<DateTime<Utc>>,
    /// Since when there is no data.
    #[serde(default, deserialize_with = "rfc3339_or_null")]
    pub no_data_since: Option<DateTime<Utc>>,
    /// When it was over.
    #[serde(default, deserialize_with = "rfc3339_or_null")]
    pub resolved_at: Option<DateTime<Utc>>,
    /// Why it is over.
    pub resolve_reason: Option<ResolveReason>,
}

/// An incident: one problem from its beginning to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Incident {
    /// Its id.
    #[schema(value_type = i32, example = 7)]
    pub id: RowId,
    /// What was found out.
    #[serde(flatten)]
    pub found: Findings,
    /// When somebody acknowledged it.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// Who did.
    #[schema(example = "token:ana")]
    pub acknowledged_by: Option<String>,
    /// What they said.
    pub acknowledged_note: Option<String>,
    /// Until when nobody is told of it.
    pub snoozed_until: Option<DateTime<Utc>>,
    /// Who asked for that.
    pub snoozed_by: Option<String>,
    /// Why.
    pub snoozed_reason: Option<String>,
    /// When it fired again within 6 h of its end: the newest three.
    pub reopenings: Vec<DateTime<Utc>>,
    /// Since when it fires and is resolved again and again.
    pub flapping_since: Option<DateTime<Utc>>,
    /// When its state, severity, acknowledgement or flapping changed last.
    pub changed_at: DateTime<Utc>,
    /// What was told last.
    pub told_state: Option<IncidentLevel>,
    /// With which severity.
    pub told_severity: Option<LimitSeverity>,
    /// When.
    pub told_at: Option<DateTime<Utc>>,
    /// On which channel; null where no channel takes it.
    pub told_channel: Option<String>,
    /// Grows with each finding. A finding that was made on another version changes nothing.
    pub version: i64,
    /// The silence that it is under.
    #[schema(value_type = Option<i32>)]
    pub silenced_by: Option<RowId>,
}

impl Incident {
    /// How it stands for those who are told. `None`: it has not fired.
    pub fn level(&self) -> Option<IncidentLevel> {
        match self.found.state {
            IncidentState::Pending => None,
            _ if self.flapping_since.is_some() => Some(IncidentLevel::Flapping),
            IncidentState::Resolved => Some(IncidentLevel::Resolved),
            IncidentState::Firing if self.acknowledged_at.is_some() => Some(IncidentLevel::Acknowledged),
            IncidentState::Firing => Some(IncidentLevel::Firing),
        }
    }
}

/// Something that happened to an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IncidentEvent {
    /// When.
    pub at: DateTime<Utc>,
    /// What: `pending`, `firing`, `reopened`, `severity`, `resolved`, `acknowledged`, `snoozed`, `unsnoozed`, `flapping`,
    /// `flapping_ended`, `told`.
    #[schema(example = "firing")]
    pub kind: String,
    /// Who did it, where that is known.
    #[schema(example = "system:alert_rules")]
    pub actor: Option<String>,
    /// What else is known of it.
    #[schema(value_type = Option<Object>)]
    pub detail: Option<serde_json::Value>,
}

/// An incident and its timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = IncidentWithEvents)]
pub struct IncidentTimeline {
    /// The incident.
    #[serde(flatten)]
    pub incident: Incident,
    /// What happened to it, newest first: at most 200.
    pub events: Vec<IncidentEvent>,
}

/// Which incidents to list, newest first. What is absent narrows nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IncidentQuery {
    /// In this state.
    pub state: Option<IncidentState>,
    /// Of this app.
    pub app: Option<AppName>,
    /// From there.
    pub source: Option<IncidentSource>,
    /// Of this severity.
    pub severity: Option<LimitSeverity>,
    /// Of this rule.
    pub rule_id: Option<i32>,
    /// Acknowledged, or not.
    pub acknowledged: Option<bool>,
    /// That were not over before this time.
    pub from: Option<DateTime<Utc>>,
    /// That were active before this time.
    pub to: Option<DateTime<Utc>>,
    /// At most this many, 1 to 1,000.
    pub limit: u16,
    /// Continue after this place.
    pub after: Option<IncidentPosition>,
}

impl IncidentQuery {
    /// The largest page.
    pub const MAX_LIMIT: u16 = 1_000;
    /// A page where none is asked for.
    pub const DEFAULT_LIMIT: u16 = 100;
}

/// A place in a list of incidents or silences: pages continue after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentPosition(pub(super) i32);

/// One page of incidents, newest first.
pub type IncidentPage = Page<Incident, IncidentPosition>;

/// How long something is to last: 1 to 43,200 minutes, which are 30 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub struct Minutes(i32);

impl Minutes {
    /// How many.
    pub fn get(self) -> i32 {
        self.0
    }
}

impl TryFrom<i64> for Minutes {
    type Error = String;

    fn try_from(minutes: i64) -> Result<Self, String> {
        let within = i32::try_from(minutes).ok().filter(|minutes| (1..=43_200).contains(minutes));
        within.map(Self).ok_or_else(|| format!("is {minutes}, must be from 1 to 43200 minutes"))
    }
}

/// What people do to an incident.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// They look after it. Only one that fires; the first one who does stays.
    Acknowledge {
        /// What they say.
        note: Option<Note>,
        /// Who does; the caller if absent.
        by: Option<Text255>,
    },
    /// They want to hear nothing of it for some time. Not one that is resolved.
    Snooze {
        /// For how long from now on.
        minutes: Minutes,
        /// Why.
        reason: Note,
    },
    /// They want to hear of it again.
    Unsnooze,
}

/// What a source without a waiting time of its own has found: it opens a firing incident, brings the open one up to date,
/// or reopens one that was resolved within 6 h.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = IncidentObservation, example = json!({"fingerprint": "system/example", "source": "system",
    "severity": "warning", "title": "an example", "appName": null, "value": null, "threshold": null, "unit": null,
    "occurrences": 1, "detail": {}, "quietSeconds": 900}))]
pub struct Observation {
    /// What it is about: 1 to 1,024 bytes.
    #[schema(min_length = 1, max_length = 1024)]
    #[serde(deserialize_with = "line")]
    pub fingerprint: String,
    /// Where it comes from.
    pub source: IncidentSource,
    /// How bad it is; the severity of an open incident only rises.
    pub severity: LimitSeverity,
    /// What is wrong: 1 to 1,024 bytes.
    #[schema(min_length = 1, max_length = 1024)]
    #[serde(deserialize_with = "line")]
    pub title: String,
    /// The app.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 512)]
    pub app_name: Option<AppName>,
    /// The value; the worst one is kept.
    pub value: Option<f64>,
    /// The limit.
    pub threshold: Option<f64>,
    /// What the values are in.
    pub unit: Option<ValueUnit>,
    /// How often it was seen since it opened, not since the last call.
    #[schema(minimum = 1)]
    pub occurrences: i64,
    /// What else is known of it.
    #[schema(value_type = Object)]
    pub detail: JsonObject,
    /// For how long it stays open without being seen again, in seconds.
    #[serde(deserialize_with = "quiet_seconds")]
    #[schema(minimum = 1, maximum = 86_400)]
    pub quiet_seconds: i32,
}

/// Reads for how long an observation holds: a second to a day.
fn quiet_seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    let seconds = i32::deserialize(deserializer)?;
    let within = Some(seconds).filter(|seconds| (1..=86_400).contains(seconds));
    within.ok_or_else(|| serde::de::Error::custom(format!("is {seconds} s, must be from 1 to 86400")))
}

/// The incident that an observation belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ObservedIncident)]
pub struct Observed {
    /// Its id.
    #[schema(value_type = i32)]
    pub id: RowId,
    /// Whether somebody looks after it.
    pub acknowledged: bool,
}

/// A silence to be made. At least one of app, source and rule is given.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSilence {
    /// Incidents of this app.
    pub app: Option<AppName>,
    /// Incidents from there.
    pub source: Option<IncidentSource>,
    /// Incidents of this rule.
    pub rule_id: Option<RowId>,
    /// From when on; now if absent.
    pub starts_at: Option<DateTime<Utc>>,
    /// For how long.
    pub minutes: Minutes,
    /// Why.
    pub reason: Note,
}

/// From one time to another nobody is told of incidents that match all its members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Silence {
    /// Its id.
    #[schema(value_type = i32, example = 3)]
    pub id: RowId,
    /// Incidents of this app.
    #[schema(value_type = Option<String>)]
    pub app_name: Option<AppName>,
    /// Incidents from there.
    pub source: Option<IncidentSource>,
    /// Incidents of this rule.
    #[schema(value_type = Option<i32>)]
    pub rule_id: Option<RowId>,
    /// From when on.
    #[serde(deserialize_with = "rfc3339")]
    pub starts_at: DateTime<Utc>,
    /// Until when.
    #[serde(deserialize_with = "rfc3339")]
    pub ends_at: DateTime<Utc>,
    /// Why.
    pub reason: String,
    /// Who asked for it.
    pub created_by: String,
    /// When.
    #[serde(deserialize_with = "rfc3339")]
    pub created_at: DateTime<Utc>,
}

/// Which silences to list, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SilenceQuery {
    /// Only those that hold now or later; otherwise those that ended too.
    pub active: bool,
    /// At most this many, 1 to 1,000.
    pub limit: u16,
    /// Continue after this place.
    pub after: Option<IncidentPosition>,
}

/// One page of silences, newest first.
pub type SilencePage = Page<Silence, IncidentPosition>;
