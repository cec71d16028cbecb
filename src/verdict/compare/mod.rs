//! The diff's statistics: which functions changed beyond the load, beyond chance, and beyond code that only moved.
//!
//! The shares in an answer are of each window. The verdicts compare both windows at the baseline's load, so that one
//! function that got slower does not make all others look faster.

mod comparison;
mod headline;
mod join;
mod kin;
mod kinship;
mod load;
mod noise;
#[cfg(test)]
mod tests;
mod verdicts;

use rustc_hash::FxHashMap;

use self::join::{Joined, KeyId};
use self::kinship::{Kinship, kinships};
use self::load::{SMALLEST_POINTS, Scale};
use crate::kernel::{ProfileType, percent_of};
use crate::verdict::limits::{Limit, LimitViolation, worst_first};
use crate::verdict::names::key;
use crate::verdict::reliability::{
    Confidence, QualityCode, QualityNote, Share, compared_notes, estimated_samples, nanoseconds_per_tick,
};

pub use self::comparison::{ChangedFunction, Compared, Comparison, Side};
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
        let enough = both(samples).filter(|n| n.iter().all(|n| Confidence::of(*n) != Confidence::Insufficient));
        let cumulative = sides.iter().any(|side| side.facts.cumulative);
        let conclusive = enough.is_some() && !cumulative;
        let scale = Scale::of(&joined.own, joined.totals, both(samples).filter(|counts| counts.iter().all(|n| *n > 0)));
        let mut judged = RowMaker { compared, joined: &joined, scale: &scale, conclusive, kin: FxHashMap::default() };
        if conclusive {
            judged.kin = kinships(&joined, &scale, &judged.changed());
        }
        let (breaches, limits_not_seen) = judged.limits(samples[1]);
        let rows = judged.rows();
        let regressed = rows.iter().any(|row| row.verdict == ChangeVerdict::Regressed);
        let seconds = both(sides.map(|side| side.seconds)).filter(|both| both.iter().all(|s| *s > 0.0));
        let mut comparison = Self {
            sample_type: types[0].cloned(),
            totals: joined.totals,
            samples,
            functions: joined.len(),
            load: Some(scale.load),
            load_per_second: Some(scale.load.factor * seconds.map_or(1.0, |[before, now]| before / now)),
            verdict: match (conclusive, regressed) {
                (false, _) => DiffVerdict::Inconclusive,
                (true, true) => DiffVerdict::Regressions,
                (true, false) => DiffVerdict::NoRegressions,
            },
            rows,
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
            samples: [None; 2],
            functions: joined.len(),
            load: None,
            load_per_second: None,
            rows: Vec::new(),
            verdict: DiffVerdict::NoData,
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

fn samples_of(kind: ProfileType, side: &Side<'_>) -> Option<u64> {
    let counted = side.facts.sample_count.or(side.facts.contentions);
    counted.or_else(|| estimated_samples(kind, side.profile, 0))
}

fn both<T: Copy>(sides: [Option<T>; 2]) -> Option<[T; 2]> {
    let [before, now] = sides;
    Some([before?, now?])
}

/// Makes the rows of a comparison.
struct RowMaker<'a> {
    compared: &'a Compared<'a>,
    joined: &'a Joined<'a>,
    scale: &'a Scale,
    conclusive: bool,
    kin: FxHashMap<KeyId, Kinship>,
}

