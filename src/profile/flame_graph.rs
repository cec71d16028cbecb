//! Draws flame graphs as SVG, the root on top. Pure: the same profile gives the same bytes.

use std::collections::BTreeMap;
use std::fmt::Write;

use inferno::flamegraph::{self, Direction, Options, TextTruncateDirection};
use rustc_hash::FxHashMap;

use super::model::Profile;
use super::table::FunctionTable;

/// Frames narrower than this share of the whole, in percent, are not drawn and count as their caller's own: under half
/// a pixel of a wide screen.
const MIN_WIDTH_PERCENT: f64 = 0.05;

/// The height of the frames of a screen, in pixels: shallow graphs get higher frames, within these bounds.
const SCREEN: usize = 860;
const FRAME_HEIGHT: std::ops::RangeInclusive<usize> = 16..=26;
/// The pixels of the text; the lines that are added stand beside the subtitle.
const FONT_SIZE: usize = 12;

const NO_STACK: &str = FunctionTable::NO_STACK;

/// What is written on a flame graph.
#[derive(Debug, Clone, Default)]
pub struct FlameGraphText {
    /// The headline, such as the app's name and the kind of profile.
    pub title: String,
    /// The line beneath, such as the window.
    pub subtitle: String,
    /// What is counted, such as `nanoseconds`.
    pub unit: String,
    /// Where to read on: an address and the words to show for it.
    pub link: Option<(String, String)>,
}

impl FlameGraphText {
    /// What width and colour mean, and the link, as SVG to be written into a graph.
    fn legend(&self, is_difference: bool) -> String {
        let meaning = if is_difference {
            "width: share now; red: larger than before, blue: smaller"
        } else {
            "width: share; below: callees; colours mean nothing"
        };
        let y = FONT_SIZE * 4;
        let mut svg =
            format!("<text id=\"legend\" x=\"100%\" dx=\"-10\" y=\"{y}\" text-anchor=\"end\">{meaning}</text>");
        if let Some((address, words)) = &self.link {
            let (address, words) = (escape(address), escape(words));
            let _ = write!(
                svg,
                "<a href=\"{address}\"><text x=\"10\" y=\"{y}\" fill=\"rgb(0,0,190)\" \
                 text-decoration=\"underline\">{words}</text></a>"
            );
        }
        svg
    }
}

/// Draws the stacks of one sample type. Values of 0 and below are not drawn. Without anything to draw the SVG says so.
///
/// # Errors
/// The drawing library failed, with its words.
pub fn flame_graph(profile: &Profile, sample_type: usize, text: &FlameGraphText) -> Result<Vec<u8>, String> {
    let mut tree = Tree::default();
    tree.add(profile, sample_type, 1);
    tree.draw(text, None)
}

/// Draws `current` coloured by its difference to `baseline`: red grew, blue shrank. The baseline is scaled to the total
/// of `current` first, so that more load is no difference. Frames that are only in the baseline have no width.
///
/// # Errors
/// The drawing library failed, with its words.
pub fn flame_graph_diff(
    baseline: &Profile,
    current: &Profile,
    sample_type: usize,
    text: &FlameGraphText,
) -> Result<Vec<u8>, String> {
    let mut tree = Tree::default();
    tree.add(baseline, sample_type, 0);
    tree.add(current, sample_type, 1);
    let [before, after] = tree.totals;
    tree.draw(text, Some(if before > 0 { after as f64 / before as f64 } else { 0.0 }))
}

/// A caller tree: per node its own ticks of both sides, baseline first.
#[derive(Default)]
struct Tree {
    names: Vec<String>,
    name_ids: FxHashMap<String, u32>,
    nodes: Vec<Node>,
    children: FxHashMap<(u32, u32), u32>,
    totals: [i64; 2],
}

struct Node {
    name: u32,
    parent: Option<u32>,
    own: [i64; 2],
}

impl Tree {
    fn add(&mut self, profile: &Profile, sample_type: usize, side: usize) {
        let mut names = vec![None; profile.function_count()];
        for stack in profile.stacks() {
            let value = stack.values.get(sample_type).copied().unwrap_or(0);
            if value <= 0 {
                continue;
            }
            // Ticks without a stack are drawn as what they are: unknown.
            let mut at = stack.frames.is_empty().then(|| self.root(NO_STACK));
            for function in stack.frames.iter().rev() {
                let name = match names.get_mut(function.index()) {
                    Some(Some(name)) => *name,
                    place => {
                        let name = self.name(&drawable(profile.name(*function)));
                        if let Some(place) = place {
                            *place = Some(name);
                        }
                        name
                    }
                };
                at = Some(self.node(at, name));
            }
            let own = at.and_then(|at| self.nodes.get_mut(at as usize)).and_then(|node| node.own.get_mut(side));
            if let (Some(own), Some(total)) = (own, self.totals.get_mut(side)) {
                *own = own.saturating_add(value);
                *total = total.saturating_add(value);
            }
        }
    }

