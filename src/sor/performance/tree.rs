//! A trace as a tree: which span is part of which, and how much of its time is its own.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::spans::{Span, SpanStatus, StoredTrace};

/// Longest path, in bytes. A longer one loses its beginning.
const MAX_PATH_BYTES: usize = 1_000;
const ARROW: &str = " → ";

/// A trace: its spans depth first, children by their start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OperationTrace)]
pub struct Trace {
    /// The trace, 32 hexadecimal digits.
    #[schema(example = "4bf92f3577b34da6a3ce929d0e0e4736")]
    pub trace_id: String,
    /// When its first span began.
    pub started_at: DateTime<Utc>,
    /// From then to the end of its last span, in microseconds; null while none has ended.
    #[schema(example = 100_000)]
    pub duration_us: Option<i64>,
    /// Whether it has more than the 10,000 spans that are shown at most.
    pub truncated: bool,
    /// The spans.
    pub spans: Vec<TraceSpan>,
}

/// A span in its trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"spanId": "00f067aa0ba902b7", "parentSpanId": null, "operationType": "merge",
    "spanName": "merge", "scope": "branch:7", "status": "success", "startedAt": "2024-01-23T08:53:20.123456Z",
    "durationUs": 100_000, "selfUs": 0, "depth": 0, "path": "merge", "orphan": false, "attributes": null, "error": null,
    "events": null}))]
pub struct TraceSpan {
    /// The span, 16 hexadecimal digits.
    pub span_id: String,
    /// The span that it is part of.
    pub parent_span_id: Option<String>,
    /// The type of operation.
    pub operation_type: String,
    /// What exactly was done, where the type does not say it.
    pub span_name: String,
    /// The scope; empty: none.
    pub scope: String,
    /// How it stands.
    pub status: SpanStatus,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How long it took, in microseconds; null while it runs.
    pub duration_us: Option<i64>,
    /// How much of that none of its children ran, in microseconds.
    pub self_us: Option<i64>,
    /// How many spans it is part of.
    pub depth: usize,
    /// The names from the root to it: "root → child". A path over 1,000 bytes loses its beginning.
    pub path: String,
    /// Whether the span that it is part of is missing.
    pub orphan: bool,
    /// Further details.
    #[schema(value_type = Option<Object>)]
    pub attributes: Option<Value>,
    /// What went wrong.
    #[schema(value_type = Option<Object>)]
    pub error: Option<Value>,
    /// What happened within it.
    #[schema(value_type = Option<Vec<Object>>)]
    pub events: Option<Value>,
}

/// The id of a span as it is shown.
pub(super) fn span_text(id: i64) -> String {
    format!("{id:016x}")
}

impl Trace {
    /// The tree of a trace's spans; `None` where there are none.
    ///
    /// A span whose parent is missing is a root, and so is one that is its own parent. Of spans that are parts of each other
    /// in a circle the earliest is a root. No span is shown twice.
    pub(super) fn of(stored: StoredTrace) -> Option<Self> {
        let StoredTrace { trace, mut spans, truncated } = stored;
        spans.sort_by_key(|span| (span.started_at, span.id));
        let started_at = spans.first()?.started_at;
        let ended_at = spans.iter().filter_map(end).max();
        let placings = Tree::of(&spans).depth_first();
        let mut spans: Vec<_> = spans.into_iter().map(Some).collect();
        let taken = |placing: Placing| Some(TraceSpan::of(spans.get_mut(placing.place)?.take()?, placing));
        let shown = placings.into_iter().filter_map(taken).collect();
        Some(Self {
            trace_id: trace.simple().to_string(),
            started_at,
            duration_us: ended_at.and_then(|end| (end - started_at).num_microseconds()),
            truncated,
            spans: shown,
        })
    }
}

impl TraceSpan {
    fn of(span: Span, placing: Placing) -> Self {
        Self {
            span_id: span_text(span.id),
            parent_span_id: span.parent.map(span_text),
            operation_type: span.operation_type,
            span_name: span.name,
            scope: span.scope,
            status: span.status,
            started_at: span.started_at,
            duration_us: span.duration_us,
            self_us: placing.self_us,
            depth: placing.depth,
            path: placing.path,
            orphan: placing.orphan,
            attributes: span.attributes,
            error: span.error,
            events: span.events,
        }
    }
}

