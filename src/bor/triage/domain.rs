//! What triage decides. Pure: nothing here awaits.

use std::sync::Arc;

use chrono::TimeDelta;

use super::recent::View;
use crate::bor::SorAnswer;
use crate::bor::facts::{limits_of, observed};
use crate::kernel::{
    AppName, CostPerCoreHour, PortError, PortResult, ProfileType, Selector, Tenant, Text255, TimeWindow,
    UnknownProfileType,
};
use crate::sor::baseline::Baseline;
use crate::sor::profile_data::{MergedProfile, ProfileQuery};
use crate::verdict::{
    Category, Ground, KindOutcome, LimitReport, ObservedTime, ProfileAssessment, RateOver, Rules, Since, Summary,
    check_limits, compared_sentence, cost_of_allocation, name_allocators, summarise, weigh_allocations,
};

/// A stack table above this is judged on the threads for heavy work: 2 MiB of frames, which take some 2 ms.
const LARGE_FRAMES: usize = (2 << 20) / size_of::<crate::profile::FunctionId>();

/// What to triage.
#[derive(Debug, Clone)]
pub struct TriageRequest {
    /// The app.
    pub app: AppName,
    /// The window.
    pub window: TimeWindow,
    /// The kinds of profile, in the order asked.
    pub types: Requested,
    /// At most this many top functions.
    pub limit: usize,
    /// The series of the app that are read.
    pub selector: Selector,
    /// The tenant of the profiles; `None` for the one that the source is configured with.
    pub tenant: Option<Tenant>,
    /// Who asks, for the history.
    pub requested_by: Option<Text255>,
    /// The earlier window to compare with.
    pub compare: Option<CompareWith>,
}

/// An earlier window to compare with, at the same hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CompareWith {
    /// A day earlier.
    Day,
    /// A week earlier.
    Week,
}

impl CompareWith {
    /// The window that much earlier. `None`: there is no such time.
    pub(super) fn window(self, now: TimeWindow) -> Option<TimeWindow> {
        let earlier = match self {
            Self::Day => TimeDelta::days(1),
            Self::Week => TimeDelta::weeks(1),
        };
        TimeWindow::new(now.from().checked_sub_signed(earlier)?, now.to().checked_sub_signed(earlier)?).ok()
    }

    /// When that was, in a sentence.
    pub(super) fn when(self) -> &'static str {
        match self {
            Self::Day => "yesterday at this hour",
            Self::Week => "a week ago at this hour",
        }
    }
}

/// What was read of the earlier window of one kind.
#[derive(Debug, Clone)]
pub struct Earlier {
    /// Which one.
    pub with: CompareWith,
    /// The window.
    pub window: TimeWindow,
    /// Its assessment, or why there is none.
    pub result: Result<Arc<ProfileAssessment>, String>,
}

impl Earlier {
    /// Its assessment, if there is one.
    pub(super) fn assessment(&self) -> Option<&ProfileAssessment> {
        self.result.as_deref().ok()
    }
}

impl TriageRequest {
    /// What is read of one kind.
    pub(super) fn query(&self, kind: ProfileType) -> ProfileQuery {
        let Self { app, window, selector, tenant, .. } = self.clone();
        ProfileQuery { app, kind, window, selector, tenant }
    }
}

/// Which kinds of profile to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requested {
    /// cpu and alloc, those the app has; if neither, wall, inuse and lock, those it has; if none, the others.
    Default,
    /// These, without repeats.
    Given(Vec<ProfileType>),
}

impl Requested {
    /// The kinds that are read first.
    pub(super) fn first(&self) -> &[ProfileType] {
        match self {
            Self::Given(kinds) => kinds,
            Self::Default => FIRST_CHOICE,
        }
    }
}

/// Why a text is no list of kinds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTypes {
    /// Nothing between two commas.
    #[error("must be a comma-separated list of profile types without gaps")]
    Gap,
    /// No such kind.
    #[error(transparent)]
    Unknown(#[from] UnknownProfileType),
}

impl std::str::FromStr for Requested {
    type Err = InvalidTypes;

