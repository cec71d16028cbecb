//! What a profile's claims add up to: one finding per category.

use std::sync::Arc;

use super::at_most::AtMost;
use super::rate::{ObservedTime, Rate, RateOver};
use super::recommendation::{by_lock, caveat, not_observable, recommendation};
use super::responsible::{CauseShare, Evidence, Investigation, Locks, Responsible, ResponsibleSearch, Site};
use super::tally::Tally;
use crate::kernel::{FindingSeverity, ProfileType, percent_of};
use crate::profile::Profile;
use crate::verdict::catalogue::Rules;
use crate::verdict::category::{Category, Layer, Runtime};
use crate::verdict::reliability::{Confidence, MOSTLY_IDLE_BELOW, QualityTicks, Share, SourceFacts, highest_severity};

/// Findings are listed from this share, percent.
const LISTED_FROM: f64 = 1.0;
/// Who calls the allocator is named from so many samples of it on. A judgement.
const WORTH_NAMING: f64 = 20.0;
/// A cause with this share of its category, with all that runs beneath, decides what is advised, percent. A judgement.
const LEADS: f64 = 50.0;

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
    /// cpu: the most that could be saved.
    pub at_most: Option<AtMost>,
    /// What the stacks that hold it were claimed as beside it: category and percent of the active ticks.
    pub mechanisms: Vec<(Category, f64)>,
    /// What its ticks come from, where names tell: largest first. Those of a purpose hold what runs beneath it, and add up
    /// to no more than its inclusive share.
    pub causes: Vec<CauseShare>,
    /// The frames that lead to it.
    pub responsible: Vec<Responsible>,
    /// The application's heaviest frames on its stacks, at most five.
    pub sites: Vec<Site>,
    /// The claiming frames, heaviest first.
    pub evidence: Vec<Evidence>,
    /// Where no frame leads to it: the outermost function of the category that most of it lies beneath.
    pub entry: Option<Evidence>,
    /// lock and wall, of lock contention: the locks that threads wait for.
    pub locks: Locks,
    /// alloc: its share of what allocation costs the processor, percent of cpu.
    pub impact_percent: Option<f64>,
    /// What to do, naming the responsible frame and the heaviest function.
    pub recommendation: String,
    /// How to do it.
    pub steps: Arc<[String]>,
}

/// What is assessed: one sample type of one profile, and what is known about it.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// The kind of profile.
    pub kind: ProfileType,
    /// The profile.
    pub profile: &'a Profile,
    /// Which of its sample types.
    pub sample_type: usize,
    /// How long it was observed, where that is known.
    pub time: Option<ObservedTime>,
    /// What the source knows beside the stacks.
    pub facts: SourceFacts<'a>,
    /// At most this many functions are listed; 0 means all.
    pub top: usize,
}

/// The rules and figures that all findings of a profile are made from.
pub(super) struct Judging<'a> {
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
    pub(super) rate_over: Option<RateOver>,
    /// The kinds of profile that the app sends; empty where that is not known.
    kinds: &'a [ProfileType],
    pub(super) native_frames: bool,
    has_unit: bool,
}

