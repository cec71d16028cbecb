use std::fmt;
use std::str::FromStr;

/// The largest number of matchers in one selector of a caller.
const MAX_MATCHERS: usize = 10;
/// At most this many labels beside it.
const MAX_LABELS: usize = 20;
/// Longest label value, in bytes.
const MAX_VALUE_BYTES: usize = 2_048;

/// How a label's value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`, anchored at both ends
    Matches,
    /// `!~`, anchored at both ends
    NotMatches,
}

impl MatchOp {
    /// The operator as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Matches => "=~",
            Self::NotMatches => "!~",
        }
    }
}

/// One condition on a label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelMatcher {
    name: String,
    op: MatchOp,
    value: String,
}

impl LabelMatcher {
    /// A checked condition.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, InvalidSelector> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        if name.is_empty() || !name.chars().all(plain) || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(InvalidSelector::Label(name.to_owned()));
        }
        if name == "service_name" || name.starts_with("__") {
            return Err(InvalidSelector::Reserved(name.to_owned()));
        }
        if value.len() > MAX_VALUE_BYTES || value.contains('\0') {
            return Err(InvalidSelector::Value(name.to_owned()));
        }
        if matches!(op, MatchOp::Matches | MatchOp::NotMatches)
            && regex::RegexBuilder::new(value).size_limit(1 << 20).build().is_err()
        {
            return Err(InvalidSelector::Regex(value.to_owned()));
        }
        Ok(Self { name: name.to_owned(), op, value: value.to_owned() })
    }

    /// The label's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the value is compared.
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// The value or regular expression.
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Display for LabelMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}\"", self.name, self.op.as_str())?;
        for c in self.value.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

/// The series of an app to read: conditions that must all hold. Empty means all. A caller may give 10 at most; the
/// labels that the registry adds come on top.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Selector(Vec<LabelMatcher>);

/// Why a text is not a selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSelector {
    /// Does not follow `name="value"`, comma-joined.
    #[error("cannot be read at byte {0}: write name=\"value\", also !=, =~, !~, joined by commas")]
    Syntax(usize),
    /// Too many conditions.
    #[error("has more than 10 matchers")]
    TooMany,
    /// Too many labels.
    #[error("has more than 20 labels")]
    TooManyLabels,
    /// A label is compared otherwise than by `=`.
    #[error("the label {0:?} must be written name=\"value\"")]
    NoLabel(String),
    /// Not a label's name.
    #[error("{0:?} is no label name")]
    Label(String),
    /// A label that the server itself sets.
    #[error("the label {0:?} is set by the server and cannot be selected")]
    Reserved(String),
    /// The value is too long or holds U+0000.
    #[error("the value of {0:?} is longer than 2048 bytes or holds U+0000")]
    Value(String),
    /// Not a regular expression, or one too large.
    #[error("{0:?} is not a regular expression that can be used here")]
    Regex(String),
}

impl Selector {
    /// A selector of checked conditions, in a fixed order, repeats removed.
    pub fn new(mut matchers: Vec<LabelMatcher>) -> Result<Self, InvalidSelector> {
        if matchers.len() > MAX_MATCHERS {
            return Err(InvalidSelector::TooMany);
        }
        matchers.sort();
        matchers.dedup();
        Ok(Self(matchers))
    }

    /// The conditions.
    pub fn matchers(&self) -> &[LabelMatcher] {
        &self.0
    }

    /// This one, narrowed to series that meet these conditions too.
    #[must_use]
    pub fn and(&self, others: &[LabelMatcher]) -> Self {
        let mut matchers: Vec<_> = self.0.iter().chain(others).cloned().collect();
        matchers.sort();
        matchers.dedup();
        Self(matchers)
    }

    /// The selectors as requests carry them: each of a length that a caller may send. The labels that all of them have
    /// in common are separate if one of them is longer.
    pub fn beside_labels<const N: usize>(selectors: [&Self; N]) -> ([Self; N], Labels) {
        if selectors.iter().all(|selector| selector.0.len() <= MAX_MATCHERS) {
            return (selectors.map(Self::clone), Labels::default());
        }
        let everywhere = |label: &&LabelMatcher| selectors.iter().all(|selector| selector.0.contains(label));
        let equal = selectors.iter().flat_map(|selector| &selector.0).filter(|label| label.op == MatchOp::Equal);
        let mut labels: Vec<_> = equal.filter(everywhere).cloned().collect();
        labels.sort();
        labels.dedup();
        labels.truncate(MAX_LABELS);
        let rest = |selector: &Self| Self(selector.0.iter().filter(|m| !labels.contains(m)).cloned().collect());
        (selectors.map(rest), Labels(Self(labels.clone())))
    }

    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, matcher) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{matcher}")?;
        }
        Ok(())
    }
}

/// Labels that all series of an app carry, beside a selector: at most 20, written `name="value"`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Labels(Selector);

