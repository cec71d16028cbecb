//! `flamewarden rules score`: how many verdicts on labelled profiles are right.

mod grade;
mod labels;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use self::grade::{Answer, Grade, Stated};
use self::labels::{Case, InvalidLabels};
use crate::bor::triage::{Block, JudgedBlock, TriageBody};
use crate::cli::profile_file::FileError;
use crate::cli::triage::judge_file;
use crate::kernel::AppName;
use crate::verdict::{Category, Confidence, Rules, Verdict};

/// Why a directory of labelled profiles cannot be scored.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScoreError {
    #[error("{path}: {said}")]
    Io { path: String, said: std::io::Error },
    #[error(transparent)]
    Labels(#[from] InvalidLabels),
    #[error(transparent)]
    Profile(#[from] FileError),
    #[error("{dir} has no {name}.pb.gz, {name}.pb, {name}.folded.gz or {name}.folded")]
    NoProfile { dir: String, name: String },
}

/// The verdict on one labelled profile, graded.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Scored {
    name: String,
    /// The runtime of the largest finding, if there is one.
    runtime: &'static str,
    grade: Grade,
    verdict: Verdict,
    issue: String,
    percent: f64,
    /// Whether the answer names the labelled place. `None`: it need not name one.
    names_place: Option<bool>,
    headline: String,
    recommendation: String,
}

/// How many verdicts got each grade.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Counts {
    pub(super) cases: usize,
    pub(super) right: usize,
    pub(super) partly: usize,
    pub(super) wrong: usize,
    pub(super) silent: usize,
    pub(super) false_alarms: usize,
    /// Announced problems, right or not.
    pub(super) problems: usize,
    /// Right and partly right answers that should name a place.
    pub(super) places: usize,
    /// Those of them that do.
    pub(super) places_named: usize,
}

/// The grades of all labelled profiles in a directory.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Report {
    pub(super) all: Counts,
    runtimes: BTreeMap<&'static str, Counts>,
    cases: Vec<Scored>,
}

/// Judges and grades every profile that `cases.tsv` in the directory labels.
pub(super) fn score(rules: &Rules, dir: &Path) -> Result<Report, ScoreError> {
    let path = dir.join("cases.tsv");
    let table =
        std::fs::read_to_string(&path).map_err(|said| ScoreError::Io { path: path.display().to_string(), said })?;
    let cases = labels::read(&table)?;
    let cases = cases.iter().map(|case| scored(rules, dir, case)).collect::<Result<Vec<_>, _>>()?;
    let (mut all, mut runtimes) = (Counts::default(), BTreeMap::<_, Counts>::new());
    for case in &cases {
        all.add(case);
        runtimes.entry(case.runtime).or_default().add(case);
    }
    Ok(Report { all, runtimes, cases })
}

fn scored(rules: &Rules, dir: &Path, case: &Case) -> Result<Scored, ScoreError> {
    let (path, is_folded) = profile_of(dir, &case.name)?;
    // The labels may be words of the case's name, so the answer must not contain that.
    let app: Option<AppName> = "app".parse().ok();
    let body = judge_file(rules, &path, app, is_folded.then_some(case.kind), TOP, None)?;
    let block = primary(&body);
    let answer = answer(&body, block);
    let grade = grade::grade(case, &answer);
    Ok(Scored {
        name: case.name.clone(),
        runtime: block.and_then(|b| b.findings.first()?.runtime).map_or("other", |runtime| runtime.as_str()),
        grade,
        verdict: body.summary.verdict,
        percent: block.map_or(0.0, |block| block.percent),
        names_place: grade::should_name_place(case, &answer, grade).then(|| case.names_place(&answer.text)),
        issue: body.summary.primary_issue,
        headline: body.summary.headline,
        recommendation: body.summary.recommendation,
    })
}

/// How many top functions are asked for. They are not graded.
const TOP: usize = 10;

/// The profile of a case, and whether it is folded text, which does not say its kind.
fn profile_of(dir: &Path, name: &str) -> Result<(PathBuf, bool), ScoreError> {
    let files = [(".pb.gz", false), (".pb", false), (".folded.gz", true), (".folded", true)];
    let files = files.map(|(extension, is_folded)| (dir.join(format!("{name}{extension}")), is_folded));
    let missing = || ScoreError::NoProfile { dir: dir.display().to_string(), name: name.to_owned() };
    files.into_iter().find(|(path, _)| path.is_file()).ok_or_else(missing)
}

