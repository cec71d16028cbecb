//! Who calls whom, and what stands above what: asked only of functions that changed.
//!
//! A caller is `None` for the root of a stack.

use rustc_hash::{FxHashMap, FxHashSet};

use super::join::{Joined, KeyId, Ticks};

/// A frame is an ancestor of a function if it stands on this share of the function's own stacks.
const COMMON: f64 = 0.8;

/// What the stacks say of some functions: their totals, callers and callees.
#[derive(Debug, Default)]
pub(super) struct Kin {
    /// Ticks of the stacks that contain a key, each stack once.
    pub(super) totals: Vec<Ticks>,
    /// Of each key asked for, who stands right above or beneath it; the ticks are those of calls to it.
    callers: FxHashMap<KeyId, Callers>,
    callees: FxHashMap<KeyId, FxHashSet<KeyId>>,
    /// Of each function that one side alone holds, the nearest frame above it that both hold.
    kept_callers: FxHashMap<KeyId, Callers>,
}

/// The callers of a function, with the ticks of their calls.
type Callers = FxHashMap<Option<KeyId>, Ticks>;

/// The own stacks of some functions: which frames stand on them.
#[derive(Debug, Default)]
pub(super) struct Ancestry {
    /// Of each function, the ticks that each frame of its stacks stands on, and all of them.
    above: FxHashMap<KeyId, (FxHashMap<KeyId, i64>, i64)>,
}

/// Adds ticks to one side.
pub(super) fn add(sum: &mut Ticks, side: usize, ticks: i64) {
    if let Some(sum) = sum.get_mut(side) {
        *sum = sum.saturating_add(ticks);
    }
}

impl Kin {
    /// Reads the stacks of both sides.
    pub(super) fn of(joined: &Joined<'_>, asked: impl Fn(KeyId) -> bool) -> Self {
        let mut kin = Self { totals: vec![[0; 2]; joined.len()], ..Self::default() };
        let mut stamps = vec![0_u32; joined.len()];
        let mut stamp = 0;
        joined.each_stack(|stack| {
            stamp += 1;
            for id in stack.keys {
                let (Some(stamped), Some(total)) = (stamps.get_mut(*id as usize), kin.totals.get_mut(*id as usize))
                else {
                    continue;
                };
                if *stamped != stamp {
                    *stamped = stamp;
                    add(total, stack.side, stack.ticks);
                }
            }
            // From the root on, so that a stack is walked once however many of its frames one side alone holds.
            let (mut caller, mut kept) = (None, None);
            for callee in stack.keys.iter().rev().copied() {
                if caller == Some(callee) {
                    continue;
                }
                if asked(callee) {
                    let ticks = kin.callers.entry(callee).or_default().entry(caller).or_default();
                    add(ticks, stack.side, stack.ticks);
                }
                if let Some(caller) = caller.filter(|caller| asked(*caller)) {
                    kin.callees.entry(caller).or_default().insert(callee);
                }
                if joined.is_on_both(callee) {
                    kept = Some(callee);
                } else {
                    let ticks = kin.kept_callers.entry(callee).or_default().entry(kept).or_default();
                    add(ticks, stack.side, stack.ticks);
                }
                caller = Some(callee);
            }
        });
        kin
    }

    /// Total ticks on both sides.
    pub(super) fn total(&self, id: KeyId) -> Ticks {
        self.totals.get(id as usize).copied().unwrap_or_default()
    }

    /// Whether one calls the other.
    pub(super) fn calls(&self, id: KeyId, other: KeyId) -> bool {
        self.callers.get(&id).is_some_and(|callers| callers.contains_key(&Some(other)))
            || self.callees.get(&id).is_some_and(|callees| callees.contains(&other))
    }

    /// Who calls it on that side, and the share of its calls, 0 to 1; the most frequent first.
    pub(super) fn callers(&self, id: KeyId, side: usize) -> Vec<(Option<KeyId>, f64)> {
        shares_on(self.callers.get(&id), side)
    }

