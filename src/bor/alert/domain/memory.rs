//! What one round keeps for the next, whichever process runs it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::kernel::{AppName, JsonObject, LimitSeverity, RowId};
use crate::sor::incident::{IncidentSource, Observation, RuleState};

/// An app that failed in so many rounds running is told of.
const FAILED_ROUNDS: u32 = 5;
/// The most apps and rules that are named.
const MOST_NAMED: usize = 100;
/// The incident of evaluation itself.
const FINGERPRINT: &str = "system/evaluation";
/// For how long it stays open without being seen again.
const QUIET_SECONDS: i32 = 900;

/// What one round keeps for the next. It is kept among the states of rules, under an id that no rule reaches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::bor::alert) struct RoundMemory {
    /// The apps that could not be read, and in how many rounds running.
    pub failures: BTreeMap<AppName, u32>,
    /// The apps that the last round did not reach: they come first in the next.
    pub not_reached: BTreeSet<AppName>,
    /// When profiles were last compared with the approved limits.
    pub limits_evaluated_at: Option<DateTime<Utc>>,
}

impl RoundMemory {
    /// The id that it is kept under.
    pub(in crate::bor::alert) fn id() -> Option<RowId> {
        RowId::new(i32::MAX.into())
    }

    /// What was kept; nothing where it cannot be read.
    pub(in crate::bor::alert) fn read(state: Option<RuleState>) -> Self {
        state.and_then(|state| serde_json::from_value(state.body).ok()).unwrap_or_default()
    }

    /// As it is kept.
    pub(in crate::bor::alert) fn to_state(&self, at: DateTime<Utc>) -> RuleState {
        let body = serde_json::to_value(self).unwrap_or_default();
        RuleState { rule_id: i32::MAX, evaluated_at: at, body }
    }

    /// The memory after a round: whether each app that was to be read failed, and which were not reached.
    #[must_use]
    pub(in crate::bor::alert) fn after(&self, read: &BTreeMap<AppName, bool>, not_reached: BTreeSet<AppName>) -> Self {
        let mut failures = self.failures.clone();
        for (app, failed) in read {
            if *failed {
                let count = failures.entry(app.clone()).or_default();
                *count = count.saturating_add(1);
            } else {
                failures.remove(app);
            }
        }
        Self { failures, not_reached, ..*self }
    }

    /// What is wrong with evaluation: apps that failed five rounds running, and rules and limits that are left out.
    pub(in crate::bor::alert) fn observation(&self, left_out: &[RowId], limits_left_out: usize) -> Option<Observation> {
        let failed: Vec<_> = self.failures.iter().filter(|(_, rounds)| **rounds >= FAILED_ROUNDS).collect();
        let rounds = failed.iter().map(|(_, rounds)| **rounds).max();
        let mut said = Vec::new();
        if !failed.is_empty() {
            said.push(format!("{} apps could not be evaluated in 5 rounds or more running", failed.len()));
        }
        if !left_out.is_empty() {
            said.push(format!("{} rules are left out, over ALERT_MAX_PAIRS", left_out.len()));
        }
        if limits_left_out > 0 {
            said.push(format!("limits of {limits_left_out} apps and types are left out, over ALERT_MAX_PAIRS"));
        }
        let names: Vec<_> = failed.iter().take(MOST_NAMED).map(|(app, _)| app.as_str()).collect();
        let rules: Vec<_> = left_out.iter().take(MOST_NAMED).map(|rule| rule.get()).collect();
        let detail = serde_json::json!({
            "apps": names, "appsTotal": failed.len(), "rulesLeftOut": rules, "rulesLeftOutTotal": left_out.len(),
        });
        (!said.is_empty()).then(|| Observation {
            fingerprint: FINGERPRINT.to_owned(),
            source: IncidentSource::System,
            severity: LimitSeverity::Warning,
            title: said.join("; "),
            app_name: None,
            value: None,
            threshold: None,
            unit: None,
            occurrences: rounds.map_or(1, |rounds| i64::from(rounds - FAILED_ROUNDS) + 1),
            detail: JsonObject::try_from(detail).unwrap_or_default(),
            quiet_seconds: QUIET_SECONDS,
        })
    }
}
