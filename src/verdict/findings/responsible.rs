//! Who is responsible for a category's ticks: evidence by claiming frame, and the application's frame that leads there.

mod beneath;
mod causes;
mod evidence;
mod locks;
mod of_all;
mod shortened;
mod sites;

use std::borrow::Cow;
use std::cmp::Reverse;

use rustc_hash::FxHashMap;

pub use causes::CauseShare;
use causes::CausesOfPaths;
pub use evidence::Evidence;
pub use locks::{LockWait, Locks};
use shortened::shortened;
pub use sites::Site;
use sites::SiteCounts;

use super::recommendation::TELLS_SOMETHING;
use super::tally::{CATEGORIES, Tally};
use crate::kernel::{ProfileType, percent_of};
use crate::profile::{FunctionId, Profile, TextId};
use crate::verdict::catalogue::{CauseIndex, Rules};
use crate::verdict::category::{Category, Layer};
use crate::verdict::claims::Claims;
use crate::verdict::names::{short_name, with_file};

/// A frame on this share of a category's ticks is responsible for it, percent.
const ON_THE_PATH: f64 = 80.0;
/// A caller with less than this share of a category's ticks is no place to start at, percent. A judgement.
const WORTH_NAMING: f64 = 20.0;
/// A frame on the stack of this share of all ticks is no place to start at, percent.
const EVERYTHING: f64 = 95.0;
/// Paths are counted in so many rounds. After each, frames that can no longer be on enough paths are dropped.
const ROUNDS: usize = 8;

/// The frame of the application, or of a library, that leads to a category's ticks.
#[derive(Debug, Clone, PartialEq)]
pub struct Responsible {
    /// The function, as the source spells it.
    pub function: String,
    /// The same as people are told of it: with its file where the name alone says little.
    pub shown: String,
    /// The share of the category's ticks beneath it, percent.
    pub percent: f64,
    /// The share of all ticks that it is on the stack of, percent.
    pub total_percent: f64,
    /// From it down to the heaviest claiming frame, short names.
    pub path: Vec<String>,
    /// Whether it is the application's own.
    pub is_own: bool,
}

/// The paths of each category, and dense arrays by function, reused from category to category.
pub(super) struct ResponsibleSearch<'p, 'c> {
    profile: &'p Profile,
    claims: &'c Claims,
    tally: &'c Tally,
    kind: ProfileType,
    claimed: [Vec<Path<'p>>; CATEGORIES],
    /// The stacks that hold a purpose or a transport and were claimed as something else, from its nearest frame on.
    beneath: [Vec<Path<'p>>; CATEGORIES],
    unclaimed: Vec<Path<'p>>,
    /// Ticks by function, and the last path they were counted on; all 0 between two questions.
    counts: Vec<(i64, u32)>,
    path: u32,
    /// What is counted to find the sites of a category.
    site_counts: SiteCounts,
    /// The ticks of stacks with a frame, among those asked for: a frame may lead to several categories.
    totals: FxHashMap<FunctionId, i64>,
    rules: &'c Rules,
}

/// Where the search for a caller begins in a stack.
#[derive(Clone, Copy)]
struct Path<'p> {
    ticks: i64,
    /// The claiming frame (or the leaf) and all callers, leaf first.
    frames: &'p [FunctionId],
    /// What its ticks come from, if a name on it tells.
    cause: Option<CauseIndex>,
}

/// Who leads to these paths.
#[derive(Clone, Copy)]
struct Question<'q, 'p> {
    paths: &'q [Path<'p>],
    category: Option<Category>,
    whole: i64,
    /// The frames that may be responsible on most of them, with their ticks.
    common: &'q [(FunctionId, i64)],
}

/// What is known of a category beside its share.
pub(super) struct Investigation {
    /// The claiming frames, heaviest first.
    pub(super) evidence: Vec<Evidence>,
    /// Who is responsible for its ticks.
    pub(super) responsible: Vec<Responsible>,
    /// What its ticks come from, heaviest first.
    pub(super) causes: Vec<CauseShare>,
    /// Where in the application's code they come from.
    pub(super) sites: Vec<Site>,
    /// Where nobody is responsible: the outermost function of the category that most of its ticks lie beneath.
    pub(super) entry: Option<Evidence>,
}

