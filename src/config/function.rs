//! What a process serves: the values of `FUNCTION`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::kernel::Version;

/// One thing a process can serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function {
    /// `/profiles/*`
    ProfileData,
    /// `/baselines*`
    Baseline,
    /// `/history*`
    History,
    /// `/services*`
    Registry,
    /// `/rules*`
    AlertRule,
    /// `/triage/*`
    Triage(Version),
    /// `/diff/*`
    Diff(Version),
    /// `/search`, `/fleet/hotspots`
    Fleet(Version),
}

impl Function {
    const ALL: [Self; 11] = [
        Self::ProfileData,
        Self::Baseline,
        Self::History,
        Self::Registry,
        Self::AlertRule,
        Self::Triage(Version::V1),
        Self::Triage(Version::V2),
        Self::Diff(Version::V1),
        Self::Diff(Version::V2),
        Self::Fleet(Version::V1),
        Self::Fleet(Version::V2),
    ];

    /// Its value in `FUNCTION`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ProfileData => "ReadPyroscopeProfile.sor.v1",
            Self::Baseline => "ReadPyroscopeBaseline.sor.v1",
            Self::History => "CreatePyroscopeTriageHistory.sor.v1",
            Self::Registry => "ReadPyroscopeServiceRegistry.sor.v1",
            Self::AlertRule => "ReadPyroscopeAlertRule.sor.v1",
            Self::Triage(Version::V1) => "ReadPyroscopeTriageAssessment.v1",
            Self::Triage(Version::V2) => "ReadPyroscopeTriageAssessment.v2",
            Self::Diff(Version::V1) => "ReadPyroscopeDiffReport.v1",
            Self::Diff(Version::V2) => "ReadPyroscopeDiffReport.v2",
            Self::Fleet(Version::V1) => "ReadPyroscopeFleetSearch.v1",
            Self::Fleet(Version::V2) => "ReadPyroscopeFleetSearch.v2",
        }
    }

    /// The contract of a decision; `None` for what holds data.
    pub fn version(self) -> Option<Version> {
        match self {
            Self::Triage(version) | Self::Diff(version) | Self::Fleet(version) => Some(version),
            _ => None,
        }
    }

    /// The same decision under the other contract.
    fn other_version(self) -> Option<Self> {
        let other = |version| if version == Version::V1 { Version::V2 } else { Version::V1 };
        match self {
            Self::Triage(version) => Some(Self::Triage(other(version))),
            Self::Diff(version) => Some(Self::Diff(other(version))),
            Self::Fleet(version) => Some(Self::Fleet(other(version))),
            _ => None,
        }
    }

    /// Whether it keeps rows in PostgreSQL.
    pub fn is_relational(self) -> bool {
        matches!(self, Self::Baseline | Self::History | Self::Registry | Self::AlertRule)
    }
}

/// Why a text is no list of functions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFunction {
    /// No such function.
    #[error("holds the unknown value {0:?}: valid are all, or a comma-separated list of {names}", names = names())]
    Unknown(String),
    /// Nothing between two commas.
    #[error("holds an empty value: valid are all, or a comma-separated list of {names}", names = names())]
    Empty,
    /// `all` and others.
    #[error("holds \"all\" beside other values: \"all\" stands alone")]
    AllAndMore,
    /// Both versions of a decision.
    #[error("holds two versions of one function, {0} and {1}: choose one")]
    TwoVersions(&'static str, &'static str),
}

fn names() -> String {
    Function::ALL.map(Function::as_str).join(", ")
}

/// What a process serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Functions {
    set: BTreeSet<Function>,
    all: bool,
}

impl Functions {
    /// Everything, in its newest version.
    pub fn all() -> Self {
        let set = Function::ALL.into_iter().filter(|f| f.version() != Some(Version::V1)).collect();
        Self { set, all: true }
    }

    /// Whether everything is served.
    pub fn is_all(&self) -> bool {
        self.all
    }

    /// Whether this one is served.
    pub fn serve(&self, function: Function) -> bool {
        self.set.contains(&function)
    }

    /// Which triage is served, if any.
    pub fn triage(&self) -> Option<Version> {
        [Version::V2, Version::V1].into_iter().find(|version| self.serve(Function::Triage(*version)))
    }

