//! What an incident of a rule or limit says beside its figures, as whoever tells of it reads it back.

use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::measure::{FunctionShare, MOST_FUNCTIONS, Measurement};
use super::trial::Evaluation;
use crate::bor::LinkSettings;
use crate::bor::links::{self, encoded};
use crate::kernel::{JsonObject, Percent, ProfileType, Text255, TimeWindow, round2};
use crate::sor::alert_rule::{Measured, What};
use crate::sor::profile_data::ProfileQuery;
use crate::sor::registry::Service;

/// The longest name of a function, in bytes. All limits together keep a detail under 64 KiB, even where JSON doubles each
/// character.
const LONGEST_NAME: usize = 400;
/// The longest sentence or selector, in bytes.
const LONGEST_TEXT: usize = 2_000;
/// Longer links are left out, in bytes.
const LONGEST_LINK: usize = 4_000;
/// What a firing is compared with: the hour before it.
const COMPARED: TimeDelta = TimeDelta::hours(1);

/// What is known of an incident of a rule or limit when it was seen last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertDetail {
    /// The kind of profile.
    pub profile_type: ProfileType,
    /// How the shares of functions make one: `self`, `sum` or `total`; absent for a category.
    pub measure: Option<String>,
    /// The category that is measured.
    pub category: Option<String>,
    /// The start of the window that was looked at.
    pub from: DateTime<Utc>,
    /// Its end.
    pub to: DateTime<Utc>,
    /// The low end of the share, percent.
    pub low: Option<f64>,
    /// The high end.
    pub high: Option<f64>,
    /// The samples behind it, where their number is known.
    pub samples: Option<u64>,
    /// The functions over the limit, heaviest first, at most 20; where none is by itself, those that the share is made of.
    pub functions: Vec<AlertFunction>,
    /// How many there are in all.
    pub functions_total: usize,
    /// The series that were read; empty for all.
    pub selector: String,
    /// When the rule was changed last; another time means that the incident is of an older rule.
    pub rule_updated_at: Option<DateTime<Utc>>,
    /// Where to look, as paths on this server.
    pub links: AlertLinks,
    /// The team that owns the app.
    pub team: Option<String>,
    /// How much the app matters.
    pub tier: Option<String>,
    /// The channels that it is meant for, the most wanted first: the rule's, then the service's.
    pub channels: Vec<String>,
    /// Where it is written what to do.
    pub runbook_url: Option<String>,
    /// What a triage of the same profile says first.
    pub headline: Option<String>,
    /// The name of its diagnosis.
    pub diagnosis: Option<String>,
}

/// A function of an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertFunction {
    /// The function, as the profile spells it; long names are cut.
    pub name: String,
    /// Its share, percent.
    pub percent: f64,
    /// Its approved limit, percent; absent for a rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
}

/// Where to look.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertLinks {
    /// The triage of the window.
    pub triage: Option<String>,
    /// The flame graph of the window.
    pub flame_graph: Option<String>,
    /// What changed since the hour before it began.
    pub diff: Option<String>,
    /// The same as a flame graph.
    pub differential: Option<String>,
    /// The window in Grafana.
    pub grafana: Option<String>,
}

/// What a triage says of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::bor::alert) struct Diagnosed {
    /// Its first sentence.
    pub headline: String,
    /// The name of the diagnosis.
    pub diagnosis: String,
    /// The full IDs of the profile types that were read.
    pub profile_types: Vec<String>,
}

/// What was seen in a profile.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Seen {
    /// The interval of the share that is over, percent.
    pub(super) interval: Option<(f64, f64)>,
    /// The samples of the profile, where their number is known.
    pub(super) samples: Option<u64>,
    /// The functions over, at most 20.
    pub(super) functions: Vec<AlertFunction>,
    /// How many there are in all.
    pub(super) functions_total: usize,
}

impl Seen {
    /// What a rule with that threshold saw.
    pub(super) fn of(measured: &Measurement, threshold: Percent) -> Self {
        let (functions, functions_total) = measured.functions_over(threshold);
        let function = |function: &FunctionShare| AlertFunction {
            name: short(&function.name),
            percent: round2(function.share.percent),
            limit: None,
        };
        Self {
            interval: measured.share.interval,
            samples: measured.samples,
            functions: functions.iter().take(MOST_FUNCTIONS).map(function).collect(),
            functions_total,
        }
    }
}

/// What a detail is made from.
pub(super) struct Source<'a> {
    pub(super) query: &'a ProfileQuery,
    pub(super) measured: &'a Measured,
    pub(super) seen: Seen,
    pub(super) diagnosed: Option<&'a Diagnosed>,
    pub(super) rule_updated_at: Option<DateTime<Utc>>,
    pub(super) rule_channel: Option<&'a str>,
    pub(super) runbook_url: Option<&'a str>,
    pub(super) service: Option<&'a Service>,
    pub(super) settings: &'a LinkSettings,
}

