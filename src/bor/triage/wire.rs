//! The answer as it goes over the wire: shares rounded to two decimals, here and nowhere else.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::blocks::Blocks;
use super::domain::{Judged, Limits, Triage, TriageRequest, TypeResult, judge};
use super::links::{self, LinkSettings};
use crate::bor::Version;
use crate::http::Problem;
use crate::kernel::{AppName, FindingSeverity, LimitSeverity, ProfileType, TimeWindow, round2};
use crate::sor::profile_data::{Coverage, MergedProfile};
use crate::verdict::{
    Assessment, Category, Confidence, Finding, LimitViolation, QualityNote, Rate, Responsible, Rules, Runtime, Share,
    Summary, Verdict,
};

/// Why the fields of a SOR are absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Absence {
    /// The SOR is off in this process.
    Off,
    /// It did not do its work.
    Unavailable,
}

/// The state of a SOR after a triage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sor {
    Fine,
    Off,
    Unavailable,
}

impl Sor {
    fn absence(self) -> Option<Absence> {
        match self {
            Self::Fine => None,
            Self::Off => Some(Absence::Off),
            Self::Unavailable => Some(Absence::Unavailable),
        }
    }
}

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
    pub profiles: Blocks,
    /// What it comes down to.
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
    /// v2: the registry is off or failed; its labels were not added to the selector then.
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
    /// Whether the low end reaches the category's threshold; never of a fallback.
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

/// One category's share of a profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TriageFinding)]
pub struct FindingBody {
    /// The category.
    pub category: Category,
    /// Its share of the active ticks, each tick claimed once.
    pub percent: f64,
    /// The low end of its 95 % interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The high end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// The share of active ticks whose stacks hold the category anywhere.
    pub inclusive_percent: f64,
    /// The share from which it is a diagnosis.
    pub threshold: f64,
    /// How bad it is.
    pub severity: FindingSeverity,
    /// Whether the low end reaches the threshold.
    pub confirmed: bool,
    /// The runtime that most of its ticks belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Runtime>,
    /// Whether this kind of profile can show it; if not, its absence says nothing.
    pub observable: bool,
    /// Processor cores it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<f64>,
    /// Reported, and not counted in `percent`: work that idle processors did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncounted_percent: Option<f64>,
    /// alloc: its share of what allocation costs the processor, percent of cpu.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impact_percent: Option<f64>,
    /// What the stacks that hold it were claimed as beside it.
    pub mechanisms: Vec<MechanismBody>,
    /// The frames that lead to it.
    pub responsible: Vec<ResponsibleBody>,
    /// The claiming frames, heaviest first.
    pub evidence: Vec<EvidenceBody>,
    /// What to do.
    pub recommendation: String,
    /// How to do it.
    pub steps: Vec<String>,
}

/// A category beneath another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = TriageMechanism)]
pub struct MechanismBody {
    /// The category.
    pub category: Category,
    /// Percent of the active ticks.
    pub percent: f64,
}

/// A frame that leads to a category's ticks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TriageResponsible)]
pub struct ResponsibleBody {
    /// The function.
    pub function: String,
    /// How much of the category lies beneath it.
    pub percent: f64,
    /// The share of all ticks that it is on the stack of.
    pub total_percent: f64,
    /// From it down to the claiming frame, shortened.
    pub path: Vec<String>,
}

