//! The answer as JSON. `convert` makes it from what was judged.

mod convert;
mod finding;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use finding::FindingBody;
use finding::{
    AtMostBody, CauseBody, EvidenceBody, LockBody, MechanismBody, ResponsibleBody, SinceBody, SiteBody, WasBody,
};

use super::blocks::Blocks;
use super::domain::CompareWith;
use crate::bor::Absence;
use crate::kernel::{FindingSeverity, LimitSeverity};
use crate::verdict::{Confidence, NoData, QualityNote, RateOver, Verdict};

/// A triage of one app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Triage)]
pub struct TriageBody {
    /// The app.
    pub app_name: String,
    /// The window's start, epoch seconds.
    pub from: i64,
    /// The window's end, exclusive, epoch seconds.
    pub to: i64,
    /// One block per kind of profile, in the order asked.
    #[schema(value_type = std::collections::HashMap<String, Block>)]
    pub profiles: Blocks<Block>,
    /// The verdict.
    pub summary: SummaryBody,
    /// Where to look next, for the kind that comes first; absent where no server was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<LinksBody>,
    /// v2: the baselines are off or failed; their fields are absent then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baselines: Option<Absence>,
    /// v2: the history is off or failed; this assessment was not kept then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Absence>,
    /// v2: the registry is off or failed; its labels were not added to the selector then, and the configured
    /// tenant was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Absence>,
}

/// What a triage comes down to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TriageSummary)]
pub struct SummaryBody {
    /// The diagnosis that comes first.
    #[schema(example = "gc_pressure")]
    pub primary_issue: String,
    /// Its severity.
    pub severity: FindingSeverity,
    /// What to do about it.
    pub recommendation: String,
    /// v2: functions over their approved limit, over all kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_violations: Option<usize>,
    /// Problem or not, or why that cannot be said.
    pub verdict: Verdict,
    /// One sentence made of figures.
    pub headline: String,
    /// Without any data: what is known of why. Of several kinds that of the one that came nearest to having data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_data: Option<NoData>,
}

/// Links with absolute times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TriageLinks)]
pub struct LinksBody {
    /// The flame graph of the same query, on this server.
    pub flamegraph: String,
    /// The same query in Grafana, where one is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grafana: Option<String>,
}

/// One kind of profile: judged, or why it could not be read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = TriageBlock)]
pub enum Block {
    /// The profile was read.
    Judged(Box<JudgedBlock>),
    /// It was not.
    Unavailable(UnavailableBlock),
}

/// A kind of profile that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = TriageUnavailableBlock)]
pub struct UnavailableBlock {
    /// Always `unavailable`.
    #[schema(example = "unavailable")]
    pub diagnosis: String,
    /// Why.
    pub error: String,
}

/// A kind of profile, judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TriageJudgedBlock)]
pub struct JudgedBlock {
    /// What is the matter: a category, a contract name for it, a fallback, or `no_data`.
    #[schema(example = "gc_pressure")]
    pub diagnosis: String,
    /// How bad.
    pub severity: FindingSeverity,
    /// The diagnosis's share, percent of the active ticks (`idle_time`: of all).
    pub percent: f64,
    /// The low end of its 95 % interval; absent where the number of samples is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The high end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// Whether the low end reaches the category's threshold. Never true for a fallback.
    pub confirmed: bool,
    /// All ticks, in `unit`.
    pub total_samples: i64,
    /// What the ticks count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_type: Option<String>,
    /// The unit of ticks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Events seen; absent where that is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_count: Option<u64>,
    /// How far they carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// Ticks that are neither idle nor the profiler's, percent of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_percent: Option<f64>,
    /// Idle ticks, percent of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_percent: Option<f64>,
    /// cpu: processor cores in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<f64>,
    /// What `cores`, `bytesPerSecond` or `waitMsPerSecond` is an average over, if not the time that profiles cover:
    /// `window`, since the source does not say when profiles came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores_over: Option<RateOver>,
    /// alloc: bytes allocated per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<f64>,
    /// lock: milliseconds waited per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms_per_second: Option<f64>,
    /// How much of the window has data, where the source can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<CoverageBody>,
    /// Ticks that a truncating source folded away, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncated_percent: Option<f64>,
    /// The heaviest functions by self, without idle ones and the profiler's.
    pub top_functions: Vec<TopFunctionBody>,
    /// What to do.
    pub recommendation: String,
    /// One per category from 1 %, largest first; then those that this kind of profile cannot show.
    pub findings: Vec<FindingBody>,
    /// v2: functions over their approved limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_violations: Option<Vec<ViolationBody>>,
    /// v2: functions with a limit that the profile does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baselines_not_seen: Option<Vec<String>>,
    /// What is wrong with the data.
    pub data_quality: Vec<QualityNote>,
    /// Without data: what is known of why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_data: Option<NoData>,
    /// With `compare`: the earlier window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared: Option<ComparedBody>,
    /// Where to look next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<LinksBody>,
}

/// How much of a window has data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TriageCoverage)]
pub struct CoverageBody {
    /// Minutes in which a profile started.
    pub minutes_with_data: u32,
    /// Minutes of the window that have passed.
    pub minutes: u32,
    /// Seconds that the profiles cover: from each start to the next where that is at most 60 s later, or else 15 s.
    /// Rates such as `cores` are over these.
    pub covered_seconds: u32,
    /// Start of the first profile.
    pub first_profile_at: DateTime<Utc>,
    /// Start of the last profile.
    pub last_profile_at: DateTime<Utc>,
}

/// One function of the heaviest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TriageTopFunction)]
pub struct TopFunctionBody {
    /// The function, as the source spells it.
    pub name: String,
    /// Its self share of all ticks, percent.
    pub self_percent: f64,
    /// Its self ticks.
    pub self_samples: i64,
}

/// The earlier window that findings are compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TriageCompared)]
pub struct ComparedBody {
    /// Which one.
    pub with: CompareWith,
    /// Its start, epoch seconds.
    pub from: i64,
    /// Its end, exclusive, epoch seconds.
    pub to: i64,
    /// Events seen then, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_count: Option<u64>,
    /// cpu: processor cores in use then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<f64>,
    /// Categories that were at least 1 % then and are less now, beyond chance, with their percent then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<MechanismBody>,
    /// Why nothing is known of then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A function over its approved limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TriageViolation)]
pub struct ViolationBody {
    /// The function, as this window spells it.
    pub function: String,
    /// Its self share of all ticks.
    pub current_percent: f64,
    /// The low end of its 95 % interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The high end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// The approved limit.
    pub threshold: f64,
    /// Points above it.
    pub exceeded_by: f64,
    /// How bad that is, as approved.
    pub severity: LimitSeverity,
    /// Whether the low end passes the limit too.
    pub confirmed: bool,
}