impl AlertDetail {
    /// The detail of an incident that is active since then.
    pub(super) fn of(source: Source<'_>, active_since: DateTime<Utc>) -> Self {
        let links = AlertLinks::of(&source, active_since);
        let Source { query, seen, diagnosed, service, .. } = source;
        let service_channel = service.and_then(|service| service.notification_channel.as_ref());
        let channels = source.rule_channel.into_iter().chain(service_channel.map(Text255::as_str));
        let mut channels: Vec<_> = channels.map(str::to_owned).collect();
        channels.dedup();
        let (measure, category) = match source.measured.what() {
            What::Category(category) => (None, Some(category.as_str().to_owned())),
            _ => (Some(source.measured.measure().unwrap_or_default().as_str().to_owned()), None),
        };
        Self {
            profile_type: query.kind,
            measure,
            category,
            from: query.window.from(),
            to: query.window.to(),
            low: seen.interval.map(|(low, _)| round2(low)),
            high: seen.interval.map(|(_, high)| round2(high)),
            samples: seen.samples,
            functions: seen.functions,
            functions_total: seen.functions_total,
            selector: cut(&query.selector.to_string(), LONGEST_TEXT),
            rule_updated_at: source.rule_updated_at,
            links,
            team: service.and_then(|service| service.team_owner.as_ref()).map(ToString::to_string),
            tier: service.map(|service| service.tier.to_string()),
            channels,
            runbook_url: source.runbook_url.map(str::to_owned),
            headline: diagnosed.map(|diagnosed| cut(&diagnosed.headline, LONGEST_TEXT)),
            diagnosis: diagnosed.map(|diagnosed| diagnosed.diagnosis.clone()),
        }
    }

    /// The detail that an incident holds; `None` where it is of another kind.
    pub fn read(detail: &JsonObject) -> Option<Self> {
        serde_json::from_value(detail.as_value().clone()).ok()
    }

    /// The detail as incidents hold it. Its limits keep it short enough.
    pub fn to_object(&self) -> JsonObject {
        let object = serde_json::to_value(self).unwrap_or_default().try_into();
        object.unwrap_or_default()
    }
}

impl AlertLinks {
    fn of(source: &Source<'_>, active_since: DateTime<Utc>) -> Self {
        let Source { query, diagnosed, .. } = source;
        let ProfileQuery { app, kind, window, .. } = query;
        let (app, from, to) = (encoded(app.as_str()), window.from().timestamp(), window.to().timestamp());
        let before = active_since - window.duration();
        let before = TimeWindow::new(before - COMPARED, before).ok();
        let mut diff = format!("/diff/{app}?type={kind}&from={from}&to={to}");
        if let Some(before) = before {
            let (from, to) = (before.from().timestamp(), before.to().timestamp());
            let _ = write!(diff, "&baselineFrom={from}&baselineTo={to}");
        }
        let differential = before.map(|before| links::differential(query, before, &query.selector));
        let types = diagnosed.map_or(&[][..], |diagnosed| &diagnosed.profile_types);
        let usable = |link: String| Some(link).filter(|link| link.len() <= LONGEST_LINK);
        Self {
            // The registry's labels narrow these two by themselves.
            triage: usable(format!("/triage/{app}?types={kind}&from={from}&to={to}")),
            diff: usable(diff),
            flame_graph: usable(links::flame_graph(query)),
            differential: differential.and_then(usable),
            grafana: links::grafana(source.settings, query, types).and_then(usable),
        }
    }
}

/// The name of a function, as incidents hold it.
pub(super) fn short(name: &str) -> String {
    cut(name, LONGEST_NAME)
}

/// A text of at most so many bytes, without characters that JSON writes as six.
fn cut(text: &str, bytes: usize) -> String {
    let text = text.get(..text.floor_char_boundary(bytes)).unwrap_or(text);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// What is wrong, in a few words: `gc_pressure over 30 % of cpu`.
pub(super) fn title(kind: ProfileType, measured: &Measured, threshold: Percent, evaluation: &Evaluation) -> String {
    let heaviest = evaluation.measured.as_ref().and_then(|measured| measured.functions.first());
    let what = match measured.what() {
        What::Category(category) => category.as_str().to_owned(),
        What::Sum(pattern) | What::Total(pattern) => format!("functions like {}", cut(pattern.as_str(), LONGEST_NAME)),
        What::Largest(_) => heaviest.map_or_else(|| "a function".to_owned(), |heaviest| short(&heaviest.name)),
    };
    format!("{what} over {} % of {kind}", threshold.get())
}
