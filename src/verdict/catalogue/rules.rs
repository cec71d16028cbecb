//! All rules of a catalogue, and the search for the one that speaks of a frame.

use std::cmp::Reverse;
use std::sync::Arc;

use super::advice::{Advice, AdviceRow, BlindRow, Threshold, ThresholdRow, Visibility};
use super::cause::{Cause, CauseIndex};
use super::function_info::FunctionInfo;
use super::name_cache::NameCache;
use super::pattern::{Pattern, PatternSet, split};
use super::rule::{Reach, Rule, RuleIndex, Space};
use crate::kernel::ProfileType;
use crate::verdict::category::{Category, Runtime};
use crate::verdict::names::Frame;

/// The catalogue, ready for use.
#[derive(Debug, Default)]
pub struct Rules {
    pub(super) list: Vec<Rule>,
    pub(super) sets: [PatternSet; Space::COUNT],
    pub(super) causes: Vec<Arc<Cause>>,
    /// The names that tell a cause.
    pub(super) cause_sets: [PatternSet; Space::COUNT],
    pub(super) libraries: Vec<(Pattern, u16)>,
    pub(super) origins: [PatternSet; Space::COUNT],
    /// The packages that rules claim as a whole.
    pub(super) packages: [PatternSet; Space::COUNT],
    /// Why rules of reach `subtree` may claim whatever runs beneath, by category.
    pub(super) subtree_reasons: Vec<(Category, Box<str>)>,
    /// Names of code that wraps a request, or runs a function that it is given.
    pub(super) wraps: [PatternSet; Space::COUNT],
    pub(super) thresholds: Vec<ThresholdRow>,
    pub(super) advice: Vec<AdviceRow>,
    pub(super) blind: Vec<BlindRow>,
    /// An app that uses fewer cores than this is quiet.
    pub(super) quiet_cores: f64,
    /// What was learnt of names by these rules.
    pub(super) name_cache: NameCache<FunctionInfo>,
}

impl Rules {
    /// All rules, in the order of their files.
    pub fn rules(&self) -> &[Rule] {
        &self.list
    }

    /// A rule by its place.
    pub fn rule(&self, index: RuleIndex) -> Option<&Rule> {
        self.list.get(usize::from(index.0))
    }

    /// All causes, in the order of their files.
    pub fn causes(&self) -> &[Arc<Cause>] {
        &self.causes
    }

    /// A cause by its place.
    pub(in crate::verdict) fn cause(&self, index: CauseIndex) -> Option<&Arc<Cause>> {
        self.causes.get(usize::from(index.0))
    }

    /// The place of the rule with that id.
    pub(in crate::verdict) fn index_of(&self, id: &str) -> Option<RuleIndex> {
        let at = self.list.iter().position(|rule| &*rule.id == id)?;
        u16::try_from(at).ok().map(RuleIndex)
    }

    /// The cause of all that a rule claims, whatever its frames are called.
    pub(in crate::verdict) fn cause_of_rule(&self, rule: RuleIndex) -> Option<CauseIndex> {
        self.rule(rule)?.cause
    }

    /// What the ticks come from that a rule claims for a frame: the cause that its name tells, else that of the rule.
    pub(super) fn cause_of(&self, frame: &Frame, rule: RuleIndex) -> Option<CauseIndex> {
        let rule = self.rule(rule)?;
        let category = rule.category?;
        let is_of_it = |number: u32| {
            let index = CauseIndex(u8::try_from(number).ok()?);
            self.cause(index).is_some_and(|cause| cause.category == category).then_some(index)
        };
        let told = frame.texts().find_map(|text| {
            let tokens: Vec<&str> = split(text).collect();
            let sets = spaces(frame, None).filter_map(|space| self.cause_sets.get(space as usize));
            let told = sets.flat_map(|set| {
                set.all(&tokens).filter_map(|(number, weight)| Some((weight, is_of_it(number)?))).collect::<Vec<_>>()
            });
            told.max_by_key(|(weight, index)| (*weight, Reverse(index.0)))
        });
        told.map(|(_, index)| index).or(rule.cause)
    }

