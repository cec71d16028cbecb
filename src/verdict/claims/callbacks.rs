//! Code of the application that a library runs because it was given it.

use super::engine::{Claim, Judge};
use crate::profile::FunctionId;
use crate::verdict::category::{Category, Origin};

/// What libraries run that they are given: callbacks of rows, requests and tasks.
const CALLING_BACK: [Category; 6] = [
    Category::Database,
    Category::NetworkIo,
    Category::DiskIo,
    Category::Scheduling,
    Category::ThreadWaiting,
    Category::Idle,
];

impl Judge<'_> {
    /// Whether the claiming library runs code that it was given: beneath it stands code of the application, of a package
    /// that stands above it too. What a codec calls is part of coding.
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
