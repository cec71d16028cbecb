//! A profile that is being pushed.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use crate::kernel::{AppName, Tenant};
use crate::profile::{Profile, SampleType};

/// Identifies a push, so that it is recognised when its sender repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PushId(u128);

impl PushId {
    /// The id of what these bytes identify, one after the other.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let digest: [u8; 32] = hasher.finalize().into();
        let mut half = [0; 16];
        half.copy_from_slice(digest.split_at(16).0);
        Self(u128::from_le_bytes(half))
    }

    /// The id of a part of what this identifies.
    pub(crate) fn part<'a>(self, parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self(self.0.rotate_left(1) ^ Self::of(parts).0)
    }
}

/// One profile as it was pushed, read and found acceptable.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// Whose app it is: apps of one name and several tenants have nothing to do with each other.
    pub tenant: Tenant,
    /// Which app's it is.
    pub app: AppName,
    /// What it is called, such as `process_cpu`: the first part of its type IDs.
    pub name: String,
    /// The labels it came with. The store chooses which to keep.
    pub labels: BTreeMap<String, String>,
    /// The stacks.
    pub profile: Profile,
    /// What the values count, as type IDs spell it: the sample types of the profile, made fit for that.
    pub sample_types: Vec<SampleType>,
    /// What the period counts.
    pub period_type: Option<SampleType>,
    /// Between two samples, in the unit of the period type; 0 where unknown.
    pub period: i64,
    /// When it began.
    pub time: DateTime<Utc>,
    /// How long it was taken for.
    pub duration: TimeDelta,
    /// Identifies a repeated push.
    pub id: PushId,
}

impl Pushed {
    /// How many events the profiler saw, if the profile tells: the sum of its counter, or else its total time divided
    /// by the time between two samples. A counter next to wall time does not count the CPU time that was pushed with
    /// it, but is close enough.
    pub(super) fn events(&self) -> Option<i64> {
        let types = self.sample_types.as_slice();
        let counter = |t: &SampleType| {
            ["samples", "sample", "cpu_samples"].iter().any(|name| t.name.eq_ignore_ascii_case(name))
                && t.unit.eq_ignore_ascii_case("count")
        };
        if let Some(at) = types.iter().position(counter) {
            return Some(self.profile.total(at)).filter(|count| *count >= 0);
        }
        let time = |t: &SampleType| t.unit.eq_ignore_ascii_case("nanoseconds");
        let [only] = types else { return None };
        let timed = time(only) && self.period_type.as_ref().is_some_and(time) && self.period > 0;
        // Converters make periods up: one that is longer than what a stack was seen for cannot be the profiler's.
        let believed = || self.profile.stacks().all(|s| s.values.iter().all(|v| *v == 0 || *v >= self.period / 2));
        (timed && believed())
            .then(|| (self.profile.total(0).saturating_add(self.period / 2)) / self.period)
            .filter(|count| *count >= 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::ProfileBuilder;
    use rstest::rstest;

    #[rstest]
    #[case::counted(&[("samples", "count"), ("cpu", "nanoseconds")], &[7, 70_000_000], 10_000_000, Some(7))]
    #[case::by_the_period(&[("cpu", "nanoseconds")], &[70_000_000], 10_000_000, Some(7))]
    #[case::rounded(&[("cpu", "nanoseconds")], &[69_999_993], 10_000_000, Some(7))]
    #[case::made_up(&[("cpu", "nanoseconds")], &[70_000_000], 1_000_000_000, None)]
    #[case::no_period(&[("cpu", "nanoseconds")], &[70_000_000], 0, None)]
    #[case::bytes_are_no_events(&[("alloc_space", "bytes")], &[524_288], 524_288, None)]
    fn counts_the_events_seen(
        #[case] types: &[(&str, &str)],
        #[case] values: &[i64],
        #[case] period: i64,
        #[case] expected: Option<i64>,
    ) {
        let mut builder = ProfileBuilder::new(types.iter().map(|(n, u)| SampleType::new(*n, *u)).collect());
        let f = builder.function("f", "");
        builder.add([f], values);
        let profile = builder.build();
        let pushed = Pushed {
            tenant: Tenant::default(),
            app: "a".parse().unwrap(),
            name: "process_cpu".into(),
            labels: BTreeMap::new(),
            sample_types: profile.sample_types().to_vec(),
            profile,
            period_type: Some(SampleType::new("cpu", "nanoseconds")),
            period,
            time: DateTime::UNIX_EPOCH,
            duration: TimeDelta::zero(),
            id: PushId::of([]),
        };
        assert_eq!(pushed.events(), expected);
    }
}
