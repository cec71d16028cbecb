//! Which frame claims a stack: from the leaf up, the first claim within its reach. Rules for the root (a VM's thread)
//! come first.

use super::by_kind::{as_lock, parked_is_idle};
use super::flags::FunctionFlags;
use super::leaf_search::{Meaning, Meanings, Step};
use super::{crates, imports, interpreter_lock, kernel_context, threads};
use crate::kernel::ProfileType;
use crate::profile::{FunctionId, Profile, Stack};
use crate::verdict::catalogue::{CauseIndex, FunctionInfo, Reach, Rule, RuleIndex, Rules, function_infos};
use crate::verdict::category::{Category, Layer, Origin, Runtime};
use crate::verdict::events::Event;

/// What one stack was claimed as, and by which of its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// What the program was doing.
    pub category: Category,
    /// The frame that proves it.
    pub frame: FunctionId,
    /// The rule that says so; `None` for [`Category::Unresolved`], which no rule but the spelling proves, and where the
    /// kind of profile does.
    pub rule: Option<RuleIndex>,
    /// The runtime of the stack.
    pub runtime: Runtime,
    /// Whether it counts in its category. Marking done by an otherwise idle processor is reported and not counted.
    pub counted: bool,
}

/// The claims on all stacks of a profile, in their order.
#[derive(Debug, Clone)]
pub struct Claims {
    list: Vec<StackFacts>,
    infos: Vec<FunctionInfo>,
    flags: Vec<FunctionFlags>,
    native_frames: bool,
    /// The one language of the whole profile, if it has one.
    language: Option<Runtime>,
}

/// What is known of one stack.
#[derive(Debug, Clone, Copy)]
pub(in crate::verdict) struct StackFacts {
    /// `None` where no rule claims it.
    pub(in crate::verdict) claim: Option<Claim>,
    /// `None` where no frame shows one.
    pub(in crate::verdict) runtime: Option<Runtime>,
    /// What its frames are marked as, together, but that those that may call user code count only where none of it runs
    /// beneath.
    pub(in crate::verdict) seen: FunctionFlags,
}

impl StackFacts {
    /// The categories that its ticks belong to together with what runs beneath: none if it is idle or only reported, and
    /// of bytes that are moved only what moving them is part of.
    pub(in crate::verdict) fn held(&self) -> impl Iterator<Item = Category> {
        let is_held = self.claim.is_none_or(|claim| claim.counted && claim.category.is_active());
        let seen = match self.claim {
            Some(claim) if is_held => self.seen.with(claim.category),
            None => self.seen,
            Some(_) => FunctionFlags::NONE,
        };
        let is_moved = self.claim.is_some_and(|claim| claim.category.layer() == Layer::Transport);
        seen.categories().filter(move |category| !is_moved || category.includes_transport())
    }
}

