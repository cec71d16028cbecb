//! The number of samples, the certainty of a share, and the severity that this allows.

use crate::kernel::{FindingSeverity, ProfileType, percent_of};
use crate::profile::Profile;

/// Sampling period of cpu and wall profiles whose values do not tell another: 10 ms.
const DEFAULT_PERIOD_NS: u64 = 10_000_000;
/// A common divisor below this says nothing about the period.
const SMALLEST_PERIOD_NS: u64 = 1_000_000;
/// Bytes between two samples of an allocation profile, at least.
const SMALLEST_ALLOC_STEP: u64 = 512 * 1024;
/// Samples come in bunches: their variance is this many times that of independent ones (measured).
pub const BUNCHING: f64 = 1.5;
/// Two-sided 95 %.
const Z: f64 = 1.96;

/// How far the number of samples carries.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Under 20 samples: nothing can be said.
    Insufficient,
    /// Under 1,000 samples.
    Low,
    /// From 1,000 samples.
    Medium,
    /// From 10,000 samples.
    High,
}

impl Confidence {
    /// The band of that many samples.
    pub fn of(samples: u64) -> Self {
        match samples {
            0..20 => Self::Insufficient,
            20..1_000 => Self::Low,
            1_000..10_000 => Self::Medium,
            _ => Self::High,
        }
    }

    /// The name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insufficient => "insufficient",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// Nanoseconds in one tick of that unit; `None` where it is no unit of time.
pub(in crate::verdict) fn nanoseconds_per_tick(unit: &str) -> Option<u64> {
    match unit {
        "nanoseconds" | "nanosecond" | "ns" => Some(1),
        "microseconds" | "microsecond" | "us" | "µs" => Some(1_000),
        "milliseconds" | "millisecond" | "ms" => Some(1_000_000),
        "seconds" | "second" | "s" => Some(1_000_000_000),
        _ => None,
    }
}

/// Events that the profile's ticks stand for, estimated from the values alone; `None` where they do not tell.
///
/// cpu and wall: total ÷ p, with p = 10 ms if every value is a multiple of it, else the values' greatest common
/// divisor if that is at least 1 ms, else 10 ms; ticks that are no time are the events themselves. alloc in bytes:
/// total ÷ max(512 KiB, greatest common divisor). Counts of samples and of exceptions: their total. Period and duration of a merged profile are never read: servers make
/// them up.
pub fn estimated_samples(kind: ProfileType, profile: &Profile, sample_type: usize) -> Option<u64> {
    let unit = profile.sample_types().get(sample_type)?.unit.as_str();
    let total = profile.total(sample_type).unsigned_abs();
    let values = || profile.stacks().filter_map(move |s| s.values.get(sample_type)).map(|v| v.unsigned_abs());
    if unit.is_empty() {
        return look_like_counts(kind, total, &values().collect::<Vec<_>>()).then_some(total);
    }
    match kind {
        ProfileType::Cpu | ProfileType::Wall => {
            let Some(tick) = nanoseconds_per_tick(unit) else { return Some(total) };
            let period = DEFAULT_PERIOD_NS / tick;
            if period == 0 {
                return Some(total.saturating_mul(tick / DEFAULT_PERIOD_NS));
            }
            let floor = (SMALLEST_PERIOD_NS / tick).max(1);
            Some(
                total
                    / if values().all(|v| v % period == 0) {
                        period
                    } else {
                        divisor_from(values(), floor).unwrap_or(period)
                    },
            )
        }
        ProfileType::Samples | ProfileType::Exception if unit == "count" => Some(total),
        ProfileType::Alloc if unit == "bytes" => {
            Some(total / divisor_from(values(), SMALLEST_ALLOC_STEP).unwrap_or(SMALLEST_ALLOC_STEP))
        }
        _ => None,
    }
}

/// From this total on, values without a unit are no counts of samples.
const MOST_SAMPLES: u64 = 100_000_000;
/// From this mean on, values of stacks are no counts of samples: a hundred a second for a quarter of an hour in each.
const MOST_PER_STACK: u64 = 100_000;
/// From this total on, values of allocations with a common divisor are bytes.
const MOST_ALLOCATIONS: u64 = 1_000_000;

/// Whether values without a unit may be numbers of samples: rare stacks were seen a few times, and sums are no sums of
/// cycles, nanoseconds or bytes. The limits are judgements.
fn look_like_counts(kind: ProfileType, total: u64, values: &[u64]) -> bool {
    let seen = || values.iter().copied().filter(|value| *value > 0);
    let stacks = seen().count() as u64;
    let never_few = stacks >= 20 && seen().all(|value| value > 20);
    let too_many_each = total / stacks.max(1) >= MOST_PER_STACK;
    let are_bytes = matches!(kind, ProfileType::Alloc | ProfileType::Inuse)
        && total >= MOST_ALLOCATIONS
        && divisor_from(seen(), 8).is_some();
    !never_few && !too_many_each && total < MOST_SAMPLES && !are_bytes
}

/// The greatest common divisor of the values, unless it falls below `floor`.
fn divisor_from(values: impl Iterator<Item = u64>, floor: u64) -> Option<u64> {
    let mut divisor = 0;
    for value in values {
        divisor = gcd(divisor, value);
        if divisor != 0 && divisor < floor {
            return None;
        }
    }
    (divisor >= floor).then_some(divisor)
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// A share in percent with its 95 % interval; without a count of samples the interval is unknown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// The share seen, 0 to 100.
    pub percent: f64,
    /// The low and the high end.
    pub interval: Option<(f64, f64)>,
}

impl Share {
    /// The share of `part` in `whole` ticks of which `samples` events were seen (Wilson's interval, variance × 1.5).
    pub fn of(part: i64, whole: i64, samples: Option<u64>) -> Self {
        let percent = percent_of(part, whole);
        let samples = samples.filter(|n| *n > 0 && whole > 0);
        Self { percent, interval: samples.map(|n| wilson(percent / 100.0, n as f64 / BUNCHING)) }
    }

