//! The long texts of an assessment, within bounds.

use serde_json::{Map, Value};

use crate::kernel::{InvalidJson, MAX_JSON_BYTES, check_json};

/// The heaviest functions of an assessment: a JSON object or array of at most 64 KiB without U+0000.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(transparent)]
pub struct TopFunctions(Value);

impl TopFunctions {
    /// Takes an object of tables (`{"cpu": [row, …]}`), leaving out the last rows of the longest tables as long as the
    /// whole is over the limit. U+0000 becomes U+FFFD.
    pub fn fitting(tables: Map<String, Value>) -> Self {
        let mut tables: Map<String, Value> = tables.into_iter().map(|(k, v)| (without_nul(&k), clean(v))).collect();
        loop {
            let excess = serde_json::to_string(&tables).map_or(0, |text| text.len()).saturating_sub(MAX_JSON_BYTES);
            let longest = tables.values_mut().max_by_key(|table| table.to_string().len()).and_then(Value::as_array_mut);
            match longest.filter(|rows| excess > 0 && !rows.is_empty()) {
                Some(rows) => drop(rows.pop()),
                None if excess == 0 => return Self(Value::Object(tables)),
                None => return Self(Value::Object(Map::new())),
            }
        }
    }

    /// The value.
    pub fn as_value(&self) -> &Value {
        &self.0
    }
}

impl TryFrom<Value> for TopFunctions {
    type Error = InvalidJson;

    fn try_from(value: Value) -> Result<Self, InvalidJson> {
        if !value.is_object() && !value.is_array() {
            return Err(InvalidJson::Shape("an object or an array"));
        }
        check_json(&value)?;
        Ok(Self(value))
    }
}

impl<'de> serde::Deserialize<'de> for TopFunctions {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

fn clean(value: Value) -> Value {
    match value {
        Value::String(text) if text.contains('\0') => Value::String(without_nul(&text)),
        Value::Array(items) => Value::Array(items.into_iter().map(clean).collect()),
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(name, value)| (without_nul(&name), clean(value))).collect())
        }
        other => other,
    }
}

fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// A recommendation of at most 64 KiB without U+0000. It is that long because it names functions, and their names may
/// be long.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Recommendation(String);

/// Why a text is no [`Recommendation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecommendation {
    /// Too long.
    #[error("is {0} bytes long, at most 65536 are allowed")]
    TooLong(usize),
    /// Holds U+0000, which PostgreSQL cannot keep.
    #[error("must not hold U+0000")]
    Nul,
}

impl Recommendation {
    /// Longest text, in bytes.
    pub const MAX_BYTES: usize = 64 * 1024;

    /// Takes any text: what is over the limit is cut off, U+0000 becomes U+FFFD.
    pub fn fitting(text: &str) -> Self {
        let mut text = without_nul(text);
        text.truncate(text.floor_char_boundary(Self::MAX_BYTES));
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Recommendation {
    type Error = InvalidRecommendation;

    fn try_from(text: String) -> Result<Self, InvalidRecommendation> {
        if text.len() > Self::MAX_BYTES {
            return Err(InvalidRecommendation::TooLong(text.len()));
        }
        if text.contains('\0') {
            return Err(InvalidRecommendation::Nul);
        }
        Ok(Self(text))
    }
}

impl<'de> serde::Deserialize<'de> for Recommendation {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case(json!("cpu"), InvalidJson::Shape("an object or an array"))]
    #[case(json!(null), InvalidJson::Shape("an object or an array"))]
    #[case(json!([{"a\0": 1}]), InvalidJson::Nul)]
    #[case(json!({"a": ["b\0"]}), InvalidJson::Nul)]
    #[case(json!(["x".repeat(65_533)]), InvalidJson::TooLong(65_537))]
    fn refuses_what_no_column_could_hold(#[case] value: Value, #[case] error: InvalidJson) {
        assert_eq!(TopFunctions::try_from(value), Err(error));
    }

    #[test]
    fn leaves_out_the_last_rows_of_the_longest_table_until_the_whole_fits() {
        let row = |n: usize| json!({"name": format!("{n}{}", "f".repeat(20_000)), "selfPercent": 1.5});
        let tables = json!({"cpu": [row(1), row(2), row(3), row(4)], "wall": [row(5)]});
        let fitted = TopFunctions::fitting(tables.as_object().unwrap().clone());
        assert_eq!(fitted.as_value(), &json!({"cpu": [row(1), row(2)], "wall": [row(5)]}));
    }

    #[test]
    fn a_table_that_cannot_be_shortened_is_left_out() {
        let tables = json!({"cpu": "x".repeat(70_000)});
        assert_eq!(TopFunctions::fitting(tables.as_object().unwrap().clone()).as_value(), &json!({}));
    }

    #[test]
    fn a_recommendation_is_cut_between_characters() {
        let text = Recommendation::fitting(&format!("a\0{}", "ü".repeat(40_000)));
        assert_eq!(text.as_str().len(), 65_536);
        assert!(text.as_str().starts_with("a\u{fffd}ü"));
        assert_eq!(Recommendation::try_from("x".repeat(65_537)), Err(InvalidRecommendation::TooLong(65_537)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn what_was_made_to_fit_is_valid(names in prop::collection::vec("\\PC{0,9}\0?", 0..20), copies in 1..1500usize) {
            let rows: Vec<Value> = names.iter().map(|n| json!(n.repeat(copies))).collect();
            let tables = json!({"cpu": rows, "a\0b": 1});
            let fitted = TopFunctions::fitting(tables.as_object().unwrap().clone());
            prop_assert_eq!(TopFunctions::try_from(fitted.as_value().clone()), Ok(fitted));
        }
    }
}
