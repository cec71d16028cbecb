use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Why a text is no [`Tenant`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTenant {
    /// Empty, or too long.
    #[error("must be 1 to 150 characters long, is {0}")]
    Length(usize),
    /// Holds something else than it may.
    #[error("may hold letters, digits and !-_.*'() only, not {0:?}")]
    Character(char),
    /// What a path would take for a folder.
    #[error("must not be \".\" or \"..\"")]
    Dots,
}

/// A tenant of a source of profiles, as Pyroscope takes them: 1 to 150 ASCII letters, digits and `!-_.*'()`, neither `.`
/// nor `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(Arc<str>);

impl Tenant {
    /// Longest tenant, in characters.
    pub const MAX_CHARS: usize = 150;

    /// The tenant as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Tenant {
    /// The tenant of whoever names none: `anonymous`, as in Pyroscope.
    fn default() -> Self {
        Self("anonymous".into())
    }
}

impl FromStr for Tenant {
    type Err = InvalidTenant;

    fn from_str(text: &str) -> Result<Self, InvalidTenant> {
        if let Some(other) = text.chars().find(|c| !c.is_ascii_alphanumeric() && !"!-_.*'()".contains(*c)) {
            return Err(InvalidTenant::Character(other));
        }
        if text.is_empty() || text.len() > Self::MAX_CHARS {
            return Err(InvalidTenant::Length(text.len()));
        }
        if matches!(text, "." | "..") { Err(InvalidTenant::Dots) } else { Ok(Self(text.into())) }
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::empty("", InvalidTenant::Length(0))]
    #[case::long(&"x".repeat(151), InvalidTenant::Length(151))]
    #[case::blank("team a", InvalidTenant::Character(' '))]
    #[case::several("team-a|team-b", InvalidTenant::Character('|'))]
    #[case::path("a/b", InvalidTenant::Character('/'))]
    #[case::letter("größe", InvalidTenant::Character('ö'))]
    #[case::line("a\r\nb", InvalidTenant::Character('\r'))]
    #[case::here(".", InvalidTenant::Dots)]
    #[case::above("..", InvalidTenant::Dots)]
    fn refuses_what_pyroscope_would(#[case] text: &str, #[case] error: InvalidTenant) {
        assert_eq!(text.parse::<Tenant>(), Err(error));
    }

    #[rstest]
    #[case("anonymous")]
    #[case("Team-A_1.(x)*!'")]
    #[case("...")]
    #[case(&"x".repeat(150))]
    fn takes_what_pyroscope_takes(#[case] text: &str) {
        assert_eq!(text.parse::<Tenant>().unwrap().as_str(), text);
    }
}