impl<'a> Judging<'a> {
    pub(super) fn new(
        rules: &'a Rules,
        subject: &Subject<'a>,
        tally: &'a Tally,
        samples: Option<u64>,
        native_frames: bool,
    ) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count, rounded")]
        let active_samples = samples.map(|n| (n as f64 * tally.active as f64 / tally.total as f64).round() as u64);
        let unit = subject.profile.sample_types().get(subject.sample_type).map_or("", |t| t.unit.as_str());
        let time = subject.time.filter(|time| time.seconds > 0.0);
        let rate = time.and_then(|time| Rate::of(subject.kind, unit, tally.active, time.seconds));
        Self {
            rules,
            kind: subject.kind,
            profile: subject.profile,
            tally,
            cumulative: subject.facts.cumulative,
            samples,
            active_samples,
            rate,
            rate_over: rate.and(time).map(|time| time.over),
            kinds: subject.facts.kinds,
            native_frames,
            has_unit: !unit.is_empty(),
        }
    }

    /// Whether anything may be concluded at all.
    pub(super) fn has_enough(&self) -> bool {
        !self.cumulative
            && self.quality_ticks().mostly_profiler().is_none()
            && self.samples.is_none_or(|n| Confidence::of(n) != Confidence::Insufficient)
    }

    /// The share of the active ticks.
    pub(super) fn share(&self, ticks: i64) -> Share {
        Share::of(ticks, self.tally.active, self.active_samples)
    }

    /// Whether the category may be a diagnosis here. Where exceptions are counted, a category only says what throws them.
    pub(super) fn competes(&self, category: Category) -> bool {
        category.competes() && self.kind != ProfileType::Exception
    }

    fn is_confirmed(&self, category: Category, share: &Share, threshold: f64) -> bool {
        let mut alone = self.tally.alone(category);
        self.competes(category)
            && self.has_enough()
            && (share.surely_reaches(threshold)
                || alone.any(|(ticks, needed)| self.share(ticks).surely_reaches(needed)))
    }

    /// Percent of the active ticks.
    pub(super) fn percent(&self, ticks: i64) -> f64 {
        percent_of(ticks, self.tally.active)
    }

    /// The severity of a share, within what samples, activity and the amount of waiting allow.
    pub(super) fn severity(&self, share: &Share) -> FindingSeverity {
        if self.is_mostly_idle() || !self.has_enough() {
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

    /// Whether the app hardly uses the processor, so that no share of its cpu profile matters.
    pub(super) fn is_quiet(&self) -> bool {
        match (self.rate, self.rate_over) {
            _ if self.kind != ProfileType::Cpu => false,
            (Some(Rate::Cores(cores)), Some(RateOver::Profiles)) => cores < self.rules.quiet_cores(),
            (Some(_), _) => false,
            (None, _) => self.tally.idle > 0 && self.is_mostly_idle(),
        }
    }

    fn is_mostly_idle(&self) -> bool {
        (self.tally.active as f64) < self.tally.total as f64 * MOSTLY_IDLE_BELOW / 100.0
    }

    pub(super) fn quality_ticks(&self) -> QualityTicks {
        let tally = self.tally;
        QualityTicks {
            total: tally.total,
            active: tally.active,
            profiler: tally.claimed(Category::ProfilerOverhead),
            unresolved: tally.claimed(Category::Unresolved),
            broken: tally.broken,
            has_unit: self.has_unit,
        }
    }

    /// All findings from 1 %, by share descending, ties in the order of the categories; then those not observable.
    pub(super) fn findings(&self, search: &mut ResponsibleSearch<'_, '_>) -> Vec<Finding> {
        let listed = |c: &&Category| {
            c.is_active() && self.percent(self.tally.claimed(**c) + self.tally.uncounted(**c)) >= LISTED_FROM
        };
        let mut findings: Vec<_> = Category::ALL.iter().filter(listed).map(|c| self.finding(*c, search)).collect();
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
    pub(super) fn finding(&self, category: Category, search: &mut ResponsibleSearch<'_, '_>) -> Finding {
        let tally = self.tally;
        let share = self.share(tally.claimed(category));
        let threshold = self.rules.threshold(category, self.kind).percent;
        let runtime = tally.runtime(category).or_else(|| tally.main_runtime());
        let Investigation { evidence, responsible, causes, sites, entry } = search.investigate(category);
        let inclusive_percent = self.percent(tally.inclusive(category));
        let cores = match self.rate {
            Some(Rate::Cores(cores)) => Some(cores),
            _ => None,
        };
        let mut finding = Finding {
            category,
            share,
            uncounted_percent: self.percent(tally.uncounted(category)),
            inclusive_percent,
            threshold,
            severity: if self.competes(category) { self.severity(&share) } else { FindingSeverity::Low },
            confirmed: self.is_confirmed(category, &share, threshold),
            runtime,
            observable: self.observable(category, runtime),
            cores: cores.map(|cores| cores * share.percent / 100.0),
            at_most: AtMost::of(self.kind, category, [share.percent, inclusive_percent], cores),
            mechanisms: self.mechanisms(category),
            recommendation: String::new(),
            causes,
            responsible,
            sites,
            evidence,
            entry,
            locks: self.locks(category, &share, search),
            impact_percent: None,
            steps: Arc::from([]),
        };
        // Nobody calls a collector: who calls the allocator gives it its work.
        let is_called = category != Category::GcPressure || !finding.responsible.is_empty();
        let allocated = self.share(tally.claimed(Category::Allocation)).percent / 100.0;
        let is_seen = self.active_samples.is_none_or(|samples| samples as f64 * allocated >= WORTH_NAMING);
        let allocating = if is_called || !is_seen { Vec::new() } else { search.leading_to(Category::Allocation) };
        let told = if category.layer() == Layer::Purpose { inclusive_percent } else { share.percent };
        self.advise(&mut finding, told, &allocating);
        finding
    }

    /// Says what to do about a finding that is known by this share, percent, and where. `allocating`: who calls the
    /// allocator, for a collector that nobody calls.
    pub(super) fn advise(&self, finding: &mut Finding, percent: f64, allocating: &[Responsible]) {
        let Finding { category, runtime, .. } = *finding;
        let whole = finding.share.percent.max(finding.inclusive_percent);
        let leading = finding.causes.first().filter(|cause| cause.percent * 100.0 >= whole * LEADS);
        let of_cause = leading.and_then(|leading| Some((leading.cause.advice.clone()?, leading.percent)));
        let is_by_cause = of_cause.is_some();
        let (advice, percent) = of_cause.unwrap_or_else(|| (self.rules.advice(category, runtime), percent));
        let text = recommendation(&advice, self.kind, percent, is_by_cause, finding, allocating);
        finding.recommendation = text + &by_lock(&finding.locks) + &caveat(self.kind, category, runtime, self.kinds);
        finding.steps = advice.steps_for(self.kinds);
    }

    /// The locks, in profiles of which the ticks are time waited.
    fn locks(&self, category: Category, share: &Share, search: &ResponsibleSearch<'_, '_>) -> Locks {
        if category != Category::LockContention || !matches!(self.kind, ProfileType::Lock | ProfileType::Wall) {
            return Locks::default();
        }
        let wait = match self.rate {
            Some(Rate::WaitMsPerSecond(ms)) => Some(ms * share.percent / 100.0),
            _ => None,
        };
        search.locks(category, wait)
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
        let threshold = self.rules.threshold(category, self.kind).percent;
        Finding::not_observable(category, threshold, runtime, not_observable(category, self.kind, runtime))
    }
}

impl Finding {
    /// Replaces what is known of it beside its share.
    pub(super) fn set(&mut self, found: Investigation) {
        let Investigation { evidence, responsible, causes, sites, entry } = found;
        (self.evidence, self.responsible, self.causes, self.sites) = (evidence, responsible, causes, sites);
        self.entry = entry;
    }

    /// A category that this kind of profile cannot show.
    pub(super) fn not_observable(
        category: Category,
        threshold: f64,
        runtime: Option<Runtime>,
        recommendation: String,
    ) -> Self {
        Self {
            category,
            share: Share { percent: 0.0, interval: None },
            uncounted_percent: 0.0,
            inclusive_percent: 0.0,
            threshold,
            severity: FindingSeverity::Low,
            confirmed: false,
            runtime,
            observable: false,
            cores: None,
            at_most: None,
            mechanisms: Vec::new(),
            causes: Vec::new(),
            responsible: Vec::new(),
            sites: Vec::new(),
            evidence: Vec::new(),
            entry: None,
            locks: Locks::default(),
            impact_percent: None,
            recommendation,
            steps: Arc::from([]),
        }
    }
}
