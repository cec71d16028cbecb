//! What most of a program runs beneath.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use super::{Path, ResponsibleSearch};
use crate::kernel::percent_of;
use crate::profile::FunctionId;
use crate::verdict::category::Category;
use crate::verdict::names::library_of_nameless;

impl<'p> ResponsibleSearch<'p, '_> {
    /// The deepest function of the application that at least this share of the active ticks runs beneath, with these
    /// ticks and those among them that no category claims: code without a name is none.
    pub(in crate::verdict::findings) fn deepest_of_all(&mut self, at_least: f64) -> Option<(FunctionId, i64, i64)> {
        let active = self.tally.active;
        let is_known = |category: usize| Category::ALL.get(category).is_none_or(|c| c.competes());
        let known = self.claimed.iter().enumerate().filter(|(category, _)| is_known(*category));
        let known: Vec<_> = known.flat_map(|(_, paths)| paths).copied().collect();
        let unknown: Vec<_> = self.unclaimed.iter().chain(self.unresolved()).copied().collect();
        let paths: Vec<_> = unknown.iter().chain(&known).copied().collect();
        let mut common = self.on_the_path(&paths, None, active);
        common.retain(|(frame, ticks)| percent_of(*ticks, active) >= at_least && self.is_own(*frame));
        self.deepest(common, &paths).map(|(frame, ticks)| {
            let beneath = unknown.iter().filter(|path| path.frames.contains(&frame)).map(|path| path.ticks).sum();
            (frame, ticks, beneath)
        })
    }

    /// The paths that end in code without a name.
    fn unresolved(&self) -> &[Path<'p>] {
        self.claimed.get(Category::Unresolved as usize).map_or(&[], Vec::as_slice)
    }

    /// The library without names of functions that most ticks beneath a function end in, with these ticks.
    pub(in crate::verdict::findings) fn nameless_library(&self, function: FunctionId) -> Option<(&'p str, i64)> {
        let mut libraries: FxHashMap<&str, i64> = FxHashMap::default();
        for path in self.unresolved().iter().filter(|path| path.frames.contains(&function)) {
            let library = path.frames.first().and_then(|leaf| library_of_nameless(self.profile.name(*leaf)));
            if let Some(library) = library {
                *libraries.entry(library).or_default() += path.ticks;
            }
        }
        libraries.into_iter().max_by_key(|(name, ticks)| (*ticks, Reverse(*name)))
    }
}