    /// Reads a comma list of names and aliases; repeats collapse, order is kept.
    fn from_str(text: &str) -> Result<Self, InvalidTypes> {
        let mut kinds = Vec::new();
        for name in text.split(',').map(str::trim) {
            if name.is_empty() {
                return Err(InvalidTypes::Gap);
            }
            let kind = name.parse()?;
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        Ok(Self::Given(kinds))
    }
}

/// The kinds read first where none was given.
pub(super) const FIRST_CHOICE: &[ProfileType] = &[ProfileType::Cpu, ProfileType::Alloc];
/// The kinds read where the app has none of the first.
pub(super) const SECOND_CHOICE: &[ProfileType] = &[ProfileType::Wall, ProfileType::Inuse, ProfileType::Lock];
/// The kinds read where the app has none of these either.
pub(super) const LAST_CHOICE: &[ProfileType] = &[ProfileType::Goroutine, ProfileType::Exception, ProfileType::Samples];

/// What one port call brought.
pub(super) type Read = (ProfileType, PortResult<MergedProfile>);

/// Whether the app has this kind of profile, or that is not known.
pub(super) fn app_has((_, read): &Read) -> bool {
    read.as_ref().map_or(true, |merged| merged.meta.sample_type.is_some() || merged.profile.stack_count() > 0)
}

/// One kind of profile: judged with what is known of it, or why it could not be read.
#[derive(Debug, Clone)]
pub struct TypeResult {
    /// The kind.
    pub kind: ProfileType,
    /// What was read; `None` where the profile came without a server.
    pub query: Option<ProfileQuery>,
    /// What came of it.
    pub result: Result<JudgedProfile, PortError>,
    /// The earlier window, if it was asked for.
    pub earlier: Option<Earlier>,
    /// Since when categories cost more, where an earlier window was asked for and that is clear.
    pub since: Vec<(Category, Since)>,
}

/// A profile, judged.
#[derive(Debug, Clone)]
pub struct JudgedProfile {
    /// The verdict.
    pub assessment: Arc<ProfileAssessment>,
    /// The profile and what its source knows.
    pub merged: MergedProfile,
    /// The result of checking the approved limits; absent if they were not asked for or could not be read.
    pub limits: Option<LimitReport>,
}

/// What is wrong with an app.
#[derive(Debug, Clone)]
pub struct Triage {
    /// The app.
    pub app: AppName,
    /// The window; `None` where the profiles came without one.
    pub window: Option<TimeWindow>,
    /// The kinds, in the order asked.
    pub types: Vec<TypeResult>,
    /// The verdict.
    pub summary: Summary,
    /// What a core costs in an hour, where that was set.
    pub cost: Option<CostPerCoreHour>,
    /// The limits it was checked against.
    pub limits: SorAnswer<Vec<Baseline>>,
    /// Whether the registry named the app's own series.
    pub registry: SorAnswer<()>,
    /// Whether the assessment was recorded.
    pub history: SorAnswer<()>,
}

impl Triage {
    /// Sums up judged kinds: what allocation costs the processor and who allocates, and which diagnosis comes first. Not
    /// recorded yet. `is_alloc_left_out`: the app may have alloc profiles, and they were not asked for.
    pub(super) fn of(
        app: &AppName,
        window: Option<TimeWindow>,
        mut types: Vec<TypeResult>,
        is_alloc_left_out: bool,
        limits: SorAnswer<Vec<Baseline>>,
        registry: SorAnswer<()>,
    ) -> Self {
        let cost = types.iter().filter_map(|t| t.result.as_ref().ok()).find_map(|j| cost_of_allocation(&j.assessment));
        if let Some(cost) = cost {
            for judged in types.iter_mut().filter_map(|t| t.result.as_mut().ok()) {
                weigh_allocations(Arc::make_mut(&mut judged.assessment), cost);
            }
        }
        let alloc = types.iter().find(|t| t.kind == ProfileType::Alloc).and_then(|t| t.result.as_ref().ok());
        let alloc = alloc.map(|judged| Arc::clone(&judged.assessment));
        let cpu = types.iter_mut().find(|t| t.kind == ProfileType::Cpu).and_then(|t| t.result.as_mut().ok());
        if let Some(cpu) = cpu.filter(|_| alloc.is_some() || is_alloc_left_out) {
            name_allocators(&mut cpu.assessment, alloc.as_deref());
        }
        let outcomes: Vec<_> = types.iter().map(TypeResult::outcome).collect();
        let limits_of_kinds = types.iter().filter_map(|of| of.result.as_ref().ok()?.limits.as_ref());
        let is_limit_broken = limits_of_kinds.into_iter().any(|limits| !limits.violations.is_empty());
        let mut summary = summarise(app.as_str(), &outcomes, is_limit_broken);
        summary.headline.push_str(&compared(&types, summary.primary_kind).unwrap_or_default());
        Self { app: app.clone(), window, types, summary, cost: None, limits, registry, history: SorAnswer::NotAsked }
    }

