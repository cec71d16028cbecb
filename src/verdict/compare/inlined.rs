//! Code that a compiler took into its callers: the function is in no stack of the current window, and its callers do its
//! work themselves, beyond what they do because they are called more.

use rustc_hash::FxHashMap;

use super::join::{KeyId, Ticks};
use super::kinship::{Changed, Kinship, Relations};

/// The callers' own work grows by 70 to 130 % of the function's, give or take chance.
const GAINED: [f64; 2] = [0.7, 1.3];
/// However large chance may be, they must gain this part of it. A judgement: on profiles of a thousand samples, 0.5 misses
/// more inlined functions than 0.4, and mistakes as many removed ones.
const LEAST_GAIN: f64 = 0.4;
/// A caller's total that grows by more standard errors than this does more, and its own work with it.
const BY_CHANCE: f64 = 2.0;

/// The nearest caller that is left of a function that is gone, and the points that the function took beneath it.
#[derive(Debug, Clone, Copy)]
struct Heir {
    id: KeyId,
    points: f64,
}

/// Marks the functions that are gone from the current window, and the callers whose growth they explain.
pub(super) fn find(relations: Relations<'_>, changed: &[Changed], found: &mut FxHashMap<KeyId, Kinship>) {
    let Relations { joined, scale, .. } = relations;
    let is_gone = |id: &KeyId| !joined.is_present(*id, 1) && !found.contains_key(id);
    let mut gone: Vec<Changed> = changed.iter().copied().filter(|(id, _)| is_gone(id)).collect();
    if gone.is_empty() {
        return;
    }
    gone.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| joined.key(a.0).cmp(joined.key(b.0))));
    let heirs = heirs_of(relations, &gone, found);
    let mut explained: FxHashMap<KeyId, Vec<Heir>> = FxHashMap::default();
    for (id, points) in gone {
        let heirs = heirs.get(&id).map(Vec::as_slice).unwrap_or_default();
        let spent = |heir: KeyId| explained.get(&heir).into_iter().flatten().map(|of| of.points).sum::<f64>();
        let former_name = |heir: KeyId| match found.get(&heir) {
            Some(Kinship::Renamed(old)) => *old,
            _ => heir,
        };
        let are_heirs = take_over(relations, heirs, -points, former_name, spent);
        let Some(largest) = heirs.first().filter(|_| are_heirs) else { continue };
        found.insert(id, Kinship::Inlined(largest.id));
        for heir in heirs {
            explained.entry(heir.id).or_default().push(Heir { id, points: heir.points });
        }
    }
    for (id, points) in changed {
        let Some(taken) = explained.get(id).filter(|_| *points > 0.0 && !found.contains_key(id)) else { continue };
        let expected: f64 = taken.iter().map(|of| of.points).sum();
        let chance = scale.change(joined.own(*id)).smallest_significant().unwrap_or(0.0);
        let largest = taken.iter().max_by(|a, b| a.points.total_cmp(&b.points));
        if let Some(largest) = largest.filter(|_| points - expected <= chance.max((GAINED[1] - 1.0) * expected)) {
            found.insert(*id, Kinship::Inlined(largest.id));
        }
    }
}

/// Of each function that is gone, the callers that are left, those it took most beneath first. A renamed caller is left
/// under its new name.
fn heirs_of(
    Relations { joined, scale, .. }: Relations<'_>,
    gone: &[Changed],
    found: &FxHashMap<KeyId, Kinship>,
) -> FxHashMap<KeyId, Vec<Heir>> {
    let mut ticks: FxHashMap<KeyId, FxHashMap<KeyId, i64>> =
        gone.iter().map(|(id, _)| (*id, FxHashMap::default())).collect();
    let left = |id: &KeyId| match found.get(id) {
        Some(Kinship::Renamed(new)) => Some(*new),
        _ => joined.is_present(*id, 1).then_some(*id),
    };
    joined.each_stack(|stack| {
        let Some((leaf, callers)) = stack.keys.split_first().filter(|_| stack.side == 0) else { return };
        if let Some(heirs) = ticks.get_mut(leaf)
            && let Some(heir) = callers.iter().find_map(left)
        {
            let sum = heirs.entry(heir).or_default();
            *sum = sum.saturating_add(stack.ticks);
        }
    });
    let points = |ticks: i64| -scale.change([ticks, 0]).points;
    let by_size = |heirs: FxHashMap<KeyId, i64>| {
        let mut heirs: Vec<_> = heirs.into_iter().map(|(id, ticks)| Heir { id, points: points(ticks) }).collect();
        heirs.sort_by(|a, b| b.points.total_cmp(&a.points).then_with(|| joined.key(a.id).cmp(joined.key(b.id))));
        heirs
    };
    ticks.into_iter().map(|(id, heirs)| (id, by_size(heirs))).collect()
}

/// Whether the heirs do the work of a function that took so many points. What they took over from others is spent, what
/// they do because they are called more is not counted, and none counts for much more than the function did beneath it.
fn take_over(
    Relations { joined, scale, kin }: Relations<'_>,
    heirs: &[Heir],
    points: f64,
    former_name: impl Fn(KeyId) -> KeyId,
    spent: impl Fn(KeyId) -> f64,
) -> bool {
    let (mut gained, mut variance) = (0.0, 0.0);
    for heir in heirs {
        let names = [former_name(heir.id), heir.id];
        let change = |of: &dyn Fn(KeyId) -> Ticks| scale.change([of(names[0])[0], of(names[1])[1]]);
        let (own, total) = (change(&|id| joined.own(id)), change(&|id| kin.total(id)));
        let chance = own.error.unwrap_or(0.0);
        let called_more = (total.points - BY_CHANCE * total.error.unwrap_or(0.0)).max(0.0);
        let gain = own.points - called_more - spent(heir.id);
        // Values of a delta profile may be negative, and then the function did nothing there.
        gained += gain.clamp(-chance, GAINED[1] * heir.points.max(0.0) + chance);
        variance += chance * chance;
    }
    gained >= (GAINED[0] * points - variance.sqrt()).max(LEAST_GAIN * points)
}
