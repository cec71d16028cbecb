use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Send profiles, and read nothing.
    Ingest,
    /// Read.
    Viewer,
    /// Read, send profiles, and change what the product keeps: limits, services, rules, silences.
    Editor,
    /// All that people may do.
    Admin,
    /// Another Flamewarden: everything, in the name of the caller that it announces.
    Service,
}

/// A text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be one of ingest, viewer, editor, admin, service")]
pub struct UnknownRole;

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Ingest, Self::Viewer, Self::Editor, Self::Admin, Self::Service];

    /// The name in files, headers and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
            Self::Service => "service",
        }
    }

    /// Whether a caller of this role may do what needs at least `needed`. Each role from viewer on includes the one
    /// before; editors send profiles too, but viewers do not, and who sends profiles does not read.
    pub fn may(self, needed: Self) -> bool {
        match needed {
            Self::Ingest => self != Self::Viewer,
            Self::Viewer => self != Self::Ingest,
            Self::Editor => matches!(self, Self::Editor | Self::Admin | Self::Service),
            Self::Admin => matches!(self, Self::Admin | Self::Service),
            Self::Service => self == Self::Service,
        }
    }

    /// The role of a caller with projects of its own, outside of routes that know projects: at most a viewer.
    #[must_use]
    pub fn outside_projects(self) -> Self {
        match self {
            Self::Editor | Self::Admin => Self::Viewer,
            Self::Ingest | Self::Viewer | Self::Service => self,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// One letter for each role that may, in the order ingest, viewer, editor, admin, service.
    #[rstest]
    #[case(Role::Ingest, "i-eas")]
    #[case(Role::Viewer, "-veas")]
    #[case(Role::Editor, "--eas")]
    #[case(Role::Admin, "---as")]
    #[case(Role::Service, "----s")]
    fn a_role_may_what_needs_at_most_it(#[case] needed: Role, #[case] expected: &str) {
        let letter = |role: Role| if role.may(needed) { &role.as_str()[..1] } else { "-" };
        assert_eq!(Role::ALL.map(letter).concat(), expected);
    }

    #[test]
    fn a_role_is_read_as_it_is_written() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        assert_eq!("Admin".parse::<Role>(), Err(UnknownRole));
    }
}
