//! How much an app differs from itself.

use super::join::Joined;
use super::load::{SMALLEST_POINTS, Scale};
use crate::profile::Profile;

/// What changes between the halves of one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OwnNoise {
    /// Functions that change by more than 0.1 points.
    pub rows: usize,
    /// The largest change, points.
    pub largest_points: f64,
}

/// Compares the first half of a window with the rest of it; `None` where either is empty.
pub(super) fn of(whole: &Profile, first_half: &Profile, samples: Option<u64>) -> Option<OwnNoise> {
    let mut joined = Joined::of([first_half, whole], 0);
    for [first, second] in &mut joined.own {
        *second = second.saturating_sub(*first);
    }
    let [first, all] = joined.totals;
    joined.totals = [first, all.saturating_sub(first)];
    if joined.totals.iter().any(|total| *total <= 0) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count, rounded")]
    let samples = samples.map(|n| joined.totals.map(|ticks| (n as f64 * ticks as f64 / all as f64).round() as u64));
    let scale = Scale::of(&joined, samples.filter(|counts| counts.iter().all(|n| *n > 0)));
    let points = || joined.own.iter().map(|own| scale.change(*own).points.abs());
    Some(OwnNoise {
        rows: points().filter(|points| *points > SMALLEST_POINTS).count(),
        largest_points: points().fold(0.0, f64::max),
    })
}
