//! One sentence with its figures: what is said first of an app.

use std::fmt::Write as _;

use super::assessment::ProfileAssessment;
use super::diagnosis::{Diagnosis, Ground};
use super::rate::Rate;
use super::recommendation::TELLS_SOMETHING;
use crate::kernel::ProfileType;
use crate::verdict::category::{Category, Layer};
use crate::verdict::events::Event;
use crate::verdict::names::short_name;
use crate::verdict::reliability::{QualityCode, Share};

/// What the assessment says.
pub(super) fn headline(app: &str, assessment: &ProfileAssessment) -> String {
    let diagnosis = &assessment.diagnosis;
    let samples = assessment.sample_count;
    if diagnosis.ground == Ground::Insufficient {
        if assessment.quality.iter().any(|note| note.code == QualityCode::CumulativeProfile) {
            return format!(
                "The {} values of {app} count since its start and say nothing about this window.",
                assessment.kind
            );
        }
        if assessment.quality.iter().any(|note| note.code == QualityCode::MostlyProfiler) {
            return format!(
                "Most samples of {app} are the profiler's own: they say too little of {app} for a verdict."
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
            text.push_str(&with_beneath(assessment, category));
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
            let function = diagnosis.function.as_deref().map(short_name).unwrap_or_default();
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
            let site = diagnosis.responsible.first().filter(|_| diagnosis.share.percent < TELLS_SOMETHING);
            if let Some(site) = site {
                let _ = write!(text, "; {} % {whole} comes from {}", figure(site.percent), short_name(&site.shown));
            } else if let Some(function) = diagnosis.function.as_deref().map(short_name) {
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
    let named = categories.iter().map(|(category, percent, threshold)| {
        let from = if *category == Category::Scheduling { ", from half a core" } else { "" };
        format!("{} {} % ({}{from})", lower_first(label(*category)), figure(*percent), figure(*threshold))
    });
    format!("No category surely passes its threshold. Largest: {}", named.collect::<Vec<_>>().join(", "))
}

/// An app that hardly uses the processor.
pub(super) fn quiet_headline(app: &str, quiet: &ProfileAssessment) -> String {
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
                ProfileType::Exception | ProfileType::Samples => {
                    Event::of(assessment.kind, assessment.sample_type.as_slice()).map_or("samples", Event::plural)
                }
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

/// The share of a purpose with all that runs beneath it, where that is surely more than what is said.
fn with_beneath(assessment: &ProfileAssessment, category: Category) -> String {
    let said = assessment.diagnosis.share;
    let high = said.interval.map_or(said.percent, |(_, high)| high);
    let finding = assessment.findings.iter().find(|finding| finding.category == category);
    let inclusive = finding.filter(|_| category.layer() == Layer::Purpose).map(|finding| finding.inclusive_percent);
    let more = inclusive.filter(|inclusive| *inclusive > high && figure(*inclusive) != figure(said.percent));
    more.map_or_else(String::new, |inclusive| format!(", {} % with all it calls", figure(inclusive)))
}

fn beneath(diagnosis: &Diagnosis) -> String {
    match diagnosis.responsible.as_slice() {
        [one] if one.percent >= 50.0 => format!(", most of it under {}", short_name(&one.shown)),
        [one, two, ..] if one.percent + two.percent >= 50.0 => {
            format!(", most of it under {} and {}", short_name(&one.shown), short_name(&two.shown))
        }
        _ => String::new(),
    }
}

/// Without decimals from 10, with one below.
pub(super) fn figure(value: f64) -> String {
    if value >= 9.95 { format!("{value:.0}") } else { format!("{value:.1}") }
}

/// An amount of processor cores in words, to two figures: `0.26 cores`.
pub fn cores_text(cores: f64) -> String {
    match cores {
        c if c < 0.01 => "under 0.01 cores".to_owned(),
        c if c < 1.0 => format!("{c:.2} cores"),
        c => format!("{} cores", figure(c)),
    }
}

/// `1.7 cores`, `52 MB/s` or `120 ms of waiting per second`.
pub(in crate::verdict) fn rate_text(rate: Rate) -> String {
    match rate {
        Rate::Cores(cores) => cores_text(cores),
        Rate::BytesPerSecond(bytes) => format!("{}/s", bytes_text(bytes)),
        Rate::WaitMsPerSecond(ms) => format!("{} ms of waiting per second", figure(ms)),
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

/// A count as people read it: `12,840`.
pub fn grouped(n: u64) -> String {
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
}
