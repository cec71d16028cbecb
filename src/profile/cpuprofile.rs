//! V8's CPU profiles (`.cpuprofile`): a tree of calls, and which of its nodes was sampled when. Node.js, Chrome and Deno
//! write them.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::builder::ProfileBuilder;
use super::inflate::inflate;
use super::json::each;
use super::limits::{LimitName, ReadError, ReadLimits};
use super::model::{FunctionId, Profile, SampleType};
use super::tally::Tally;
use super::text::sanitise;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document<'j> {
    #[serde(borrow)]
    nodes: &'j RawValue,
    /// In microseconds, as `endTime` and the deltas.
    #[serde(default)]
    start_time: Option<f64>,
    #[serde(default)]
    end_time: Option<f64>,
    #[serde(borrow, default)]
    samples: Option<&'j RawValue>,
    #[serde(borrow, default)]
    time_deltas: Option<&'j RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'j> {
    id: i64,
    #[serde(borrow)]
    call_frame: CallFrame<'j>,
    #[serde(default)]
    hit_count: Option<i64>,
    #[serde(borrow, default)]
    children: Option<&'j RawValue>,
    #[serde(default)]
    parent: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallFrame<'j> {
    #[serde(borrow)]
    function_name: Cow<'j, str>,
    #[serde(borrow, default)]
    url: Cow<'j, str>,
    /// From 0; -1 where there is none.
    #[serde(default)]
    line_number: Option<i64>,
}

/// A node of the tree.
struct Node {
    function: FunctionId,
    /// The place of its parent.
    parent: Option<usize>,
    /// Whether it is V8's root, which is no frame.
    is_root: bool,
    hits: i64,
}

/// Reads a CPU profile of V8. With times, each sample is worth the time until the next one, as CPU time in nanoseconds;
/// time in which nothing ran is the frame `(idle)`. Without times its sample type is `samples`: how often each was seen.
/// A function without a name becomes `(anonymous)`; V8's `(root)` is no frame. Gzip and zstd are inflated.
///
/// # Errors
/// The limit passed, or what cannot be read; `at` is a line, or the number of an item in its list.
pub fn read_cpuprofile(json: &[u8], limits: &ReadLimits) -> Result<Profile, ReadError> {
    let inflated = inflate(json, limits)?;
    let document: Document<'_> = serde_json::from_slice(&inflated)
        .map_err(|e| ReadError::malformed(format!("no CPU profile of V8: {e}"), e.line()))?;
    let mut builder = ProfileBuilder::default();
    let (nodes, places) = read_nodes(document.nodes, &mut builder, limits)?;
    let (values, sample_type) = match (document.samples, document.time_deltas) {
        (Some(samples), Some(deltas)) => {
            (times(&document, samples, deltas, &places, limits)?, SampleType::new("cpu", "nanoseconds"))
        }
        (Some(samples), None) => {
            let mut values = vec![0; nodes.len()];
            for place in sampled(samples, &places, limits)? {
                count(&mut values, place, 1)?;
            }
            (values, SampleType::new("samples", "count"))
        }
        (None, _) => (nodes.iter().map(|node| node.hits).collect(), SampleType::new("samples", "count")),
    };
    let mut tally = Tally::new(sample_type.name.as_str(), limits);
    let mut builder = builder.counting(vec![sample_type]);
    let mut frames = Vec::new();
    for (at, value) in values.into_iter().enumerate().filter(|(_, value)| *value > 0) {
        frames.clear();
        let mut next = Some(at);
        while let Some(node) = next.and_then(|at| nodes.get(at)) {
            if !node.is_root || frames.is_empty() {
                frames.push(node.function);
                LimitName::Stack.check(frames.len(), limits.stack)?;
            }
            next = node.parent;
        }
        tally.stack(frames.len(), value)?;
        builder.add(frames.iter().copied(), &[value]);
    }
    Ok(builder.build())
}

/// Of each node's id, its place in the list.
type Places = HashMap<i64, usize>;

