//! The shape of a catalogue file.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::rule::{Reach, Space};
use crate::verdict::category::Runtime;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CatalogueFile {
    pub(super) runtime: Option<Runtime>,
    pub(super) space: Option<Space>,
    #[serde(default)]
    pub(super) rule: Vec<RuleEntry>,
    #[serde(default)]
    pub(super) cause: Vec<CauseEntry>,
    #[serde(default)]
    pub(super) origin: Vec<OriginEntry>,
    #[serde(default)]
    pub(super) subtree: Vec<SubtreeEntry>,
    #[serde(default)]
    pub(super) wraps: Vec<WrapsEntry>,
    #[serde(default)]
    pub(super) threshold: Vec<ThresholdEntry>,
    #[serde(default)]
    pub(super) advice: Vec<AdviceEntry>,
    #[serde(default)]
    pub(super) blind: Vec<BlindEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleEntry {
    pub(super) id: String,
    pub(super) runtime: Option<Runtime>,
    pub(super) space: Option<Space>,
    /// A category's id, `none` or `pass-through`.
    pub(super) category: String,
    pub(super) reach: Option<Reach>,
    /// Why a rule of reach `subtree` may claim whatever runs beneath, where its category's reason does not hold for it.
    pub(super) why: Option<String>,
    #[serde(default)]
    pub(super) names: Vec<String>,
    #[serde(default)]
    pub(super) except: Vec<String>,
    #[serde(default)]
    pub(super) libraries: Vec<String>,
    #[serde(default)]
    pub(super) only_in: Vec<String>,
    #[serde(default)]
    pub(super) not_in: Vec<String>,
    #[serde(default)]
    pub(super) never_runs: bool,
    pub(super) counted: Option<bool>,
    pub(super) alone: Option<f64>,
    /// The id of the cause of its claims.
    pub(super) cause: Option<String>,
    #[serde(default)]
    pub(super) yields_to: Vec<String>,
    /// The ids of causes whose frames know better than the rule.
    #[serde(default)]
    pub(super) yields_to_causes: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CauseEntry {
    pub(super) id: String,
    pub(super) category: String,
    pub(super) phrase: String,
    #[serde(default)]
    pub(super) covers: bool,
    pub(super) advice: Option<String>,
    #[serde(default)]
    pub(super) steps: Vec<StepEntry>,
    /// Names that tell it, as rules have them, by how they are spelled.
    #[serde(default)]
    pub(super) names: BTreeMap<Space, Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OriginEntry {
    pub(super) space: Space,
    #[serde(default)]
    pub(super) runtime: Vec<String>,
    #[serde(default)]
    pub(super) library: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubtreeEntry {
    pub(super) category: String,
    pub(super) why: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrapsEntry {
    pub(super) space: Space,
    pub(super) names: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ThresholdEntry {
    pub(super) category: String,
    pub(super) kinds: Vec<String>,
    pub(super) percent: f64,
    pub(super) source: String,
    pub(super) judgement: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AdviceEntry {
    pub(super) category: String,
    pub(super) runtime: Option<Runtime>,
    pub(super) recommendation: Option<String>,
    pub(super) steps: Vec<StepEntry>,
}

/// A step of an advice: a text, or one that asks for a profile of some kinds.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum StepEntry {
    Always(String),
    IfSent(IfSentEntry),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IfSentEntry {
    pub(super) kinds: Vec<String>,
    pub(super) step: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BlindEntry {
    #[serde(default)]
    pub(super) runtimes: Vec<Runtime>,
    #[serde(default)]
    pub(super) kinds: Vec<String>,
    pub(super) categories: Vec<String>,
    #[serde(default)]
    pub(super) without_native_frames: bool,
    #[serde(default)]
    pub(super) cost_only: bool,
}
