//! What the profile routes take, and which errors they document.

use serde::Deserialize;
use utoipa::IntoResponses;

use crate::http::{Answers, Code, Problem, SpanParam, TimeParam, documented};
use crate::kernel::{Labels, ProfileType, Selector};
use crate::sor::profile_data::timeline::StepWidth;
use crate::verdict::Category;

/// What the routes of one app may answer beside 200.
pub(super) struct ProfileErrors;
/// What the list of apps may answer beside 200.
pub(super) struct SourceErrors;

impl IntoResponses for ProfileErrors {
    fn responses() -> Answers {
        let bad = [Code::ParameterInvalid, Code::ParameterUnknown, Code::ProfileTypeUnknown, Code::WindowInvalid];
        problems(&[("400", &bad), ("404", &[Code::AppUnknown])])
    }
}

impl IntoResponses for SourceErrors {
    fn responses() -> Answers {
        problems(&[("400", &[Code::ParameterInvalid, Code::ParameterUnknown, Code::WindowInvalid])])
    }
}

fn problems(own: &[(&str, &[Code])]) -> Answers {
    let mut all = documented(&[
        ("500", &[Code::Internal]),
        ("502", &[Code::ProfileSourceFailed, Code::ProfileSourceDenied]),
        ("503", &[Code::ProfileSourceBusy]),
        ("504", &[Code::Timeout]),
    ]);
    all.extend(documented(own));
    all
}

/// A window.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AppsParams {
    /// The window's start; an hour before now if not given.
    #[param(value_type = Option<String>, example = "now-1h")]
    pub(super) from: Option<TimeParam>,
    /// The window's end, exclusive; now if not given.
    #[param(value_type = Option<String>, example = "now")]
    pub(super) to: Option<TimeParam>,
}

/// One kind of profile in one window.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ProfileParams {
    /// The kind of profile: cpu, alloc, lock, wall, inuse, goroutine, exception or samples.
    #[serde(rename = "type")]
    #[param(rename = "type", value_type = Option<String>, default = "cpu", example = "cpu")]
    pub(super) kind: Option<ProfileType>,
    /// The window's start; an hour before now if not given.
    #[param(value_type = Option<String>, example = "now-1h")]
    pub(super) from: Option<TimeParam>,
    /// The window's end, exclusive; now if not given.
    #[param(value_type = Option<String>, example = "now")]
    pub(super) to: Option<TimeParam>,
    /// At most this many functions; 0 means all.
    #[param(value_type = Option<i64>, default = 50, minimum = 0, maximum = 4_294_967_295i64, example = 50)]
    pub(super) limit: Option<u32>,
    /// Select series of the app: `name="value"`, also `!=`, `=~`, `!~`, joined by commas.
    #[param(value_type = Option<String>)]
    #[serde(default, deserialize_with = "selector")]
    pub(super) selector: Option<Selector>,
    /// Labels that all of the app's series carry, `name="value"`, at most 20: every selector is narrowed by them.
    #[param(value_type = Option<String>)]
    #[serde(default, deserialize_with = "labels")]
    pub(super) labels: Option<Labels>,
}

