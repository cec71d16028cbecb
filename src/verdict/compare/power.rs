//! How large a change must be for so many samples to show it. A change that is not seen may still be there.

use super::join::Joined;
use super::load::STANDARD_ERRORS;
use crate::verdict::reliability::BUNCHING;

/// Under so many samples on a side nothing is said to be unchanged.
const ENOUGH_SAMPLES: u64 = 300;
/// The functions asked about hold this part of the current window.
const HALF: f64 = 0.5;
/// A change that is visible from so many points on, or from this part of the function's share, is visible enough. The
/// limits are judgements.
const ENOUGH_POINTS: f64 = 5.0;
const ENOUGH_PART: f64 = 1.0 / 3.0;

/// The change that the heaviest functions of the current window would have shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Power {
    /// The smallest visible change, points: the weighted median of these functions.
    pub(super) smallest_points: f64,
    /// Whether that is small enough to say that nothing changed.
    pub(super) is_enough: bool,
}

impl Power {
    /// Of both windows' counts of samples, which are above 0. Chance alone counts: no number of samples cures the drift
    /// of the load. A function of share p shows 3.3·√(1.5·p(1−p)(1/n₁ + 1/n₂)).
    pub(super) fn of(joined: &Joined<'_>, samples: [u64; 2]) -> Self {
        let total = joined.totals[1] as f64;
        let mut shares: Vec<_> = joined.own.iter().map(|[_, now]| *now as f64 / total).filter(|p| *p > 0.0).collect();
        shares.sort_unstable_by(|a, b| b.total_cmp(a));
        let mut held = 0.0;
        shares.retain(|p| {
            let counts = held < HALF;
            held += p;
            counts
        });
        let per_sample: f64 = samples.iter().map(|n| 1.0 / *n as f64).sum();
        let visible = |p: f64| STANDARD_ERRORS * (BUNCHING * p * (1.0 - p).max(0.0) * per_sample).sqrt() * 100.0;
        let smallest_points = weighted_median(&shares, visible);
        let beyond_enough = weighted_median(&shares, |p| visible(p) - ENOUGH_POINTS.max(ENOUGH_PART * p * 100.0));
        let is_enough = samples.iter().all(|n| *n >= ENOUGH_SAMPLES) && beyond_enough <= 0.0;
        Self { smallest_points, is_enough }
    }
}

/// The median of a figure of each share, which weighs as much as it is; 0 of none.
fn weighted_median(shares: &[f64], figure: impl Fn(f64) -> f64) -> f64 {
    let mut figures: Vec<_> = shares.iter().map(|p| (figure(*p), *p)).collect();
    figures.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let all: f64 = shares.iter().sum();
    let mut beneath = 0.0;
    let median = figures.iter().find(|(_, weight)| {
        beneath += weight;
        beneath >= all / 2.0
    });
    median.map_or(0.0, |(figure, _)| *figure)
}
