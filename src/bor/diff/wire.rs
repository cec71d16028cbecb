//! The answer as JSON. Shares are rounded to two decimals here and nowhere else.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::domain::Diff;
use crate::bor::Absence;
use crate::bor::links::{self, LinkSettings};
use crate::kernel::{LimitSeverity, Selector, round2, round4};
use crate::verdict::{
    ChangeVerdict, ChangedFunction, Confidence, DiffVerdict, Group, LimitViolation, Origin, QualityNote, Rate,
};

/// Two windows of one app, compared function by function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DiffReport)]
pub struct DiffBody {
    /// The app.
    pub app_name: String,
    /// The kind of profile, canonical.
    #[schema(example = "cpu")]
    pub profile_type: String,
    /// The sample type read in both windows; null where they have none in common.
    pub sample_type: Option<String>,
    /// What ticks count, such as `nanoseconds` or `bytes`.
    pub unit: Option<String>,
    /// The baseline window.
    pub baseline: DiffWindowBody,
    /// The current window.
    pub current: DiffWindowBody,
    /// Functions whose share grew by more than 0.1 points, the largest change first.
    pub regressions: Vec<ChangeBody>,
    /// Functions whose share shrank by more than 0.1 points, the largest change first.
    pub improvements: Vec<ChangeBody>,
    /// The significant rows of runtimes and libraries, added up by runtime or library, the largest change first: another
    /// version of it, or more or less use of it, is one cause of many rows.
    #[serde(default)]
    pub groups: Vec<ChangeGroupBody>,
    /// v2: every function over its approved limit, whatever its change, worst first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaches: Option<Vec<BreachBody>>,
    /// v2: functions with a limit that the current window does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baselines_not_seen: Option<Vec<String>>,
    /// The current load per second divided by that of the baseline, whatever the code; absent without data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_factor: Option<f64>,
    /// Whether the load is the median of the functions' changes, else the ratio of the totals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalised: Option<bool>,
    /// The difference between the two halves of the baseline window, if both were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_noise: Option<OwnNoiseBody>,
    /// What is wrong with the data.
    pub data_quality: Vec<QualityNote>,
    /// The verdict.
    pub summary: DiffSummaryBody,
    /// Where to look next; absent where no server was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<DiffLinksBody>,
    /// v2: the baselines are off or failed; their fields are absent then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baselines: Option<Absence>,
    /// v2: the history is off or failed; this report was not kept then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Absence>,
    /// v2: the registry is off or failed; its labels were not added to the selectors then, and the configured
    /// tenant was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Absence>,
}

/// One window of a diff.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DiffReportWindow)]
pub struct DiffWindowBody {
    /// The first instant inside, epoch seconds.
    pub from: i64,
    /// The first instant after, epoch seconds.
    pub to: i64,
    /// All ticks of the window.
    pub total_samples: i64,
    /// Events seen, where they can be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_count: Option<u64>,
    /// cpu: the cores used, over the time that profiles cover; absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<f64>,
    /// alloc: bytes allocated per second of that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<f64>,
    /// lock: milliseconds waited per second of that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms_per_second: Option<f64>,
    /// The selector of the app's series. Absent: all are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
}

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

/// What changes in an app without a deploy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DiffReportOwnNoise)]
pub struct OwnNoiseBody {
    /// Functions that differ by more than 0.1 points between the baseline window's halves.
    pub rows: usize,
    /// The largest such change, points; smaller ones are never headlined.
    pub largest_points: f64,
}

/// The verdict on a whole diff.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DiffReportSummary)]
pub struct DiffSummaryBody {
    /// Functions whose share grew by more than 0.1 points: all of them, not the rows shown.
    pub regressions_count: usize,
    /// Functions whose share shrank by more than 0.1 points.
    pub improvements_count: usize,
    /// v2: functions whose share grew and is over its approved limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold_breaches: Option<usize>,
    /// The largest growth; null where nothing grew.
    #[schema(example = "com.example.DataSerializer.serialize (+6.6%)")]
    pub top_regression: Option<String>,
    /// The verdict.
    pub verdict: DiffVerdict,
    /// One sentence made of figures.
    pub headline: String,
    /// Functions that regressed beyond load and chance.
    pub significant_regressions: usize,
    /// Functions that improved beyond load and chance.
    pub significant_improvements: usize,
    /// How much the samples of the smaller window are worth; absent if they cannot be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// The smallest change of its heaviest functions that so many samples would have shown, points: the median, by
    /// weight, of the functions that hold half of the current window. Absent where samples cannot be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smallest_visible: Option<f64>,
    /// The windows without data: `baseline`, `current`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// Links with absolute times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DiffReportLinks)]
pub struct DiffLinksBody {
    /// The flame graph of the current window, coloured by its difference to the baseline, on this server.
    pub flamegraph: String,
    /// The current window in Grafana, where one is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grafana: Option<String>,
}

impl DiffBody {
    /// The answer. Without windows their ends are 0.
    pub fn of(diff: &Diff, settings: &LinkSettings) -> Self {
        let mut body = Self::whole(diff, settings);
        body.cut(diff.limit);
        body
    }

