//! The bodies that the profile routes answer.

use serde::Serialize;
use utoipa::ToSchema;

use super::domain::{MergedProfile, ProfileMeta};
use crate::kernel::{AppName, ProfileType, TimeWindow, percent_of, round2};
use crate::profile::FunctionTable;

/// The apps that have profiles.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProfiledApps, example = json!({"apps": ["checkout", "flamewarden"]}))]
pub(super) struct AppsBody {
    /// Sorted, without repetition.
    #[schema(value_type = Vec<String>)]
    pub(super) apps: Vec<AppName>,
}

/// One function of a profile.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ProfileFunction)]
pub(super) struct FunctionBody<'p> {
    /// The name, spelled as in the source.
    name: &'p str,
    /// The share of all ticks in stacks that end in this function, 0–100.
    self_percent: f64,
    /// The ticks of stacks that end in this function. Null for snapshots whose number is not known.
    self_samples: Option<i64>,
    /// The ticks of stacks that contain this function, each stack once. Null for snapshots whose number is not known.
    total_samples: Option<i64>,
    /// The share of all ticks in stacks that contain this function, 0–100.
    total_percent: f64,
}

/// The functions of one app's profile in one window.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = FunctionProfile, example = json!({
    "appName": "checkout", "profileType": "cpu", "sampleType": "cpu", "unit": "nanoseconds",
    "from": 1_706_000_000, "to": 1_706_003_600, "totalSamples": 482_300_000_000_i64,
    "functions": [{"name": "com.example.Cart.toJson", "selfPercent": 34.2, "selfSamples": 164_946_600_000_i64,
                   "totalSamples": 205_942_100_000_i64, "totalPercent": 42.7}]
}))]
pub(super) struct ProfileBody<'p> {
    app_name: &'p str,
    /// The kind of profile, by its canonical name.
    profile_type: &'static str,
    /// The sample type that was read. Null if the app has no profile of this kind.
    sample_type: Option<&'p str>,
    /// The unit of ticks, such as `nanoseconds` or `bytes`.
    unit: Option<&'p str>,
    #[serde(flatten)]
    window: WindowBody<'p>,
}

/// One window of a profile.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ProfileWindow)]
pub(super) struct WindowBody<'p> {
    /// The first instant inside, epoch seconds.
    from: i64,
    /// The first instant after, epoch seconds.
    to: i64,
    /// All ticks of the profile, 0 without data. For snapshots the mean of them, null where their number is not known.
    total_samples: Option<i64>,
    /// The number of snapshots merged (in-use kinds, where known). Sample members are means of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshots: Option<u64>,
    /// The share that the source truncated and put under `other`. Absent if it truncated nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated_percent: Option<f64>,
    /// Sorted by self, descending, then by name.
    functions: Vec<FunctionBody<'p>>,
}

/// The functions of one app's profile in two windows, under the same sample type.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = FunctionProfiles, example = json!({
    "appName": "checkout", "profileType": "cpu", "sampleType": "cpu", "unit": "nanoseconds",
    "baseline": {"from": 1_705_996_400, "to": 1_706_000_000, "totalSamples": 400_000_000, "functions": [
        {"name": "encode", "selfPercent": 10.0, "selfSamples": 40_000_000, "totalSamples": 40_000_000, "totalPercent": 10.0}]},
    "current": {"from": 1_706_000_000, "to": 1_706_003_600, "totalSamples": 500_000_000, "functions": [
        {"name": "encode", "selfPercent": 30.0, "selfSamples": 150_000_000, "totalSamples": 150_000_000, "totalPercent": 30.0}]}
}))]
pub(super) struct PairBody<'p> {
    app_name: &'p str,
    /// The kind of profile, by its canonical name.
    profile_type: &'static str,
    /// The sample type that was read in both windows. Null if they have none in common.
    sample_type: Option<&'p str>,
    /// The unit of ticks, such as `nanoseconds` or `bytes`.
    unit: Option<&'p str>,
    baseline: WindowBody<'p>,
    current: WindowBody<'p>,
}

impl<'p> ProfileBody<'p> {
    /// The answer with at most `limit` functions; 0 means all.
    pub(super) fn of(
        app: &'p AppName,
        kind: ProfileType,
        window: TimeWindow,
        limit: usize,
        merged: &'p MergedProfile,
    ) -> Self {
        let (sample_type, unit) = counted(&merged.meta);
        Self {
            app_name: app.as_str(),
            profile_type: kind.as_str(),
            sample_type,
            unit,
            window: WindowBody::of(kind, window, limit, merged),
        }
    }
}

impl<'p> PairBody<'p> {
    /// The answer with at most `limit` functions of each side; 0 means all.
    pub(super) fn of(
        app: &'p AppName,
        kind: ProfileType,
        limit: usize,
        (baseline_window, baseline): (TimeWindow, &'p MergedProfile),
        (current_window, current): (TimeWindow, &'p MergedProfile),
    ) -> Self {
        let (sample_type, unit) = match counted(&current.meta) {
            (None, None) => counted(&baseline.meta),
            counted => counted,
        };
        Self {
            app_name: app.as_str(),
            profile_type: kind.as_str(),
            sample_type,
            unit,
            baseline: WindowBody::of(kind, baseline_window, limit, baseline),
            current: WindowBody::of(kind, current_window, limit, current),
        }
    }
}

impl<'p> WindowBody<'p> {
    fn of(kind: ProfileType, window: TimeWindow, limit: usize, merged: &'p MergedProfile) -> Self {
        let table = FunctionTable::of(&merged.profile, 0);
        let snapshots = merged.meta.snapshots.filter(|n| kind.is_snapshot() && *n > 0);
        let ticks = |sum: i64| match snapshots {
            _ if !kind.is_snapshot() || sum == 0 => Some(sum),
            Some(n) => Some(mean(sum, n)),
            None => None,
        };
        let percent = |part: i64| round2(percent_of(part, table.total()));
        let shown = if limit == 0 { usize::MAX } else { limit };
        let functions = table.rows().iter().take(shown).map(|row| FunctionBody {
            name: row.name,
            self_percent: percent(row.self_ticks),
            self_samples: ticks(row.self_ticks),
            total_samples: ticks(row.total_ticks),
            total_percent: percent(row.total_ticks),
        });
        Self {
            from: window.from().timestamp(),
            to: window.to().timestamp(),
            total_samples: ticks(table.total()),
            snapshots,
            truncated_percent: (merged.meta.truncated_ticks > 0).then(|| percent(merged.meta.truncated_ticks)),
            functions: functions.collect(),
        }
    }
}

/// The sum over `n`, rounded.
fn mean(sum: i64, n: u64) -> i64 {
    let n = i128::from(n);
    let rounded = (i128::from(sum) * 2 + n).div_euclid(n * 2);
    i64::try_from(rounded).unwrap_or(sum)
}

fn counted(meta: &ProfileMeta) -> (Option<&str>, Option<&str>) {
    match &meta.sample_type {
        Some(sample_type) => (Some(&sample_type.name), Some(&sample_type.unit)),
        None => (None, None),
    }
}
