//! One rule: which names it speaks of, what it claims, and how far.

use super::cause::CauseIndex;
use super::pattern::Pattern;
use crate::verdict::category::{Category, Runtime};
use crate::verdict::names::Frame;

/// The place of a rule in its catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleIndex(pub(super) u16);

/// How far a rule's claim reaches down to the leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// Claims its samples whatever runs beneath, unless the name is of code that wraps a request or a block.
    Subtree,
    /// Claims a sample only if every frame nearer the leaf is of its package or of its category.
    Wrapper,
    /// Claims every sample of the thread whose root it is.
    Root,
}

/// One rule of the catalogue.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The id, unique in the catalogue.
    pub id: Box<str>,
    /// The runtime it speaks of.
    pub runtime: Runtime,
    /// What it claims; `None` for rules that hold names back from others and for pass-through frames.
    pub category: Option<Category>,
    /// How far it reaches.
    pub reach: Reach,
    /// Why it may claim whatever runs beneath, where that is not what its category says: see [`Rules::why_subtree`].
    ///
    /// [`Rules::why_subtree`]: super::Rules::why_subtree
    pub why: Option<Box<str>>,
    /// Whether the frame never claims and never blocks: its caller decides.
    pub pass_through: bool,
    /// Whether its frames never run on a processor: only such leave the active ticks of a cpu profile.
    pub never_runs: bool,
    /// Whether its samples count in the category; spare-CPU work is reported and not counted.
    pub counted: bool,
    /// From which percent on the claims of this rule alone make its category a diagnosis (Go's GC assist).
    pub alone: Option<f64>,
    /// How many patterns it has.
    pub patterns: usize,
    /// The cause of its claims, unless their name tells another.
    pub(super) cause: Option<CauseIndex>,
    pub(super) yields_to: Vec<Category>,
    /// Where a frame above has one of these causes, that frame claims the stack. A stack trace that is taken to find out where
    /// a record is logged is logging, for example.
    pub(super) yields_to_causes: Vec<CauseIndex>,
    pub(super) except: Vec<Pattern>,
    /// The libraries one of which the name must carry, unless its stack is of the rule's runtime; empty: any.
    pub(super) only_in: Vec<Pattern>,
    /// The libraries in which the rule does not apply: the inside of a database server is its own work.
    pub(super) not_in: Vec<Pattern>,
}

impl Rule {
    pub(in crate::verdict) fn yields_to(&self, category: Category) -> bool {
        self.yields_to.contains(&category)
    }

    /// Whether the frame's library or its stack lets the rule apply.
    pub(super) fn is_at_home(&self, frame: &Frame, context: Option<Runtime>) -> bool {
        let library = frame.library.as_deref();
        let is_in = |libraries: &[Pattern]| {
            library.is_some_and(|library| libraries.iter().any(|pattern| pattern.matches(&[library])))
        };
        let is_of_kernel = self.runtime == Runtime::Kernel;
        (self.only_in.is_empty() || context == Some(self.runtime) || is_in(&self.only_in))
            && !is_in(&self.not_in)
            && !(is_of_kernel && frame.is_in_user_library())
    }

    pub(in crate::verdict) fn yields_to_cause(&self, cause: Option<CauseIndex>) -> bool {
        cause.is_some_and(|cause| self.yields_to_causes.contains(&cause))
    }

    pub(in crate::verdict) fn yields(&self) -> bool {
        !self.yields_to.is_empty() || !self.yields_to_causes.is_empty()
    }
}

/// How names of a rule are spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Space {
    Jvm,
    Go,
    Python,
    Ruby,
    Node,
    Dotnet,
    Php,
    Native,
}

impl Space {
    pub(super) const COUNT: usize = 8;

    /// How many names on a path say whose package it is: `com.zaxxer`, `github.com/redis`, but `asyncpg`.
    pub(super) fn package_depth(self) -> usize {
        match self {
            Self::Jvm | Self::Go => 2,
            Self::Python | Self::Ruby | Self::Node | Self::Dotnet | Self::Php | Self::Native => 1,
        }
    }

    pub(super) fn of(runtime: Runtime) -> Self {
        match runtime {
            Runtime::Jvm => Self::Jvm,
            Runtime::Go => Self::Go,
            Runtime::Python => Self::Python,
            Runtime::Ruby => Self::Ruby,
            Runtime::Node => Self::Node,
            Runtime::Dotnet => Self::Dotnet,
            Runtime::Php => Self::Php,
            Runtime::Rust | Runtime::Native | Runtime::Kernel => Self::Native,
        }
    }
}
