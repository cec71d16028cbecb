//! Makes the answer from what was judged. Shares are rounded to two decimals here and nowhere else.

use super::{
    AtMostBody, Block, CauseBody, ComparedBody, CoverageBody, EvidenceBody, FindingBody, JudgedBlock, LinksBody,
    LockBody, MechanismBody, ResponsibleBody, SinceBody, SiteBody, SummaryBody, TopFunctionBody, TriageBody,
    UnavailableBlock, ViolationBody, WasBody,
};
use crate::bor::links::{self, LinkSettings};
use crate::bor::triage::blocks::Blocks;
use crate::bor::triage::domain::{Earlier, JudgedProfile, Triage, TypeResult};
use crate::http::Problem;
use crate::kernel::{CostPerCoreHour, percent_of, round2, round4};
use crate::sor::profile_data::Coverage;
use crate::verdict::{
    AtMost, CauseShare, Finding, LimitViolation, LockWait, ProfileAssessment, Rate, RateOver, Responsible, Share,
    Since, Site, Summary, Was, change, gone,
};

impl TriageBody {
    /// The answer. Without a window its ends are 0.
    pub fn of(triage: &Triage, settings: &LinkSettings) -> Self {
        let blocks = triage.types.iter().map(|t| (t.kind.to_string(), Block::of(t, settings, triage.cost)));
        let first = triage.summary.primary_kind.or_else(|| triage.types.first().map(|t| t.kind));
        let primary = triage.types.iter().find(|t| Some(t.kind) == first);
        Self {
            app_name: triage.app.to_string(),
            from: triage.window.map_or(0, |window| window.from().timestamp()),
            to: triage.window.map_or(0, |window| window.to().timestamp()),
            profiles: Blocks(blocks.collect()),
            links: primary.and_then(|primary| LinksBody::of(primary, settings)),
            summary: SummaryBody::of(&triage.summary, triage.violations()),
            baselines: triage.limits.absence(),
            history: triage.history.absence(),
            labels: triage.registry.absence(),
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
            no_data: summary.no_data.clone(),
        }
    }
}

impl LinksBody {
    fn of(result: &TypeResult, settings: &LinkSettings) -> Option<Self> {
        let types = result.result.as_ref().map_or(&[][..], |judged| &judged.merged.meta.profile_types);
        let query = result.query.as_ref()?;
        Some(Self { flamegraph: links::flame_graph(query), grafana: links::grafana(settings, query, types) })
    }
}

impl Block {
    fn of(result: &TypeResult, settings: &LinkSettings, cost: Option<CostPerCoreHour>) -> Self {
        match &result.result {
            Ok(judged) => {
                let links = LinksBody::of(result, settings);
                Self::Judged(Box::new(JudgedBlock::of(judged, result, cost, links)))
            }
            Err(error) => Self::Unavailable(UnavailableBlock {
                diagnosis: "unavailable".to_owned(),
                error: Problem::of_profiles(error).detail().to_owned(),
            }),
        }
    }
}

impl JudgedBlock {
    fn of(
        judged: &JudgedProfile,
        result: &TypeResult,
        cost: Option<CostPerCoreHour>,
        links: Option<LinksBody>,
    ) -> Self {
        let earlier = result.earlier.as_ref();
        let JudgedProfile { assessment, merged, limits } = judged;
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
            unit: assessment.sample_type.as_ref().map(|t| t.unit.clone()).filter(|unit| !unit.is_empty()),
            sample_count: assessment.sample_count,
            confidence: assessment.confidence,
            active_percent: assessment.active_percent().map(round2),
            idle_percent: assessment.idle_percent().map(round2),
            cores: if let Some(Rate::Cores(cores)) = rate { Some(round4(cores)) } else { None },
            cores_over: assessment.rate_over.filter(|over| *over == RateOver::Window),
            bytes_per_second: if let Some(Rate::BytesPerSecond(bytes)) = rate { Some(round2(bytes)) } else { None },
            wait_ms_per_second: if let Some(Rate::WaitMsPerSecond(ms)) = rate { Some(round2(ms)) } else { None },
            coverage: merged.meta.coverage.map(CoverageBody::from),
            truncated_percent: (truncated > 0 && assessment.has_data())
                .then(|| round2(percent_of(truncated, assessment.total))),
            top_functions: top_functions(assessment),
            recommendation: diagnosis.recommendation.clone(),
            findings: assessment.findings.iter().map(|f| FindingBody::of(f, assessment, result, cost)).collect(),
            baseline_violations: limits.as_ref().map(|l| l.violations.iter().map(ViolationBody::from).collect()),
            baselines_not_seen: limits.as_ref().map(|l| l.not_seen.clone()),
            data_quality: assessment.quality.clone(),
            no_data: assessment.no_data.clone(),
            compared: earlier.map(|earlier| ComparedBody::of(earlier, assessment)),
            links,
        }
    }
}

