use serde_json::{Map, Value};

/// Longest JSON value kept, in bytes when written without blanks: 64 KiB.
pub const MAX_JSON_BYTES: usize = 64 * 1024;

/// Why a JSON value cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJson {
    /// Of another kind.
    #[error("must be {0}")]
    Shape(&'static str),
    /// Too long when written as JSON.
    #[error("is {0} bytes long as JSON, at most 65536 are allowed")]
    TooLong(usize),
    /// A text or a name in it holds U+0000, which PostgreSQL cannot keep.
    #[error("must not hold U+0000")]
    Nul,
}

/// Checks a JSON value of any kind: at most 64 KiB, no U+0000.
pub fn check_json(value: &Value) -> Result<(), InvalidJson> {
    let bytes = value.to_string().len();
    if bytes > MAX_JSON_BYTES {
        return Err(InvalidJson::TooLong(bytes));
    }
    if holds_nul(value) { Err(InvalidJson::Nul) } else { Ok(()) }
}

/// Whether a text or a name in a JSON value holds U+0000, which PostgreSQL cannot keep.
pub fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A JSON object of at most 64 KiB without U+0000.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(transparent)]
pub struct JsonObject(Value);

impl JsonObject {
    /// The object as a value.
    pub fn as_value(&self) -> &Value {
        &self.0
    }

    /// Its members.
    pub fn members(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.as_object().into_iter().flat_map(Map::iter)
    }
}

impl Default for JsonObject {
    /// An object without members.
    fn default() -> Self {
        Self(Value::Object(Map::new()))
    }
}

impl TryFrom<Value> for JsonObject {
    type Error = InvalidJson;

    fn try_from(value: Value) -> Result<Self, InvalidJson> {
        if !value.is_object() {
            return Err(InvalidJson::Shape("an object"));
        }
        check_json(&value)?;
        Ok(Self(value))
    }
}

impl<'de> serde::Deserialize<'de> for JsonObject {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case(json!([]), InvalidJson::Shape("an object"))]
    #[case(json!(null), InvalidJson::Shape("an object"))]
    #[case(json!({"a\0": 1}), InvalidJson::Nul)]
    #[case(json!({"a": ["b\0"]}), InvalidJson::Nul)]
    #[case(json!({"a": "x".repeat(65_529)}), InvalidJson::TooLong(65_537))]
    fn refuses_what_no_column_could_hold(#[case] value: Value, #[case] error: InvalidJson) {
        assert_eq!(JsonObject::try_from(value), Err(error));
    }
}
