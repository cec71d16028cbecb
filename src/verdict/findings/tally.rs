//! Adds up a profile's claims, once, over dense arrays.

use crate::kernel::ProfileType;
use crate::profile::{FunctionId, Profile, Stack, TextId};
use crate::verdict::catalogue::{RuleIndex, Rules};
use crate::verdict::category::{Category, Layer, Runtime};
use crate::verdict::claims::{Claims, StackFacts};
use crate::verdict::names::TIME_MARKERS;

/// How many categories there are.
pub(super) const CATEGORIES: usize = Category::ALL.len();
const RUNTIMES: usize = Runtime::ALL.len();

/// The ticks of a profile by category, runtime and function.
pub(super) struct Tally {
    pub(super) sample_type: usize,
    pub(super) total: i64,
    /// All ticks but idle ones and the profiler's own, for kinds that have such; all ticks for other kinds.
    pub(super) active: i64,
    pub(super) idle: i64,
    pub(super) broken: i64,
    /// Ticks claimed as the category.
    claimed: [i64; CATEGORIES],
    /// Ticks of stacks that hold the category anywhere, once each.
    inclusive: [i64; CATEGORIES],
    /// Of the inclusive ticks of the first, those claimed as the second.
    beneath: Vec<[i64; CATEGORIES]>,
    /// Ticks of stacks that hold both of two purposes.
    both: Vec<[i64; CATEGORIES]>,
    /// Ticks of the category that rules report and do not count.
    uncounted: [i64; CATEGORIES],
    /// Ticks of rules whose claims alone may make a diagnosis: rule, category, percent needed, ticks.
    alone: Vec<(RuleIndex, Category, f64, i64)>,
    runtimes: [[i64; RUNTIMES]; CATEGORIES],
    stack_runtimes: [i64; RUNTIMES],
    /// Of each interned name, its place among the leaves, plus 1; 0 where no stack ends in it.
    places: Vec<u32>,
    pub(super) leaves: Vec<Leaf>,
}

/// The ticks of stacks that end in functions of one name.
#[derive(Clone, Copy)]
pub(super) struct Leaf {
    pub(super) name: TextId,
    pub(super) own: i64,
    /// Of these, claimed idle or the profiler's own.
    pub(super) hidden: i64,
    /// The unclaimed ones among them.
    pub(super) unclaimed: i64,
}

impl Tally {
    pub(super) fn of(profile: &Profile, sample_type: usize, kind: ProfileType, rules: &Rules, claims: &Claims) -> Self {
        let mut tally = Self {
            sample_type,
            total: 0,
            active: 0,
            idle: 0,
            broken: 0,
            claimed: [0; CATEGORIES],
            inclusive: [0; CATEGORIES],
            beneath: vec![[0; CATEGORIES]; CATEGORIES],
            both: vec![[0; CATEGORIES]; CATEGORIES],
            uncounted: [0; CATEGORIES],
            alone: Vec::new(),
            runtimes: [[0; RUNTIMES]; CATEGORIES],
            stack_runtimes: [0; RUNTIMES],
            places: vec![0; profile.text_count()],
            leaves: Vec::new(),
        };
        let is_marker = |id: &FunctionId| TIME_MARKERS.contains(&profile.name(*id));
        let markers: Vec<_> = profile.function_ids().filter(is_marker).collect();
        for (stack, judged) in profile.stacks().zip(claims.stacks()) {
            // Their time is the function's above them.
            let leaf = stack.frames.iter().find(|frame| !markers.contains(frame));
            let leaf = leaf.and_then(|leaf| profile.function_texts(*leaf)).map(|leaf| leaf.name);
            tally.add(stack, judged, leaf, rules);
        }
        let hidden = tally.claimed(Category::Idle) + tally.claimed(Category::ProfilerOverhead);
        tally.idle = tally.claimed(Category::Idle);
        tally.active = if has_idle(kind) { tally.total - hidden } else { tally.total };
        tally
    }