fn top_functions(assessment: &ProfileAssessment) -> Vec<TopFunctionBody> {
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
        let Coverage { minutes_with_data, minutes, covered_seconds, first_profile_at, last_profile_at } = coverage;
        Self { minutes_with_data, minutes, covered_seconds, first_profile_at, last_profile_at }
    }
}

impl ComparedBody {
    fn of(earlier: &Earlier, now: &ProfileAssessment) -> Self {
        let then = earlier.assessment();
        let gone = then.map(|then| gone(now, then)).unwrap_or_default();
        Self {
            with: earlier.with,
            from: earlier.window.from().timestamp(),
            to: earlier.window.to().timestamp(),
            sample_count: then.and_then(|then| then.sample_count),
            cores: match then.and_then(|then| then.rate) {
                Some(Rate::Cores(cores)) => Some(round4(cores)),
                _ => None,
            },
            gone: gone
                .into_iter()
                .map(|(category, share)| MechanismBody { category, percent: round2(share.percent) })
                .collect(),
            reason: earlier.result.as_ref().err().cloned(),
        }
    }
}

impl From<Was> for WasBody {
    fn from(was: Was) -> Self {
        let (low, high) = ends(&was.share);
        Self { percent: round2(was.share.percent), low, high, cores: was.cores.map(round4) }
    }
}

impl From<&Since> for SinceBody {
    fn from(since: &Since) -> Self {
        let (label, value) = since.version.as_ref().map(|began| (began.label.clone(), began.value.clone())).unzip();
        Self { at: since.at, label, value }
    }
}

impl FindingBody {
    fn of(finding: &Finding, now: &ProfileAssessment, result: &TypeResult, cost: Option<CostPerCoreHour>) -> Self {
        let (low, high) = ends(&finding.share);
        let compared =
            result.earlier.as_ref().filter(|_| finding.observable).map(|then| change(now, finding, then.assessment()));
        Self {
            change: compared.map(|(change, _)| change),
            was: compared.and_then(|(_, was)| was).map(WasBody::from),
            since: result.since_when(finding.category).map(SinceBody::from),
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
            at_most: finding.at_most.map(|at_most| AtMostBody::of(at_most, cost)),
            uncounted_percent: Some(round2(finding.uncounted_percent)).filter(|p| *p > 0.0),
            impact_percent: finding.impact_percent.map(round2),
            mechanisms: finding
                .mechanisms
                .iter()
                .map(|(category, percent)| MechanismBody { category: *category, percent: round2(*percent) })
                .collect(),
            causes: finding.causes.iter().map(CauseBody::from).collect(),
            responsible: finding.responsible.iter().map(ResponsibleBody::from).collect(),
            sites: finding.sites.iter().map(SiteBody::from).collect(),
            evidence: finding
                .evidence
                .iter()
                .map(|e| EvidenceBody { function: e.function.clone(), percent: round2(e.percent) })
                .collect(),
            locks: finding.locks.named.iter().map(LockBody::from).collect(),
            more_locks: Some(finding.locks.more).filter(|more| *more > 0),
            recommendation: finding.recommendation.clone(),
            steps: finding.steps.to_vec(),
        }
    }
}

impl From<&LockWait> for LockBody {
    fn from(lock: &LockWait) -> Self {
        Self {
            function: lock.function.clone(),
            percent: round2(lock.percent),
            wait_ms_per_second: lock.wait_ms_per_second.map(round2),
        }
    }
}

impl AtMostBody {
    fn of(at_most: AtMost, cost: Option<CostPerCoreHour>) -> Self {
        let AtMost { percent_of_app, cores } = at_most;
        let per_month = cost.zip(cores).map(|(cost, cores)| round2(cost.per_month(cores)));
        Self { cores: cores.map(round4), percent_of_app: round2(percent_of_app), per_month }
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

impl From<&CauseShare> for CauseBody {
    fn from(share: &CauseShare) -> Self {
        let CauseShare { cause, percent, responsible, .. } = share;
        Self { cause: cause.id.to_string(), percent: round2(*percent), responsible: responsible.clone() }
    }
}

impl From<&Site> for SiteBody {
    fn from(site: &Site) -> Self {
        let Site { function, percent, file, line } = site.clone();
        Self { function, percent: round2(percent), file, line }
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