    /// The node of that name beneath another, or beneath the root of all, which has no node.
    #[expect(clippy::cast_possible_truncation, reason = "a profile has fewer than 2^32 frames")]
    fn node(&mut self, parent: Option<u32>, name: u32) -> u32 {
        let next = self.nodes.len() as u32;
        let node = *self.children.entry((parent.unwrap_or(u32::MAX), name)).or_insert(next);
        if node == next {
            self.nodes.push(Node { name, parent, own: [0; 2] });
        }
        node
    }

    fn root(&mut self, name: &str) -> u32 {
        let name = self.name(name);
        self.node(None, name)
    }

    #[expect(clippy::cast_possible_truncation, reason = "a profile has fewer than 2^32 names")]
    fn name(&mut self, name: &str) -> u32 {
        if let Some(id) = self.name_ids.get(name) {
            return *id;
        }
        let id = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.name_ids.insert(name.to_owned(), id);
        id
    }

    fn draw(self, text: &FlameGraphText, baseline_scale: Option<f64>) -> Result<Vec<u8>, String> {
        let [_, total] = self.totals;
        if total <= 0 {
            return Ok(nothing_to_draw(text));
        }
        let lines = self.lines(baseline_scale);
        let mut options = Options::default();
        options.title.clone_from(&text.title);
        options.subtitle = (!text.subtitle.is_empty()).then(|| text.subtitle.clone());
        options.count_name.clone_from(&text.unit);
        options.direction = Direction::Inverted;
        options.font_size = FONT_SIZE;
        let rows = 1 + lines.iter().map(|line| line.matches(';').count() + 1).max().unwrap_or(1);
        options.frame_height = (SCREEN / rows).clamp(*FRAME_HEIGHT.start(), *FRAME_HEIGHT.end());
        options.deterministic = true;
        options.min_width = MIN_WIDTH_PERCENT;
        options.text_truncate_direction = TextTruncateDirection::Right;
        // The lines stand in the order of the tree already; this mode keeps it, from the last to the first.
        options.flame_chart = true;
        let mut svg = Vec::new();
        flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), &mut svg).map_err(|e| e.to_string())?;
        let end = svg.windows(6).rposition(|found| found == b"</svg>").ok_or("the drawing has no end")?;
        svg.splice(end..end, text.legend(baseline_scale.is_some()).into_bytes());
        Ok(svg)
    }

    /// Folded lines of all nodes wide enough, in reverse order of names, each node before the ones beneath it when read
    /// from the end.
    fn lines(mut self, baseline_scale: Option<f64>) -> Vec<String> {
        let mut totals: Vec<[i64; 2]> = self.nodes.iter().map(|node| node.own).collect();
        // A node stands after its parent: from the end, each is whole before it is added to its parent.
        for at in (0..self.nodes.len()).rev() {
            let (Some(node), Some(of)) = (self.nodes.get(at), totals.get(at).copied()) else { continue };
            if let Some(above) = node.parent.and_then(|parent| totals.get_mut(parent as usize)) {
                add(above, of);
            }
        }
        let threshold = self.totals[1] as f64 * MIN_WIDTH_PERCENT / 100.0;
        let wide = |at: usize| totals.get(at).is_some_and(|[_, after]| *after as f64 >= threshold);
        let mut beneath: BTreeMap<Option<u32>, Vec<u32>> = BTreeMap::new();
        for at in 0..self.nodes.len() {
            let Some(parent) = self.nodes.get(at).map(|node| node.parent) else { continue };
            if wide(at) {
                beneath.entry(parent).or_default().extend(u32::try_from(at));
            } else if parent.is_none_or(|parent| wide(parent as usize)) {
                let of = totals.get(at).copied().unwrap_or_default();
                if let Some(node) = parent.and_then(|parent| self.nodes.get_mut(parent as usize)) {
                    add(&mut node.own, of);
                }
            }
        }
        for children in beneath.values_mut() {
            children.sort_by(|a, b| self.text(*a).cmp(self.text(*b)));
        }
        let mut lines = Vec::new();
        let mut path = String::new();
        let mut open =
            beneath.remove(&None).unwrap_or_default().into_iter().rev().map(|at| (at, 0)).collect::<Vec<_>>();
        while let Some((at, start)) = open.pop() {
            path.truncate(start);
            if start > 0 {
                path.push(';');
            }
            path.push_str(self.text(at));
            let [before, after] = self.nodes.get(at as usize).map_or([0; 2], |node| node.own);
            if after > 0 {
                let mut line = path.clone();
                if let Some(scale) = baseline_scale {
                    let _ = write!(line, " {:.0}", before as f64 * scale);
                }
                let _ = write!(line, " {after}");
                lines.push(line);
            }
            open.extend(beneath.remove(&Some(at)).unwrap_or_default().into_iter().rev().map(|at| (at, path.len())));
        }
        lines.reverse();
        lines
    }

    fn text(&self, node: u32) -> &str {
        let name = self.nodes.get(node as usize).map(|node| node.name as usize);
        name.and_then(|name| self.names.get(name)).map_or("", String::as_str)
    }
}

