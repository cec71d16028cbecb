//! How a rule stands for an app, and how a verdict moves it.

use chrono::{DateTime, TimeDelta, Utc};

use super::verdict::Verdict;
use crate::sor::alert_rule::Timing;

/// A pending rule ends if it was not over for this long.
const PENDING_WITHOUT_VERDICT: TimeDelta = TimeDelta::minutes(15);
/// A firing rule is resolved after this long without data.
const FIRING_WITHOUT_DATA: TimeDelta = TimeDelta::hours(1);

/// How long a share must be over to fire, and clear to be resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long it must be over before it fires.
    pub hold: TimeDelta,
    /// How long it must be clear before it is resolved.
    pub keep_firing: TimeDelta,
}

impl From<Timing> for Patience {
    fn from(timing: Timing) -> Self {
        let seconds = |seconds: i32| TimeDelta::seconds(seconds.into());
        Self { hold: seconds(timing.hold_seconds()), keep_firing: seconds(timing.keep_firing_seconds()) }
    }
}

/// How a rule stands for an app. All times are those of evaluations, so that a replay decides the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Standing {
    /// Not over the threshold.
    #[default]
    Quiet,
    /// Over the threshold, but not yet for long enough.
    Pending {
        /// Since when.
        active_since: DateTime<Utc>,
        /// When it was over last.
        last_over: DateTime<Utc>,
    },
    /// Over the threshold for long enough.
    Firing {
        /// Since when it is over.
        active_since: DateTime<Utc>,
        /// Since when it fires.
        fired_at: DateTime<Utc>,
        /// When it was over last.
        last_over: DateTime<Utc>,
        /// Since when it is clear.
        clear_since: Option<DateTime<Utc>>,
        /// Since when there is no data.
        no_data_since: Option<DateTime<Utc>>,
    },
}

/// Why a firing rule was resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// It was clear for long enough.
    Clear,
    /// There was no data for an hour: this says nothing about the app's health.
    NoData,
}

/// What a step changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Only times changed.
    None,
    /// It became pending.
    Began,
    /// It fires.
    Fired,
    /// It was pending, and ended without firing.
    Ended,
    /// It was firing, and is resolved.
    Resolved(Ending),
}

impl Standing {
    /// How it stands after an evaluation at `at`, and what that changes.
    #[must_use]
    pub fn step(self, verdict: Verdict, at: DateTime<Utc>, patience: Patience) -> (Self, Change) {
        match self {
            Self::Quiet if verdict == Verdict::Over => Self::over_since(at, at, patience),
            Self::Quiet => (self, Change::None),
            Self::Pending { active_since, last_over } => match verdict {
                Verdict::Over => match Self::over_since(active_since, at, patience) {
                    (pending, Change::Began) => (pending, Change::None),
                    fired => fired,
                },
                Verdict::Clear | Verdict::Unclear => (Self::Quiet, Change::Ended),
                _ if at - last_over >= PENDING_WITHOUT_VERDICT => (Self::Quiet, Change::Ended),
                _ => (self, Change::None),
            },
            Self::Firing { .. } => self.firing(verdict, at, patience),
        }
    }

    /// Over the threshold at `at`, since `active_since`.
    fn over_since(active_since: DateTime<Utc>, at: DateTime<Utc>, patience: Patience) -> (Self, Change) {
        if at - active_since < patience.hold {
            return (Self::Pending { active_since, last_over: at }, Change::Began);
        }
        let fired = Self::Firing { active_since, fired_at: at, last_over: at, clear_since: None, no_data_since: None };
        (fired, Change::Fired)
    }

    /// The step of one that fires.
    fn firing(mut self, verdict: Verdict, at: DateTime<Utc>, patience: Patience) -> (Self, Change) {
        let Self::Firing { last_over, clear_since, no_data_since, .. } = &mut self else {
            return (self, Change::None);
        };
        match verdict {
            Verdict::Over => (*last_over, *clear_since) = (at, None),
            Verdict::Clear => {
                if at - *clear_since.get_or_insert(at) >= patience.keep_firing {
                    return (Self::Quiet, Change::Resolved(Ending::Clear));
                }
            }
            Verdict::NoData => {
                if at - *no_data_since.get_or_insert(at) >= FIRING_WITHOUT_DATA {
                    return (Self::Quiet, Change::Resolved(Ending::NoData));
                }
            }
            Verdict::Unclear | Verdict::Insufficient | Verdict::UnknownApp | Verdict::Error => {}
        }
        // A window that could not be read does not say whether there is data.
        if !matches!(verdict, Verdict::NoData | Verdict::Error | Verdict::UnknownApp) {
            *no_data_since = None;
        }
        (self, Change::None)
    }

    /// Since when it fires, if it does.
    pub fn fired_at(&self) -> Option<DateTime<Utc>> {
        if let Self::Firing { fired_at, .. } = self { Some(*fired_at) } else { None }
    }