    /// Whether the share reaches `threshold` even at its low end; the share itself where no interval is known.
    pub fn surely_reaches(&self, threshold: f64) -> bool {
        self.interval.map_or(self.percent, |(low, _)| low) >= threshold
    }

    /// Whether the share lies above `limit` even at its low end; the share itself where no interval is known.
    pub fn surely_above(&self, limit: f64) -> bool {
        self.interval.map_or(self.percent, |(low, _)| low) > limit
    }

    /// The severity of a share of that size: over 30 high, over 10 medium, else low; one band less where the low end
    /// of the interval lies outside the band.
    pub fn severity(&self) -> FindingSeverity {
        let (band, floor) = match self.percent {
            p if p > 30.0 => (FindingSeverity::High, 30.0),
            p if p > 10.0 => (FindingSeverity::Medium, 10.0),
            _ => return FindingSeverity::Low,
        };
        match band {
            _ if self.surely_above(floor) => band,
            FindingSeverity::High => FindingSeverity::Medium,
            _ => FindingSeverity::Low,
        }
    }
}

fn wilson(p: f64, n: f64) -> (f64, f64) {
    let z2 = Z * Z;
    let scale = 1.0 + z2 / n;
    let centre = (p + z2 / (2.0 * n)) / scale;
    let half = Z * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt() / scale;
    (((centre - half) * 100.0).clamp(0.0, p * 100.0), ((centre + half) * 100.0).clamp(p * 100.0, 100.0))
}

/// What the number of samples allows at most: under 100 no severity above low.
pub(in crate::verdict) fn highest_severity(samples: Option<u64>) -> FindingSeverity {
    if samples.is_some_and(|n| n < 100) { FindingSeverity::Low } else { FindingSeverity::High }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{ProfileBuilder, SampleType};
    use proptest::prelude::*;
    use rstest::rstest;

    fn profile(unit: &str, values: &[i64]) -> Profile {
        let mut builder = ProfileBuilder::new(vec![SampleType::new("x", unit)]);
        for (i, value) in values.iter().enumerate() {
            let frame = builder.function(&format!("f{i}"), "");
            builder.add([frame], &[*value]);
        }
        builder.build()
    }

    #[rstest]
    #[case::multiples_of_ten_ms(ProfileType::Cpu, "nanoseconds", &[20_000_000, 40_000_000], Some(6))]
    #[case::another_period(ProfileType::Cpu, "nanoseconds", &[9_900_990 * 2, 9_900_990 * 3], Some(5))]
    #[case::no_period(ProfileType::Cpu, "nanoseconds", &[95_000_001, 5_000_003], Some(10))]
    #[case::microseconds(ProfileType::Wall, "microseconds", &[10_000, 20_000], Some(3))]
    #[case::counts(ProfileType::Cpu, "count", &[3, 4], Some(7))]
    #[case::seconds(ProfileType::Cpu, "seconds", &[2], Some(200))]
    #[case::alloc_small(ProfileType::Alloc, "bytes", &[524_288 * 3 + 1, 524_288 * 4], Some(7))]
    #[case::alloc_of_a_larger_step(ProfileType::Alloc, "bytes", &[1_048_576, 2_097_152], Some(3))]
    #[case::alloc_objects(ProfileType::Alloc, "count", &[100], None)]
    #[case::of_an_unknown_kind(ProfileType::Samples, "count", &[3, 4], Some(7))]
    #[case::time_of_an_unknown_kind(ProfileType::Samples, "nanoseconds", &[20_000_000], None)]
    #[case::exceptions(ProfileType::Exception, "count", &[3, 4], Some(7))]
    #[case::lock(ProfileType::Lock, "nanoseconds", &[100], None)]
    #[case::empty(ProfileType::Cpu, "nanoseconds", &[], Some(0))]
    fn estimates_events_from_the_values(
        #[case] kind: ProfileType,
        #[case] unit: &str,
        #[case] values: &[i64],
        #[case] samples: Option<u64>,
    ) {
        assert_eq!(estimated_samples(kind, &profile(unit, values), 0), samples);
    }

    #[rstest]
    #[case::no_unit(ProfileType::Cpu, &[3, 40], Some(43))]
    #[case::allocations_without_a_unit(ProfileType::Alloc, &[1, 4], Some(5))]
    #[case::bytes_without_a_unit(ProfileType::Alloc, &[4_096, 1_048_576], None)]
    #[case::cycles_without_a_unit(ProfileType::Cpu, &[70_000_001, 40_000_003], None)]
    #[case::never_few(ProfileType::Cpu, &[25; 20], None)]
    #[case::few_stacks(ProfileType::Cpu, &[25; 19], Some(475))]
    #[case::few_stacks_of_a_counter(ProfileType::Cpu, &[3, 1_057, 5_262_000, 4_000_000], None)]
    #[case::few_stacks_often_seen(ProfileType::Cpu, &[3, 99_000, 90_000], Some(189_003))]
    fn values_without_a_unit_are_counts_only_where_they_look_like_counts(
        #[case] kind: ProfileType,
        #[case] values: &[i64],
        #[case] samples: Option<u64>,
    ) {
        assert_eq!(estimated_samples(kind, &profile("", values), 0), samples);
    }

    #[test]
    fn widens_the_interval_as_samples_get_fewer() {
        let many = Share::of(34, 100, Some(12_840));
        let few = Share::of(34, 100, Some(100));
        let rounded = |share: Share| share.interval.map_or(String::new(), |(low, high)| format!("{low:.0}–{high:.0}"));
        assert_eq!(rounded(many), "33–35");
        assert_eq!(rounded(few), "24–46");
        assert_eq!(Share::of(34, 100, None).interval, None);
    }

    #[rstest]
    #[case::sure(40, Some(10_000), FindingSeverity::High)]
    #[case::low_end_outside_the_band(31, Some(1_000), FindingSeverity::Medium)]
    #[case::medium(20, Some(10_000), FindingSeverity::Medium)]
    #[case::medium_unsure(11, Some(200), FindingSeverity::Low)]
    #[case::exactly_thirty(30, None, FindingSeverity::Medium)]
    #[case::exactly_ten(10, None, FindingSeverity::Low)]
    #[case::uncounted(31, None, FindingSeverity::High)]
    fn takes_severity_from_the_share_and_its_low_end(
        #[case] part: i64,
        #[case] samples: Option<u64>,
        #[case] severity: FindingSeverity,
    ) {
        assert_eq!(Share::of(part, 100, samples).severity(), severity);
    }

    #[rstest]
    #[case(19, Confidence::Insufficient)]
    #[case(20, Confidence::Low)]
    #[case(999, Confidence::Low)]
    #[case(1_000, Confidence::Medium)]
    #[case(10_000, Confidence::High)]
    fn bands_confidence_by_samples(#[case] samples: u64, #[case] confidence: Confidence) {
        assert_eq!(Confidence::of(samples), confidence);
    }

    proptest! {
        #[test]
        fn keeps_the_share_inside_its_interval(part in 0i64..1_000_000, rest in 0i64..1_000_000, n in 1u64..10_000_000) {
            let share = Share::of(part, part + rest, Some(n));
            if let Some((low, high)) = share.interval {
                prop_assert!(0.0 <= low && low <= share.percent && share.percent <= high && high <= 100.0);
            }
        }

        #[test]
        fn narrows_with_more_samples(part in 1i64..999, n in 10u64..1_000_000) {
            let width = |n| Share::of(part, 1_000, Some(n)).interval.map(|(l, h)| h - l);
            prop_assert!(width(n * 4) < width(n));
        }
    }
}
