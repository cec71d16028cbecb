//! Callbacks: code of the application that a library was given to run.

use super::engine::{Claim, Judge};
use crate::profile::FunctionId;
use crate::verdict::category::{Category, Origin};

/// The categories of libraries that run callbacks: for rows, requests and tasks.
const CALLING_BACK: [Category; 6] = [
    Category::Database,
    Category::NetworkIo,
    Category::DiskIo,
    Category::Scheduling,
    Category::ThreadWaiting,
    Category::Idle,
];

impl Judge<'_> {
    /// Whether the library that claims the stack runs a callback: a package of the application stands both beneath it and
    /// above it. Codecs are left out, since what they call is part of coding.
    pub(super) fn calls_back(&self, claim: &Claim, frames: &[FunctionId]) -> bool {
        if !CALLING_BACK.contains(&claim.category) {
            return false;
        }
        let Some(at) = frames.iter().position(|frame| *frame == claim.frame) else { return false };
        let (beneath, above) = (frames.get(..at).unwrap_or(&[]), frames.get(at + 1..).unwrap_or(&[]));
        let is_given = |frame: &FunctionId| {
            let info = self.info(*frame);
            let is_own = info.package != 0 && info.origin == Origin::App && info.rule.is_none() && !info.unresolved;
            is_own && above.iter().any(|caller| self.info(*caller).package == info.package)
        };
        beneath.iter().any(is_given)
    }
}
