use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::kernel::{AppName, ProfileType, Selector, Tenant, TimeWindow};
use crate::profile::{Profile, SampleType};

/// What to read: one app, one kind of profile, one window, some of its series.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProfileQuery {
    /// The app.
    pub app: AppName,
    /// The kind of profile.
    pub kind: ProfileType,
    /// The window; a profile belongs to it by its start.
    pub window: TimeWindow,
    /// Which of the app's series.
    pub selector: Selector,
    /// The tenant whose profiles are read, if the source has tenants; `None`: the configured one.
    pub tenant: Option<Tenant>,
}

/// All profiles of a query, merged into one.
#[derive(Debug, Clone, Default)]
pub struct MergedProfile {
    /// Exactly one sample type where [`ProfileMeta::sample_type`] is known; no stacks where no data came. The baseline of
    /// a pair may have a second one, [`MergedProfile::first_half`].
    pub profile: Arc<Profile>,
    /// What is known about it beside the stacks.
    pub meta: ProfileMeta,
}

impl MergedProfile {
    /// The place of the sample type whose values are those of the window's first half, where they were read apart and
    /// both halves have data.
    pub fn first_half(&self) -> Option<usize> {
        (self.profile.sample_types().len() > 1).then_some(1)
    }
}

/// A sample type and that of its values in the first half of a window.
pub(super) fn halved(sample_type: SampleType) -> [SampleType; 2] {
    let first = SampleType::new(format!("first_half_{}", sample_type.name), sample_type.unit.clone());
    [sample_type, first]
}

/// What a source knows of a merged profile beside its stacks. It travels with an export, so that a verdict is the same
/// over HTTP; what a source cannot know is absent, and its check is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProfileMeta {
    /// The sample type read. `None`: the app is known and has no profile of this kind.
    pub sample_type: Option<SampleType>,
    /// Full profile type IDs that were read, sorted.
    pub profile_types: Vec<String>,
    /// Ticks that a truncating source put into its synthetic `other`.
    pub truncated_ticks: i64,
    /// Events seen, by the embedded store's own count.
    pub sample_count: Option<u64>,
    /// The same by the companion counter of a lock profile (`contentions`).
    pub contentions: Option<u64>,
    /// Snapshots merged (in-use kinds only).
    pub snapshots: Option<u64>,
    /// Which minutes of the window have profiles.
    pub coverage: Option<Coverage>,
    /// When the app's last profile came, where the window has none.
    pub last_profile_at: Option<DateTime<Utc>>,
    /// Labels that tell populations apart (`env`, `cluster`…), those with several values, with their shares where known.
    pub populations: Vec<LabelShare>,
    /// Profilers that pushed this kind (`pyroscope_spy`, `otel.scope.name`, `job`), where several did.
    pub profilers: Vec<LabelShare>,
    /// The series never fall: values are cumulative and say nothing about the window.
    pub cumulative: bool,
    /// Label sets were collapsed because there were too many in an hour.
    pub labels_collapsed: bool,
}

/// One value of a label and how much of the profile carries it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelShare {
    /// The label's name.
    pub label: String,
    /// Its value.
    pub value: String,
    /// Ticks with that value, where the source can tell.
    pub ticks: Option<i64>,
}

/// How much of a window has data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Coverage {
    /// Minutes of the window in which a profile started.
    pub minutes_with_data: u32,
    /// Minutes of the window that have passed.
    pub minutes: u32,
    /// Start of the first profile.
    pub first_profile_at: DateTime<Utc>,
    /// Start of the last profile.
    pub last_profile_at: DateTime<Utc>,
}
