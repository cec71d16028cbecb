//! What a category's ticks come from.

use std::cmp::Reverse;
use std::sync::Arc;

use super::{ON_THE_PATH, Path, Responsible, ResponsibleSearch};
use crate::kernel::percent_of;
use crate::profile::{FunctionId, Profile};
use crate::verdict::catalogue::{Cause, CauseIndex, Rules};
use crate::verdict::category::Category;
use crate::verdict::claims::Claims;
use crate::verdict::findings::tally::CATEGORIES;

/// A cause with less than this share of its category is not told, percent.
const WORTH_TELLING: f64 = 5.0;

/// A cause and its share.
#[derive(Debug, Clone, PartialEq)]
pub struct CauseShare {
    /// Which one.
    pub cause: Arc<Cause>,
    /// Its share of the active ticks, percent.
    pub percent: f64,
    /// The function that leads to most of it: the application's, else a library's; absent where none does.
    pub responsible: Option<String>,
}

/// Tells the cause of each path.
pub(super) struct CausesOfPaths<'c> {
    claims: &'c Claims,
    /// Of each cause that covers what is beneath it, its category.
    covering: Vec<Option<Category>>,
    /// The categories for which the profile has functions with such a cause.
    is_covered: [bool; CATEGORIES],
}

impl<'c> CausesOfPaths<'c> {
    pub(super) fn new(rules: &Rules, profile: &Profile, claims: &'c Claims) -> Self {
        let covering: Vec<_> = rules.causes().iter().map(|cause| cause.covers.then_some(cause.category)).collect();
        let mut causes = Self { claims, covering, is_covered: [false; CATEGORIES] };
        for function in profile.function_ids() {
            let covered = causes.covered_by(function).map(|(_, category)| category);
            if let Some(is_covered) = covered.and_then(|category| causes.is_covered.get_mut(category as usize)) {
                *is_covered = true;
            }
        }
        causes
    }

    /// The cause of a path from its claiming frame on: that of a frame of the category which covers what is beneath it,
    /// the nearest; else that of the claiming frame.
    pub(super) fn of(&self, frames: &[FunctionId], category: Category) -> Option<CauseIndex> {
        let own = self.claims.cause(*frames.first()?);
        if !self.is_covered.get(category as usize).is_some_and(|covered| *covered) {
            return own;
        }
        let mut covering = frames.iter().filter_map(|frame| self.covered_by(*frame));
        covering.find(|(_, of)| *of == category).map(|(cause, _)| cause).or(own)
    }

    /// The cause of the function, if it covers what is beneath it, and its category.
    fn covered_by(&self, function: FunctionId) -> Option<(CauseIndex, Category)> {
        let cause = self.claims.cause(function)?;
        self.covering.get(cause.index()).copied().flatten().map(|category| (cause, category))
    }
}

impl<'p> ResponsibleSearch<'p, '_> {
    /// The causes of the paths of a category, heaviest first, and who leads to each.
    pub(super) fn causes(
        &mut self,
        paths: &[Path<'p>],
        category: Category,
        responsible: &[Responsible],
    ) -> Vec<CauseShare> {
        let mut found: Vec<(CauseIndex, i64)> = Vec::new();
        let mut whole = 0;
        for path in paths {
            whole += path.ticks;
            let Some(cause) = path.cause else { continue };
            match found.iter_mut().find(|(known, _)| *known == cause) {
                Some((_, ticks)) => *ticks += path.ticks,
                None => found.push((cause, path.ticks)),
            }
        }
        found.retain(|(_, ticks)| percent_of(*ticks, whole) >= WORTH_TELLING);
        found.sort_unstable_by_key(|(cause, ticks)| (Reverse(*ticks), cause.index()));
        let share = |(index, ticks)| {
            Some(CauseShare {
                cause: Arc::clone(self.rules.cause(index)?),
                percent: percent_of(ticks, self.tally.active),
                responsible: self.leads_to(paths, category, (index, ticks, whole), responsible),
            })
        };
        found.into_iter().filter_map(share).collect()
    }

    /// The function that leads to most of a cause: who leads to all of the category, where that is nearly the same.
    fn leads_to(
        &mut self,
        paths: &[Path<'p>],
        category: Category,
        (cause, ticks, whole): (CauseIndex, i64, i64),
        of_all: &[Responsible],
    ) -> Option<String> {
        if percent_of(ticks, whole) >= ON_THE_PATH {
            return of_all.first().map(|one| one.function.clone());
        }
        let paths: Vec<_> = paths.iter().filter(|path| path.cause == Some(cause)).copied().collect();
        let (frame, _) = *self.chosen(&paths, Some(category), ticks).first()?;
        Some(self.profile.name(frame).to_owned())
    }
}
