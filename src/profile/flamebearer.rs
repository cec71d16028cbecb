//! Pyroscope's flame graph JSON, single and double.

use serde::Deserialize;

use super::builder::ProfileBuilder;
use super::inflate::inflate;
use super::limits::{LimitName, ReadError, ReadLimits};
use super::model::{FunctionId, Profile, SampleType};
use super::text::sanitise;

/// A flame graph read back into stacks.
#[derive(Debug, Clone, Default)]
pub struct FlamebearerFile {
    /// The stacks. Of a double flame graph: those of its right side, the current one.
    pub profile: Profile,
    /// Ticks of the synthetic leaves `other`, in which the server summed nodes too small to draw. Functions that are
    /// really called so cannot be distinguished from them.
    pub truncated_ticks: i64,
    /// The left side of a double flame graph, the baseline.
    pub baseline: Option<FlamebearerSide>,
    /// Ticks per second where they count time; the server says 100 where it means nothing.
    pub sample_rate: i64,
}

/// One side of a double flame graph.
#[derive(Debug, Clone, Default)]
pub struct FlamebearerSide {
    /// The stacks.
    pub profile: Profile,
    /// Ticks of the synthetic leaves `other`.
    pub truncated_ticks: i64,
}

/// The name of the node for what was truncated.
const OTHER: &str = "other";

#[derive(Deserialize)]
struct Document {
    flamebearer: Graph,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Graph {
    #[serde(default)]
    names: Option<Vec<Option<String>>>,
    #[serde(default)]
    levels: Option<Vec<Option<Vec<i64>>>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    format: Option<String>,
    units: Option<String>,
    name: Option<String>,
    sample_rate: Option<i64>,
}

/// Reads the JSON that `/pyroscope/render` and `/pyroscope/render-diff` answer: offsets are deltas, the root `total` is
/// no frame, and `null` names or no levels are an empty profile. CPU ticks are nanoseconds although the document calls
/// them samples. Gzip and zstd are inflated.
///
/// # Errors
/// The limit passed, or what cannot be read; `at` is the level.
pub fn read_flamebearer(json: &[u8], limits: &ReadLimits) -> Result<FlamebearerFile, ReadError> {
    let inflated = inflate(json, limits)?;
    let Document { flamebearer, metadata } = serde_json::from_slice(&inflated)
        .map_err(|e| ReadError::malformed(format!("no flame graph JSON: {e}"), e.line()))?;
    let names = flamebearer.names.unwrap_or_default();
    let levels: Vec<_> = flamebearer.levels.unwrap_or_default().into_iter().map(Option::unwrap_or_default).collect();
    // The root's level holds no frames.
    LimitName::Stack.check(levels.len().saturating_sub(1), limits.stack)?;
    let sample_rate = metadata.sample_rate.unwrap_or(0);
    let sample_type = sample_type(metadata.name.unwrap_or_default(), metadata.units.unwrap_or_default(), sample_rate);
    let graph = |sides| FlameGraph { names: &names, levels: &levels, sides, limits };
    match metadata.format.as_deref() {
        None | Some("single" | "") => {
            let mut sides = graph(1).read(&sample_type)?.into_iter();
            let FlamebearerSide { profile, truncated_ticks } = sides.next().unwrap_or_default();
            Ok(FlamebearerFile { profile, truncated_ticks, baseline: None, sample_rate })
        }
        Some("double") => {
            let mut sides = graph(2).read(&sample_type)?.into_iter();
            let baseline = sides.next();
            let FlamebearerSide { profile, truncated_ticks } = sides.next().unwrap_or_default();
            Ok(FlamebearerFile { profile, truncated_ticks, baseline, sample_rate })
        }
        Some(format) => Err(ReadError::malformed(format!("no flame graph has the format {format:?}"), 0)),
    }
}

/// The sample type that the metadata means: the server writes units for a drawing, not those of the values.
fn sample_type(name: String, units: String, sample_rate: i64) -> SampleType {
    let unit = match (name.as_str(), units.as_str()) {
        ("cpu", "samples") if sample_rate == 1_000_000_000 => "nanoseconds".to_owned(),
        (_, "objects" | "samples") => "count".to_owned(),
        _ => units,
    };
    SampleType { name, unit }
}

/// Where a node starts and ends.
type Interval = (i64, i64);

/// A node of the level last read.
#[derive(Clone, Copy)]
struct Node {
    /// Where its span starts and ends, on the axis of all sides together.
    start: i64,
    end: i64,
    /// The place of its frame in the list of all frames; `None` for the root.
    frame: Option<u32>,
}

/// A frame and the one above it.
#[derive(Clone, Copy)]
struct Link {
    function: FunctionId,
    caller: Option<u32>,
}

struct FlameGraph<'g> {
    names: &'g [Option<String>],
    levels: &'g [Vec<i64>],
    sides: usize,
    limits: &'g ReadLimits,
}

/// A profile while it is built.
struct Side {
    builder: ProfileBuilder,
    functions: Vec<Option<FunctionId>>,
    truncated: i64,
    sum: u64,
}

