//! Which finding is the diagnosis, and what it is called.

use std::fmt::Write as _;

use super::finding::{Finding, Judging};
use super::no_data::NoData;
use super::own_code::{OwnCode, own_code};
use super::purpose::purpose_of;
use super::rate::RateOver;
use super::recommendation::{TELLS_SOMETHING, fallback_text, insufficient_text};
use super::responsible::{Responsible, ResponsibleSearch};
use super::tally::Leaf;
use crate::kernel::{FindingSeverity, ProfileType, percent_of};
use crate::profile::TextId;
use crate::verdict::category::{Category, Layer};
use crate::verdict::names::short_name;
use crate::verdict::reliability::Share;

/// A purpose with this many times the ticks of a category says more than it.
pub(super) const MUCH_MORE: f64 = 1.5;
/// Scheduling that takes fewer cores than this is what idling costs.
const SCHEDULING_CORES: f64 = 0.5;
/// Functions that hand over to other code, which a profiler of Go does not see. What they do is told by their callers.
const HAND_OVER: [&str; 8] = [
    "runtime.cgocall",
    "runtime.asmcgocall",
    "runtime.usleep",
    "runtime.futex",
    "syscall.Syscall",
    "syscall.Syscall6",
    "internal/runtime/syscall.Syscall6",
    "runtime/internal/syscall.Syscall6",
];
/// How many categories are named where none passes its threshold.
const LARGEST: usize = 3;
/// Wall profiles that are idle for this share are idle, if nothing else stands out, percent.
const IDLE_FROM: f64 = 50.0;

/// What a diagnosis rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// A category that reaches its threshold.
    Finding(Category),
    /// The application's own code: no category, but one function or one frame that most runs beneath.
    OwnCode,
    /// Nothing stands out: no problem, only the heaviest function.
    Fallback,
    /// Too few samples, or values that say nothing about the window.
    Insufficient,
    /// No ticks.
    NoData,
}

/// The diagnosis of a profile.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnosis {
    /// The name in answers: the category's id or the contract's name for it.
    pub name: &'static str,
    /// What it rests on.
    pub ground: Ground,
    /// Its share.
    pub share: Share,
    /// How bad it is.
    pub severity: FindingSeverity,
    /// Whether the low end of the share reaches the threshold; never of a fallback.
    pub confirmed: bool,
    /// The mechanism by which a purpose costs, with its percent.
    pub mechanism: Option<(Category, f64)>,
    /// The heaviest function of it.
    pub function: Option<String>,
    /// What the application's own code does, if that is the ground.
    pub own_code: Option<OwnCode>,
    /// The largest categories with their share and threshold, percent, where none passes it.
    pub largest: Vec<(Category, f64, f64)>,
    /// The frames that lead to it.
    pub responsible: Vec<Responsible>,
    /// What to do.
    pub recommendation: String,
}

impl Diagnosis {
    /// There are no samples.
    pub(super) fn no_data(why: &NoData) -> Self {
        Self {
            name: "no_data",
            ground: Ground::NoData,
            share: Share { percent: 0.0, interval: None },
            severity: FindingSeverity::Low,
            confirmed: false,
            mechanism: None,
            function: None,
            own_code: None,
            largest: Vec::new(),
            responsible: Vec::new(),
            recommendation: why.recommendation(),
        }
    }
}

/// The name of a category as a diagnosis of that kind of profile: clients know some by another name than the id.
pub fn diagnosis_name(kind: ProfileType, category: Category) -> &'static str {
    match (kind, category) {
        (ProfileType::Alloc, Category::Serialization) => "deserialization_overhead",
        (ProfileType::Alloc, Category::Allocation) => "allocation_pressure",
        (ProfileType::Wall, Category::Idle) => "idle_time",
        _ => category.as_str(),
    }
}

