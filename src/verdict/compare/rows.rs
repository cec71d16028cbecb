//! Makes the rows of a comparison, and holds functions against their limits.

use rustc_hash::FxHashMap;

use super::comparison::{ChangedFunction, Compared};
use super::groups::membership;
use super::join::{Joined, KeyId};
use super::kin::Kin;
use super::kinship::{Changed, Kinship, Relations, kin_of, kinships};
use super::load::{Change, SMALLEST_POINTS, Scale};
use super::{ChangeVerdict, both};
use crate::kernel::{ProfileType, percent_of};
use crate::verdict::limits::{Limit, LimitViolation, worst_first};
use crate::verdict::names::key;
use crate::verdict::reliability::{Share, nanoseconds_per_tick};

/// So many callers of a row are named.
const NAMED_CALLERS: usize = 2;

/// Makes the rows of a comparison.
pub(super) struct RowMaker<'a> {
    compared: &'a Compared<'a>,
    joined: &'a Joined<'a>,
    scale: &'a Scale,
    conclusive: bool,
    kin: Kin,
    kinships: FxHashMap<KeyId, Kinship>,
}

impl<'a> RowMaker<'a> {
    /// Looks for renamed, inlined and moved code only if there are enough samples for a verdict.
    pub(super) fn of(compared: &'a Compared<'a>, joined: &'a Joined<'a>, scale: &'a Scale, conclusive: bool) -> Self {
        let mut maker =
            Self { compared, joined, scale, conclusive, kin: Kin::default(), kinships: FxHashMap::default() };
        let changed = maker.changed();
        if conclusive && !changed.is_empty() {
            maker.kin = kin_of(joined, &changed);
            maker.kinships = kinships(Relations { joined, scale, kin: &maker.kin }, &changed);
        }
        maker
    }

    /// Every significant change.
    fn changed(&self) -> Vec<Changed> {
        let changes = self.joined.ids().map(|id| (id, self.scale.change(self.joined.own(id))));
        changes.filter(|(_, change)| change.is_significant()).map(|(id, change)| (id, change.points)).collect()
    }

    fn percent(&self, id: KeyId) -> [f64; 2] {
        let ([before, now], [total_before, total_now]) = (self.joined.own(id), self.joined.totals);
        [percent_of(before, total_before), percent_of(now, total_now)]
    }

    /// The verdict on a change, and the other function of one that is not real.
    fn verdict(&self, id: KeyId, change: Change) -> (ChangeVerdict, Option<KeyId>) {
        if !self.conclusive {
            return (ChangeVerdict::Insufficient, None);
        }
        match self.kinships.get(&id) {
            Some(Kinship::Renamed(partner)) => (ChangeVerdict::Renamed, Some(*partner)),
            _ if !change.is_significant() => (ChangeVerdict::Noise, None),
            Some(Kinship::Inlined(partner)) => (ChangeVerdict::Inlined, Some(*partner)),
            Some(Kinship::Moved(partner)) => (ChangeVerdict::Moved, Some(*partner)),
            None if change.points > 0.0 => (ChangeVerdict::Regressed, None),
            None => (ChangeVerdict::Improved, None),
        }
    }

    /// Every function whose share changed by more than 0.1 points, the largest change first.
    pub(super) fn rows(&self) -> Vec<ChangedFunction> {
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
        let (verdict, partner) = self.verdict(id, change);
        let mut row = ChangedFunction {
            function: self.joined.name(id).to_owned(),
            percent,
            delta,
            adjusted_delta: change.points,
            min_detectable: change.smallest_significant(),
            verdict,
            partner: partner.map(|partner| self.joined.name(partner).to_owned()),
            callers: Vec::new(),
            group: None,
            cores: self.cores(own),
            samples: both([self.scale.samples(own[0], 0), self.scale.samples(own[1], 1)]),
            limit: limits.get(&id).copied(),
        };
        if row.is_significant() {
            row.callers = self.callers(id);
            row.group = membership(self.compared.rules, self.joined, id);
        }
        Some(row)
    }

    fn callers(&self, id: KeyId) -> Vec<(String, f64)> {
        let callers = self.kin.callers(id, usize::from(self.joined.is_present(id, 1)));
        let mut named: Vec<_> = callers
            .into_iter()
            .filter_map(|(caller, share)| Some((self.joined.name(caller?).to_owned(), share * 100.0)))
            .collect();
        named.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        named.truncate(NAMED_CALLERS);
        named
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
        match self.kinships.get(&id) {
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
    pub(super) fn limits(&self, samples: Option<u64>) -> (Vec<LimitViolation>, Vec<String>) {
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
