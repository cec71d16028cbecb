//! What the catalogue says of a single name, or of a folded line, and why.

use crate::kernel::ProfileType;
use crate::profile::{ProfileBuilder, SampleType};

use super::catalogue::Rules;
use super::engine::Claims;
use super::names::Frame;
use super::{Category, Runtime};

/// What the catalogue says of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What the name proves; `None` where nothing.
    pub category: Option<Category>,
    /// The runtime of the spelling or, for a bare name, of the rule.
    pub runtime: Option<Runtime>,
    /// The rule that speaks of the name, pass-through and held-back names included.
    pub rule: Option<String>,
    /// The canonical form.
    pub canonical: String,
}

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
    /// What one name proves, alone and without its stack.
    pub fn explain(&self, name: &str, file: &str) -> Explanation {
        let frame = Frame::of(name, file);
        if frame.unresolved {
            return Explanation {
                category: Some(Category::Unresolved),
                runtime: None,
                rule: Some("spelling".to_owned()),
                canonical: frame.text,
            };
        }
        let rule = self.rule_of(&frame, None).and_then(|index| self.rule(index));
        Explanation {
            category: rule.and_then(|r| r.category),
            runtime: frame.own.filter(|own| *own != Runtime::Native).or(rule.map(|r| r.runtime)).or(frame.own),
            rule: rule.map(|r| r.id.to_string()),
            canonical: frame.text,
        }
    }

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
