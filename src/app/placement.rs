//! Where a system of record is.

use std::net::IpAddr;

use url::Url;

use crate::config::Settings;

/// Where a system of record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// Off. Decisions that use it say so in their answers.
    Off,
    /// In this process, in its database.
    Local,
    /// In a Pyroscope server, which this process reads.
    Pyroscope(Url),
    /// In another Flamewarden.
    Remote(Url),
}

/// What the settings ask of a system of record.
#[derive(Debug)]
pub(super) struct Demand<'a> {
    /// Its address, if it is in another process.
    pub(super) url: Option<&'a Url>,
    /// Whether its routes are served.
    pub(super) served: bool,
    /// The first served function that cannot work without it.
    pub(super) needed_by: Option<&'static str>,
    /// Whether a served decision uses it.
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
    /// Something needs a system of record that is off.
    #[error(
        "{function} needs {title}: set {variable} to another Flamewarden that keeps them, or add {value} to FUNCTION"
    )]
    Missing {
        /// What needs it.
        function: &'static str,
        /// The name of the system of record for people.
        title: &'static str,
        /// The variable with its address.
        variable: String,
        /// The function that serves it.
        value: &'static str,
    },
    /// The server would listen beyond this machine, and nothing says who may ask it.
    #[error(
        "listening on {0} without authentication: set ADMIN_TOKEN, AUTH_TOKENS_FILE or TRUSTED_PROXIES; or AUTH=open, if \
         whoever reaches the port may read and write"
    )]
    NobodyKnown(IpAddr),
}

/// The placement of a relational system of record: remote if its address is set and it is used, local if its routes are
/// served, off otherwise.
#[expect(clippy::unnecessary_wraps, reason = "others may refuse")]
pub(super) fn relational(_: &Settings, demand: &Demand<'_>) -> Result<Placement, InvalidPlan> {
    Ok(match demand.url {
        Some(url) if demand.served || demand.wanted || demand.needed_by.is_some() => Placement::Remote(url.clone()),
        None if demand.served => Placement::Local,
        _ => Placement::Off,
    })
}

/// The warnings of a system of record that has none of its own.
pub(super) fn nothing_to_add(_: &Settings, _: &Placement, _: &Demand<'_>) -> Vec<String> {
    Vec::new()
}
