//! The names that operations have.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use crate::kernel::{InvalidName, check_text};

/// What is done, such as `triage` or `commit`: 1 to 128 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct OperationType(Arc<str>);

/// What an operation belongs to, such as an app, a service or `branch:7`: up to 512 bytes. Empty: to nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct OperationScope(Arc<str>);

impl OperationType {
    /// Longest name, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl OperationScope {
    /// Longest name, in bytes.
    pub const MAX_BYTES: usize = 512;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for OperationScope {
    /// The scope of what belongs to nothing.
    fn default() -> Self {
        Self("".into())
    }
}

impl FromStr for OperationType {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        check_text(text, Self::MAX_BYTES)?;
        Ok(Self(text.into()))
    }
}

impl FromStr for OperationScope {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        check_text(text, Self::MAX_BYTES)?;
        Ok(Self(text.into()))
    }
}

macro_rules! read_from_text {
    ($($name:ident)+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}
read_from_text!(OperationType OperationScope);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_may_be_empty_and_a_type_may_not() {
        assert_eq!("".parse(), Ok(OperationScope::default()));
        assert_eq!("".parse::<OperationType>(), Err(InvalidName::Empty));
        assert_eq!(" ".parse::<OperationScope>(), Err(InvalidName::Empty));
    }

    #[test]
    fn the_longest_names_are_taken() {
        assert!("t".repeat(128).parse::<OperationType>().is_ok());
        assert_eq!("t".repeat(129).parse::<OperationType>(), Err(InvalidName::TooLong { actual: 129, limit: 128 }));
        assert!("s".repeat(512).parse::<OperationScope>().is_ok());
        assert_eq!("s".repeat(513).parse::<OperationScope>(), Err(InvalidName::TooLong { actual: 513, limit: 512 }));
    }
}
