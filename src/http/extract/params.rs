//! A serde deserializer for name-value pairs. Its errors name the wrong parameter and the known ones.

use std::fmt::{self, Display};

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::code_of;
use crate::http::Code;

const REPEATED: &str = "is given more than once";

/// Why parameters are refused.
#[derive(Debug)]
pub(super) enum Failure {
    /// These are unknown.
    Unknown { names: Vec<String>, known: &'static [&'static str] },
    /// This parameter is wrong.
    Named { name: String, code: Code, detail: String },
    /// Something else, or a value whose parameter is not known yet.
    Unnamed { code: Code, detail: String },
}

impl Failure {
    fn of(self, name: &str) -> Self {
        match self {
            Self::Unnamed { code, detail } => Self::Named { name: name.to_owned(), code, detail },
            named => named,
        }
    }

    fn invalid(detail: impl Into<String>) -> Self {
        Self::Unnamed { code: Code::ParameterInvalid, detail: detail.into() }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { names, .. } => write!(f, "unknown: {}", names.join(", ")),
            Self::Named { name, detail, .. } => write!(f, "{name}: {detail}"),
            Self::Unnamed { detail, .. } => f.write_str(detail),
        }
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T: Display>(detail: T) -> Self {
        Self::Unnamed { code: code_of::<T>(), detail: detail.to_string() }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::invalid("is missing").of(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::invalid(REPEATED).of(field)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::Unknown { names: vec![field.to_owned()], known: expected }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::invalid(format!("unknown value {variant:?}: valid are {}", expected.join(", ")))
    }
}

/// The pairs of one request.
pub(super) struct Parameters<'de> {
    pairs: &'de [(String, String)],
}

impl<'de> Parameters<'de> {
    pub(super) fn new(pairs: &'de [(String, String)]) -> Self {
        Self { pairs }
    }

    fn repeated(&self) -> Option<&'de str> {
        self.pairs.iter().enumerate().find_map(|(i, (name, _))| {
            self.pairs.iter().take(i).any(|(earlier, _)| earlier == name).then_some(name.as_str())
        })
    }
}

impl<'de> Deserializer<'de> for Parameters<'de> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_map(Pairs { rest: self.pairs.iter(), current: None })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let unknown = self.pairs.iter().map(|(name, _)| name).filter(|name| !known.contains(&name.as_str()));
        let names: Vec<String> = unknown.cloned().collect();
        if !names.is_empty() {
            return Err(Failure::Unknown { names, known });
        }
        if let Some(name) = self.repeated() {
            return Err(Failure::invalid(REPEATED).of(name));
        }
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Pairs<'de> {
    rest: std::slice::Iter<'de, (String, String)>,
    current: Option<&'de (String, String)>,
}

impl<'de> MapAccess<'de> for Pairs<'de> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failure> {
        self.current = self.rest.next();
        self.current.map(|(name, _)| seed.deserialize(name.as_str().into_deserializer())).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let (name, value) = self.current.take().ok_or_else(|| Failure::invalid("a value without a name"))?;
        seed.deserialize(Value(value)).map_err(|failure| failure.of(name))
    }
}

struct Value<'de>(&'de str);

macro_rules! whole_number {
    ($($method:ident => $visit:ident: $type:ty;)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            let number = self.0.parse().map_err(|_| {
                Failure::invalid(format!("must be a whole number from {} to {}", <$type>::MIN, <$type>::MAX))
            })?;
            visitor.$visit::<Failure>(number)
        }
    )+};
}

impl<'de> Deserializer<'de> for Value<'de> {
    type Error = Failure;

    whole_number! {
        deserialize_i8 => visit_i8: i8;
        deserialize_i16 => visit_i16: i16;
        deserialize_i32 => visit_i32: i32;
        deserialize_i64 => visit_i64: i64;
        deserialize_u8 => visit_u8: u8;
        deserialize_u16 => visit_u16: u16;
        deserialize_u32 => visit_u32: u32;
        deserialize_u64 => visit_u64: u64;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_bool(self.0.parse().map_err(|_| Failure::invalid("must be true or false"))?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let number = self.0.parse().ok().filter(|number: &f64| number.is_finite());
        visitor.visit_f64(number.ok_or_else(|| Failure::invalid("must be a number"))?)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        StrDeserializer::<Failure>::new(self.0).deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}
