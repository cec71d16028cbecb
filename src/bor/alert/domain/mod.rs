//! What is decided about a rule. Pure: nothing here awaits.
//!
//! A profile is measured ([`Sampled`]), the measurement is held against the threshold ([`Verdict`]), and the verdict moves
//! the standing of the rule and app ([`Standing::step`]). Whoever evaluates rules goes through these three.

mod measure;
mod step;
mod trial;
mod verdict;

#[cfg(test)]
mod timelines;

pub use measure::{FunctionShare, Measurement, Sampled};
pub use step::{Change, Ending, Patience, Standing};
pub use trial::{Evaluation, Firing, Steps, Summary, Trial};
pub use verdict::Verdict;
