//! Changes that are not real: code that was renamed, and work that moved between related functions.

use rustc_hash::{FxHashMap, FxHashSet};

use super::join::{Joined, KeyId};
use super::kin::{Ancestry, Kin, class};
use super::load::{SMALLEST_POINTS, Scale};

/// A renamed function's share stays within this of the old one's.
const RENAMED_WITHIN: f64 = 0.3;
/// This part of an increase must be offset.
const OFFSET: f64 = 0.8;
/// The common ancestor's total must change by less than this part of the increase.
const ANCESTOR_STAYS: f64 = 0.25;

/// Why a change is not real.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kinship {
    /// The same code under another name.
    Renamed(KeyId),
    /// Work that a caller, a callee or its class did before, or does now.
    Moved(KeyId),
}

/// A row whose change is more than chance, and by how many points.
pub(super) type Changed = (KeyId, f64);

/// Finds the changes that are only renamed or moved code. `changed` holds every significant change of self ticks.
pub(super) fn kinships(joined: &Joined<'_>, scale: &Scale, changed: &[Changed]) -> FxHashMap<KeyId, Kinship> {
    if !changed.iter().any(|(_, points)| *points > 0.0) || !changed.iter().any(|(_, points)| *points < 0.0) {
        return FxHashMap::default();
    }
    let on_one_side = |id: KeyId| joined.is_present(id, 0) != joined.is_present(id, 1);
    let is_changed: FxHashSet<_> = changed.iter().map(|(id, _)| *id).collect();
    let kin = Kin::of(joined, |id| is_changed.contains(&id) || on_one_side(id));
    let mut found = FxHashMap::default();
    for (new, old) in renamed(joined, scale, &kin) {
        found.insert(new, Kinship::Renamed(old));
        found.insert(old, Kinship::Renamed(new));
    }
    moved(joined, scale, &kin, changed, &mut found);
    found
}

/// A function that is on one side only.
struct Lonely {
    id: KeyId,
    parent: Option<KeyId>,
    own: f64,
    total: f64,
}

/// Pairs of functions, one only in the current window and one only in the baseline, of the same parent and of shares
/// within 30 %. Parents come before their children, so that a renamed package or class is found frame by frame.
fn renamed(joined: &Joined<'_>, scale: &Scale, kin: &Kin) -> Vec<(KeyId, KeyId)> {
    let lonely = |side: usize| {
        let here = joined.ids().filter(move |id| joined.is_present(*id, side) && !joined.is_present(*id, 1 - side));
        let seen = here.filter(|id| scale.change(kin.total(*id)).is_significant());
        let mut all: Vec<_> = seen
            .map(|id| {
                let on_side = |shares: [f64; 2]| shares.get(side).copied().unwrap_or(0.0);
                let own = on_side(scale.shares(joined.own(id)));
                let total = on_side(scale.shares(kin.total(id)));
                Lonely { id, parent: kin.parent(id, side, joined), own, total }
            })
            .collect();
        all.sort_by(|a, b| b.total.total_cmp(&a.total).then_with(|| joined.key(a.id).cmp(joined.key(b.id))));
        all
    };
    let mut old_by_parent: FxHashMap<Option<KeyId>, Vec<Lonely>> = FxHashMap::default();
    for old in lonely(0) {
        old_by_parent.entry(old.parent).or_default().push(old);
    }
    let mut pairs = Vec::new();
    let mut former: FxHashMap<KeyId, KeyId> = FxHashMap::default();
    for new in lonely(1) {
        let parent = new.parent.map(|parent| former.get(&parent).copied().unwrap_or(parent));
        let Some(candidates) = old_by_parent.get_mut(&parent) else { continue };
        let alike = |old: &Lonely| {
            let negligible = new.own.max(old.own) * 100.0 <= SMALLEST_POINTS;
            within(new.total, old.total) && (negligible || within(new.own, old.own))
        };
        let distance = |old: &Lonely| (new.own - old.own).abs() + (new.total - old.total).abs();
        let best = candidates.iter().enumerate().filter(|(_, old)| alike(old));
        let best = best.min_by(|(_, a), (_, b)| {
            let same_last = |old: &Lonely| last_part(joined.key(old.id)) != last_part(joined.key(new.id));
            same_last(a).cmp(&same_last(b)).then(distance(a).total_cmp(&distance(b)))
        });
        if let Some(at) = best.map(|(at, _)| at) {
            let old = candidates.remove(at);
            former.insert(new.id, old.id);
            pairs.push((new.id, old.id));
        }
    }
    pairs
}

