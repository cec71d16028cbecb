//! The profile model: interned texts and functions, stacks as runs of function ids, values per sample type.
//!
//! It is flat, so that a table of functions or a verdict goes through each stack once, from the leaf, over dense
//! arrays.

use std::sync::Arc;

/// What the values of a profile count, such as `cpu` in `nanoseconds`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct SampleType {
    /// The name, as the source spells it.
    pub name: String,
    /// The unit, as the source spells it.
    pub unit: String,
}

impl SampleType {
    /// A sample type of that name and unit.
    pub fn new(name: impl Into<String>, unit: impl Into<String>) -> Self {
        Self { name: name.into(), unit: unit.into() }
    }
}

/// The place of an interned text in its profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TextId(pub(super) u32);

impl TextId {
    /// The id as an index into an array of [`Profile::text_count`] places.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The place of a function in its profile: dense, from 0.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionId(pub(super) u32);

impl FunctionId {
    /// Stands for no function; there are never so many.
    pub(super) const NONE: Self = Self(u32::MAX);

    /// Whether one of them may be [`Self::NONE`]. They are checked all at once; `false` means that none is.
    pub(super) fn may_be_none(four: [Self; 4]) -> bool {
        four.iter().fold(0, |all, id| all | id.0) > u32::MAX / 2
    }

    /// The id as an index into an array of [`Profile::function_count`] places.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A function: its name and its file (empty if unknown), spelled as in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Function {
    /// The name.
    pub name: TextId,
    /// The file; the empty text where unknown.
    pub file: TextId,
}

/// One stack with its values.
#[derive(Debug, Clone, Copy)]
pub struct Stack<'p> {
    /// The functions, leaf first. Empty only where the source sent a sample without a stack.
    pub frames: &'p [FunctionId],
    /// One value per sample type.
    pub values: &'p [i64],
}

/// The texts and functions of a profile; profiles made from one another share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Symbols {
    pub(super) text: String,
    pub(super) text_ends: Vec<u32>,
    pub(super) functions: Vec<Function>,
    /// Of each function up to the last with one, its line; 0 where it is not known.
    pub(super) lines: Vec<u32>,
}

impl Symbols {
    fn text(&self, id: u32) -> &str {
        let end = self.text_ends.get(id as usize).map_or(0, |end| *end as usize);
        let start = id.checked_sub(1).and_then(|i| self.text_ends.get(i as usize)).map_or(0, |end| *end as usize);
        self.text.get(start..end).unwrap_or("")
    }
}

/// A profile: stacks of functions with one value per sample type. Immutable; made by [`super::ProfileBuilder`].
#[derive(Debug, Clone, Default)]
pub struct Profile {
    sample_types: Vec<SampleType>,
    symbols: Arc<Symbols>,
    stacks: Stacks,
}

/// The stacks of a profile, side by side.
#[derive(Debug, Clone, Default)]
pub(super) struct Stacks {
    pub(super) frames: Vec<FunctionId>,
    pub(super) ends: Vec<u32>,
    pub(super) values: Vec<i64>,
}

impl Profile {
    pub(super) fn from_parts(sample_types: Vec<SampleType>, symbols: Arc<Symbols>, stacks: Stacks) -> Self {
        Self { sample_types, symbols, stacks }
    }

