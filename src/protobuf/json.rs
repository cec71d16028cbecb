//! Protobuf's JSON form: 64-bit integers are texts of digits, and numbers are read too; the values of an enum are its
//! names; a field that is empty or zero is left out.
//!
//! For the attributes `with`, `deserialize_with` and `skip_serializing_if` of serde.
#![expect(missing_docs, clippy::missing_errors_doc, reason = "serde calls them")]

use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// Whether a field is left out.
pub fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A number, or its text.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Written<T> {
    Number(T),
    Text(String),
}

impl<T: FromStr<Err: Display>> Written<T> {
    fn read<E: serde::de::Error>(self) -> Result<T, E> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Text(text) => text.parse().map_err(|e| E::custom(format_args!("{text:?}: {e}"))),
        }
    }
}

/// A 64-bit integer, or a number with a fraction.
pub mod number {
    use super::{Deserialize, Deserializer, Display, FromStr, Written};
    use serde::Serializer;

    pub fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: Deserialize<'de> + FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        Written::deserialize(deserializer)?.read()
    }
}

/// A number that may be absent.
pub mod some_number {
    use super::{Deserialize, Deserializer, Display, FromStr, number};
    use serde::Serializer;

    pub fn serialize<T: Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: Deserialize<'de> + FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        number::deserialize(deserializer).map(Some)
    }
}

/// 64-bit integers.
pub mod numbers {
    use super::{Deserialize, Deserializer, Display, FromStr, Written};
    use serde::Serializer;

    pub fn serialize<T: Display, S: Serializer>(values: &[T], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(ToString::to_string))
    }

    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
    where
        T: Deserialize<'de> + FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        Vec::<Written<T>>::deserialize(deserializer)?.into_iter().map(Written::read).collect()
    }
}
