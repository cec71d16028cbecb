//! Work that moved: increases that decreases among related functions offset.

use rustc_hash::{FxHashMap, FxHashSet};

use super::join::KeyId;
use super::kin::{Ancestry, class};
use super::kinship::{Changed, Kinship, Relations};
use super::load::SMALLEST_POINTS;

/// This part of an increase must be offset.
const OFFSET: f64 = 0.8;
/// The common ancestor's total must change by less than this part of the increase.
const ANCESTOR_STAYS: f64 = 0.25;
/// A new function stands in the place of one that is gone if so much of the calls of one come from callers of the other,
/// 0 to 1.
const SAME_PLACE: f64 = 0.8;

/// Marks increases of which at least 80 % are offset by decreases among callers, callees, class or functions in the same
/// place, while the deepest frame above all of them does not do more. A decrease is spent once; it has moved too where
/// 80 % of it were.
pub(super) fn find(relations: Relations<'_>, changed: &[Changed], found: &mut FxHashMap<KeyId, Kinship>) {
    let Relations { joined, scale, .. } = relations;
    let by_size = |rows: &mut Vec<Changed>| {
        rows.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then_with(|| joined.key(a.0).cmp(joined.key(b.0))));
    };
    let mut grown: Vec<_> =
        changed.iter().copied().filter(|(id, points)| *points > 0.0 && !found.contains_key(id)).collect();
    let ticks = |id: KeyId| match found.get(&id) {
        None => Some(joined.own(id)),
        // What a renamed function did more under its old name.
        Some(Kinship::Renamed(new)) if joined.is_present(id, 0) => Some([joined.own(id)[0], joined.own(*new)[1]]),
        Some(_) => None,
    };
    let mut shrunk: Vec<_> = joined
        .ids()
        .filter_map(|id| {
            let change = scale.change(ticks(id)?);
            let counts = change.points < -SMALLEST_POINTS.max(change.error.unwrap_or(f64::INFINITY));
            counts.then_some((id, change.points))
        })
        .collect();
    if grown.is_empty() || shrunk.is_empty() {
        return;
    }
    by_size(&mut grown);
    by_size(&mut shrunk);
    let asked: FxHashSet<_> = grown.iter().chain(&shrunk).map(|(id, _)| *id).collect();
    let ancestry = Ancestry::of(joined, |id| asked.contains(&id));
    let mut left: FxHashMap<KeyId, f64> = shrunk.iter().map(|(id, points)| (*id, -points)).collect();
    let mut took_most: FxHashMap<KeyId, KeyId> = FxHashMap::default();
    for (id, increase) in grown {
        let mut partners = Vec::new();
        let mut offset = 0.0;
        for (other, _) in shrunk.iter().filter(|(other, _)| are_related(relations, id, *other)) {
            let rest = left.get(other).copied().unwrap_or(0.0);
            if rest > 0.0 && offset < increase {
                let spent = rest.min(increase - offset);
                offset += spent;
                partners.push((*other, spent));
            }
        }
        let Some((partner, _)) = partners.first().copied().filter(|_| offset >= OFFSET * increase) else { continue };
        let family: Vec<_> = std::iter::once(id).chain(partners.iter().map(|(other, _)| *other)).collect();
        if ancestors_change(relations, &ancestry.common(&family)).abs() >= ANCESTOR_STAYS * increase {
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
            found.entry(other).or_insert(Kinship::Moved(*taker));
        }
    }
}

/// Whether work may move from one to the other.
fn are_related(relations: Relations<'_>, grown: KeyId, shrunk: KeyId) -> bool {
    let Relations { joined, kin, .. } = relations;
    let class_of = |id: KeyId| class(joined.key(id));
    kin.calls(grown, shrunk)
        || class_of(grown).is_some_and(|of_grown| class_of(shrunk) == Some(of_grown))
        || stands_in_place_of(relations, grown, shrunk)
}

/// Whether one is new, the other gone, and the callers of one are all among those of the other: one function became
/// several, or several became one.
fn stands_in_place_of(Relations { joined, kin, .. }: Relations<'_>, new: KeyId, gone: KeyId) -> bool {
    if joined.is_present(new, 0) || joined.is_present(gone, 1) {
        return false;
    }
    let (of_new, of_gone) = (kin.kept_callers(new, 1), kin.kept_callers(gone, 0));
    let among = |some: &[(Option<KeyId>, f64)], others: &[(Option<KeyId>, f64)]| {
        let shared = some.iter().filter(|(caller, _)| others.iter().any(|(other, _)| other == caller));
        shared.map(|(_, share)| share).sum::<f64>() >= SAME_PLACE
    };
    among(&of_new, &of_gone) || among(&of_gone, &of_new)
}

/// How many points the total of the deepest common ancestor changed by. The deepest is the one with the smallest total;
/// without a common ancestor it is the whole profile.
fn ancestors_change(Relations { joined, scale, kin }: Relations<'_>, common: &[KeyId]) -> f64 {
    let size = |id: KeyId| kin.total(id).iter().fold(0_i64, |sum, ticks| sum.saturating_add(*ticks));
    let deepest =
        common.iter().copied().min_by(|a, b| size(*a).cmp(&size(*b)).then_with(|| joined.key(*a).cmp(joined.key(*b))));
    scale.change(deepest.map_or(joined.totals, |id| kin.total(id))).points
}
