use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::kernel::{InvalidName, check_text};

/// The most that a compiled pattern may take, in bytes.
const MAX_COMPILED_BYTES: usize = 1 << 20;

/// Which functions a rule is about: an unanchored regular expression of 1 to 1,024 bytes that is matched in time linear
/// in the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionPattern(Arc<str>);

/// Why a text is no [`FunctionPattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// Not a text that can be kept.
    #[error(transparent)]
    Text(#[from] InvalidName),
    /// Not a regular expression, or one that takes too much.
    #[error("is not a regular expression that can be used here: {0}")]
    Regex(String),
}

impl FunctionPattern {
    /// Longest pattern, in bytes.
    pub const MAX_BYTES: usize = 1_024;

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Compiles the pattern into a function that says whether a name matches.
    pub fn matcher(&self) -> impl Fn(&str) -> bool + use<> {
        let compiled = compile(&self.0).ok();
        move |name| compiled.as_ref().is_some_and(|regex| regex.is_match(name))
    }
}

fn compile(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(MAX_COMPILED_BYTES).build()
}

impl TryFrom<String> for FunctionPattern {
    type Error = InvalidPattern;

    fn try_from(text: String) -> Result<Self, InvalidPattern> {
        check_text(&text, Self::MAX_BYTES)?;
        compile(&text).map_err(|error| {
            let why = match error {
                regex::Error::CompiledTooBig(_) => "it takes too much memory".to_owned(),
                // A picture of several lines, the reason last.
                error => error.to_string().rsplit("error: ").next().unwrap_or_default().trim().to_owned(),
            };
            InvalidPattern::Regex(why)
        })?;
        Ok(Self(text.into()))
    }
}

impl Serialize for FunctionPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for FunctionPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.try_into().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("", "must not be empty")]
    #[case("a\0", "must not hold U+0000")]
    #[case("(", "is not a regular expression that can be used here: unclosed group")]
    #[case(
        "(?=a)",
        "is not a regular expression that can be used here: look-around, including look-ahead and look-behind, is not supported"
    )]
    #[case(r"(a)\1", "is not a regular expression that can be used here: backreferences are not supported")]
    #[case(r"\w{1000}{1000}", "is not a regular expression that can be used here: it takes too much memory")]
    fn refuses_with_a_reason(#[case] text: &str, #[case] reason: &str) {
        assert_eq!(FunctionPattern::try_from(text.to_owned()).unwrap_err().to_string(), reason);
    }

    #[test]
    fn matches_anywhere_in_a_name() {
        let matches = FunctionPattern::try_from("(a+)b$".to_owned()).unwrap().matcher();
        assert_eq!(["xab", "aab", "abc", ""].map(matches), [true, true, false, false]);
    }

    #[test]
    fn takes_what_can_be_matched_in_linear_time() {
        for text in [r"^runtime\.(malloc|gc)", "(a+)+$", "größe", &"x".repeat(1_024)] {
            assert_eq!(FunctionPattern::try_from(text.to_owned()).unwrap().as_str(), text);
        }
        let long = FunctionPattern::try_from("x".repeat(1_025)).unwrap_err();
        assert_eq!(long.to_string(), "is 1025 bytes long, at most 1024 are allowed");
    }
}
