//! Flame graphs as levels of numbers, the form in which Pyroscope answers them, and profiles cut to their largest nodes.
//! Pure: the same profile gives the same numbers.

use rustc_hash::FxHashMap;

use super::builder::ProfileBuilder;
use super::model::{FunctionId, Profile};

/// The name of the root, which is no frame.
const ROOT: &str = "total";
/// The name of a leaf that stands for all nodes beneath its parent that are too small.
const OTHER: &str = "other";

/// A flame graph of one profile or two.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlameLevels {
    /// The names of the nodes; the first is that of the root.
    pub names: Vec<String>,
    /// The levels, the root first. A node is four numbers: its distance to the end of the node before it, its total, its
    /// self, and the index of its name. With two profiles it is seven: the first three of the left one, those of the
    /// right one, and the index. A node's own value lies at its left end.
    pub levels: Vec<Vec<i64>>,
    /// The totals of the roots, left and right. Of one profile the right one is 0.
    pub totals: [i64; 2],
    /// The largest self of any node.
    pub max_self: i64,
}

/// The flame graph of a sample type with about `max_nodes` nodes, those with the largest totals. Smaller ones are summed
/// in leaves called `other`. Values of 0 and below are left out.
pub fn flame_levels(profile: &Profile, sample_type: usize, max_nodes: usize) -> FlameLevels {
    let mut names = Names::default();
    let mut tree = CallerTree::default();
    tree.add(profile, sample_type, 0, names.of(profile));
    tree.levels(1, max_nodes, &names)
}

/// The flame graph of two profiles. A node is kept if it is large enough on either side.
pub fn flame_levels_diff(left: &Profile, right: &Profile, sample_type: usize, max_nodes: usize) -> FlameLevels {
    let mut names = Names::default();
    let mut tree = CallerTree::default();
    tree.add(left, sample_type, 0, names.of(left));
    tree.add(right, sample_type, 1, names.of(right));
    tree.levels(2, max_nodes, &names)
}

/// The profile of a sample type with about `max_nodes` nodes, those with the largest totals. The values of smaller ones
/// are those of a function `other` that has no file. Values of 0 and below are left out.
pub fn largest_nodes(profile: &Profile, sample_type: usize, max_nodes: usize) -> Profile {
    let mut tree = CallerTree::default();
    tree.add(profile, sample_type, 0, profile.function_ids().map(|id| id.0).collect());
    let tree = tree.cut(max_nodes);
    let mut builder = ProfileBuilder::new(profile.sample_types().get(sample_type).cloned().into_iter().collect());
    for (at, node) in tree.nodes.iter().enumerate().filter(|(_, node)| node.own[0] > 0) {
        let mut stack = Vec::new();
        let mut above = Some(at);
        while let Some(node) = above.and_then(|at| tree.nodes.get(at)) {
            above = node.parent.map(|parent| parent as usize);
            match node.key {
                Key::Root => {}
                Key::Function(id) => {
                    let (name, file) = profile.function(FunctionId(id));
                    let function = builder.function(name, file);
                    builder.line(function, profile.line(FunctionId(id)).unwrap_or(0));
                    stack.push(function);
                }
                Key::Other => stack.push(builder.function(OTHER, "")),
            }
        }
        builder.add(stack, &[node.own[0]]);
    }
    builder.build()
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Root,
    /// A function, or all functions of a name.
    Function(u32),
    /// Nodes that were too small.
    Other,
}

#[derive(Debug)]
struct Node {
    key: Key,
    parent: Option<u32>,
    /// Its own ticks, left and right.
    own: [i64; 2],
}

/// A tree of callers, the root first and each node after its parent.
#[derive(Debug)]
struct CallerTree {
    nodes: Vec<Node>,
    children: FxHashMap<(u32, Key), u32>,
}

impl Default for CallerTree {
    fn default() -> Self {
        Self { nodes: vec![Node { key: Key::Root, parent: None, own: [0; 2] }], children: FxHashMap::default() }
    }
}