    fn add(&mut self, stack: Stack<'_>, judged: &StackFacts, leaf: Option<TextId>, rules: &Rules) {
        let &StackFacts { claim, runtime, seen } = judged;
        let ticks = stack.values.get(self.sample_type).copied().unwrap_or(0);
        if ticks == 0 {
            return;
        }
        self.total = self.total.saturating_add(ticks);
        if let Some(leaf) = leaf.and_then(|leaf| self.leaf(leaf)) {
            leaf.own += ticks;
            match claim {
                None => leaf.unclaimed += ticks,
                Some(claim) if !claim.category.is_active() => leaf.hidden += ticks,
                Some(_) => {}
            }
        }
        if let Some(place) = runtime.and_then(|r| self.stack_runtimes.get_mut(r as usize)) {
            *place += ticks;
        }
        if seen.is_broken() || stack.frames.is_empty() {
            self.broken += ticks;
        }
        if let Some(claim) = claim {
            if !claim.counted {
                add(&mut self.uncounted, claim.category, ticks);
                return;
            }
            add(&mut self.claimed, claim.category, ticks);
            let rule = claim.rule.and_then(|index| Some((index, rules.rule(index)?.alone?)));
            if let Some((index, needed)) = rule {
                match self.alone.iter_mut().find(|(i, ..)| *i == index) {
                    Some((.., sum)) => *sum += ticks,
                    None => self.alone.push((index, claim.category, needed, ticks)),
                }
            }
            if let Some(place) =
                self.runtimes.get_mut(claim.category as usize).and_then(|r| r.get_mut(claim.runtime as usize))
            {
                *place += ticks;
            }
        }
        for category in judged.held() {
            add(&mut self.inclusive, category, ticks);
            if let (Some(claim), Some(row)) = (claim, self.beneath.get_mut(category as usize)) {
                add(row, claim.category, ticks);
            }
        }
        let purposes = || judged.held().filter(|category| category.layer() == Layer::Purpose);
        for one in purposes() {
            for other in purposes().filter(|other| *other != one) {
                if let Some(row) = self.both.get_mut(one as usize) {
                    add(row, other, ticks);
                }
            }
        }
    }

    /// The leaf of that name.
    fn leaf(&mut self, name: TextId) -> Option<&mut Leaf> {
        let place = self.places.get_mut(name.index())?;
        if *place == 0 {
            self.leaves.push(Leaf { name, own: 0, hidden: 0, unclaimed: 0 });
            *place = u32::try_from(self.leaves.len()).ok()?;
        }
        self.leaves.get_mut(*place as usize - 1)
    }

    /// Ticks, and percent needed, of the category's rules whose claims alone may make a diagnosis.
    pub(super) fn alone(&self, category: Category) -> impl Iterator<Item = (i64, f64)> {
        self.alone.iter().filter(move |(_, c, ..)| *c == category).map(|(_, _, needed, ticks)| (*ticks, *needed))
    }

    /// Ticks of the category that rules report and do not count.
    pub(super) fn uncounted(&self, category: Category) -> i64 {
        at(&self.uncounted, category)
    }

    /// Ticks claimed as the category.
    pub(super) fn claimed(&self, category: Category) -> i64 {
        at(&self.claimed, category)
    }

    /// Ticks of stacks that hold the category anywhere.
    pub(super) fn inclusive(&self, category: Category) -> i64 {
        at(&self.inclusive, category)
    }

    /// Of the inclusive ticks of `purpose`, those claimed as `mechanism`.
    pub(super) fn beneath(&self, purpose: Category, mechanism: Category) -> i64 {
        self.beneath.get(purpose as usize).map_or(0, |row| at(row, mechanism))
    }

    /// Ticks of stacks that hold both purposes.
    pub(super) fn both(&self, one: Category, other: Category) -> i64 {
        self.both.get(one as usize).map_or(0, |row| at(row, other))
    }

    /// The runtime that most of the category's ticks belong to.
    pub(super) fn runtime(&self, category: Category) -> Option<Runtime> {
        self.runtimes.get(category as usize).and_then(heaviest)
    }

    /// The runtime that most of the profile's ticks belong to.
    pub(super) fn main_runtime(&self) -> Option<Runtime> {
        heaviest(&self.stack_runtimes)
    }
}

/// Whether ticks of this kind may be idle: threads that wait for work use no CPU, and wait for no lock.
fn has_idle(kind: ProfileType) -> bool {
    matches!(kind, ProfileType::Cpu | ProfileType::Wall | ProfileType::Lock | ProfileType::Samples)
}

fn at(ticks: &[i64; CATEGORIES], category: Category) -> i64 {
    ticks.get(category as usize).copied().unwrap_or(0)
}

fn add(ticks: &mut [i64; CATEGORIES], category: Category, by: i64) {
    if let Some(place) = ticks.get_mut(category as usize) {
        *place = place.saturating_add(by);
    }
}

/// The runtime with most ticks; of several the first of the list.
fn heaviest(ticks: &[i64; RUNTIMES]) -> Option<Runtime> {
    let most = ticks.iter().copied().max().filter(|most| *most > 0)?;
    ticks.iter().position(|t| *t == most).and_then(|i| Runtime::ALL.get(i)).copied()
}