fn end(span: &Span) -> Option<DateTime<Utc>> {
    span.duration_us.map(|micros| span.started_at + TimeDelta::microseconds(micros))
}

/// A span and its place among the spans of its trace.
type Placed<'a> = (usize, &'a Span);

/// A span that is to be visited.
struct Visit<'a> {
    at: Placed<'a>,
    depth: usize,
    path: String,
}

/// What the tree says of the span at a place.
struct Placing {
    place: usize,
    depth: usize,
    path: String,
    self_us: Option<i64>,
    orphan: bool,
}

/// The spans of a trace by their start, and the children of each id.
struct Tree<'a> {
    spans: &'a [Span],
    ids: HashSet<i64>,
    children: HashMap<i64, Vec<Placed<'a>>>,
}

impl<'a> Tree<'a> {
    fn of(spans: &'a [Span]) -> Self {
        let mut children: HashMap<_, Vec<_>> = HashMap::new();
        for (at, span) in spans.iter().enumerate() {
            if let Some(parent) = span.parent.filter(|parent| *parent != span.id) {
                children.entry(parent).or_default().push((at, span));
            }
        }
        Self { spans, ids: spans.iter().map(|span| span.id).collect(), children }
    }

    fn children(&self, span: &Span) -> &[Placed<'a>] {
        self.children.get(&span.id).map_or(&[], Vec::as_slice)
    }

    /// Whether the span that this one is part of is missing.
    fn is_orphan(&self, span: &Span) -> bool {
        span.parent.is_some_and(|parent| !self.ids.contains(&parent))
    }

    fn depth_first(&self) -> Vec<Placing> {
        let (mut visited, mut placings) = (HashSet::new(), Vec::with_capacity(self.spans.len()));
        let all = || self.spans.iter().enumerate();
        let is_root =
            |(_, span): &Placed<'a>| span.parent.is_none_or(|parent| parent == span.id) || self.is_orphan(span);
        // What no root leads to is in a circle.
        for root in all().filter(is_root).chain(all()) {
            let mut to_visit = vec![Visit { at: root, depth: 0, path: root.1.name.clone() }];
            while let Some(Visit { at: (place, span), depth, path }) = to_visit.pop() {
                if !visited.insert(place) {
                    continue;
                }
                let children = self.children(span).iter().rev().filter(|(place, _)| !visited.contains(place));
                to_visit.extend(children.map(|child| Visit {
                    at: *child,
                    depth: depth + 1,
                    path: appended(&path, &child.1.name),
                }));
                placings.push(Placing {
                    place,
                    depth,
                    path,
                    self_us: self.self_us(span),
                    orphan: self.is_orphan(span),
                });
            }
        }
        placings
    }

    /// The duration without the time in which at least one child ran.
    fn self_us(&self, span: &Span) -> Option<i64> {
        let (duration, last) = (span.duration_us?, end(span)?);
        let (mut covered, mut until) = (0, span.started_at);
        // Children are in the order of their starts.
        for (_, child) in self.children(span) {
            let (from, to) = (child.started_at.max(until), end(child).unwrap_or(last).min(last));
            if from < to {
                covered += (to - from).num_microseconds().unwrap_or(0);
                until = to;
            }
        }
        Some(duration - covered)
    }
}

