//! What a source knows of a profile, in the words of the judge.

use chrono::{DateTime, Utc};

use crate::kernel::TimeWindow;
use crate::sor::profile_data::{LabelShare, ProfileMeta};
use crate::verdict::{LabelValue, SourceFacts};

/// Borrows what the judge asks of a source.
pub(super) fn source_facts(meta: &ProfileMeta) -> SourceFacts<'_> {
    SourceFacts {
        sample_count: meta.sample_count,
        contentions: meta.contentions,
        truncated_ticks: meta.truncated_ticks,
        coverage: meta.coverage.map(|c| (c.minutes_with_data, c.minutes)),
        last_profile_at: meta.last_profile_at,
        populations: meta.populations.iter().map(label_value).collect(),
        profilers: meta.profilers.iter().map(label_value).collect(),
        cumulative: meta.cumulative,
        labels_collapsed: meta.labels_collapsed,
    }
}

fn label_value(share: &LabelShare) -> LabelValue<'_> {
    LabelValue { label: &share.label, value: &share.value, ticks: share.ticks }
}

/// Seconds of a window that have passed: `to` may lie in the future, and rates are of the past.
pub(super) fn passed_seconds(window: TimeWindow, now: DateTime<Utc>) -> f64 {
    let to = window.to().min(now).max(window.from());
    (to - window.from()).num_milliseconds() as f64 / 1_000.0
}
