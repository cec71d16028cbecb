//! Stored rows as JSON: a valid row by its body, any other as it is stored, with `problems`.

use std::fmt::Display;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};

use crate::kernel::{OddRow, PortError, PortResult, Repeated, Stored};

/// A stored row. If its table holds values that the routes would refuse, `problems` says which, and the row is not
/// applied.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum StoredBody<B> {
    /// A row as the routes write it.
    Valid(B),
    /// Another.
    Odd(Map<String, Value>),
}

impl<T, B: From<T>> From<Stored<T>> for StoredBody<B> {
    fn from(row: Stored<T>) -> Self {
        match row {
            Stored::Valid(value) => Self::Valid(value.into()),
            Stored::Odd(row) => Self::Odd(row.members().clone()),
        }
    }
}

impl<B> StoredBody<B> {
    /// The row that another server sent.
    pub fn into_stored<T: From<B>>(self) -> Stored<T> {
        match self {
            Self::Valid(body) => Stored::Valid(body.into()),
            Self::Odd(members) => Stored::Odd(OddRow::new(members.clone(), problems(&members))),
        }
    }

    /// The row that another server sent, of whose members not every combination is valid.
    ///
    /// # Errors
    /// The other server takes for valid what is not valid here.
    pub fn try_into_stored<T: TryFrom<B, Error: Display>>(self) -> PortResult<Stored<T>> {
        let invalid = |error| PortError::Unavailable(format!("a row that is not valid was answered: {error}"));
        match self {
            Self::Valid(body) => body.try_into().map(Stored::Valid).map_err(invalid),
            Self::Odd(members) => Ok(Stored::Odd(OddRow::new(members.clone(), problems(&members)))),
        }
    }
}

fn problems(members: &Map<String, Value>) -> Vec<String> {
    let problems = members.get("problems").and_then(Value::as_array);
    problems.into_iter().flatten().filter_map(|problem| problem.as_str().map(str::to_owned)).collect()
}

/// An optional object that is `{}` in JSON if it is absent, for `#[serde(with = "empty_for_none")]`.
pub mod empty_for_none {
    use super::{Deserialize, DeserializeOwned, Deserializer, Map, Serialize, Value, de};

    /// Writes the object, or `{}`.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<T: Serialize, S: serde::Serializer>(object: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        match object {
            Some(object) => object.serialize(serializer),
            None => Map::new().serialize(serializer),
        }
    }

    /// Reads the object; `{}` and null are none.
    ///
    /// # Errors
    /// It is not what it should be.
    pub fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Null => Ok(None),
            Value::Object(members) if members.is_empty() => Ok(None),
            object => serde_json::from_value(object).map(Some).map_err(de::Error::custom),
        }
    }
}

/// The body of a change that is sent to another server, with the members that the caller repeated.
pub fn with_repeated(change: &impl Serialize, repeated: &Repeated) -> Value {
    let mut body = serde_json::to_value(change).unwrap_or_default();
    if let Some(members) = body.as_object_mut() {
        members.extend(repeated.members().clone());
    }
    body
}

impl<'de, B: DeserializeOwned> Deserialize<'de> for StoredBody<B> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = Map::deserialize(deserializer)?;
        if OddRow::of(&members).is_some() {
            return Ok(Self::Odd(members));
        }
        serde_json::from_value(Value::Object(members)).map(Self::Valid).map_err(de::Error::custom)
    }
}
