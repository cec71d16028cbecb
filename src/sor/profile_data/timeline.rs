//! A window step by step.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use super::domain::ProfileMeta;
use crate::kernel::{PortError, PortResult, TimeWindow};

/// The shortest step: profilers send about this often.
const SHORTEST: TimeDelta = TimeDelta::seconds(15);
/// The longest step.
const LONGEST: TimeDelta = TimeDelta::hours(24);
/// The most steps whose totals are read: a day by the minute.
pub(super) const MOST_TOTALS: i64 = 1_440;
/// The most steps whose stacks are read.
pub(super) const MOST_STACKS: i64 = 240;
/// The widths to choose from when none is given, and the most steps that a window then has.
const USUAL_MINUTES: [i64; 6] = [1, 5, 15, 60, 360, 1_440];
const USUAL_STEPS: i64 = 60;

/// What a window holds, step by step. Steps begin at multiples of their width since 1970.
#[derive(Debug, Clone, Default)]
pub struct Timeline<T> {
    /// What is known of the whole window.
    pub meta: ProfileMeta,
    /// The start of each step that has profiles, with its total or its stacks, in order of time. Snapshots are not added
    /// up: a step has the last one of each series.
    pub steps: Vec<(DateTime<Utc>, T)>,
}

impl<T> Timeline<T> {
    /// A timeline without steps.
    pub(super) fn empty(meta: ProfileMeta) -> Self {
        Self { meta, steps: Vec::new() }
    }
}

/// How long a step is: 15 s to 24 h.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StepWidth(TimeDelta);

impl StepWidth {
    /// One minute.
    pub const MINUTE: Self = Self(TimeDelta::minutes(1));

    /// A step of this width. `None` if it is shorter than 15 s or longer than 24 h.
    pub fn new(width: TimeDelta) -> Option<Self> {
        (SHORTEST..=LONGEST).contains(&width).then_some(Self(width))
    }

    /// The shortest of 1 min, 5 min, 15 min, 1 h, 6 h and 24 h with which 60 steps cover the window.
    pub fn usual(window: TimeWindow) -> Self {
        let minutes = USUAL_MINUTES.into_iter().find(|m| window.duration() <= TimeDelta::minutes(m * USUAL_STEPS));
        Self(minutes.map_or(LONGEST, TimeDelta::minutes))
    }

    /// The width.
    pub fn get(self) -> TimeDelta {
        self.0
    }

    /// The start of the step of an instant.
    pub fn floor(self, instant: DateTime<Utc>) -> DateTime<Utc> {
        instant.duration_trunc(self.0).unwrap_or(instant)
    }

    /// The window of the step that begins then.
    pub(super) fn window(self, start: DateTime<Utc>) -> PortResult<TimeWindow> {
        TimeWindow::new(start, start + self.0).map_err(|e| PortError::Internal(e.to_string()))
    }

    /// The window widened to whole steps. If that makes it longer than a window may be, its first step is left out.
    pub fn widened(self, window: TimeWindow) -> TimeWindow {
        let (from, last) = (self.floor(window.from()), self.floor(window.to() - TimeDelta::nanoseconds(1)));
        let to = last + self.0;
        TimeWindow::new(from, to).or_else(|_| TimeWindow::new(from + self.0, to)).unwrap_or(window)
    }

    /// Refuses a window of more than `most` steps.
    pub(super) fn at_most(self, window: TimeWindow, most: i64, of: &str) -> PortResult<()> {
        let steps = window.duration().num_milliseconds() / self.0.num_milliseconds().max(1);
        if steps <= most {
            return Ok(());
        }
        Err(PortError::Invalid(format!("step: the window has {steps} steps; {of} are read for at most {most}")))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const NOON: i64 = 1_795_176_000;

    fn window(from_s: i64, to_s: i64) -> TimeWindow {
        let at = |s| DateTime::from_timestamp(NOON + s, 0).unwrap();
        TimeWindow::new(at(from_s), at(to_s)).unwrap()
    }

    #[rstest]
    #[case::too_short(14, false)]
    #[case::shortest(15, true)]
    #[case::longest(86_400, true)]
    #[case::too_long(86_401, false)]
    #[case::negative(-60, false)]
    fn a_step_is_15_seconds_to_24_hours_long(#[case] seconds: i64, #[case] allowed: bool) {
        assert_eq!(StepWidth::new(TimeDelta::seconds(seconds)).is_some(), allowed);
    }

    #[rstest]
    #[case::an_hour(3_600, 60)]
    #[case::more_than_an_hour(3_601, 300)]
    #[case::a_day(86_400, 3_600)]
    #[case::the_longest_window(31 * 86_400, 86_400)]
    fn the_usual_step_makes_at_most_60_of_a_window(#[case] seconds: i64, #[case] step: i64) {
        assert_eq!(StepWidth::usual(window(0, seconds)).get(), TimeDelta::seconds(step));
    }

    #[test]
    fn a_window_is_widened_to_whole_steps() {
        let minute = StepWidth::MINUTE;
        assert_eq!(minute.widened(window(30, 90)), window(0, 120));
        assert_eq!(minute.widened(window(60, 120)), window(60, 120), "whole steps stay");
        let day = StepWidth::new(LONGEST).unwrap();
        let month = day.widened(window(0, 31 * 86_400));
        // Noon to noon touches 32 days.
        assert_eq!(month, window(12 * 3_600, 31 * 86_400 + 12 * 3_600));
    }

    #[test]
    fn a_window_of_too_many_steps_is_refused_with_the_limit() {
        let read = |to| StepWidth::MINUTE.at_most(window(0, to), 240, "stacks");
        assert!(read(240 * 60).is_ok());
        let error = read(241 * 60).unwrap_err().to_string();
        assert!(error.contains("241 steps") && error.contains("at most 240"), "{error}");
    }
}
