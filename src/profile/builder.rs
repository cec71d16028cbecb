//! Builds profiles. Each text and each function is kept once.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::model::{Function, FunctionId, Profile, SampleType, Stacks, Symbols, TextId};
use super::text::{is_plain, sanitise};

/// Interns texts and functions. Hashes are seeded per process: names that collide cannot be prepared.
#[derive(Debug, Default)]
pub(super) struct Interner {
    /// The texts, side by side: UTF-8 each, and so together.
    text: Vec<u8>,
    text_ends: Vec<u32>,
    functions: Vec<Function>,
    /// Of each function up to the last with one, its lowest line; 0 where it is not known.
    lines: Vec<u32>,
    texts: HashTable<u32>,
    /// Of each text, the first function of that name, plus 1: nearly all functions are the only one of theirs.
    named: Vec<u32>,
    /// The functions whose name an earlier one has.
    others: HashTable<u32>,
    seed: DefaultHashBuilder,
}

#[expect(clippy::cast_possible_truncation, reason = "readers hold profiles under 2^32 bytes of names and functions")]
impl Interner {
    pub(super) fn text(&mut self, text: &str) -> TextId {
        self.utf8(text.as_bytes())
    }

    /// Interns a text as it was sent, with U+FFFD for what is not UTF-8 and for U+0000.
    pub(super) fn sent(&mut self, bytes: &[u8]) -> TextId {
        if is_plain(bytes) { self.utf8(bytes) } else { self.text(&sanitise(bytes)) }
    }

    fn utf8(&mut self, bytes: &[u8]) -> TextId {
        let Self { text, text_ends, texts, seed, .. } = self;
        let known = |id: &u32| {
            let end = text_ends.get(*id as usize).map_or(0, |end| *end as usize);
            let start = id.checked_sub(1).and_then(|i| text_ends.get(i as usize)).map_or(0, |end| *end as usize);
            text.get(start..end).unwrap_or(&[])
        };
        let id = match texts.entry(seed.hash_one(bytes), |id| known(id) == bytes, |id| seed.hash_one(known(id))) {
            Entry::Occupied(found) => *found.get(),
            Entry::Vacant(place) => {
                let id = text_ends.len() as u32;
                place.insert(id);
                text.extend_from_slice(bytes);
                text_ends.push(text.len() as u32);
                id
            }
        };
        TextId(id)
    }

    pub(super) fn function(&mut self, function: Function) -> FunctionId {
        let Self { functions: known, named, others, seed, .. } = self;
        if named.len() <= function.name.index() {
            named.resize(self.text_ends.len(), 0);
        }
        let next = known.len() as u32;
        let id = match named.get_mut(function.name.index()) {
            Some(first @ 0) => {
                *first = next + 1;
                next
            }
            Some(first) if known.get(*first as usize - 1) == Some(&function) => *first - 1,
            _ => {
                let entry = others.entry(
                    seed.hash_one(function),
                    |id| known.get(*id as usize) == Some(&function),
                    |id| known.get(*id as usize).map_or(0, |f| seed.hash_one(f)),
                );
                *entry.or_insert(next).get()
            }
        };
        if id == next {
            known.push(function);
        }
        FunctionId(id)
    }

    /// Notes a line of a function, of which the lowest is kept. 0 says nothing.
    #[inline]
    pub(super) fn line(&mut self, function: FunctionId, line: u32) {
        if line == 0 {
            return;
        }
        if self.lines.len() <= function.index() {
            self.lines.resize(self.functions.len(), 0);
        }
        if let Some(known) = self.lines.get_mut(function.index())
            && (*known == 0 || line < *known)
        {
            *known = line;
        }
    }

    pub(super) fn with_room(bytes: usize, texts: usize, functions: usize) -> Self {
        Self {
            text: Vec::with_capacity(bytes),
            text_ends: Vec::with_capacity(texts),
            functions: Vec::with_capacity(functions),
            texts: HashTable::with_capacity(texts),
            named: Vec::with_capacity(texts),
            ..Self::default()
        }
    }

    pub(super) fn finish(self) -> Arc<Symbols> {
        // It is UTF-8: nothing else is interned.
        let text = String::from_utf8(self.text).unwrap_or_default();
        Arc::new(Symbols { text, text_ends: self.text_ends, functions: self.functions, lines: self.lines })
    }
}

/// Builds a [`Profile`]: interns texts and functions, adds stacks.
#[derive(Debug, Default)]
pub struct ProfileBuilder {
    sample_types: Vec<SampleType>,
    interner: Interner,
    stacks: Stacks,
}

impl ProfileBuilder {
    /// A builder of a profile with these sample types.
    pub fn new(sample_types: Vec<SampleType>) -> Self {
        Self { sample_types, ..Self::default() }
    }

    /// The same texts and functions, for a profile with these sample types. To be called before stacks are added.
    #[must_use]
    pub(super) fn counting(self, sample_types: Vec<SampleType>) -> Self {
        Self { sample_types, ..self }
    }

    /// Interns a text.
    pub fn text(&mut self, text: &str) -> TextId {
        self.interner.text(text)
    }

    /// Interns a function by name and file (empty where unknown).
    pub fn function(&mut self, name: &str, file: &str) -> FunctionId {
        let function = Function { name: self.text(name), file: self.text(file) };
        self.interner.function(function)
    }

    /// Notes a line of a function, from 1. The lowest is kept.
    pub fn line(&mut self, function: FunctionId, line: u32) {
        self.interner.line(function, line);
    }

    /// Adds a stack, leaf first, with one value per sample type. Missing values count as 0, further ones are dropped.
    pub fn add(&mut self, frames: impl IntoIterator<Item = FunctionId>, values: &[i64]) {
        self.stacks.frames.extend(frames);
        self.stacks.end();
        let width = self.sample_types.len();
        self.stacks.values.extend(values.iter().copied().chain(std::iter::repeat(0)).take(width));
    }

    /// The profile.
    pub fn build(self) -> Profile {
        Profile::from_parts(self.sample_types, self.interner.finish(), self.stacks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_that_recurs_over_a_long_stack_counts_once() {
        let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
        let (leaf, again, root) =
            (builder.function("leaf", ""), builder.function("again", ""), builder.function("root", ""));
        for value in 1..5 {
            let frames = [vec![leaf; 3], vec![again; 70], vec![root]].concat();
            builder.add(frames, &[value]);
            builder.add([leaf, root], &[10 * value]);
        }
        let profile = builder.build();
        assert_eq!([leaf, again, root].map(|function| profile.total_through(function, 0)), [110, 10, 110]);
        assert_eq!(profile.total_through(leaf, 1), 0);
    }

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