/// The diagnosis of a kind of profile in which nothing stands out.
pub fn fallback_name(kind: ProfileType) -> &'static str {
    match kind {
        ProfileType::Cpu => "cpu_bound",
        ProfileType::Alloc => "allocation_pressure",
        ProfileType::Lock => "lock_contention",
        ProfileType::Wall | ProfileType::Samples => "mixed_workload",
        ProfileType::Inuse => "memory_retained",
        ProfileType::Goroutine => "thread_waiting",
        ProfileType::Exception => "exception",
    }
}

/// Decides on the diagnosis. A purpose can be diagnosed by what runs beneath it. It is then added to the findings if it
/// was too small to be listed, and its severity is that of its inclusive share.
pub(super) fn decide(
    judging: &Judging<'_>,
    mut findings: Vec<Finding>,
    search: &mut ResponsibleSearch<'_, '_>,
) -> (Vec<Finding>, Diagnosis) {
    let unclaimed = heaviest_unclaimed(judging);
    if !judging.has_enough() {
        let diagnosis = fallback(judging, Ground::Insufficient, unclaimed, &findings, search);
        return (findings, diagnosis);
    }
    let unclaimed_percent = unclaimed.map_or(0.0, |(_, ticks)| judging.percent(ticks));
    let competing = || findings.iter().filter(|f| f.observable && judging.competes(f.category));
    let by_share =
        |a: &&Finding, b: &&Finding| a.share.percent.total_cmp(&b.share.percent).then(b.category.cmp(&a.category));
    let confirmed = competing().filter(|f| reaches(judging, f) && f.confirmed).max_by(by_share);
    let leader = confirmed.or_else(|| competing().max_by(by_share));
    // In a lock profile the wait itself is asked for, whatever it serves.
    let served = leader.filter(|_| judging.kind != ProfileType::Lock);
    if let Some((purpose, beneath)) = served.and_then(|leader| Some((purpose_of(judging, leader)?, leader.category))) {
        let diagnosis = of_purpose(judging, &mut findings, purpose, beneath, search);
        return (findings, diagnosis);
    }
    if let Some(confirmed) = confirmed.filter(|finding| !gives_way(judging, finding, unclaimed_percent)) {
        let mut diagnosis = of_finding(judging.kind, confirmed);
        name_beside(judging, &mut diagnosis, unclaimed, unclaimed_percent);
        return (findings, diagnosis);
    }
    let is_idle = judging.kind == ProfileType::Wall && idle_percent(judging) >= IDLE_FROM;
    let own_code = if is_idle { None } else { own_code(judging, unclaimed, search) };
    let unconfirmed = || competing().filter(|f| reaches(judging, f)).max_by(by_share);
    let diagnosis = match (own_code, unconfirmed()) {
        (Some(own_code), _) => own_code,
        (None, Some(finding)) if finding.share.percent >= unclaimed_percent => of_finding(judging.kind, finding),
        _ if is_idle => idle_time(judging),
        _ => fallback(judging, Ground::Fallback, unclaimed, &findings, search),
    };
    (findings, diagnosis)
}

/// Whether the share is enough to be a diagnosis. Looking for work costs an idle program a large share of very little.
pub(super) fn reaches(judging: &Judging<'_>, finding: &Finding) -> bool {
    let is_enough = finding.share.percent >= finding.threshold || judging.stands_out_alone(finding.category);
    let is_known = judging.rate_over == Some(RateOver::Profiles);
    let is_little = is_known && finding.cores.is_some_and(|cores| cores < SCHEDULING_CORES);
    let is_little = finding.category == Category::Scheduling && is_little;
    is_enough && !is_little
}

/// A mechanism under this percentage gives way to a function with [`MUCH_HEAVIER`] times as much. A judgement.
const SMALL_MECHANISM: f64 = 10.0;
const MUCH_HEAVIER: f64 = 5.0;
/// What only the start costs gives way under this percentage, to a function with [`HEAVIER_THAN_START`] times as much. A
/// judgement.
const SMALL_START: f64 = 20.0;
const HEAVIER_THAN_START: f64 = 3.0;