    /// The same with the nearest frame above it that both sides hold in place of the caller.
    pub(super) fn kept_callers(&self, id: KeyId, side: usize) -> Vec<(Option<KeyId>, f64)> {
        shares_on(self.kept_callers.get(&id), side)
    }
}

fn shares_on(callers: Option<&Callers>, side: usize) -> Vec<(Option<KeyId>, f64)> {
    let ticks = |of: &Ticks| of.get(side).copied().unwrap_or(0);
    let mut shares: Vec<_> = callers.into_iter().flatten().map(|(caller, of)| (*caller, ticks(of) as f64)).collect();
    shares.retain(|(_, ticks)| *ticks > 0.0);
    // Ids are in the order of the profile's functions, so that sums are the same in each run.
    shares.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let all: f64 = shares.iter().map(|(_, ticks)| ticks).sum();
    for (_, ticks) in &mut shares {
        *ticks /= all;
    }
    shares
}

impl Ancestry {
    /// Reads the stacks that end in a function asked for.
    pub(super) fn of(joined: &Joined<'_>, asked: impl Fn(KeyId) -> bool) -> Self {
        let mut ancestry = Self::default();
        let mut seen = FxHashSet::default();
        joined.each_stack(|stack| {
            let Some(leaf) = stack.keys.first().filter(|leaf| asked(**leaf)) else { return };
            let (above, all) = ancestry.above.entry(*leaf).or_default();
            *all = all.saturating_add(stack.ticks);
            seen.clear();
            for id in stack.keys.iter().filter(|id| seen.insert(**id)) {
                let ticks = above.entry(*id).or_default();
                *ticks = ticks.saturating_add(stack.ticks);
            }
        });
        ancestry
    }

    /// The frames that stand on nearly all own stacks of all these functions; each function stands on its own.
    pub(super) fn common(&self, functions: &[KeyId]) -> Vec<KeyId> {
        let Some((first, rest)) = functions.split_first() else { return Vec::new() };
        let is_above = |function: &KeyId, frame: KeyId| {
            self.above.get(function).is_some_and(|(above, all)| {
                above.get(&frame).is_some_and(|ticks| *ticks as f64 >= COMMON * *all as f64)
            })
        };
        let frames = self.above.get(first).into_iter().flat_map(|(above, _)| above.keys().copied());
        frames.filter(|frame| is_above(first, *frame) && rest.iter().all(|f| is_above(f, *frame))).collect()
    }
}

/// The class that a function belongs to, where its name tells: `a.b.Cart` of `a.b.Cart.toJson`, `shop.(*Cart)` of
/// `shop.(*Cart).Add`, `shop::Cart` of `shop::Cart::add`. A package or module is none.
pub(super) fn class(key: &str) -> Option<&str> {
    let name =
        key.split_once('(').filter(|(head, _)| head.contains('.') && !head.ends_with('.')).map_or(key, |(h, _)| h);
    let at = name.rfind("::").max(name.rfind('.'))?;
    let class = name.get(..at)?;
    let last = class.rsplit(['.', ':', '/']).next()?;
    let is_class = last.starts_with(|c: char| c.is_uppercase()) || last.starts_with("(*") || last.starts_with('<');
    is_class.then_some(class)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("com.example.Cart.toJson", Some("com.example.Cart"))]
    #[case("com.example.Cart$Line.toJson", Some("com.example.Cart$Line"))]
    #[case("github.com/a/shop.(*Cart).Add", Some("github.com/a/shop.(*Cart)"))]
    #[case("shop.Cart.Add", Some("shop.Cart"))]
    #[case("shop::Cart::add", Some("shop::Cart"))]
    #[case("shop::cart::add", None)]
    #[case("main.work", None)]
    #[case("encoding/json.Marshal", None)]
    #[case("memcpy", None)]
    fn finds_the_class_where_the_name_tells(#[case] name: &str, #[case] expected: Option<&str>) {
        assert_eq!(class(name), expected);
    }
}
