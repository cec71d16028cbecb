//! Pyroscope's binary format `trie`: folded stacks as keys, of which common beginnings are written once.

use super::builder::ProfileBuilder;
use super::inflate::inflate;
use super::limits::{LimitName, ReadError, ReadLimits};
use super::model::{FunctionId, Profile, SampleType};
use super::nodes::walk;
use super::tally::Tally;
use super::text::sanitise;

/// Reads a trie. The names of the nodes from the root to one with a value, put together, are its key: a stack from the
/// root to the leaf, joined by `;`. A node may end within a name. An empty name becomes `[unknown]`. Nothing is an empty
/// profile. Gzip and zstd are inflated.
///
/// # Errors
/// The limit passed (all names, written out, count as inflated bytes), or what cannot be read; `at` is a byte.
pub fn read_trie(bytes: &[u8], sample_type: SampleType, limits: &ReadLimits) -> Result<Profile, ReadError> {
    let inflated = inflate(bytes, limits)?;
    let mut tally = Tally::new(sample_type.name.as_str(), limits);
    let mut builder = ProfileBuilder::new(vec![sample_type]);
    let mut key = Key { limits, text: Vec::new(), frames: Vec::new(), ends: Vec::new(), written: 0 };
    walk(&inflated, limits, |depth, node| {
        key.extend(depth, node.name, &mut builder)?;
        if node.value > 0 {
            let leaf = if key.is_empty() { None } else { Some(key.last(&mut builder)?) };
            let frames = leaf.into_iter().chain(key.frames.iter().rev().copied());
            tally.stack(key.frames.len() + usize::from(leaf.is_some()), node.value)?;
            builder.add(frames, &[node.value]);
        }
        Ok(())
    })?;
    Ok(builder.build())
}

/// The key of the last node.
struct Key<'l> {
    limits: &'l ReadLimits,
    /// Its names, put together without what joins them.
    text: Vec<u8>,
    /// The frames whose names are complete, from the root.
    frames: Vec<FunctionId>,
    /// Where the key of each node from the root to the last one ends.
    ends: Vec<End>,
    /// Bytes of all names so far, of which many may be repeated in a trie of few bytes.
    written: usize,
}

/// Where a key ends.
#[derive(Clone, Copy, Default)]
struct End {
    text: usize,
    /// Where the name begins that is not complete.
    name: usize,
    frames: usize,
}

impl Key<'_> {
    /// Goes on to a node of this depth: its parent's key and its own name.
    fn extend(&mut self, depth: usize, name: &[u8], builder: &mut ProfileBuilder) -> Result<(), ReadError> {
        self.ends.truncate(depth);
        let parent = self.ends.last().copied().unwrap_or_default();
        self.text.truncate(parent.text);
        self.frames.truncate(parent.frames);
        self.ends.push(parent);
        for (piece, at) in name.split(|byte| *byte == b';').zip(0..) {
            if at > 0 {
                let complete = self.last(builder)?;
                LimitName::Stack.check(self.frames.len() + 1, self.limits.stack)?;
                self.frames.push(complete);
                self.end(|end, text| end.name = text);
            }
            LimitName::Name.check(self.unfinished().len() + piece.len(), self.limits.name)?;
            self.text.extend_from_slice(piece);
        }
        let frames = self.frames.len();
        self.end(|end, text| (end.text, end.frames) = (text, frames));
        Ok(())
    }

    fn end(&mut self, change: impl FnOnce(&mut End, usize)) {
        if let Some(end) = self.ends.last_mut() {
            change(end, self.text.len());
        }
    }

    /// The name that is not complete.
    fn unfinished(&self) -> &[u8] {
        self.ends.last().and_then(|end| self.text.get(end.name..)).unwrap_or(&[])
    }

    fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.unfinished().is_empty()
    }

    /// The function of the last name.
    fn last(&mut self, builder: &mut ProfileBuilder) -> Result<FunctionId, ReadError> {
        self.written += self.unfinished().len();
        LimitName::Inflated.check(self.written, self.limits.inflated)?;
        let name = sanitise(self.unfinished());
        Ok(builder.function(if name.is_empty() { "[unknown]" } else { &name }, ""))
    }
}
