//! Turns what sources and limits say into the types of `verdict`.

use chrono::{DateTime, Utc};

use crate::kernel::{ProfileType, TimeWindow};
use crate::sor::baseline::Baseline;
use crate::sor::profile_data::{LabelShare, ProfileMeta, VersionBegan};
use crate::verdict::{FirstProfile, LabelValue, Limit, ObservedTime, RateOver, SourceFacts};

/// Borrows what the judge asks of a source.
pub(super) fn source_facts(meta: &ProfileMeta) -> SourceFacts<'_> {
    SourceFacts {
        sample_count: meta.sample_count,
        contentions: meta.contentions,
        truncated_ticks: meta.truncated_ticks,
        coverage: meta.coverage.map(|c| (c.minutes_with_data, c.minutes)),
        kinds: &meta.kinds,
        no_data: meta.no_data,
        last_profile_at: meta.last_profile_at,
        populations: meta.populations.iter().map(label_value).collect(),
        profilers: meta.profilers.iter().map(label_value).collect(),
        cumulative: meta.cumulative,
        labels_collapsed: meta.labels_collapsed,
    }
}

/// The limits of a kind.
pub(super) fn limits_of(kind: ProfileType, baselines: &[Baseline]) -> Vec<Limit<'_>> {
    let of_kind = baselines.iter().filter(|baseline| baseline.profile_type == kind);
    of_kind
        .map(|baseline| Limit {
            function: baseline.function_name.as_str(),
            max_self_percent: baseline.max_self_percent.get(),
            severity: baseline.severity,
        })
        .collect()
}

/// When a version began.
pub(super) fn first_profile(VersionBegan { label, value, at }: VersionBegan) -> FirstProfile {
    FirstProfile { label, value, at }
}

fn label_value(share: &LabelShare) -> LabelValue<'_> {
    LabelValue { label: &share.label, value: &share.value, ticks: share.ticks }
}

/// How long an app was observed: as long as its profiles cover of these seconds of a window, where the source says when
/// they came.
pub(super) fn observed(meta: &ProfileMeta, seconds: f64) -> ObservedTime {
    match meta.coverage {
        Some(coverage) => {
            ObservedTime { seconds: seconds.min(f64::from(coverage.covered_seconds)), over: RateOver::Profiles }
        }
        None => ObservedTime { seconds, over: RateOver::Window },
    }
}

/// The seconds of a window that have passed. `to` may lie in the future, but rates are of the past.
pub(super) fn passed_seconds(window: TimeWindow, now: DateTime<Utc>) -> f64 {
    let to = window.to().min(now).max(window.from());
    (to - window.from()).num_milliseconds() as f64 / 1_000.0
}
