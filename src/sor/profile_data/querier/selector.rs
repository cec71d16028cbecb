//! Label selectors as Prometheus writes them, `{service_name="checkout",region=~"eu.*"}`, on all labels of a series: its
//! own and those that follow from its app and its type.

use std::borrow::Cow;

use regex::Regex;

use super::super::store::{SeriesFilter, TypedSeries, whole_value};
use super::super::type_id::TypeId;
use crate::kernel::{AppName, MatchOp};

/// The label of the app.
pub(super) const SERVICE: &str = "service_name";
/// The label of the full type ID.
pub(super) const TYPE: &str = "__profile_type__";

/// The most conditions of all selectors of a request.
const MAX_MATCHERS: usize = 100;

/// A label of a series that is none of its own.
type Derived = (&'static str, fn(&TypedSeries<'_>) -> String);

/// The labels that follow from app and type, sorted.
const DERIVED: [Derived; 7] = [
    ("__name__", |series| series.type_id.name.clone()),
    ("__period_type__", |series| series.type_id.period_type.clone()),
    ("__period_unit__", |series| series.type_id.period_unit.clone()),
    (TYPE, |series| series.type_id.to_string()),
    ("__type__", |series| series.type_id.sample_type.clone()),
    ("__unit__", |series| series.type_id.sample_unit.clone()),
    (SERVICE, |series| series.app.as_str().to_owned()),
];

/// The value of a label; an absent one is the empty text.
pub(super) fn value<'s>(series: &TypedSeries<'s>, name: &str) -> Cow<'s, str> {
    match DERIVED.iter().find(|(derived, _)| *derived == name) {
        Some((SERVICE, _)) => Cow::Borrowed(series.app.as_str()),
        Some((_, derive)) => Cow::Owned(derive(series)),
        None => Cow::Borrowed(series.labels.get(name).map_or("", String::as_str)),
    }
}

/// The names of the labels that have a value.
pub(super) fn names<'s>(series: &TypedSeries<'s>) -> impl Iterator<Item = &'s str> {
    let derived = DERIVED.into_iter().filter(|(_, derive)| !derive(series).is_empty()).map(|(name, _)| name);
    derived.chain(series.labels.keys().map(String::as_str))
}

/// A condition on a label.
#[derive(Debug, Clone)]
struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    /// Of the operators that compare with an expression.
    pattern: Option<Regex>,
}

impl Matcher {
    fn new(name: String, op: MatchOp, value: String) -> Result<Self, String> {
        let pattern = match op {
            MatchOp::Matches | MatchOp::NotMatches => {
                Some(whole_value(&value).map_err(|_| format!("invalid regexp {value:?}"))?)
            }
            MatchOp::Equal | MatchOp::NotEqual => None,
        };
        Ok(Self { name, op, value, pattern })
    }

    fn holds(&self, value: &str) -> bool {
        let same = self.pattern.as_ref().map_or_else(|| value == self.value, |pattern| pattern.is_match(value));
        same == matches!(self.op, MatchOp::Equal | MatchOp::Matches)
    }
}

/// The conditions of one selector or several, which must all hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Matchers(Vec<Matcher>);

impl Matchers {
    /// Reads selectors, each in braces.
    ///
    /// # Errors
    /// What cannot be read, in words that clients of Pyroscope know.
    pub(super) fn read<'t>(selectors: impl IntoIterator<Item = &'t str>) -> Result<Self, String> {
        let mut all = Vec::new();
        for text in selectors {
            let unreadable = |error: String| format!("parsing label selector {text:?}: {error}");
            Parser { text, at: 0 }.selector(&mut all).map_err(unreadable)?;
            if all.len() > MAX_MATCHERS {
                return Err(format!("the selectors have more than {MAX_MATCHERS} matchers"));
            }
        }
        Ok(Self(all))
    }

    /// The same, of one type only.
    pub(super) fn of_type(mut self, type_id: &TypeId) -> Self {
        let (name, value) = (TYPE.to_owned(), type_id.to_string());
        self.0.push(Matcher { name, op: MatchOp::Equal, value, pattern: None });
        self
    }
}

impl SeriesFilter for Matchers {
    fn passes_app(&self, app: &AppName) -> bool {
        self.0.iter().filter(|matcher| matcher.name == SERVICE).all(|matcher| matcher.holds(app.as_str()))
    }

    fn passes(&self, series: TypedSeries<'_>) -> bool {
        self.0.iter().all(|matcher| matcher.holds(&value(&series, &matcher.name)))
    }
}

