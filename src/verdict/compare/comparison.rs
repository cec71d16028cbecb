//! What is compared, and what a comparison says.

use super::load::Load;
use super::noise::OwnNoise;
use super::verdicts::{ChangeVerdict, DiffVerdict};
use crate::kernel::ProfileType;
use crate::profile::{Profile, SampleType};
use crate::verdict::catalogue::Rules;
use crate::verdict::category::Origin;
use crate::verdict::findings::Rate;
use crate::verdict::limits::{Limit, LimitViolation};
use crate::verdict::reliability::{QualityNote, SourceFacts};

/// One window of a comparison.
#[derive(Debug, Clone)]
pub struct Side<'a> {
    /// The profile.
    pub profile: &'a Profile,
    /// The seconds that its profiles cover, or else the window's length, where one is known.
    pub seconds: Option<f64>,
    /// What the source knows beside the stacks.
    pub facts: SourceFacts<'a>,
}

/// What is compared.
#[derive(Debug, Clone)]
pub struct Compared<'a> {
    /// The catalogue, which tells whose code a function is.
    pub rules: &'a Rules,
    /// The kind of profile.
    pub kind: ProfileType,
    /// The baseline window.
    pub baseline: Side<'a>,
    /// The current window.
    pub current: Side<'a>,
    /// The approved limits of that kind.
    pub limits: &'a [Limit<'a>],
    /// The place among the baseline's sample types of the ticks of its window's first half, where they were read apart:
    /// what changes between the halves is the app's own noise.
    pub first_half: Option<usize>,
}

/// A function whose share changed by more than 0.1 points.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangedFunction {
    /// The function, as the current window spells it, else as the baseline does.
    pub function: String,
    /// Its self share of each window's own ticks, percent: baseline, then current.
    pub percent: [f64; 2],
    /// Points between the two.
    pub delta: f64,
    /// The change at the baseline's load, points of the baseline's ticks.
    pub adjusted_delta: f64,
    /// The adjusted change that so many samples would show; absent where their number is unknown.
    pub min_detectable: Option<f64>,
    /// The verdict on the change.
    pub verdict: ChangeVerdict,
    /// The other function of one that moved, was renamed or inlined.
    pub partner: Option<String>,
    /// Significant rows: who calls it most, at most two, and the share of its calls, percent; in the current window,
    /// or in the baseline where the current one does not hold it. A root has no caller.
    pub callers: Vec<(String, f64)>,
    /// Significant rows: the runtime or library it belongs to; `None` for the application's own code.
    pub group: Option<Membership>,
    /// cpu: the cores it takes in each window, where their lengths are known.
    pub cores: Option<[f64; 2]>,
    /// Events seen in each window, where they can be counted.
    pub samples: Option<[u64; 2]>,
    /// The approved limit of its share, where there is one; a renamed function keeps that of its old name.
    pub limit: Option<f64>,
}

/// What a function that is not the application's own belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The runtime, as in `Go runtime`, or the library, as its language names packages.
    pub name: String,
    /// Whether that is a runtime or a library.
    pub origin: Origin,
    /// The library's version on each side, where its files tell.
    pub versions: [Option<String>; 2],
}

/// The significant changes of one runtime's or library's functions.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Of what.
    pub of: Membership,
    /// How many significant functions it has.
    pub functions: usize,
    /// Their self shares together, of each window's own ticks, percent: baseline, then current.
    pub percent: [f64; 2],
    /// Their changes at the baseline's load together, points of the baseline's ticks.
    pub adjusted_delta: f64,
}

impl ChangedFunction {
    /// Whether it changed beyond load and chance.
    pub fn is_significant(&self) -> bool {
        matches!(self.verdict, ChangeVerdict::Regressed | ChangeVerdict::Improved)
    }
}

/// Two windows, compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// What their ticks count; absent where they have none in common.
    pub sample_type: Option<SampleType>,
    /// All ticks of each window.
    pub totals: [i64; 2],
    /// What each window's ticks amount to per second, where that is known and the kind has a rate.
    pub rates: Option<[Rate; 2]>,
    /// Events seen in each window.
    pub samples: [Option<u64>; 2],
    /// How many functions either window holds.
    pub functions: usize,
    /// How the load changed; absent without data.
    pub load: Option<Load>,
    /// The load per second of window: the factor, unless the windows differ in length.
    pub load_per_second: Option<f64>,
    /// Functions whose share changed by more than 0.1 points, the largest change first.
    pub rows: Vec<ChangedFunction>,
    /// The significant rows of runtimes and libraries, added up, the largest change first.
    pub groups: Vec<Group>,
    /// The verdict.
    pub verdict: DiffVerdict,
    /// The change of the heaviest functions that so many samples would have shown, points; absent where the samples
    /// cannot be counted.
    pub smallest_visible: Option<f64>,
    /// One sentence made of figures.
    pub headline: String,
    /// Whether each window is empty: baseline, current.
    pub missing: [bool; 2],
    /// Functions over their limit in the current window, worst first.
    pub breaches: Vec<LimitViolation>,
    /// The functions with a limit that the current window does not hold, sorted.
    pub limits_not_seen: Vec<String>,
    /// How the baseline window differs from itself, where its first half was read.
    pub own_noise: Option<OwnNoise>,
    /// What is wrong with the data.
    pub quality: Vec<QualityNote>,
}

impl Comparison {
    /// The functions that regressed, beyond load and chance.
    pub fn significant_regressions(&self) -> impl Iterator<Item = &ChangedFunction> {
        self.rows.iter().filter(|row| row.verdict == ChangeVerdict::Regressed)
    }

    /// The functions that improved, beyond load and chance.
    pub fn significant_improvements(&self) -> impl Iterator<Item = &ChangedFunction> {
        self.rows.iter().filter(|row| row.verdict == ChangeVerdict::Improved)
    }

    /// Whether a change is larger than the app's usual variation. Only such changes are in the headline.
    pub fn stands_out(&self, row: &ChangedFunction) -> bool {
        self.own_noise.is_none_or(|noise| row.adjusted_delta.abs() > noise.largest_points)
    }
}
