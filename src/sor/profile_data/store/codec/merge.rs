use rustc_hash::FxHashMap;

use super::{Block, NO_PARENT, Tables};
use crate::profile::{FunctionId, Profile, ProfileBuilder, SampleType};
use crate::sor::profile_data::domain::halved;

/// The sum of blocks of one epoch: a value per node.
#[derive(Debug, Default)]
pub struct EpochSum {
    values: Vec<i64>,
}

impl EpochSum {
    /// Adds one sample type of a block, `times` over: 1, or -1 for the first of a series that only ever grows.
    pub fn add(&mut self, block: &Block, sample_type: usize, times: i64) {
        for (node, value) in block.column(sample_type) {
            let node = node as usize;
            if node >= self.values.len() {
                self.values.resize(node + 1, 0);
            }
            if let Some(sum) = self.values.get_mut(node) {
                *sum = sum.saturating_add(value.saturating_mul(times));
            }
        }
    }
}

/// Sums of several epochs, joined by the names and files of their frames into one tree.
#[derive(Debug, Default)]
pub struct Joined {
    frames: FxHashMap<Box<str>, FxHashMap<Box<str>, u32>>,
    frame_texts: Vec<(Box<str>, Box<str>)>,
    /// Of each frame, its lowest line; 0 where it is not known.
    frame_lines: Vec<u32>,
    nodes: FxHashMap<(u32, u32), u32>,
    /// Parent and frame; the frame of a sample without a stack is [`NO_PARENT`].
    tree: Vec<(u32, u32)>,
    values: Vec<i64>,
    /// The values at the cut, where there was one.
    before: Option<Vec<i64>>,
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "there are fewer nodes than in the epochs, which number them in u32"
)]
impl Joined {
    /// Joins the sum of an epoch. A node that the tables do not hold is dropped.
    pub fn join(&mut self, sum: &EpochSum, tables: &Tables) {
        let count = sum.values.len().min(tables.node_count());
        // One reverse pass finds the nodes that lead to a value, a forward pass gives them their places here.
        let mut needed: Vec<bool> = sum.values.iter().take(count).map(|value| *value != 0).collect();
        for node in (0..count).rev() {
            if needed.get(node) == Some(&true)
                && let Some(parent) = tables.parent(node)
                && let Some(place) = needed.get_mut(parent)
            {
                *place = true;
            }
        }
        let mut frames: Vec<Option<u32>> = vec![None; tables.frame_count()];
        let mut places: Vec<u32> = vec![NO_PARENT; count];
        for node in 0..count {
            if needed.get(node) != Some(&true) {
                continue;
            }
            let parent = tables.parent(node).map_or(NO_PARENT, |p| places.get(p).copied().unwrap_or(NO_PARENT));
            let frame = tables.frame(node).map_or(NO_PARENT, |frame| self.frame(frame, tables, &mut frames));
            let place = self.node(parent, frame);
            if let Some(known) = places.get_mut(node) {
                *known = place;
            }
            let value = sum.values.get(node).copied().unwrap_or(0);
            if let Some(joined) = self.values.get_mut(place as usize) {
                *joined = joined.saturating_add(value);
            }
        }
    }

    /// Ends the first half of a window. What was joined so far, if anything, is kept apart.
    pub fn cut(&mut self) {
        self.before = self.values.iter().any(|value| *value != 0).then(|| self.values.clone());
    }

    /// The profile of these sums, and of the first half if it was ended. Samples without a stack are left out, as
    /// Pyroscope does. `positive` leaves out values that a difference made negative.
    pub fn into_profile(self, sample_type: SampleType, positive: bool) -> Profile {
        let before = self.before.unwrap_or_default();
        let types = halved(sample_type).into_iter().take(if before.is_empty() { 1 } else { 2 });
        let mut builder = ProfileBuilder::new(types.collect());
        let mut functions: Vec<Option<FunctionId>> = vec![None; self.frame_texts.len()];
        let mut stack = Vec::new();
        for (node, value) in self.values.iter().enumerate() {
            if *value == 0 || (positive && *value < 0) {
                continue;
            }
            stack.clear();
            let before = before.get(node).copied().unwrap_or(0);
            let mut node = node as u32;
            while let Some((parent, frame)) = self.tree.get(node as usize) {
                if let Some(known) = functions.get_mut(*frame as usize)
                    && let Some((name, file)) = self.frame_texts.get(*frame as usize)
                {
                    let line = self.frame_lines.get(*frame as usize).copied().unwrap_or(0);
                    stack.push(*known.get_or_insert_with(|| {
                        let function = builder.function(name, file);
                        builder.line(function, line);
                        function
                    }));
                }
                node = *parent;
            }
            if !stack.is_empty() {
                builder.add(stack.iter().copied(), &[*value, before]);
            }
        }
        builder.build()
    }

    fn frame(&mut self, frame: usize, tables: &Tables, known: &mut [Option<u32>]) -> u32 {
        if let Some(Some(place)) = known.get(frame) {
            return *place;
        }
        let (name, file) = tables.name_and_file(frame);
        let place = if let Some(place) = self.frames.get(name).and_then(|files| files.get(file)) {
            *place
        } else {
            let place = self.frame_texts.len() as u32;
            self.frame_texts.push((name.into(), file.into()));
            self.frame_lines.push(0);
            self.frames.entry(name.into()).or_default().insert(file.into(), place);
            place
        };
        if let (Some(line), Some(lowest)) = (tables.line(frame), self.frame_lines.get_mut(place as usize))
            && (*lowest == 0 || line < *lowest)
        {
            *lowest = line;
        }
        if let Some(known) = known.get_mut(frame) {
            *known = Some(place);
        }
        place
    }

    fn node(&mut self, parent: u32, frame: u32) -> u32 {
        let next = self.tree.len() as u32;
        *self.nodes.entry((parent, frame)).or_insert_with(|| {
            self.tree.push((parent, frame));
            self.values.push(0);
            next
        })
    }
}