/// One kind of profile in two windows.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct PairParams {
    /// The kind of profile: cpu, alloc, lock, wall, inuse, goroutine, exception or samples.
    #[serde(rename = "type")]
    #[param(rename = "type", value_type = Option<String>, default = "cpu", example = "cpu")]
    pub(super) kind: Option<ProfileType>,
    /// The baseline window's start; an hour before its end if not given.
    #[param(value_type = Option<String>, example = "now-2h")]
    pub(super) baseline_from: Option<TimeParam>,
    /// The baseline window's end, exclusive; `from` if not given.
    #[param(value_type = Option<String>, example = "now-1h")]
    pub(super) baseline_to: Option<TimeParam>,
    /// The current window's start; an hour before its end if not given.
    #[param(value_type = Option<String>, example = "now-1h")]
    pub(super) from: Option<TimeParam>,
    /// The current window's end, exclusive; now if not given.
    #[param(value_type = Option<String>, example = "now")]
    pub(super) to: Option<TimeParam>,
    /// At most this many functions of each window; 0 means all.
    #[param(value_type = Option<i64>, default = 500, minimum = 0, maximum = 4_294_967_295i64, example = 500)]
    pub(super) limit: Option<u32>,
    /// The series of the app that are read.
    #[param(value_type = Option<String>)]
    #[serde(default, deserialize_with = "selector")]
    pub(super) selector: Option<Selector>,
    /// Select series in the baseline window; `selector` if not given.
    #[param(value_type = Option<String>)]
    #[serde(default, deserialize_with = "selector")]
    pub(super) baseline_selector: Option<Selector>,
    /// Labels that all of the app's series carry, `name="value"`, at most 20: every selector is narrowed by them.
    #[param(value_type = Option<String>)]
    #[serde(default, deserialize_with = "labels")]
    pub(super) labels: Option<Labels>,
}

/// What to draw.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct FlameGraphParams {
    /// The kind of profile: cpu, alloc, lock, wall, inuse, goroutine, exception or samples.
    #[serde(rename = "type")]
    #[param(rename = "type", value_type = Option<String>, default = "cpu", example = "cpu")]
    pub(super) kind: Option<ProfileType>,
    /// The window's start; an hour before its end if not given.
    #[param(value_type = Option<String>, example = "now-1h")]
    pub(super) from: Option<TimeParam>,
    /// The window's end, exclusive; now if not given.
    #[param(value_type = Option<String>, example = "now")]
    pub(super) to: Option<TimeParam>,
    /// The series of the app that are read.
    #[param(value_type = Option<String>)]
    #[serde(default, deserialize_with = "selector")]
    pub(super) selector: Option<Selector>,
    /// The baseline window's start. Any of the baseline's parameters makes the flame graph differential.
    #[param(value_type = Option<String>)]
    pub(super) baseline_from: Option<TimeParam>,
    /// The baseline window's end, exclusive; `from` if not given.
    #[param(value_type = Option<String>)]
    pub(super) baseline_to: Option<TimeParam>,
    /// Select series in the baseline window; `selector` if not given.
    #[param(value_type = Option<String>)]
    #[serde(default, deserialize_with = "selector")]
    pub(super) baseline_selector: Option<Selector>,
    /// Labels that all of the app's series carry, `name="value"`, at most 20: every selector is narrowed by them.
    #[param(value_type = Option<String>)]
    #[serde(default, deserialize_with = "labels")]
    pub(super) labels: Option<Labels>,
}

/// What to export.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct ExportParams {
    /// The kind of profile: cpu, alloc, lock, wall, inuse, goroutine, exception or samples.
    #[serde(rename = "type")]
    #[param(rename = "type", value_type = Option<String>, default = "cpu", example = "cpu")]
    pub(super) kind: Option<ProfileType>,
    /// The window's start; an hour before now if not given.
    #[param(value_type = Option<String>, example = "now-1h")]
    pub(super) from: Option<TimeParam>,
    /// The window's end, exclusive; now if not given.
    #[param(value_type = Option<String>, example = "now")]
    pub(super) to: Option<TimeParam>,
    /// The series of the app that are read.
    #[param(value_type = Option<String>)]
    #[serde(default, deserialize_with = "selector")]
    pub(super) selector: Option<Selector>,
    /// The baseline window's start. Any of the baseline's parameters exports both windows in one pprof, the baseline as
    /// its first sample type.
    #[param(value_type = Option<String>)]
    pub(super) baseline_from: Option<TimeParam>,
    /// The baseline window's end, exclusive; `from` if not given.
    #[param(value_type = Option<String>)]
    pub(super) baseline_to: Option<TimeParam>,
    /// Select series in the baseline window; `selector` if not given.
    #[param(value_type = Option<String>)]
    #[serde(default, deserialize_with = "selector")]
    pub(super) baseline_selector: Option<Selector>,
    /// Labels that all of the app's series carry, `name="value"`, at most 20: every selector is narrowed by them.
    #[param(value_type = Option<String>)]
    #[serde(default, deserialize_with = "labels")]
    pub(super) labels: Option<Labels>,
    /// How to write it: `pprof`, `folded`, `flamebearer` or `speedscope`. With a baseline: `pprof`.
    #[param(value_type = Option<String>, default = "pprof", example = "pprof")]
    pub(super) format: Option<ExportFormat>,
    /// Step by step: how long a step is, 15s to 24h. The window is widened to whole steps; it may have at most 240, behind
    /// a Pyroscope server 60.
    #[param(value_type = Option<String>)]
    pub(super) step: Option<Step>,
    /// With `step`: false leaves out the stacks; the window may then have at most 1,440 steps.
    #[param(default = true)]
    pub(super) stacks: Option<bool>,
}