/// The path to a child. One that would be too long loses its beginning.
fn appended(path: &str, name: &str) -> String {
    let whole = format!("{path}{ARROW}{name}");
    if whole.len() <= MAX_PATH_BYTES {
        return whole;
    }
    let from = whole.ceil_char_boundary(whole.len() - MAX_PATH_BYTES);
    let names = whole.get(from..).unwrap_or_default();
    // It begins with a whole name.
    let names = names.split_once(ARROW).map_or(names, |(_, names)| names);
    format!("…{ARROW}{names}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    /// A span from one millisecond to another.
    fn span(id: i64, parent: Option<i64>, from: i64, to: i64) -> Span {
        Span {
            id,
            parent,
            operation_type: "merge".to_owned(),
            name: format!("s{id}"),
            scope: String::new(),
            status: SpanStatus::Success,
            started_at: DateTime::UNIX_EPOCH + TimeDelta::milliseconds(from),
            duration_us: Some((to - from) * 1_000),
            attributes: None,
            error: None,
            events: None,
        }
    }

    fn tree(spans: Vec<Span>) -> Trace {
        Trace::of(StoredTrace { trace: Uuid::from_u128(7), spans, truncated: false }).unwrap()
    }

    fn paths(trace: &Trace) -> Vec<(&str, usize, bool)> {
        trace.spans.iter().map(|span| (span.path.as_str(), span.depth, span.orphan)).collect()
    }

    #[test]
    fn a_root_whose_children_fill_its_time_has_none_of_its_own() {
        let trace = tree(vec![
            span(1, None, 0, 100),
            span(2, Some(1), 0, 5),
            span(3, Some(1), 5, 45),
            span(4, Some(1), 45, 100),
        ]);
        assert_eq!(trace.duration_us, Some(100_000));
        let own: Vec<_> = trace.spans.iter().map(|span| span.self_us).collect();
        assert_eq!(own, [Some(0), Some(5_000), Some(40_000), Some(55_000)]);
        assert_eq!(paths(&trace)[1], ("s1 → s2", 1, false));
        assert_eq!((&*trace.trace_id, &*trace.spans[1].span_id), (&*format!("{:032x}", 7), "0000000000000002"));
    }

    #[test]
    fn children_at_once_count_once_and_what_runs_beyond_its_parent_counts_within_it() {
        let trace = tree(vec![
            span(1, None, 0, 100),
            span(2, Some(1), 10, 60),
            span(3, Some(1), 20, 30),
            span(4, Some(1), 50, 70),
            span(5, Some(1), 90, 200),
        ]);
        assert_eq!(trace.spans[0].self_us, Some(30_000));
        assert_eq!(trace.duration_us, Some(200_000));
    }

    #[test]
    fn a_child_that_came_before_its_parent_is_an_orphan_until_the_parent_is_there() {
        assert_eq!(paths(&tree(vec![span(2, Some(1), 5, 10)])), [("s2", 0, true)]);
        let trace = tree(vec![span(2, Some(1), 5, 10), span(1, None, 0, 20)]);
        assert_eq!(paths(&trace), [("s1", 0, false), ("s1 → s2", 1, false)]);
    }

    #[test]
    fn circles_end_and_every_span_is_shown_once() {
        let trace =
            tree(vec![span(1, Some(1), 0, 10), span(2, Some(3), 1, 9), span(3, Some(2), 2, 8), span(4, Some(3), 3, 7)]);
        let expected = [("s1", 0, false), ("s2", 0, false), ("s2 → s3", 1, false), ("s2 → s3 → s4", 2, false)];
        assert_eq!(paths(&trace), expected);
    }

    #[test]
    fn spans_of_one_id_are_both_shown() {
        let trace = tree(vec![span(1, None, 0, 10), span(1, None, 5, 10), span(2, Some(1), 6, 7)]);
        assert_eq!(paths(&trace), [("s1", 0, false), ("s1 → s2", 1, false), ("s1", 0, false)]);
    }

    #[test]
    fn a_span_that_runs_has_no_duration_and_its_trace_has_that_of_the_others() {
        let mut running = span(1, None, 0, 0);
        (running.duration_us, running.status) = (None, SpanStatus::Running);
        let trace = tree(vec![running, span(2, Some(1), 5, 10)]);
        assert_eq!((trace.duration_us, trace.spans[0].self_us), (Some(10_000), None));
    }

    #[test]
    fn a_chain_of_the_most_spans_has_paths_of_bounded_length() {
        let most = i64::try_from(Span::MOST).unwrap();
        let trace = tree((0..most).map(|id| span(id, (id > 0).then(|| id - 1), id, most)).collect());
        let last = trace.spans.last().unwrap();
        assert_eq!((trace.spans.len(), last.depth), (Span::MOST, Span::MOST - 1));
        assert!(last.path.starts_with("… → s") && last.path.ends_with(" → s9998 → s9999"), "{}", last.path);
        assert!(trace.spans.iter().all(|span| span.path.len() <= MAX_PATH_BYTES + "… → ".len()));
    }
}
