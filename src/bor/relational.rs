//! What an answer says of a relational SOR that did not do its part.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why the fields of a SOR are absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Absence {
    /// The SOR is off in this process.
    Off,
    /// It did not do its work.
    Unavailable,
}

/// The state of a SOR after a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sor {
    Fine,
    Off,
    Unavailable,
}

impl Sor {
    pub(super) fn absence(self) -> Option<Absence> {
        match self {
            Self::Fine => None,
            Self::Off => Some(Absence::Off),
            Self::Unavailable => Some(Absence::Unavailable),
        }
    }
}