impl<'p, 'c> ResponsibleSearch<'p, 'c> {
    pub(super) fn new(
        rules: &'c Rules,
        profile: &'p Profile,
        claims: &'c Claims,
        tally: &'c Tally,
        kind: ProfileType,
    ) -> Self {
        let (causes, site_counts) = (CausesOfPaths::new(rules, profile, claims), SiteCounts::new(profile, claims));
        // Counted first: lists that grow would be moved again and again.
        let (mut most, mut rest) = ([0; CATEGORIES], 0);
        for claim in claims.claims() {
            match claim.and_then(|claim| most.get_mut(claim.category as usize)) {
                Some(most) => *most += 1,
                None => rest += 1,
            }
        }
        let mut claimed = most.map(Vec::with_capacity);
        let mut unclaimed = Vec::with_capacity(rest);
        let mut beneath: [Vec<_>; CATEGORIES] = std::array::from_fn(|_| Vec::new());
        for (stack, judged) in profile.stacks().zip(claims.stacks()) {
            let Some(ticks) = stack.values.get(tally.sample_type).copied().filter(|t| *t > 0) else { continue };
            let claim = judged.claim;
            let from = claim.and_then(|claim| stack.frames.iter().position(|f| *f == claim.frame)).unwrap_or(0);
            let paths = claim.map_or(Some(&mut unclaimed), |claim| claimed.get_mut(claim.category as usize));
            if let (Some(paths), Some(frames)) = (paths, stack.frames.get(from..)) {
                let cause = claim.and_then(|claim| {
                    let told = causes.of(frames, claim.category, &site_counts);
                    told.or_else(|| rules.cause_of_rule(claim.rule?))
                });
                paths.push(Path { ticks, frames, cause });
            }
            let is_other = |category: &Category| claim.is_none_or(|claim| claim.category != *category);
            for category in judged.held().filter(|category| category.layer() > Layer::Mechanism).filter(is_other) {
                let from = stack.frames.iter().position(|f| claims.flags(*f).category() == Some(category));
                let frames = from.and_then(|from| stack.frames.get(from..));
                if let (Some(frames), Some(paths)) = (frames, beneath.get_mut(category as usize)) {
                    paths.push(Path { ticks, frames, cause: causes.of(frames, category, &site_counts) });
                }
            }
        }
        let counts = vec![(0, 0); profile.function_count()];
        Self {
            profile,
            claims,
            tally,
            kind,
            claimed,
            beneath,
            unclaimed,
            counts,
            path: 0,
            site_counts,
            totals: FxHashMap::default(),
            rules,
        }
    }

    /// What is known of a category beside its share.
    pub(super) fn investigate(&mut self, category: Category) -> Investigation {
        let paths = self.claimed.get_mut(category as usize).map(std::mem::take).unwrap_or_default();
        // What a purpose costs is mostly done by others for it.
        let all =
            if category.layer() == Layer::Purpose { self.with_beneath(&paths, category) } else { Cow::from(&paths) };
        let found = self.investigation(&paths, &all, category);
        if let Some(place) = self.claimed.get_mut(category as usize) {
            *place = paths;
        }
        found
    }

    /// What is known by these paths; `all` tell the causes.
    fn investigation(&mut self, paths: &[Path<'p>], all: &[Path<'p>], category: Category) -> Investigation {
        let responsible = self.responsible(paths, Some(category));
        Investigation {
            evidence: self.evidence(paths),
            causes: self.causes(all, category, &responsible),
            sites: self.heaviest_sites(paths),
            entry: if responsible.is_empty() { self.entry(paths, category) } else { None },
            responsible,
        }
    }

    /// The frame that is responsible for the ticks that end in a function and were not claimed.
    pub(super) fn callers_of(&mut self, leaf: TextId) -> Vec<Responsible> {
        let is_leaf = |f: &FunctionId| self.profile.function_texts(*f).is_some_and(|f| f.name == leaf);
        let asked = |path: &&Path<'p>| path.frames.first().is_some_and(is_leaf);
        let paths: Vec<_> = self.unclaimed.iter().filter(asked).copied().collect();
        self.responsible(&paths, None)
    }

    /// The frames that lead to a category's own ticks.
    pub(super) fn leading_to(&mut self, category: Category) -> Vec<Responsible> {
        let paths = self.claimed.get(category as usize).cloned().unwrap_or_default();
        self.responsible(&paths, Some(category))
    }