    /// Why a rule of reach `subtree` may claim whatever runs beneath: its own reason, or else that of its category. `None`
    /// for other rules, and where the catalogue gives no reason.
    pub fn why_subtree<'r>(&'r self, rule: &'r Rule) -> Option<&'r str> {
        let of_category = || self.subtree_reasons.iter().find(|(of, _)| Some(*of) == rule.category);
        let reason = rule.why.as_deref().or_else(|| of_category().map(|(_, why)| &**why));
        reason.filter(|_| rule.reach == Reach::Subtree)
    }

    /// Whether code of that name wraps a request, or runs a function that it is given.
    pub(super) fn wraps(&self, frame: &Frame) -> bool {
        let tokens: Vec<&str> = split(&frame.text).collect();
        let space = Space::of(frame.own.unwrap_or(Runtime::Native));
        self.wraps.get(space as usize).is_some_and(|set| set.all(&tokens).next().is_some())
    }

    /// From which share on the category is a diagnosis in profiles of this kind. Samples of an unknown kind are held
    /// against the shares of CPU time.
    pub fn threshold(&self, category: Category, kind: ProfileType) -> Threshold {
        let kind = if kind == ProfileType::Samples { ProfileType::Cpu } else { kind };
        let row = self.thresholds.iter().find(|row| row.category == category && row.kinds.contains(&kind));
        row.map_or_else(
            || Threshold { percent: 10.0, source: "no figure is published".into(), judgement: true },
            |row| row.threshold.clone(),
        )
    }

    /// An app that uses fewer processor cores than this is quiet, whatever its shares: 0.1, a judgement, unless set.
    pub fn quiet_cores(&self) -> f64 {
        self.quiet_cores
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
    /// the language ([`Claims::native_frames`](crate::verdict::Claims::native_frames)); one that did not is blind to the runtime's own work.
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
    pub(in crate::verdict) fn rule_of(&self, frame: &Frame, context: Option<Runtime>) -> Option<RuleIndex> {
        self.search(frame, context, &mut false)
    }

    /// Sets `elsewhere` where a rule would match that is not at home here.
    fn search(&self, frame: &Frame, context: Option<Runtime>, elsewhere: &mut bool) -> Option<RuleIndex> {
        let found = spaces(frame, context).find_map(|space| self.heaviest(frame, space, context, elsewhere));
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
        for text in frame.texts() {
            let tokens: Vec<&str> = split(text).collect();
            for (number, weight) in set.all(&tokens) {
                let index = u16::try_from(number).unwrap_or(u16::MAX);
                let held_back = self.list.get(usize::from(index)).is_none_or(|r| {
                    let is_at_home = r.is_at_home(frame, context);
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

    /// Whether a rule claims all of the package that the name is in: no rule is written for a package of an application.
    pub(super) fn is_in_known_package(&self, own: Option<Runtime>, name: &str) -> bool {
        let tokens: Vec<&str> = split(name).collect();
        let set = own.and_then(|own| self.packages.get(Space::of(own) as usize));
        set.is_some_and(|set| set.all(&tokens).next().is_some())
    }

    /// Whether the catalogue lists a canonical name as its runtime's own or its standard library's.
    pub(super) fn is_runtime(&self, own: Option<Runtime>, name: &str) -> Option<bool> {
        let space = Space::of(own.unwrap_or(Runtime::Native));
        let tokens: Vec<&str> = split(name).collect();
        self.origins.get(space as usize)?.all(&tokens).max_by_key(|(_, weight)| *weight).map(|(number, _)| number == 0)
    }
}

/// How the frame's name may be spelled, the likeliest first.
fn spaces(frame: &Frame, context: Option<Runtime>) -> impl Iterator<Item = Space> {
    // A bare word may be a PHP builtin or a script's `JSON.parse` only if it is spelled like one.
    let telling = frame.text.contains(['_', '.']) || frame.text.contains("::");
    let (own, others): (Option<Space>, &'static [Space]) = match (frame.own, context) {
        (Some(Runtime::Php), _) | (None, Some(Runtime::Php)) => (None, &[Space::Php, Space::Native]),
        (None, Some(Runtime::Node)) => (None, &[Space::Node, Space::Native]),
        (Some(Runtime::Native), _) if frame.library.is_none() => (None, &[Space::Native, Space::Php]),
        (Some(own), _) => (Some(Space::of(own)), &[]),
        (None, _) if telling => (None, &[Space::Native, Space::Php, Space::Node, Space::Ruby]),
        (None, _) => (None, &[Space::Native, Space::Node]),
    };
    own.into_iter().chain(others.iter().copied())
}
