//! Writes Pyroscope's flame graph JSON.

use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::profile::model::{Profile, TextId};

#[derive(Serialize)]
struct Document<'p> {
    version: u32,
    flamebearer: Graph<'p>,
    metadata: Metadata<'p>,
    timeline: (),
    groups: (),
    heatmap: (),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Graph<'p> {
    names: Vec<&'p str>,
    levels: Vec<Vec<i64>>,
    num_ticks: i64,
    max_self: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'p> {
    format: &'static str,
    spy_name: &'static str,
    sample_rate: i64,
    units: &'p str,
    name: &'p str,
}

/// Writes one sample type as the JSON that Pyroscope's `/pyroscope/render` answers, whole: no node is left out for being
/// small. Functions of one name are one node under their caller, so files are not written. Children are in the order of
/// their names. Stacks whose value is not over 0 are left out, since a node has no negative width.
///
/// # Errors
/// None that a profile can cause: the type is that of the JSON writer.
pub fn write_flamebearer(profile: &Profile, sample_type: usize) -> Result<Vec<u8>, serde_json::Error> {
    let (name, unit) = profile.sample_types().get(sample_type).map_or(("", ""), |t| (&t.name, &t.unit));
    let (units, sample_rate) = units(name, unit);
    let tree = Tree::of(profile, sample_type);
    serde_json::to_vec(&Document {
        version: 1,
        flamebearer: tree.graph(profile),
        metadata: Metadata { format: "single", spy_name: "", sample_rate, units, name },
        timeline: (),
        groups: (),
        heatmap: (),
    })
}

/// The units and the sample rate in Pyroscope's spelling: of CPU time it says that nanoseconds are samples, of which there
/// are a thousand million in a second. Of other types the rate means nothing.
fn units<'p>(name: &str, unit: &'p str) -> (&'p str, i64) {
    match (name, unit) {
        ("cpu", "nanoseconds") => ("samples", 1_000_000_000),
        ("inuse_objects" | "alloc_objects" | "goroutine" | "samples", "count") => ("objects", 100),
        _ => (unit, 100),
    }
}

/// The stacks as a tree; node 0 is the root, which is no frame.
struct Tree {
    nodes: Vec<Node>,
}

#[derive(Default)]
struct Node {
    name: Option<TextId>,
    own: i64,
    total: i64,
    children: Vec<usize>,
}

impl Tree {
    fn of(profile: &Profile, sample_type: usize) -> Self {
        let mut tree = Self { nodes: vec![Node::default()] };
        let mut known: FxHashMap<(usize, TextId), usize> = FxHashMap::default();
        for stack in profile.stacks() {
            let value = stack.values.get(sample_type).copied().unwrap_or(0);
            if value <= 0 {
                continue;
            }
            let mut at = 0;
            tree.add(at, value);
            for frame in stack.frames.iter().rev() {
                let Some(function) = profile.function_texts(*frame) else { continue };
                at = *known.entry((at, function.name)).or_insert_with(|| tree.child(at, function.name));
                tree.add(at, value);
            }
            if let Some(leaf) = tree.nodes.get_mut(at) {
                leaf.own = leaf.own.saturating_add(value);
            }
        }
        for node in 0..tree.nodes.len() {
            let mut children =
                tree.nodes.get_mut(node).map(|node| std::mem::take(&mut node.children)).unwrap_or_default();
            children.sort_unstable_by_key(|child| tree.name(*child).map(|name| profile.text(name)));
            if let Some(node) = tree.nodes.get_mut(node) {
                node.children = children;
            }
        }
        tree
    }

    fn add(&mut self, node: usize, value: i64) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.total = node.total.saturating_add(value);
        }
    }

    /// A new node under this one.
    fn child(&mut self, parent: usize, name: TextId) -> usize {
        let child = self.nodes.len();
        self.nodes.push(Node { name: Some(name), ..Node::default() });
        if let Some(parent) = self.nodes.get_mut(parent) {
            parent.children.push(child);
        }
        child
    }

    fn name(&self, node: usize) -> Option<TextId> {
        self.nodes.get(node)?.name
    }

    /// Its levels from the root down. Each node is its distance from the end of the one before it, its total, its self and
    /// its name; its self lies at its left, then come its children.
    fn graph<'p>(&self, profile: &'p Profile) -> Graph<'p> {
        let mut names = vec!["total"];
        let mut placed: FxHashMap<TextId, i64> = FxHashMap::default();
        let mut levels = Vec::new();
        let mut level = vec![(0, 0_i64)];
        while !level.is_empty() {
            let mut numbers = Vec::with_capacity(level.len() * 4);
            let mut below = Vec::new();
            let mut end = 0;
            for (node, start) in level {
                let Some(node) = self.nodes.get(node) else { continue };
                let name = node.name.map_or(0, |name| {
                    *placed.entry(name).or_insert_with(|| {
                        names.push(profile.text(name));
                        i64::try_from(names.len() - 1).unwrap_or(0)
                    })
                });
                numbers.extend([start - end, node.total, node.own, name]);
                end = start.saturating_add(node.total);
                let mut next = start.saturating_add(node.own);
                for child in &node.children {
                    below.push((*child, next));
                    next = next.saturating_add(self.nodes.get(*child).map_or(0, |child| child.total));
                }
            }
            levels.push(numbers);
            level = below;
        }
        Graph {
            names,
            levels,
            num_ticks: self.nodes.first().map_or(0, |root| root.total),
            max_self: self.nodes.iter().map(|node| node.own).max().unwrap_or(0),
        }
    }
}