fn add(sum: &mut [i64; 2], of: [i64; 2]) {
    for (sum, of) in sum.iter_mut().zip(of) {
        *sum = sum.saturating_add(of);
    }
}

/// The name as a folded line can hold it: no `;`, no line break, no control character, no beginning of a comment, and a
/// last word that is no number, which would be read as the baseline's ticks.
fn drawable(name: &str) -> String {
    let mut drawn: String = name
        .trim()
        .chars()
        .map(|c| match c {
            ';' => '\u{ff1b}',
            c if c.is_whitespace() => ' ',
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => '\u{fffd}',
            c => c,
        })
        .collect();
    if let Some((head, tail)) = drawn.rsplit_once(' ')
        && tail.chars().all(|c| c.is_ascii_digit() || c == '.')
    {
        drawn = format!("{head}\u{a0}{tail}");
    }
    if drawn == "#" || drawn.starts_with("# ") {
        // Such a line would be a comment.
        drawn.replace_range(..1, "\u{ff03}");
    }
    if drawn.is_empty() { "[unknown]".to_owned() } else { drawn }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn nothing_to_draw(text: &FlameGraphText) -> Vec<u8> {
    format!(
        "<?xml version=\"1.0\" standalone=\"no\"?>\n<svg version=\"1.1\" width=\"1200\" height=\"90\" \
         xmlns=\"http://www.w3.org/2000/svg\" font-family=\"monospace\" font-size=\"14\" text-anchor=\"middle\">\
         <text x=\"600\" y=\"24\">{}</text><text x=\"600\" y=\"48\">{}</text>\
         <text x=\"600\" y=\"72\">no samples in this window</text></svg>\n",
        escape(&text.title),
        escape(&text.subtitle)
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{ReadLimits, SampleType, read_folded};
    use rstest::rstest;

    fn profile(folded: &str) -> Profile {
        read_folded(folded.as_bytes(), SampleType::new("cpu", "nanoseconds"), &ReadLimits::default()).unwrap()
    }

    fn text() -> FlameGraphText {
        FlameGraphText {
            title: "checkout <cpu>".into(),
            subtitle: "12:00".into(),
            unit: "nanoseconds".into(),
            link: None,
        }
    }

    fn titles(svg: &[u8]) -> Vec<String> {
        let svg = std::str::from_utf8(svg).unwrap();
        let mut all: Vec<_> =
            svg.split("<title>").skip(1).map(|t| t.split("</title>").next().unwrap().into()).collect();
        all.sort();
        all
    }

    #[test]
    fn draws_each_frame_with_its_total() {
        let svg = flame_graph(&profile("main;a 30\nmain;b;a 10\nmain 60"), 0, &text()).unwrap();
        assert_eq!(
            titles(&svg),
            [
                "a (10 nanoseconds, 10.00%)",
                "a (30 nanoseconds, 30.00%)",
                "all (100 nanoseconds, 100%)",
                "b (10 nanoseconds, 10.00%)",
                "main (100 nanoseconds, 100.00%)"
            ]
        );
    }

    #[test]
    fn is_the_same_whatever_the_order_of_the_stacks() {
        let one = flame_graph(&profile("a;b 1\na;c 2\nd 3"), 0, &text()).unwrap();
        let other = flame_graph(&profile("d 3\na;c 2\na;b 1"), 0, &text()).unwrap();
        assert_eq!(one, other);
    }

    #[test]
    fn keeps_a_frame_in_one_piece_where_names_sort_before_the_separator() {
        let svg = flame_graph(&profile("a 1\na!;c 2\na;b 3"), 0, &text()).unwrap();
        assert!(titles(&svg).contains(&"a (4 nanoseconds, 66.67%)".to_owned()), "{:?}", titles(&svg));
    }

    #[rstest]
    #[case("[u8; 8]::new", "[u8\u{ff1b} 8]::new")]
    #[case("thread 12", "thread\u{a0}12")]
    #[case("operator new", "operator new")]
    #[case("a\nb\u{7}", "a b\u{fffd}")]
    #[case(" ", "[unknown]")]
    #[case("# a", "\u{ff03} a")]
    #[case("#", "\u{ff03}")]
    #[case("#a", "#a")]
    fn writes_names_so_that_they_stay_one_frame(#[case] name: &str, #[case] drawn: &str) {
        assert_eq!(drawable(name), drawn);
    }

    #[test]
    fn draws_a_stack_that_looks_like_a_comment() {
        let svg = flame_graph(&profile("# a;b 3"), 0, &text()).unwrap();
        assert!(titles(&svg).contains(&"b (3 nanoseconds, 100.00%)".to_owned()), "{:?}", titles(&svg));
    }

    #[test]
    fn leaves_out_what_is_too_narrow_and_loses_no_ticks() {
        let svg = flame_graph(&profile("main;wide 1000000\nmain;narrow 1"), 0, &text()).unwrap();
        assert_eq!(
            titles(&svg),
            [
                "all (1,000,001 nanoseconds, 100%)",
                "main (1,000,001 nanoseconds, 100.00%)",
                "wide (1,000,000 nanoseconds, 100.00%)"
            ]
        );
    }

    #[test]
    fn a_difference_is_scaled_to_the_current_load() {
        let (baseline, current) = (profile("main;a 10\nmain;b 10"), profile("main;a 30\nmain;b 10"));
        let svg = flame_graph_diff(&baseline, &current, 0, &text()).unwrap();
        let titles = titles(&svg);
        assert!(titles.contains(&"a (30 nanoseconds, 75.00%; +25.00%)".to_owned()), "{titles:?}");
        assert!(titles.contains(&"b (10 nanoseconds, 25.00%; -25.00%)".to_owned()), "{titles:?}");
    }

    #[test]
    fn the_root_is_on_top_and_says_what_width_and_colour_mean() {
        let link = Some(("/triage/shop?from=1&to=2".to_owned(), "triage \"shop\"".to_owned()));
        let text = FlameGraphText { link, ..text() };
        let svg = String::from_utf8(flame_graph(&profile("main;a 30"), 0, &text).unwrap()).unwrap();
        let y = |name: &str| {
            let (_, group) = svg.split_once(&format!("<title>{name} (")).unwrap();
            group.split_once(" y=\"").unwrap().1.split_once('"').unwrap().0.parse::<u32>().unwrap()
        };
        assert!(y("all") < y("main") && y("main") < y("a"));
        assert!(svg.contains("colours mean nothing"), "{svg}");
        assert!(svg.contains("<a href=\"/triage/shop?from=1&amp;to=2\">") && svg.contains(">triage &quot;shop&quot;<"));
        assert!(svg.trim_end().ends_with("</svg>"), "{svg}");
        let svg = flame_graph_diff(&profile("a 1"), &profile("a 2"), 0, &text).unwrap();
        assert!(String::from_utf8(svg).unwrap().contains("red: larger than before"));
    }

    #[rstest]
    #[case::shallow(3, 26)]
    #[case::fits(40, 20)]
    #[case::deep(200, 16)]
    fn frames_are_as_high_as_a_screen_allows(#[case] depth: usize, #[case] height: usize) {
        let stack = (0..depth).map(|at| format!("f{at}")).collect::<Vec<_>>().join(";");
        let svg = String::from_utf8(flame_graph(&profile(&format!("{stack} 1")), 0, &text()).unwrap()).unwrap();
        assert!(svg.contains(&format!("height=\"{}\"", height - 1)), "{svg}");
    }

    #[test]
    fn says_that_there_is_nothing_to_draw() {
        let svg = String::from_utf8(flame_graph(&profile("a -5"), 0, &text()).unwrap()).unwrap();
        assert!(svg.contains("no samples in this window") && svg.contains("checkout &lt;cpu&gt;"));
    }
}
