//! The profile model: interned texts and functions, stacks as runs of function ids, values per sample type.
//!
//! Flat on purpose: a table of functions or a verdict walks each stack once, from the leaf, over dense arrays.

use rustc_hash::FxHashMap;

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
pub struct TextId(u32);

/// The place of a function in its profile: dense, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionId(u32);

impl FunctionId {
    /// The id as an index into an array of [`Profile::function_count`] places.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A function: its name and the file it stands in (empty where unknown), as the source spells them.
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

/// A profile: stacks of functions with one value per sample type. Immutable; made by [`ProfileBuilder`].
#[derive(Debug, Clone, Default)]
pub struct Profile {
    sample_types: Vec<SampleType>,
    text: String,
    text_ends: Vec<u32>,
    functions: Vec<Function>,
    frames: Vec<FunctionId>,
    stack_ends: Vec<u32>,
    values: Vec<i64>,
}

fn part<T>(all: &[T], ends: &[u32], i: usize) -> Option<std::ops::Range<usize>> {
    let end = *ends.get(i)? as usize;
    let start = if i == 0 { 0 } else { *ends.get(i - 1)? as usize };
    (end <= all.len()).then_some(start..end)
}

impl Profile {
    /// What the values count, in the order of [`Stack::values`].
    pub fn sample_types(&self) -> &[SampleType] {
        &self.sample_types
    }

    /// How many functions there are; ids run from 0 to one less.
    pub fn function_count(&self) -> usize {
        self.functions.len()
    }

    /// All function ids, in order.
    pub fn function_ids(&self) -> impl ExactSizeIterator<Item = FunctionId> + use<> {
        #[expect(clippy::cast_possible_truncation, reason = "the builder numbers functions in u32")]
        (0..self.functions.len()).map(|i| FunctionId(i as u32))
    }

    /// The function's name and file.
    pub fn function(&self, id: FunctionId) -> (&str, &str) {
        self.functions.get(id.index()).map_or(("", ""), |f| (self.text(f.name), self.text(f.file)))
    }

    /// The function's name.
    pub fn name(&self, id: FunctionId) -> &str {
        self.function(id).0
    }

    /// The function's interned name and file: functions of one name share the first.
    pub fn function_texts(&self, id: FunctionId) -> Option<Function> {
        self.functions.get(id.index()).copied()
    }

    /// An interned text.
    pub fn text(&self, id: TextId) -> &str {
        part(self.text.as_bytes(), &self.text_ends, id.0 as usize).and_then(|r| self.text.get(r)).unwrap_or("")
    }

    /// How many interned texts there are.
    pub fn text_count(&self) -> usize {
        self.text_ends.len()
    }

    /// How many stacks there are.
    pub fn stack_count(&self) -> usize {
        self.stack_ends.len()
    }

    /// How many frames all stacks have together.
    pub fn frame_count(&self) -> usize {
        self.frames.len()
    }

    /// All stacks, in the order they were added.
    pub fn stacks(&self) -> impl Iterator<Item = Stack<'_>> {
        let width = self.sample_types.len();
        let mut start = 0;
        self.stack_ends.iter().enumerate().map(move |(i, end)| {
            let end = *end as usize;
            let frames = self.frames.get(start..end).unwrap_or(&[]);
            start = end;
            Stack { frames, values: self.values.get(i * width..(i + 1) * width).unwrap_or(&[]) }
        })
    }

    /// The sum of all values of one sample type, exact or saturated.
    pub fn total(&self, sample_type: usize) -> i64 {
        self.stacks().fold(0, |sum: i64, s| sum.saturating_add(s.values.get(sample_type).copied().unwrap_or(0)))
    }
}

/// Builds a [`Profile`]: interns texts and functions, adds stacks.
#[derive(Debug, Default)]
pub struct ProfileBuilder {
    profile: Profile,
    texts: FxHashMap<Box<str>, TextId>,
    functions: FxHashMap<Function, FunctionId>,
}

#[expect(clippy::cast_possible_truncation, reason = "readers hold profiles under 2^32 texts, functions and frames")]
impl ProfileBuilder {
    /// A builder of a profile with these sample types.
    pub fn new(sample_types: Vec<SampleType>) -> Self {
        Self { profile: Profile { sample_types, ..Profile::default() }, ..Self::default() }
    }

    /// Interns a text.
    pub fn text(&mut self, text: &str) -> TextId {
        if let Some(id) = self.texts.get(text) {
            return *id;
        }
        let id = TextId(self.profile.text_ends.len() as u32);
        self.profile.text.push_str(text);
        self.profile.text_ends.push(self.profile.text.len() as u32);
        self.texts.insert(text.into(), id);
        id
    }

    /// Interns a function by name and file (empty where unknown).
    pub fn function(&mut self, name: &str, file: &str) -> FunctionId {
        let function = Function { name: self.text(name), file: self.text(file) };
        *self.functions.entry(function).or_insert_with(|| {
            self.profile.functions.push(function);
            FunctionId(self.profile.functions.len() as u32 - 1)
        })
    }

    /// Adds a stack, leaf first, with one value per sample type. Missing values count as 0, further ones are dropped.
    pub fn add(&mut self, frames: impl IntoIterator<Item = FunctionId>, values: &[i64]) {
        self.profile.frames.extend(frames);
        self.profile.stack_ends.push(self.profile.frames.len() as u32);
        let width = self.profile.sample_types.len();
        self.profile.values.extend(values.iter().copied().chain(std::iter::repeat(0)).take(width));
    }

    /// The profile.
    pub fn build(self) -> Profile {
        self.profile
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_the_stacks_it_was_built_from() {
        let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
        let (leaf, root) = (builder.function("leaf", "a.rs"), builder.function("root", ""));
        builder.add([leaf, root], &[7]);
        builder.add([root], &[5, 99]);
        let profile = builder.build();
        let stacks: Vec<_> = profile.stacks().map(|s| (s.frames.to_vec(), s.values.to_vec())).collect();
        assert_eq!(stacks, [(vec![leaf, root], vec![7]), (vec![root], vec![5])]);
        assert_eq!(profile.function(leaf), ("leaf", "a.rs"));
        assert_eq!(profile.total(0), 12);
    }
}
