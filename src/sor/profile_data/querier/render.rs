//! The routes of Pyroscope that are older than its query service: `/pyroscope/render`, `/pyroscope/render-diff` and
//! `/pyroscope/label-values`. Numbers are plain JSON numbers here.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::super::sent_time::sent_time;
use super::super::store::Steps;
use super::super::type_id::TypeId;
use super::connect::invalid;
use super::questions::{Profiles, between, last_hour, nodes};
use super::selector::Matchers;
use super::{Asker, Querier};
use crate::http::Problem;
use crate::profile::FlameLevels;

/// About how many steps a timeline has, and the least that one is wide, in seconds.
const STEPS: i64 = 1_500;
const MIN_STEP_S: i64 = 15;

/// Where the values of a group stand that has none of the labels.
const NO_GROUP: &str = "*";

/// Parameters by their names. Unknown ones are ignored.
#[derive(Debug)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    pub(super) fn of(query: &str) -> Self {
        Self(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    fn all<'p>(&'p self, name: &str) -> impl Iterator<Item = &'p str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    fn get<'p>(&'p self, name: &str) -> Option<&'p str> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    fn required<'p>(&'p self, name: &str) -> Result<&'p str, Problem> {
        self.get(name).ok_or_else(|| invalid(format!("{name:?} is required")))
    }

    fn time(&self, name: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, Problem> {
        sent_time(self.get(name), now).map_err(|error| invalid(format!("{name}: {error}")))
    }

    /// A type with a selector and a window, whose parameters have these names.
    fn profiles(&self, query: &str, from: &str, until: &str, now: DateTime<Utc>) -> Result<Profiles, Problem> {
        let text = self.required(query)?;
        let (type_id, selector) = text.find('{').map_or((text, "{}"), |at| text.split_at(at));
        if type_id.trim().is_empty() {
            return Err(invalid(format!("{query:?} must contain a profile-type selection")));
        }
        let window = between(self.time(from, now)?, self.time(until, now)?)?;
        Profiles::of(type_id.trim(), selector, window)
    }

    fn nodes(&self) -> Result<usize, Problem> {
        let number = |name| {
            let parsed = self.get(name).map(|text| (text, text.parse()));
            parsed.map(|(text, parsed)| parsed.map_err(|_| invalid(format!("{name} is {text:?}, must be a number"))))
        };
        let given = [number("maxNodes"), number("max-nodes")].into_iter().flatten().next();
        nodes(given.transpose()?)
    }
}

/// The document of a flame graph.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rendered {
    version: u8,
    flamebearer: Flamebearer,
    metadata: Metadata,
    timeline: Option<Timeline>,
    groups: Option<BTreeMap<String, Timeline>>,
    /// Always absent: there are no heat maps here.
    heatmap: Option<()>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_ticks: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    right_ticks: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Flamebearer {
    names: Vec<String>,
    levels: Vec<Vec<i64>>,
    num_ticks: i64,
    max_self: i64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    format: &'static str,
    spy_name: &'static str,
    sample_rate: u32,
    units: String,
    name: String,
}

/// Totals in equal steps; a total of 0 may also be a step without profiles.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Timeline {
    /// In seconds since the epoch.
    start_time: i64,
    samples: Vec<i64>,
    /// In seconds.
    duration_delta: i64,
    /// Always absent.
    watermarks: Option<()>,
}

impl Rendered {
    fn single(type_id: &TypeId, graph: FlameLevels) -> Self {
        let FlameLevels { names, levels, totals: [num_ticks, _], max_self } = graph;
        let flamebearer = Flamebearer { names, levels, num_ticks, max_self };
        let metadata = Metadata::of(type_id, "single");
        let (left_ticks, right_ticks) = (None, None);
        Self { version: 1, flamebearer, metadata, timeline: None, groups: None, heatmap: None, left_ticks, right_ticks }
    }

    fn double(type_id: &TypeId, graph: FlameLevels) -> Self {
        let [left, right] = graph.totals;
        let mut rendered = Self::single(type_id, graph);
        rendered.flamebearer.num_ticks = left.saturating_add(right);
        let metadata = Metadata::of(type_id, "double");
        Self { metadata, left_ticks: Some(left), right_ticks: Some(right), ..rendered }
    }
}

