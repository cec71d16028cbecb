use rustc_hash::FxHashMap;

use super::{NO_FRAME, NO_PARENT, Tables, compress, varint};
use crate::profile::{FunctionId, Profile};

/// A profile adds more to the dictionary than one profile may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the profile has over {limit} {what}")]
pub struct DictionaryFull {
    /// How many are taken.
    pub limit: usize,
    /// What of.
    pub what: &'static str,
}

/// How much one profile may add to a dictionary.
#[derive(Debug, Clone, Copy)]
pub struct DictionaryLimits {
    /// Distinct nodes of the tree of its stacks.
    pub nodes: usize,
    /// Bytes of names of functions and files.
    pub text_bytes: usize,
}

impl Default for DictionaryLimits {
    /// 2,000,000 nodes and 32 MiB of names: fifty times the largest real profile tried, and bounded memory.
    fn default() -> Self {
        Self { nodes: 2_000_000, text_bytes: 32 << 20 }
    }
}

/// The dictionary of an epoch while it is written to: knows each text, frame and node by its number, and keeps what was
/// added since the last segment.
#[derive(Debug)]
pub struct OpenDictionary {
    texts: FxHashMap<Box<str>, u32>,
    text_bytes: usize,
    frames: FxHashMap<(u32, u32), u32>,
    nodes: FxHashMap<(u32, u32), u32>,
    added: Added,
}

/// What no segment holds yet.
#[derive(Debug, Default)]
struct Added {
    texts: Vec<Box<str>>,
    /// Name, file and line.
    frames: Vec<(u32, u32, u32)>,
    /// Parent, frame, and whether the frame's name does not occur above.
    nodes: Vec<(u32, u32, bool)>,
}

