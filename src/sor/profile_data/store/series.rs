//! What tells the series of an app apart, and how many of them an app may have.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::type_id::TypeId;
use crate::kernel::{LabelMatcher, MatchOp, Selector};
use crate::profile::SampleType;

/// Labels of samples that are kept as labels of the series. All others (span ids, tags of one request) are folded: a
/// block each would cost more than the profile itself.
pub(crate) const SAMPLE_LABELS: &[&str] =
    &["cluster", "deployment_environment", "env", "environment", "namespace", "region", "version"];

/// Labels of a series that name one request, and would make a series of each.
const DROPPED: &[&str] = &["profile_id", "span_id", "span_name", "trace_id"];

/// The most labels that a series keeps, and the most bytes of a name and of a value. Receivers refuse what is over; of OTLP,
/// which sends everything that describes a process, it is left out.
pub(crate) const MAX_LABELS: usize = 30;
pub(crate) const MAX_LABEL_NAME: usize = 1_024;
pub(crate) const MAX_LABEL_VALUE: usize = 2_048;

/// A series as it is stored.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) shape: Shape,
    pub(super) labels: Labels,
}

/// What all profiles of a series have in common beside their labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shape {
    /// The profile's name, such as `process_cpu`.
    pub(super) name: String,
    /// Its sample types, in the order of the values.
    pub(super) sample_types: Vec<SampleType>,
    /// What its period counts.
    pub(super) period_type: Option<SampleType>,
    /// The source says that its values only ever grow.
    #[serde(default)]
    pub(super) cumulative: bool,
    /// Stands for many label sets, of which there were too many.
    #[serde(default)]
    pub(super) collapsed: bool,
}

impl Shape {
    /// The full type ID of each sample type. Wall profiles of some SDKs bring their CPU time along.
    pub(super) fn type_ids(&self) -> impl Iterator<Item = TypeId> + '_ {
        self.sample_types.iter().map(|sample_type| {
            let cpu_of_wall = self.name == "wall" && sample_type.name.eq_ignore_ascii_case("cpu");
            let (period_type, period_unit) =
                self.period_type.as_ref().map_or_else(Default::default, |p| (p.name.clone(), p.unit.clone()));
            TypeId {
                name: if cpu_of_wall { "process_cpu".to_owned() } else { self.name.clone() },
                sample_type: sample_type.name.clone(),
                sample_unit: sample_type.unit.clone(),
                period_type,
                period_unit,
            }
        })
    }
}

/// The labels of a series: those of the source, without labels that describe no population.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Labels(BTreeMap<String, String>);

impl Labels {
    /// The labels that are kept of those that a source sent.
    pub(super) fn of(sent: &BTreeMap<String, String>) -> Self {
        let kept = |(name, value): &(&String, &String)| {
            !name.is_empty()
                && !value.is_empty()
                && !name.starts_with("__")
                && name.as_str() != "service_name"
                && !DROPPED.contains(&name.as_str())
                && name.len() <= MAX_LABEL_NAME
                && value.len() <= MAX_LABEL_VALUE
        };
        // PostgreSQL's jsonb holds no U+0000.
        let clean = |text: &String| text.replace('\0', "\u{fffd}");
        Self(sent.iter().filter(kept).take(MAX_LABELS).map(|(name, value)| (clean(name), clean(value))).collect())
    }

    /// All of them.
    pub(super) fn all(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// The value of a label; an absent one is the empty text, as in Prometheus.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

/// The identity of a series within its app, the same in every process.
pub(super) fn hash(shape: &Shape, labels: &Labels) -> [u8; 32] {
    let mut hasher = Sha256::new();
    // The members of both are written in a fixed order; writing them to memory cannot fail.
    hasher.update(serde_json::to_vec(&(shape, labels)).unwrap_or_default());
    hasher.finalize().into()
}

/// The identity of a set of labels.
pub(super) fn hash_of_labels(labels: &Labels) -> [u8; 32] {
    Sha256::digest(serde_json::to_vec(labels).unwrap_or_default()).into()
}

/// An expression of a selector, which matches a whole value, as Prometheus has it.
pub(crate) fn whole_value(expression: &str) -> Result<regex::Regex, regex::Error> {
    regex::RegexBuilder::new(&format!("^(?s:{expression})$")).size_limit(1 << 21).build()
}

/// The conditions of a selector, ready to be tried on many series.
pub(super) struct Conditions<'s>(Vec<(&'s LabelMatcher, Option<regex::Regex>)>);

impl<'s> Conditions<'s> {
    /// Compiles the selector's expressions.
    pub(super) fn of(selector: &'s Selector) -> Result<Self, regex::Error> {
        let compile = |matcher: &'s LabelMatcher| {
            let pattern = match matcher.op() {
                MatchOp::Matches | MatchOp::NotMatches => Some(whole_value(matcher.value())?),
                _ => None,
            };
            Ok((matcher, pattern))
        };
        selector.matchers().iter().map(compile).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a series with these labels is selected.
    pub(super) fn hold(&self, labels: &Labels) -> bool {
        self.0.iter().all(|(matcher, pattern)| {
            let value = labels.get(matcher.name());
            let same = pattern.as_ref().map_or_else(|| value == matcher.value(), |pattern| pattern.is_match(value));
            same == matches!(matcher.op(), MatchOp::Equal | MatchOp::Matches)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::of(&pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    #[rstest]
    #[case::equal("region=\"eu\"", true)]
    #[case::another_value("region=\"us\"", false)]
    #[case::not_equal("region!=\"us\"", true)]
    #[case::matches("region=~\"e.\"", true)]
    #[case::matches_whole("region=~\"e\"", false)]
    #[case::alternatives_are_anchored("region=~\"u|eu\"", true)]
    #[case::not_matches("region!~\"e.*\"", false)]
    #[case::an_absent_label_is_empty("pod=\"\"", true)]
    #[case::all_must_hold("region=\"eu\",pod=\"x\"", false)]
    #[case::nothing_asked("", true)]
    fn selects_as_prometheus_does(#[case] selector: &str, #[case] expected: bool) {
        let selector = selector.parse().unwrap();
        assert_eq!(Conditions::of(&selector).unwrap().hold(&labels(&[("region", "eu")])), expected);
    }

    #[test]
    fn keeps_what_tells_populations_apart() {
        let kept = labels(&[
            ("__name__", "x"),
            ("service_name", "a"),
            ("span_id", "1"),
            ("env", "a\0b"),
            ("otel.scope.name", "go"),
        ]);
        assert_eq!(kept, labels(&[("env", "a\u{fffd}b"), ("otel.scope.name", "go")]));
    }

    #[test]
    fn the_cpu_time_of_a_wall_profile_is_cpu() {
        let nanoseconds = |name: &str| SampleType::new(name, "nanoseconds");
        let shape = Shape {
            name: "wall".into(),
            sample_types: vec![SampleType::new("samples", "count"), nanoseconds("wall"), nanoseconds("cpu")],
            period_type: Some(nanoseconds("wall")),
            cumulative: false,
            collapsed: false,
        };
        let ids: Vec<_> = shape.type_ids().map(|id| id.to_string()).collect();
        assert_eq!(
            ids,
            [
                "wall:samples:count:wall:nanoseconds",
                "wall:wall:nanoseconds:wall:nanoseconds",
                "process_cpu:cpu:nanoseconds:wall:nanoseconds",
            ]
        );
    }
}