    /// Shortens each list to at most `limit` rows; 0 leaves them whole.
    pub fn cut(&mut self, limit: usize) {
        let most = if limit == 0 { usize::MAX } else { limit };
        self.regressions.truncate(most);
        self.improvements.truncate(most);
    }

    /// The diff with all its rows.
    pub fn whole(diff: &Diff, settings: &LinkSettings) -> Self {
        let comparison = &diff.comparison;
        let limited = diff.limits.known().is_some();
        let [before, now] = comparison.samples;
        let missing = comparison.missing.iter().zip(["baseline", "current"]);
        Self {
            app_name: diff.app.to_string(),
            profile_type: diff.kind.to_string(),
            sample_type: comparison.sample_type.as_ref().map(|t| t.name.clone()),
            unit: comparison.sample_type.as_ref().map(|t| t.unit.clone()),
            baseline: DiffWindowBody::of(diff, 0, diff.asked.as_ref().map(|asked| &asked.baseline_selector)),
            current: DiffWindowBody::of(diff, 1, diff.asked.as_ref().map(|asked| &asked.current.selector)),
            regressions: diff.grown().map(ChangeBody::from).collect(),
            improvements: diff.shrunk().map(ChangeBody::from).collect(),
            groups: comparison.groups.iter().map(ChangeGroupBody::from).collect(),
            breaches: limited.then(|| comparison.breaches.iter().map(BreachBody::from).collect()),
            baselines_not_seen: limited.then(|| comparison.limits_not_seen.clone()),
            load_factor: comparison.load_per_second.map(round4),
            normalised: comparison.load.map(|load| load.normalised),
            own_noise: comparison
                .own_noise
                .map(|noise| OwnNoiseBody { rows: noise.rows, largest_points: round2(noise.largest_points) }),
            data_quality: comparison.quality.clone(),
            summary: DiffSummaryBody {
                regressions_count: diff.grown().count(),
                improvements_count: diff.shrunk().count(),
                threshold_breaches: diff.threshold_breaches(),
                top_regression: diff.grown().next().map(|row| format!("{} (+{}%)", row.function, round2(row.delta))),
                verdict: comparison.verdict,
                headline: comparison.headline.clone(),
                significant_regressions: comparison.significant_regressions().count(),
                significant_improvements: comparison.significant_improvements().count(),
                confidence: before.zip(now).map(|(before, now)| Confidence::of(before.min(now))),
                smallest_visible: comparison.smallest_visible.map(round2),
                missing: missing.filter(|(is, _)| **is).map(|(_, window)| window.to_owned()).collect(),
            },
            links: DiffLinksBody::of(diff, settings),
            baselines: diff.limits.absence(),
            history: diff.history.absence(),
            labels: diff.registry.absence(),
        }
    }
}

impl DiffWindowBody {
    /// One of the two windows: 0 is the baseline's place, 1 the current one's.
    fn of(diff: &Diff, place: usize, selector: Option<&Selector>) -> Self {
        let window = diff.windows.get(place).copied().flatten();
        let rate = diff.comparison.rates.and_then(|rates| rates.get(place).copied());
        Self {
            from: window.map_or(0, |window| window.from().timestamp()),
            to: window.map_or(0, |window| window.to().timestamp()),
            total_samples: diff.comparison.totals.get(place).copied().unwrap_or(0),
            sample_count: diff.comparison.samples.get(place).copied().flatten(),
            cores: rate.and_then(|rate| if let Rate::Cores(cores) = rate { Some(round4(cores)) } else { None }),
            bytes_per_second: rate
                .and_then(|rate| if let Rate::BytesPerSecond(bytes) = rate { Some(round2(bytes)) } else { None }),
            wait_ms_per_second: rate
                .and_then(|rate| if let Rate::WaitMsPerSecond(ms) = rate { Some(round2(ms)) } else { None }),
            selector: selector.filter(|selector| !selector.is_empty()).map(ToString::to_string),
        }
    }
}

impl DiffLinksBody {
    fn of(diff: &Diff, settings: &LinkSettings) -> Option<Self> {
        let asked = diff.asked.as_ref()?;
        Some(Self {
            flamegraph: links::differential(&asked.current, asked.baseline, &asked.baseline_selector),
            grafana: links::grafana(settings, &asked.current, &diff.profile_types),
        })
    }
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