/// The block whose diagnosis the summary repeats.
fn primary(body: &TriageBody) -> Option<&JudgedBlock> {
    let blocks = body.profiles.0.iter().filter_map(|(_, block)| match block {
        Block::Judged(block) => Some(&**block),
        Block::Unavailable(_) => None,
    });
    let is_primary = |block: &&JudgedBlock| block.diagnosis == body.summary.primary_issue;
    blocks.clone().find(is_primary).or_else(|| blocks.clone().next())
}

/// What is read first: the verdict, the headline, the recommendation, and who is responsible for the diagnosis.
fn answer(body: &TriageBody, block: Option<&JudgedBlock>) -> Answer {
    let summary = &body.summary;
    let category = category_of(&summary.primary_issue);
    let finding = block.and_then(|block| block.findings.iter().find(|f| Some(f.category) == category));
    let few =
        block.is_some_and(|b| b.confidence == Some(Confidence::Insufficient) || b.sample_count.is_some_and(|n| n < 20));
    let stated = match (summary.verdict, category) {
        (Verdict::Problem, Some(category)) => Stated::Problem(category),
        _ if few => Stated::TooFew,
        (Verdict::Insufficient, Some(category)) => Stated::Unsure(category),
        _ => Stated::NoProblem,
    };
    let mut percents: Vec<_> = block.map(|block| block.percent).into_iter().collect();
    percents.extend(finding.into_iter().flat_map(|finding| [finding.percent, finding.inclusive_percent]));
    let responsible = finding.into_iter().flat_map(|finding| &finding.responsible).map(|r| r.function.as_str());
    let texts = [summary.headline.as_str(), summary.recommendation.as_str()].into_iter().chain(responsible);
    Answer { stated, percents, text: texts.collect::<Vec<_>>().join("\n") }
}

/// The category of a diagnosis. Two have another name in alloc profiles.
fn category_of(diagnosis: &str) -> Option<Category> {
    match diagnosis {
        "deserialization_overhead" => Some(Category::Serialization),
        "allocation_pressure" => Some(Category::Allocation),
        category => category.parse().ok(),
    }
}

impl Counts {
    fn add(&mut self, case: &Scored) {
        self.cases += 1;
        self.problems += usize::from(case.verdict == Verdict::Problem);
        self.places += usize::from(case.names_place.is_some());
        self.places_named += usize::from(case.names_place == Some(true));
        *match case.grade {
            Grade::Right => &mut self.right,
            Grade::Partly => &mut self.partly,
            Grade::Wrong => &mut self.wrong,
            Grade::Silent => &mut self.silent,
            Grade::FalseAlarm => &mut self.false_alarms,
        } += 1;
    }

    /// The share of right verdicts, percent.
    pub(super) fn right_percent(&self) -> f64 {
        if self.cases == 0 { 0.0 } else { self.right as f64 * 100.0 / self.cases as f64 }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cases, right, partly, wrong, silent, false_alarms, problems, places, places_named } = self;
        write!(
            f,
            "{right} of {cases} right ({:.0} %), {partly} partly, {wrong} wrong, {silent} silent; {false_alarms} false \
             alarms in {problems} problems; place named in {places_named} of {places}",
            self.right_percent()
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Scored { name, grade, issue, percent, names_place, headline, .. } in &self.cases {
            let grade = match grade {
                Grade::Right => "right",
                Grade::Partly => "partly",
                Grade::Wrong => "wrong",
                Grade::Silent => "silent",
                Grade::FalseAlarm => "FALSE ALARM",
            };
            let place = match names_place {
                Some(true) => "named",
                Some(false) => "not named",
                None => "-",
            };
            writeln!(f, "{grade:<12} {name:<22} {issue:<22} {percent:>5.1} %  place {place}\n             {headline}")?;
        }
        writeln!(f)?;
        for (runtime, counts) in &self.runtimes {
            writeln!(f, "{runtime:<8} {counts}")?;
        }
        writeln!(f, "{:<8} {}", "all", self.all)
    }
}

#[cfg(test)]
mod tests;