impl CallerTree {
    /// Adds a profile to one side. `keys` has a number for each function.
    #[expect(clippy::needless_pass_by_value, reason = "the numbers are made for this call")]
    fn add(&mut self, profile: &Profile, sample_type: usize, side: usize, keys: Vec<u32>) {
        for stack in profile.stacks() {
            let value = stack.values.get(sample_type).copied().unwrap_or(0);
            if value <= 0 {
                continue;
            }
            let mut at = 0;
            for key in stack.frames.iter().rev().filter_map(|function| keys.get(function.index())) {
                at = self.node(at, Key::Function(*key));
            }
            self.put(at, side, value);
        }
    }

    fn put(&mut self, at: u32, side: usize, value: i64) {
        if let Some(own) = self.nodes.get_mut(at as usize).and_then(|node| node.own.get_mut(side)) {
            *own = own.saturating_add(value);
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a profile has fewer than 2^32 frames")]
    fn node(&mut self, parent: u32, key: Key) -> u32 {
        let next = self.nodes.len() as u32;
        let node = *self.children.entry((parent, key)).or_insert(next);
        if node == next {
            self.nodes.push(Node { key, parent: Some(parent), own: [0; 2] });
        }
        node
    }

    /// The total of each node, left and right.
    fn totals(&self) -> Vec<[i64; 2]> {
        let mut totals: Vec<[i64; 2]> = self.nodes.iter().map(|node| node.own).collect();
        // From the end, each node is whole before it is added to its parent.
        for at in (0..self.nodes.len()).rev() {
            let parent = self.nodes.get(at).and_then(|node| node.parent);
            let (Some(parent), Some([left, right])) = (parent, totals.get(at).copied()) else { continue };
            if let Some(above) = totals.get_mut(parent as usize) {
                *above = [above[0].saturating_add(left), above[1].saturating_add(right)];
            }
        }
        totals
    }

    /// The tree without its smaller nodes: what is smaller than the `max_nodes` largest is summed beneath its parent.
    fn cut(self, max_nodes: usize) -> Self {
        if self.nodes.len() <= max_nodes.saturating_add(1) {
            return self;
        }
        let totals = self.totals();
        let size = |[left, right]: [i64; 2]| left.max(right);
        let mut sizes: Vec<i64> = totals.iter().skip(1).map(|total| size(*total)).collect();
        let smallest = match max_nodes.checked_sub(1) {
            Some(last) => *sizes.select_nth_unstable_by(last, |a, b| b.cmp(a)).1,
            None => i64::MAX,
        };
        let mut kept = Self::default();
        let mut places: Vec<Option<u32>> = vec![Some(0)];
        for (node, total) in self.nodes.iter().zip(&totals).skip(1) {
            let parent = node.parent.and_then(|parent| places.get(parent as usize).copied().flatten());
            let is_kept = size(*total) >= smallest;
            // What is beneath a node that is not kept is part of that node's total.
            places.push(parent.filter(|_| is_kept).map(|parent| kept.node(parent, node.key)));
            let (place, own) = match (parent, is_kept) {
                (None, _) => continue,
                (Some(parent), true) => (kept.node(parent, node.key), node.own),
                (Some(parent), false) => (kept.node(parent, Key::Other), *total),
            };
            own.into_iter().enumerate().for_each(|(side, own)| kept.put(place, side, own));
        }
        if let (Some(root), Some(was)) = (kept.nodes.first_mut(), self.nodes.first()) {
            root.own = was.own;
        }
        kept
    }

    /// The levels of numbers of one side or both.
    fn levels(self, sides: usize, max_nodes: usize, names: &Names) -> FlameLevels {
        let tree = self.cut(max_nodes);
        let totals = tree.totals();
        let mut graph = FlameLevels { totals: totals.first().copied().unwrap_or_default(), ..FlameLevels::default() };
        let mut beneath: Vec<Vec<u32>> = vec![Vec::new(); tree.nodes.len()];
        for (at, node) in (0..).zip(&tree.nodes) {
            if let Some(above) = node.parent.and_then(|parent| beneath.get_mut(parent as usize)) {
                above.push(at);
            }
        }
        let text = |at: &u32| tree.nodes.get(*at as usize).map_or("", |node| names.text(node.key));
        let mut indices: FxHashMap<Key, i64> = FxHashMap::default();
        let mut ends: Vec<[i64; 2]> = Vec::new();
        let mut open = vec![(0_u32, 0_usize, [0_i64; 2])];
        while let Some((at, depth, start)) = open.pop() {
            let (Some(node), Some(total)) = (tree.nodes.get(at as usize), totals.get(at as usize)) else { continue };
            if depth == graph.levels.len() {
                graph.levels.push(Vec::new());
                ends.push([0; 2]);
            }
            let (Some(level), Some(end)) = (graph.levels.get_mut(depth), ends.get_mut(depth)) else { continue };
            for (((start, end), total), own) in start.iter().zip(end).zip(total).zip(&node.own).take(sides) {
                level.extend([start - *end, *total, *own]);
                *end = start.saturating_add(*total);
                graph.max_self = graph.max_self.max(*own);
            }
            let next = i64::try_from(graph.names.len()).unwrap_or(i64::MAX);
            let index = *indices.entry(node.key).or_insert(next);
            if index == next {
                graph.names.push(names.text(node.key).to_owned());
            }
            level.push(index);
            let mut children = beneath.get_mut(at as usize).map(std::mem::take).unwrap_or_default();
            // By name, `other` last.
            let rank = |at: &u32| tree.nodes.get(*at as usize).is_some_and(|node| node.key == Key::Other);
            children.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| text(a).cmp(text(b))));
            let mut child_start = [start[0].saturating_add(node.own[0]), start[1].saturating_add(node.own[1])];
            let first = open.len();
            for child in children {
                open.push((child, depth + 1, child_start));
                let [left, right] = totals.get(child as usize).copied().unwrap_or_default();
                child_start = [child_start[0].saturating_add(left), child_start[1].saturating_add(right)];
            }
            // The leftmost child is the next one.
            open.get_mut(first..).unwrap_or_default().reverse();
        }
        graph
    }
}

