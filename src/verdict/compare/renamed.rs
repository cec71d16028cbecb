//! Functions under another name: one only in the current window, another only in the baseline, with the same callers.

use rustc_hash::FxHashMap;

use super::join::{KeyId, Ticks};
use super::kinship::{Kinship, Relations};
use super::load::SMALLEST_POINTS;

/// A renamed function's share stays within this of the old one's.
const WITHIN: f64 = 0.3;
/// Or within so many standard errors of it, where there are few samples.
const BY_CHANCE: f64 = 2.0;
/// At least so much of their calls come from the same callers, 0 to 1.
const SAME_CALLERS: f64 = 0.5;

/// All functions are gone through so often at most: longer chains of renamed callers are not followed.
const PASSES: usize = 64;

/// A function that one side alone holds.
struct Lonely {
    id: KeyId,
    own: i64,
    total: i64,
    is_significant: bool,
}

/// The pairs so far.
#[derive(Default)]
struct Pairs {
    old_of: FxHashMap<KeyId, KeyId>,
    new_of: FxHashMap<KeyId, KeyId>,
}

/// Which callers are compared: the direct ones, or else the nearest that both sides hold, as frames between may be gone.
type CallersOf<'a> = &'a dyn Fn(KeyId, usize) -> Vec<(Option<KeyId>, f64)>;

/// Marks both functions of each pair. A caller that is renamed itself is the same caller, so that a renamed package or
/// class is found frame by frame.
pub(super) fn find(relations: Relations<'_>, found: &mut FxHashMap<KeyId, Kinship>) {
    let sides = [lonely(relations, 0), lonely(relations, 1)];
    let mut pairs = Pairs::default();
    let (direct, kept): (CallersOf<'_>, CallersOf<'_>) =
        (&|id, side| relations.kin.callers(id, side), &|id, side| relations.kin.kept_callers(id, side));
    for callers_of in [direct, kept] {
        let mut passes = 0..PASSES;
        while passes.next().is_some() && pair_up(relations, &sides, callers_of, &mut pairs) {}
    }
    for (new, old) in pairs.old_of {
        found.insert(new, Kinship::Renamed(old));
        found.insert(old, Kinship::Renamed(new));
    }
}

/// The heaviest first.
fn lonely(relations: Relations<'_>, side: usize) -> Vec<Lonely> {
    let Relations { joined, scale, kin } = relations;
    let on_side = |ticks: Ticks| ticks.get(side).copied().unwrap_or(0);
    let mut all: Vec<_> = relations
        .only_on(side)
        .map(|id| Lonely {
            id,
            own: on_side(joined.own(id)),
            total: on_side(kin.total(id)),
            is_significant: scale.change(kin.total(id)).is_significant(),
        })
        .collect();
    all.sort_by(|a, b| b.total.cmp(&a.total).then_with(|| joined.key(a.id).cmp(joined.key(b.id))));
    all
}

/// Goes through all functions once; says whether a pair was found, which may make callers of others the same.
fn pair_up(
    relations: Relations<'_>,
    [old, new]: &[Vec<Lonely>; 2],
    callers_of: CallersOf<'_>,
    pairs: &mut Pairs,
) -> bool {
    let mut by_caller: FxHashMap<Option<KeyId>, Vec<(usize, f64)>> = FxHashMap::default();
    for (at, old) in old.iter().enumerate().filter(|(_, old)| !pairs.new_of.contains_key(&old.id)) {
        for (caller, share) in callers_of(old.id, 0) {
            by_caller.entry(caller).or_default().push((at, share));
        }
    }
    let mut found = false;
    for new in new {
        if pairs.old_of.contains_key(&new.id) {
            continue;
        }
        let mut common: FxHashMap<usize, f64> = FxHashMap::default();
        for (caller, share) in callers_of(new.id, 1) {
            let caller = caller.map(|caller| pairs.old_of.get(&caller).copied().unwrap_or(caller));
            for (at, of_old) in by_caller.get(&caller).into_iter().flatten() {
                *common.entry(*at).or_default() += share.min(*of_old);
            }
        }
        let mut candidates: Vec<_> = common
            .into_iter()
            .filter(|(_, common)| *common >= SAME_CALLERS)
            .filter_map(|(at, _)| Some((at, old.get(at)?)))
            .filter(|(_, old)| !pairs.new_of.contains_key(&old.id) && are_alike(relations, old, new))
            .collect();
        candidates.sort_unstable_by_key(|(at, _)| *at);
        if let Some((_, old)) = candidates.into_iter().min_by_key(|(_, old)| distance(relations, old, new)) {
            pairs.old_of.insert(new.id, old.id);
            pairs.new_of.insert(old.id, new.id);
            found = true;
        }
    }
    found
}

/// Whether their shares are the same within 30 %, or within chance.
fn are_alike(Relations { scale, .. }: Relations<'_>, old: &Lonely, new: &Lonely) -> bool {
    let within = |ticks: Ticks| {
        let change = scale.change(ticks);
        let of_old = scale.change([ticks[0], 0]).points.abs();
        change.points.abs() <= (WITHIN * of_old).max(BY_CHANCE * change.error.unwrap_or(0.0))
    };
    let negligible = scale.shares([old.own, new.own]).iter().all(|share| share * 100.0 <= SMALLEST_POINTS);
    (old.is_significant || new.is_significant)
        && within([old.total, new.total])
        && (negligible || within([old.own, new.own]))
}

/// Code that changed its class or package mostly keeps the function's own name; then the nearest shares count.
fn distance(Relations { joined, scale, .. }: Relations<'_>, old: &Lonely, new: &Lonely) -> (bool, u64) {
    let points = |ticks: Ticks| scale.change(ticks).points.abs();
    let apart = points([old.own, new.own]) + points([old.total, new.total]);
    // A positive number's bits are in the order of the numbers.
    (last_part(joined.key(old.id)) != last_part(joined.key(new.id)), apart.to_bits())
}

fn last_part(key: &str) -> &str {
    key.rsplit(['.', ':', '/']).next().unwrap_or(key)
}
