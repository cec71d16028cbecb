//! The verdict on a change and on a whole diff.

/// The verdict on the change of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChangeVerdict {
    /// It takes more, beyond the load and beyond chance.
    Regressed,
    /// It takes less.
    Improved,
    /// Its work is done by a caller, a callee or its class now, or was before.
    Moved,
    /// The same code under another name.
    Renamed,
    /// It is compiled into its callers now, or it is a caller that holds such a function.
    Inlined,
    /// Within what chance and load explain.
    Noise,
    /// Too few samples to say.
    Insufficient,
}

impl ChangeVerdict {
    /// The name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Regressed => "regressed",
            Self::Improved => "improved",
            Self::Moved => "moved",
            Self::Renamed => "renamed",
            Self::Inlined => "inlined",
            Self::Noise => "noise",
            Self::Insufficient => "insufficient",
        }
    }
}

/// The verdict on a whole diff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiffVerdict {
    /// Some function regressed.
    Regressions,
    /// None did.
    NoRegressions,
    /// No change is significant, and the samples are too few to say that nothing changed.
    Insufficient,
    /// A window is empty, or the windows have no sample type in common.
    NoData,
}

impl DiffVerdict {
    /// The name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Regressions => "regressions",
            Self::NoRegressions => "no_regressions",
            Self::Insufficient => "insufficient",
            Self::NoData => "no_data",
        }
    }
}
