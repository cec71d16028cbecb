//! The summary of a triage: which diagnosis comes first, and the verdict.

use std::fmt::Write as _;

use super::assessment::ProfileAssessment;
use super::diagnosis::{Diagnosis, Ground};
use super::headline::{headline, quiet_headline};
use super::no_data::NoData;
use super::recommendation::quiet_text;
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
    /// The app is known, and there is no sample of what was asked for in the window.
    NoData,
    /// No profile could be read, or the rest had no data.
    Unavailable,
}

/// What became of one kind of profile that was asked for.
#[derive(Debug, Clone, Copy)]
pub enum KindOutcome<'a> {
    /// The profile was read.
    Assessed(&'a ProfileAssessment),
    /// It could not be read.
    Unavailable(ProfileType),
}

impl KindOutcome<'_> {
    fn kind(&self) -> ProfileType {
        match self {
            Self::Assessed(assessment) => assessment.kind,
            Self::Unavailable(kind) => *kind,
        }
    }
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
    /// Why there is no data, if that is the verdict.
    pub no_data: Option<NoData>,
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
                Some(quiet) => {
                    let is_wall_read = outcomes.iter().any(|outcome| outcome.kind() == ProfileType::Wall);
                    quiet_text(quiet.kinds.contains(&ProfileType::Wall) && !is_wall_read)
                }
                None => diagnosis.recommendation.clone(),
            },
            headline,
            no_data: None,
        };
    }
    if unread.is_empty() {
        let (kinds, no_data) = telling(assessed());
        let (headline, recommendation) = (no_data.sentence(app, &kinds), no_data.recommendation());
        return Summary { no_data: Some(no_data), ..without_diagnosis(Verdict::NoData, headline, recommendation) };
    }
    let kinds = unread.iter().map(|k| k.as_str()).collect::<Vec<_>>().join(" and ");
    without_diagnosis(
        Verdict::Unavailable,
        format!("The {kinds} profile of {app} could not be read. This says nothing about the app's health."),
        "Try again; if it stays so, look at the source of profiles.".to_owned(),
    )
}

/// What is known of why there is no data at all: that of the kind that came nearest to having some, the first of equals,
/// and the kinds of which the same is true.
fn telling<'a>(assessed: impl Iterator<Item = &'a ProfileAssessment>) -> (Vec<ProfileType>, NoData) {
    let silent: Vec<_> = assessed.filter_map(|a| Some((a.kind, a.no_data.as_ref()?))).collect();
    let nearest = silent.iter().rev().max_by_key(|(_, no_data)| no_data.nearness()).map(|(_, no_data)| *no_data);
    let no_data = nearest.cloned().unwrap_or_default();
    let same = silent.iter().filter(|(_, other)| other.reason == no_data.reason).map(|(kind, _)| *kind);
    (same.collect(), no_data)
}

fn without_diagnosis(verdict: Verdict, headline: String, recommendation: String) -> Summary {
    Summary {
        verdict,
        primary_issue: if verdict == Verdict::Unavailable { "unavailable" } else { "no_data" },
        primary_kind: None,
        severity: FindingSeverity::Low,
        recommendation,
        headline,
        no_data: None,
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
    use crate::kernel::NoDataReason;
    use crate::verdict::reliability::SourceFacts;

    fn silent(kind: ProfileType, no_data: Option<NoDataReason>) -> ProfileAssessment {
        let last_profile_at = chrono::DateTime::from_timestamp(1_706_000_000, 0);
        let last_profile_at = last_profile_at.filter(|_| no_data == Some(NoDataReason::NoneInWindow));
        let facts = SourceFacts { no_data, last_profile_at, kinds: &[ProfileType::Cpu], ..SourceFacts::default() };
        ProfileAssessment::without_data(kind, None, &facts)
    }

    #[test]
    fn says_when_the_last_profile_came() {
        let none = silent(ProfileType::Cpu, Some(NoDataReason::NoneInWindow));
        let summary = summarise("checkout", &[KindOutcome::Assessed(&none)], false);
        assert_eq!((summary.verdict, &summary.no_data), (Verdict::NoData, &none.no_data));
        assert_eq!(
            summary.headline,
            "No profile arrived in this window; the last one came at 2024-01-23T08:53:20Z. This says nothing about the app's health."
        );
    }

    #[rstest]
    #[case(ProfileType::Cpu, "its profiles came, and it used too little CPU to be sampled.")]
    #[case(ProfileType::Alloc, "its profiles came, and are empty.")]
    fn tells_profiles_without_samples_from_none(#[case] kind: ProfileType, #[case] why: &str) {
        let idle = silent(kind, Some(NoDataReason::WithoutSamples));
        let summary = summarise("checkout", &[KindOutcome::Assessed(&idle)], false);
        assert_eq!((summary.verdict, summary.primary_issue), (Verdict::NoData, "no_data"));
        assert_eq!(
            summary.headline,
            format!("No sample of checkout was seen in this window, too few for a verdict: {why}")
        );
        assert!(summary.recommendation.starts_with("Ask for a longer window"), "{}", summary.recommendation);
    }

    #[test]
    fn without_any_data_the_kind_that_came_nearest_to_it_is_told() {
        let cpu = silent(ProfileType::Cpu, Some(NoDataReason::NoneInWindow));
        let [lock, wall] =
            [ProfileType::Lock, ProfileType::Wall].map(|kind| silent(kind, Some(NoDataReason::KindNeverSent)));
        let of = |kinds: &[&ProfileAssessment]| {
            let outcomes: Vec<_> = kinds.iter().map(|a| KindOutcome::Assessed(a)).collect();
            summarise("checkout", &outcomes, false)
        };
        assert_eq!(of(&[&lock, &cpu]).no_data, cpu.no_data);
        let never = of(&[&wall, &lock]);
        assert_eq!(never.no_data, wall.no_data);
        assert_eq!(
            never.headline,
            "checkout never sent wall or lock profiles; it sends cpu profiles. This says nothing about the app's health."
        );
        assert_eq!(never.recommendation, "Ask for what the app sends: types=cpu.");
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
