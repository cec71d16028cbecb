use std::fmt;
use std::str::FromStr;

use super::{InvalidName, Text255};

/// How an actor was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccessMethod {
    /// By a token of its own.
    Token,
    /// By a gateway in front of the server.
    Gateway,
    /// Not at all: the server is open.
    Open,
    /// Another Flamewarden that names no actor.
    Service,
    /// By the link of a shared dashboard.
    ShareToken,
    /// It is the server itself.
    System,
}

impl AccessMethod {
    const ALL: [Self; 6] = [Self::Token, Self::Gateway, Self::Open, Self::Service, Self::ShareToken, Self::System];

    /// The name in headers and rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Gateway => "gateway",
            Self::Open => "open",
            Self::Service => "service",
            Self::ShareToken => "share_token",
            Self::System => "system",
        }
    }
}

/// Who acts, and how that is known. Written `method:name`, such as `token:ci`, `open:local` or `system:spool`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Actor {
    /// How it was recognised.
    pub method: AccessMethod,
    /// Its name: 1 to 255 bytes.
    pub name: Text255,
}

/// Why a text does not name an actor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidActor {
    /// No colon, or no known method before it.
    #[error("must be method:name with one of the methods token, gateway, open, service, share_token, system")]
    Method,
    /// The name cannot be kept.
    #[error("the actor's name {0}")]
    Name(#[from] InvalidName),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.method.as_str(), self.name)
    }
}

impl FromStr for Actor {
    type Err = InvalidActor;

    fn from_str(text: &str) -> Result<Self, InvalidActor> {
        let (method, name) = text.split_once(':').ok_or(InvalidActor::Method)?;
        let known = AccessMethod::ALL.into_iter().find(|known| known.as_str() == method);
        Ok(Self { method: known.ok_or(InvalidActor::Method)?, name: name.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("token:ci")]
    #[case("gateway:ana@example.com")]
    #[case("system:spool")]
    #[case("share_token:a:b")]
    fn reads_what_it_writes(#[case] text: &str) {
        assert_eq!(text.parse::<Actor>().unwrap().to_string(), text);
    }

    #[rstest]
    #[case("ci", "must be method:name")]
    #[case("root:ci", "must be method:name")]
    #[case("token:", "the actor's name must not be empty")]
    #[case(&format!("token:{}", "x".repeat(256)), "is 256 bytes long, at most 255 are allowed")]
    fn refuses_what_names_no_actor(#[case] text: &str, #[case] why: &str) {
        let error = text.parse::<Actor>().unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}