fn within(new: f64, old: f64) -> bool {
    (new - old).abs() <= RENAMED_WITHIN * old
}

/// The method's own name: code that changed its class or package mostly keeps it.
fn last_part(key: &str) -> &str {
    key.rsplit(['.', ':', '/']).next().unwrap_or(key)
}

/// Increases of which at least 80 % are offset by decreases among callers, callees or class while the deepest frame
/// above all of them does not do more. A decrease is spent once; it has moved too where 80 % of it were.
fn moved(joined: &Joined<'_>, scale: &Scale, kin: &Kin, changed: &[Changed], found: &mut FxHashMap<KeyId, Kinship>) {
    let by_size = |rows: &mut Vec<Changed>| {
        rows.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then_with(|| joined.key(a.0).cmp(joined.key(b.0))));
    };
    let is_renamed = |id: &KeyId| matches!(found.get(id), Some(Kinship::Renamed(_)));
    let mut grown: Vec<_> = changed.iter().copied().filter(|(id, p)| *p > 0.0 && !is_renamed(id)).collect();
    let mut shrunk: Vec<_> = joined
        .ids()
        .filter(|id| !is_renamed(id))
        .filter_map(|id| {
            let change = scale.change(joined.own(id));
            let counts = change.points < -SMALLEST_POINTS.max(change.error.unwrap_or(f64::INFINITY));
            counts.then_some((id, change.points))
        })
        .collect();
    by_size(&mut grown);
    by_size(&mut shrunk);
    let asked: FxHashSet<_> = grown.iter().chain(&shrunk).map(|(id, _)| *id).collect();
    let ancestry = Ancestry::of(joined, |id| asked.contains(&id));
    let mut left: FxHashMap<KeyId, f64> = shrunk.iter().map(|(id, points)| (*id, -points)).collect();
    let mut took_most: FxHashMap<KeyId, KeyId> = FxHashMap::default();
    for (id, increase) in grown {
        let own_class = class(joined.key(id));
        let is_kin =
            |other: KeyId| kin.calls(id, other) || own_class.is_some_and(|own| class(joined.key(other)) == Some(own));
        let mut partners = Vec::new();
        let mut offset = 0.0;
        for (other, _) in shrunk.iter().filter(|(other, _)| is_kin(*other)) {
            let rest = left.get(other).copied().unwrap_or(0.0);
            if rest > 0.0 && offset < increase {
                let spent = rest.min(increase - offset);
                offset += spent;
                partners.push((*other, spent));
            }
        }
        let Some((partner, _)) = partners.first().copied().filter(|_| offset >= OFFSET * increase) else { continue };
        let family: Vec<_> = std::iter::once(id).chain(partners.iter().map(|(other, _)| *other)).collect();
        if ancestors_change(joined, scale, kin, &ancestry.common(&family)).abs() >= ANCESTOR_STAYS * increase {
            continue;
        }
        found.insert(id, Kinship::Moved(partner));
        for (other, spent) in partners {
            if let Some(rest) = left.get_mut(&other) {
                *rest -= spent;
            }
            took_most.entry(other).or_insert(id);
        }
    }
    for (other, points) in shrunk {
        if let Some(taker) = took_most.get(&other)
            && left.get(&other).is_some_and(|rest| *rest <= (1.0 - OFFSET) * -points)
        {
            found.insert(other, Kinship::Moved(*taker));
        }
    }
}

/// By how many points the total of the deepest common ancestor changed: of those above all, the one with least in it.
/// Without one it is the whole profile.
fn ancestors_change(joined: &Joined<'_>, scale: &Scale, kin: &Kin, common: &[KeyId]) -> f64 {
    let size = |id: KeyId| kin.total(id).iter().fold(0_i64, |sum, ticks| sum.saturating_add(*ticks));
    let deepest =
        common.iter().copied().min_by(|a, b| size(*a).cmp(&size(*b)).then_with(|| joined.key(*a).cmp(joined.key(*b))));
    scale.change(deepest.map_or(joined.totals, |id| kin.total(id))).points
}
