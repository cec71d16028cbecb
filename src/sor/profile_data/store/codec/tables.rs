use super::varint::Reader;
use super::{Corrupt, NO_FRAME, NO_PARENT, decompress};

/// The dictionary of an epoch as it is read: everything by number.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    text: String,
    text_ends: Vec<u32>,
    frames: Vec<(u32, u32)>,
    /// Of each frame up to the last with one, its line; 0 where it is not known.
    lines: Vec<u32>,
    parents: Vec<u32>,
    /// Frame, and in the lowest bit whether its name does not occur above.
    node_frames: Vec<u32>,
}

impl Tables {
    /// Appends a segment. Segments must come in order.
    ///
    /// # Errors
    /// [`Corrupt`] if the body is no segment or not the next one. The tables are then of no use.
    pub fn append(&mut self, segment: &[u8]) -> Result<(), Corrupt> {
        let plain = decompress(segment)?;
        let mut reader = Reader(&plain);
        let mut counts = [0_usize; 3];
        for (count, known) in counts.iter_mut().zip([self.text_ends.len(), self.frames.len(), self.parents.len()]) {
            if reader.take_u32()? as usize != known {
                return Err(Corrupt("a segment is missing before it"));
            }
            *count = reader.take_count()?;
        }
        let [texts, frames, nodes] = counts;
        let lengths = (0..texts).map(|_| reader.take_u32()).collect::<Result<Vec<_>, _>>()?;
        for length in lengths {
            let text =
                std::str::from_utf8(reader.bytes(length as usize)?).map_err(|_| Corrupt("a text is not UTF-8"))?;
            self.text.push_str(text);
            self.text_ends.push(u32::try_from(self.text.len()).map_err(|_| Corrupt("its texts are over 4 GiB"))?);
        }
        let names = (0..frames).map(|_| reader.take_u32()).collect::<Result<Vec<_>, _>>()?;
        for name in names {
            let file = reader.take_u32()?;
            if name.max(file) as usize >= self.text_ends.len() {
                return Err(Corrupt("a frame names no text"));
            }
            self.frames.push((name, file));
        }
        for _ in 0..nodes {
            let id = u32::try_from(self.parents.len()).map_err(|_| Corrupt("it has over 2^32 nodes"))?;
            let distance = reader.take_u32()?;
            let parent = if distance == 0 {
                NO_PARENT
            } else {
                id.checked_sub(distance).ok_or(Corrupt("a parent comes after its child"))?
            };
            self.parents.push(parent);
        }
        for _ in 0..nodes {
            let frame = reader.take_u32()?;
            if (frame >> 1) as usize >= self.frames.len() {
                return Err(Corrupt("a node has no frame"));
            }
            self.node_frames.push(frame);
        }
        if !reader.is_empty() {
            self.lines.resize(self.frames.len() - frames, 0);
            for _ in 0..frames {
                self.lines.push(reader.take_u32()?);
            }
        }
        Ok(())
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.text.capacity()
            + 4 * (self.text_ends.capacity() + self.lines.capacity())
            + 4 * (self.parents.capacity() + self.node_frames.capacity())
            + 8 * self.frames.capacity()
    }

    /// How many tree nodes there are.
    pub fn node_count(&self) -> usize {
        self.parents.len()
    }

    /// How many frames there are.
    pub fn frame_count(&self) -> usize {
        self.frames.len()
    }

    /// The node's parent, unless it is a root.
    pub fn parent(&self, node: usize) -> Option<usize> {
        self.parents.get(node).filter(|parent| **parent != NO_PARENT).map(|parent| *parent as usize)
    }

    /// The node's frame; `None` for the node of samples without a stack.
    pub fn frame(&self, node: usize) -> Option<usize> {
        self.node_frames
            .get(node)
            .map(|frame| frame >> 1)
            .filter(|frame| *frame != NO_FRAME)
            .map(|frame| frame as usize)
    }

    /// Whether no node above this one is of a function of the same name.
    pub fn is_outermost(&self, node: usize) -> bool {
        self.node_frames.get(node).is_some_and(|frame| frame & 1 == 1)
    }

    /// The frame's name and file.
    pub fn name_and_file(&self, frame: usize) -> (&str, &str) {
        self.frames.get(frame).map_or(("", ""), |(name, file)| (self.text(*name), self.text(*file)))
    }

    /// A line of the frame in its file.
    pub fn line(&self, frame: usize) -> Option<u32> {
        self.lines.get(frame).copied().filter(|line| *line > 0)
    }

    fn text(&self, id: u32) -> &str {
        let end = |i: usize| self.text_ends.get(i).map_or(0, |end| *end as usize);
        let start = if id == 0 { 0 } else { end(id as usize - 1) };
        self.text.get(start..end(id as usize)).unwrap_or("")
    }
}
