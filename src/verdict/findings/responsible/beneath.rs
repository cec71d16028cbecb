//! What is known of a category with all that runs beneath it.

use super::causes::CausesOfPaths;
use super::{Investigation, Path, Responsible, ResponsibleSearch, WORTH_NAMING};
use crate::kernel::percent_of;
use crate::profile::{FunctionId, Stack};
use crate::verdict::category::Category;
use crate::verdict::claims::StackFacts;

impl<'p> ResponsibleSearch<'p, '_> {
    /// What is known of a category with all that runs beneath it: of all stacks that hold it, from its frame nearest the
    /// leaf on. Who leads to the category's own ticks is nearer to it, and stays where that holds for much of the rest too.
    pub(in crate::verdict::findings) fn investigate_with_beneath(
        &mut self,
        category: Category,
        own: &[Responsible],
    ) -> Investigation {
        let causes = CausesOfPaths::new(self.rules, self.profile, self.claims);
        let path = |(stack, judged): (Stack<'p>, &StackFacts)| {
            let ticks = stack.values.get(self.tally.sample_type).copied().filter(|ticks| *ticks > 0)?;
            judged.held().find(|held| *held == category)?;
            let is_claiming = |f: &FunctionId| judged.claim.is_some_and(|c| c.category == category && c.frame == *f);
            let is_of_it = |f: &FunctionId| is_claiming(f) || self.claims.flags(*f).category() == Some(category);
            let frames = stack.frames.get(stack.frames.iter().position(is_of_it)?..)?;
            Some(Path { ticks, frames, cause: causes.of(frames, category, &self.site_counts) })
        };
        let paths: Vec<_> = self.profile.stacks().zip(self.claims.stacks()).filter_map(path).collect();
        let mut found = self.investigation(&paths, category);
        let leading: Vec<_> = own.iter().filter_map(|one| self.still_leads(one, &paths)).collect();
        if !leading.is_empty() {
            found.responsible = leading;
        }
        found
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
