//! What is known of a category with all that runs beneath it.

use std::borrow::Cow;

use super::{Investigation, Path, Responsible, ResponsibleSearch, WORTH_NAMING};
use crate::kernel::percent_of;
use crate::profile::FunctionId;
use crate::verdict::category::Category;

impl<'p> ResponsibleSearch<'p, '_> {
    /// What is known of a category with all that runs beneath it: of all stacks that hold it, from its frame nearest the
    /// leaf on. Who leads to the category's own ticks is nearer to it, and stays where that holds for much of the rest too.
    pub(in crate::verdict::findings) fn investigate_with_beneath(
        &mut self,
        category: Category,
        own: &[Responsible],
    ) -> Investigation {
        let claimed = self.claimed.get(category as usize).cloned().unwrap_or_default();
        let paths = self.with_beneath(&claimed, category);
        let mut found = self.investigation(&paths, &paths, category);
        let leading: Vec<_> = own.iter().filter_map(|one| self.still_leads(one, &paths)).collect();
        if !leading.is_empty() {
            found.responsible = leading;
        }
        found
    }

    /// The paths of a category and those of stacks that hold it above what they were claimed as.
    pub(super) fn with_beneath<'o>(&self, claimed: &'o [Path<'p>], category: Category) -> Cow<'o, [Path<'p>]> {
        match self.beneath.get(category as usize) {
            Some(beneath) if !beneath.is_empty() => claimed.iter().chain(beneath).copied().collect(),
            _ => Cow::from(claimed),
        }
    }

    /// The same paths from the category's outermost frame on.
    pub(super) fn above_outermost(&self, paths: &[Path<'p>], category: Option<Category>) -> Vec<Path<'p>> {
        let is_of_it = |frame: &FunctionId| category.is_some() && self.claims.flags(*frame).category() == category;
        let outer = |path: &Path<'p>| {
            let from = path.frames.iter().rposition(is_of_it).unwrap_or(0);
            Path { frames: path.frames.get(from..).unwrap_or(path.frames), ..*path }
        };
        paths.iter().map(outer).collect()
    }

    /// A responsible frame with its share of these paths, if that is worth naming.
    fn still_leads(&self, one: &Responsible, paths: &[Path<'p>]) -> Option<Responsible> {
        let named: Vec<_> = self.profile.function_ids().filter(|f| self.profile.name(*f) == one.function).collect();
        let whole: i64 = paths.iter().map(|path| path.ticks).sum();
        let through = paths.iter().filter(|path| path.frames.iter().any(|frame| named.contains(frame)));
        let percent = percent_of(through.map(|path| path.ticks).sum(), whole);
        (percent >= WORTH_NAMING).then(|| Responsible { percent, ..one.clone() })
    }
}
