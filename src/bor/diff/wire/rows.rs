//! The rows of a diff report.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::kernel::{LimitSeverity, round2, round4};
use crate::verdict::{ChangeVerdict, ChangedFunction, Group, LimitViolation, Origin};

/// A function whose share changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DiffReportChange)]
pub struct ChangeBody {
    /// The function, as the current window spells it, else as the baseline does.
    pub function: String,
    /// Its self share of the baseline window's ticks.
    pub baseline_percent: f64,
    /// Its self share of the current window's ticks.
    pub current_percent: f64,
    /// Points between the two.
    pub delta_percent: f64,
    /// The verdict on the change, beyond load and chance.
    pub verdict: ChangeVerdict,
    /// The other function of one that moved, was renamed or inlined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner: Option<String>,
    /// Significant rows: the functions that call it most, at most two; in the current window, or in the baseline where
    /// the current one does not hold it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub callers: Vec<CallerBody>,
    /// Significant rows: the name of its group in `groups`; absent for the application's own code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "Go runtime")]
    pub group: Option<String>,
    /// The change at the baseline's load, points of the baseline's ticks.
    pub adjusted_delta: f64,
    /// The adjusted change that so many samples would show; absent where they cannot be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_detectable: Option<f64>,
    /// cpu: cores it took in the baseline window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_cores: Option<f64>,
    /// cpu: cores it took in the current window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_cores: Option<f64>,
    /// Events seen in the baseline window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_samples: Option<u64>,
    /// Events seen in the current window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_samples: Option<u64>,
    /// v2: the approved limit of its share, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_threshold: Option<f64>,
    /// v2: whether its share is over that limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exceeds_threshold: Option<bool>,
}

/// A caller of a function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DiffReportCaller)]
pub struct CallerBody {
    /// The caller.
    pub function: String,
    /// Its share of the ticks of all calls, percent.
    pub percent: f64,
}

/// The significant changes of one runtime's or library's functions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DiffReportGroup)]
pub struct ChangeGroupBody {
    /// The runtime or the library.
    #[schema(example = "Go runtime")]
    pub name: String,
    /// Whether it is a runtime or a library.
    pub kind: Origin,
    /// The library's version in the baseline window, where the paths of its files tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_version: Option<String>,
    /// The library's version in the current window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_version: Option<String>,
    /// How many significant rows it has.
    pub functions: usize,
    /// Their self shares of the baseline window's ticks together.
    pub baseline_percent: f64,
    /// Their self shares of the current window's ticks together.
    pub current_percent: f64,
    /// Their changes at the baseline's load together, points of the baseline's ticks.
    pub adjusted_delta: f64,
}

/// A function over its approved limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DiffReportBreach)]
pub struct BreachBody {
    /// The function, as the current window spells it.
    pub function: String,
    /// Its self share of the current window's ticks.
    pub current_percent: f64,
    /// The approved limit.
    pub threshold: f64,
    /// Points above it.
    pub exceeded_by: f64,
    /// How bad that is, as approved.
    pub severity: LimitSeverity,
    /// Whether the low end of the share's 95 % interval passes the limit too.
    pub confirmed: bool,
}

impl From<&ChangedFunction> for ChangeBody {
    fn from(row: &ChangedFunction) -> Self {
        Self {
            function: row.function.clone(),
            baseline_percent: round2(row.percent[0]),
            current_percent: round2(row.percent[1]),
            delta_percent: round2(row.delta),
            verdict: row.verdict,
            partner: row.partner.clone(),
            callers: row.callers.iter().map(CallerBody::from).collect(),
            group: row.group.as_ref().map(|group| group.name.clone()),
            adjusted_delta: round2(row.adjusted_delta),
            min_detectable: row.min_detectable.map(round2),
            baseline_cores: row.cores.map(|[before, _]| round4(before)),
            current_cores: row.cores.map(|[_, now]| round4(now)),
            baseline_samples: row.samples.map(|[before, _]| before),
            current_samples: row.samples.map(|[_, now]| now),
            approved_threshold: row.limit,
            exceeds_threshold: row.limit.map(|limit| row.percent[1] > limit),
        }
    }
}

impl From<&(String, f64)> for CallerBody {
    fn from((function, percent): &(String, f64)) -> Self {
        Self { function: function.clone(), percent: round2(*percent) }
    }
}

impl From<&Group> for ChangeGroupBody {
    fn from(group: &Group) -> Self {
        let [baseline_version, current_version] = group.of.versions.clone();
        Self {
            name: group.of.name.clone(),
            kind: group.of.origin,
            baseline_version,
            current_version,
            functions: group.functions,
            baseline_percent: round2(group.percent[0]),
            current_percent: round2(group.percent[1]),
            adjusted_delta: round2(group.adjusted_delta),
        }
    }
}

impl From<&LimitViolation> for BreachBody {
    fn from(violation: &LimitViolation) -> Self {
        Self {
            function: violation.function.clone(),
            current_percent: round2(violation.current.percent),
            threshold: violation.threshold,
            exceeded_by: round2(violation.exceeded_by),
            severity: violation.severity,
            confirmed: violation.confirmed,
        }
    }
}