/// The names of functions, each once, whatever their files.
#[derive(Debug, Default)]
struct Names {
    list: Vec<String>,
    ids: FxHashMap<String, u32>,
}

impl Names {
    /// The number of the name of each function.
    #[expect(clippy::cast_possible_truncation, reason = "a profile has fewer than 2^32 names")]
    fn of(&mut self, profile: &Profile) -> Vec<u32> {
        let mut number = |id| {
            let name = profile.name(id);
            if let Some(known) = self.ids.get(name) {
                return *known;
            }
            let next = self.list.len() as u32;
            self.list.push(name.to_owned());
            self.ids.insert(name.to_owned(), next);
            next
        };
        profile.function_ids().map(&mut number).collect()
    }

    fn text(&self, key: Key) -> &str {
        match key {
            Key::Root => ROOT,
            Key::Other => OTHER,
            Key::Function(name) => self.list.get(name as usize).map_or("", String::as_str),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::profile::{ReadLimits, SampleType, read_flamebearer, read_folded};

    fn profile(folded: &str) -> Profile {
        read_folded(folded.as_bytes(), SampleType::new("cpu", "nanoseconds"), &ReadLimits::default()).unwrap()
    }

    /// Folded lines of the first sample type, sorted, each stack once.
    fn folded(profile: &Profile) -> Vec<String> {
        let mut sums = std::collections::BTreeMap::new();
        for stack in profile.stacks() {
            let names: Vec<_> = stack.frames.iter().rev().map(|f| profile.name(*f)).collect();
            *sums.entry(names.join(";")).or_insert(0) += stack.values[0];
        }
        sums.into_iter().map(|(stack, sum)| format!("{stack} {sum}")).collect()
    }

    fn read(graph: &FlameLevels, format: &str) -> crate::profile::FlamebearerFile {
        let json = serde_json::json!({
            "flamebearer": {"names": graph.names, "levels": graph.levels},
            "metadata": {"format": format, "name": "cpu", "units": "samples", "sampleRate": 1_000_000_000},
        });
        read_flamebearer(json.to_string().as_bytes(), &ReadLimits::default()).unwrap()
    }

    #[test]
    fn writes_four_numbers_a_node() {
        let graph = flame_levels(&profile("a;b;e 1\na;c 2\na;c;d 1"), 0, 100);
        assert_eq!(graph.names, ["total", "a", "b", "e", "c", "d"]);
        assert_eq!(
            graph.levels,
            [vec![0, 4, 0, 0], vec![0, 4, 0, 1], vec![0, 1, 0, 2, 0, 3, 2, 4], vec![0, 1, 1, 3, 2, 1, 1, 5]]
        );
        assert_eq!((graph.totals, graph.max_self), ([4, 0], 2));
    }

    #[test]
    fn writes_seven_numbers_a_node_of_two_profiles() {
        let graph = flame_levels_diff(&profile("a;b 1\na;c 2"), &profile("a;b 4\na;c 8"), 0, 100);
        assert_eq!(graph.names, ["total", "a", "b", "c"]);
        assert_eq!(
            graph.levels,
            [vec![0, 3, 0, 0, 12, 0, 0], vec![0, 3, 0, 0, 12, 0, 1], vec![0, 1, 1, 0, 4, 4, 2, 0, 2, 2, 0, 8, 8, 3]]
        );
        assert_eq!((graph.totals, graph.max_self), ([3, 12], 8));
    }

    #[test]
    fn nothing_is_a_root_of_nothing() {
        let graph = flame_levels(&Profile::default(), 0, 100);
        assert_eq!((graph.names, graph.levels), (vec!["total".to_owned()], vec![vec![0, 0, 0, 0]]));
    }

    #[test]
    fn sums_what_is_small_in_other() {
        let made = profile("a;b;x 50\na;c 3\na;d;y 2\ne 1");
        let cut = largest_nodes(&made, 0, 3);
        assert_eq!(folded(&cut), ["a;b;x 50", "a;other 5", "other 1"]);
        assert_eq!(folded(&read(&flame_levels(&made, 0, 3), "single").profile), folded(&cut));
        assert_eq!(folded(&largest_nodes(&made, 0, 0)), ["other 56"]);
    }

    proptest! {
        #[test]
        fn reads_back_what_was_written(lines in prop::collection::vec(("[abc](;[abc]){0,5}", 1..50_i64), 0..30)) {
            let made = profile(&lines.iter().map(|(stack, n)| format!("{stack} {n}\n")).collect::<String>());
            prop_assert_eq!(folded(&read(&flame_levels(&made, 0, usize::MAX), "single").profile), folded(&made));
            let half = profile(&lines.iter().step_by(2).map(|(stack, n)| format!("{stack} {n}\n")).collect::<String>());
            let both = read(&flame_levels_diff(&half, &made, 0, usize::MAX), "double");
            prop_assert_eq!(folded(&both.profile), folded(&made));
            prop_assert_eq!(folded(&both.baseline.unwrap().profile), folded(&half));
        }

        #[test]
        fn loses_no_ticks(lines in prop::collection::vec(("[abc](;[abc]){0,5}", 1..50_i64), 0..30), nodes in 0..20_usize) {
            let made = profile(&lines.iter().map(|(stack, n)| format!("{stack} {n}\n")).collect::<String>());
            prop_assert_eq!(largest_nodes(&made, 0, nodes).total(0), made.total(0));
            prop_assert_eq!(flame_levels(&made, 0, nodes).totals[0], made.total(0));
        }
    }
}
