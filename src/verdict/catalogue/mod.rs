//! The rule catalogue: which names prove which category, from which share on a category is a diagnosis, what to do
//! about it, and what a kind of profile cannot show. Data in TOML, compiled in, overridable file by file.

mod file;
mod load;
mod pattern;
mod slot;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::kernel::ProfileType;

use super::memo::Memo;
use super::names::Frame;
use super::{Category, Runtime};
use pattern::{Pattern, PatternSet};

#[cfg(test)]
mod tests;

pub(crate) use pattern::split;
pub(super) use slot::Slot;

/// Why a catalogue cannot be used: which file, which rule of it, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {}{problem}", rule.as_ref().map(|r| format!("rule {r:?}: ")).unwrap_or_default())]
pub struct RuleError {
    /// The file's name.
    pub file: String,
    /// The rule's id, where the fault lies in one.
    pub rule: Option<String>,
    /// What is wrong.
    pub problem: String,
}

/// The place of a rule in its catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleIndex(pub(super) u16);

/// How far a rule's claim reaches down to the leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// Claims its samples whatever runs beneath.
    Subtree,
    /// Claims a sample only if every frame nearer the leaf is of its package or of its category.
    Wrapper,
    /// Claims every sample of the thread it stands at the root of.
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
    /// Whether the frame never claims and never stands in the way: its caller decides.
    pub pass_through: bool,
    /// Whether its frames never run on a processor: only such leave the active ticks of a cpu profile.
    pub never_runs: bool,
    /// Whether its samples count in the category; spare-CPU work is reported and not counted.
    pub counted: bool,
    /// From which percent on the claims of this rule alone make its category a diagnosis (Go's GC assist).
    pub alone: Option<f64>,
    /// How many patterns it has.
    pub patterns: usize,
    yields_to: Vec<Category>,
    except: Vec<Pattern>,
    /// The libraries one of which the name must carry, unless its stack is of the rule's runtime; empty: any.
    only_in: Vec<Pattern>,
}

impl Rule {
    pub(super) fn yields_to(&self, category: Category) -> bool {
        self.yields_to.contains(&category)
    }

    /// Whether the frame's library or its stack lets the rule speak.
    fn is_at_home(&self, library: Option<&str>, context: Option<Runtime>) -> bool {
        self.only_in.is_empty()
            || context == Some(self.runtime)
            || library.is_some_and(|library| self.only_in.iter().any(|p| p.matches(&[library])))
    }

    pub(super) fn yields(&self) -> bool {
        !self.yields_to.is_empty()
    }
}

/// From which share on a category is a diagnosis, and who says so.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// Percent of the active ticks (cpu, wall) or of all ticks.
    pub percent: f64,
    /// Where the figure comes from.
    pub source: Arc<str>,
    /// Whether it is a judgement of this catalogue rather than a published figure.
    pub judgement: bool,
}

/// What to do about a category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// The recommendation; `{place}` stands for the responsible frame and the heaviest function.
    pub recommendation: Arc<str>,
    /// The steps, in order.
    pub steps: Arc<[String]>,
}

impl Advice {
    /// The recommendation with the place filled in.
    pub fn recommend(&self, place: &str) -> String {
        self.recommendation.replace("{place}", place)
    }
}

/// What a kind of profile can show of a category.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// All of it.
    Seen,
    /// Only the CPU spent on it, such as entering and waking on a cpu profile; the waits themselves are not shown.
    CostOnly,
    /// Nothing of it: silence is no good news.
    Unseen,
}

