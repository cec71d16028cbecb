//! Windows in milliseconds, as Pyroscope takes them, and how they are split.

use crate::kernel::TimeWindow;

/// The longest window that servers answer in their default configuration.
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// A window in milliseconds since the epoch. The start is inside. Version 1 takes the end as inside, version 2 as
/// outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct MillisWindow {
    /// The first millisecond.
    pub start_ms: i64,
    /// The last millisecond (version 1), or the first one after the window (version 2).
    pub end_ms: i64,
}

impl MillisWindow {
    /// A window in milliseconds. It ends a millisecond early: most profiles start at whole seconds, and one that starts
    /// where the window ends must not be counted both in this window and in the next.
    pub(super) fn of(window: TimeWindow) -> Self {
        let start_ms = window.from().timestamp_millis().max(1);
        Self { start_ms, end_ms: (window.to().timestamp_millis() - 1).max(start_ms + 1) }
    }

    /// Splits it into windows of at most a day.
    pub(super) fn days(self) -> Vec<Self> {
        let mut days = Vec::new();
        let mut start_ms = self.start_ms;
        while self.end_ms - start_ms > DAY_MS {
            let cut = odd_at_most(start_ms + DAY_MS);
            days.push(Self { start_ms, end_ms: cut });
            start_ms = cut;
        }
        days.push(Self { start_ms, end_ms: self.end_ms });
        days
    }

    /// Splits it into two. A window that is too short stays whole.
    pub(super) fn halves(self) -> Vec<Self> {
        let cut = odd_at_most(self.start_ms + (self.end_ms - self.start_ms) / 2);
        if cut <= self.start_ms || cut >= self.end_ms {
            return vec![self];
        }
        vec![Self { end_ms: cut, ..self }, Self { start_ms: cut, ..self }]
    }

    /// The last day of it.
    pub(super) fn last_day(self) -> Self {
        Self { start_ms: self.start_ms.max(self.end_ms - DAY_MS), ..self }
    }
}

/// Windows are split at odd milliseconds, where profiles rarely start: version 1 counts one that starts there in both.
fn odd_at_most(ms: i64) -> i64 {
    if ms % 2 == 0 { ms - 1 } else { ms }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn window(from_s: i64, to_s: i64) -> TimeWindow {
        let at = |s| DateTime::from_timestamp(s, 0).unwrap();
        TimeWindow::new(at(from_s), at(to_s)).unwrap()
    }

    #[test]
    fn ends_before_the_next_window_begins() {
        assert_eq!(MillisWindow::of(window(100, 160)), MillisWindow { start_ms: 100_000, end_ms: 159_999 });
        assert_eq!(MillisWindow::of(window(0, 1)), MillisWindow { start_ms: 1, end_ms: 999 });
    }

    #[test]
    fn a_week_is_cut_into_days_at_odd_milliseconds_without_a_gap() {
        let week = MillisWindow::of(window(1_000_000, 1_000_000 + 7 * 86_400));
        let days = week.days();
        assert_eq!(days.len(), 7);
        assert_eq!((days[0].start_ms, days[6].end_ms), (week.start_ms, week.end_ms));
        for pair in days.windows(2) {
            assert_eq!(pair[0].end_ms, pair[1].start_ms);
            assert_eq!(pair[0].end_ms % 2, 1);
            assert!(pair[0].end_ms - pair[0].start_ms <= DAY_MS);
        }
    }

    #[test]
    fn a_day_is_one_piece() {
        assert_eq!(MillisWindow::of(window(86_400, 2 * 86_400)).days().len(), 1);
    }

    #[test]
    fn halves_meet_at_an_odd_millisecond() {
        let halves = MillisWindow { start_ms: 1_000, end_ms: 2_999 }.halves();
        assert_eq!(
            halves,
            [MillisWindow { start_ms: 1_000, end_ms: 1_999 }, MillisWindow { start_ms: 1_999, end_ms: 2_999 }]
        );
        assert_eq!(MillisWindow { start_ms: 1, end_ms: 2 }.halves().len(), 1);
    }
}