    /// Which diff report is served, if any.
    pub fn diff(&self) -> Option<Version> {
        [Version::V2, Version::V1].into_iter().find(|version| self.serve(Function::Diff(*version)))
    }

    /// Which fleet search is served, if any.
    pub fn fleet(&self) -> Option<Version> {
        [Version::V2, Version::V1].into_iter().find(|version| self.serve(Function::Fleet(*version)))
    }

    /// The decisions that are served: they read profiles.
    pub fn decisions(&self) -> impl Iterator<Item = Function> {
        self.iter().filter(|function| function.version().is_some())
    }

    /// Whether a decision is served that holds an app against its limits and is kept in its history.
    pub fn decide_with_records(&self) -> bool {
        self.triage() == Some(Version::V2) || self.diff() == Some(Version::V2)
    }

    /// Whether a decision is served that asks the registry.
    pub fn decide_with_registry(&self) -> bool {
        self.decisions().any(|function| function.version() == Some(Version::V2))
    }

    /// What is served, in the order of the documentation.
    pub fn iter(&self) -> impl Iterator<Item = Function> {
        self.set.iter().copied()
    }

    /// How many are served.
    pub fn count(&self) -> usize {
        self.set.len()
    }
}

impl FromStr for Functions {
    type Err = InvalidFunction;

    fn from_str(text: &str) -> Result<Self, InvalidFunction> {
        let names: Vec<&str> = text.split(',').map(str::trim).collect();
        if matches!(names.as_slice(), ["" | "all"]) {
            return Ok(Self::all());
        }
        if names.contains(&"all") {
            return Err(InvalidFunction::AllAndMore);
        }
        let set = names.into_iter().map(one).collect::<Result<BTreeSet<_>, _>>()?;
        let twice = |function: &Function| {
            let other = function.other_version().filter(|other| set.contains(other))?;
            Some(InvalidFunction::TwoVersions(function.as_str(), other.as_str()))
        };
        if let Some(error) = set.iter().find_map(twice) {
            return Err(error);
        }
        Ok(Self { set, all: false })
    }
}

fn one(name: &str) -> Result<Function, InvalidFunction> {
    if name.is_empty() {
        return Err(InvalidFunction::Empty);
    }
    let known = Function::ALL.into_iter().find(|function| function.as_str() == name);
    known.ok_or_else(|| InvalidFunction::Unknown(name.to_owned()))
}

impl fmt::Display for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.all {
            return f.write_str("all");
        }
        f.write_str(&self.set.iter().map(|function| function.as_str()).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("", "all")]
    #[case(" all ", "all")]
    #[case("ReadPyroscopeProfile.sor.v1", "ReadPyroscopeProfile.sor.v1")]
    #[case(
        " CreatePyroscopeTriageHistory.sor.v1 , ReadPyroscopeBaseline.sor.v1,ReadPyroscopeBaseline.sor.v1",
        "ReadPyroscopeBaseline.sor.v1,CreatePyroscopeTriageHistory.sor.v1"
    )]
    fn reads_trimmed_lists_without_repeats(#[case] text: &str, #[case] shown: &str) {
        assert_eq!(text.parse::<Functions>().unwrap().to_string(), shown);
    }

    #[rstest]
    #[case(
        "nonsense",
        "unknown value \"nonsense\": valid are all, or a comma-separated list of ReadPyroscopeProfile.sor.v1"
    )]
    #[case("readpyroscopeprofile.sor.v1", "unknown value")]
    #[case("ReadPyroscopeFleetSearch.v1,ReadPyroscopeFleetSearch.v2", "two versions of one function")]
    #[case("ReadPyroscopeDiffReport.v2,ReadPyroscopeDiffReport.v1", "two versions of one function")]
    #[case("all,ReadPyroscopeProfile.sor.v1", "stands alone")]
    #[case("ReadPyroscopeProfile.sor.v1,", "empty value")]
    #[case("ReadPyroscopeTriageAssessment.v1,ReadPyroscopeTriageAssessment.v2", "two versions of one function")]
    fn refuses_with_a_reason(#[case] text: &str, #[case] reason: &str) {
        let error = text.parse::<Functions>().unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }

    #[test]
    fn all_is_everything_in_its_newest_version() {
        let all = Functions::all();
        assert_eq!(all.count(), 8);
        assert_eq!([all.triage(), all.diff(), all.fleet()], [Some(Version::V2); 3]);
    }
}