    /// The triage of profiles that came without a server: no limits, no history. Without a window nothing is said per
    /// second.
    pub fn of_profiles(
        rules: &Rules,
        app: &AppName,
        window: Option<TimeWindow>,
        profiles: Vec<(ProfileType, MergedProfile)>,
        top: usize,
    ) -> Self {
        let seconds = window.map(|w| w.seconds());
        let judged = |(kind, merged): (_, MergedProfile)| {
            // The duration in a file is its own; the window of an export may have profiles in a part of it only.
            let is_exported = !merged.meta.profile_types.is_empty();
            let of_file = |seconds| ObservedTime { seconds, over: RateOver::Profiles };
            let of_export = |seconds| observed(&merged.meta, seconds);
            let time = if is_exported { seconds.map(of_export) } else { seconds.map(of_file) };
            let assessment = Arc::new(View { kind, time, top }.judge(rules, &merged));
            TypeResult {
                kind,
                query: None,
                result: Ok(hold(assessment, merged, None)),
                earlier: None,
                since: Vec::new(),
            }
        };
        let types = profiles.into_iter().map(judged).collect();
        Self::of(app, window, types, false, SorAnswer::NotAsked, SorAnswer::NotAsked)
    }

    /// How many functions are over their limit, over all kinds; absent where limits are not known.
    pub fn violations(&self) -> Option<usize> {
        self.limits.known().map(|_| {
            let judged = self.types.iter().filter_map(|t| t.result.as_ref().ok());
            judged.filter_map(|j| j.limits.as_ref()).map(|l| l.violations.len()).sum()
        })
    }
}

/// The sentence about the kind of profile that comes first and its earlier window.
fn compared(types: &[TypeResult], primary: Option<ProfileType>) -> Option<String> {
    let of_primary = types.iter().find(|of| Some(of.kind) == primary)?;
    let (judged, earlier) = (of_primary.result.as_ref().ok()?, of_primary.earlier.as_ref()?);
    let mut text = compared_sentence(&judged.assessment, earlier.assessment(), earlier.with.when()).unwrap_or_default();
    if let Ground::Finding(category) = judged.assessment.diagnosis.ground
        && let Some(since) = of_primary.since_when(category)
    {
        text.push_str(&since.sentence());
    }
    Some(text)
}

impl TypeResult {
    /// Since when a category costs more.
    pub(super) fn since_when(&self, category: Category) -> Option<&Since> {
        self.since.iter().find(|(of, _)| *of == category).map(|(_, since)| since)
    }

    fn outcome(&self) -> KindOutcome<'_> {
        match &self.result {
            Ok(judged) => KindOutcome::Assessed(&judged.assessment),
            Err(_) => KindOutcome::Unavailable(self.kind),
        }
    }
}

/// Checks a judged profile against the limits of its kind.
pub(super) fn hold(
    assessment: Arc<ProfileAssessment>,
    merged: MergedProfile,
    limits: Option<&[Baseline]>,
) -> JudgedProfile {
    let limits = limits.map(|baselines| {
        if !assessment.has_data() {
            return LimitReport::default();
        }
        check_limits(&merged.profile, 0, assessment.sample_count, &limits_of(assessment.kind, baselines))
    });
    JudgedProfile { assessment, merged, limits }
}

/// Whether judging it on this thread would delay other requests.
pub(super) fn is_large(merged: &MergedProfile) -> bool {
    merged.profile.frame_count() > LARGE_FRAMES
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("cpu", &[ProfileType::Cpu])]
    #[case("memory, cpu,alloc", &[ProfileType::Alloc, ProfileType::Cpu])]
    #[case("mutex,contention,lock", &[ProfileType::Lock])]
    fn collapses_aliases_and_repeats_in_the_order_asked(#[case] text: &str, #[case] kinds: &[ProfileType]) {
        assert_eq!(text.parse::<Requested>().unwrap(), Requested::Given(kinds.to_vec()));
    }

    #[rstest]
    #[case("", true)]
    #[case("cpu,", true)]
    #[case("cpu,heap", false)]
    fn refuses_lists_with_gaps_and_unknown_types(#[case] text: &str, #[case] gap: bool) {
        let error = text.parse::<Requested>().unwrap_err();
        assert_eq!(error == InvalidTypes::Gap, gap, "{error}");
    }
}
