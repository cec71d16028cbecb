use std::fmt;
use std::sync::Arc;

/// Why a text is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Empty or only blanks.
    #[error("must not be empty")]
    Empty,
    /// Longer than the field allows, in bytes.
    #[error("is {actual} bytes long, at most {limit} are allowed")]
    TooLong {
        /// Bytes given.
        actual: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Holds U+0000, which PostgreSQL cannot keep.
    #[error("must not hold U+0000")]
    Nul,
}

/// Checks a text of at most `limit` bytes: not blank, no U+0000.
pub fn check_text(text: &str, limit: usize) -> Result<(), InvalidName> {
    if text.trim().is_empty() {
        return Err(InvalidName::Empty);
    }
    if text.len() > limit {
        return Err(InvalidName::TooLong { actual: text.len(), limit });
    }
    if text.contains('\0') {
        return Err(InvalidName::Nul);
    }
    Ok(())
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $limit:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Longest name, in bytes.
            pub const MAX_BYTES: usize = $limit;

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                check_text(text, Self::MAX_BYTES)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

impl Text255 {
    /// A text that stands in the program, which is known to be a good one.
    pub fn literal(text: &'static str) -> Self {
        debug_assert!(check_text(text, Self::MAX_BYTES).is_ok(), "{text:?}");
        Self(text.into())
    }
}

name_type!(
    /// The name of an application, Pyroscope's `service_name`: any UTF-8 of 1 to 512 bytes without U+0000.
    AppName,
    512
);

name_type!(
    /// What people say of something, such as a reason: 1 to 2,000 bytes.
    Note,
    2_000
);

name_type!(
    /// The name of a function as a person typed it or a profiler spelled it: 1 to 2,000 bytes.
    FunctionName,
    2_000
);
name_type!(
    /// A short free text such as an owner, a channel or an author: 1 to 255 bytes.
    Text255,
    255
);
name_type!(
    /// How much a service matters, such as `critical` or `standard`: free text of 1 to 20 bytes.
    Tier,
    20
);

impl Tier {
    /// The tier of a service of which nothing else was said: `standard`.
    pub fn standard() -> Self {
        Self("standard".into())
    }

    /// Whether an outage of the service is an outage of the business.
    pub fn is_critical(&self) -> bool {
        self.as_str() == "critical"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::blank("  ", InvalidName::Empty)]
    #[case::nul("a\0b", InvalidName::Nul)]
    #[case::long(&"x".repeat(513), InvalidName::TooLong { actual: 513, limit: 512 })]
    fn refuses_what_is_no_app_name(#[case] text: &str, #[case] error: InvalidName) {
        assert_eq!(text.parse::<AppName>(), Err(error));
    }

    #[test]
    fn takes_any_utf8_as_app_name() {
        assert_eq!("größe/🔥 {x}".parse::<AppName>().unwrap().as_str(), "größe/🔥 {x}");
    }
}