/// A claiming frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = TriageEvidence)]
pub struct EvidenceBody {
    /// The function.
    pub function: String,
    /// Percent of the active ticks.
    pub percent: f64,
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

impl TriageBody {
    pub(super) fn of(
        triage: &Triage,
        request: &TriageRequest,
        settings: &LinkSettings,
        version: Version,
        history: Sor,
    ) -> Self {
        let baselines = match triage.limits {
            Limits::Off => Some(Absence::Off),
            Limits::Unavailable => Some(Absence::Unavailable),
            Limits::NotAsked | Limits::Known(_) => None,
        };
        let blocks: Vec<_> =
            triage.types.iter().map(|t| (t.kind.to_string(), Block::of(t, request, settings))).collect();
        let first = triage.summary.primary_kind.or_else(|| triage.types.first().map(|t| t.kind));
        let primary = triage.types.iter().find(|t| Some(t.kind) == first);
        Self {
            app_name: request.app.to_string(),
            from: request.window.from().timestamp(),
            to: request.window.to().timestamp(),
            profiles: Blocks(blocks),
            links: primary.map(|primary| LinksBody::of(primary, request, settings)),
            summary: SummaryBody::of(&triage.summary, triage.violations()),
            baselines,
            history: history.absence(),
            // The registry is no port of triage yet: no labels are added to any selector.
            labels: (version == Version::V2).then_some(Absence::Off),
        }
    }
}

impl TriageBody {
    /// The answer to profiles that came without a server: no limits, no history, no links. Without a window its ends
    /// are 0 and nothing is said per second.
    pub fn of_profiles(
        rules: &Rules,
        app: &AppName,
        window: Option<TimeWindow>,
        profiles: Vec<(ProfileType, MergedProfile)>,
        top: usize,
    ) -> Self {
        let seconds = window.map(|w| w.seconds());
        let judged = |(kind, merged)| TypeResult { kind, result: Ok(judge(rules, kind, merged, seconds, top, None)) };
        let triage = Triage::of(app, profiles.into_iter().map(judged).collect(), Limits::NotAsked);
        let judged = triage.types.iter().filter_map(|t| Some((t.kind, t.result.as_ref().ok()?)));
        let blocks = judged.map(|(kind, j)| (kind.to_string(), Block::Judged(Box::new(JudgedBlock::of(j, None)))));
        Self {
            app_name: app.to_string(),
            from: window.map_or(0, |w| w.from().timestamp()),
            to: window.map_or(0, |w| w.to().timestamp()),
            profiles: Blocks(blocks.collect()),
            summary: SummaryBody::of(&triage.summary, None),
            links: None,
            baselines: None,
            history: None,
            labels: None,
        }
    }
}

impl SummaryBody {
    fn of(summary: &Summary, baseline_violations: Option<usize>) -> Self {
        Self {
            primary_issue: summary.primary_issue.to_owned(),
            severity: summary.severity,
            recommendation: summary.recommendation.clone(),
            baseline_violations,
            verdict: summary.verdict,
            headline: summary.headline.clone(),
        }
    }
}

impl LinksBody {
    fn of(result: &TypeResult, request: &TriageRequest, settings: &LinkSettings) -> Self {
        let types = result.result.as_ref().map_or(&[][..], |judged| &judged.merged.meta.profile_types);
        Self { flamegraph: links::flame_graph(request, result.kind), grafana: links::grafana(settings, request, types) }
    }
}

impl Block {
    fn of(result: &TypeResult, request: &TriageRequest, settings: &LinkSettings) -> Self {
        match &result.result {
            Ok(judged) => {
                Self::Judged(Box::new(JudgedBlock::of(judged, Some(LinksBody::of(result, request, settings)))))
            }
            Err(error) => Self::Unavailable(UnavailableBlock {
                diagnosis: "unavailable".to_owned(),
                error: Problem::of_profiles(error).detail().to_owned(),
            }),
        }
    }
}

impl JudgedBlock {
    pub(super) fn of(judged: &Judged, links: Option<LinksBody>) -> Self {
        let Judged { assessment, merged, limits } = judged;
        let diagnosis = &assessment.diagnosis;
        let (low, high) = ends(&diagnosis.share);
        let rate = assessment.rate;
        let truncated = merged.meta.truncated_ticks;
        Self {
            diagnosis: diagnosis.name.to_owned(),
            severity: diagnosis.severity,
            percent: round2(diagnosis.share.percent),
            low,
            high,
            confirmed: diagnosis.confirmed,
            total_samples: assessment.total,
            sample_type: assessment.sample_type.as_ref().map(|t| t.name.clone()),
            unit: assessment.sample_type.as_ref().map(|t| t.unit.clone()),
            sample_count: assessment.sample_count,
            confidence: assessment.confidence,
            active_percent: assessment.active_percent().map(round2),
            idle_percent: assessment.idle_percent().map(round2),
            cores: if let Some(Rate::Cores(cores)) = rate { Some(round4(cores)) } else { None },
            bytes_per_second: if let Some(Rate::BytesPerSecond(bytes)) = rate { Some(round2(bytes)) } else { None },
            wait_ms_per_second: if let Some(Rate::WaitMsPerSecond(ms)) = rate { Some(round2(ms)) } else { None },
            coverage: merged.meta.coverage.map(CoverageBody::from),
            truncated_percent: (truncated > 0 && assessment.has_data())
                .then(|| round2(truncated as f64 / assessment.total as f64 * 100.0)),
            top_functions: top_functions(assessment),
            recommendation: diagnosis.recommendation.clone(),
            findings: assessment.findings.iter().map(FindingBody::from).collect(),
            baseline_violations: limits.as_ref().map(|l| l.violations.iter().map(ViolationBody::from).collect()),
            baselines_not_seen: limits.as_ref().map(|l| l.not_seen.clone()),
            data_quality: assessment.quality.clone(),
            links,
        }
    }
}

/// The heaviest functions, as answered and as kept.
pub(super) fn top_functions(assessment: &Assessment) -> Vec<TopFunctionBody> {
    let rows = assessment.top_functions.iter();
    rows.map(|row| TopFunctionBody {
        name: row.name.clone(),
        self_percent: round2(row.self_percent),
        self_samples: row.self_ticks,
    })
    .collect()
}

impl From<Coverage> for CoverageBody {
    fn from(coverage: Coverage) -> Self {
        let Coverage { minutes_with_data, minutes, first_profile_at, last_profile_at } = coverage;
        Self { minutes_with_data, minutes, first_profile_at, last_profile_at }
    }
}

impl From<&Finding> for FindingBody {
    fn from(finding: &Finding) -> Self {
        let (low, high) = ends(&finding.share);
        Self {
            category: finding.category,
            percent: round2(finding.share.percent),
            low,
            high,
            inclusive_percent: round2(finding.inclusive_percent),
            threshold: finding.threshold,
            severity: finding.severity,
            confirmed: finding.confirmed,
            runtime: finding.runtime,
            observable: finding.observable,
            cores: finding.cores.map(round4),
            uncounted_percent: Some(round2(finding.uncounted_percent)).filter(|p| *p > 0.0),
            impact_percent: finding.impact_percent.map(round2),
            mechanisms: finding
                .mechanisms
                .iter()
                .map(|(category, percent)| MechanismBody { category: *category, percent: round2(*percent) })
                .collect(),
            responsible: finding.responsible.iter().map(ResponsibleBody::from).collect(),
            evidence: finding
                .evidence
                .iter()
                .map(|e| EvidenceBody { function: e.function.clone(), percent: round2(e.percent) })
                .collect(),
            recommendation: finding.recommendation.clone(),
            steps: finding.steps.to_vec(),
        }
    }
}

impl From<&Responsible> for ResponsibleBody {
    fn from(responsible: &Responsible) -> Self {
        Self {
            function: responsible.function.clone(),
            percent: round2(responsible.percent),
            total_percent: round2(responsible.total_percent),
            path: responsible.path.clone(),
        }
    }
}

impl From<&LimitViolation> for ViolationBody {
    fn from(violation: &LimitViolation) -> Self {
        let (low, high) = ends(&violation.current);
        Self {
            function: violation.function.clone(),
            current_percent: round2(violation.current.percent),
            low,
            high,
            threshold: violation.threshold,
            exceeded_by: round2(violation.exceeded_by),
            severity: violation.severity,
            confirmed: violation.confirmed,
        }
    }
}

fn ends(share: &Share) -> (Option<f64>, Option<f64>) {
    (share.interval.map(|(low, _)| round2(low)), share.interval.map(|(_, high)| round2(high)))
}

/// Cores are small numbers: an idle server uses thousandths.
fn round4(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}
