//! Which rule speaks of a function, and what the catalogue says of the category it claims.
//!
//! Takes names in the one spelling of [`names`](super::names) and gives, of each function of a profile, what is known of
//! it: its rules, its runtime, and whose code it is. Rules are data: the TOML files beside this one, compiled in, and
//! overridable file by file.

mod advice;
mod builtin;
mod cause;
mod explain;
mod file;
mod function_info;
mod load;
mod lookup;
mod name_cache;
mod origin;
mod pattern;
mod rule;
mod rules;
#[cfg(test)]
mod tests;

pub use advice::{Advice, Threshold, Visibility};
pub use cause::Cause;
pub(super) use cause::CauseIndex;
pub use explain::Explanation;
pub(super) use function_info::FunctionInfo;
pub use load::RuleError;
pub(super) use lookup::function_infos;
pub(super) use origin::of as origin_of;
pub use rule::{Reach, Rule, RuleIndex};
pub use rules::Rules;
