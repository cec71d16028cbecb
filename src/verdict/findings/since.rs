//! Since when a category costs more: the minute from which its rate stays above what it was in the hour before.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use super::tally::Tally;
use crate::kernel::ProfileType;
use crate::profile::Profile;
use crate::verdict::catalogue::Rules;
use crate::verdict::category::Category;
use crate::verdict::claims::Claims;

/// A rate this many median absolute deviations above the median is above what is usual.
const DEVIATIONS: f64 = 3.0;
/// Fewer minutes before do not tell what is usual. A judgement.
const MINUTES_BEFORE: usize = 20;
/// A rate that stayed above for fewer minutes may fall again. A judgement.
const MINUTES_SINCE: usize = 5;
/// The median rate since then is at least this many times that before. A judgement.
const MUCH_MORE: f64 = 1.2;
/// A version that began within this of the minute began with it: a deploy takes a moment to show.
const AROUND: TimeDelta = TimeDelta::minutes(2);

/// The first profile of a value of a label that names versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstProfile {
    /// The label.
    pub label: String,
    /// Its value.
    pub value: String,
    /// When its first profile came.
    pub at: DateTime<Utc>,
}

/// Since when a category has cost more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since {
    /// The start of the minute.
    pub at: DateTime<Utc>,
    /// The version that began then, if one did and only one.
    pub version: Option<FirstProfile>,
}

impl Since {
    /// The sentence about a category that costs more.
    pub fn sentence(&self) -> String {
        let at = self.at.to_rfc3339_opts(SecondsFormat::Secs, true);
        match &self.version {
            Some(FirstProfile { label, value, .. }) => {
                format!(" It has cost more since {at}, when {label} {value:?} began.")
            }
            None => format!(" It has cost more since {at}."),
        }
    }
}

/// Since when each category of an app costs more than in the hour before a window that begins at `from`, where that is
/// clear. `minutes` are the profiles of that hour and the window, one for each minute that has any, in order of time.
/// `versions` are the values of labels with the first profile of each.
pub fn since(
    rules: &Rules,
    kind: ProfileType,
    minutes: &[(DateTime<Utc>, Profile)],
    from: DateTime<Utc>,
    versions: &[FirstProfile],
) -> Vec<(Category, Since)> {
    let tally = |profile: &Profile| Tally::of(profile, 0, kind, rules, &Claims::of(rules, profile, kind));
    let tallies: Vec<_> = minutes.iter().map(|(at, profile)| (*at, tally(profile))).collect();
    let of = |category: &Category| {
        let rates = tallies.iter().map(|(at, tally)| (*at, tally.claimed(*category) as f64));
        let (before, during): (Vec<_>, Vec<_>) = rates.partition(|(at, _)| *at < from);
        let before: Vec<_> = before.into_iter().map(|(_, rate)| rate).collect();
        let at = began(&before, &during)?;
        Some((*category, Since { at, version: version(versions, at).cloned() }))
    };
    Category::ALL.iter().filter(|category| category.competes()).filter_map(of).collect()
}

/// The first of the minutes after which all rates are above what they were before. `None`: none, or that is not clear.
fn began(before: &[f64], during: &[(DateTime<Utc>, f64)]) -> Option<DateTime<Utc>> {
    if before.len() < MINUTES_BEFORE {
        return None;
    }
    let usual = median(before)?;
    let deviation = median(&before.iter().map(|rate| (rate - usual).abs()).collect::<Vec<_>>())?;
    let is_above = |(_, rate): &&(DateTime<Utc>, f64)| *rate > usual + DEVIATIONS * deviation;
    let above: Vec<_> = during.iter().rev().take_while(is_above).collect();
    let stays = median(&above.iter().map(|(_, rate)| *rate).collect::<Vec<_>>())?;
    let is_clear = above.len() >= MINUTES_SINCE && stays >= usual * MUCH_MORE;
    above.last().filter(|_| is_clear).map(|(at, _)| *at)
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

/// The version whose first profile came with a minute. `None` if several did, or none.
fn version(versions: &[FirstProfile], at: DateTime<Utc>) -> Option<&FirstProfile> {
    let with_it = |version: &&FirstProfile| (version.at - at).abs() <= AROUND;
    let mut candidates = versions.iter().filter(with_it);
    let first = candidates.next()?;
    // Labels that begin together name the same deploy; the first of them is told.
    candidates.all(|other| other.label != first.label).then_some(first)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn minute(n: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_176_000 + n * 60, 0).unwrap()
    }

    /// Rates around 10, with a median absolute deviation of 1.
    fn steady(minutes: usize) -> Vec<f64> {
        (0..minutes).map(|n| [9.0, 10.0, 11.0][n % 3]).collect()
    }

    #[rstest]
    #[case::a_step(&steady(60), &[10., 11., 10., 20., 19., 21., 20., 22.], Some(3))]
    #[case::from_the_first_minute(&steady(60), &[20., 19., 21., 20., 22.], Some(0))]
    #[case::new(&[0.; 60], &[0., 0., 4., 5., 3., 5., 4.], Some(2))]
    #[case::after_a_spike(&steady(60), &[20., 10., 20., 19., 21., 20., 22.], Some(2))]
    #[case::as_before(&steady(60), &steady(30), None)]
    #[case::it_fell_again(&steady(60), &[20., 20., 20., 20., 20., 20., 10.], None)]
    #[case::for_too_short(&steady(60), &[10., 10., 10., 20., 20., 20., 20.], None)]
    #[case::hardly_more(&[10.; 60], &[11.; 30], None)]
    #[case::less(&steady(60), &[2.; 30], None)]
    #[case::too_little_before(&steady(19), &[20.; 30], None)]
    #[case::noisy_before(&[5., 20.].repeat(30), &[25.; 30], None)]
    #[case::nothing_since(&steady(60), &[], None)]
    fn a_rate_is_up_since_the_first_minute_after_which_it_stays_over_three_deviations(
        #[case] before: &[f64],
        #[case] during: &[f64],
        #[case] expected: Option<i64>,
    ) {
        let during: Vec<_> = (0..).zip(during).map(|(n, rate)| (minute(n), *rate)).collect();
        assert_eq!(began(before, &during), expected.map(minute));
    }

    #[rstest]
    #[case::then(&[("version", "1", -60), ("version", "2", 9)], Some("2"))]
    #[case::two_labels(&[("service_git_ref", "abc", 10), ("version", "2", 11)], Some("abc"))]
    #[case::two_versions(&[("version", "2", 9), ("version", "3", 11)], None)]
    #[case::long_before(&[("version", "2", 7)], None)]
    #[case::none(&[], None)]
    fn the_version_that_began_with_the_minute_is_named(
        #[case] versions: &[(&str, &str, i64)],
        #[case] expected: Option<&str>,
    ) {
        let of = |(label, value, n): &(&str, &str, i64)| FirstProfile {
            label: (*label).to_owned(),
            value: (*value).to_owned(),
            at: minute(*n),
        };
        let versions: Vec<_> = versions.iter().map(of).collect();
        assert_eq!(version(&versions, minute(10)).map(|version| version.value.as_str()), expected);
    }
}
