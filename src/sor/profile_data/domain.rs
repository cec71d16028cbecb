use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::coverage::Coverage;
use crate::kernel::{AppName, NoDataReason, ProfileType, Selector, Tenant, TimeWindow};
use crate::profile::{Profile, SampleType};

/// What to read: one kind of profile of one app, in one window, from some of its series.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProfileQuery {
    /// The app.
    pub app: AppName,
    /// The kind of profile.
    pub kind: ProfileType,
    /// The window. A profile belongs to the window in which it starts.
    pub window: TimeWindow,
    /// The app's series that are read.
    pub selector: Selector,
    /// The tenant whose profiles are read, if the source has tenants. `None`: the configured one.
    pub tenant: Option<Tenant>,
}

/// All profiles of a query, merged into one.
#[derive(Debug, Clone, Default)]
pub struct MergedProfile {
    /// Its one sample type is that of [`ProfileMeta::sample_type`], if that is known. It has no stacks if there is no
    /// data. The baseline of a pair may have a second sample type, [`MergedProfile::first_half`].
    pub profile: Arc<Profile>,
    /// What is known about it beyond the stacks.
    pub meta: ProfileMeta,
}

impl MergedProfile {
    /// The index of the sample type with the values of the window's first half, if the halves were read separately and
    /// both have data.
    pub fn first_half(&self) -> Option<usize> {
        (self.profile.sample_types().len() > 1).then_some(1)
    }
}

/// Why profiles that came have no data, if they have none.
pub(super) fn without_samples(profile: &Profile) -> Option<NoDataReason> {
    (profile.total(0) <= 0).then_some(NoDataReason::WithoutSamples)
}

/// A sample type and that of its values in the first half of a window.
pub(super) fn halved(sample_type: SampleType) -> [SampleType; 2] {
    let first = SampleType::new(format!("first_half_{}", sample_type.name), sample_type.unit.clone());
    [sample_type, first]
}

/// What a source knows about a merged profile beyond its stacks. An export carries it, so that a verdict over HTTP is
/// the same. What a source does not know is absent, and checks that need it are skipped.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProfileMeta {
    /// The sample type that was read. `None`: the app is known and has no profile of this kind.
    pub sample_type: Option<SampleType>,
    /// The full IDs of the profile types that were read, sorted.
    pub profile_types: Vec<String>,
    /// Ticks under the frame `other`, which stands for what the source truncated.
    pub truncated_ticks: i64,
    /// The number of events, counted by the embedded store.
    pub sample_count: Option<u64>,
    /// The number of events, from the second sample type of a lock profile (`contentions`).
    pub contentions: Option<u64>,
    /// The number of snapshots merged (in-use kinds only).
    pub snapshots: Option<u64>,
    /// Which minutes of the window have profiles.
    pub coverage: Option<Coverage>,
    /// The kinds of profile that the app sends, in the order of the documentation: those of the query's window and
    /// selector. If there are none, all that it is known to have sent. Empty: not known.
    pub kinds: Vec<ProfileType>,
    /// Why there is no data, if there is none and the source can tell.
    pub no_data: Option<NoDataReason>,
    /// If there is no data: when the last profile came from a series that could have had some, or, if there is no such
    /// series, the app's last.
    pub last_profile_at: Option<DateTime<Utc>>,
    /// Labels by which populations differ (`env`, `cluster`, …): those with several values, with their shares if known.
    pub populations: Vec<LabelShare>,
    /// The profilers that pushed this kind (`pyroscope_spy`, `otel.scope.name`, `job`), if there are several.
    pub profilers: Vec<LabelShare>,
    /// The values of the labels `version`, `service_version` and `service_git_ref`, and when the first profile of each
    /// came. Known to the embedded store.
    pub versions: Vec<VersionBegan>,
    /// The series never decrease: their values are cumulative and say nothing about the window.
    pub cumulative: bool,
    /// Label sets were merged, since an hour had too many of them.
    pub labels_collapsed: bool,
}

/// When the first profile of a version came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionBegan {
    /// The label that names the version.
    pub label: String,
    /// Its value.
    pub value: String,
    /// The start of the first profile.
    pub at: DateTime<Utc>,
}

/// One value of a label and how much of the profile carries it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelShare {
    /// The label's name.
    pub label: String,
    /// Its value.
    pub value: String,
    /// Ticks with that value, if the source knows them.
    pub ticks: Option<i64>,
}
