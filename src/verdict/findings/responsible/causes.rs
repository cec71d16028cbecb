//! What a category's ticks come from.

use std::cmp::Reverse;
use std::sync::Arc;

use super::sites::SiteCounts;
use super::{ON_THE_PATH, Path, Responsible, ResponsibleSearch, WORTH_NAMING};
use crate::kernel::percent_of;
use crate::profile::{FunctionId, Profile};
use crate::verdict::catalogue::{Cause, CauseIndex, Rules};
use crate::verdict::category::Category;
use crate::verdict::claims::Claims;

/// A cause with less than this share of its category is not told, percent.
const WORTH_TELLING: f64 = 5.0;

/// A cause and its share.
#[derive(Debug, Clone, PartialEq)]
pub struct CauseShare {
    /// Which one.
    pub cause: Arc<Cause>,
    /// Its share of the active ticks, percent.
    pub percent: f64,
    /// The function of the application that most of it comes from; absent where none has a fifth of it.
    pub responsible: Option<String>,
}

/// Tells the cause of each path.
pub(super) struct CausesOfPaths {
    /// Of each function that tells a cause.
    told: Vec<Option<Told>>,
}

#[derive(Clone, Copy)]
struct Told {
    cause: CauseIndex,
    category: Category,
    /// Whether it explains what is beneath the function too.
    covers: bool,
}

impl CausesOfPaths {
    pub(super) fn new(rules: &Rules, profile: &Profile, claims: &Claims) -> Self {
        let told = |function| {
            let index = claims.cause(function)?;
            let cause = rules.cause(index)?;
            Some(Told { cause: index, category: cause.category, covers: cause.covers })
        };
        Self { told: profile.function_ids().map(told).collect() }
    }

    /// The cause of a path of the category: of the frames before any code of the application, that of the nearest which
    /// covers what is beneath it, else of the nearest that tells one.
    pub(super) fn of(&self, frames: &[FunctionId], category: Category, sites: &SiteCounts) -> Option<CauseIndex> {
        let told = |frame: &FunctionId| self.told.get(frame.index()).copied().flatten();
        let mut nearest = None;
        for told in frames.iter().take_while(|frame| !sites.may_be(**frame)).filter_map(told) {
            if told.category != category {
                continue;
            }
            if told.covers {
                return Some(told.cause);
            }
            nearest = nearest.or(Some(told.cause));
        }
        nearest
    }
}

impl<'p> ResponsibleSearch<'p, '_> {
    /// What causes a category's ticks, the largest cause first, and which function leads to each cause.
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

    /// The function that most of a cause comes from: who leads to all of the category, where that is nearly the same.
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
        let (frame, _) = *self.best_sites(&paths, Some(category), ticks, WORTH_NAMING, Self::is_own).first()?;
        Some(self.profile.name(frame).to_owned())
    }
}