fn read_nodes(
    listed: &RawValue,
    builder: &mut ProfileBuilder,
    limits: &ReadLimits,
) -> Result<(Vec<Node>, Places), ReadError> {
    let (mut nodes, mut places) = (Vec::new(), Places::new());
    // Parents and children may come in any order.
    let (mut of_parents, mut of_children) = (Vec::new(), Vec::new());
    each(listed, |node: Listed<'_>| {
        let place = nodes.len();
        LimitName::Symbols.check(place + 1, limits.symbols)?;
        let CallFrame { function_name, url, line_number } = node.call_frame;
        LimitName::Name.check(function_name.len().max(url.len()), limits.name)?;
        let name = if function_name.is_empty() { "(anonymous)" } else { &function_name };
        let function = builder.function(&sanitise(name.as_bytes()), &sanitise(url.as_bytes()));
        builder.line(function, line_number.and_then(|line| u32::try_from(line + 1).ok()).unwrap_or(0));
        nodes.push(Node {
            function,
            parent: None,
            is_root: name == "(root)",
            hits: node.hit_count.unwrap_or(0).max(0),
        });
        if places.insert(node.id, place).is_some() {
            return Err(ReadError::malformed(format!("two nodes with the id {}", node.id), place));
        }
        if let Some(parent) = node.parent {
            of_children.push((place, parent));
        }
        match node.children {
            Some(children) => each(children, |child: i64| {
                of_parents.push((child, place));
                LimitName::Symbols.check(of_parents.len(), limits.symbols)
            }),
            None => Ok(()),
        }
    })?;
    let known = |id: i64| places.get(&id).copied().ok_or_else(|| unknown(id));
    for (child, parent) in of_parents {
        if let Some(node) = nodes.get_mut(known(child)?) {
            node.parent = Some(parent);
        }
    }
    for (child, parent) in of_children {
        if let Some(node) = nodes.get_mut(child) {
            node.parent = Some(known(parent)?);
        }
    }
    Ok((nodes, places))
}

fn unknown(id: i64) -> ReadError {
    ReadError::malformed(format!("no node has the id {id}"), 0)
}

/// The places of the sampled nodes.
fn sampled(samples: &RawValue, places: &Places, limits: &ReadLimits) -> Result<Vec<usize>, ReadError> {
    let mut sampled = Vec::new();
    each(samples, |id: i64| {
        sampled.push(places.get(&id).copied().ok_or_else(|| unknown(id))?);
        LimitName::Samples.check(sampled.len(), limits.samples)
    })?;
    Ok(sampled)
}

fn count(values: &mut [i64], place: usize, more: i64) -> Result<(), ReadError> {
    if let Some(value) = values.get_mut(place) {
        *value = value.checked_add(more).ok_or_else(|| ReadError::Overflow("cpu".to_owned()))?;
    }
    Ok(())
}

/// The time of each node in nanoseconds. A delta lies between its sample and the one before it (of the first: the start).
/// Samples may be listed out of order by a few microseconds. The last one lasts until the end of the profile; where that
/// is not said, as long as the one before it.
fn times(
    document: &Document<'_>,
    samples: &RawValue,
    deltas: &RawValue,
    places: &Places,
    limits: &ReadLimits,
) -> Result<Vec<i64>, ReadError> {
    let sampled = sampled(samples, places, limits)?;
    let mut timed = Vec::with_capacity(sampled.len());
    let mut now = 0_i64;
    each(deltas, |delta: f64| {
        let at = timed.len();
        let bad = || ReadError::malformed("a time that fits no sample", at);
        now = now.checked_add(nanoseconds(delta).ok_or_else(bad)?).ok_or_else(bad)?;
        timed.push((now, *sampled.get(at).ok_or_else(bad)?));
        Ok(())
    })?;
    if timed.len() < sampled.len() {
        return Err(ReadError::malformed("a sample without a time", timed.len()));
    }
    timed.sort_by_key(|(time, _)| *time);
    let mut values = vec![0; places.len()];
    let mut lasted = 0;
    for pair in timed.windows(2) {
        if let [(time, place), (next, _)] = pair {
            lasted = next.saturating_sub(*time);
            count(&mut values, *place, lasted)?;
        }
    }
    if let Some((time, place)) = timed.last() {
        let end = document.start_time.zip(document.end_time).and_then(|(start, end)| nanoseconds(end - start));
        count(&mut values, *place, end.map_or(lasted, |end| end.saturating_sub(*time).max(0)))?;
    }
    Ok(values)
}

/// Microseconds in nanoseconds, if they fit.
#[expect(clippy::cast_possible_truncation, reason = "checked to fit")]
fn nanoseconds(microseconds: f64) -> Option<i64> {
    let scaled = (microseconds * 1e3).round();
    (scaled.abs() < 9e18).then_some(scaled as i64)
}
