//! The answer as JSON. Shares are rounded to two decimals here and nowhere else.

mod rows;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::domain::Diff;
use crate::bor::Absence;
use crate::bor::links::{self, LinkSettings};
use crate::kernel::{Selector, round2, round4};
use crate::verdict::{Confidence, DiffVerdict, QualityNote, Rate};

pub use rows::{BreachBody, CallerBody, ChangeBody, ChangeGroupBody};

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
