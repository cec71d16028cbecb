//! Who is responsible for a category's ticks: evidence by claiming frame, and the application's frame that leads there.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use super::shown::{is_entry, short_name};
use super::tally::Tally;
use super::{Category, Claim, Claims, Origin};
use crate::kernel::ProfileType;
use crate::profile::{FunctionId, Profile, TextId};

/// A frame on this share of a category's ticks is responsible for it, percent.
const ON_THE_PATH: f64 = 80.0;
/// A caller with less than this share of a category's ticks is no place to start at, percent. A judgement.
const WORTH_NAMING: f64 = 20.0;
/// Rows of evidence.
const EVIDENCE: usize = 5;
/// Names in a shortened path.
const PATH: usize = 4;

/// A function and its share.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The function, as the source spells it.
    pub function: String,
    /// Its share of the active ticks, percent.
    pub percent: f64,
}

/// The frame of the application, or of a library, that leads to a category's ticks.
#[derive(Debug, Clone, PartialEq)]
pub struct Responsible {
    /// The function, as the source spells it.
    pub function: String,
    /// How much of the category's ticks lie beneath it, percent.
    pub percent: f64,
    /// The share of all ticks that it is on the stack of, percent.
    pub total_percent: f64,
    /// From it down to the heaviest claiming frame, short names.
    pub path: Vec<String>,
}

/// Dense arrays by function, reused from category to category.
pub(super) struct Detective<'p, 'c> {
    profile: &'p Profile,
    claims: &'c Claims,
    tally: &'c Tally<'p>,
    kind: ProfileType,
    by_category: Vec<Vec<u32>>,
    /// Ticks by function, and the last path they were counted on; all 0 between two questions.
    counts: Vec<(i64, u32)>,
    path: u32,
}

/// Where the search for a caller begins in a stack.
struct Path<'p> {
    ticks: i64,
    /// The claiming frame (or the leaf) and all callers, leaf first.
    frames: &'p [FunctionId],
}

impl<'p, 'c> Detective<'p, 'c> {
    pub(super) fn new(profile: &'p Profile, claims: &'c Claims, tally: &'c Tally<'p>, kind: ProfileType) -> Self {
        let mut by_category = vec![Vec::new(); super::tally::CATEGORIES];
        for index in 0..tally.stacks.len() {
            if let Some(list) = claims
                .claims()
                .get(index)
                .and_then(Option::as_ref)
                .and_then(|c| by_category.get_mut(c.category as usize))
            {
                list.push(u32::try_from(index).unwrap_or(u32::MAX));
            }
        }
        let functions = profile.function_count();
        Self { profile, claims, tally, kind, by_category, counts: vec![(0, 0); functions], path: 0 }
    }

    /// The claiming frames of a category, heaviest first, and who is responsible for its ticks.
    pub(super) fn investigate(&mut self, category: Category) -> (Vec<Evidence>, Vec<Responsible>) {
        let stacks = self.by_category.get(category as usize).map_or(&[][..], Vec::as_slice);
        let paths: Vec<_> = stacks.iter().filter_map(|index| self.path_of(*index as usize)).collect();
        let evidence = self.evidence(&paths);
        (evidence, self.responsible(&paths, Some(category)))
    }

    /// Who is responsible for the ticks that end in a function and that nobody claimed. In a lock profile: for all that
    /// nobody claimed, since each leaf is another blocked method.
    pub(super) fn callers_of(&mut self, leaf: TextId) -> Vec<Responsible> {
        let is_leaf = |f: &FunctionId| self.profile.function_texts(*f).is_some_and(|f| f.name == leaf);
        let paths: Vec<_> = (0..self.tally.stacks.len())
            .filter(|index| self.claim(*index).is_none())
            .filter_map(|index| self.path_of(index))
            .filter(|path| self.kind == ProfileType::Lock || path.frames.first().is_some_and(is_leaf))
            .collect();
        self.responsible(&paths, None)
    }

