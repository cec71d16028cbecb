//! The summary of a triage: which diagnosis comes first, and the verdict.

use std::fmt::Write as _;

use chrono::SecondsFormat;

use super::assessment::ProfileAssessment;
use super::diagnosis::{Diagnosis, Ground};
use super::headline::{headline, quiet_headline, without_samples};
use crate::kernel::{FindingSeverity, ProfileType};

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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::verdict::reliability::SourceFacts;

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
