//! Changes that are not real: code that was renamed, code that its callers took in, and work that moved between related
//! functions.

use rustc_hash::{FxHashMap, FxHashSet};

use super::join::{Joined, KeyId};
use super::kin::Kin;
use super::load::Scale;
use super::{inlined, moved, renamed};

/// Why a change is not real.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kinship {
    /// The same code under another name.
    Renamed(KeyId),
    /// Code that its callers took in: of the function that is gone, the caller that took most; of a caller, the function
    /// that it took most of.
    Inlined(KeyId),
    /// Work that a caller, a callee, its class or a function in its place did before, or does now.
    Moved(KeyId),
}

/// A row whose change is more than chance, and by how many points.
pub(super) type Changed = (KeyId, f64);

/// What the search for changes that are not real reads.
#[derive(Clone, Copy)]
pub(super) struct Relations<'a> {
    pub(super) joined: &'a Joined<'a>,
    pub(super) scale: &'a Scale,
    pub(super) kin: &'a Kin,
}

impl Relations<'_> {
    /// The functions that this side alone holds.
    pub(super) fn only_on(&self, side: usize) -> impl Iterator<Item = KeyId> {
        let joined = self.joined;
        joined.ids().filter(move |id| joined.is_present(*id, side) && !joined.is_on_both(*id))
    }
}

/// Finds the changes that are only renamed, inlined or moved code. `changed` holds every significant change of self
/// ticks, and `kin` who calls these functions and those that one side alone holds.
pub(super) fn kinships(relations: Relations<'_>, changed: &[Changed]) -> FxHashMap<KeyId, Kinship> {
    let mut found = FxHashMap::default();
    renamed::find(relations, &mut found);
    inlined::find(relations, changed, &mut found);
    moved::find(relations, changed, &mut found);
    found
}

/// Who calls the functions that changed, and those that one side alone holds.
pub(super) fn kin_of(joined: &Joined<'_>, changed: &[Changed]) -> Kin {
    let is_changed: FxHashSet<_> = changed.iter().map(|(id, _)| *id).collect();
    Kin::of(joined, |id| is_changed.contains(&id) || !joined.is_on_both(id))
}
