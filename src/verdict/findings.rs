//! What a profile's claims add up to: one finding per category, and the diagnosis.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::confidence::{Confidence, Share, estimated_samples, highest_severity};
use super::diagnosis::{self, Diagnosis};
use super::quality::{self, MOSTLY_IDLE_BELOW, QualityNote, QualityTicks, SourceFacts};
use super::responsible::{Detective, Evidence, Responsible};
use super::tally::Tally;
use super::{Category, Claims, Rate, Rules, Runtime};
use crate::kernel::{FindingSeverity, ProfileType};
use crate::profile::{Profile, SampleType};

/// Findings are listed from this share, percent.
const LISTED_FROM: f64 = 1.0;

/// One category's share of a profile and what is known about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The category.
    pub category: Category,
    /// Its share of the active ticks.
    pub share: Share,
    /// Ticks that rules report and do not count, such as marking by idle processors, percent of the active ticks.
    pub uncounted_percent: f64,
    /// The share of active ticks whose stacks hold the category anywhere, percent.
    pub inclusive_percent: f64,
    /// The share from which it is a diagnosis, percent.
    pub threshold: f64,
    /// How bad it is.
    pub severity: FindingSeverity,
    /// Whether the low end of its share reaches the threshold too.
    pub confirmed: bool,
    /// The runtime that most of its ticks belong to.
    pub runtime: Option<Runtime>,
    /// Whether this kind of profile can show it at all.
    pub observable: bool,
    /// Processor cores it takes, in a cpu profile of a known window.
    pub cores: Option<f64>,
    /// What the stacks that hold it were claimed as beside it: category and percent of the active ticks.
    pub mechanisms: Vec<(Category, f64)>,
    /// The frames that lead to it.
    pub responsible: Vec<Responsible>,
    /// The claiming frames, heaviest first.
    pub evidence: Vec<Evidence>,
    /// alloc: its share of what allocation costs the processor, percent of cpu.
    pub impact_percent: Option<f64>,
    /// What to do, naming the responsible frame and the heaviest function.
    pub recommendation: String,
    /// How to do it.
    pub steps: Arc<[String]>,
}

/// One function of the heaviest.
#[derive(Debug, Clone, PartialEq)]
pub struct TopFunction {
    /// The function, as the source spells it.
    pub name: String,
    /// Its self ticks.
    pub self_ticks: i64,
    /// Their share of all ticks, percent.
    pub self_percent: f64,
}

/// A profile, judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// The kind of profile.
    pub kind: ProfileType,
    /// What its ticks count; absent where the app has no profile of this kind.
    pub sample_type: Option<SampleType>,
    /// What is the matter.
    pub diagnosis: Diagnosis,
    /// All ticks.
    pub total: i64,
    /// The ticks that shares of findings are of.
    pub active: i64,
    /// Idle ticks.
    pub idle: i64,
    /// Events seen, where that is known.
    pub sample_count: Option<u64>,
    /// How far they carry; absent where their number is unknown.
    pub confidence: Option<Confidence>,
    /// What the ticks amount to per second, where the window is known.
    pub rate: Option<Rate>,
    /// One per category from 1 %, by share; then those that this kind of profile cannot show.
    pub findings: Vec<Finding>,
    /// The heaviest functions by self, without those that are idle or the profiler's own.
    pub top_functions: Vec<TopFunction>,
    /// What is wrong with the data.
    pub quality: Vec<QualityNote>,
    /// When the app's last profile came, where the window has none.
    pub last_profile_at: Option<DateTime<Utc>>,
    /// Whether profiles came in the window, be they empty; false where the source cannot tell.
    pub profiles_came: bool,
}

/// What is judged: one sample type of one profile, and what is known about it.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// The kind of profile.
    pub kind: ProfileType,
    /// The profile.
    pub profile: &'a Profile,
    /// Which of its sample types.
    pub sample_type: usize,
    /// Length of the window in seconds, where it is known.
    pub seconds: Option<f64>,
    /// What the source knows beside the stacks.
    pub facts: SourceFacts<'a>,
    /// At most this many functions are listed; 0 means all.
    pub top: usize,
}

impl Assessment {
    /// Judges a profile.
    pub fn of(rules: &Rules, subject: &Subject<'_>) -> Self {
        let &Subject { kind, profile, sample_type, .. } = subject;
        let empty = || Self::without_data(kind, profile.sample_types().get(sample_type).cloned(), &subject.facts);
        if profile.stack_count() == 0 {
            return empty();
        }
        let claims = Claims::of(rules, profile, kind);
        let tally = Tally::of(profile, sample_type, kind, rules, &claims);
        if tally.total <= 0 {
            return empty();
        }
        let sample_count = subject.facts.sample_count.or(subject.facts.contentions);
        let sample_count = sample_count.or_else(|| estimated_samples(kind, profile, sample_type));
        let court = Court::new(rules, subject, &tally, sample_count, claims.native_frames());
        let mut detective = Detective::new(profile, &claims, &tally, kind);
        let findings = court.findings(&mut detective);
        let (findings, diagnosis) = diagnosis::decide(&court, findings, &mut detective);
        Self {
            kind,
            sample_type: profile.sample_types().get(sample_type).cloned(),
            diagnosis,
            total: tally.total,
            active: tally.active,
            idle: tally.idle,
            sample_count,
            confidence: sample_count.map(Confidence::of),
            rate: court.rate,
            findings,
            top_functions: top_functions(profile, &tally, subject.top),
            quality: quality::notes(&subject.facts, court.quality_ticks(), sample_count),
            last_profile_at: subject.facts.last_profile_at,
            profiles_came: true,
        }
    }

