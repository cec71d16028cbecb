//! What a process serves: the values of `FUNCTION`. The caller that reads the settings gives the list of values.

use std::fmt;

/// Why a text is not a list of functions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFunction {
    /// No such function.
    #[error("holds the unknown value {name:?}: valid are all, or a comma-separated list of {known}")]
    Unknown {
        /// The value.
        name: String,
        /// The functions that exist.
        known: String,
    },
    /// Nothing between two commas.
    #[error("holds an empty value: valid are all, or a comma-separated list of {known}")]
    Empty {
        /// The functions that exist.
        known: String,
    },
    /// `all` and others.
    #[error("holds \"all\" beside other values: \"all\" stands alone")]
    AllAndMore,
    /// Both versions of a function.
    #[error("holds two versions of one function, {0} and {1}: choose one")]
    TwoVersions(&'static str, &'static str),
}

/// What a process serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Functions {
    /// In the order of the known functions.
    names: Vec<&'static str>,
    all: bool,
}

/// The name without its version: `ReadPyroscopeTriageAssessment` of `ReadPyroscopeTriageAssessment.v2`.
fn without_version(name: &str) -> &str {
    name.rsplit_once(".v").map_or(name, |(family, _)| family)
}

impl Functions {
    /// Everything there is, in its newest version, which stands last.
    pub fn all(known: &[&'static str]) -> Self {
        let is_newest = |at: usize, name: &str| {
            known.iter().skip(at + 1).all(|later| without_version(later) != without_version(name))
        };
        let names = known.iter().enumerate().filter(|(at, name)| is_newest(*at, name)).map(|(_, name)| *name);
        Self { names: names.collect(), all: true }
    }

    /// Reads the value of `FUNCTION`: empty or `all`, or a comma-separated list of existing functions. Names are
    /// trimmed, repetitions are merged.
    ///
    /// # Errors
    /// Why the text is no such list.
    pub fn parse(text: &str, known: &[&'static str]) -> Result<Self, InvalidFunction> {
        let given: Vec<&str> = text.split(',').map(str::trim).collect();
        if matches!(given.as_slice(), ["" | "all"]) {
            return Ok(Self::all(known));
        }
        if given.contains(&"all") {
            return Err(InvalidFunction::AllAndMore);
        }
        for name in &given {
            if name.is_empty() {
                return Err(InvalidFunction::Empty { known: known.join(", ") });
            }
            if !known.contains(name) {
                return Err(InvalidFunction::Unknown { name: (*name).to_owned(), known: known.join(", ") });
            }
        }
        let names: Vec<_> = known.iter().copied().filter(|name| given.contains(name)).collect();
        for (at, name) in names.iter().enumerate() {
            if let Some(other) = names.iter().skip(at + 1).find(|other| without_version(other) == without_version(name))
            {
                return Err(InvalidFunction::TwoVersions(name, other));
            }
        }
        Ok(Self { names, all: false })
    }

    /// Whether everything is served.
    pub fn is_all(&self) -> bool {
        self.all
    }

    /// Whether this one is served.
    pub fn serve(&self, name: &str) -> bool {
        self.names.contains(&name)
    }

    /// How many are served.
    pub fn count(&self) -> usize {
        self.names.len()
    }
}

impl fmt::Display for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.all { f.write_str("all") } else { f.write_str(&self.names.join(",")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const KNOWN: &[&str] = &["Profile.sor.v1", "Baseline.sor.v1", "Triage.v1", "Triage.v2"];

    #[rstest]
    #[case("", "all")]
    #[case(" all ", "all")]
    #[case("Profile.sor.v1", "Profile.sor.v1")]
    #[case(" Triage.v1 , Baseline.sor.v1,Baseline.sor.v1", "Baseline.sor.v1,Triage.v1")]
    fn reads_trimmed_lists_without_repeats(#[case] text: &str, #[case] shown: &str) {
        assert_eq!(Functions::parse(text, KNOWN).unwrap().to_string(), shown);
    }

    #[rstest]
    #[case(
        "nonsense",
        "unknown value \"nonsense\": valid are all, or a comma-separated list of Profile.sor.v1, Baseline"
    )]
    #[case("profile.sor.v1", "unknown value")]
    #[case("Triage.v1,Triage.v2", "two versions of one function, Triage.v1 and Triage.v2")]
    #[case("Triage.v2,Triage.v1", "two versions of one function")]
    #[case("all,Profile.sor.v1", "stands alone")]
    #[case("Profile.sor.v1,", "empty value")]
    fn refuses_with_a_reason(#[case] text: &str, #[case] reason: &str) {
        let error = Functions::parse(text, KNOWN).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }

    #[test]
    fn all_is_everything_in_its_newest_version() {
        let all = Functions::all(KNOWN);
        assert_eq!(
            (all.names.as_slice(), all.is_all()),
            (&["Profile.sor.v1", "Baseline.sor.v1", "Triage.v2"][..], true)
        );
    }
}