impl Metadata {
    /// What Pyroscope says of a type: units for a drawing, and a rate that only means something for CPU time.
    fn of(type_id: &TypeId, format: &'static str) -> Self {
        let (units, sample_rate) = match type_id.sample_type.as_str() {
            "cpu" => ("samples", 1_000_000_000),
            "inuse_objects" | "alloc_objects" | "goroutine" | "samples" => ("objects", 100),
            _ => (type_id.sample_unit.as_str(), 100),
        };
        Self { format, spy_name: "", sample_rate, units: units.to_owned(), name: type_id.sample_type.clone() }
    }
}

impl Querier {
    pub(super) async fn render(&self, asker: &Asker, params: &Params) -> Result<HttpResponse, Problem> {
        if params.get("format") == Some("dot") {
            return Err(invalid("format=dot is not served: leave it out for JSON"));
        }
        let asked = params.profiles("query", "from", "until", self.clock.now())?;
        let nodes = params.nodes()?;
        let group_by: Vec<_> = params.all("groupBy").map(str::to_owned).collect();
        let (graph, (timeline, groups)) =
            futures::try_join!(self.flame_graph(asker, &asked, nodes), self.timeline(asker, &asked, &group_by))?;
        let rendered = Rendered::single(&asked.type_id, graph);
        let groups = (!group_by.is_empty()).then_some(groups);
        Ok(HttpResponse::Ok().json(Rendered { timeline: Some(timeline), groups, ..rendered }))
    }

    /// The totals over time, of all series and by the values of labels.
    async fn timeline(
        &self,
        asker: &Asker,
        asked: &Profiles,
        group_by: &[String],
    ) -> Result<(Timeline, BTreeMap<String, Timeline>), Problem> {
        let (from, to) = (asked.window.from().timestamp(), asked.window.to().timestamp());
        let width = ((to - from + STEPS / 2) / STEPS).max(MIN_STEP_S);
        let start_time = from - from.rem_euclid(width);
        let start = DateTime::from_timestamp(start_time, 0).unwrap_or(asked.window.from());
        let last = ((to - start_time) / width - 1).max(0);
        let steps = Steps { start, width: TimeDelta::seconds(width) };
        let totals = self.totals(asker, asked, group_by, steps, last).await?;
        let samples = vec![0; usize::try_from(last).unwrap_or(0) + 1];
        let empty = || Timeline { start_time, samples: samples.clone(), duration_delta: width, watermarks: None };
        let add = |timeline: &mut Timeline, points: &BTreeMap<i64, i64>| {
            for (step, value) in points {
                let sample = usize::try_from(*step).ok().and_then(|step| timeline.samples.get_mut(step));
                if let Some(sum) = sample {
                    *sum = sum.saturating_add(*value);
                }
            }
        };
        let (mut all, mut groups) = (empty(), BTreeMap::new());
        for (labels, points) in &totals {
            add(&mut all, points);
            let values: Vec<_> = labels.iter().map(|(_, value)| value.as_str()).collect();
            let group = if values.is_empty() { NO_GROUP.to_owned() } else { values.join(", ") };
            add(groups.entry(group).or_insert_with(empty), points);
        }
        Ok((all, groups))
    }

    pub(super) async fn render_diff(&self, asker: &Asker, params: &Params) -> Result<HttpResponse, Problem> {
        let now = self.clock.now();
        let left = params.profiles("leftQuery", "leftFrom", "leftUntil", now)?;
        let right = params.profiles("rightQuery", "rightFrom", "rightUntil", now)?;
        if left.type_id != right.type_id {
            return Err(invalid("profile types must match"));
        }
        let graph = self.flame_graph_diff(asker, &left, &right, params.nodes()?).await?;
        Ok(HttpResponse::Ok().json(Rendered::double(&left.type_id, graph)))
    }

    /// The values of a label in the last hour; of `__name__` the profile types.
    pub(super) async fn older_label_values(&self, asker: &Asker, params: &Params) -> Result<HttpResponse, Problem> {
        let label = params.required("label")?;
        let window = last_hour(self.clock.now())?;
        let values = match label {
            "__name__" => self.types(asker, window).await?.iter().map(ToString::to_string).collect(),
            label => self.values(asker, label, &Matchers::default(), window).await?,
        };
        Ok(HttpResponse::Ok().json(values))
    }
}
