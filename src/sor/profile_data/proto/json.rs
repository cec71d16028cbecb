//! Protobuf's JSON form: 64-bit integers are texts of digits, and numbers are read too; the values of an enum are its
//! names; a field that is empty or zero is left out.

use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// Whether a field is left out.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A number, or its text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written<T> {
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

/// A 64-bit integer.
pub(super) mod integer {
    use super::{Deserialize, Deserializer, Display, FromStr, Written};
    use serde::Serializer;

    pub(in super::super) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(in super::super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: Deserialize<'de> + FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        Written::deserialize(deserializer)?.read()
    }
}

/// A 64-bit integer that may be absent.
pub(super) mod some_integer {
    use super::{Deserialize, Deserializer, Display, FromStr, integer};
    use serde::Serializer;

    #[expect(clippy::ref_option, reason = "serde passes the field")]
    pub(in super::super) fn serialize<T: Display, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: Deserialize<'de> + FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        integer::deserialize(deserializer).map(Some)
    }
}

/// 64-bit integers.
pub(super) mod integers {
    use super::{Deserialize, Deserializer, Display, FromStr, Written};
    use serde::Serializer;

    pub(in super::super) fn serialize<T: Display, S: Serializer>(
        values: &[T],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(ToString::to_string))
    }

    pub(in super::super) fn deserialize<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
    where
        T: Deserialize<'de> + FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        Vec::<Written<T>>::deserialize(deserializer)?.into_iter().map(Written::read).collect()
    }
}

/// The form of an answer, by its name or its number.
pub(super) mod profile_format {
    use super::super::querier::v1::ProfileFormat;
    use super::{Deserialize, Deserializer, Written};
    use serde::{Serialize, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes the field")]
    pub(in super::super) fn serialize<S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
        match ProfileFormat::try_from(*value) {
            Ok(format) => format.as_str_name().serialize(serializer),
            Err(_) => value.serialize(serializer),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Number(number) => Ok(number),
            Written::Text(name) => ProfileFormat::from_str_name(&name)
                .map(i32::from)
                .ok_or_else(|| de::Error::custom(format_args!("{name:?} is no profile format"))),
        }
    }
}
