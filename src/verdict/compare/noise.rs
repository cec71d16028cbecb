//! How much an app varies by itself.

use super::join::{Joined, Ticks};
use super::load::{SMALLEST_POINTS, Scale};

/// The changes between the two halves of one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OwnNoise {
    /// Functions that change by more than 0.1 points.
    pub rows: usize,
    /// The largest change, points.
    pub largest_points: f64,
}

/// Compares the first half of the baseline window, whose ticks are the values of that sample type, with the rest of it;
/// `None` where either is empty.
pub(super) fn of(joined: &Joined<'_>, first_half: usize, samples: Option<u64>) -> Option<OwnNoise> {
    let first = joined.own_under(0, first_half);
    let rest = |(first, [whole, _]): (&i64, &Ticks)| [*first, whole.saturating_sub(*first)];
    let own: Vec<_> = first.iter().zip(&joined.own).map(rest).collect();
    let first = first.iter().fold(0_i64, |sum, ticks| sum.saturating_add(*ticks));
    let [all, _] = joined.totals;
    let totals = [first, all.saturating_sub(first)];
    if totals.iter().any(|total| *total <= 0) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count, rounded")]
    let samples = samples.map(|n| totals.map(|ticks| (n as f64 * ticks as f64 / all as f64).round() as u64));
    let scale = Scale::of(&own, totals, samples.filter(|counts| counts.iter().all(|n| *n > 0)), None);
    let points = || own.iter().map(|own| scale.change(*own).points.abs());
    Some(OwnNoise {
        rows: points().filter(|points| *points > SMALLEST_POINTS).count(),
        largest_points: points().fold(0.0, f64::max),
    })
}
