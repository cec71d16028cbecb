//! What the last evaluation found of a rule, as it is kept and answered.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::trial::Evaluation;
use super::verdict::Verdict;
use crate::kernel::{RowId, round2};
use crate::sor::incident::{Incident, IncidentState};

/// The most apps that are kept of a rule.
pub(super) const MOST_APPS: usize = 200;

/// What the last evaluation found of a rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RuleFindings {
    /// When the rule was changed last.
    pub rule_updated_at: Option<DateTime<Utc>>,
    /// When it is evaluated next.
    pub next_at: Option<DateTime<Utc>>,
    /// Why it was not evaluated, or not for every app.
    pub problem: Option<String>,
    /// How many apps it was evaluated for.
    pub apps_total: usize,
    /// The worst of them, at most 200.
    pub apps: Vec<AppFindings>,
}

/// What an evaluation found of an app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RuleAppState)]
pub struct AppFindings {
    /// The app.
    #[schema(example = "checkout")]
    pub app: String,
    /// What the evaluation says: `no_data`, `unknown_app`, `error` (not readable), `insufficient` (under 100 samples),
    /// `over` and `clear` (surely over, surely under the threshold), or `unclear`.
    pub verdict: Verdict,
    /// `pending` or `firing`; null for neither.
    pub state: Option<IncidentState>,
    /// The share, percent; null without data.
    pub percent: Option<f64>,
    /// The low end of its 95 % interval, percent; null if the number of samples is not known.
    pub low: Option<f64>,
    /// The high end, percent.
    pub high: Option<f64>,
    /// The samples behind the ticks that the share is of; null if not known.
    pub samples: Option<u64>,
    /// The heaviest function that was measured; null for a category.
    pub function: Option<String>,
    /// Since when it is over the threshold.
    pub since: Option<DateTime<Utc>>,
    /// The alert; null for one that has just begun.
    pub alert_id: Option<i32>,
    /// Why the app could not be read.
    pub error: Option<String>,
}

impl AppFindings {
    /// What was found of an app by an evaluation and the step after it.
    pub(super) fn of(app: &str, evaluation: &Evaluation, moved: &super::Moved, open: Option<&Incident>) -> Self {
        let measured = evaluation.measured.as_ref();
        let interval = measured.and_then(|measured| measured.share.interval);
        let state = match moved.standing {
            super::Standing::Quiet => None,
            super::Standing::Pending { .. } => Some(IncidentState::Pending),
            super::Standing::Firing { .. } => Some(IncidentState::Firing),
        };
        Self {
            app: app.to_owned(),
            verdict: evaluation.verdict,
            state,
            percent: measured.map(|measured| round2(measured.share.percent)),
            low: interval.map(|(low, _)| round2(low)),
            high: interval.map(|(_, high)| round2(high)),
            samples: measured.and_then(|measured| measured.samples),
            function: measured.and_then(|measured| Some(measured.functions.first()?.name.clone())),
            since: moved.standing.active_since(),
            alert_id: open.filter(|_| state.is_some()).map(|open| RowId::get(open.id)),
            error: None,
        }
    }

    /// Those that fire come first, then those that are pending, then the largest shares.
    fn rank(&self) -> (u8, f64) {
        let state = match self.state {
            Some(IncidentState::Firing) => 0,
            Some(_) => 1,
            None if self.verdict == Verdict::Error => 2,
            None => 3,
        };
        (state, -self.percent.unwrap_or(0.0))
    }
}

/// The worst apps first, at most 200.
pub(super) fn worst(mut apps: Vec<AppFindings>) -> Vec<AppFindings> {
    apps.sort_by(|a, b| {
        let ((a_state, a_percent), (b_state, b_percent)) = (a.rank(), b.rank());
        a_state.cmp(&b_state).then(a_percent.total_cmp(&b_percent)).then_with(|| a.app.cmp(&b.app))
    });
    apps.truncate(MOST_APPS);
    apps
}
