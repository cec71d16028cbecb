//! How much more was done, and how far a change must reach to be more than chance.

use super::join::Ticks;
use crate::verdict::reliability::BUNCHING;

/// Only functions with so many samples on both sides tell how the load changed.
const ENOUGH_SAMPLES: f64 = 50.0;
/// Fewer such functions than this tell nothing.
const ENOUGH_FUNCTIONS: usize = 10;
/// A function within this of the load's change did what all did.
const NEAR: f64 = 0.2;
/// The load of a function drifts by this share of it, whatever its code does. A judgement.
const DRIFT: f64 = 0.03;
/// So many standard errors are more than chance: two-sided one in a thousand, as every row is a test of its own.
pub(super) const STANDARD_ERRORS: f64 = 3.3;
/// Changes count from here, points of the baseline's total.
pub(super) const SMALLEST_POINTS: f64 = 0.1;

/// How the work of a whole profile changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Current ticks for each tick of the baseline, of a function whose code did not change.
    pub factor: f64,
    /// Whether that is the median of the functions; else it is the ratio of the totals.
    pub normalised: bool,
    /// Whether less than half of the work changed alike: another mixture of work, not more of it.
    pub composition_changed: bool,
}

/// The scale on which both sides are compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    /// How the load changed.
    pub(super) load: Load,
    /// Where too few functions tell the load: current ticks for each tick of the baseline, of a function that takes as
    /// much per second as before. Windows of unknown length count as equally long.
    same_rate: Option<f64>,
    totals: [f64; 2],
    samples: Option<[f64; 2]>,
}

/// A share of the baseline's total on each side, the current one at the baseline's load, and what that is worth.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    /// Points of the baseline's total.
    pub(super) points: f64,
    /// The standard error in points; absent where the number of samples is unknown.
    pub(super) error: Option<f64>,
}

impl Scale {
    /// Of the functions' own ticks, over so many seconds where they are known. Both totals are above 0.
    pub(super) fn of(own: &[Ticks], totals: Ticks, samples: Option<[u64; 2]>, seconds: Option<[f64; 2]>) -> Self {
        let totals = totals.map(|ticks| ticks as f64);
        let samples = samples.map(|counts| counts.map(|n| n as f64));
        let [before, now] = totals;
        if let Some(load) = samples.and_then(|samples| median(own, totals, samples)) {
            return Self { load, same_rate: None, totals, samples };
        }
        let load = Load { factor: now / before, normalised: false, composition_changed: false };
        let same_rate = Some(seconds.map_or(1.0, |[before, now]| now / before));
        Self { load, same_rate, totals, samples }
    }

    /// Of ticks on both sides, whatever they are of. Where too few functions tell the load, more work and a function
    /// that got slower look alike: a change counts as far as both its share and its rate show it.
    pub(super) fn change(&self, ticks: [i64; 2]) -> Change {
        let by_load = self.change_at(self.load.factor, ticks);
        let Some(by_rate) = self.same_rate.map(|factor| self.change_at(factor, ticks)) else { return by_load };
        if by_load.points * by_rate.points <= 0.0 {
            return Change { points: 0.0, ..by_load };
        }
        if by_rate.points.abs() < by_load.points.abs() { by_rate } else { by_load }
    }

    fn change_at(&self, factor: f64, ticks: [i64; 2]) -> Change {
        let [before, now] = self.shares_at(factor, ticks);
        Change { points: (now - before) * 100.0, error: self.error(factor, before, now) }
    }

    /// Shares of the baseline's total, 0 to 1; more where a side did more.
    pub(super) fn shares(&self, ticks: [i64; 2]) -> [f64; 2] {
        self.shares_at(self.load.factor, ticks)
    }

    fn shares_at(&self, factor: f64, [before, now]: [i64; 2]) -> [f64; 2] {
        let [total, _] = self.totals;
        [before as f64 / total, now as f64 / factor / total]
    }

    /// se² = 1.5·p(1−p)(1/n₁ + 1/n₂) + 2·(0.03·p)², p pooled, in points. Where functions were added beyond the load,
    /// their samples tell nothing about the others: n₂ counts those at the baseline's amount of work only.
    fn error(&self, factor: f64, before: f64, now: f64) -> Option<f64> {
        let ([total_before, total_now], [n_before, n_now]) = (self.totals, self.samples?);
        let n_now = n_now * (factor * total_before / total_now).min(1.0);
        if n_before <= 0.0 || n_now <= 0.0 {
            return None;
        }
        let p = ((before * n_before + now * n_now) / (n_before + n_now)).clamp(0.0, 1.0);
        let variance = BUNCHING * p * (1.0 - p) * (1.0 / n_before + 1.0 / n_now) + 2.0 * (DRIFT * p).powi(2);
        Some(variance.sqrt() * 100.0)
    }

    /// The samples of a function on one side, rounded.
    pub(super) fn samples(&self, ticks: i64, side: usize) -> Option<u64> {
        let (n, total) = (self.samples?.get(side).copied()?, self.totals.get(side).copied()?);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count, rounded")]
        Some((n * ticks as f64 / total).round() as u64)
    }
}

impl Change {
    /// Whether it is large enough to count and more than chance.
    pub(super) fn is_significant(&self) -> bool {
        self.smallest_significant().is_some_and(|smallest| self.points.abs() > smallest)
    }

    /// The change from which it would be.
    pub(super) fn smallest_significant(&self) -> Option<f64> {
        self.error.map(|error| (error * STANDARD_ERRORS).max(SMALLEST_POINTS))
    }
}

/// The median of current ÷ baseline ticks over the functions with enough samples on both sides, each weighing as much
/// as its smaller count.
fn median(own: &[Ticks], totals: [f64; 2], samples: [f64; 2]) -> Option<Load> {
    let per_tick = [samples[0] / totals[0], samples[1] / totals[1]];
    let of = |[before, now]: &Ticks| {
        let [before, now] = [*before, *now].map(|ticks| ticks as f64);
        let weight = (before * per_tick[0]).min(now * per_tick[1]);
        (weight >= ENOUGH_SAMPLES).then(|| (now / before, weight))
    };
    let mut ratios: Vec<_> = own.iter().filter_map(of).collect();
    if ratios.len() < ENOUGH_FUNCTIONS {
        return None;
    }
    // Sorted whole, so that sums are the same whatever the order of the profile.
    ratios.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let all: f64 = ratios.iter().map(|(_, weight)| weight).sum();
    let mut beneath = 0.0;
    let (factor, _) = *ratios.iter().find(|(_, weight)| {
        beneath += weight;
        beneath >= all / 2.0
    })?;
    let near = |(ratio, _): &&(f64, f64)| (ratio / factor - 1.0).abs() <= NEAR;
    let alike: f64 = ratios.iter().filter(near).map(|(_, weight)| weight).sum();
    Some(Load { factor, normalised: true, composition_changed: alike < all / 2.0 })
}
