//! Adds up a profile's claims, once, over dense arrays.

use super::{Category, Claim, Claims, Origin, Reach, RuleIndex, Rules, Runtime};
use crate::kernel::ProfileType;
use crate::profile::{FunctionId, Profile, Stack, TextId};

/// How many categories there are.
pub(super) const CATEGORIES: usize = Category::ALL.len();
const RUNTIMES: usize = Runtime::ALL.len();
/// Names that profilers put where a stack could not be walked.
const BROKEN: &[&str] =
    &["unknown_Java", "not_walkable_Java", "no_Java_frame", "[broken]", "broken stack", "(truncated)"];

/// The ticks of a profile by category, runtime and function.
pub(super) struct Tally {
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
    /// Of these, claimed by nobody.
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
            uncounted: [0; CATEGORIES],
            alone: Vec::new(),
            runtimes: [[0; RUNTIMES]; CATEGORIES],
            marks: profile.function_ids().map(|id| Mark::of(profile, id, rules, claims)).collect(),
            stack_runtimes: [0; RUNTIMES],
            places: vec![0; profile.text_count()],
            leaves: Vec::new(),
        };
        for ((stack, claim), runtime) in profile.stacks().zip(claims.claims()).zip(claims.runtimes()) {
            tally.add(stack, claim, runtime, profile, rules);
        }
        let hidden = tally.claimed(Category::Idle) + tally.claimed(Category::ProfilerOverhead);
        tally.idle = tally.claimed(Category::Idle);
        tally.active =
            if matches!(kind, ProfileType::Cpu | ProfileType::Wall) { tally.total - hidden } else { tally.total };
        tally
    }

    fn add(
        &mut self,
        stack: Stack<'_>,
        claim: Option<Claim>,
        runtime: Option<Runtime>,
        profile: &Profile,
        rules: &Rules,
    ) {
        let ticks = stack.values.get(self.sample_type).copied().unwrap_or(0);
        if ticks == 0 {
            return;
        }
        self.total = self.total.saturating_add(ticks);
        let leaf = stack.frames.first().and_then(|leaf| profile.function_texts(*leaf));
        if let Some(leaf) = leaf.and_then(|leaf| self.leaf(leaf.name)) {
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
        let seen = Mark::of_stack(&self.marks, stack.frames);
        if seen & Mark::BROKEN != 0 || stack.frames.is_empty() {
            self.broken += ticks;
        }
        let mut present = seen & Mark::CATEGORY;
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

    /// The leaf of that name.
    fn leaf(&mut self, name: TextId) -> Option<&mut Leaf> {
        let place = self.places.get_mut(name.index())?;
        if *place == 0 {
            self.leaves.push(Leaf { name, own: 0, hidden: 0, unclaimed: 0 });
            *place = u32::try_from(self.leaves.len()).ok()?;
        }
        self.leaves.get_mut(*place as usize - 1)
    }

    /// The category that a function proves by its own name.
    pub(super) fn category(&self, function: FunctionId) -> Option<Category> {
        let Mark(mark) = self.marks.get(function.index())?;
        Category::ALL.get((mark & Mark::CATEGORY).trailing_zeros() as usize).copied()
    }

    /// Whether the function can be responsible for nothing: the platform's own, without a name, or the entry of
    /// everything.
    pub(super) fn is_platform(&self, function: FunctionId) -> bool {
        self.marks.get(function.index()).is_some_and(|mark| mark.0 & Mark::PLATFORM != 0)
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

/// What is known of a function by its own name: its category as a bit, if it has one, and beside it what it is.
#[derive(Clone, Copy)]
struct Mark(u32);

impl Mark {
    /// The bits of categories, which lie below all others.
    const CATEGORY: u32 = {
        assert!(CATEGORIES <= Self::PLATFORM.trailing_zeros() as usize);
        (1 << CATEGORIES) - 1
    };
    /// Is user code: neither the platform's nor known to any rule.
    const OPAQUE: u32 = 1 << 30;
    /// May call user code.
    const WRAPPER: u32 = 1 << 31;
    /// Stands where a stack could not be walked.
    const BROKEN: u32 = 1 << 29;
    /// Can be responsible for nothing.
    const PLATFORM: u32 = 1 << 28;

    fn of(profile: &Profile, id: FunctionId, rules: &Rules, claims: &Claims) -> Self {
        let origin = claims.origin(id);
        let rule = claims.rule(id).and_then(|rule| rules.rule(rule));
        let category = claims.category(rules, id, None);
        let unresolved = category == Some(Category::Unresolved);
        let marks = [
            (Self::WRAPPER, rule.is_some_and(|rule| rule.reach == Reach::Wrapper)),
            (Self::OPAQUE, rule.is_none() && origin != Origin::Runtime),
            (Self::BROKEN, unresolved && BROKEN.iter().any(|b| profile.name(id).contains(b))),
            (Self::PLATFORM, origin == Origin::Runtime || unresolved || claims.is_entry(id)),
        ];
        let marks = marks.into_iter().filter(|(_, is)| *is).map(|(mark, _)| mark);
        Self(marks.fold(category.map_or(0, bit), |all, mark| all | mark))
    }

    /// What the frames of a stack are marked as, together. A frame that may call user code counts only where none of it
    /// runs beneath.
    fn of_stack(marks: &[Self], frames: &[FunctionId]) -> u32 {
        let mark = |frame: &FunctionId| marks.get(frame.index()).map_or(0, |mark| mark.0);
        let first_of_users = frames.iter().position(|frame| mark(frame) & Self::OPAQUE != 0).unwrap_or(frames.len());
        let (beneath, above) = frames.split_at(first_of_users);
        let alone = |mark: u32| if mark & Self::WRAPPER == 0 { mark } else { 0 };
        beneath.iter().fold(0, |seen, frame| seen | mark(frame))
            | above.iter().fold(0, |seen, frame| seen | alone(mark(frame)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::profile::{ProfileBuilder, SampleType};

    proptest! {
        #[test]
        fn a_frame_that_may_call_user_code_counts_where_none_of_it_runs_beneath(
            kinds in prop::collection::vec(0..12_u32, 1..12),
            stack in prop::collection::vec(0..12_usize, 0..20),
        ) {
            let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
            let ids: Vec<_> = (0..kinds.len()).map(|i| builder.function(&i.to_string(), "")).collect();
            let frames: Vec<_> = stack.iter().map(|i| ids[i % ids.len()]).collect();
            let mark = |kind: u32| match kind {
                0 => Mark::OPAQUE,
                1..5 => Mark::WRAPPER | 1 << kind,
                _ => 1 << kind,
            };
            let marks: Vec<_> = kinds.iter().map(|kind| Mark(mark(*kind))).collect();
            let frame_by_frame = frames.iter().fold(0, |seen, frame| {
                let Mark(mark) = marks[frame.index()];
                if mark & Mark::WRAPPER != 0 && seen & Mark::OPAQUE != 0 { seen } else { seen | mark }
            });
            prop_assert_eq!(Mark::of_stack(&marks, &frames), frame_by_frame);
        }
    }
}