    fn path_of(&self, index: usize) -> Option<Path<'p>> {
        let stack = self.tally.stacks.get(index)?;
        let ticks = stack.values.get(self.tally.sample_type).copied().filter(|t| *t > 0)?;
        let from = self.claim(index).and_then(|claim| stack.frames.iter().position(|f| *f == claim.frame));
        Some(Path { ticks, frames: stack.frames.get(from.unwrap_or(0)..)? })
    }

    fn evidence(&mut self, paths: &[Path<'p>]) -> Vec<Evidence> {
        let mut seen = Vec::new();
        for path in paths {
            let Some(frame) = path.frames.first() else { continue };
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
        named.into_iter().map(|(name, t)| Evidence { function: name.to_owned(), percent: percent(t, active) }).collect()
    }

    /// The deepest frame on the path of at least 80 % of the ticks; else the two frames of the application that most
    /// of them come from. In a lock profile always the latter: the first frame that waited.
    fn responsible(&mut self, paths: &[Path<'p>], category: Option<Category>) -> Vec<Responsible> {
        let whole: i64 = paths.iter().map(|p| p.ticks).sum();
        if whole <= 0 {
            return Vec::new();
        }
        let mut chosen = Vec::new();
        if self.kind != ProfileType::Lock {
            chosen.extend(self.deepest_common(paths, category, whole));
        }
        if chosen.is_empty() {
            chosen = self.best_sites(paths, category);
            chosen.retain(|(_, ticks)| percent(*ticks, whole) >= WORTH_NAMING);
        }
        chosen.into_iter().filter_map(|(frame, ticks)| self.describe(frame, ticks, whole, paths)).collect()
    }

    fn deepest_common(
        &mut self,
        paths: &[Path<'p>],
        category: Option<Category>,
        whole: i64,
    ) -> Option<(FunctionId, i64)> {
        let mut seen = Vec::new();
        for path in paths {
            self.path += 1;
            for frame in callers(path, category) {
                let Some((ticks, counted_on)) = self.counts.get_mut(frame.index()) else { continue };
                if *counted_on == self.path {
                    continue;
                }
                *counted_on = self.path;
                if *ticks == 0 {
                    seen.push(*frame);
                }
                *ticks += path.ticks;
            }
        }
        let counted: Vec<_> = seen.iter().map(|f| (*f, self.take(*f))).collect();
        let mut common: Vec<_> = counted.into_iter().filter(|(_, t)| percent(*t, whole) >= ON_THE_PATH).collect();
        common.retain(|(f, _)| (category.is_none() || self.tally.category(*f) != category) && !self.is_platform(*f));
        // What is deeper on a path has no more ticks than its caller; of equals, the one nearer the leaf is deeper.
        let fewest = common.iter().map(|(_, ticks)| *ticks).min()?;
        common.retain(|(_, ticks)| *ticks == fewest);
        let any = common.iter().map(|(f, _)| *f).min_by_key(|f| self.profile.function(*f))?;
        let way = self.heaviest_way(any, paths)?;
        let place = |frame: FunctionId| way.iter().position(|f| *f == frame);
        let on_it = common.into_iter().filter_map(|(frame, ticks)| Some((place(frame)?, frame, ticks)));
        on_it.min_by_key(|(place, ..)| *place).map(|(_, frame, ticks)| (frame, ticks))
    }

    /// The nearest caller of each stack that is the application's or a library's: the two heaviest.
    fn best_sites(&mut self, paths: &[Path<'p>], category: Option<Category>) -> Vec<(FunctionId, i64)> {
        let mut seen = Vec::new();
        for path in paths {
            let from_leaf = self.kind == ProfileType::Lock;
            let site = path
                .frames
                .iter()
                .skip(usize::from(!from_leaf && category.is_some()))
                .copied()
                .find(|f| (category.is_none() || self.tally.category(*f) != category) && !self.is_platform(*f));
            if let Some((site, (ticks, _))) = site.and_then(|s| self.counts.get_mut(s.index()).map(|count| (s, count)))
            {
                if *ticks == 0 {
                    seen.push(site);
                }
                *ticks += path.ticks;
            }
        }
        let mut sites: Vec<_> = seen.into_iter().map(|f| (f, self.take(f))).collect();
        sites.sort_by_key(|(f, ticks)| (Reverse(*ticks), self.profile.function(*f)));
        sites.truncate(2);
        sites
    }

    fn describe(&self, frame: FunctionId, ticks: i64, whole: i64, paths: &[Path<'p>]) -> Option<Responsible> {
        let way = self.heaviest_way(frame, paths)?;
        let mut names: Vec<&str> = way.iter().rev().map(|f| short_name(self.profile.name(*f))).collect();
        names.dedup();
        let mut path: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        if path.len() > PATH {
            let last = path.pop();
            path.truncate(PATH - 2);
            path.push("…".to_owned());
            path.extend(last);
        }
        Some(Responsible {
            function: self.profile.name(frame).to_owned(),
            percent: percent(ticks, whole),
            total_percent: percent(self.total_of(frame), self.tally.total),
            path,
        })
    }

    /// From the claiming frame up to this one by the way that most ticks came. Of equals the one whose names come first:
    /// stacks come in any order, and from some sources one comes in several pieces.
    fn heaviest_way(&self, frame: FunctionId, paths: &[Path<'p>]) -> Option<&'p [FunctionId]> {
        let mut ways: FxHashMap<&'p [FunctionId], i64> = FxHashMap::default();
        for path in paths {
            let way = path.frames.iter().position(|f| *f == frame).and_then(|upto| path.frames.get(..=upto));
            if let Some(way) = way {
                *ways.entry(way).or_default() += path.ticks;
            }
        }
        let names = |way: &[FunctionId]| way.iter().map(|f| self.profile.name(*f)).collect::<Vec<_>>();
        ways.into_iter().max_by(|a, b| a.1.cmp(&b.1).then_with(|| names(b.0).cmp(&names(a.0)))).map(|(way, _)| way)
    }

    fn total_of(&self, frame: FunctionId) -> i64 {
        let on_stack = self.tally.stacks.iter().filter(|s| s.frames.contains(&frame));
        on_stack.filter_map(|s| s.values.get(self.tally.sample_type)).sum()
    }

    /// Whether the frame can be responsible for nothing: the platform's own, or the entry of everything.
    fn is_platform(&self, frame: FunctionId) -> bool {
        self.claims.origin(frame) == Origin::Runtime
            || self.tally.category(frame) == Some(Category::Unresolved)
            || is_entry(self.profile.name(frame))
    }

    fn claim(&self, index: usize) -> Option<&'c Claim> {
        self.claims.claims().get(index).and_then(Option::as_ref)
    }

    fn take(&mut self, frame: FunctionId) -> i64 {
        self.counts.get_mut(frame.index()).map_or(0, |(ticks, _)| std::mem::take(ticks))
    }
}

/// The frames that may be responsible: beyond the claiming frame; from the leaf where nobody claimed.
fn callers<'a>(path: &Path<'a>, category: Option<Category>) -> &'a [FunctionId] {
    path.frames.get(usize::from(category.is_some())..).unwrap_or(&[])
}

fn percent(part: i64, whole: i64) -> f64 {
    if whole > 0 { part as f64 / whole as f64 * 100.0 } else { 0.0 }
}