impl Default for OpenDictionary {
    fn default() -> Self {
        let mut dictionary = Self {
            texts: FxHashMap::default(),
            text_bytes: 0,
            frames: FxHashMap::default(),
            nodes: FxHashMap::default(),
            added: Added::default(),
        };
        let empty = dictionary.text("");
        dictionary.frame(empty, empty, None);
        dictionary
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a dictionary is closed long before it has 2^32 entries")]
impl OpenDictionary {
    /// Finds or adds every stack of the profile and answers the node of each, in order. Past a limit the
    /// dictionary must be thrown away.
    ///
    /// # Errors
    /// [`DictionaryFull`] if the profile would add more than the limits.
    pub fn intern(&mut self, profile: &Profile, limits: DictionaryLimits) -> Result<Vec<u32>, DictionaryFull> {
        let (full, full_text) = (self.nodes.len() + limits.nodes, self.text_bytes + limits.text_bytes);
        let mut frames: Vec<Option<(u32, u32)>> = vec![None; profile.function_count()];
        // The last stack, by its number, that each name was seen in: tells recursion without walking up.
        let mut seen: Vec<u32> = Vec::new();
        let mut nodes = Vec::with_capacity(profile.stack_count());
        for (number, stack) in profile.stacks().enumerate() {
            let mut node = NO_PARENT;
            for function in stack.frames.iter().rev() {
                let (frame, name) = self.frame_of(profile, *function, &mut frames);
                if seen.len() <= name as usize {
                    seen.resize(self.texts.len(), u32::MAX);
                }
                let outermost = seen
                    .get_mut(name as usize)
                    .is_none_or(|last| std::mem::replace(last, number as u32) != number as u32);
                node = self.node(node, frame, outermost);
            }
            if stack.frames.is_empty() {
                node = self.node(NO_PARENT, NO_FRAME, true);
            }
            if self.nodes.len() > full {
                return Err(DictionaryFull { limit: limits.nodes, what: "distinct tree nodes" });
            }
            if self.text_bytes > full_text {
                return Err(DictionaryFull { limit: limits.text_bytes, what: "bytes of names" });
            }
            nodes.push(node);
        }
        Ok(nodes)
    }

    /// Finds or adds the wanted nodes of another dictionary, in their order, each after its ancestors. Returns the
    /// index of each wanted node.
    pub(super) fn adopt(&mut self, tables: &Tables, mut wanted: Vec<bool>) -> Vec<Option<u32>> {
        wanted.truncate(tables.node_count());
        for node in (0..wanted.len()).rev() {
            if wanted.get(node) == Some(&true)
                && let Some(above) = tables.parent(node).and_then(|parent| wanted.get_mut(parent))
            {
                *above = true;
            }
        }
        let mut frames: Vec<Option<u32>> = vec![None; tables.frame_count()];
        let mut places: Vec<Option<u32>> = Vec::with_capacity(wanted.len());
        for (node, wanted) in wanted.into_iter().enumerate() {
            let place = wanted.then(|| {
                let parent = tables.parent(node).and_then(|parent| places.get(parent).copied().flatten());
                let frame = tables.frame(node).map_or(NO_FRAME, |frame| self.frame_from(tables, frame, &mut frames));
                self.node(parent.unwrap_or(NO_PARENT), frame, tables.is_outermost(node))
            });
            places.push(place);
        }
        places
    }

    /// What was added since the last call, as the body of a segment. `None` if nothing was.
    pub fn take_segment(&mut self) -> Option<Vec<u8>> {
        let added = std::mem::take(&mut self.added);
        if added.texts.is_empty() && added.frames.is_empty() && added.nodes.is_empty() {
            return None;
        }
        let mut plain =
            Vec::with_capacity(16 + added.nodes.len() * 4 + added.texts.iter().map(|t| t.len() + 1).sum::<usize>());
        let firsts = [
            self.texts.len() - added.texts.len(),
            self.frames.len() - added.frames.len(),
            self.nodes.len() - added.nodes.len(),
        ];
        for (first, count) in firsts.iter().zip([added.texts.len(), added.frames.len(), added.nodes.len()]) {
            varint::put(&mut plain, *first as u64);
            varint::put(&mut plain, count as u64);
        }
        for text in &added.texts {
            varint::put(&mut plain, text.len() as u64);
        }
        for text in &added.texts {
            plain.extend_from_slice(text.as_bytes());
        }
        for (name, ..) in &added.frames {
            varint::put(&mut plain, u64::from(*name));
        }
        for (_, file, _) in &added.frames {
            varint::put(&mut plain, u64::from(*file));
        }
        let [_, _, first_node] = firsts;
        for (i, (parent, _, _)) in added.nodes.iter().enumerate() {
            let id = (first_node + i) as u64;
            varint::put(&mut plain, if *parent == NO_PARENT { 0 } else { id - u64::from(*parent) });
        }
        for (_, frame, outermost) in &added.nodes {
            varint::put(&mut plain, u64::from(*frame) << 1 | u64::from(*outermost));
        }
        // Last, and only where there are any: segments of earlier versions end here.
        if added.frames.iter().any(|(.., line)| *line > 0) {
            for (.., line) in &added.frames {
                varint::put(&mut plain, u64::from(*line));
            }
        }
        Some(compress(&plain))
    }

    /// Bytes in memory, approximately.
    pub fn bytes(&self) -> usize {
        // A map of std holds 8 entries per 7 in use, grown by doubling, and a byte beside each.
        let entry = |capacity: usize, size: usize| capacity * 8 / 7 * (size + 1);
        self.text_bytes
            + entry(self.texts.capacity(), 24 + 16)
            + entry(self.frames.capacity(), 12)
            + entry(self.nodes.capacity(), 12)
            + self.added.nodes.capacity() * 12
    }

    /// How many tree nodes there are.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// The frame of a function of the profile, and the number of its name.
    fn frame_of(&mut self, profile: &Profile, function: FunctionId, known: &mut [Option<(u32, u32)>]) -> (u32, u32) {
        if let Some(Some(known)) = known.get(function.index()) {
            return *known;
        }
        let (name, file) = profile.function(function);
        let (name, file) = (self.text(name), self.text(file));
        let frame = self.frame(name, file, profile.line(function));
        if let Some(place) = known.get_mut(function.index()) {
            *place = Some((frame, name));
        }
        (frame, name)
    }

    /// The frame of another dictionary's.
    fn frame_from(&mut self, tables: &Tables, frame: usize, known: &mut [Option<u32>]) -> u32 {
        if let Some(Some(known)) = known.get(frame) {
            return *known;
        }
        let (name, file) = tables.name_and_file(frame);
        let (name, file) = (self.text(name), self.text(file));
        let own = self.frame(name, file, tables.line(frame));
        if let Some(place) = known.get_mut(frame) {
            *place = Some(own);
        }
        own
    }

    fn text(&mut self, text: &str) -> u32 {
        if let Some(id) = self.texts.get(text) {
            return *id;
        }
        let id = self.texts.len() as u32;
        self.texts.insert(text.into(), id);
        self.text_bytes += text.len();
        self.added.texts.push(text.into());
        id
    }

    /// The frame of that name and file. Its line is the lowest until a segment holds it; it tells no two frames apart.
    fn frame(&mut self, name: u32, file: u32, line: Option<u32>) -> u32 {
        // A function without name and file is not the frame of a sample without a stack.
        let next = self.frames.len() as u32;
        let key = if name == 0 && file == 0 && next > 0 { (0, u32::MAX) } else { (name, file) };
        let frame = *self.frames.entry(key).or_insert_with(|| {
            self.added.frames.push((name, file, 0));
            next
        });
        let stored = self.frames.len() - self.added.frames.len();
        let added = (frame as usize).checked_sub(stored).and_then(|at| self.added.frames.get_mut(at));
        if let (Some((.., known)), Some(line)) = (added, line)
            && (*known == 0 || line < *known)
        {
            *known = line;
        }
        frame
    }

    fn node(&mut self, parent: u32, frame: u32, outermost: bool) -> u32 {
        let next = self.nodes.len() as u32;
        *self.nodes.entry((parent, frame)).or_insert_with(|| {
            self.added.nodes.push((parent, frame, outermost));
            next
        })
    }
}
