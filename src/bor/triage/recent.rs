//! Assessments of profiles that are still in memory. Requests that share a read of the source share its assessment too.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::bor::facts::source_facts;
use crate::kernel::ProfileType;
use crate::profile::Profile;
use crate::sor::profile_data::{MergedProfile, ProfileMeta};
use crate::verdict::{ObservedTime, ProfileAssessment, Rules, Subject};

/// How many assessments are kept, each as long as its profile is in memory.
const KEPT: usize = 64;

/// What to judge a profile as.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct View {
    /// As which kind.
    pub kind: ProfileType,
    /// How long it was observed, where that is known.
    pub time: Option<ObservedTime>,
    /// With at most this many top functions.
    pub top: usize,
}

impl View {
    /// Judges a profile.
    pub(super) fn judge(self, rules: &Rules, merged: &MergedProfile) -> ProfileAssessment {
        let Self { kind, time, top } = self;
        let facts = source_facts(&merged.meta);
        ProfileAssessment::of(rules, &Subject { kind, profile: &merged.profile, sample_type: 0, time, facts, top })
    }
}

/// The verdicts of one set of rules.
#[derive(Default)]
pub(super) struct RecentAssessments(Mutex<VecDeque<RecentAssessment>>);

struct RecentAssessment {
    /// No other profile can have its address while this is held.
    profile: Weak<Profile>,
    meta: ProfileMeta,
    view: View,
    assessment: Arc<ProfileAssessment>,
}

impl RecentAssessments {
    /// The assessment of a profile: a known one, or a new one.
    pub(super) fn of(&self, rules: &Rules, merged: &MergedProfile, view: View) -> Arc<ProfileAssessment> {
        if let Some(known) = self.known(merged, view) {
            return known;
        }
        let assessment = Arc::new(view.judge(rules, merged));
        let (profile, meta) = (Arc::downgrade(&merged.profile), merged.meta.clone());
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|verdict| verdict.profile.strong_count() > 0);
        kept.truncate(KEPT - 1);
        kept.push_front(RecentAssessment { profile, meta, view, assessment: Arc::clone(&assessment) });
        assessment
    }

    fn known(&self, merged: &MergedProfile, view: View) -> Option<Arc<ProfileAssessment>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |verdict: &&RecentAssessment| {
            std::ptr::eq(verdict.profile.as_ptr(), Arc::as_ptr(&merged.profile))
                && verdict.view == view
                && verdict.meta == merged.meta
        };
        kept.iter().find(same).map(|verdict| Arc::clone(&verdict.assessment))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{ProfileBuilder, SampleType};
    use crate::verdict::RateOver;

    const VIEW: View =
        View { kind: ProfileType::Cpu, time: Some(ObservedTime { seconds: 60.0, over: RateOver::Window }), top: 5 };

    fn merged(function: &str) -> MergedProfile {
        let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
        let leaf = builder.function(function, "");
        builder.add([leaf], &[7]);
        MergedProfile { profile: Arc::new(builder.build()), ..MergedProfile::default() }
    }

    #[test]
    fn who_shares_a_profile_and_asks_the_same_shares_the_verdict() {
        let (verdicts, rules, shared) = (RecentAssessments::default(), Rules::builtin(), merged("main.work"));
        let first = verdicts.of(&rules, &shared, VIEW);
        assert!(Arc::ptr_eq(&first, &verdicts.of(&rules, &shared.clone(), VIEW)));
        for other in [View { top: 1, ..VIEW }, View { time: None, ..VIEW }, View { kind: ProfileType::Wall, ..VIEW }] {
            assert_eq!(*verdicts.of(&rules, &shared, other), other.judge(&rules, &shared));
            assert!(!Arc::ptr_eq(&first, &verdicts.of(&rules, &shared, other)));
        }
        let told = ProfileMeta { truncated_ticks: 3, ..shared.meta.clone() };
        assert!(!Arc::ptr_eq(&first, &verdicts.of(&rules, &MergedProfile { meta: told, ..shared.clone() }, VIEW)));
        assert!(!Arc::ptr_eq(&first, &verdicts.of(&rules, &merged("main.work"), VIEW)), "equal, and read anew");
    }

    #[test]
    fn a_verdict_is_kept_no_longer_than_its_profile_and_never_too_many() {
        let (verdicts, rules) = (RecentAssessments::default(), Rules::builtin());
        let kept = |verdicts: &RecentAssessments| verdicts.0.lock().unwrap().len();
        for _ in 0..3 {
            verdicts.of(&rules, &merged("main.gone"), VIEW);
        }
        assert_eq!(kept(&verdicts), 1, "the last one's profile went after it was judged");
        let held: Vec<_> = (0..KEPT + 3).map(|n| merged(&format!("main.f{n}"))).collect();
        for profile in &held {
            verdicts.of(&rules, profile, VIEW);
        }
        assert_eq!(kept(&verdicts), KEPT);
    }
}
