//! Where a system of record is.

use url::Url;

use crate::config::Settings;

/// Where a system of record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// Nowhere. Decisions that use it say so in their answers.
    Off,
    /// In this process, in its database.
    Local,
    /// In a Pyroscope server, which this process reads.
    Pyroscope(Url),
    /// In another Flamewarden.
    Remote(Url),
}

/// What the settings say about a system of record.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    /// Where it listens, if not here.
    pub(super) url: Option<&'a Url>,
    /// Whether its routes are served.
    pub(super) served: bool,
    /// The first function served that cannot do without it.
    pub(super) needed_by: Option<&'static str>,
    /// Whether a decision that is served works with it.
    pub(super) wanted: bool,
}

/// Why nothing can be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlan {
    /// Something needs profiles, and there is no source of them.
    #[error(
        "{0} needs profiles and has no source of them: set PROFILE_DATA_URL to another Flamewarden, or PYROSCOPE_URL to \
         a Pyroscope server, or add ReadPyroscopeProfile.sor.v1 to FUNCTION"
    )]
    NoProfiles(&'static str),
}

/// Where a relational system of record is: remote where its address is set and somebody uses it, else local where its
/// routes are served, else off.
#[expect(clippy::unnecessary_wraps, reason = "others may refuse")]
pub(super) fn relational(_: &Settings, asked: &Asked<'_>) -> Result<Placement, InvalidPlan> {
    Ok(match asked.url {
        Some(url) if asked.served || asked.wanted || asked.needed_by.is_some() => Placement::Remote(url.clone()),
        None if asked.served => Placement::Local,
        _ => Placement::Off,
    })
}

/// For a system of record that needs no warnings beside those that hold for all.
pub(super) fn nothing_to_add(_: &Settings, _: &Placement, _: &Asked<'_>) -> Vec<String> {
    Vec::new()
}