/// Whether another statement should come before this finding. A small mechanism, or a cost of the start alone, gives way to
/// one much heavier function. Network buffers give way to a function that allocates more. Waiting threads give way to
/// longer work.
fn gives_way(judging: &Judging<'_>, finding: &Finding, unclaimed_percent: f64) -> bool {
    let percent = finding.share.percent;
    let works_longer = || {
        let claimed = Category::ALL.iter().filter(|category| category.is_active());
        100.0 - judging.percent(claimed.map(|category| judging.tally.claimed(*category)).sum()) > percent
    };
    let is_memory = matches!(judging.kind, ProfileType::Alloc | ProfileType::Inuse);
    match finding.category {
        Category::ThreadWaiting if judging.kind == ProfileType::Wall && works_longer() => true,
        Category::ClassLoading | Category::JitOverhead => {
            percent < SMALL_START && unclaimed_percent >= percent * HEAVIER_THAN_START
        }
        Category::NetworkIo if is_memory => unclaimed_percent > percent,
        category => {
            category.layer() == Layer::Mechanism
                && percent < SMALL_MECHANISM
                && unclaimed_percent >= percent * MUCH_HEAVIER
        }
    }
}

/// Names the heaviest function beside a diagnosis that holds less.
fn name_beside(
    judging: &Judging<'_>,
    diagnosis: &mut Diagnosis,
    unclaimed: Option<(TextId, i64)>,
    unclaimed_percent: f64,
) {
    if let Some((name, _)) = unclaimed.filter(|_| unclaimed_percent >= diagnosis.share.percent) {
        let name = short_name(judging.profile.text(name));
        let _ = write!(
            diagnosis.recommendation,
            " The heaviest function, {name} ({unclaimed_percent:.0} %), matches no known pattern."
        );
    }
}

fn of_finding(kind: ProfileType, finding: &Finding) -> Diagnosis {
    Diagnosis {
        name: diagnosis_name(kind, finding.category),
        ground: Ground::Finding(finding.category),
        share: finding.share,
        severity: finding.severity,
        confirmed: finding.confirmed,
        mechanism: None,
        function: finding.evidence.first().map(|e| e.function.clone()),
        own_code: None,
        largest: Vec::new(),
        responsible: finding.responsible.clone(),
        recommendation: finding.recommendation.clone(),
    }
}

fn of_purpose(
    judging: &Judging<'_>,
    findings: &mut Vec<Finding>,
    purpose: Category,
    mechanism: Category,
    search: &mut ResponsibleSearch<'_, '_>,
) -> Diagnosis {
    let share = judging.share(judging.tally.inclusive(purpose));
    let place = findings.iter().position(|f| f.category == purpose);
    let mut finding = match place {
        Some(place) => findings.remove(place),
        None => judging.finding(purpose, search),
    };
    finding.severity = judging.severity(&share);
    finding.confirmed = share.surely_reaches(finding.threshold);
    if share.percent >= finding.share.percent * MUCH_MORE {
        finding.set(search.investigate_with_beneath(purpose, &finding.responsible));
    }
    let beneath = judging.percent(judging.tally.beneath(purpose, mechanism));
    let means = findings.iter().find(|f| f.category == mechanism && mechanism != purpose);
    if finding.responsible.is_empty() || finding.evidence.is_empty() {
        // A library that leads to the mechanism may be the inside of the purpose.
        let leading = means.iter().flat_map(|f| &f.responsible).filter(|one| one.is_own || finding.entry.is_none());
        finding.responsible = leading.cloned().collect();
    }
    judging.advise(&mut finding, share.percent, &[]);
    let mut text = finding.recommendation.clone();
    let is_by_mechanism = mechanism != purpose && beneath * 2.0 >= share.percent;
    if is_by_mechanism {
        let _ = write!(text, " Most of its cost is {} ({beneath:.0} %).", mechanism.as_str().replace('_', " "));
    }
    let function =
        finding.evidence.first().or_else(|| means.and_then(|f| f.evidence.first())).map(|e| e.function.clone());
    let diagnosis = Diagnosis {
        share,
        mechanism: is_by_mechanism.then_some((mechanism, beneath)),
        function,
        recommendation: text,
        ..of_finding(judging.kind, &finding)
    };
    let place = findings.iter().position(|f| f.share.percent < finding.share.percent || !f.observable);
    findings.insert(place.unwrap_or(findings.len()), finding);
    diagnosis
}