impl Labels {
    /// The conditions.
    pub fn matchers(&self) -> &[LabelMatcher] {
        self.0.matchers()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Labels {
    type Err = InvalidSelector;

    fn from_str(text: &str) -> Result<Self, InvalidSelector> {
        let matchers = read(text)?;
        if matchers.len() > MAX_LABELS {
            return Err(InvalidSelector::TooManyLabels);
        }
        match matchers.iter().find(|matcher| matcher.op != MatchOp::Equal) {
            Some(matcher) => Err(InvalidSelector::NoLabel(matcher.name.clone())),
            None => Ok(Self(Selector::default().and(&matchers))),
        }
    }
}

impl FromStr for Selector {
    type Err = InvalidSelector;

    fn from_str(text: &str) -> Result<Self, InvalidSelector> {
        Self::new(read(text)?)
    }
}

/// Reads conditions, any number of them.
fn read(text: &str) -> Result<Vec<LabelMatcher>, InvalidSelector> {
    let mut matchers = Vec::new();
    let mut rest = text.trim();
    let at = |rest: &str| text.len().saturating_sub(rest.len());
    while !rest.is_empty() {
        let name_end = rest.find(['=', '!']).ok_or(InvalidSelector::Syntax(at(rest)))?;
        let (name, tail) = rest.split_at(name_end);
        let (op, tail) = [MatchOp::Matches, MatchOp::NotMatches, MatchOp::NotEqual, MatchOp::Equal]
            .into_iter()
            .find_map(|op| tail.strip_prefix(op.as_str()).map(|tail| (op, tail)))
            .ok_or(InvalidSelector::Syntax(at(tail)))?;
        let tail = tail.trim_start().strip_prefix('"').ok_or(InvalidSelector::Syntax(at(tail)))?;
        let mut value = String::new();
        let mut chars = tail.char_indices();
        let end = loop {
            match chars.next() {
                None => return Err(InvalidSelector::Syntax(at(tail))),
                Some((i, '"')) => break i + 1,
                Some((_, '\\')) => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, c @ ('"' | '\\'))) => value.push(c),
                    Some((_, c)) => value.extend(['\\', c]),
                    None => return Err(InvalidSelector::Syntax(at(tail))),
                },
                Some((_, c)) => value.push(c),
            }
        };
        matchers.push(LabelMatcher::new(name.trim(), op, &value)?);
        rest = tail.get(end..).unwrap_or("").trim_start();
        if let Some(next) = rest.strip_prefix(',') {
            rest = next.trim_start();
            if rest.is_empty() {
                return Err(InvalidSelector::Syntax(text.len()));
            }
        } else if !rest.is_empty() {
            return Err(InvalidSelector::Syntax(at(rest)));
        }
    }
    Ok(matchers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    proptest! {
        #[test]
        fn reads_what_it_writes(values in prop::collection::vec("[^\0]{0,20}", 0..5)) {
            let matchers = values.iter().enumerate()
                .map(|(i, v)| LabelMatcher::new(&format!("l{i}"), MatchOp::Equal, v).unwrap()).collect();
            let selector = Selector::new(matchers).unwrap();
            prop_assert_eq!(selector.to_string().parse::<Selector>().unwrap(), selector);
        }

        #[test]
        fn what_labels_make_longer_is_carried_in_two_parts(
            own in prop::collection::btree_set("[a-e]", 0..5), other in prop::collection::btree_set("[a-e]", 0..5),
            labels in 0..21_usize,
        ) {
            let matcher = |name: &String| LabelMatcher::new(name, MatchOp::NotEqual, "x").unwrap();
            let labels: Vec<_> =
                (0..labels).map(|i| LabelMatcher::new(&format!("l{i}"), MatchOp::Equal, "v").unwrap()).collect();
            let [own, other] = [own, other].map(|names| Selector::new(names.iter().map(matcher).collect()).unwrap());
            let [own, other] = [own.and(&labels), other.and(&labels)];
            let ([one, two], beside) = Selector::beside_labels([&own, &other]);
            prop_assert_eq!(one.to_string().parse::<Selector>().unwrap(), one.clone());
            prop_assert_eq!(two.to_string().parse::<Selector>().unwrap(), two.clone());
            let beside: Labels = beside.to_string().parse().unwrap();
            prop_assert_eq!([one.and(beside.matchers()), two.and(beside.matchers())], [own, other]);
        }

        #[test]
        fn never_panics(text in "\\PC{0,60}") {
            let _ = text.parse::<Selector>();
        }
    }

    #[rstest]
    #[case("a!=\"x\"", InvalidSelector::NoLabel("a".into()))]
    #[case(&(0..21).map(|n| format!("l{n}=\"\"")).collect::<Vec<_>>().join(","), InvalidSelector::TooManyLabels)]
    fn refuses_what_are_no_labels(#[case] text: &str, #[case] error: InvalidSelector) {
        assert_eq!(text.parse::<Labels>(), Err(error));
    }

    #[rstest]
    #[case("service_name=\"x\"", InvalidSelector::Reserved("service_name".into()))]
    #[case("__name__=\"x\"", InvalidSelector::Reserved("__name__".into()))]
    #[case("a=\"x\" b=\"y\"", InvalidSelector::Syntax(6))]
    #[case("a=\"x\",", InvalidSelector::Syntax(6))]
    #[case("a=x", InvalidSelector::Syntax(2))]
    #[case("a=~\"(\"", InvalidSelector::Regex("(".into()))]
    fn refuses_with_a_reason(#[case] text: &str, #[case] error: InvalidSelector) {
        assert_eq!(text.parse::<Selector>(), Err(error));
    }
}
