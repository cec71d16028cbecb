//! Adds up a profile's claims, once, over dense arrays.

use super::{Category, Claims, Origin, Reach, RuleIndex, Rules, Runtime};
use crate::kernel::ProfileType;
use crate::profile::{FunctionId, Profile, Stack, TextId};

/// How many categories there are.
pub(super) const CATEGORIES: usize = Category::ALL.len();
const RUNTIMES: usize = Runtime::ALL.len();
/// Names that profilers put where a stack could not be walked.
const BROKEN: &[&str] =
    &["unknown_Java", "not_walkable_Java", "no_Java_frame", "[broken]", "broken stack", "(truncated)"];

/// The ticks of a profile by category, runtime and function.
pub(super) struct Tally<'p> {
    pub(super) stacks: Vec<Stack<'p>>,
    pub(super) sample_type: usize,
    pub(super) total: i64,
    /// All ticks but idle ones and the profiler's own, for cpu and wall; all ticks for other kinds.
    pub(super) active: i64,
    pub(super) idle: i64,
    pub(super) broken: i64,
    /// Ticks claimed as the category.
    claimed: [i64; CATEGORIES],
    /// Ticks of stacks that hold the category anywhere, once each.
    inclusive: [i64; CATEGORIES],
    /// Of the inclusive ticks of the first, those claimed as the second.
    beneath: Vec<[i64; CATEGORIES]>,
    /// Ticks of the category that rules report and do not count.
    uncounted: [i64; CATEGORIES],
    /// Ticks of rules whose claims alone may make a diagnosis: rule, category, percent needed, ticks.
    alone: Vec<(RuleIndex, Category, f64, i64)>,
    runtimes: [[i64; RUNTIMES]; CATEGORIES],
    marks: Vec<Mark>,
    stack_runtimes: [i64; RUNTIMES],
    /// By interned name.
    by_name: Vec<NameTicks>,
    /// The names of all leaves.
    pub(super) names: Vec<TextId>,
}

/// The ticks of stacks that end in a function.
#[derive(Clone, Copy, Default)]
pub(super) struct NameTicks {
    seen: bool,
    pub(super) own: i64,
    /// Of these, claimed idle or the profiler's own.
    pub(super) hidden: i64,
    /// Of these, claimed by nobody.
    pub(super) unclaimed: i64,
}

impl<'p> Tally<'p> {
    pub(super) fn of(
        profile: &'p Profile,
        sample_type: usize,
        kind: ProfileType,
        rules: &Rules,
        claims: &Claims,
    ) -> Self {
        let mut tally = Self {
            stacks: profile.stacks().collect(),
            sample_type,
            total: 0,
            active: 0,
            idle: 0,
            broken: 0,
            claimed: [0; CATEGORIES],
            inclusive: [0; CATEGORIES],
            beneath: vec![[0; CATEGORIES]; CATEGORIES],
            uncounted: [0; CATEGORIES],
            alone: Vec::new(),
            runtimes: [[0; RUNTIMES]; CATEGORIES],
            marks: profile.function_ids().map(|id| Mark::of(profile, id, rules, claims)).collect(),
            stack_runtimes: [0; RUNTIMES],
            by_name: vec![NameTicks::default(); profile.text_count()],
            names: Vec::new(),
        };
        for index in 0..tally.stacks.len() {
            tally.add(index, profile, rules, claims);
        }
        let hidden = tally.claimed(Category::Idle) + tally.claimed(Category::ProfilerOverhead);
        tally.idle = tally.claimed(Category::Idle);
        tally.active =
            if matches!(kind, ProfileType::Cpu | ProfileType::Wall) { tally.total - hidden } else { tally.total };
        tally
    }

    fn add(&mut self, index: usize, profile: &Profile, rules: &Rules, claims: &Claims) {
        let Some(stack) = self.stacks.get(index).copied() else { return };
        let ticks = stack.values.get(self.sample_type).copied().unwrap_or(0);
        if ticks == 0 {
            return;
        }
        self.total = self.total.saturating_add(ticks);
        let claim = claims.claims().get(index).copied().flatten();
        let leaf = stack.frames.first().and_then(|leaf| profile.function_texts(*leaf));
        if let Some((leaf, place)) = leaf.and_then(|l| self.by_name.get_mut(l.name.index()).map(|place| (l, place))) {
            if !std::mem::replace(&mut place.seen, true) {
                self.names.push(leaf.name);
            }
            place.own += ticks;
            match claim {
                None => place.unclaimed += ticks,
                Some(claim) if !claim.category.is_active() => place.hidden += ticks,
                Some(_) => {}
            }
        }
        if let Some(place) =
            claims.runtimes().get(index).copied().flatten().and_then(|r| self.stack_runtimes.get_mut(r as usize))
        {
            *place += ticks;
        }
        let (mut present, broken) = self.present(stack.frames);
        if broken || stack.frames.is_empty() {
            self.broken += ticks;
        }
        if let Some(claim) = claim {
            if !claim.counted {
                add(&mut self.uncounted, claim.category, ticks);
                return;
            }
            present |= bit(claim.category);
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
        while present != 0 {
            let Some(category) = Category::ALL.get(present.trailing_zeros() as usize).copied() else { break };
            present &= present - 1;
            add(&mut self.inclusive, category, ticks);
            if let (Some(claim), Some(row)) = (claim, self.beneath.get_mut(category as usize)) {
                add(row, claim.category, ticks);
            }
        }
    }

    /// The categories whose frames stand in the stack, as bits, and whether the stack is broken. A frame that may call
    /// user code counts only where none of it runs beneath.
    fn present(&self, frames: &[FunctionId]) -> (u32, bool) {
        let (mut present, mut opaque, mut broken) = (0, false, false);
        for frame in frames {
            let Some(mark) = self.marks.get(frame.index()) else { continue };
            if !(mark.wrapper && opaque) {
                present |= mark.bit;
            }
            opaque |= mark.opaque;
            broken |= mark.broken;
        }
        (present, broken)
    }

    /// The category that a function proves by its own name.
    pub(super) fn category(&self, function: FunctionId) -> Option<Category> {
        self.marks.get(function.index()).and_then(|mark| mark.category)
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

    /// The ticks of stacks that end in a function of that name.
    pub(super) fn ticks_of(&self, name: TextId) -> NameTicks {
        self.by_name.get(name.index()).copied().unwrap_or_default()
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

fn bit(category: Category) -> u32 {
    1 << category as u32
}

/// What is known of a function by its own name.
#[derive(Clone, Copy)]
struct Mark {
    category: Option<Category>,
    /// The category as a bit.
    bit: u32,
    /// May call user code.
    wrapper: bool,
    /// Is user code: neither the platform's nor known to any rule.
    opaque: bool,
    /// Stands where a stack could not be walked.
    broken: bool,
}

impl Mark {
    fn of(profile: &Profile, id: FunctionId, rules: &Rules, claims: &Claims) -> Self {
        let rule = claims.rule(id).and_then(|rule| rules.rule(rule));
        let category = claims.category(rules, id, None);
        Self {
            category,
            bit: category.map_or(0, bit),
            wrapper: rule.is_some_and(|rule| rule.reach == Reach::Wrapper),
            opaque: rule.is_none() && claims.origin(id) != Origin::Runtime,
            broken: category == Some(Category::Unresolved) && BROKEN.iter().any(|b| profile.name(id).contains(b)),
        }
    }
}
