//! The diff's statistics: which functions changed beyond the load, beyond chance, and beyond code that only moved.
//!
//! The shares in an answer are of each window. The verdicts compare both windows at the baseline's load, so that one
//! function that got slower does not make all others look faster.

mod comparison;
mod groups;
mod headline;
mod inlined;
mod join;
mod kin;
mod kinship;
mod load;
mod moved;
mod noise;
mod power;
mod renamed;
mod rows;
#[cfg(test)]
mod tests;
mod verdicts;

use self::join::Joined;
use self::load::Scale;
use self::power::Power;
use self::rows::RowMaker;
use crate::kernel::ProfileType;
use crate::verdict::findings::Rate;
use crate::verdict::reliability::{Confidence, QualityCode, QualityNote, compared_notes, estimated_samples};

pub use self::comparison::{ChangedFunction, Compared, Comparison, Group, Membership, Side};
pub use self::load::Load;
pub use self::noise::OwnNoise;
pub use self::verdicts::{ChangeVerdict, DiffVerdict};

impl Comparison {
    /// Compares two windows of one app, read under one sample type.
    pub fn of(compared: &Compared<'_>) -> Self {
        let sides = [&compared.baseline, &compared.current];
        let joined = Joined::of(sides.map(|side| side.profile), 0);
        let types = sides.map(|side| side.profile.sample_types().first());
        let common = match types {
            [Some(before), Some(now)] => before == now,
            _ => true,
        };
        let missing = joined.totals.map(|total| total <= 0);
        if missing.contains(&true) || !common {
            return Self::without_data(compared, &joined, missing);
        }
        let samples = sides.map(|side| samples_of(compared.kind, side));
        let counted = both(samples).filter(|counts| counts.iter().all(|n| *n > 0));
        let enough = counted.filter(|n| n.iter().all(|n| Confidence::of(*n) != Confidence::Insufficient));
        let cumulative = sides.iter().any(|side| side.facts.cumulative);
        let conclusive = enough.is_some() && !cumulative;
        let seconds = both(sides.map(|side| side.seconds)).filter(|both| both.iter().all(|s| *s > 0.0));
        let scale = Scale::of(&joined.own, joined.totals, counted, seconds);
        let made = RowMaker::of(compared, &joined, &scale, conclusive);
        let (breaches, limits_not_seen) = made.limits(samples[1]);
        let rows = made.rows();
        let power = counted.map(|counts| Power::of(&joined, counts));
        let unit = types[0].map_or("", |of| of.unit.as_str());
        let rate = |side: usize| {
            let (total, [before, now]) = (joined.totals.get(side)?, seconds?);
            Rate::of(compared.kind, unit, *total, if side == 0 { before } else { now })
        };
        let mut comparison = Self {
            sample_type: types[0].cloned(),
            totals: joined.totals,
            rates: both([rate(0), rate(1)]),
            samples,
            functions: joined.len(),
            load: Some(scale.load),
            load_per_second: Some(scale.load.factor * seconds.map_or(1.0, |[before, now]| before / now)),
            verdict: verdict(&rows, power.filter(|_| conclusive)),
            groups: groups::of(&rows),
            rows,
            smallest_visible: power.map(|power| power.smallest_points),
            headline: String::new(),
            missing,
            breaches,
            limits_not_seen,
            own_noise: compared.first_half.and_then(|half| noise::of(&joined, half, samples[0])),
            quality: compared_notes(sides.map(|side| &side.facts), joined.totals, samples),
        };
        if scale.load.composition_changed {
            comparison.quality.push(QualityNote {
                code: QualityCode::CompositionChanged,
                detail: "less than half of the work changed alike: the windows hold different mixtures of work, and \
                         changes may be of the mixture"
                    .to_owned(),
            });
        }
        comparison.headline = headline::of(compared.kind, &comparison);
        comparison
    }

    fn without_data(compared: &Compared<'_>, joined: &Joined<'_>, missing: [bool; 2]) -> Self {
        let sides = [&compared.baseline, &compared.current];
        let mut limits_not_seen: Vec<_> = compared.limits.iter().map(|limit| limit.function.to_owned()).collect();
        limits_not_seen.sort_unstable();
        let mut comparison = Self {
            sample_type: sides.iter().find_map(|side| side.profile.sample_types().first()).cloned(),
            totals: joined.totals,
            rates: None,
            samples: [None; 2],
            functions: joined.len(),
            load: None,
            load_per_second: None,
            rows: Vec::new(),
            groups: Vec::new(),
            verdict: DiffVerdict::NoData,
            smallest_visible: None,
            headline: String::new(),
            missing,
            breaches: Vec::new(),
            limits_not_seen,
            own_noise: None,
            quality: compared_notes(sides.map(|side| &side.facts), joined.totals, [None; 2]),
        };
        comparison.headline = headline::of(compared.kind, &comparison);
        comparison
    }
}

/// What the rows say together. `power` is `None` where no row can be told from chance.
fn verdict(rows: &[ChangedFunction], power: Option<Power>) -> DiffVerdict {
    let any = |verdict| rows.iter().any(|row| row.verdict == verdict);
    match power {
        Some(_) if any(ChangeVerdict::Regressed) => DiffVerdict::Regressions,
        Some(power) if power.is_enough || any(ChangeVerdict::Improved) => DiffVerdict::NoRegressions,
        _ => DiffVerdict::Insufficient,
    }
}

fn samples_of(kind: ProfileType, side: &Side<'_>) -> Option<u64> {
    let counted = side.facts.sample_count.or(side.facts.contentions);
    counted.or_else(|| estimated_samples(kind, side.profile, 0))
}

fn both<T: Copy>(sides: [Option<T>; 2]) -> Option<[T; 2]> {
    let [before, now] = sides;
    Some([before?, now?])
}
