//! Which sample is claimed by which category, and which of its frames proves it.
//!
//! Takes a profile and what the [`catalogue`](super::catalogue) knows of its functions; gives one claim, or none, per
//! stack.

mod by_kind;
mod callbacks;
mod crates;
mod engine;
mod explain;
mod flags;
mod imports;
mod interpreter_lock;
mod kernel_context;
mod leaf_search;
mod settle;
#[cfg(test)]
mod tests;
mod threads;
mod wrapper_check;

pub(super) use engine::StackFacts;
pub use engine::{Claim, Claims};
pub use explain::StackExplanation;