impl Claims {
    /// Finds the claim on every stack of the profile.
    pub fn of(rules: &Rules, profile: &Profile, kind: ProfileType) -> Self {
        let mut infos = function_infos(rules, profile);
        threads::mark_commands(&mut infos, rules, profile);
        imports::mark_main_module(&mut infos, profile);
        let language = only_language(&infos);
        if language == Some(Runtime::Rust) {
            crates::mark_libraries(&mut infos, profile);
        }
        let functions = infos.iter().zip(profile.function_ids());
        let flags: Vec<_> = functions.map(|(info, id)| FunctionFlags::of(info, rules, profile.name(id))).collect();
        let native_frames = infos.iter().any(|s| s.own.is_some_and(|own| !own.is_language()))
            || infos.iter().any(|s| s.own.is_none() && s.rule(None).is_some());
        let judge = Judge {
            rules,
            profile,
            infos: &infos,
            flags: &flags,
            kind,
            event: Event::of(kind, profile.sample_types()),
            parked_is_idle: parked_is_idle(kind, &infos, native_frames, profile),
            language,
            interpreter_lock: interpreter_lock::rule(rules),
            has_roots: infos
                .iter()
                .flat_map(FunctionInfo::rules)
                .any(|r| rules.rule(r).is_some_and(|r| r.reach == Reach::Root)),
        };
        // There are only a few contexts, so a search takes less than hashing.
        let mut steps: Vec<(Option<Runtime>, Meanings)> = Vec::new();
        let claim = |stack: Stack<'_>| {
            let runtime = judge.runtime(stack.frames);
            let context = FunctionInfo::context(runtime);
            let known = steps.iter().position(|(of, _)| *of == context).unwrap_or_else(|| {
                steps.push((context, judge.steps(context)));
                steps.len() - 1
            });
            let nothing = StackFacts { claim: None, runtime, seen: FunctionFlags::NONE };
            steps.get(known).map_or(nothing, |(_, steps)| judge.judge(stack.frames, runtime, steps))
        };
        let mut list: Vec<_> = profile.stacks().map(claim).collect();
        if matches!(kind, ProfileType::Wall | ProfileType::Samples) {
            threads::mark_parked(&mut list, profile);
        }
        kernel_context::mark_kernel(&mut infos, profile);
        Self { list, infos, flags, native_frames, language }
    }

    /// What is known of each stack of the profile, in order.
    pub(in crate::verdict) fn stacks(&self) -> impl Iterator<Item = &StackFacts> {
        self.list.iter()
    }

    /// One claim per stack of the profile, in order; `None` where no rule claims it.
    pub fn claims(&self) -> impl Iterator<Item = Option<Claim>> {
        self.list.iter().map(|stack| stack.claim)
    }

    /// The runtime of each stack, in order; `None` where no frame shows one.
    pub fn runtimes(&self) -> impl Iterator<Item = Option<Runtime>> {
        self.list.iter().map(|stack| stack.runtime)
    }

    /// What the function is by its own name, in a stack of no particular runtime.
    pub(in crate::verdict) fn flags(&self, function: FunctionId) -> FunctionFlags {
        self.flags.get(function.index()).copied().unwrap_or(FunctionFlags::NONE)
    }

    /// Whether the function can be responsible for nothing: the platform's own, without a name, or the entry of everything.
    /// In a profile of Node.js, bare words are the VM's and its bindings: all other functions have a file.
    pub(in crate::verdict) fn is_platform(&self, function: FunctionId) -> bool {
        let is_bare = |info: &FunctionInfo| info.own.is_none() && info.package == 0;
        let is_binding = |info| self.language == Some(Runtime::Node) && is_bare(info);
        let info = self.infos.get(function.index());
        info.is_some_and(|info| info.origin == Origin::Runtime || info.unresolved || info.entry || is_binding(info))
    }

    /// Whose code the function is.
    pub fn origin(&self, function: FunctionId) -> Origin {
        self.infos.get(function.index()).map_or(Origin::App, |info| info.origin)
    }

    /// Whether the function is the application's own: neither a library's nor the platform's. In a profile of one
    /// language, native functions and bare words are the VM's; Rust has none, and its names may look like C++.
    pub(in crate::verdict) fn is_first_party(&self, function: FunctionId) -> bool {
        let info = self.infos.get(function.index());
        let speaks = |info: &FunctionInfo| {
            let is_rust = self.language == Some(Runtime::Rust) && info.own == Some(Runtime::Native);
            info.own == self.language || (is_rust || info.own.is_none()) && info.package != 0
        };
        self.origin(function) == Origin::App
            && !self.is_platform(function)
            && (self.language.is_none() || info.is_some_and(speaks))
    }

    /// What the ticks come from that the function claims, if its name tells.
    pub(in crate::verdict) fn cause(&self, function: FunctionId) -> Option<CauseIndex> {
        self.infos.get(function.index())?.cause
    }

    /// Whether the sampler saw frames below the language: native libraries, the VM's own code or the kernel.
    pub fn native_frames(&self) -> bool {
        self.native_frames
    }
}

/// The one language that names of the profile speak; `None` where they speak none or several.
fn only_language(infos: &[FunctionInfo]) -> Option<Runtime> {
    let mut managed = infos.iter().filter_map(|info| info.own).filter(|own| own.is_language());
    let first = managed.next()?;
    managed.all(|own| own == first).then_some(first)
}

