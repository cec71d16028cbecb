//! Keyset pagination: an opaque cursor that names the last row of a page, and a limit with a cap.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::kernel::{PortError, PortResult, check_json};

/// The longest cursor that is read, in bytes. It has room for the longest key.
const MAX_BYTES: usize = 16 * 1024;

/// A place in a list that callers hand back. Its text is opaque to them and holds the position `P`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor<P>(pub P);

/// The text is not a cursor of this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no cursor of this list: take it from nextCursor, unchanged")]
pub struct InvalidCursor;

impl<P: Serialize> Cursor<P> {
    /// The cursor's text, safe in an address.
    pub fn encode(position: &P) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(position).unwrap_or_default())
    }
}

impl<P: DeserializeOwned> FromStr for Cursor<P> {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let bytes =
            Some(text).filter(|text| text.len() <= MAX_BYTES).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let position = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        // A made-up cursor may contain values that the database does not take.
        let position = position.filter(|position| check_json(position).is_ok());
        position.and_then(|position| serde_json::from_value(position).ok()).map(Self).ok_or(InvalidCursor)
    }
}

impl<P: DeserializeOwned> Cursor<P> {
    /// Where the next page of another Flamewarden's list begins, by the `nextCursor` of its answer.
    pub fn next(next_cursor: Option<String>) -> PortResult<Option<P>> {
        let next = next_cursor.map(|text| text.parse::<Self>()).transpose();
        Ok(next.map_err(|error| PortError::Unavailable(format!("nextCursor {error}")))?.map(|cursor| cursor.0))
    }
}

impl<'de, P: DeserializeOwned> Deserialize<'de> for Cursor<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// How many rows to answer: a whole number from 1 to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit<const MAX: u16>(u16);

impl<const MAX: u16> Limit<MAX> {
    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl<'de, const MAX: u16> Deserialize<'de> for Limit<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<const MAX: u16>(PhantomData<[(); 0]>);

        impl<const MAX: u16> de::Visitor<'_> for Visitor<MAX> {
            type Value = Limit<MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from 1 to {MAX}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Limit<MAX>, E> {
                let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                let limit = text.parse().ok().filter(|limit| digits && (1..=MAX).contains(limit));
                limit.map(Limit).ok_or_else(|| E::custom(format!("must be a whole number from 1 to {MAX}")))
            }
        }

        deserializer.deserialize_str(Visitor(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, StrDeserializer};

    fn limit(text: &str) -> Result<u16, String> {
        let text: StrDeserializer<'_, Error> = text.into_deserializer();
        Limit::<500>::deserialize(text).map(Limit::get).map_err(|e| e.to_string())
    }

    #[test]
    fn a_limit_lies_between_one_and_the_cap() {
        assert_eq!((limit("1"), limit("500")), (Ok(1), Ok(500)));
        for bad in ["0", "501", "70000", "-1", "+5", "", "1.5", "x"] {
            assert_eq!(limit(bad), Err("must be a whole number from 1 to 500".to_owned()), "{bad}");
        }
    }

    #[test]
    fn refuses_a_cursor_of_another_list() {
        let text = Cursor::encode(&("cpu", "f"));
        assert_eq!(text.parse::<Cursor<(u32, u32)>>(), Err(InvalidCursor));
        let nul = Cursor::encode(&("cpu", "\0"));
        assert_eq!(nul.parse::<Cursor<(String, String)>>(), Err(InvalidCursor));
        assert_eq!("A".repeat(MAX_BYTES + 4).parse::<Cursor<(u32, u32)>>(), Err(InvalidCursor));
    }

    proptest! {
        #[test]
        fn a_position_survives_the_trip(kind in "\\PC{0,9}", name in "\\PC{0,99}") {
            let text = Cursor::encode(&(&kind, &name));
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            prop_assert_eq!(text.parse::<Cursor<(String, String)>>(), Ok(Cursor((kind, name))));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,60}") {
            let _ = text.parse::<Cursor<(String, i32)>>();
        }
    }
}