    /// Since when it is over the threshold, if it is pending or fires.
    pub fn active_since(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Quiet => None,
            Self::Pending { active_since, .. } | Self::Firing { active_since, .. } => Some(*active_since),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const PATIENCE: Patience = Patience { hold: TimeDelta::minutes(5), keep_firing: TimeDelta::minutes(5) };

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_176_000 + minute * 60, 0).unwrap()
    }

    fn pending(since: i64, last_over: i64) -> Standing {
        Standing::Pending { active_since: at(since), last_over: at(last_over) }
    }

    /// Over from minute 0, fired in minute 5.
    fn firing(last_over: i64, clear_since: Option<i64>, no_data_since: Option<i64>) -> Standing {
        Standing::Firing {
            active_since: at(0),
            fired_at: at(5),
            last_over: at(last_over),
            clear_since: clear_since.map(at),
            no_data_since: no_data_since.map(at),
        }
    }

    const OTHERS: [Verdict; 4] = [Verdict::NoData, Verdict::UnknownApp, Verdict::Error, Verdict::Insufficient];

    #[rstest]
    #[case::nothing_over(Standing::Quiet, Verdict::Over, 3, pending(3, 3), Change::Began)]
    #[case::nothing_unclear(Standing::Quiet, Verdict::Unclear, 3, Standing::Quiet, Change::None)]
    #[case::nothing_clear(Standing::Quiet, Verdict::Clear, 3, Standing::Quiet, Change::None)]
    #[case::pending_over_early(pending(0, 3), Verdict::Over, 4, pending(0, 4), Change::None)]
    #[case::pending_over_for_long_enough(pending(0, 4), Verdict::Over, 5, firing(5, None, None), Change::Fired)]
    #[case::pending_unclear(pending(0, 4), Verdict::Unclear, 5, Standing::Quiet, Change::Ended)]
    #[case::pending_clear(pending(0, 4), Verdict::Clear, 5, Standing::Quiet, Change::Ended)]
    #[case::firing_over(firing(5, Some(6), None), Verdict::Over, 9, firing(9, None, None), Change::None)]
    #[case::firing_unclear(firing(5, Some(6), None), Verdict::Unclear, 99, firing(5, Some(6), None), Change::None)]
    #[case::firing_clear(firing(5, None, None), Verdict::Clear, 7, firing(5, Some(7), None), Change::None)]
    #[case::firing_clear_for_less(firing(5, Some(7), None), Verdict::Clear, 11, firing(5, Some(7), None), Change::None)]
    #[case::firing_clear_for_long_enough(
        firing(5, Some(7), None),
        Verdict::Clear,
        12,
        Standing::Quiet,
        Change::Resolved(Ending::Clear)
    )]
    #[case::firing_without_data(firing(5, None, None), Verdict::NoData, 7, firing(5, None, Some(7)), Change::None)]
    #[case::firing_without_data_for_less(
        firing(5, None, Some(7)),
        Verdict::NoData,
        66,
        firing(5, None, Some(7)),
        Change::None
    )]
    #[case::firing_without_data_for_an_hour(
        firing(5, None, Some(7)),
        Verdict::NoData,
        67,
        Standing::Quiet,
        Change::Resolved(Ending::NoData)
    )]
    #[case::firing_and_data_again(
        firing(5, None, Some(7)),
        Verdict::Insufficient,
        66,
        firing(5, None, None),
        Change::None
    )]
    #[case::firing_and_not_readable(
        firing(5, None, Some(7)),
        Verdict::Error,
        99,
        firing(5, None, Some(7)),
        Change::None
    )]
    fn steps_as_the_table_says(
        #[case] was: Standing,
        #[case] verdict: Verdict,
        #[case] minute: i64,
        #[case] now: Standing,
        #[case] change: Change,
    ) {
        assert_eq!(was.step(verdict, at(minute), PATIENCE), (now, change));
    }

    #[test]
    fn nothing_begins_without_a_verdict_and_what_is_pending_stays_for_15_minutes() {
        for verdict in OTHERS {
            assert_eq!(Standing::Quiet.step(verdict, at(1), PATIENCE), (Standing::Quiet, Change::None));
            assert_eq!(pending(0, 2).step(verdict, at(16), PATIENCE), (pending(0, 2), Change::None));
            assert_eq!(pending(0, 2).step(verdict, at(17), PATIENCE), (Standing::Quiet, Change::Ended));
        }
    }

    #[test]
    fn with_nothing_to_wait_for_it_fires_and_is_resolved_at_once() {
        let at_once = Patience { hold: TimeDelta::zero(), keep_firing: TimeDelta::zero() };
        let (fired, change) = Standing::Quiet.step(Verdict::Over, at(3), at_once);
        assert_eq!((fired.active_since(), fired.fired_at(), change), (Some(at(3)), Some(at(3)), Change::Fired));
        assert_eq!(fired.step(Verdict::Clear, at(4), at_once), (Standing::Quiet, Change::Resolved(Ending::Clear)));
    }
}
