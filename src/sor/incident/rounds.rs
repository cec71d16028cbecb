//! What evaluation and telling exchange with the store.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::domain::{Findings, Incident, IncidentLevel};
use crate::kernel::{LimitSeverity, RowId, holds_nul, rfc3339, rfc3339_or_null};

/// Where an evaluation begins.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StandingIncidents {
    /// The incidents of rules and limits that are open, or were resolved within 6 h.
    pub incidents: Vec<Incident>,
    /// When each rule was evaluated last.
    pub evaluated: Vec<RuleEvaluated>,
}

/// When a rule was evaluated last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleEvaluated {
    /// The rule.
    pub rule_id: i32,
    /// When.
    #[serde(deserialize_with = "rfc3339")]
    pub evaluated_at: DateTime<Utc>,
}

/// What an evaluation found of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = KeptRuleState)]
pub struct RuleState {
    /// The rule.
    pub rule_id: i32,
    /// When.
    #[serde(deserialize_with = "rfc3339")]
    pub evaluated_at: DateTime<Utc>,
    /// What, as the evaluation wants it kept.
    #[serde(deserialize_with = "object")]
    #[schema(value_type = Object)]
    pub body: serde_json::Value,
}

/// Reads an object of any length that the database can keep.
fn object<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<serde_json::Value, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    if !value.is_object() {
        return Err(serde::de::Error::custom("must be an object"));
    }
    if holds_nul(&value) { Err(serde::de::Error::custom("must not hold U+0000")) } else { Ok(value) }
}

/// A change of the incidents that an evaluation decided on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum IncidentWrite {
    /// A problem that has no open incident.
    Open {
        /// What was found out.
        found: Findings,
    },
    /// More is known of an incident.
    Update {
        /// Which.
        #[schema(value_type = i32)]
        id: RowId,
        /// On which version it was decided.
        version: i64,
        /// What was found out.
        found: Findings,
    },
    /// A pending one that ended before it fired.
    Remove {
        /// Which.
        #[schema(value_type = i32)]
        id: RowId,
        /// On which version it was decided.
        version: i64,
    },
}

/// What an evaluation decided: all of it is written, or nothing. A change of an incident that has another version now is
/// skipped.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EvaluationResult, example = json!({"writes": [], "states": []}))]
pub struct Decided {
    /// Changes of incidents, at most one of each.
    pub writes: Vec<IncidentWrite>,
    /// What was found of rules.
    pub states: Vec<RuleState>,
}

impl Decided {
    /// The most changes, and the most states, in one call.
    pub const MOST: usize = 1_000;
}

/// Which incidents somebody may have to be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"repeatedBefore": "2026-01-23T04:53:20Z", "least": "warning"}))]
pub struct Untold {
    /// Those that fire and were told last by this time are told again.
    #[serde(deserialize_with = "rfc3339")]
    pub repeated_before: DateTime<Utc>,
    /// Of firing incidents those that are at least as severe.
    pub least: LimitSeverity,
}

impl Untold {
    /// The most incidents in one answer.
    pub const MOST: u16 = 500;
}

/// What was told of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// Which.
    #[schema(value_type = i32)]
    pub id: RowId,
    /// How it stood.
    pub state: IncidentLevel,
    /// With which severity.
    pub severity: LimitSeverity,
    /// When.
    #[serde(deserialize_with = "rfc3339")]
    pub at: DateTime<Utc>,
    /// On which channel; null where no channel takes it.
    pub channel: Option<String>,
    /// When it was told last, as far as the teller knew; null where it never was. If it was told since, nothing is noted.
    #[serde(default, deserialize_with = "rfc3339_or_null")]
    pub last_told_at: Option<DateTime<Utc>>,
}
