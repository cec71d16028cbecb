//! What is said where there is no data.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::kernel::{NoDataReason, ProfileType};
use crate::verdict::reliability::SourceFacts;

/// What is known of why there is no data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NoData {
    /// Why; absent where the source cannot tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<NoDataReason>,
    /// The kinds of profile that the app sends: those of the window and selector; if there are none, all that it is known
    /// to have sent. Absent where the source does not tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>, example = json!(["cpu", "alloc"]))]
    pub kinds: Vec<ProfileType>,
    /// When the last such profile came; if there never was one, the app's last of any kind. Absent where the source does
    /// not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_profile_at: Option<DateTime<Utc>>,
}

impl NoData {
    /// What a source knows of it.
    pub(super) fn of(facts: &SourceFacts<'_>) -> Self {
        Self { reason: facts.no_data, kinds: facts.kinds.to_vec(), last_profile_at: facts.last_profile_at }
    }

    /// Greater is nearer to having data.
    pub(super) fn nearness(&self) -> u8 {
        match self.reason {
            Some(NoDataReason::WithoutSamples) => 4,
            Some(NoDataReason::NoneInWindow) => 3,
            Some(NoDataReason::NoSeriesMatches) => 2,
            None => 1,
            Some(NoDataReason::KindNeverSent) => 0,
        }
    }

    /// The sentence about an app of which these kinds were asked for.
    pub fn sentence(&self, app: &str, asked: &[ProfileType]) -> String {
        let wanted = list(asked, "or");
        match self.reason {
            Some(NoDataReason::KindNeverSent) => {
                let sends = match self.kinds.as_slice() {
                    [] => String::new(),
                    kinds => format!("; it sends {} profiles", list(kinds, "and")),
                };
                format!("{app} never sent {wanted} profiles{sends}. This says nothing about the app's health.")
            }
            Some(NoDataReason::NoSeriesMatches) => format!(
                "No series of {app} with {wanted} profiles matches the selector. This says nothing about the app's health."
            ),
            Some(NoDataReason::WithoutSamples) => {
                let why = match asked {
                    [ProfileType::Cpu] => "and it used too little CPU to be sampled",
                    _ => "and are empty",
                };
                format!("No sample of {app} was seen in this window, too few for a verdict: its profiles came, {why}.")
            }
            Some(NoDataReason::NoneInWindow) | None => {
                // Then the app was not silent in the window, and sent other profiles.
                let others_came = !self.kinds.is_empty() && !asked.iter().any(|kind| self.kinds.contains(kind));
                let which = if others_came { format!("{wanted} profile") } else { "profile".to_owned() };
                let last = self
                    .last_profile_at
                    .map(|at| format!("; the last one came at {}", at.to_rfc3339_opts(SecondsFormat::Secs, true)));
                format!(
                    "No {which} arrived in this window{}. This says nothing about the app's health.",
                    last.unwrap_or_default()
                )
            }
        }
    }

    /// What to do about it.
    pub(super) fn recommendation(&self) -> String {
        match self.reason {
            Some(NoDataReason::KindNeverSent) if !self.kinds.is_empty() => {
                let kinds: Vec<_> = self.kinds.iter().map(|kind| kind.as_str()).collect();
                format!("Ask for what the app sends: types={}.", kinds.join(","))
            }
            Some(NoDataReason::KindNeverSent) => "Ask for what the app sends.".to_owned(),
            Some(NoDataReason::NoSeriesMatches) => {
                "Check the selector, and the labels that the registry adds to it: the app's profiles carry others."
                    .to_owned()
            }
            Some(NoDataReason::WithoutSamples) => {
                "Ask for a longer window, or again while the app has work: profiles came, and too little ran for a \
                 sample."
                    .to_owned()
            }
            Some(NoDataReason::NoneInWindow) | None => {
                "Check that the app runs, that its profiler pushes, and that the window and the selector are meant: \
                 without data nothing can be said about its health."
                    .to_owned()
            }
        }
    }
}

/// `cpu, alloc and wall`.
fn list(kinds: &[ProfileType], conjunction: &str) -> String {
    match kinds {
        [] => "such".to_owned(),
        [one] => one.to_string(),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(|kind| kind.as_str()).collect();
            format!("{} {conjunction} {last}", first.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use ProfileType::{Alloc, Cpu, Lock, Wall};

    const SAYS_NOTHING: &str = " This says nothing about the app's health.";

    #[rstest]
    #[case(Some(NoDataReason::KindNeverSent), &[Cpu, Alloc], &[Lock], "shop never sent lock profiles; it sends cpu and alloc profiles.")]
    #[case(Some(NoDataReason::KindNeverSent), &[Cpu], &[Lock, Wall], "shop never sent lock or wall profiles; it sends cpu profiles.")]
    #[case(Some(NoDataReason::KindNeverSent), &[], &[Lock], "shop never sent lock profiles.")]
    #[case(Some(NoDataReason::NoSeriesMatches), &[Cpu], &[Cpu], "No series of shop with cpu profiles matches the selector.")]
    #[case(Some(NoDataReason::NoneInWindow), &[Cpu], &[Cpu], "No profile arrived in this window; the last one came at 2024-01-23T08:53:20Z.")]
    #[case::others_came(Some(NoDataReason::NoneInWindow), &[Cpu], &[Alloc], "No alloc profile arrived in this window; the last one came at 2024-01-23T08:53:20Z.")]
    #[case::not_known(None, &[], &[Cpu], "No profile arrived in this window; the last one came at 2024-01-23T08:53:20Z.")]
    fn the_headline_says_which_of_the_four_kinds_of_no_data_it_is(
        #[case] reason: Option<NoDataReason>,
        #[case] kinds: &[ProfileType],
        #[case] asked: &[ProfileType],
        #[case] text: &str,
    ) {
        let last_profile_at = DateTime::from_timestamp(1_706_000_000, 0);
        let no_data = NoData { reason, kinds: kinds.to_vec(), last_profile_at };
        assert_eq!(no_data.sentence("shop", asked), format!("{text}{SAYS_NOTHING}"));
    }

    #[test]
    fn only_kinds_that_the_app_sends_are_recommended() {
        let never = |kinds: &[ProfileType]| NoData {
            reason: Some(NoDataReason::KindNeverSent),
            kinds: kinds.to_vec(),
            last_profile_at: None,
        };
        assert_eq!(never(&[Cpu, Wall]).recommendation(), "Ask for what the app sends: types=cpu,wall.");
        assert_eq!(never(&[]).recommendation(), "Ask for what the app sends.");
    }
}
