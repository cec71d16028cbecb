//! The judge: what a frame claims, what a profile's stacks add up to, how sure that is, and what to do about it.
//!
//! Pure and synchronous: a profile goes in, findings come out. It knows no BOR, no web, no database, no clock.

mod assessment;
mod catalogue;
mod category;
mod compare;
mod confidence;
mod diagnosis;
mod engine;
mod explain;
mod facts;
mod findings;
mod fleet;
mod headline;
mod impact;
mod learn;
mod limits;
mod memo;
mod names;
mod origin;
mod quality;
mod rate;
mod recommendation;
mod responsible;
mod shown;
mod tally;
#[cfg(test)]
mod tests;

pub use assessment::{Assessment, TopFunction};
pub use catalogue::{Advice, Reach, Rule, RuleError, RuleIndex, Rules, Threshold, Visibility};
pub use category::{Category, Origin, Runtime};
pub use compare::{ChangeVerdict, ChangedFunction, Compared, Comparison, DiffVerdict, Load, OwnNoise, Side};
pub use confidence::{BUNCHING, Confidence, Share, estimated_samples};
pub use diagnosis::{Diagnosis, Ground, diagnosis_name, fallback_name};
pub use engine::{Claim, Claims};
pub use explain::{Explanation, StackExplanation};
pub use findings::{Finding, Subject};
pub use fleet::{
    AppFunctions, AppMatches, FleetApp, Hotspot, HotspotService, Hotspots, Match, Matches, Needle, Ranking,
};
pub use headline::{Outcome, Summary, Verdict, label, summarise};
pub use impact::{cost_of_allocation, weigh_allocations};
pub use limits::{Limit, LimitReport, LimitViolation, check_limits};
pub use names::key;
pub use quality::{LabelValue, QualityCode, QualityNote, SourceFacts};
pub use rate::Rate;
pub use responsible::{Evidence, Responsible};
pub use shown::short_name;
