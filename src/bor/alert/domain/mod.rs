//! What is decided about a rule. Pure: nothing here awaits.
//!
//! A profile is measured ([`Sampled`]), the measurement is held against the threshold ([`Verdict`]), and the verdict moves
//! the standing of the rule and app ([`Standing::step`]). Whoever evaluates rules goes through these three.
//!
//! A round reads what its [`Plan`] says and comes to a [`Decision`]: how the verdicts move incidents ([`moved`]), and what
//! is kept of each rule ([`RuleFindings`]). What people are told of an incident is a [`message`].

mod detail;
mod limits;
mod measure;
mod memory;
mod mirror;
mod moves;
mod notice;
mod plan;
mod round;
mod state;
mod step;
mod trial;
mod verdict;

#[cfg(test)]
mod limiting;
#[cfg(test)]
mod moving;
#[cfg(test)]
mod planning;
#[cfg(test)]
mod timelines;

pub(super) use detail::Diagnosed;
pub use detail::{AlertDetail, AlertFunction, AlertLinks};
pub(super) use limits::{HeldLimits, KnownLimits, Limits, by_app};
pub use measure::{FunctionShare, Measurement, Sampled};
pub(super) use memory::RoundMemory;
pub(super) use mirror::{RESOLVED_FOR, mirrored};
use moves::Moved;
pub(super) use notice::message;
pub(super) use plan::{Covered, Known, Plan, Read, Services, round_at};
pub(super) use round::{Decision, Outcome};
pub use state::{AppFindings, RuleFindings};
pub use step::{Change, Ending, Patience, Standing};
pub use trial::{Evaluation, Firing, Steps, Summary, Trial};
pub use verdict::Verdict;