impl RowMaker<'_> {
    /// Every significant change.
    fn changed(&self) -> Vec<(KeyId, f64)> {
        let changes = self.joined.ids().map(|id| (id, self.scale.change(self.joined.own(id))));
        changes.filter(|(_, change)| change.is_significant()).map(|(id, change)| (id, change.points)).collect()
    }

    fn percent(&self, id: KeyId) -> [f64; 2] {
        let ([before, now], [total_before, total_now]) = (self.joined.own(id), self.joined.totals);
        [percent_of(before, total_before), percent_of(now, total_now)]
    }

    fn verdict(&self, id: KeyId, change: load::Change) -> ChangeVerdict {
        if !self.conclusive {
            return ChangeVerdict::Insufficient;
        }
        if !change.is_significant() {
            return ChangeVerdict::Noise;
        }
        match self.kin.get(&id) {
            Some(Kinship::Renamed(_)) => ChangeVerdict::Renamed,
            Some(Kinship::Moved(_)) => ChangeVerdict::Moved,
            None if change.points > 0.0 => ChangeVerdict::Regressed,
            None => ChangeVerdict::Improved,
        }
    }

    fn rows(&self) -> Vec<ChangedFunction> {
        let limits = self.limits_by_key();
        let mut rows: Vec<_> = self.joined.ids().filter_map(|id| self.row(id, &limits)).collect();
        rows.sort_by(|a, b| b.delta.abs().total_cmp(&a.delta.abs()).then_with(|| a.function.cmp(&b.function)));
        rows
    }

    fn row(&self, id: KeyId, limits: &FxHashMap<KeyId, f64>) -> Option<ChangedFunction> {
        let percent = self.percent(id);
        let delta = percent[1] - percent[0];
        // 0.1 has no exact binary form.
        if delta.abs() <= SMALLEST_POINTS + 1e-9 {
            return None;
        }
        let own = self.joined.own(id);
        let change = self.scale.change(own);
        let verdict = self.verdict(id, change);
        let partner = match self.kin.get(&id) {
            Some(Kinship::Renamed(partner) | Kinship::Moved(partner))
                if matches!(verdict, ChangeVerdict::Renamed | ChangeVerdict::Moved) =>
            {
                Some(self.joined.name(*partner).to_owned())
            }
            _ => None,
        };
        Some(ChangedFunction {
            function: self.joined.name(id).to_owned(),
            percent,
            delta,
            adjusted_delta: change.points,
            min_detectable: change.smallest_significant(),
            verdict,
            partner,
            cores: self.cores(own),
            samples: both([self.scale.samples(own[0], 0), self.scale.samples(own[1], 1)]),
            limit: limits.get(&id).copied(),
        })
    }

    fn cores(&self, own: [i64; 2]) -> Option<[f64; 2]> {
        let Compared { kind: ProfileType::Cpu, baseline, current, .. } = self.compared else { return None };
        let unit = baseline.profile.sample_types().first().map_or("", |t| t.unit.as_str());
        let seconds_per_tick = nanoseconds_per_tick(unit)? as f64 / 1e9;
        let [before, now] = both([baseline.seconds, current.seconds])?;
        (before > 0.0 && now > 0.0)
            .then(|| [own[0] as f64 * seconds_per_tick / before, own[1] as f64 * seconds_per_tick / now])
    }

    /// The function of the current window that a limit is for: the one of that key, or the one it was renamed to.
    fn limited(&self, limit: &Limit<'_>) -> Option<KeyId> {
        let id = self.joined.find(&key(limit.function))?;
        match self.kin.get(&id) {
            Some(Kinship::Renamed(new)) if self.joined.is_present(*new, 1) => Some(*new),
            _ => Some(id),
        }
    }

    fn limits_by_key(&self) -> FxHashMap<KeyId, f64> {
        let mut lowest = FxHashMap::default();
        for limit in self.compared.limits {
            if let Some(id) = self.limited(limit) {
                let place = lowest.entry(id).or_insert(limit.max_self_percent);
                *place = place.min(limit.max_self_percent);
            }
        }
        lowest
    }

    /// Every function over its limit, and the limits whose function the current window does not hold.
    fn limits(&self, samples: Option<u64>) -> (Vec<LimitViolation>, Vec<String>) {
        let (mut breaches, mut not_seen) = (Vec::new(), Vec::new());
        for limit in self.compared.limits {
            match self.limited(limit).filter(|id| self.joined.is_present(*id, 1)) {
                None => not_seen.push(limit.function.to_owned()),
                Some(id) => {
                    let share = Share::of(self.joined.own(id)[1], self.joined.totals[1], samples);
                    breaches.extend(LimitViolation::of(self.joined.name(id), share, limit));
                }
            }
        }
        not_seen.sort_unstable();
        breaches.sort_by(worst_first);
        (breaches, not_seen)
    }
}
