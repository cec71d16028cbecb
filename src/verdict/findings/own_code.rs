//! Programs that are mostly their own code.

use std::fmt::Write as _;

use super::diagnosis::{Diagnosis, Ground, fallback_name};
use super::finding::Judging;
use super::recommendation::own_code_text;
use super::responsible::ResponsibleSearch;
use super::tally::Leaf;
use crate::kernel::{FindingSeverity, ProfileType, percent_of};
use crate::profile::TextId;
use crate::verdict::category::Runtime;

/// A function with this share of its own is the program, percent.
const IS_THE_PROGRAM: f64 = 50.0;
/// A frame above this share of the active ticks is the program if no category claims most of them, percent.
const MOST_RUNS_BENEATH: f64 = 80.0;
/// A library without names of functions is named from this share on, percent. A judgement.
const WORTH_NAMING: f64 = 10.0;
/// That share, percent of the active ticks.
const MOST_IS_UNCLAIMED: f64 = 60.0;

/// The application's own code that is most of a program: one function, or a function that most runs beneath.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnCode {
    /// Whether the share is that of all that runs beneath the function.
    pub is_subtree: bool,
    /// The next function by self share, percent: beneath it, or anywhere else.
    pub next: Option<(String, f64)>,
}

/// Runtimes whose own profilers count native code as the function's that calls it, and what is said of that.
const NATIVE_CALLS: [(Runtime, &str); 2] = [
    (Runtime::Node, " What it calls of V8 itself, such as JSON.parse or sort, counts as its own here."),
    (Runtime::Python, " What it calls that is written in C, such as a module or sort, counts as its own here."),
];

/// One function of the application that is most of the program, or the deepest one that most of it runs beneath, where
/// most of that matches no known pattern.
pub(super) fn own_code(
    judging: &Judging<'_>,
    unclaimed: Option<(TextId, i64)>,
    search: &mut ResponsibleSearch<'_, '_>,
) -> Option<Diagnosis> {
    if !matches!(judging.kind, ProfileType::Cpu | ProfileType::Wall | ProfileType::Samples) {
        return None;
    }
    let (name, ticks) = unclaimed?;
    let is_the_program = judging.percent(ticks) >= IS_THE_PROGRAM && search.is_first_party(name);
    let (function, share, library) = if is_the_program {
        (judging.profile.text(name).to_owned(), judging.share(ticks), None)
    } else {
        let whole = judging.tally.active;
        let (frame, beneath, unclaimed) = search.deepest_of_all(MOST_RUNS_BENEATH)?;
        if percent_of(unclaimed, whole) < MOST_IS_UNCLAIMED {
            return None;
        }
        let library = search.nameless_library(frame).map(|(name, ticks)| (name, judging.percent(ticks)));
        (judging.profile.name(frame).to_owned(), judging.share(beneath), library)
    };
    // Beside one function whatever else there is; beneath another what no category claims: a collector's work is not.
    let weight = |leaf: &Leaf| if is_the_program { leaf.own - leaf.hidden } else { leaf.unclaimed };
    let leaves = judging.tally.leaves.iter().filter(|leaf| !is_the_program || leaf.name != name);
    let text = |leaf: &Leaf| judging.profile.text(leaf.name);
    let next = leaves.max_by(|a, b| weight(a).cmp(&weight(b)).then_with(|| text(b).cmp(text(a))));
    let next = next.map(|leaf| (text(leaf).to_owned(), judging.percent(weight(leaf))));
    let heaviest = judging.profile.text(name);
    let responsible = search.callers_of(name);
    let mut recommendation = own_code_text(&function, heaviest, judging.percent(ticks), &responsible);
    if let Some((library, percent)) = library.filter(|(_, percent)| *percent >= WORTH_NAMING) {
        let _ = write!(recommendation, " It calls {library} ({percent:.0} %), whose functions have no names here.");
    }
    let calls_unseen = NATIVE_CALLS.iter().find(|(runtime, _)| judging.tally.main_runtime() == Some(*runtime));
    if let Some((_, said)) = calls_unseen.filter(|_| is_the_program && !judging.native_frames) {
        recommendation.push_str(said);
    }
    Some(Diagnosis {
        name: fallback_name(judging.kind),
        ground: Ground::OwnCode,
        share,
        severity: FindingSeverity::Low,
        confirmed: false,
        mechanism: None,
        function: Some(function),
        own_code: Some(OwnCode { is_subtree: !is_the_program, next }),
        largest: Vec::new(),
        responsible,
        recommendation,
    })
}