    pub(super) fn without_data(kind: ProfileType, sample_type: Option<SampleType>, facts: &SourceFacts<'_>) -> Self {
        let profiles_came = facts.coverage.is_some_and(|(minutes_with_data, _)| minutes_with_data > 0);
        Self {
            kind,
            sample_type,
            diagnosis: Diagnosis::no_data(profiles_came),
            total: 0,
            active: 0,
            idle: 0,
            sample_count: None,
            confidence: None,
            rate: None,
            findings: Vec::new(),
            top_functions: Vec::new(),
            quality: quality::notes_without_data(facts),
            last_profile_at: facts.last_profile_at,
            profiles_came,
        }
    }

    /// Whether the window held any data.
    pub fn has_data(&self) -> bool {
        self.total > 0
    }

    /// The share of the ticks that is active, percent; absent without data.
    pub fn active_percent(&self) -> Option<f64> {
        self.has_data().then(|| self.active as f64 / self.total as f64 * 100.0)
    }

    /// The share of the ticks that is idle, percent; absent without data.
    pub fn idle_percent(&self) -> Option<f64> {
        self.has_data().then(|| self.idle as f64 / self.total as f64 * 100.0)
    }

    /// The finding of a category.
    pub fn finding(&self, category: Category) -> Option<&Finding> {
        self.findings.iter().find(|f| f.category == category)
    }
}

/// The rules and figures that a profile is judged under.
pub(super) struct Court<'a> {
    pub(super) rules: &'a Rules,
    pub(super) kind: ProfileType,
    pub(super) profile: &'a Profile,
    pub(super) tally: &'a Tally,
    pub(super) cumulative: bool,
    /// Events behind the whole profile.
    pub(super) samples: Option<u64>,
    /// Events behind the active ticks.
    pub(super) active_samples: Option<u64>,
    pub(super) rate: Option<Rate>,
    native_frames: bool,
}

