//! How much of a window has profiles.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::kernel::TimeWindow;

/// Profilers send about this often. A profile that is not followed soon is taken to cover this long.
const PROFILED_FOR: TimeDelta = TimeDelta::seconds(15);
/// A profile that is followed within this time covers all of it, since some profilers send once a minute.
const FOLLOWED: TimeDelta = TimeDelta::seconds(60);

/// How much of a window has data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Coverage {
    /// Minutes of the window in which a profile started.
    pub minutes_with_data: u32,
    /// Minutes of the window that have passed.
    pub minutes: u32,
    /// Seconds that the profiles cover: from each start to the next where that is at most 60 s later, or else 15 s.
    pub covered_seconds: u32,
    /// Start of the first profile.
    pub first_profile_at: DateTime<Utc>,
    /// Start of the last profile.
    pub last_profile_at: DateTime<Utc>,
}

/// When profiles started: the first and the last start of each time in which one followed another within a minute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Starts(Vec<(DateTime<Utc>, DateTime<Utc>)>);

impl Starts {
    /// Adds the starts of a time after, or overlapping, the last one that was added.
    fn extend_by(&mut self, (first, last): (DateTime<Utc>, DateTime<Utc>)) {
        match self.0.last_mut() {
            Some((_, end)) if first - *end <= FOLLOWED => *end = last.max(*end),
            _ => self.0.push((first, last)),
        }
    }

    /// All of these.
    pub(super) fn union<'s>(all: impl IntoIterator<Item = &'s Self>) -> Self {
        let mut times: Vec<_> = all.into_iter().flat_map(|starts| starts.0.iter().copied()).collect();
        times.sort_unstable();
        let mut union = Self::default();
        for time in times {
            union.extend_by(time);
        }
        union
    }

    /// How much of the window they cover. `None`: there is none.
    pub(super) fn coverage(&self, window: TimeWindow, now: DateTime<Utc>) -> Option<Coverage> {
        let (first_profile_at, last_profile_at) = (self.0.first()?.0, self.0.last()?.1);
        // Minutes that have begun, or have data.
        let end = window.to().min(now.max(last_profile_at + TimeDelta::nanoseconds(1)));
        let passed = (end - window.from()).num_milliseconds().max(0).cast_unsigned().div_ceil(1_000);
        let (mut with_data, mut counted_to) = (0, -1);
        let mut covered = TimeDelta::zero();
        for (first, last) in &self.0 {
            // Within such a time no minute is without a start.
            let [from, to] = [first, last].map(|at| (*at - window.from()).num_minutes().max(0));
            with_data += to - from.max(counted_to + 1) + 1;
            counted_to = to;
            covered += (*last + PROFILED_FOR).min(window.to().max(*last)) - *first;
        }
        let small = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
        Some(Coverage {
            minutes_with_data: small(with_data),
            minutes: u32::try_from(passed.div_ceil(60)).unwrap_or(u32::MAX),
            covered_seconds: small(covered.num_seconds().max(1)),
            first_profile_at,
            last_profile_at,
        })
    }
}

/// From starts in order of time.
impl FromIterator<DateTime<Utc>> for Starts {
    fn from_iter<I: IntoIterator<Item = DateTime<Utc>>>(starts: I) -> Self {
        let mut all = Self::default();
        all.extend(starts);
        all
    }
}

/// The starts come in order of time, and none is before the last one that was added.
impl Extend<DateTime<Utc>> for Starts {
    fn extend<I: IntoIterator<Item = DateTime<Utc>>>(&mut self, starts: I) {
        for at in starts {
            self.extend_by((at, at));
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn at(s: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(6_000 + s, 0).unwrap()
    }

    fn window(seconds: i64) -> TimeWindow {
        TimeWindow::new(at(0), at(seconds)).unwrap()
    }

    fn starts(seconds: &[i64]) -> Starts {
        seconds.iter().map(|s| at(*s)).collect()
    }

    #[rstest]
    #[case::every_15_s(&[0, 15, 30, 45, 60, 75], 90, 2)]
    #[case::once_a_minute(&[5, 65, 125], 135, 3)]
    #[case::one(&[30], 15, 1)]
    #[case::a_gap(&[0, 15, 300, 315], 60, 2)]
    #[case::twice_at_once(&[0, 0, 15], 30, 1)]
    #[case::the_last_seconds_of_the_window(&[585, 595], 15, 1)]
    fn profiles_cover_the_time_until_the_next(#[case] s: &[i64], #[case] covered: u32, #[case] minutes: u32) {
        let coverage = starts(s).coverage(window(600), at(10_000)).unwrap();
        assert_eq!((coverage.covered_seconds, coverage.minutes_with_data, coverage.minutes), (covered, minutes, 10));
        assert_eq!((coverage.first_profile_at, coverage.last_profile_at), (at(s[0]), at(*s.last().unwrap())));
    }

    #[test]
    fn series_cover_together_what_one_of_them_covers() {
        let union = Starts::union([&starts(&[0, 60, 120]), &starts(&[30, 90, 400])]);
        let coverage = union.coverage(window(600), at(10_000)).unwrap();
        assert_eq!((coverage.covered_seconds, coverage.minutes_with_data), (135 + 15, 4));
    }

    #[test]
    fn only_minutes_that_have_passed_or_have_data_count() {
        let minutes = |now, last| starts(&[15, last]).coverage(window(3_600), at(now)).unwrap().minutes;
        assert_eq!((minutes(150, 30), minutes(150, 290), minutes(9_999, 30)), (3, 5, 60));
    }

    #[test]
    fn without_profiles_nothing_is_known() {
        assert_eq!(Starts::default().coverage(window(600), at(700)), None);
    }
}
