//! How an answer is graded by the labels of its profile.

use serde::Serialize;

use super::labels::{Case, Label};
use crate::verdict::Category;

/// The grade of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Grade {
    /// What an engineer would say.
    Right,
    /// The right cost by a less useful category, a smaller cost, or a share that is out of range.
    Partly,
    /// Another answer.
    Wrong,
    /// No problem, where there is one.
    Silent,
    /// A problem, where there is none.
    FalseAlarm,
}

/// What an answer states first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stated {
    /// A problem of this category.
    Problem(Category),
    /// Perhaps a problem of this category.
    Unsure(Category),
    /// There are too few samples to say.
    TooFew,
    /// No problem.
    NoProblem,
}

/// The parts of an answer that are graded.
pub(super) struct Answer {
    pub(super) stated: Stated,
    /// The percent and inclusive percent of the stated category.
    pub(super) percents: Vec<f64>,
    /// The headline, the recommendation and the responsible functions.
    pub(super) text: String,
}

/// Grades an answer.
pub(super) fn grade(case: &Case, answer: &Answer) -> Grade {
    let grade = by_statement(case, answer);
    let names_never = case.never.iter().any(|word| answer.text.contains(word.as_str()));
    if grade == Grade::Right && names_never { Grade::Partly } else { grade }
}

/// Whether an answer with this grade should name the place. One that rightly says that the app is quiet need not.
pub(super) fn should_name_place(case: &Case, answer: &Answer, grade: Grade) -> bool {
    let is_quiet = answer.stated == Stated::NoProblem && case.accept.contains(&Label::Quiet);
    !case.place.is_empty() && matches!(grade, Grade::Right | Grade::Partly) && !is_quiet
}

fn by_statement(case: &Case, answer: &Answer) -> Grade {
    let Case { accept, partly, alarm, .. } = case;
    let accepts = |label| accept.contains(&label);
    let names_place = || case.place.is_empty() || case.names_place(&answer.text);
    match answer.stated {
        Stated::Problem(category) if accepts(Label::Category(category)) => {
            let in_range = |(low, high): (f64, f64)| answer.percents.iter().any(|p| (low..=high).contains(p));
            if case.share.is_none_or(in_range) { Grade::Right } else { Grade::Partly }
        }
        Stated::Problem(category) if partly.contains(&Label::Category(category)) => Grade::Partly,
        Stated::Problem(category) if alarm.contains(&Label::Any) || alarm.contains(&Label::Category(category)) => {
            Grade::FalseAlarm
        }
        Stated::Unsure(category) if accepts(Label::Category(category)) && accepts(Label::Unsure) => Grade::Right,
        Stated::Unsure(category) if accepts(Label::Category(category)) || accepts(Label::Quiet) => Grade::Partly,
        Stated::Problem(_) | Stated::Unsure(_) => Grade::Wrong,
        Stated::TooFew if accepts(Label::Quiet) || accepts(Label::Unsure) => Grade::Partly,
        Stated::NoProblem if accepts(Label::Quiet) => Grade::Right,
        Stated::NoProblem if accepts(Label::Own) => {
            if names_place() {
                Grade::Right
            } else {
                Grade::Partly
            }
        }
        Stated::NoProblem if partly.contains(&Label::Own) && names_place() => Grade::Partly,
        Stated::TooFew | Stated::NoProblem => Grade::Silent,
    }
}
