/// How severe a finding is. `High` is greatest.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum FindingSeverity {
    /// Worth knowing.
    Low,
    /// Worth a look this week.
    Medium,
    /// Worth getting up for.
    High,
}

impl FindingSeverity {
    /// The name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// How severe it is to exceed an approved limit. `Critical` is greatest.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum LimitSeverity {
    /// To be noted.
    Info,
    /// To be mended.
    Warning,
    /// To be mended now.
    Critical,
}

impl LimitSeverity {
    /// The name in answers and rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl std::str::FromStr for LimitSeverity {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "info" => Ok(Self::Info),
            "warning" => Ok(Self::Warning),
            "critical" => Ok(Self::Critical),
            other => Err(format!("unknown severity {other:?}: valid are info, warning, critical")),
        }
    }
}
