//! What is known of a function in one word of bits, and of a stack: the bits of its frames together.

use crate::profile::FunctionId;
use crate::verdict::catalogue::{FunctionInfo, Reach, Rules};
use crate::verdict::category::{Category, Origin};

/// Names that profilers put where a stack could not be walked.
const BROKEN: &[&str] =
    &["unknown_Java", "not_walkable_Java", "no_Java_frame", "[broken]", "broken stack", "(truncated)"];

/// What a function is by its own name: a bit for its category, if it has one, and bits for what else is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::verdict) struct FunctionFlags(u32);

impl FunctionFlags {
    /// Nothing is known.
    pub(super) const NONE: Self = Self(0);
    /// The bits of categories, which are lower than all others.
    const CATEGORY: u32 = {
        assert!(Category::ALL.len() <= Self::MAY_CLAIM.trailing_zeros() as usize);
        (1 << Category::ALL.len()) - 1
    };
    /// Claims what runs beneath, or some of it, in stacks of one context.
    const MAY_CLAIM: u32 = 1 << 28;
    /// Stands where a stack could not be walked.
    const BROKEN: u32 = 1 << 29;
    /// Is the application's own code, which no rule knows.
    const OPAQUE: u32 = 1 << 30;
    /// May call user code.
    const WRAPPER: u32 = 1 << 31;

    /// The flags of a function of that name.
    pub(super) fn of(info: &FunctionInfo, rules: &Rules, name: &str) -> Self {
        let rule = info.rule(None).and_then(|rule| rules.rule(rule));
        let category = if info.unresolved { Some(Category::Unresolved) } else { rule.and_then(|rule| rule.category) };
        let flags = [
            (Self::WRAPPER, rule.is_some_and(|rule| info.reach(rule) == Reach::Wrapper)),
            (Self::OPAQUE, rule.is_none() && info.origin == Origin::App),
            (Self::BROKEN, info.unresolved && BROKEN.iter().any(|broken| name.contains(broken))),
        ];
        let flags = flags.into_iter().filter(|(_, is)| *is).map(|(mark, _)| mark);
        Self(flags.fold(category.map_or(0, bit), |all, mark| all | mark))
    }

    /// The same of a function that claims what runs beneath it, or some of it.
    pub(super) fn claiming(self) -> Self {
        Self(self.0 | Self::MAY_CLAIM)
    }

    /// The same with a category.
    pub(in crate::verdict) fn with(self, category: Category) -> Self {
        Self(self.0 | bit(category))
    }

    /// The same without a category.
    pub(super) fn without(self, category: Category) -> Self {
        Self(self.0 & !bit(category))
    }

    /// The flags of all frames together.
    pub(super) fn together(flags: &[Self], frames: &[FunctionId]) -> Self {
        Self(frames.iter().fold(0, |all, frame| all | bits(flags, *frame)))
    }

    /// The same, but a frame that may call user code counts only where no user code runs beneath it.
    pub(super) fn of_stack(flags: &[Self], frames: &[FunctionId], together: Self) -> Self {
        if together.0 & Self::WRAPPER == 0 || together.0 & Self::OPAQUE == 0 {
            return together;
        }
        let first_of_users = frames.iter().position(|f| bits(flags, *f) & Self::OPAQUE != 0).unwrap_or(frames.len());
        let (beneath, above) = frames.split_at(first_of_users);
        let alone = |bits: u32| if bits & Self::WRAPPER == 0 { bits } else { 0 };
        Self(
            beneath.iter().fold(0, |seen, frame| seen | bits(flags, *frame))
                | above.iter().fold(0, |seen, frame| seen | alone(bits(flags, *frame))),
        )
    }

    /// Whether it, or one of several, claims what runs beneath, or some of it.
    pub(super) fn may_claim(self) -> bool {
        self.0 & Self::MAY_CLAIM != 0
    }

    /// The category that a function proves by its own name.
    pub(in crate::verdict) fn category(self) -> Option<Category> {
        self.categories().next()
    }

    /// The categories of several, in their order.
    pub(in crate::verdict) fn categories(self) -> impl Iterator<Item = Category> {
        let mut left = self.0 & Self::CATEGORY;
        std::iter::from_fn(move || {
            let category = Category::ALL.get(left.trailing_zeros() as usize).copied()?;
            left &= left - 1;
            Some(category)
        })
    }

    /// Whether the stack could not be walked.
    pub(in crate::verdict) fn is_broken(self) -> bool {
        self.0 & Self::BROKEN != 0
    }
}

fn bits(flags: &[FunctionFlags], frame: FunctionId) -> u32 {
    flags.get(frame.index()).map_or(0, |mark| mark.0)
}

fn bit(category: Category) -> u32 {
    1 << category as u32
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
                0 => FunctionFlags::OPAQUE,
                1..5 => FunctionFlags::WRAPPER | 1 << kind,
                _ => 1 << kind,
            };
            let flags: Vec<_> = kinds.iter().map(|kind| FunctionFlags(mark(*kind))).collect();
            let frame_by_frame = frames.iter().fold(0, |seen, frame| {
                let FunctionFlags(mark) = flags[frame.index()];
                if mark & FunctionFlags::WRAPPER != 0 && seen & FunctionFlags::OPAQUE != 0 { seen } else { seen | mark }
            });
            let together = FunctionFlags::together(&flags, &frames);
            prop_assert_eq!(FunctionFlags::of_stack(&flags, &frames, together), FunctionFlags(frame_by_frame));
        }
    }
}
