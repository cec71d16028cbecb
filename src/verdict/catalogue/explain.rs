//! What the catalogue says of a single name, and why.

use super::rules::Rules;
use crate::verdict::category::{Category, Runtime};
use crate::verdict::names::Frame;

/// What the catalogue says of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What the name proves; `None` where nothing.
    pub category: Option<Category>,
    /// The runtime of the spelling or, for a bare name, of the rule.
    pub runtime: Option<Runtime>,
    /// The rule that speaks of the name, pass-through and held-back names included.
    pub rule: Option<String>,
    /// What the ticks it claims come from, where that is known.
    pub cause: Option<String>,
    /// The canonical form.
    pub canonical: String,
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
                cause: None,
                canonical: frame.text,
            };
        }
        let index = self.rule_of(&frame, None);
        let rule = index.and_then(|index| self.rule(index));
        let cause = index.and_then(|index| self.cause(self.cause_of(&frame, index)?));
        Explanation {
            category: rule.and_then(|r| r.category),
            runtime: frame.own.filter(|own| *own != Runtime::Native).or(rule.map(|r| r.runtime)).or(frame.own),
            rule: rule.map(|r| r.id.to_string()),
            cause: cause.map(|cause| cause.id.to_string()),
            canonical: frame.text,
        }
    }
}
