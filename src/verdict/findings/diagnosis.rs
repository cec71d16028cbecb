//! Which finding is the diagnosis, and what it is called.

use std::fmt::Write as _;

use super::finding::{Finding, Judging};
use super::recommendation::{fallback_text, insufficient_text};
use super::responsible::{Responsible, ResponsibleSearch};
use crate::kernel::{FindingSeverity, ProfileType, percent_of};
use crate::profile::TextId;
use crate::verdict::category::Category;
use crate::verdict::reliability::Share;

/// A mechanism with this share of its ticks beneath one purpose is that purpose's, percent.
const BENEATH: f64 = 60.0;
/// Wall profiles that are idle for this share are idle, if nothing else stands out, percent.
const IDLE_FROM: f64 = 50.0;

/// What a diagnosis rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// A category that reaches its threshold.
    Finding(Category),
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
    /// The frames that lead to it.
    pub responsible: Vec<Responsible>,
    /// What to do.
    pub recommendation: String,
}

impl Diagnosis {
    /// There are no samples, because no profile came or because those that came are empty.
    pub(super) fn no_data(profiles_came: bool) -> Self {
        let recommendation = if profiles_came {
            "Ask for a longer window, or again while the app has work: profiles came, and too little ran for a sample."
        } else {
            "Check that the app runs, that its profiler pushes, and that the window and the selector are meant: without \
             data nothing can be said about its health."
        };
        Self {
            name: "no_data",
            ground: Ground::NoData,
            share: Share { percent: 0.0, interval: None },
            severity: FindingSeverity::Low,
            confirmed: false,
            mechanism: None,
            function: None,
            responsible: Vec::new(),
            recommendation: recommendation.to_owned(),
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
        ProfileType::Wall => "mixed_workload",
        ProfileType::Inuse => "memory_retained",
        ProfileType::Goroutine => "thread_waiting",
        ProfileType::Exception => "exception",
    }
}

/// Decides on the diagnosis. A purpose can be diagnosed by the mechanisms beneath it. It is then added to the findings
/// if it was too small to be listed, and its severity is that of its inclusive share.
pub(super) fn decide(
    judging: &Judging<'_>,
    mut findings: Vec<Finding>,
    search: &mut ResponsibleSearch<'_, '_>,
) -> (Vec<Finding>, Diagnosis) {
    let unclaimed = heaviest_unclaimed(judging);
    if !judging.has_enough() {
        let diagnosis = fallback(judging, Ground::Insufficient, unclaimed, search);
        return (findings, diagnosis);
    }
    let unclaimed_percent = unclaimed.map_or(0.0, |(_, ticks)| judging.percent(ticks));
    let competing = || findings.iter().filter(|f| f.observable && f.category.competes());
    let largest = competing().map(|f| f.share.percent).fold(0.0, f64::max);
    let order = |a: &&Finding, b: &&Finding| {
        (a.confirmed.cmp(&b.confirmed))
            .then(a.share.percent.total_cmp(&b.share.percent))
            .then(b.category.cmp(&a.category))
    };
    let winner = competing().filter(|f| reaches(judging, f)).max_by(order);
    let heaviest =
        competing().max_by(|a, b| a.share.percent.total_cmp(&b.share.percent).then(b.category.cmp(&a.category)));
    let purpose = winner
        .or(heaviest)
        .and_then(|mechanism| purpose_of(judging, mechanism.category).map(|p| (p, mechanism.category)));
    if let Some((purpose, mechanism)) = purpose
        && judging.percent(judging.tally.inclusive(purpose)).max(largest) >= unclaimed_percent
    {
        let diagnosis = of_purpose(judging, &mut findings, purpose, mechanism, search);
        return (findings, diagnosis);
    }
    let diagnosis = match winner {
        Some(winner) if largest >= unclaimed_percent => of_finding(judging.kind, winner),
        None if judging.kind == ProfileType::Wall && idle_percent(judging) >= IDLE_FROM => idle_time(judging),
        _ => fallback(judging, Ground::Fallback, unclaimed, search),
    };
    (findings, diagnosis)
}

/// Whether the share is enough to be a diagnosis.
fn reaches(judging: &Judging<'_>, finding: &Finding) -> bool {
    finding.share.percent >= finding.threshold || judging.stands_out_alone(finding.category)
}

/// The purpose that most of a mechanism's ticks serve, if it is above its own threshold with all that lies beneath it.
fn purpose_of(judging: &Judging<'_>, mechanism: Category) -> Option<Category> {
    if !mechanism.is_mechanism() {
        return None;
    }
    let whole = judging.tally.claimed(mechanism) as f64;
    let serves = |purpose: &Category| {
        let inclusive = judging.percent(judging.tally.inclusive(*purpose));
        purpose.is_purpose()
            && judging.tally.beneath(*purpose, mechanism) as f64 * 100.0 >= whole * BENEATH
            && inclusive >= judging.rules.threshold(*purpose, judging.kind).percent
    };
    let by_size =
        |a: &Category, b: &Category| judging.tally.inclusive(*a).cmp(&judging.tally.inclusive(*b)).then(b.cmp(a));
    Category::ALL.iter().copied().filter(serves).max_by(by_size)
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
    let beneath = judging.percent(judging.tally.beneath(purpose, mechanism));
    let means = findings.iter().find(|f| f.category == mechanism);
    if finding.responsible.is_empty() || finding.evidence.is_empty() {
        finding.responsible = means.map(|f| f.responsible.clone()).unwrap_or_default();
    }
    let mut text = finding.recommendation.clone();
    let _ = write!(text, " Most of its cost is {} ({beneath:.0} %).", mechanism.as_str().replace('_', " "));
    let function =
        finding.evidence.first().or_else(|| means.and_then(|f| f.evidence.first())).map(|e| e.function.clone());
    let diagnosis = Diagnosis {
        share,
        mechanism: Some((mechanism, beneath)),
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
    search: &mut ResponsibleSearch<'_, '_>,
) -> Diagnosis {
    let function = unclaimed.map(|(name, _)| judging.profile.text(name));
    let share = judging.share(unclaimed.map_or(0, |(_, ticks)| ticks));
    let responsible = unclaimed.map(|(name, _)| search.callers_of(name)).unwrap_or_default();
    Diagnosis {
        name: fallback_name(judging.kind),
        ground,
        share,
        severity: FindingSeverity::Low,
        confirmed: false,
        mechanism: None,
        recommendation: match ground {
            Ground::Insufficient => insufficient_text(judging.cumulative, judging.samples),
            _ => fallback_text(judging.kind, function, share.percent, &responsible),
        },
        function: function.map(str::to_owned),
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
    let candidates = judging.tally.leaves.iter().filter(|leaf| leaf.unclaimed > 0);
    let heaviest = candidates.max_by(|a, b| {
        a.unclaimed.cmp(&b.unclaimed).then_with(|| judging.profile.text(b.name).cmp(judging.profile.text(a.name)))
    })?;
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
