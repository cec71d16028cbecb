//! Compares every function of a profile with the approved limits.

use std::cmp::Ordering;

use rustc_hash::FxHashMap;

use crate::kernel::LimitSeverity;
use crate::profile::Profile;
use crate::verdict::names::key;
use crate::verdict::reliability::Share;

/// The approved limit of one function.
#[derive(Debug, Clone, Copy)]
pub struct Limit<'a> {
    /// The function, as it was typed in.
    pub function: &'a str,
    /// The largest self share approved, percent.
    pub max_self_percent: f64,
    /// How severe it is to exceed it.
    pub severity: LimitSeverity,
}

/// A function over its limit.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitViolation {
    /// The function, as the profile spells it; of several spellings the heaviest.
    pub function: String,
    /// Its share of all ticks, percent, with its interval.
    pub current: Share,
    /// The limit, percent.
    pub threshold: f64,
    /// Points above the limit.
    pub exceeded_by: f64,
    /// How bad that is.
    pub severity: LimitSeverity,
    /// Whether the low end of the share passes the limit too.
    pub confirmed: bool,
}

/// The result of comparing a profile with an app's limits.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LimitReport {
    /// The functions over their limits, worst first.
    pub violations: Vec<LimitViolation>,
    /// The functions with a limit that the profile does not hold, sorted.
    pub not_seen: Vec<String>,
}

/// All spellings of one function.
struct Joined<'p> {
    ticks: i64,
    heaviest: (i64, &'p str),
}

/// Compares every function of the profile with the limits. Names join on [`key`]: spellings that fall together are
/// added. A share equal to its limit does not violate it.
pub fn check_limits(profile: &Profile, sample_type: usize, samples: Option<u64>, limits: &[Limit<'_>]) -> LimitReport {
    if limits.is_empty() {
        return LimitReport::default();
    }
    let wanted: Vec<_> = limits.iter().map(|limit| (key(limit.function), limit)).collect();
    let mut joined: FxHashMap<&str, Option<Joined<'_>>> = wanted.iter().map(|(key, _)| (key.as_ref(), None)).collect();
    let self_ticks = self_ticks(profile, sample_type);
    for (id, ticks) in profile.function_ids().zip(&self_ticks) {
        let name = profile.name(id);
        if let Some(place) = joined.get_mut(key(name).as_ref()) {
            let all = place.get_or_insert(Joined { ticks: 0, heaviest: (i64::MIN, name) });
            all.ticks = all.ticks.saturating_add(*ticks);
            all.heaviest = all.heaviest.max_by_ticks((*ticks, name));
        }
    }
    let total = profile.total(sample_type);
    let mut report = LimitReport::default();
    for (key, limit) in &wanted {
        match joined.get(key.as_ref()).and_then(Option::as_ref) {
            None => report.not_seen.push(limit.function.to_owned()),
            Some(all) => {
                let share = Share::of(all.ticks, total, samples);
                report.violations.extend(LimitViolation::of(all.heaviest.1, share, limit));
            }
        }
    }
    report.not_seen.sort_unstable();
    report.violations.sort_by(worst_first);
    report
}

/// By severity, then by points above the limit, then by name.
pub(super) fn worst_first(a: &LimitViolation, b: &LimitViolation) -> Ordering {
    let by_size = b.severity.cmp(&a.severity).then(b.exceeded_by.total_cmp(&a.exceeded_by));
    by_size.then_with(|| a.function.cmp(&b.function))
}

trait Heavier {
    fn max_by_ticks(self, other: Self) -> Self;
}

impl Heavier for (i64, &str) {
    fn max_by_ticks(self, other: Self) -> Self {
        if other.0 > self.0 || (other.0 == self.0 && other.1 < self.1) { other } else { self }
    }
}

impl LimitViolation {
    /// A function whose share is over its limit; `None` where it is not.
    pub(super) fn of(function: &str, current: Share, limit: &Limit<'_>) -> Option<Self> {
        (current.percent > limit.max_self_percent).then(|| Self {
            function: function.to_owned(),
            current,
            threshold: limit.max_self_percent,
            exceeded_by: current.percent - limit.max_self_percent,
            severity: limit.severity,
            confirmed: current.surely_above(limit.max_self_percent),
        })
    }
}

/// Self ticks of each function, by id.
pub(super) fn self_ticks(profile: &Profile, sample_type: usize) -> Vec<i64> {
    let mut ticks = vec![0_i64; profile.function_count()];
    for stack in profile.stacks() {
        let place = stack.frames.first().and_then(|leaf| ticks.get_mut(leaf.index()));
        if let (Some(place), Some(value)) = (place, stack.values.get(sample_type)) {
            *place = place.saturating_add(*value);
        }
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{ProfileBuilder, SampleType};

    fn profile(functions: &[(&str, i64)]) -> Profile {
        let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
        let root = builder.function("root", "");
        for (name, ticks) in functions {
            let leaf = builder.function(name, "");
            builder.add([leaf, root], &[*ticks]);
        }
        builder.build()
    }

    fn limit(function: &str, max_self_percent: f64) -> Limit<'_> {
        Limit { function, max_self_percent, severity: LimitSeverity::Warning }
    }

    #[test]
    fn names_each_function_over_its_limit_worst_first() {
        let profile = profile(&[("a", 40), ("b", 35), ("c", 25)]);
        let critical = Limit { severity: LimitSeverity::Critical, ..limit("c", 20.0) };
        let report = check_limits(&profile, 0, None, &[limit("a", 30.0), limit("b", 10.0), critical]);
        let seen: Vec<_> = report.violations.iter().map(|v| (v.function.as_str(), v.exceeded_by)).collect();
        assert_eq!(seen, [("c", 5.0), ("b", 25.0), ("a", 10.0)]);
    }

    #[test]
    fn takes_a_share_equal_to_the_limit_as_kept() {
        let report = check_limits(&profile(&[("a", 15), ("b", 85)]), 0, None, &[limit("a", 15.0), limit("root", 0.0)]);
        assert_eq!(report, LimitReport::default());
    }

    #[test]
    fn lists_limits_whose_function_never_ran() {
        let report = check_limits(&profile(&[("a", 1)]), 0, None, &[limit("z", 15.0), limit("gone", 15.0)]);
        assert_eq!(report.not_seen, ["gone", "z"]);
    }

    #[test]
    fn joins_spellings_of_one_function() {
        let profile = profile(&[("java/util/HashMap.resize", 20), ("java.util.HashMap.resize", 10), ("a", 70)]);
        let report = check_limits(&profile, 0, None, &[limit("java.util.HashMap.resize", 25.0)]);
        assert_eq!(
            report.violations.iter().map(|v| v.function.as_str()).collect::<Vec<_>>(),
            ["java/util/HashMap.resize"]
        );
        assert!((report.violations[0].current.percent - 30.0).abs() < 1e-9);
    }

    #[test]
    fn confirms_only_what_the_low_end_passes() {
        let profile = profile(&[("a", 20), ("b", 80)]);
        let confirmed = |samples| check_limits(&profile, 0, Some(samples), &[limit("a", 18.0)]).violations[0].confirmed;
        assert!(confirmed(10_000));
        assert!(!confirmed(100));
    }
}
