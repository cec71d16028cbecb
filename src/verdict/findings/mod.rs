//! What the claims of a profile add up to: its findings, its diagnosis, who is responsible, and what to do.
//!
//! Takes a profile, its [`claims`](super::claims), the thresholds and the advice of the [`catalogue`](super::catalogue);
//! gives an [`ProfileAssessment`], and of several one [`Summary`] with its headline.

mod assessment;
mod at_most;
mod category_ticks;
mod change;
mod diagnosis;
mod finding;
mod headline;
mod impact;
mod no_data;
mod own_code;
mod purpose;
mod rate;
mod recommendation;
mod responsible;
mod since;
mod summary;
mod tally;
#[cfg(test)]
mod tests;

pub use assessment::{ProfileAssessment, TopFunction};
pub use at_most::AtMost;
pub use category_ticks::CategoryTicks;
pub use change::{Change, Was, change, compared_sentence, gone};
pub use diagnosis::{Diagnosis, Ground, diagnosis_name, fallback_name};
pub use finding::{Finding, Subject};
pub(super) use headline::rate_text;
pub use headline::{cores_text, grouped, label};
pub use impact::{cost_of_allocation, name_allocators, weigh_allocations};
pub use no_data::NoData;
pub use rate::{ObservedTime, Rate, RateOver};
pub use responsible::{CauseShare, Evidence, LockWait, Locks, Responsible, Site};
pub use since::{FirstProfile, Since, since};
pub use summary::{KindOutcome, Summary, Verdict, summarise};
