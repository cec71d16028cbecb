//! What rules say of a function by its name and file alone.

use super::cause::CauseIndex;
use super::rule::{Reach, Rule, RuleIndex};
use crate::verdict::category::{Origin, Runtime};

/// What is known of a function by its name and file alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::verdict) struct FunctionInfo {
    pub(in crate::verdict) own: Option<Runtime>,
    pub(in crate::verdict) rule: Option<RuleIndex>,
    /// The rule in a stack of PHP, where builtins have bare names like C functions.
    pub(in crate::verdict) rule_in_php: Option<RuleIndex>,
    /// The rule in a stack of the JVM, whose own classes have names that any C++ program may have.
    pub(in crate::verdict) rule_in_jvm: Option<RuleIndex>,
    /// The rule in a stack of Node.js, whose bindings have bare names like C functions.
    pub(in crate::verdict) rule_in_node: Option<RuleIndex>,
    /// Whether the bare name is a word that a method of any language may have.
    pub(in crate::verdict) plain_word: bool,
    pub(in crate::verdict) unresolved: bool,
    /// How far the claim of a rule on it reaches at most: code that wraps a request claims no subtree. `None`: as the rule
    /// says.
    pub(in crate::verdict) at_most: Option<Reach>,
    pub(in crate::verdict) origin: Origin,
    /// What the ticks that it claims come from, if its rule or its name tells.
    pub(in crate::verdict) cause: Option<CauseIndex>,
    /// Whether its name, if it has one, is at the root of every stack.
    pub(in crate::verdict) entry: bool,
    /// A hash of the package or class of the function; 0 if the name has none.
    pub(in crate::verdict) package: u64,
}

impl FunctionInfo {
    /// A function that nothing is known of.
    pub(in crate::verdict) const UNKNOWN: Self = Self {
        own: None,
        rule: None,
        rule_in_php: None,
        rule_in_jvm: None,
        rule_in_node: None,
        plain_word: false,
        unresolved: false,
        at_most: None,
        origin: Origin::App,
        cause: None,
        entry: false,
        package: 0,
    };

    /// The rules that claim the function in one stack or another.
    pub(in crate::verdict) fn rules(&self) -> impl Iterator<Item = RuleIndex> {
        [self.rule, self.rule_in_php, self.rule_in_jvm, self.rule_in_node].into_iter().flatten()
    }

    /// The rule that claims the function in a stack of that runtime.
    pub(in crate::verdict) fn rule(&self, context: Option<Runtime>) -> Option<RuleIndex> {
        match context {
            Some(Runtime::Jvm) if !matches!(self.own, Some(Runtime::Jvm)) => self.rule_in_jvm,
            _ if self.own.is_some() => self.rule,
            Some(Runtime::Php) => self.rule_in_php,
            Some(Runtime::Node) if self.plain_word => self.rule_in_node,
            Some(Runtime::Python | Runtime::Ruby) if self.plain_word => None,
            _ => self.rule,
        }
    }

    /// How far the claim of a rule on it reaches.
    pub(in crate::verdict) fn reach(&self, rule: &Rule) -> Reach {
        match (rule.reach, self.at_most) {
            (Reach::Subtree, Some(at_most)) => at_most,
            (reach, _) => reach,
        }
    }

    /// One runtime for all in whose stacks [`Self::rule`] says the same of every function.
    pub(in crate::verdict) fn context(runtime: Option<Runtime>) -> Option<Runtime> {
        match runtime {
            Some(Runtime::Jvm | Runtime::Php | Runtime::Node) => runtime,
            Some(Runtime::Python | Runtime::Ruby) => Some(Runtime::Python),
            _ => None,
        }
    }
}
