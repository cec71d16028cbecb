//! Why a decision was not made.

use crate::kernel::{AppName, PortError};

/// Why a decision was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody knows the app.
    #[error("no profile of {:?} was ever seen", .0.as_str())]
    AppUnknown(AppName),
    /// Nothing could be read, or judged.
    #[error(transparent)]
    Profiles(#[from] PortError),
}

impl Refusal {
    /// The refusal where nothing could be read: a timeout only if all timed out, overload only if all were refused for
    /// it, else the first failure that says more.
    pub(super) fn all_failed(errors: &[&PortError]) -> Self {
        let chosen = errors
            .iter()
            .find(|e| matches!(e, PortError::Denied(_)))
            .or_else(|| errors.iter().find(|e| !matches!(e, PortError::Timeout(_) | PortError::Overloaded { .. })))
            .or_else(|| errors.first().filter(|first| errors.iter().all(|e| same_case(e, first))));
        Self::Profiles(match chosen {
            Some(error) => (**error).clone(),
            None => PortError::Unavailable("some calls timed out, others were refused".to_owned()),
        })
    }
}

fn same_case(a: &PortError, b: &PortError) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn error(case: &str) -> PortError {
        match case {
            "timeout" => PortError::Timeout(String::new()),
            "denied" => PortError::Denied(String::new()),
            "overloaded" => PortError::Overloaded { detail: String::new(), retry_after_s: 3 },
            _ => PortError::Unavailable(String::new()),
        }
    }

    #[rstest]
    #[case(&["timeout", "timeout"], "timeout")]
    #[case(&["timeout", "unavailable"], "unavailable")]
    #[case(&["unavailable", "denied"], "denied")]
    #[case(&["overloaded", "overloaded"], "overloaded")]
    #[case(&["overloaded", "timeout"], "unavailable")]
    fn chooses_what_says_most_where_all_failed(#[case] cases: &[&str], #[case] chosen: &str) {
        let errors: Vec<_> = cases.iter().map(|case| error(case)).collect();
        let Refusal::Profiles(refused) = Refusal::all_failed(&errors.iter().collect::<Vec<_>>()) else {
            panic!("an app is not unknown because it cannot be read")
        };
        assert!(same_case(&refused, &error(chosen)), "{refused:?}");
    }
}
