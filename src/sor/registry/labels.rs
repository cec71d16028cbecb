use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use crate::kernel::{InvalidJson, InvalidSelector, LabelMatcher, MatchOp, check_json};

/// The labels of a service's series: at most 20, each with a name that a selector may hold. BORs read these series
/// alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PyroscopeLabels(Vec<LabelMatcher>);

/// Why a JSON value is no [`PyroscopeLabels`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLabels {
    /// Not an object of texts.
    #[error("must be an object of texts")]
    Shape,
    /// Too many.
    #[error("has {0} labels, at most 20 are allowed")]
    TooMany(usize),
    /// A name or a value that no selector could hold.
    #[error(transparent)]
    Label(#[from] InvalidSelector),
    /// Too long, or something that PostgreSQL cannot keep.
    #[error(transparent)]
    Json(#[from] InvalidJson),
}

impl PyroscopeLabels {
    /// At most this many.
    pub const MAX: usize = 20;

    /// The conditions that a series of the service meets, by name.
    pub fn matchers(&self) -> &[LabelMatcher] {
        &self.0
    }

    /// The labels as the JSON object that they were.
    pub(super) fn to_value(&self) -> Value {
        self.0.iter().map(|label| (label.name().to_owned(), Value::from(label.value()))).collect()
    }
}

impl TryFrom<Value> for PyroscopeLabels {
    type Error = InvalidLabels;

    fn try_from(value: Value) -> Result<Self, InvalidLabels> {
        let members = value.as_object().ok_or(InvalidLabels::Shape)?;
        if members.len() > Self::MAX {
            return Err(InvalidLabels::TooMany(members.len()));
        }
        check_json(&value)?;
        let label = |(name, value): (&String, &Value)| {
            let value = value.as_str().ok_or(InvalidLabels::Shape)?;
            Ok(LabelMatcher::new(name, MatchOp::Equal, value)?)
        };
        let mut labels = members.iter().map(label).collect::<Result<Vec<_>, InvalidLabels>>()?;
        labels.sort();
        Ok(Self(labels))
    }
}

impl Serialize for PyroscopeLabels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for label in &self.0 {
            map.serialize_entry(label.name(), label.value())?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for PyroscopeLabels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer)?.try_into().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case(json!(["env"]), "must be an object of texts")]
    #[case(json!({"env": 1}), "must be an object of texts")]
    #[case(json!({"service_name": "x"}), "the label \"service_name\" is set by the server and cannot be selected")]
    #[case(json!({"__name__": "x"}), "the label \"__name__\" is set by the server and cannot be selected")]
    #[case(json!({"a b": "x"}), "\"a b\" is no label name")]
    #[case(json!({"env": "x".repeat(2_049)}), "the value of \"env\" is longer than 2048 bytes or holds U+0000")]
    #[case(json!({"env": "\0"}), "must not hold U+0000")]
    fn refuses_what_no_selector_could_hold(#[case] value: Value, #[case] reason: &str) {
        assert_eq!(PyroscopeLabels::try_from(value).unwrap_err().to_string(), reason);
    }

    #[test]
    fn twenty_are_the_most() {
        let labels = |n: usize| (0..n).map(|i| (format!("l{i}"), json!("v"))).collect::<Value>();
        assert_eq!(PyroscopeLabels::try_from(labels(20)).unwrap().matchers().len(), 20);
        assert_eq!(PyroscopeLabels::try_from(labels(21)), Err(InvalidLabels::TooMany(21)));
    }

    #[test]
    fn become_conditions_by_name() {
        let given = json!({"region": "eu \"1\"", "env": ""});
        let labels = PyroscopeLabels::try_from(given.clone()).unwrap();
        let written: Vec<_> = labels.matchers().iter().map(ToString::to_string).collect();
        assert_eq!(written, ["env=\"\"", "region=\"eu \\\"1\\\"\""]);
        assert_eq!((labels.to_value(), serde_json::to_value(&labels).unwrap()), (given.clone(), given));
    }
}