pub(super) struct Judge<'j> {
    pub(super) rules: &'j Rules,
    pub(super) profile: &'j Profile,
    infos: &'j [FunctionInfo],
    flags: &'j [FunctionFlags],
    kind: ProfileType,
    /// The event that the profile counts, if it counts events.
    event: Option<Event>,
    pub(super) parked_is_idle: bool,
    /// The one language of the whole profile, if it has one.
    language: Option<Runtime>,
    /// The rule of the interpreter's lock.
    pub(super) interpreter_lock: Option<RuleIndex>,
    /// Whether any frame of the profile may be the root of a thread of the VM.
    has_roots: bool,
}

/// How many frames from the root are asked for a thread of the VM.
pub(super) const ROOT_DEPTH: usize = 24;

impl<'j> Judge<'j> {
    pub(super) fn info(&self, function: FunctionId) -> &'j FunctionInfo {
        self.infos.get(function.index()).unwrap_or(&FunctionInfo::UNKNOWN)
    }

    pub(super) fn rule(&self, function: FunctionId, runtime: Option<Runtime>) -> Option<(RuleIndex, &'j Rule)> {
        let index = self.info(function).rule(runtime)?;
        self.rules.rule(index).map(|rule| (index, rule))
    }

    /// The language most frames speak; failing that, the one whose VM the rules see; failing that, native or kernel.
    fn runtime(&self, frames: &[FunctionId]) -> Option<Runtime> {
        if self.language.is_some() && frames.iter().any(|frame| self.info(*frame).own == self.language) {
            return self.language;
        }
        let mut spoken = [0_u32; Runtime::ALL.len()];
        let mut hinted = [0_u32; Runtime::ALL.len()];
        for frame in frames {
            let info = self.info(*frame);
            if let Some(n) = info.own.and_then(|own| spoken.get_mut(own as usize)) {
                *n += 1;
            }
            // The kernel and an interpreter may call functions alike.
            let hint = self.rule(*frame, None).filter(|_| info.own != Some(Runtime::Kernel));
            if let Some(n) = hint.and_then(|(_, rule)| hinted.get_mut(rule.runtime as usize)) {
                *n += 1;
            }
        }
        let managed = |counts: &[u32]| {
            let best = Runtime::ALL.iter().zip(counts).filter(|(r, n)| **n > 0 && r.is_language());
            best.rev().max_by_key(|(_, n)| **n).map(|(r, _)| *r)
        };
        managed(&spoken).or_else(|| managed(&hinted)).or_else(|| {
            let count = |r: Runtime| spoken.get(r as usize).max(hinted.get(r as usize)).copied().unwrap_or(0);
            match (count(Runtime::Native), count(Runtime::Kernel)) {
                (0, 0) => None,
                (0, _) => Some(Runtime::Kernel),
                _ => Some(Runtime::Native),
            }
        })
    }

    fn judge(&self, frames: &[FunctionId], runtime: Option<Runtime>, steps: &Meanings) -> StackFacts {
        let together = steps.together(frames);
        let near = together.may_claim().then(|| self.claim_near_leaf(frames, runtime, steps)).flatten();
        let claim = self.claim(frames, runtime, steps, near);
        let claim = claim.map(|claim| self.as_interpreter_lock(claim, frames));
        // Whoever wants to run Python code waits for the lock, whatever that code is for.
        let is_held_up = claim.is_some_and(|claim| claim.rule.is_some() && claim.rule == self.interpreter_lock);
        let seen = if is_held_up { FunctionFlags::NONE } else { steps.seen(frames, together) };
        let (claim, seen) = match claim.filter(|claim| self.calls_back(claim, frames)) {
            Some(library) => (None, seen.without(library.category)),
            None => (claim, seen),
        };
        let claim = if self.kind == ProfileType::Lock { as_lock(frames, runtime, claim) } else { claim };
        StackFacts { claim, runtime, seen }
    }

    fn claim(
        &self,
        frames: &[FunctionId],
        runtime: Option<Runtime>,
        steps: &Meanings,
        near: Option<Claim>,
    ) -> Option<Claim> {
        if let Some(root) = self.claim_of_root(frames, runtime, steps) {
            let resting = near.is_some_and(|n| matches!(n.category, Category::ThreadWaiting | Category::Idle));
            if !(resting && self.parked_is_idle) {
                return Some(root);
            }
            return near.map(|n| Claim { category: Category::Idle, ..n });
        }
        near.or_else(|| {
            let leaf = *frames.first()?;
            self.info(leaf).unresolved.then(|| Claim {
                category: Category::Unresolved,
                frame: leaf,
                rule: None,
                runtime: runtime.unwrap_or(Runtime::Native),
                counted: true,
            })
        })
    }

    fn claim_of_root(&self, frames: &[FunctionId], runtime: Option<Runtime>, steps: &Meanings) -> Option<Claim> {
        if !self.has_roots {
            return None;
        }
        let is_root = |frame: &FunctionId| steps.of(*frame).is_some_and(|step| step.is_root);
        let (at, root) = frames.iter().enumerate().rev().take(ROOT_DEPTH).find(|(_, frame)| is_root(frame))?;
        let (index, rule) = self.rule(*root, runtime)?;
        let category = rule.category?;
        let spare = frames.iter().take(at).rev().take(ROOT_DEPTH).find_map(|frame| {
            let (index, rule) = self.rule(*frame, runtime)?;
            (!rule.counted && rule.category == Some(category)).then_some((*frame, index))
        });
        let (frame, rule_index) = spare.unwrap_or((*root, index));
        Some(Claim {
            category,
            frame,
            rule: Some(rule_index),
            runtime: runtime.unwrap_or(rule.runtime),
            counted: spare.is_none(),
        })
    }

    fn claim_near_leaf(&self, frames: &[FunctionId], runtime: Option<Runtime>, steps: &Meanings) -> Option<Claim> {
        let at = steps.nearest_claim(frames)?;
        let frame = *frames.get(at)?;
        let (Meaning::Claims(index, category) | Meaning::Wraps(index, category)) = steps.of(frame)?.meaning else {
            return None;
        };
        let rule = self.rules.rule(index)?;
        let claim = Claim {
            category,
            frame,
            rule: Some(index),
            runtime: runtime.unwrap_or(rule.runtime),
            counted: rule.counted,
        };
        Some(self.settle(claim, rule, frames.get(at + 1..).unwrap_or(&[]), runtime))
    }

    /// What each function means in stacks of that context.
    fn steps(&self, context: Option<Runtime>) -> Meanings {
        let mean = |info: &FunctionInfo| {
            let rule = info.rule(context).and_then(|index| Some((index, self.rules.rule(index)?)));
            let meaning = match rule.map(|(index, rule)| (index, rule, self.category_in_kind(rule))) {
                Some((_, rule, _)) if rule.pass_through => Meaning::Passes,
                Some((index, rule, Some(category))) if info.reach(rule) == Reach::Wrapper => {
                    Meaning::Wraps(index, category)
                }
                Some((index, _, Some(category))) => Meaning::Claims(index, category),
                _ => Meaning::Nothing,
            };
            Step { meaning, is_root: rule.is_some_and(|(_, rule)| rule.reach == Reach::Root), package: info.package }
        };
        Meanings::new(self.infos.iter().map(mean), self.flags)
    }

    /// What the rule claims in profiles of this kind. Where bytes are counted, the allocator's own frames stand at
    /// every leaf and say nothing: their callers decide; nor does anything rest there, nor switch: a scheduler allocates
    /// for the threads and tasks that are started. Where events are counted the same
    /// holds of what raises them.
    fn category_in_kind(&self, rule: &Rule) -> Option<Category> {
        let category = rule.category?;
        if self.event.is_some_and(|event| event.category() == category) {
            return None;
        }
        match self.kind {
            ProfileType::Alloc | ProfileType::Inuse
                if matches!(category, Category::Allocation | Category::Idle | Category::Scheduling) =>
            {
                None
            }
            _ => Some(category),
        }
    }
}
