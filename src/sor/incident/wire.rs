//! Incidents and silences as JSON: the bodies of the routes. The remote adapters read and write them too. Incidents and
//! silences are bodies as they are.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::domain::{Act, Incident, IncidentSource, Minutes, NewSilence, Silence};
use super::rounds::{RuleState, Told};
use crate::kernel::{AppName, Note, RowId, Text255, rfc3339_or_null};

/// One page of alerts.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Alerts)]
pub(super) struct AlertsBody {
    /// How many alerts this page has.
    pub(super) count: usize,
    /// The alerts, newest first.
    pub(super) alerts: Vec<Incident>,
    /// Continues the list; null on its last page.
    #[schema(required = false)]
    pub(super) next_cursor: Option<String>,
}

/// That somebody looks after an alert.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Acknowledgement, example = json!({"note": "rolling back"}))]
pub(super) struct AcknowledgeBody {
    /// What to tell others, 1 to 2,000 bytes.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 2000)]
    pub(super) note: Option<Note>,
    /// Who looks after it, if it is not the caller: 1 to 255 bytes.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    pub(super) by: Option<Text255>,
}

impl From<AcknowledgeBody> for Act {
    fn from(AcknowledgeBody { note, by }: AcknowledgeBody) -> Self {
        Self::Acknowledge { note, by }
    }
}

/// For how long nobody is to be told of an alert.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Snooze, example = json!({"minutes": 60, "reason": "the fix is being rolled out"}))]
pub(super) struct SnoozeBody {
    /// For so many minutes from now on.
    #[schema(value_type = i32, minimum = 1, maximum = 43_200)]
    pub(super) minutes: Minutes,
    /// Why, 1 to 2,000 bytes.
    #[schema(value_type = String, min_length = 1, max_length = 2000)]
    pub(super) reason: Note,
}

impl From<SnoozeBody> for Act {
    fn from(SnoozeBody { minutes, reason }: SnoozeBody) -> Self {
        Self::Snooze { minutes, reason }
    }
}

/// A silence to be made: give at least one of `appName`, `source` and `ruleId`.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = NewSilence, example = json!({"appName": "flamewarden", "minutes": 60, "reason": "load test"}))]
pub(super) struct NewSilenceBody {
    /// Alerts of this app.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 512)]
    pub(super) app_name: Option<AppName>,
    /// Alerts from there.
    pub(super) source: Option<IncidentSource>,
    /// Alerts of this rule.
    #[schema(value_type = Option<i32>, minimum = 1)]
    pub(super) rule_id: Option<RowId>,
    /// From when on; now if absent.
    #[serde(default, deserialize_with = "rfc3339_or_null")]
    pub(super) starts_at: Option<DateTime<Utc>>,
    /// For so many minutes.
    #[schema(value_type = i32, minimum = 1, maximum = 43_200)]
    pub(super) minutes: Minutes,
    /// Why, 1 to 2,000 bytes.
    #[schema(value_type = String, min_length = 1, max_length = 2000)]
    pub(super) reason: Note,
}

impl From<NewSilenceBody> for NewSilence {
    fn from(body: NewSilenceBody) -> Self {
        let NewSilenceBody { app_name, source, rule_id, starts_at, minutes, reason } = body;
        Self { app: app_name, source, rule_id, starts_at, minutes, reason }
    }
}

impl From<NewSilence> for NewSilenceBody {
    fn from(new: NewSilence) -> Self {
        let NewSilence { app, source, rule_id, starts_at, minutes, reason } = new;
        Self { app_name: app, source, rule_id, starts_at, minutes, reason }
    }
}

/// One page of silences.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Silences)]
pub(super) struct SilencesBody {
    /// How many silences this page has.
    pub(super) count: usize,
    /// The silences, newest first.
    pub(super) silences: Vec<Silence>,
    /// Continues the list; null on its last page.
    #[schema(required = false)]
    pub(super) next_cursor: Option<String>,
}

/// That something is kept.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = KeptIncidents)]
pub(super) struct KeptBody {
    /// True.
    pub(super) kept: bool,
}

/// Alerts of which somebody is to be told.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = UntoldAlerts)]
pub(super) struct UntoldBody {
    /// Those that changed first come first; at most 500.
    pub(super) incidents: Vec<Incident>,
}

/// What was told, of at most 500 alerts.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ToldAlerts, example = json!({"told": [{"id": 1, "state": "firing", "severity": "critical",
    "at": "2026-01-23T08:53:20Z", "channel": "ops", "lastToldAt": null}]}))]
pub(super) struct ToldBody {
    /// Each alert once.
    #[schema(max_items = 500)]
    pub(super) told: Vec<Told>,
}

/// A rule.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = EvaluatedRule, example = json!({"ruleId": 1}))]
pub(super) struct RuleIdBody {
    /// Its id.
    #[schema(value_type = i32, minimum = 1)]
    pub(super) rule_id: RowId,
}

/// What the last evaluation found of a rule.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = LastEvaluation)]
pub(super) struct RuleStateBody {
    /// Null before the first evaluation.
    #[serde(deserialize_with = "Option::deserialize")]
    // null, but not absent: that is the answer of another server
    pub(super) state: Option<RuleState>,
}