fn fallback(
    judging: &Judging<'_>,
    ground: Ground,
    unclaimed: Option<(TextId, i64)>,
    findings: &[Finding],
    search: &mut ResponsibleSearch<'_, '_>,
) -> Diagnosis {
    let competing = findings.iter().filter(|f| f.observable && judging.competes(f.category));
    let largest = competing.take(LARGEST).map(|f| (f.category, f.share.percent, f.threshold)).collect();
    let function = unclaimed.map(|(name, _)| judging.profile.text(name));
    let share = judging.share(unclaimed.map_or(0, |(_, ticks)| ticks));
    let sites = if share.percent < TELLS_SOMETHING { search.sites() } else { Vec::new() };
    let responsible = match unclaimed {
        Some((name, _)) if sites.is_empty() => search.callers_of(name),
        _ => sites,
    };
    Diagnosis {
        name: fallback_name(judging.kind),
        ground,
        share,
        severity: FindingSeverity::Low,
        confirmed: false,
        mechanism: None,
        recommendation: match ground {
            Ground::Insufficient => insufficient_text(judging),
            _ => fallback_text(judging.kind, function, share.percent, &responsible),
        },
        function: function.map(str::to_owned),
        own_code: None,
        largest,
        responsible,
    }
}

fn idle_time(judging: &Judging<'_>) -> Diagnosis {
    let idle = judging.tally.idle;
    Diagnosis {
        name: diagnosis_name(ProfileType::Wall, Category::Idle),
        ground: Ground::Fallback,
        share: Share::of(idle, judging.tally.total, judging.samples),
        severity: FindingSeverity::Low,
        confirmed: false,
        mechanism: None,
        function: None,
        own_code: None,
        largest: Vec::new(),
        responsible: Vec::new(),
        recommendation: "The threads mostly wait for work, which is healthy. If requests are slow all the same, look \
                         at what they wait for outside this process."
            .to_owned(),
    }
}

fn idle_percent(judging: &Judging<'_>) -> f64 {
    percent_of(judging.tally.idle, judging.tally.total)
}

/// The function with most self ticks that nobody claimed; of equals the first by name.
fn heaviest_unclaimed(judging: &Judging<'_>) -> Option<(TextId, i64)> {
    let name = |leaf: &Leaf| judging.profile.text(leaf.name);
    let by_weight = |a: &&Leaf, b: &&Leaf| a.unclaimed.cmp(&b.unclaimed).then_with(|| name(b).cmp(name(a)));
    let candidates = || judging.tally.leaves.iter().filter(|leaf| leaf.unclaimed > 0);
    let says_something =
        |leaf: &&Leaf| !HAND_OVER.contains(&name(leaf)) && judging.percent(leaf.unclaimed) >= TELLS_SOMETHING;
    let heaviest = candidates().filter(says_something).max_by(by_weight).or_else(|| candidates().max_by(by_weight))?;
    Some((heaviest.name, heaviest.unclaimed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(ProfileType::Alloc, Category::Serialization, "deserialization_overhead")]
    #[case(ProfileType::Alloc, Category::Allocation, "allocation_pressure")]
    #[case(ProfileType::Wall, Category::Idle, "idle_time")]
    #[case(ProfileType::Cpu, Category::Serialization, "serialization")]
    #[case(ProfileType::Wall, Category::NetworkIo, "network_io")]
    fn keeps_the_names_that_clients_know(#[case] kind: ProfileType, #[case] category: Category, #[case] name: &str) {
        assert_eq!(diagnosis_name(kind, category), name);
    }
}