    /// The functions of the application that most ticks come from, whatever they were claimed as.
    pub(super) fn sites(&mut self) -> Vec<Responsible> {
        let is_active = |category: usize| Category::ALL.get(category).is_none_or(|c| c.is_active());
        let claimed = self.claimed.iter().enumerate().filter(|(category, _)| is_active(*category));
        let paths: Vec<_> = claimed.flat_map(|(_, paths)| paths).chain(&self.unclaimed).copied().collect();
        let whole = paths.iter().map(|path| path.ticks).sum();
        let sites = self.best_sites(&paths, None, whole, TELLS_SOMETHING, Self::is_own);
        sites.into_iter().filter_map(|(frame, ticks)| self.describe(frame, ticks, whole, &paths)).collect()
    }

    /// Whether a function of that name is the application's.
    pub(super) fn is_first_party(&self, name: TextId) -> bool {
        let is_named = |f: &FunctionId| self.profile.function_texts(*f).is_some_and(|f| f.name == name);
        self.profile.function_ids().find(is_named).is_some_and(|f| self.is_own(f))
    }

    fn is_own(&self, frame: FunctionId) -> bool {
        self.claims.is_first_party(frame)
    }

    /// The deepest frame on the path of at least 80 % of the ticks; else the two frames of the application that most
    /// of them come from. In a lock profile always the latter: the first frame that waited.
    fn responsible(&mut self, paths: &[Path<'p>], category: Option<Category>) -> Vec<Responsible> {
        let whole: i64 = paths.iter().map(|p| p.ticks).sum();
        if whole <= 0 {
            return Vec::new();
        }
        self.chosen(paths, category, whole)
            .into_iter()
            .filter_map(|(frame, ticks)| self.describe(frame, ticks, whole, paths))
            .collect()
    }

    /// The frames of the application that lead to the paths; where there are none, a library's, and best of one that is
    /// of no category. A library that the category's own code calls is its inside, and no place.
    fn chosen(&mut self, paths: &[Path<'p>], category: Option<Category>, whole: i64) -> Vec<(FunctionId, i64)> {
        let is_plain = |search: &Self, frame| search.claims.flags(frame).category().is_none();
        let common = self.common(paths, category, whole);
        let mut found = self.choose(Question { paths, category, whole, common: &common }, Self::is_own);
        if !found.is_empty() {
            return found;
        }
        let outer = self.above_outermost(paths, category);
        let common = self.common(&outer, category, whole);
        let question = Question { paths: &outer, category, whole, common: &common };
        found = self.choose(question, is_plain);
        if found.is_empty() { self.choose(question, |_, _| true) } else { found }
    }

    /// The deepest frame of this origin on the path of at least 80 % of the ticks, unless nearly everything runs beneath
    /// it and there are others below; else the two that most ticks come from.
    fn choose(
        &mut self,
        Question { paths, category, whole, common }: Question<'_, 'p>,
        may: impl Fn(&Self, FunctionId) -> bool + Copy,
    ) -> Vec<(FunctionId, i64)> {
        let common = common.iter().copied().filter(|(frame, _)| may(self, *frame)).collect();
        let Some((frame, ticks)) = self.deepest(common, paths) else {
            return self.best_sites(paths, category, whole, WORTH_NAMING, may);
        };
        if percent_of(self.total_of(frame), self.tally.total) >= EVERYTHING {
            let sites = self.best_sites(paths, category, whole, WORTH_NAMING, may);
            if sites.iter().any(|(site, _)| *site != frame) {
                return sites;
            }
        }
        vec![(frame, ticks)]
    }

    /// The frames that may be responsible on the path of at least 80 % of the ticks; in a lock profile none is asked for.
    fn common(&mut self, paths: &[Path<'p>], category: Option<Category>, whole: i64) -> Vec<(FunctionId, i64)> {
        if self.kind == ProfileType::Lock {
            return Vec::new();
        }
        let mut common = self.on_the_path(paths, category, whole);
        common.retain(|(f, _)| self.may_be_responsible(*f, category));
        common
    }

    /// The deepest of frames that are on most of the paths.
    fn deepest(&self, mut common: Vec<(FunctionId, i64)>, paths: &[Path<'p>]) -> Option<(FunctionId, i64)> {
        // What is deeper on a path has no more ticks than its caller; of equals, the one nearer the leaf is deeper.
        let fewest = common.iter().map(|(_, ticks)| *ticks).min()?;
        common.retain(|(_, ticks)| *ticks == fewest);
        let any = common.iter().map(|(f, _)| *f).min_by_key(|f| self.profile.function(*f))?;
        let way = self.heaviest_way(any, paths)?;
        let place = |frame: FunctionId| way.iter().position(|f| *f == frame);
        let on_it = common.into_iter().filter_map(|(frame, ticks)| Some((place(frame)?, frame, ticks)));
        on_it.min_by_key(|(place, ..)| *place).map(|(_, frame, ticks)| (frame, ticks))
    }

    /// The callers on enough of the paths, with their ticks. Those that can no longer reach that are dropped in
    /// between.
    fn on_the_path(&mut self, paths: &[Path<'p>], category: Option<Category>, whole: i64) -> Vec<(FunctionId, i64)> {
        let is_enough = |ticks: i64| percent_of(ticks, whole) >= ON_THE_PATH;
        let (mut seen, mut rest) = (Vec::new(), whole);
        for round in paths.chunks(paths.len().div_ceil(ROUNDS).max(1)) {
            // A frame that was on no path yet can reach at most the rest.
            let is_late = !is_enough(rest);
            for path in round {
                self.path += 1;
                rest -= path.ticks;
                for frame in callers(path, category) {
                    let Some((ticks, counted_on)) = self.counts.get_mut(frame.index()) else { continue };
                    if *counted_on == self.path || *ticks == 0 && is_late {
                        continue;
                    }
                    *counted_on = self.path;
                    if *ticks == 0 {
                        seen.push(*frame);
                    }
                    *ticks += path.ticks;
                }
            }
            // All can still be on enough of them.
            if is_enough(rest) {
                continue;
            }
            seen.retain(|frame| {
                let Some((ticks, _)) = self.counts.get_mut(frame.index()) else { return false };
                let stays = is_enough(*ticks + rest);
                if !stays {
                    *ticks = 0;
                }
                stays
            });
            if is_late && seen.is_empty() {
                break;
            }
        }
        seen.into_iter().map(|frame| (frame, self.take(frame))).collect()
    }

    /// The nearest caller of each stack that is the application's or a library's: the two heaviest with at least this
    /// share, percent.
    fn best_sites(
        &mut self,
        paths: &[Path<'p>],
        category: Option<Category>,
        whole: i64,
        worth_naming: f64,
        may: impl Fn(&Self, FunctionId) -> bool,
    ) -> Vec<(FunctionId, i64)> {
        let mut seen = Vec::new();
        let from_leaf = self.kind == ProfileType::Lock;
        for path in paths {
            let mut callers = path.frames.iter().skip(usize::from(!from_leaf && category.is_some()));
            let site = callers.find(|f| self.may_be_responsible(**f, category) && may(self, **f));
            if let Some((site, (ticks, _))) = site.and_then(|s| self.counts.get_mut(s.index()).map(|count| (s, count)))
            {
                if *ticks == 0 {
                    seen.push(*site);
                }
                *ticks += path.ticks;
            }
        }
        let sites = seen.into_iter().map(|f| (f, self.take(f)));
        let mut sites: Vec<_> = sites.filter(|(_, ticks)| percent_of(*ticks, whole) >= worth_naming).collect();
        sites.sort_by_key(|(f, ticks)| (Reverse(*ticks), self.profile.function(*f)));
        sites.truncate(2);
        sites
    }

    fn describe(&mut self, frame: FunctionId, ticks: i64, whole: i64, paths: &[Path<'p>]) -> Option<Responsible> {
        let way = self.heaviest_way(frame, paths)?;
        let path = shortened(way.iter().rev().map(|frame| short_name(self.profile.name(*frame))));
        Some(Responsible {
            function: self.profile.name(frame).to_owned(),
            shown: with_file(self.profile.function(frame)),
            percent: percent_of(ticks, whole),
            total_percent: percent_of(self.total_of(frame), self.tally.total),
            path,
            is_own: self.is_own(frame),
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

    fn total_of(&mut self, frame: FunctionId) -> i64 {
        *self.totals.entry(frame).or_insert_with(|| self.profile.total_through(frame, self.tally.sample_type))
    }

    /// Whether the frame can be responsible: neither of the category itself nor the platform's.
    fn may_be_responsible(&self, frame: FunctionId, category: Option<Category>) -> bool {
        let is_of_it = || category.is_some() && self.claims.flags(frame).category() == category;
        !self.claims.is_platform(frame) && !is_of_it()
    }

    fn take(&mut self, frame: FunctionId) -> i64 {
        self.counts.get_mut(frame.index()).map_or(0, |(ticks, _)| std::mem::take(ticks))
    }
}

/// The frames that may be responsible: beyond the claiming frame; from the leaf where nobody claimed.
fn callers<'a>(path: &Path<'a>, category: Option<Category>) -> &'a [FunctionId] {
    path.frames.get(usize::from(category.is_some())..).unwrap_or(&[])
}
