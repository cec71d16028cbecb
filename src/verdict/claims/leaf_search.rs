//! What each function does in the search for a claim, which goes from the leaf to the root.

use super::flags::FunctionFlags;
use super::wrapper_check::CalleeKinds;
use crate::profile::FunctionId;
use crate::verdict::catalogue::RuleIndex;
use crate::verdict::category::Category;

/// What a function means, in stacks of one context.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub(super) meaning: Meaning,
    /// Whether it claims all samples of the thread whose root it is.
    pub(super) is_root: bool,
    pub(super) package: u64,
}

#[derive(Clone, Copy)]
pub(super) enum Meaning {
    /// No rule applies to it in this kind of profile.
    Nothing,
    /// Its caller decides.
    Passes,
    /// It claims whatever runs beneath.
    Claims(RuleIndex, Category),
    /// It claims what is of its own package or category.
    Wraps(RuleIndex, Category),
}

/// What each function means, in stacks of one context.
pub(super) struct Meanings {
    each: Vec<Step>,
    /// The same as flags. Most frames mean nothing, and one pass over the flags of a stack shows what is in it.
    flags: Vec<FunctionFlags>,
}

impl Meanings {
    /// Of functions with these flags.
    pub(super) fn new(steps: impl Iterator<Item = Step>, flags: &[FunctionFlags]) -> Self {
        let each: Vec<_> = steps.collect();
        let flags = flags.iter().zip(&each).map(|(flags, step)| match step.meaning {
            Meaning::Nothing | Meaning::Passes => *flags,
            Meaning::Wraps(..) | Meaning::Claims(..) => flags.claiming(),
        });
        Self { flags: flags.collect(), each }
    }

    pub(super) fn of(&self, frame: FunctionId) -> Option<&Step> {
        self.each.get(frame.index())
    }

    fn flags(&self, frame: FunctionId) -> FunctionFlags {
        self.flags.get(frame.index()).copied().unwrap_or(FunctionFlags::NONE)
    }

    fn claims_all(&self, frame: FunctionId) -> bool {
        self.of(frame).is_some_and(|step| matches!(step.meaning, Meaning::Claims(..)))
    }

    /// The flags of all frames of a stack together.
    pub(super) fn together(&self, frames: &[FunctionId]) -> FunctionFlags {
        FunctionFlags::together(&self.flags, frames)
    }

    /// The same, but a frame that may call user code counts only where no user code runs beneath it.
    pub(super) fn seen(&self, frames: &[FunctionId], together: FunctionFlags) -> FunctionFlags {
        FunctionFlags::of_stack(&self.flags, frames, together)
    }

    /// The place of the frame nearest the leaf that claims what runs beneath it.
    pub(super) fn nearest_claim(&self, frames: &[FunctionId]) -> Option<usize> {
        let first = frames.iter().position(|frame| self.flags(*frame).may_claim())?;
        if frames.get(first).is_some_and(|frame| self.claims_all(*frame)) {
            return Some(first);
        }
        let mut nearer = CalleeKinds::default();
        let at = frames.iter().position(|frame| {
            let Some(Step { meaning, package, .. }) = self.of(*frame) else { return false };
            match *meaning {
                Meaning::Claims(..) => return true,
                Meaning::Passes => return false,
                Meaning::Wraps(_, category) if nearer.allow(*package, category) => return true,
                Meaning::Wraps(_, category) => nearer.add(*package, Some(category)),
                Meaning::Nothing => nearer.add(*package, None),
            }
            nearer.allows_none()
        })?;
        if !nearer.allows_none() {
            return Some(at);
        }
        // There are too many kinds: from here on no wrapper may claim.
        let further = frames.get(at..)?.iter().position(|frame| self.claims_all(*frame))?;
        Some(at + further)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::profile::{ProfileBuilder, SampleType};
    use crate::verdict::catalogue::Rules;
    use crate::verdict::names::Frame;

    fn step(rule: RuleIndex, kind: u8) -> Step {
        let category = Category::ALL[usize::from(kind % 3)];
        let meaning = match kind {
            0..3 => Meaning::Wraps(rule, category),
            3 => Meaning::Claims(rule, category),
            4 => Meaning::Passes,
            _ => Meaning::Nothing,
        };
        Step { meaning, is_root: false, package: u64::from(kind % 7) }
    }

    /// The definition: the first frame that claims whatever is nearer, or that may claim what is.
    fn frame_by_frame(steps: &Meanings, frames: &[FunctionId]) -> Option<usize> {
        let mut nearer = CalleeKinds::default();
        frames.iter().position(|frame| {
            let Step { meaning, package, .. } = *steps.of(*frame).unwrap();
            let (claims, category) = match meaning {
                Meaning::Passes => return false,
                Meaning::Nothing => (false, None),
                Meaning::Claims(_, category) => (true, Some(category)),
                Meaning::Wraps(_, category) => (nearer.allow(package, category), Some(category)),
            };
            nearer.add(package, category);
            claims
        })
    }

    proptest! {
        #[test]
        fn finds_what_a_search_frame_by_frame_does(kinds in prop::collection::vec(0..30_u8, 1..12),
                                                    stack in prop::collection::vec(0..12_usize, 0..20)) {
            let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
            let ids: Vec<_> = (0..kinds.len()).map(|i| builder.function(&i.to_string(), "")).collect();
            let frames: Vec<_> = stack.iter().map(|i| ids[i % ids.len()]).collect();
            let rule = Rules::builtin().rule_of(&Frame::of("runtime.mallocgc", ""), None).unwrap();
            let steps = Meanings::new(kinds.iter().map(|kind| step(rule, *kind)), &vec![FunctionFlags::NONE; kinds.len()]);
            let expected = frame_by_frame(&steps, &frames);
            prop_assert_eq!(steps.nearest_claim(&frames), expected);
            prop_assert!(steps.together(&frames).may_claim() || expected.is_none());
        }
    }
}