/// How names of a rule are spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Space {
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
    const COUNT: usize = 8;

    pub(crate) fn of(runtime: Runtime) -> Self {
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

#[derive(Debug)]
struct ThresholdRow {
    category: Category,
    kinds: Vec<ProfileType>,
    threshold: Threshold,
}

#[derive(Debug)]
struct AdviceRow {
    category: Category,
    runtime: Option<Runtime>,
    advice: Advice,
}

#[derive(Debug)]
struct BlindRow {
    runtimes: Vec<Runtime>,
    kinds: Vec<ProfileType>,
    categories: Vec<Category>,
    without_native_frames: bool,
    visibility: Visibility,
}

/// The catalogue, ready to judge.
#[derive(Debug, Default)]
pub struct Rules {
    list: Vec<Rule>,
    sets: [PatternSet; Space::COUNT],
    libraries: Vec<(Pattern, u16)>,
    origins: [PatternSet; Space::COUNT],
    thresholds: Vec<ThresholdRow>,
    advice: Vec<AdviceRow>,
    blind: Vec<BlindRow>,
    /// What was learnt of names by these rules.
    pub(super) memo: Memo<Slot>,
}

impl Rules {
    /// The catalogue that is compiled in.
    #[expect(clippy::expect_used, reason = "a test checks the compiled-in catalogue")]
    pub fn builtin() -> Arc<Self> {
        static BUILTIN: OnceLock<Arc<Rules>> = OnceLock::new();
        Arc::clone(BUILTIN.get_or_init(|| Arc::new(load::builtin().expect("the compiled-in catalogue is sound"))))
    }

    /// The compiled-in catalogue with the TOML files of `dir` in place of those of the same name, and beside them.
    ///
    /// # Errors
    /// The first fault found, with its file and rule.
    pub fn load(dir: &Path) -> Result<Self, RuleError> {
        load::directory(dir)
    }

    /// All rules, in the order of their files.
    pub fn rules(&self) -> &[Rule] {
        &self.list
    }

    /// A rule by its place.
    pub fn rule(&self, index: RuleIndex) -> Option<&Rule> {
        self.list.get(usize::from(index.0))
    }

    /// From which share on the category is a diagnosis in profiles of this kind.
    pub fn threshold(&self, category: Category, kind: ProfileType) -> Threshold {
        let row = self.thresholds.iter().find(|row| row.category == category && row.kinds.contains(&kind));
        row.map_or_else(
            || Threshold { percent: 10.0, source: "no figure is published".into(), judgement: true },
            |row| row.threshold.clone(),
        )
    }

    /// What to do about the category, in the words of the runtime where they differ.
    pub fn advice(&self, category: Category, runtime: Option<Runtime>) -> Advice {
        let of = |wanted: Option<Runtime>| {
            self.advice
                .iter()
                .find(|row| row.category == category && row.runtime == wanted)
                .map(|row| row.advice.clone())
        };
        runtime
            .and_then(|r| of(Some(r)))
            .or_else(|| of(None))
            .unwrap_or_else(|| Advice { recommendation: "Look at {place} first.".into(), steps: Arc::from([]) })
    }

    /// What a profile of this kind shows of the category. `native_frames` tells whether its sampler saw frames below
    /// the language ([`super::Claims::native_frames`]); one that did not is blind to the runtime's own work.
    pub fn visibility(
        &self,
        category: Category,
        runtime: Option<Runtime>,
        kind: ProfileType,
        native_frames: bool,
    ) -> Visibility {
        let Some(runtime) = runtime else { return Visibility::Seen };
        self.blind
            .iter()
            .find(|row| {
                row.categories.contains(&category)
                    && (row.runtimes.is_empty() || row.runtimes.contains(&runtime))
                    && (row.kinds.is_empty() || row.kinds.contains(&kind))
                    && !(row.without_native_frames && native_frames)
            })
            .map_or(Visibility::Seen, |row| row.visibility)
    }

    /// Whether a profile of this kind shows anything of the category: [`Self::visibility`] as an answer says it.
    pub fn observable(
        &self,
        category: Category,
        runtime: Option<Runtime>,
        kind: ProfileType,
        native_frames: bool,
    ) -> bool {
        self.visibility(category, runtime, kind, native_frames) != Visibility::Unseen
    }

    /// The rules that the frame's own name proves, read in a stack of no particular runtime and in one of the JVM. They
    /// differ only where a rule is at home in the one and not in the other, which is seldom: then it is read again.
    pub(super) fn rules_of(&self, frame: &Frame) -> [Option<RuleIndex>; 2] {
        let mut elsewhere = false;
        let rule = self.search(frame, None, &mut elsewhere);
        [rule, if elsewhere { self.rule_of(frame, Some(Runtime::Jvm)) } else { rule }]
    }

    /// The rule that the frame's own name proves, read in a stack of that runtime.
    pub(super) fn rule_of(&self, frame: &Frame, context: Option<Runtime>) -> Option<RuleIndex> {
        self.search(frame, context, &mut false)
    }

    /// Sets `elsewhere` where a rule would match that is not at home here.
    fn search(&self, frame: &Frame, context: Option<Runtime>, elsewhere: &mut bool) -> Option<RuleIndex> {
        // A bare word may be PHP's builtin or a script's `JSON.parse` only where it looks the part.
        let telling = frame.text.contains(['_', '.']) || frame.text.contains("::");
        let spaces: &[Space] = match (frame.own, context) {
            (Some(Runtime::Php), _) | (None, Some(Runtime::Php)) => &[Space::Php, Space::Native],
            (Some(Runtime::Native), _) if frame.library.is_none() => &[Space::Native, Space::Php],
            (Some(own), _) => &[Space::of(own)],
            (None, _) if telling => &[Space::Native, Space::Php, Space::Node, Space::Ruby],
            (None, _) => &[Space::Native, Space::Node],
        };
        let found = spaces.iter().find_map(|space| self.heaviest(frame, *space, context, elsewhere));
        found.or_else(|| self.by_library(frame))
    }

    fn heaviest(
        &self,
        frame: &Frame,
        space: Space,
        context: Option<Runtime>,
        elsewhere: &mut bool,
    ) -> Option<RuleIndex> {
        let set = self.sets.get(space as usize)?;
        let mut best: Option<(u32, u16)> = None;
        for text in std::iter::once(frame.text.as_str()).chain(frame.alt.as_deref()) {
            let tokens: Vec<&str> = split(text).collect();
            for (number, weight) in set.all(&tokens) {
                let index = u16::try_from(number).unwrap_or(u16::MAX);
                let held_back = self.list.get(usize::from(index)).is_none_or(|r| {
                    let is_at_home = r.is_at_home(frame.library.as_deref(), context);
                    *elsewhere |= !is_at_home;
                    !is_at_home || r.except.iter().any(|p| p.matches(&tokens))
                });
                if !held_back && best.is_none_or(|(w, i)| weight > w || weight == w && index < i) {
                    best = Some((weight, index));
                }
            }
            if best.is_some() {
                break;
            }
        }
        best.map(|(_, index)| RuleIndex(index))
    }

    fn by_library(&self, frame: &Frame) -> Option<RuleIndex> {
        let library = frame.library.as_deref()?;
        self.libraries.iter().find(|(pattern, _)| pattern.matches(&[library])).map(|(_, index)| RuleIndex(*index))
    }

    /// Whether the catalogue lists a canonical name as its runtime's own or its standard library's.
    pub(super) fn is_runtime(&self, own: Option<Runtime>, name: &str) -> Option<bool> {
        let space = Space::of(own.unwrap_or(Runtime::Native));
        let tokens: Vec<&str> = split(name).collect();
        self.origins.get(space as usize)?.all(&tokens).max_by_key(|(_, weight)| *weight).map(|(number, _)| number == 0)
    }
}