/// Reads a selector from its start.
struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Skips a text, if it comes next.
    fn take(&mut self, expected: &str) -> bool {
        self.skip_blanks();
        let found = self.rest().starts_with(expected);
        self.at += if found { expected.len() } else { 0 };
        found
    }

    fn error(&self, expected: &str) -> String {
        format!("parse error at byte {}: expected {expected}", self.at)
    }

    fn selector(&mut self, matchers: &mut Vec<Matcher>) -> Result<(), String> {
        if !self.take("{") {
            return Err(self.error("\"{\""));
        }
        while !self.take("}") {
            let name = self.name()?;
            let ops = [MatchOp::Matches, MatchOp::NotMatches, MatchOp::NotEqual, MatchOp::Equal];
            let op = ops.into_iter().find(|op| self.take(op.as_str())).ok_or_else(|| self.error("=, !=, =~ or !~"))?;
            let value = self.quoted()?.ok_or_else(|| self.error("a quoted value"))?;
            matchers.push(Matcher::new(name, op, value)?);
            if !self.take(",") {
                if self.take("}") {
                    break;
                }
                return Err(self.error("\",\" or \"}\""));
            }
        }
        self.skip_blanks();
        if self.rest().is_empty() { Ok(()) } else { Err(self.error("the end")) }
    }

    /// The name of a label, in quotes if it has other characters than letters, digits, `_`, `.` and `:`.
    fn name(&mut self) -> Result<String, String> {
        if let Some(name) = self.quoted()?.filter(|name| !name.is_empty()) {
            return Ok(name);
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':');
        let length = self.rest().find(|c: char| !is_plain(c)).unwrap_or(self.rest().len());
        let name = self.rest().get(..length).unwrap_or("").to_owned();
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.error("the name of a label"));
        }
        self.at += length;
        Ok(name)
    }

    /// A text in quotes with Go's escapes, or in backquotes without any. `None`: no quote comes next.
    fn quoted(&mut self) -> Result<Option<String>, String> {
        self.skip_blanks();
        let Some(quote) = self.rest().chars().next().filter(|c| matches!(c, '"' | '\'' | '`')) else { return Ok(None) };
        let body = self.at + 1;
        let mut text = String::new();
        let mut chars = self.text.get(body..).unwrap_or("").char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.at = body + at + 1;
                    return Ok(Some(text));
                }
                '\\' if quote != '`' => {
                    let escaped = escaped(&mut chars.by_ref().map(|(_, c)| c));
                    text.push(escaped.ok_or_else(|| format!("parse error at byte {}: no such escape", body + at))?);
                }
                c => text.push(c),
            }
        }
        Err(format!("parse error at byte {}: the quote is not closed", self.at))
    }
}

/// The character that an escape stands for, without its backslash.
fn escaped(chars: &mut impl Iterator<Item = char>) -> Option<char> {
    let digits = match chars.next()? {
        'n' => return Some('\n'),
        't' => return Some('\t'),
        'r' => return Some('\r'),
        plain @ ('\\' | '"' | '\'') => return Some(plain),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return None,
    };
    let code: String = chars.take(digits).collect();
    u32::from_str_radix(&code, 16).ok().filter(|_| code.len() == digits).and_then(char::from_u32)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn passes(selector: &str) -> bool {
        let (app, type_id) =
            ("checkout".parse().unwrap(), "process_cpu:cpu:nanoseconds:cpu:nanoseconds".parse().unwrap());
        let own = [("region", "eu"), ("otel.scope.name", "a \"b\" \u{9}ü")];
        let labels: BTreeMap<_, _> = own.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let matchers = Matchers::read([selector]).unwrap();
        let passes = matchers.passes(TypedSeries { app: &app, type_id: &type_id, labels: &labels });
        assert!(!passes || matchers.passes_app(&app));
        passes
    }

    #[rstest]
    #[case("{}", true)]
    #[case(" { } ", true)]
    #[case(r#"{service_name="checkout"}"#, true)]
    #[case(r#"{service_name="search"}"#, false)]
    #[case(r#"{ service_name =~ "check.*" , region != "us", }"#, true)]
    #[case(r#"{service_name=~"check"}"#, false)]
    #[case(r#"{service_name!~"se.*"}"#, true)]
    #[case(r#"{__profile_type__="process_cpu:cpu:nanoseconds:cpu:nanoseconds"}"#, true)]
    #[case(r#"{__name__="process_cpu",__type__="cpu",__unit__="nanoseconds",__period_type__="cpu"}"#, true)]
    #[case(r#"{__type__="samples"}"#, false)]
    #[case(r#"{pod=""}"#, true)]
    #[case(r#"{"otel.scope.name"="a \"b\" \u0009\xfc"}"#, true)]
    #[case("{region=`eu`}", true)]
    #[case("{region='eu'}", true)]
    fn selects_as_prometheus_does(#[case] selector: &str, #[case] expected: bool) {
        assert_eq!(passes(selector), expected);
    }

    #[rstest]
    #[case("", "parse error at byte 0: expected \"{\"")]
    #[case("{service_name=}", "parse error at byte 14: expected a quoted value")]
    #[case("{service_name", "parse error at byte 13: expected =, !=, =~ or !~")]
    #[case("{a=\"b\" c=\"d\"}", "parse error at byte 7: expected \",\" or \"}\"")]
    #[case("{a=\"b\"} x", "parse error at byte 8: expected the end")]
    #[case("{a=\"b}", "parse error at byte 3: the quote is not closed")]
    #[case("{a=\"\\q\"}", "parse error at byte 4: no such escape")]
    #[case("{a=~\"(\"}", "invalid regexp \"(\"")]
    #[case("{=\"b\"}", "parse error at byte 1: expected the name of a label")]
    fn says_what_cannot_be_read(#[case] selector: &str, #[case] error: &str) {
        assert_eq!(Matchers::read([selector]).unwrap_err(), format!("parsing label selector {selector:?}: {error}"));
    }

    #[test]
    fn takes_100_matchers_and_no_more() {
        let matchers = |n: usize| format!("{{{}}}", vec!["a=\"b\""; n].join(","));
        assert!(Matchers::read([matchers(60).as_str(), &matchers(40)]).is_ok());
        let error = Matchers::read([matchers(60).as_str(), &matchers(41)]).unwrap_err();
        assert_eq!(error, "the selectors have more than 100 matchers");
    }

    proptest! {
        #[test]
        fn never_panics(text in "[{}a=~!\"'`,\\\\xu0-9ü ]{0,30}") {
            let _ = Matchers::read([text.as_str()]);
        }
    }
}
