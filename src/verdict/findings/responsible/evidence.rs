//! The claiming frames of a category.

use super::{Path, ResponsibleSearch};
use crate::kernel::percent_of;
use crate::profile::FunctionId;
use crate::verdict::category::Category;
use crate::verdict::names::with_file;

/// Rows of evidence.
const EVIDENCE: usize = 5;
/// What functions without a name are called.
const ANONYMOUS: &str = "(anonymous)";

/// A function and its share of a category.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The function, as the source spells it.
    pub function: String,
    /// Its share of the active ticks, percent.
    pub percent: f64,
}

impl<'p> ResponsibleSearch<'p, '_> {
    /// The claiming frames, heaviest first.
    pub(super) fn evidence(&mut self, paths: &[Path<'p>]) -> Vec<Evidence> {
        self.heaviest(paths, |path| path.frames.first())
    }

    /// The outermost function of the category that most of the paths begin in, and best one that has a name; with its
    /// file, where the name alone says little.
    pub(super) fn entry(&mut self, paths: &[Path<'p>], category: Category) -> Option<Evidence> {
        let (claims, profile) = (self.claims, self.profile);
        let is_of_it = |frame: &&FunctionId| claims.flags(**frame).category() == Some(category);
        let is_named = |frame: &&FunctionId| !profile.name(**frame).contains(ANONYMOUS);
        let outermost = |path: &Path<'p>| {
            let mut of_it = path.frames.iter().rev().filter(is_of_it);
            let named = of_it.clone().find(is_named);
            named.or_else(|| of_it.next()).or(path.frames.first())
        };
        let Evidence { function, percent } = self.heaviest(paths, outermost).into_iter().next()?;
        let shown = paths.iter().filter_map(outermost).find(|f| profile.name(**f) == function);
        Some(Evidence { function: shown.map_or(function, |f| with_file(profile.function(*f))), percent })
    }

    /// The functions that most of the paths have as this frame, heaviest first.
    fn heaviest(&mut self, paths: &[Path<'p>], frame: impl Fn(&Path<'p>) -> Option<&'p FunctionId>) -> Vec<Evidence> {
        let mut seen = Vec::new();
        for path in paths {
            let Some(frame) = frame(path) else { continue };
            if let Some((ticks, _)) = self.counts.get_mut(frame.index()) {
                if *ticks == 0 {
                    seen.push(*frame);
                }
                *ticks += path.ticks;
            }
        }
        // Functions of one name in several files are one function.
        let mut named: Vec<(&str, i64)> = seen.iter().map(|f| (self.profile.name(*f), self.take(*f))).collect();
        named.sort_unstable();
        named.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        named.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        named.truncate(EVIDENCE);
        let active = self.tally.active;
        named
            .into_iter()
            .map(|(name, t)| Evidence { function: name.to_owned(), percent: percent_of(t, active) })
            .collect()
    }
}
