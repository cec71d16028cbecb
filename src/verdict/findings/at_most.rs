//! What a finding could save.

use crate::kernel::ProfileType;
use crate::verdict::category::Category;

/// The most that could be saved if all of a finding's work went away.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AtMost {
    /// The larger of the finding's own and its inclusive share of the active ticks, percent: what runs beneath the
    /// category goes away with it. Findings share stacks, so several of these do not add up.
    pub percent_of_app: f64,
    /// These in processor cores, where it is known how many the app uses.
    pub cores: Option<f64>,
}

impl AtMost {
    /// Only of cpu profiles: bytes and waits are no processor time. Code without a name may be anything, so nothing is
    /// said of it.
    pub(super) fn of(
        kind: ProfileType,
        category: Category,
        [percent, inclusive]: [f64; 2],
        cores: Option<f64>,
    ) -> Option<Self> {
        let percent_of_app = percent.max(inclusive);
        let is_told = kind == ProfileType::Cpu && category.competes();
        is_told.then(|| Self { percent_of_app, cores: cores.map(|cores| cores * percent_of_app / 100.0) })
    }
}
