//! The labels of profiles: `cases.tsv`.

use std::collections::HashMap;
use std::str::FromStr as _;

use crate::kernel::ProfileType;
use crate::verdict::Category;

/// Why labels cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::cli::rules) enum InvalidLabels {
    #[error("cases.tsv has no column {0:?}")]
    NoColumn(&'static str),
    #[error("cases.tsv, line {line}, column {column:?}: {what}")]
    Value { line: usize, column: &'static str, what: String },
}

/// One verdict of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    /// A problem of this category.
    Category(Category),
    /// The application's own code, or no known pattern.
    Own,
    /// Nothing to do.
    Quiet,
    /// The data leave it open.
    Unsure,
    /// Anything that is not named elsewhere.
    Any,
}

/// A labelled profile.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Case {
    pub(super) name: String,
    /// The kind of profile, for files that do not say it.
    pub(super) kind: ProfileType,
    /// Verdicts that are right.
    pub(super) accept: Vec<Label>,
    /// Verdicts that are partly right: they name the right cost by a less useful category, or a smaller cost.
    pub(super) partly: Vec<Label>,
    /// Problems that are false alarms.
    pub(super) alarm: Vec<Label>,
    /// The answer must contain one of these words.
    pub(super) place: Vec<String>,
    /// The answer must contain none of these words.
    pub(super) never: Vec<String>,
    /// The range of the main category's share, in percent.
    pub(super) share: Option<(f64, f64)>,
}

impl Case {
    /// Whether the text contains a word of the place.
    pub(super) fn names_place(&self, answer: &str) -> bool {
        self.place.iter().any(|word| answer.contains(word.as_str()))
    }
}

/// Reads the table: a line of column names, then one line for each case.
pub(super) fn read(table: &str) -> Result<Vec<Case>, InvalidLabels> {
    let mut lines = table.lines();
    let names: Vec<_> = lines.next().unwrap_or_default().split('\t').collect();
    let columns: HashMap<_, _> = names.into_iter().enumerate().map(|(place, name)| (name, place)).collect();
    let column = |name: &'static str| columns.get(name).copied().ok_or(InvalidLabels::NoColumn(name));
    let [name, kind, accept, partly] = [column("name")?, column("kind")?, column("accept")?, column("partly")?];
    let [alarm, place, never, share] = [column("alarm")?, column("place")?, column("never")?, column("share")?];
    let filled = lines.enumerate().filter(|(_, line)| !line.trim().is_empty());
    filled
        .map(|(number, line)| {
            let fields: Vec<_> = line.split('\t').collect();
            let field = |place: usize| fields.get(place).copied().unwrap_or_default().trim();
            let refused = |column, what| InvalidLabels::Value { line: number + 2, column, what };
            Ok(Case {
                name: Some(field(name))
                    .filter(|n| !n.is_empty())
                    .ok_or_else(|| refused("name", "is empty".into()))?
                    .into(),
                kind: ProfileType::from_str(field(kind)).map_err(|e| refused("kind", e.to_string()))?,
                accept: labels(field(accept)).map_err(|what| refused("accept", what))?,
                partly: labels(field(partly)).map_err(|what| refused("partly", what))?,
                alarm: labels(field(alarm)).map_err(|what| refused("alarm", what))?,
                place: words(field(place)).map(str::to_owned).collect(),
                never: words(field(never)).map(str::to_owned).collect(),
                share: range(field(share)).map_err(|what| refused("share", what))?,
            })
        })
        .collect()
}

/// The words of a field, separated by `|`. `-` stands for none.
fn words(field: &str) -> impl Iterator<Item = &str> {
    field.split('|').filter(|word| !word.is_empty() && *word != "-")
}

fn labels(field: &str) -> Result<Vec<Label>, String> {
    let label = |word| {
        Ok(match word {
            "own" => Label::Own,
            "quiet" => Label::Quiet,
            "unsure" => Label::Unsure,
            "*" => Label::Any,
            category => Label::Category(category.parse()?),
        })
    };
    words(field).map(label).collect()
}

/// `18-24`, or `-` for none.
fn range(field: &str) -> Result<Option<(f64, f64)>, String> {
    if field.is_empty() || field == "-" {
        return Ok(None);
    }
    let ends = field.split_once('-').and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?)));
    ends.filter(|(low, high)| low <= high).map(Some).ok_or_else(|| format!("{field:?} is not a range such as 18-24"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const HEAD: &str = "name\tkind\taccept\tpartly\talarm\tplace\tnever\tshare\n";

    #[test]
    fn reads_a_case() {
        let table = format!("{HEAD}shop\tcpu\tregex|own|unsure\tallocation\t*\tCart|Price\t(program)\t18-24.5\n\n");
        let cases = read(&table).unwrap();
        assert_eq!(cases.len(), 1);
        let Case { accept, partly, alarm, place, never, share, .. } = &cases[0];
        assert_eq!(*accept, [Label::Category(Category::Regex), Label::Own, Label::Unsure]);
        assert_eq!((&partly[..], &alarm[..]), (&[Label::Category(Category::Allocation)][..], &[Label::Any][..]));
        assert_eq!((place.join(" "), never.join(" ")), ("Cart Price".to_owned(), "(program)".to_owned()));
        assert_eq!(*share, Some((18.0, 24.5)));
    }

    #[rstest]
    #[case("name\tkind\n", "cases.tsv has no column \"accept\"")]
    #[case("shop\tcpus\town\t-\t*\t-\t-\t-", "cases.tsv, line 2, column \"kind\": ")]
    #[case("shop\tcpu\tregexp\t-\t*\t-\t-\t-", "cases.tsv, line 2, column \"accept\": unknown category: \"regexp\"")]
    #[case("shop\tcpu\town\t-\t*\t-\t-\t20", "cases.tsv, line 2, column \"share\": \"20\" is not a range")]
    #[case("\tcpu\town\t-\t*\t-\t-\t-", "cases.tsv, line 2, column \"name\": is empty")]
    fn says_what_is_wrong_with_labels(#[case] table: &str, #[case] expected: &str) {
        let table = if table.starts_with("name\t") { table.to_owned() } else { format!("{HEAD}{table}") };
        let error = read(&table).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}