impl<'a> Court<'a> {
    fn new(
        rules: &'a Rules,
        subject: &Subject<'a>,
        tally: &'a Tally,
        samples: Option<u64>,
        native_frames: bool,
    ) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count, rounded")]
        let active_samples = samples.map(|n| (n as f64 * tally.active as f64 / tally.total as f64).round() as u64);
        let unit = subject.profile.sample_types().get(subject.sample_type).map_or("", |t| t.unit.as_str());
        let rate = subject.seconds.filter(|s| *s > 0.0).and_then(|s| Rate::of(subject.kind, unit, tally.active, s));
        Self {
            rules,
            kind: subject.kind,
            profile: subject.profile,
            tally,
            cumulative: subject.facts.cumulative,
            samples,
            active_samples,
            rate,
            native_frames,
        }
    }

    /// Whether anything may be concluded at all.
    pub(super) fn has_enough(&self) -> bool {
        !self.cumulative && self.samples.is_none_or(|n| Confidence::of(n) != Confidence::Insufficient)
    }

    /// The share of the active ticks.
    pub(super) fn share(&self, ticks: i64) -> Share {
        Share::of(ticks, self.tally.active, self.active_samples)
    }

    fn is_confirmed(&self, category: Category, share: &Share, threshold: f64) -> bool {
        let mut alone = self.tally.alone(category);
        category.competes()
            && self.has_enough()
            && (share.surely_reaches(threshold)
                || alone.any(|(ticks, needed)| self.share(ticks).surely_reaches(needed)))
    }

    /// Percent of the active ticks.
    pub(super) fn percent(&self, ticks: i64) -> f64 {
        if self.tally.active > 0 { ticks as f64 / self.tally.active as f64 * 100.0 } else { 0.0 }
    }

    /// The severity of a share, within what samples, activity and the amount of waiting allow.
    pub(super) fn severity(&self, share: &Share) -> FindingSeverity {
        let mostly_idle = (self.tally.active as f64) < self.tally.total as f64 * MOSTLY_IDLE_BELOW / 100.0;
        if mostly_idle || !self.has_enough() {
            return FindingSeverity::Low;
        }
        let by_wait = match self.rate {
            Some(Rate::WaitMsPerSecond(ms)) if ms < 1.0 => FindingSeverity::Low,
            Some(Rate::WaitMsPerSecond(ms)) if ms < 100.0 => FindingSeverity::Medium,
            _ => FindingSeverity::High,
        };
        share.severity().min(highest_severity(self.samples)).min(by_wait)
    }

    /// Whether the claims of one rule alone make the category a diagnosis, as Go's collector assists do: requests pay
    /// for them.
    pub(super) fn stands_out_alone(&self, category: Category) -> bool {
        self.tally.alone(category).any(|(ticks, needed)| self.percent(ticks) >= needed)
    }

    fn quality_ticks(&self) -> QualityTicks {
        let tally = self.tally;
        QualityTicks {
            total: tally.total,
            active: tally.active,
            unresolved: tally.claimed(Category::Unresolved),
            broken: tally.broken,
        }
    }

    /// All findings from 1 %, by share descending, ties in the order of the categories; then those not observable.
    fn findings(&self, detective: &mut Detective<'_, '_>) -> Vec<Finding> {
        let listed = |c: &&Category| {
            c.is_active() && self.percent(self.tally.claimed(**c) + self.tally.uncounted(**c)) >= LISTED_FROM
        };
        let mut findings: Vec<_> = Category::ALL.iter().filter(listed).map(|c| self.finding(*c, detective)).collect();
        findings.sort_by(|a, b| b.share.percent.total_cmp(&a.share.percent));
        let main = self.tally.main_runtime();
        let hidden = Category::ALL.iter().filter(|c| c.competes() && !self.observable(**c, main));
        for category in hidden {
            if findings.iter().all(|f| f.category != *category) {
                findings.push(self.not_observable(*category, main));
            }
        }
        findings
    }

    fn observable(&self, category: Category, runtime: Option<Runtime>) -> bool {
        self.rules.observable(category, runtime, self.kind, self.native_frames)
    }

    /// The finding of a category, whatever its share.
    pub(super) fn finding(&self, category: Category, detective: &mut Detective<'_, '_>) -> Finding {
        let tally = self.tally;
        let share = self.share(tally.claimed(category));
        let threshold = self.rules.threshold(category, self.kind).percent;
        let runtime = tally.runtime(category).or_else(|| tally.main_runtime());
        let (evidence, responsible) = detective.investigate(category);
        let advice = self.rules.advice(category, runtime);
        Finding {
            category,
            share,
            uncounted_percent: self.percent(tally.uncounted(category)),
            inclusive_percent: self.percent(tally.inclusive(category)),
            threshold,
            severity: if category.competes() { self.severity(&share) } else { FindingSeverity::Low },
            confirmed: self.is_confirmed(category, &share, threshold),
            runtime,
            observable: self.observable(category, runtime),
            cores: match self.rate {
                Some(Rate::Cores(cores)) => Some(cores * share.percent / 100.0),
                _ => None,
            },
            mechanisms: self.mechanisms(category),
            recommendation: diagnosis::recommendation(&advice, &responsible, &evidence)
                + diagnosis::caveat(self.kind, category, runtime),
            responsible,
            evidence,
            impact_percent: None,
            steps: advice.steps,
        }
    }

    fn mechanisms(&self, category: Category) -> Vec<(Category, f64)> {
        let others = Category::ALL.iter().filter(|c| **c != category && c.is_active());
        let mut mechanisms: Vec<_> = others
            .map(|c| (*c, self.percent(self.tally.beneath(category, *c))))
            .filter(|(_, percent)| *percent >= LISTED_FROM)
            .collect();
        mechanisms.sort_by(|a, b| b.1.total_cmp(&a.1));
        mechanisms
    }

    fn not_observable(&self, category: Category, runtime: Option<Runtime>) -> Finding {
        Finding {
            category,
            share: Share { percent: 0.0, interval: None },
            uncounted_percent: 0.0,
            inclusive_percent: 0.0,
            threshold: self.rules.threshold(category, self.kind).percent,
            severity: FindingSeverity::Low,
            confirmed: false,
            runtime,
            observable: false,
            cores: None,
            mechanisms: Vec::new(),
            responsible: Vec::new(),
            evidence: Vec::new(),
            impact_percent: None,
            recommendation: diagnosis::not_observable(category, self.kind, runtime),
            steps: Arc::from([]),
        }
    }
}

/// The heaviest functions by self, ties by name; a function whose self ticks are mostly idle or the profiler's own is
/// left out.
fn top_functions(profile: &Profile, tally: &Tally, limit: usize) -> Vec<TopFunction> {
    let shown = tally.leaves.iter().filter(|leaf| leaf.own > 0 && leaf.hidden.saturating_mul(2) <= leaf.own);
    let mut rows: Vec<_> = shown.map(|leaf| (leaf.own, profile.text(leaf.name))).collect();
    let order = |a: &(i64, &str), b: &(i64, &str)| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1));
    if limit > 0 && rows.len() > limit {
        rows.select_nth_unstable_by(limit, order);
        rows.truncate(limit);
    }
    rows.sort_unstable_by(order);
    let percent = |ticks: i64| ticks as f64 / tally.total as f64 * 100.0;
    rows.into_iter()
        .map(|(ticks, name)| TopFunction { name: name.to_owned(), self_ticks: ticks, self_percent: percent(ticks) })
        .collect()
}