/// One kind of profile step by step.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SeriesParams {
    /// The kind of profile: cpu, alloc, lock, wall, inuse, goroutine, exception or samples.
    #[serde(rename = "type")]
    #[param(rename = "type", value_type = Option<String>, default = "cpu", example = "cpu")]
    pub(super) kind: Option<ProfileType>,
    /// Follow this function, in any spelling that limits match it by. At most 240 steps, behind a Pyroscope server 60.
    #[param(example = "com.example.Cart.toJson")]
    pub(super) function: Option<String>,
    /// Follow this category, such as `gc_pressure`. At most 240 steps, behind a Pyroscope server 60.
    #[param(value_type = Option<String>)]
    pub(super) category: Option<Category>,
    /// The window's start; an hour before now if not given. The window is widened to whole steps.
    #[param(value_type = Option<String>, example = "now-1h")]
    pub(super) from: Option<TimeParam>,
    /// The window's end, exclusive; now if not given.
    #[param(value_type = Option<String>, example = "now")]
    pub(super) to: Option<TimeParam>,
    /// How long a step is, 15s to 24h; if not given, the shortest of 1m, 5m, 15m, 1h, 6h and 24h that makes at most 60 of
    /// the window. Totals may have at most 1,440 steps.
    #[param(value_type = Option<String>, example = "1m")]
    pub(super) step: Option<Step>,
    /// Select series of the app: `name="value"`, also `!=`, `=~`, `!~`, joined by commas.
    #[param(value_type = Option<String>)]
    #[serde(default, deserialize_with = "selector")]
    pub(super) selector: Option<Selector>,
    /// Labels that all of the app's series carry, `name="value"`, at most 20: every selector is narrowed by them.
    #[param(value_type = Option<String>)]
    #[serde(default, deserialize_with = "labels")]
    pub(super) labels: Option<Labels>,
}

/// How long a step is, as it was written.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(transparent)]
pub(super) struct Step(SpanParam);

impl Step {
    /// The width.
    pub(super) fn width(self) -> Result<StepWidth, Problem> {
        let why = "must be from 15s to 24h";
        StepWidth::new(self.0.get()).ok_or_else(|| Problem::field(Code::ParameterInvalid, "step", why))
    }
}

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ExportFormat {
    /// Gzip pprof.
    #[default]
    Pprof,
    /// Folded text.
    Folded,
    /// Flame graph JSON of Pyroscope.
    Flamebearer,
    /// JSON of speedscope.
    Speedscope,
}

impl ExportFormat {
    /// The type of the content, and the extension of a file of it.
    pub(super) fn file(self) -> (&'static str, &'static str) {
        match self {
            Self::Pprof => ("application/octet-stream", "pb.gz"),
            Self::Folded => ("text/plain; charset=utf-8", "folded"),
            Self::Flamebearer => ("application/json", "flamebearer.json"),
            Self::Speedscope => ("application/json", "speedscope.json"),
        }
    }
}

fn labels<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Labels>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(serde::de::Error::custom)
}

fn selector<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Selector>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(serde::de::Error::custom)
}
