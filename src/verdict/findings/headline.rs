//! The summary of a triage: which diagnosis comes first, and one sentence with its figures.

use std::fmt::Write as _;

use chrono::SecondsFormat;

use super::assessment::ProfileAssessment;
use super::diagnosis::{Diagnosis, Ground};
use super::rate::Rate;
use crate::kernel::{FindingSeverity, ProfileType};
use crate::verdict::category::Category;
use crate::verdict::names::short_name;
use crate::verdict::reliability::{QualityCode, Share};

/// The verdict on an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Even the low end of a category's share reaches its threshold.
    Problem,
    /// There is enough data, no category reaches its threshold, and one function of the application is most of it.
    OwnCode,
    /// The app hardly uses the processor.
    Quiet,
    /// There is enough data, and no category reaches its threshold.
    NothingStandsOut,
    /// Too few samples to say, or too few to be sure that the threshold is reached.
    Insufficient,
    /// The app is known and sent nothing in the window.
    NoData,
    /// No profile could be read, or the rest had no data.
    Unavailable,
}

/// One requested kind of profile: assessed, or not available.
#[derive(Debug, Clone, Copy)]
pub enum KindOutcome<'a> {
    /// The profile was read.
    Assessed(&'a ProfileAssessment),
    /// It could not be read.
    Unavailable(ProfileType),
}

/// The answer over all kinds.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The verdict.
    pub verdict: Verdict,
    /// The name of the diagnosis that comes first.
    pub primary_issue: &'static str,
    /// Its kind of profile, if there is a diagnosis.
    pub primary_kind: Option<ProfileType>,
    /// Its severity.
    pub severity: FindingSeverity,
    /// What to do about it.
    pub recommendation: String,
    /// The sentence.
    pub headline: String,
}

