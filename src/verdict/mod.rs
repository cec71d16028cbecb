//! The judge: what a frame claims, what a profile's stacks add up to, how sure that is, and what to do about it.
//!
//! Pure and synchronous: a profile goes in, findings come out. It knows no BOR, no web, no database, no clock.

mod catalogue;
mod category;
mod engine;
mod explain;
mod facts;
mod memo;
mod names;
mod origin;

pub use catalogue::{Advice, Reach, Rule, RuleError, RuleIndex, Rules, Threshold, Visibility};
pub use category::{Category, Runtime};
pub use engine::{Claim, Claims};
pub use explain::{Explanation, StackExplanation};
pub use names::key;
pub use origin::Origin;
