//! What the catalogue says of a category: from which share on it is a diagnosis, what to do about it, and what a kind of
//! profile shows of it.

use std::sync::Arc;

use crate::kernel::ProfileType;
use crate::verdict::category::{Category, Runtime};

/// From which share on a category is a diagnosis, and the source of that figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// Percent of the active ticks (cpu, wall) or of all ticks.
    pub percent: f64,
    /// Where the figure comes from.
    pub source: Arc<str>,
    /// Whether it is a judgement of this catalogue rather than a published figure.
    pub judgement: bool,
}

/// What to do about a category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// The recommendation. `{percent}` is replaced by the share in words, such as `12 % of the CPU time`, `{place}` by
    /// the responsible frames, or else the callers of the heaviest function.
    pub recommendation: Arc<str>,
    /// The steps, in order.
    pub steps: Arc<[Step]>,
}

/// A step of an advice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The kinds of profile of which it asks for one; none of most steps.
    pub kinds: Vec<ProfileType>,
    /// What to do. `{kinds}` is replaced by those of the kinds that the app sends.
    pub text: String,
}

impl Step {
    /// The step for an app that sends these kinds. `None`: it sends none that the step asks for. Where its kinds are not
    /// known, which is empty, the step may ask for any.
    fn text_for(&self, sent: &[ProfileType]) -> Option<String> {
        let is_sent = |kind: &&ProfileType| sent.is_empty() || sent.contains(kind);
        let kinds: Vec<_> = self.kinds.iter().filter(is_sent).map(|kind| kind.as_str()).collect();
        let is_possible = self.kinds.is_empty() || !kinds.is_empty();
        is_possible.then(|| self.text.replace("{kinds}", &kinds.join(" or ")))
    }
}

impl Advice {
    /// The recommendation with the place and the share filled in.
    pub fn recommend(&self, place: &str, percent: &str) -> String {
        self.recommendation.replace("{percent}", percent).replace("{place}", place)
    }

    /// The steps for an app that sends these kinds of profile. Empty: not known.
    pub fn steps_for(&self, sent: &[ProfileType]) -> Arc<[String]> {
        self.steps.iter().filter_map(|step| step.text_for(sent)).collect()
    }
}

/// What a kind of profile can show of a category.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// All of it.
    Seen,
    /// Only the CPU spent on it, such as entering and waking on a cpu profile; the waits themselves are not shown.
    CostOnly,
    /// Nothing of it, so its absence does not mean that all is well.
    Unseen,
}

#[derive(Debug)]
pub(super) struct ThresholdRow {
    pub(super) category: Category,
    pub(super) kinds: Vec<ProfileType>,
    pub(super) threshold: Threshold,
}

#[derive(Debug)]
pub(super) struct AdviceRow {
    pub(super) category: Category,
    pub(super) runtime: Option<Runtime>,
    pub(super) advice: Advice,
}

#[derive(Debug)]
pub(super) struct BlindRow {
    pub(super) runtimes: Vec<Runtime>,
    pub(super) kinds: Vec<ProfileType>,
    pub(super) categories: Vec<Category>,
    pub(super) without_native_frames: bool,
    pub(super) visibility: Visibility,
}