impl FlameGraph<'_> {
    fn read(&self, sample_type: &SampleType) -> Result<Vec<FlamebearerSide>, ReadError> {
        let mut sides: Vec<Side> = Vec::new();
        for _ in 0..self.sides {
            sides.push(Side::new(sample_type, self.names.len()));
        }
        let mut links: Vec<Link> = Vec::new();
        let mut above: Vec<Node> = Vec::new();
        let (mut stacks, mut frames) = (0, 0);
        for (depth, level) in self.levels.iter().enumerate() {
            let mut nodes = Vec::with_capacity(level.len() / self.width());
            let mut ends = [0_i64; 2];
            let mut parents = above.iter().peekable();
            if level.len() % self.width() != 0 {
                return Err(ReadError::malformed("a level that is no whole number of nodes", depth));
            }
            for node in level.chunks_exact(self.width()) {
                let (span, of_self, name) = Self::node(node, &mut ends, depth)?;
                if span.0 == span.1 {
                    // Nothing: neither it nor what stands on it has ticks.
                    continue;
                }
                let frame = if depth == 0 {
                    None
                } else {
                    while parents.next_if(|p| p.end <= span.0).is_some() {}
                    let parent = parents.peek().filter(|p| p.start <= span.0 && span.1 <= p.end);
                    let parent = parent.ok_or_else(|| ReadError::malformed("a node outside its parent", depth))?;
                    let function = self.function(&mut sides, name, depth)?;
                    links.push(Link { function, caller: parent.frame });
                    Some(u32::try_from(links.len() - 1).map_err(|_| ReadError::malformed("too many nodes", depth))?)
                };
                nodes.push(Node { start: span.0, end: span.1, frame });
                for (side, value) in sides.iter_mut().zip(of_self) {
                    if value == 0 {
                        continue;
                    }
                    stacks += 1;
                    LimitName::Samples.check(stacks, self.limits.samples)?;
                    frames += depth;
                    LimitName::Frames.check(frames, self.limits.frames)?;
                    let other = depth > 0 && self.name(name) == Some(OTHER);
                    side.add(&links, frame, value, other, sample_type)?;
                }
            }
            above = nodes;
        }
        Ok(sides.into_iter().map(Side::build).collect())
    }

    /// Numbers that one node takes.
    fn width(&self) -> usize {
        3 * self.sides + 1
    }

    fn name(&self, index: i64) -> Option<&str> {
        let name = usize::try_from(index).ok().and_then(|index| self.names.get(index))?;
        Some(name.as_deref().filter(|name| !name.is_empty()).unwrap_or("[unknown]"))
    }

    /// A node's span on the axis of all sides together, its self per side, and its name.
    fn node(node: &[i64], ends: &mut [i64; 2], depth: usize) -> Result<(Interval, [i64; 2], i64), ReadError> {
        let bad = || ReadError::malformed("a node with numbers that make no span", depth);
        let (mut start, mut width, mut of_self) = (0_i64, 0_i64, [0_i64; 2]);
        for ((side, end), of_self) in node.chunks_exact(3).zip(ends.iter_mut()).zip(of_self.iter_mut()) {
            let &[delta, total, own] = side else { return Err(bad()) };
            if delta < 0 || total < 0 || own < 0 || own > total {
                return Err(bad());
            }
            let at = end.checked_add(delta).ok_or_else(bad)?;
            *end = at.checked_add(total).ok_or_else(bad)?;
            start = start.checked_add(at).ok_or_else(bad)?;
            width = width.checked_add(total).ok_or_else(bad)?;
            *of_self = own;
        }
        let end = start.checked_add(width).ok_or_else(bad)?;
        Ok(((start, end), of_self, node.last().copied().unwrap_or(0)))
    }

    fn function(&self, sides: &mut [Side], name: i64, depth: usize) -> Result<FunctionId, ReadError> {
        let text = self.name(name).ok_or_else(|| ReadError::malformed(format!("no name {name}"), depth))?;
        LimitName::Name.check(text.len(), self.limits.name)?;
        let mut id = None;
        for side in sides {
            // Each side numbers its functions in the same order: the ids agree.
            id = side.function(name, text);
        }
        id.ok_or_else(|| ReadError::malformed(format!("no name {name}"), depth))
    }
}

impl Side {
    fn new(sample_type: &SampleType, names: usize) -> Self {
        Self {
            builder: ProfileBuilder::new(vec![sample_type.clone()]),
            functions: vec![None; names],
            truncated: 0,
            sum: 0,
        }
    }

    fn function(&mut self, name: i64, text: &str) -> Option<FunctionId> {
        let place = usize::try_from(name).ok().and_then(|name| self.functions.get_mut(name))?;
        if place.is_none() {
            *place = Some(self.builder.function(&sanitise(text.as_bytes()), ""));
        }
        *place
    }

    fn add(
        &mut self,
        links: &[Link],
        frame: Option<u32>,
        value: i64,
        other: bool,
        sample_type: &SampleType,
    ) -> Result<(), ReadError> {
        self.sum = self.sum.saturating_add(value.unsigned_abs());
        if i64::try_from(self.sum).is_err() {
            return Err(ReadError::Overflow(sample_type.name.clone()));
        }
        if other {
            self.truncated += value;
        }
        let link = |at: u32| links.get(at as usize);
        let frames = std::iter::successors(frame.and_then(link), |l| l.caller.and_then(link));
        self.builder.add(frames.map(|l| l.function), &[value]);
        Ok(())
    }

    fn build(self) -> FlamebearerSide {
        FlamebearerSide { profile: self.builder.build(), truncated_ticks: self.truncated }
    }
}