/// Chooses the first diagnosis: confirmed findings, then unconfirmed ones, then fallbacks; among them by severity,
/// percent and the order requested. Without data an app is never called healthy. An app that hardly uses the processor
/// is quiet, whatever its cpu and alloc profiles show, unless an approved limit is broken.
pub fn summarise(app: &str, outcomes: &[KindOutcome<'_>], is_limit_broken: bool) -> Summary {
    let assessed = || outcomes.iter().filter_map(|o| if let KindOutcome::Assessed(a) = o { Some(*a) } else { None });
    let mut primary: Option<&ProfileAssessment> = None;
    for candidate in assessed().filter(|a| a.has_data()) {
        if primary.is_none_or(|best| rank(&candidate.diagnosis) > rank(&best.diagnosis)) {
            primary = Some(candidate);
        }
    }
    let unread =
        outcomes.iter().filter_map(|o| if let KindOutcome::Unavailable(kind) = o { Some(*kind) } else { None });
    let unread: Vec<_> = unread.collect();
    if let Some(primary) = primary {
        let diagnosis = &primary.diagnosis;
        let is_about_cpu = matches!(primary.kind, ProfileType::Cpu | ProfileType::Alloc);
        let quiet = assessed().find(|a| a.is_quiet).filter(|_| is_about_cpu && !is_limit_broken);
        let quiet = quiet.filter(|a| a.diagnosis.ground != Ground::Insufficient);
        let mut headline = match quiet {
            Some(quiet) => quiet_headline(app, quiet),
            None => headline(app, primary),
        };
        for kind in &unread {
            let _ = write!(headline, " The {kind} profile could not be read.");
        }
        return Summary {
            verdict: match diagnosis.ground {
                _ if quiet.is_some() => Verdict::Quiet,
                Ground::Finding(_) if diagnosis.confirmed => Verdict::Problem,
                Ground::OwnCode => Verdict::OwnCode,
                Ground::Fallback => Verdict::NothingStandsOut,
                Ground::Finding(_) | Ground::Insufficient | Ground::NoData => Verdict::Insufficient,
            },
            primary_issue: diagnosis.name,
            primary_kind: Some(primary.kind),
            severity: if quiet.is_some() { FindingSeverity::Low } else { diagnosis.severity },
            recommendation: match quiet {
                Some(_) => {
                    "Nothing to do here: if the app is slow, it waits for something else than the processor.".to_owned()
                }
                None => diagnosis.recommendation.clone(),
            },
            headline,
        };
    }
    if unread.is_empty() {
        if let Some(empty) = assessed().find(|a| a.profiles_came) {
            return without_diagnosis(
                Verdict::Insufficient,
                without_samples(app, empty.kind),
                empty.diagnosis.recommendation.clone(),
            );
        }
        let last = assessed().filter_map(|a| a.last_profile_at).max();
        let last = last.map(|t| t.to_rfc3339_opts(SecondsFormat::Secs, true));
        return without_diagnosis(
            Verdict::NoData,
            match last {
                Some(t) => format!(
                    "No profile arrived in this window; the last one came at {t}. This says nothing about the app's health."
                ),
                None => "No profile arrived in this window. This says nothing about the app's health.".to_owned(),
            },
            Diagnosis::no_data(false).recommendation,
        );
    }
    let kinds = unread.iter().map(|k| k.as_str()).collect::<Vec<_>>().join(" and ");
    without_diagnosis(
        Verdict::Unavailable,
        format!("The {kinds} profile of {app} could not be read. This says nothing about the app's health."),
        "Try again; if it stays so, look at the source of profiles.".to_owned(),
    )
}

fn without_diagnosis(verdict: Verdict, headline: String, recommendation: String) -> Summary {
    Summary {
        verdict,
        primary_issue: if verdict == Verdict::Unavailable { "unavailable" } else { "no_data" },
        primary_kind: None,
        severity: FindingSeverity::Low,
        recommendation,
        headline,
    }
}

/// Profiles came without a sample in any of them, as from an idle program.
fn without_samples(app: &str, kind: ProfileType) -> String {
    let why = match kind {
        ProfileType::Cpu => "its profiles came, and it used too little CPU to be sampled",
        _ => "its profiles came, and are empty",
    };
    format!("No sample of {app} was seen in this window, too few for a verdict: {why}.")
}

/// Greater comes first. Shares are compared as they are shown, so that equal figures keep the order asked.
fn rank(diagnosis: &Diagnosis) -> (u8, FindingSeverity, i64) {
    let ground = match diagnosis.ground {
        Ground::Finding(_) if diagnosis.confirmed => 3,
        Ground::Finding(_) => 2,
        Ground::OwnCode | Ground::Fallback => 1,
        Ground::Insufficient | Ground::NoData => 0,
    };
    #[expect(clippy::cast_possible_truncation, reason = "a percentage in hundredths")]
    let percent = (diagnosis.share.percent * 100.0).round() as i64;
    (ground, diagnosis.severity, percent)
}

fn headline(app: &str, assessment: &ProfileAssessment) -> String {
    let diagnosis = &assessment.diagnosis;
    let samples = assessment.sample_count;
    if diagnosis.ground == Ground::Insufficient {
        if assessment.quality.iter().any(|note| note.code == QualityCode::CumulativeProfile) {
            return format!(
                "The {} values of {app} count since its start and say nothing about this window.",
                assessment.kind
            );
        }
        let n = samples.unwrap_or(0);
        let were = if n == 1 { "was" } else { "were" };
        return format!("Only {} of {app} {were} seen in this window, too few for a verdict.", samples_text(n));
    }
    let (opening, whole) = opening(app, assessment);
    let share = share_text(&diagnosis.share);
    let mut text = opening;
    match diagnosis.ground {
        Ground::Finding(category) => {
            let _ = write!(text, "{} is {share_of}", label(category), share_of = of(&share, &whole));
            if let Some((mechanism, _)) = diagnosis.mechanism {
                let _ = write!(text, ", chiefly {}", lower_first(label(mechanism)));
            }
            text.push_str(&beneath(diagnosis));
            if !diagnosis.confirmed {
                text.push_str(", too close to its threshold to be sure");
            }
        }
        _ if diagnosis.name == "idle_time" => {
            let _ = write!(text, "{app} is idle for {} of its wall time{}", share.0, share.1);
        }
        Ground::OwnCode => {
            let function = diagnosis.function.as_deref().map_or("", short_name);
            let next = diagnosis.own_code.as_ref().and_then(|own| own.next.as_ref());
            if diagnosis.own_code.as_ref().is_some_and(|own| own.is_subtree) {
                let _ = write!(text, "Its own code is the program: {} runs beneath {function}", of(&share, &whole));
                if let Some((next, percent)) = next {
                    let _ = write!(text, ", most of all in {} with {} %", short_name(next), figure(*percent));
                }
            } else {
                let _ = write!(text, "One function is the program: {function} holds {}", of(&share, &whole));
                if let Some((_, percent)) = next {
                    let _ = write!(text, ", and no other more than {} %", figure(*percent));
                }
            }
        }
        _ => {
            text.push_str(&largest(&diagnosis.largest));
            if let Some(function) = diagnosis.function.as_deref().map(short_name) {
                let _ = write!(text, "; the heaviest function is {function} with {}", of(&share, &whole));
            }
        }
    }
    if let (Some(n), Some(confidence)) = (samples, assessment.confidence) {
        let _ = write!(text, "; {}, confidence {}", samples_text(n), confidence.as_str());
    }
    text.push('.');
    text
}

/// The categories that come nearest to a diagnosis, with their thresholds.
fn largest(categories: &[(Category, f64, f64)]) -> String {
    if categories.is_empty() {
        return "Nothing stands out".to_owned();
    }
    let one = |(category, percent, threshold): &(Category, f64, f64)| {
        let (percent, threshold) = (figure(*percent), figure(*threshold));
        let label = label(*category);
        (label, percent, threshold)
    };
    let named = categories
        .iter()
        .map(one)
        .map(|(label, percent, threshold)| format!("{} {percent} % ({threshold})", lower_first(label)));
    format!("No category surely passes its threshold. Largest: {}", named.collect::<Vec<_>>().join(", "))
}

/// An app that hardly uses the processor.
fn quiet_headline(app: &str, quiet: &ProfileAssessment) -> String {
    let mut text = match quiet.rate {
        Some(Rate::Cores(cores)) => format!("{app} is nearly idle: {}", cores_text(cores)),
        _ => format!(
            "{app} is nearly idle: {} % of its samples are active",
            figure(quiet.active_percent().unwrap_or(0.0))
        ),
    };
    if let Some(finding) = quiet.findings.iter().find(|f| f.observable && f.category.competes()) {
        let _ = write!(text, ". {} is {} % of that", label(finding.category), figure(finding.share.percent));
    }
    if let (Some(n), Some(confidence)) = (quiet.sample_count, quiet.confidence) {
        let _ = write!(text, "; {}, confidence {}", samples_text(n), confidence.as_str());
    }
    text.push_str(". The processor is not what makes it slow.");
    text
}

/// The sentence that says how much there is, and what the share is of.
fn opening(app: &str, assessment: &ProfileAssessment) -> (String, String) {
    let of_it = || "of it".to_owned();
    match assessment.rate {
        Some(Rate::Cores(cores)) => (format!("{app} uses {}. ", cores_text(cores)), of_it()),
        Some(Rate::BytesPerSecond(bytes)) => (format!("{app} allocates {}/s. ", bytes_text(bytes)), of_it()),
        Some(Rate::WaitMsPerSecond(ms)) => (format!("{app} waits {} ms per second for locks. ", figure(ms)), of_it()),
        None => {
            let what = match assessment.kind {
                ProfileType::Cpu => "CPU time",
                ProfileType::Alloc => "allocation",
                ProfileType::Lock => "waiting for locks",
                ProfileType::Wall => "active wall time",
                ProfileType::Inuse => "memory in use",
                ProfileType::Goroutine => "goroutines",
                ProfileType::Exception => "exceptions",
            };
            (String::new(), format!("of {app}'s {what}"))
        }
    }
}

fn of(share: &(String, String), whole: &str) -> String {
    format!("{} {whole}{}", share.0, share.1)
}

/// `34 %` and ` (31–37)`.
fn share_text(share: &Share) -> (String, String) {
    let interval =
        share.interval.map_or_else(String::new, |(low, high)| format!(" ({}–{})", figure(low), figure(high)));
    (format!("{} %", figure(share.percent)), interval)
}

fn beneath(diagnosis: &Diagnosis) -> String {
    match diagnosis.responsible.as_slice() {
        [one] if one.percent >= 50.0 => format!(", most of it under {}", short_name(&one.function)),
        [one, two, ..] if one.percent + two.percent >= 50.0 => {
            format!(", most of it under {} and {}", short_name(&one.function), short_name(&two.function))
        }
        _ => String::new(),
    }
}

/// Without decimals from 10, with one below.
pub(super) fn figure(value: f64) -> String {
    if value >= 9.95 { format!("{value:.0}") } else { format!("{value:.1}") }
}

pub(super) fn cores_text(cores: f64) -> String {
    match cores {
        c if c < 0.01 => "under 0.01 cores".to_owned(),
        c if c < 1.0 => format!("{c:.2} cores"),
        c => format!("{} cores", figure(c)),
    }
}

fn bytes_text(bytes: f64) -> String {
    let steps = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    let step = steps.into_iter().find(|(size, _)| bytes >= *size);
    step.map_or_else(|| format!("{bytes:.0} B"), |(size, unit)| format!("{} {unit}", figure(bytes / size)))
}

fn samples_text(n: u64) -> String {
    format!("{} sample{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// `12,840`.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn lower_first(text: &str) -> String {
    match text.split_at_checked(1) {
        Some((first, rest)) if !rest.starts_with(|c: char| c.is_ascii_uppercase()) => first.to_lowercase() + rest,
        _ => text.to_owned(),
    }
}

/// The category in a sentence: "GC is 34 % of it".
pub fn label(category: Category) -> &'static str {
    match category {
        Category::GcPressure => "GC",
        Category::Allocation => "Allocation",
        Category::CollectionResizing => "Growing collections",
        Category::StringAllocation => "Building strings",
        Category::Boxing => "Boxing",
        Category::Serialization => "Serialization",
        Category::Regex => "Regex matching",
        Category::Exception => "Raising exceptions",
        Category::Logging => "Logging",
        Category::Reflection => "Reflection",
        Category::ClassLoading => "Class loading",
        Category::JitOverhead => "JIT compilation",
        Category::LockContention => "Lock contention",
        Category::ThreadWaiting => "Waiting",
        Category::Idle => "Idle time",
        Category::Scheduling => "Scheduling",
        Category::NetworkIo => "Network I/O",
        Category::DiskIo => "Disk I/O",
        Category::DnsResolution => "Name resolution",
        Category::PageFaults => "Mapping memory",
        Category::Database => "Database access",
        Category::Crypto => "Cryptography",
        Category::Compression => "Compression",
        Category::Hashing => "Hashing",
        Category::MemoryCopy => "Copying memory",
        Category::ProfilerOverhead => "Profiling",
        Category::Unresolved => "Code without a name",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::reliability::SourceFacts;
    use rstest::rstest;

    #[rstest]
    #[case(1, "1 sample")]
    #[case(999, "999 samples")]
    #[case(12_840, "12,840 samples")]
    #[case(1_234_567, "1,234,567 samples")]
    fn groups_large_numbers(#[case] n: u64, #[case] text: &str) {
        assert_eq!(samples_text(n), text);
    }

    #[rstest]
    #[case(0.004, "under 0.01 cores")]
    #[case(0.256, "0.26 cores")]
    #[case(1.7, "1.7 cores")]
    #[case(12.4, "12 cores")]
    fn rounds_cores_to_what_matters(#[case] cores: f64, #[case] text: &str) {
        assert_eq!(cores_text(cores), text);
    }

    #[test]
    fn says_when_the_last_profile_came() {
        let mut none = ProfileAssessment::without_data(ProfileType::Cpu, None, &SourceFacts::default());
        none.last_profile_at = chrono::DateTime::from_timestamp(1_706_000_000, 0);
        let summary = summarise("checkout", &[KindOutcome::Assessed(&none)], false);
        assert_eq!(summary.verdict, Verdict::NoData);
        assert_eq!(
            summary.headline,
            "No profile arrived in this window; the last one came at 2024-01-23T08:53:20Z. This says nothing about the app's health."
        );
    }

    #[rstest]
    #[case(ProfileType::Cpu, "its profiles came, and it used too little CPU to be sampled.")]
    #[case(ProfileType::Alloc, "its profiles came, and are empty.")]
    fn tells_profiles_without_samples_from_none(#[case] kind: ProfileType, #[case] why: &str) {
        let facts = SourceFacts { coverage: Some((1, 60)), ..Default::default() };
        let idle = ProfileAssessment::without_data(kind, None, &facts);
        let summary = summarise("checkout", &[KindOutcome::Assessed(&idle)], false);
        assert_eq!((summary.verdict, summary.primary_issue), (Verdict::Insufficient, "no_data"));
        assert_eq!(
            summary.headline,
            format!("No sample of checkout was seen in this window, too few for a verdict: {why}")
        );
        assert!(summary.recommendation.starts_with("Ask for a longer window"), "{}", summary.recommendation);
    }

    #[test]
    fn is_unavailable_when_the_rest_had_no_data() {
        let none = ProfileAssessment::without_data(ProfileType::Cpu, None, &SourceFacts::default());
        let summary =
            summarise("checkout", &[KindOutcome::Assessed(&none), KindOutcome::Unavailable(ProfileType::Alloc)], false);
        assert_eq!((summary.verdict, summary.primary_issue), (Verdict::Unavailable, "unavailable"));
        assert!(summary.headline.starts_with("The alloc profile of checkout could not be read."));
    }
}