    /// Whether ids of functions and texts mean the same in both.
    pub fn shares_functions(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.symbols, &other.symbols)
    }

    /// What the values count, in the order of [`Stack::values`].
    pub fn sample_types(&self) -> &[SampleType] {
        &self.sample_types
    }

    /// How many functions there are; ids run from 0 to one less.
    pub fn function_count(&self) -> usize {
        self.symbols.functions.len()
    }

    /// All function ids, in order.
    pub fn function_ids(&self) -> impl ExactSizeIterator<Item = FunctionId> + Clone + use<> {
        #[expect(clippy::cast_possible_truncation, reason = "the builder numbers functions in u32")]
        (0..self.symbols.functions.len()).map(|i| FunctionId(i as u32))
    }

    /// The function's name and file.
    pub fn function(&self, id: FunctionId) -> (&str, &str) {
        self.function_texts(id).map_or(("", ""), |f| (self.text(f.name), self.text(f.file)))
    }

    /// The function's name.
    pub fn name(&self, id: FunctionId) -> &str {
        self.function_texts(id).map_or("", |f| self.text(f.name))
    }

    /// A line of the function in its file: the one it starts in where the profiler recorded that, else the lowest that was
    /// sampled in it; `None` where the profile has neither.
    pub fn line(&self, id: FunctionId) -> Option<u32> {
        self.symbols.lines.get(id.index()).copied().filter(|line| *line > 0)
    }

    /// The function's interned name and file: functions of one name share the first.
    pub fn function_texts(&self, id: FunctionId) -> Option<Function> {
        self.symbols.functions.get(id.index()).copied()
    }

    /// An interned text.
    pub fn text(&self, id: TextId) -> &str {
        self.symbols.text(id.0)
    }

    /// All interned texts, in the order of their ids.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.symbols.text_ends.iter().map(move |end| {
            let text = self.symbols.text.get(start..*end as usize).unwrap_or("");
            start = *end as usize;
            text
        })
    }

    /// How many interned texts there are.
    pub fn text_count(&self) -> usize {
        self.symbols.text_ends.len()
    }

    /// How many stacks there are.
    pub fn stack_count(&self) -> usize {
        self.stacks.ends.len()
    }

    /// How many frames all stacks have together.
    pub fn frame_count(&self) -> usize {
        self.stacks.frames.len()
    }

    /// All stacks, in the order they were added.
    pub fn stacks(&self) -> impl Iterator<Item = Stack<'_>> {
        let width = self.sample_types.len();
        let mut start = 0;
        self.stacks.ends.iter().enumerate().map(move |(i, end)| {
            let end = *end as usize;
            let frames = self.stacks.frames.get(start..end).unwrap_or(&[]);
            start = end;
            Stack { frames, values: self.stacks.values.get(i * width..(i + 1) * width).unwrap_or(&[]) }
        })
    }

    /// The sum of all values of one sample type, exact or saturated.
    pub fn total(&self, sample_type: usize) -> i64 {
        self.stacks().fold(0, |sum: i64, s| sum.saturating_add(s.values.get(sample_type).copied().unwrap_or(0)))
    }

    /// The sum of all values of one sample type over the stacks that contain a function, each stack once; exact or
    /// saturated.
    pub fn total_through(&self, function: FunctionId, sample_type: usize) -> i64 {
        /// How many frames are compared at once, which is quicker than stopping at the first match.
        const PIECE: usize = 32;
        if sample_type >= self.sample_types.len() {
            return 0;
        }
        let Stacks { frames, ends, values } = &self.stacks;
        let (mut sum, mut stack, mut counted_to) = (0_i64, 0, 0);
        for (piece, start) in frames.chunks(PIECE).zip((0..).step_by(PIECE)) {
            if piece.iter().fold(0, |found, frame| found | u32::from(*frame == function)) == 0 {
                continue;
            }
            for (_, at) in piece.iter().zip(start..).filter(|(frame, _)| **frame == function) {
                if at < counted_to {
                    continue;
                }
                while ends.get(stack).is_some_and(|end| *end as usize <= at) {
                    stack += 1;
                }
                counted_to = ends.get(stack).map_or(usize::MAX, |end| *end as usize);
                let value = values.get(stack * self.sample_types.len() + sample_type);
                sum = sum.saturating_add(value.copied().unwrap_or(0));
            }
        }
        sum
    }

    /// The profile under one of its sample types: stacks whose value is 0 are left out. Without such a sample type it
    /// has none and no stacks.
    #[must_use]
    pub fn only(&self, sample_type: usize) -> Self {
        let Some(kept) = self.sample_types.get(sample_type) else { return Self::default() };
        self.under([kept.clone()], |values| [values.get(sample_type).copied().unwrap_or(0)])
    }

    /// The stacks in so many parts, which share texts and functions. `part_of` says the part of each stack.
    #[must_use]
    pub fn split(&self, parts: usize, part_of: &[usize]) -> Vec<Self> {
        let mut split = vec![Stacks::default(); parts];
        for (stack, part) in self.stacks().zip(part_of) {
            if let Some(part) = split.get_mut(*part) {
                part.frames.extend_from_slice(stack.frames);
                part.end();
                part.push_values(stack.values);
            }
        }
        let part =
            |stacks| Self { sample_types: self.sample_types.clone(), symbols: Arc::clone(&self.symbols), stacks };
        split.into_iter().map(part).collect()
    }

    /// The same stacks with other sample types and the values computed for each. Stacks whose values are all 0 are left
    /// out.
    #[must_use]
    pub fn under<const N: usize>(&self, sample_types: [SampleType; N], values: impl Fn(&[i64]) -> [i64; N]) -> Self {
        let mut stacks = Stacks::default();
        for stack in self.stacks() {
            let values = values(stack.values);
            if values != [0; N] {
                stacks.frames.extend_from_slice(stack.frames);
                stacks.end();
                stacks.push_values(&values);
            }
        }
        Self { sample_types: sample_types.into(), symbols: Arc::clone(&self.symbols), stacks }
    }
}

impl Stacks {
    /// The frames of the stack at that place.
    pub(super) fn frames_of(&self, stack: usize) -> Option<&[FunctionId]> {
        let start = match stack.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.frames.get(start as usize..*self.ends.get(stack)? as usize)
    }

    /// Ends the stack whose frames were pushed.
    #[expect(clippy::cast_possible_truncation, reason = "readers hold profiles under 2^32 frames")]
    pub(super) fn end(&mut self) {
        self.ends.push(self.frames.len() as u32);
    }

    /// Adds the values of a stack.
    pub(super) fn push_values(&mut self, values: &[i64]) {
        // There are few, so a loop is quicker than a call that copies.
        self.values.extend(values.iter().copied());
    }
}
