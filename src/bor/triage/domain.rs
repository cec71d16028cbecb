//! What triage decides: pure, nothing awaits here.

use std::sync::Arc;

use crate::bor::facts::limits_of;
use crate::bor::relational::Limits;
use crate::http::{Code, Problem};
use crate::kernel::{AppName, PortError, PortResult, ProfileType, Selector, Tenant, Text255, TimeWindow};
use crate::sor::baseline::Baseline;
use crate::sor::profile_data::{MergedProfile, ProfileQuery};
use crate::verdict::{
    Assessment, LimitReport, Outcome, Summary, check_limits, cost_of_allocation, summarise, weigh_allocations,
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
    /// Which of the app's series.
    pub selector: Selector,
    /// Whose they are; `None`: the tenant's that the source is configured with.
    pub tenant: Option<Tenant>,
    /// Who asks, for the history.
    pub requested_by: Option<Text255>,
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
    /// cpu and alloc, those the app has; if neither, wall, inuse and lock, those it has.
    Default,
    /// These, without repeats.
    Given(Vec<ProfileType>),
}

impl Requested {
    /// Reads a comma list of names and aliases; repeats collapse, order is kept.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let mut kinds = Vec::new();
        for name in text.split(',').map(str::trim) {
            if name.is_empty() {
                let detail = "must be a comma-separated list of profile types without gaps";
                return Err(Problem::field(Code::ParameterInvalid, "types", detail));
            }
            let kind = crate::http::parse("types", name)?;
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

/// What one port call brought.
pub(super) type Read = (ProfileType, PortResult<MergedProfile>);

/// Whether the app has this kind of profile, or nobody can tell.
pub(super) fn app_has((_, read): &Read) -> bool {
    read.as_ref().map_or(true, |merged| merged.meta.sample_type.is_some() || merged.profile.stack_count() > 0)
}

/// One kind of profile: judged with what is known of it, or why it could not be read.
#[derive(Debug, Clone)]
pub(super) struct TypeResult {
    /// The kind.
    pub kind: ProfileType,
    /// What came of it.
    pub result: Result<Judged, PortError>,
}

/// A profile, judged.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    /// The verdict.
    pub assessment: Arc<Assessment>,
    /// The profile and what its source knows.
    pub merged: MergedProfile,
    /// What the approved limits say; absent where they are not asked or not to be had.
    pub limits: Option<LimitReport>,
}

/// The answer, before it is written down.
#[derive(Debug, Clone)]
pub(super) struct Triage {
    /// The kinds, in the order asked.
    pub types: Vec<TypeResult>,
    /// What it comes down to.
    pub summary: Summary,
    /// The limits it was held against.
    pub limits: Limits,
}

impl Triage {
    /// Sums up judged kinds: what allocation costs the processor, and which diagnosis comes first.
    pub(super) fn of(app: &AppName, mut types: Vec<TypeResult>, limits: Limits) -> Self {
        let cost = types.iter().filter_map(|t| t.result.as_ref().ok()).find_map(|j| cost_of_allocation(&j.assessment));
        if let Some(cost) = cost {
            for judged in types.iter_mut().filter_map(|t| t.result.as_mut().ok()) {
                weigh_allocations(Arc::make_mut(&mut judged.assessment), cost);
            }
        }
        let outcomes: Vec<_> = types.iter().map(TypeResult::outcome).collect();
        let summary = summarise(app.as_str(), &outcomes);
        Self { types, summary, limits }
    }

    /// How many functions are over their limit, over all kinds; absent where limits are not known.
    pub(super) fn violations(&self) -> Option<usize> {
        matches!(self.limits, Limits::Known(_)).then(|| {
            let judged = self.types.iter().filter_map(|t| t.result.as_ref().ok());
            judged.filter_map(|j| j.limits.as_ref()).map(|l| l.violations.len()).sum()
        })
    }
}

impl TypeResult {
    fn outcome(&self) -> Outcome<'_> {
        match &self.result {
            Ok(judged) => Outcome::Assessed(&judged.assessment),
            Err(_) => Outcome::Unavailable(self.kind),
        }
    }
}

/// Holds a judged profile against the limits of its kind.
pub(super) fn hold(assessment: Arc<Assessment>, merged: MergedProfile, limits: Option<&[Baseline]>) -> Judged {
    let limits = limits.map(|baselines| {
        if !assessment.has_data() {
            return LimitReport::default();
        }
        check_limits(&merged.profile, 0, assessment.sample_count, &limits_of(assessment.kind, baselines))
    });
    Judged { assessment, merged, limits }
}

/// Whether judging it would hold up other requests of this thread.
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
        assert_eq!(Requested::parse(text).unwrap(), Requested::Given(kinds.to_vec()));
    }

    #[rstest]
    #[case("", Code::ParameterInvalid)]
    #[case("cpu,", Code::ParameterInvalid)]
    #[case("cpu,heap", Code::ProfileTypeUnknown)]
    fn refuses_lists_with_gaps_and_unknown_types(#[case] text: &str, #[case] code: Code) {
        assert_eq!(Requested::parse(text).unwrap_err().code(), code);
    }
}
