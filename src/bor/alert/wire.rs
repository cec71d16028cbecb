//! What a trial answers.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::domain::{AppFindings, Evaluation, Firing, RuleFindings, Trial, Verdict};
use super::service::TrialRequest;
use crate::kernel::{RowId, round2};

/// What a rule would have done.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RuleTrial)]
pub struct TrialBody {
    /// Seconds between two evaluations.
    #[schema(example = 300)]
    pub step_seconds: i64,
    /// The time of the last evaluation: the window's end, rounded down, or how far it came within 60 s. Null if nothing was
    /// evaluated.
    pub evaluated_to: Option<DateTime<Utc>>,
    /// The evaluations, in order of time.
    pub evaluations: Vec<EvaluationBody>,
    /// The firings, in order of time.
    pub firings: Vec<FiringBody>,
    /// The trial in figures.
    pub summary: TrialSummaryBody,
}

/// What the last evaluation of a rule found.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RuleState)]
pub struct RuleStateBody {
    /// The rule.
    #[schema(example = 12)]
    pub rule_id: i32,
    /// The time of the last evaluation; it looked at the window before.
    pub evaluated_at: Option<DateTime<Utc>>,
    /// When the rule that was evaluated had been changed last.
    pub rule_updated_at: Option<DateTime<Utc>>,
    /// The time of the next evaluation; null for a rule that is left out.
    pub next_at: Option<DateTime<Utc>>,
    /// Why it was not evaluated, or not for every app.
    pub problem: Option<String>,
    /// How many apps it was evaluated for.
    pub apps_total: usize,
    /// The apps, those that fire first, then those that are pending, then the largest shares; at most 200.
    pub apps: Vec<AppFindings>,
}

impl RuleStateBody {
    pub(super) fn of(rule: RowId, (evaluated_at, found): (Option<DateTime<Utc>>, RuleFindings)) -> Self {
        Self {
            rule_id: rule.get(),
            evaluated_at,
            rule_updated_at: found.rule_updated_at,
            next_at: found.next_at,
            problem: found.problem,
            apps_total: found.apps_total,
            apps: found.apps,
        }
    }
}

/// One evaluation.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RuleEvaluation)]
pub struct EvaluationBody {
    /// When; it looks at the window before.
    pub at: DateTime<Utc>,
    /// What it says: `no_data`, `unknown_app`, `error` (not readable), `insufficient` (under 100 samples), `over` and `clear`
    /// (surely over, surely under the threshold), or `unclear`.
    pub verdict: Verdict,
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
}

/// From when to when a rule would have fired.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RuleFiring)]
pub struct FiringBody {
    /// When its share was over the threshold first.
    pub pending_at: DateTime<Utc>,
    /// When it would have fired.
    pub fired_at: DateTime<Utc>,
    /// When it would have been resolved; null if it would still fire.
    pub resolved_at: Option<DateTime<Utc>>,
    /// The largest share in between, percent.
    pub worst_percent: f64,
    /// The functions over the threshold, largest share first, at most 20; where none is by itself, those that the share is
    /// made of. Empty for a category.
    pub functions: Vec<FiringFunctionBody>,
}

/// A function over the threshold.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = FiringFunction)]
pub struct FiringFunctionBody {
    /// The function.
    pub name: String,
    /// Its largest share, percent.
    pub percent: f64,
}

/// A trial in figures.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RuleTrialSummary)]
pub struct TrialSummaryBody {
    /// How often it would have fired.
    pub fired: usize,
    /// For how many minutes in all.
    pub firing_minutes: i64,
    /// How many evaluations had under 100 samples.
    pub insufficient: usize,
    /// One sentence or two.
    pub headline: String,
}

impl TrialBody {
    /// The answer to a request.
    pub(super) fn of(request: &TrialRequest, trial: &Trial) -> Self {
        let (summary, rule) = (trial.summary(), &request.rule);
        Self {
            step_seconds: trial.width.num_seconds(),
            evaluated_to: trial.evaluated_to(),
            evaluations: trial.evaluations.iter().map(EvaluationBody::of).collect(),
            firings: trial.firings.iter().map(FiringBody::of).collect(),
            summary: TrialSummaryBody {
                fired: summary.fired,
                firing_minutes: summary.firing.num_minutes(),
                insufficient: summary.insufficient,
                headline: trial.headline(rule.profile_type.as_str(), rule.threshold_percent),
            },
        }
    }

    /// Whether any evaluation had enough data to say something.
    pub fn has_data(&self) -> bool {
        let says = [Verdict::Over, Verdict::Clear, Verdict::Unclear];
        self.evaluations.iter().any(|evaluation| says.contains(&evaluation.verdict))
    }
}

impl EvaluationBody {
    fn of(evaluation: &Evaluation) -> Self {
        let measured = evaluation.measured.as_ref();
        let interval = measured.and_then(|measured| measured.share.interval);
        Self {
            at: evaluation.at,
            verdict: evaluation.verdict,
            percent: measured.map(|measured| round2(measured.share.percent)),
            low: interval.map(|(low, _)| round2(low)),
            high: interval.map(|(_, high)| round2(high)),
            samples: measured.and_then(|measured| measured.samples),
            function: measured.and_then(|measured| Some(measured.functions.first()?.name.clone())),
        }
    }
}

impl FiringBody {
    fn of(firing: &Firing) -> Self {
        let function =
            |(name, percent): &(String, f64)| FiringFunctionBody { name: name.clone(), percent: round2(*percent) };
        Self {
            pending_at: firing.pending_at,
            fired_at: firing.fired_at,
            resolved_at: firing.resolved_at,
            worst_percent: round2(firing.worst_percent),
            functions: firing.functions.iter().map(function).collect(),
        }
    }
}
