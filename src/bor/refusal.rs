//! Why a decision was not made.

use crate::kernel::{AppName, Call, Clock, PortError};
use crate::sor::profile_data::{ProfileDataSor, near_apps};

/// Why a decision was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The app is unknown.
    #[error("no profiles of the app {:?} are known", app.as_str())]
    AppUnknown {
        /// The app.
        app: AppName,
        /// The apps that may have been meant, the nearest first.
        near: Vec<AppName>,
    },
    /// Nothing could be read, or judged.
    #[error(transparent)]
    Profiles(#[from] PortError),
}

impl Refusal {
    /// The refusal of an unknown app, with the apps that may have been meant.
    pub(super) async fn unknown(profiles: &dyn ProfileDataSor, call: &Call, app: &AppName, clock: &dyn Clock) -> Self {
        let near = near_apps(profiles, call, (None, app), clock.now()).await;
        Self::AppUnknown { app: app.clone(), near }
    }

    /// The refusal if nothing could be read: a timeout only if all timed out, overload only if all were refused for it,
    /// else the first failure that says more.
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
