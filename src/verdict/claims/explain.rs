//! What a folded line is claimed as, and why.

use super::engine::Claims;
use crate::kernel::ProfileType;
use crate::profile::{ProfileBuilder, SampleType};
use crate::verdict::catalogue::Rules;
use crate::verdict::category::{Category, Runtime};

/// What the catalogue says of one stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackExplanation {
    /// What the stack is claimed as; `None` where nothing claims it.
    pub category: Option<Category>,
    /// The runtime of the stack.
    pub runtime: Option<Runtime>,
    /// The rule that claims it.
    pub rule: Option<String>,
    /// The claiming frame, as it was spelled.
    pub frame: Option<String>,
}

impl Rules {
    /// What a stack is claimed as: frames root first, joined by `;`, as folded text has them.
    pub fn explain_stack(&self, folded: &str, kind: ProfileType) -> StackExplanation {
        let mut builder = ProfileBuilder::new(vec![SampleType::new("samples", "count")]);
        let frames: Vec<_> = folded.split(';').rev().map(|name| builder.function(name, "")).collect();
        builder.add(frames, &[1]);
        let profile = builder.build();
        let claims = Claims::of(self, &profile, kind);
        let claim = claims.claims().next().flatten();
        StackExplanation {
            category: claim.map(|c| c.category),
            runtime: claims.runtimes().next().flatten(),
            rule: claim.and_then(|c| c.rule).and_then(|r| self.rule(r)).map(|r| r.id.to_string()),
            frame: claim.map(|c| profile.name(c.frame).to_owned()),
        }
    }
}
