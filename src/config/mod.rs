//! Settings: compiled-in defaults, then a file, then environment variables; parsed and validated as a whole before
//! anything starts.
//!
//! Every key is in `config/default.toml`; a key that is not is refused. Each error names the key, where the value came
//! from, and the rule it breaks. All errors are reported at once.

mod alerts;
mod audit;
mod auth;
mod cost;
mod database;
mod env;
mod function;
mod history;
mod links;
mod log;
mod notify;
mod performance;
mod profiles;
mod pyroscope;
mod reader;
mod rules;
mod self_profile;
mod server;
mod sor;
mod sources;
mod spool;
mod store;
mod watched_file;

use std::path::Path;

pub use alerts::AlertsSettings;
pub use audit::AuditSettings;
pub use auth::{AdminToken, AuthMode, AuthSettings, GatewaySettings};
pub use cost::CostSettings;
pub use database::{ConnectTo, DatabaseSettings, Pooler, SslMode};
pub use function::{Functions, InvalidFunction};
pub use history::HistorySettings;
pub use links::LinksSettings;
pub use log::{LogFormat, LogSettings};
pub use notify::{ChannelSource, NotifySettings};
pub use performance::PerformanceSettings;
pub use profiles::ProfilesSettings;
pub use pyroscope::{Credentials, PyroscopeSettings};
pub use reader::{Effective, InvalidSettings, Origin, SettingError};
pub use rules::RulesSettings;
pub use self_profile::SelfProfileSettings;
pub use server::ServerSettings;
pub use sor::SorSettings;
pub use spool::{SpoolFsync, SpoolMode, SpoolSettings};
pub use store::StoreSettings;
pub use watched_file::{InvalidFile, Lines, WatchedFile, read_text, read_toml};

use reader::Reader;

/// The defaults, with every key and what it means.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");

/// All settings of a process.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its address, what it serves, where it keeps files.
    pub server: ServerSettings,
    /// Who may ask it for what.
    pub auth: AuthSettings,
    /// What it logs, and how.
    pub log: LogSettings,
    /// What profiles may take while they are read.
    pub profiles: ProfilesSettings,
    /// How long the embedded store keeps profiles.
    pub store: StoreSettings,
    /// The Pyroscope server it reads.
    pub pyroscope: PyroscopeSettings,
    /// Systems of record in other processes.
    pub sor: SorSettings,
    /// Its database.
    pub database: DatabaseSettings,
    /// How long the history is kept.
    pub history: HistorySettings,
    /// How alert rules are evaluated.
    pub alerts: AlertsSettings,
    /// How long the audit log is kept.
    pub audit: AuditSettings,
    /// Whom to tell of incidents, and of which.
    pub notify: NotifySettings,
    /// How long operations are kept.
    pub performance: PerformanceSettings,
    /// How assessments wait for the history.
    pub spool: SpoolSettings,
    /// Where the rules come from.
    pub rules: RulesSettings,
    /// What answers in money are computed with.
    pub cost: CostSettings,
    /// Where answers link to.
    pub links: LinksSettings,
    /// Whether it profiles itself.
    pub self_profile: SelfProfileSettings,
}

impl Settings {
    /// The settings of this file, if any, and these environment variables, with what each key came to be. `functions` are
    /// the values that `FUNCTION` may hold.
    ///
    /// # Errors
    /// Every complaint about them.
    pub fn load(
        functions: &[&'static str],
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(Self, Vec<Effective>), InvalidSettings> {
        let mut reader = Reader::new(sources::collect(file, environment)?);
        let settings = Self::read(&mut reader, functions);
        let effective = reader.finish()?;
        let settings = settings.ok_or_else(InvalidSettings::unexplained)?;
        Ok((settings, effective))
    }

    /// The settings of the environment variables of this process.
    ///
    /// # Errors
    /// Every complaint about them.
    pub fn of_process(
        functions: &[&'static str],
        file: Option<&Path>,
    ) -> Result<(Self, Vec<Effective>), InvalidSettings> {
        Self::of_process_with(functions, file, Vec::new())
    }

    /// The same, with values that replace those of the environment.
    ///
    /// # Errors
    /// Every complaint about them.
    pub fn of_process_with(
        functions: &[&'static str],
        file: Option<&Path>,
        given: Vec<(&str, String)>,
    ) -> Result<(Self, Vec<Effective>), InvalidSettings> {
        let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
        let of_process = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
        let kept: Vec<_> = of_process.filter(|(name, _)| !given.iter().any(|(key, _)| env::sets(name, key))).collect();
        let given = given.into_iter().map(|(key, value)| (env::long_name(key), value));
        Self::load(functions, file, kept.into_iter().chain(given))
    }

    fn read(reader: &mut Reader, functions: &[&'static str]) -> Option<Self> {
        // All are read before any is used, so that all errors are reported.
        let server = ServerSettings::read(reader, functions);
        let auth = AuthSettings::read(reader);
        let log = LogSettings::read(reader);
        let profiles = ProfilesSettings::read(reader);
        let store = StoreSettings::read(reader);
        let pyroscope = PyroscopeSettings::read(reader);
        let sor = SorSettings::read(reader);
        let database = DatabaseSettings::read(reader);
        let history = HistorySettings::read(reader);
        let alerts = AlertsSettings::read(reader);
        let audit = AuditSettings::read(reader);
        let notify = NotifySettings::read(reader);
        let performance = PerformanceSettings::read(reader);
        let spool = SpoolSettings::read(reader);
        let rules = RulesSettings::read(reader);
        let cost = CostSettings::read(reader);
        let links = LinksSettings::read(reader);
        let self_profile = SelfProfileSettings::read(reader);
        if let Some(server) = &server {
            server.refuse_own_urls(reader);
        }
        Some(Self {
            server: server?,
            auth: auth?,
            log: log?,
            profiles: profiles?,
            store: store?,
            pyroscope: pyroscope?,
            sor: sor?,
            database: database?,
            history: history?,
            alerts: alerts?,
            audit: audit?,
            notify: notify?,
            performance: performance?,
            spool: spool?,
            rules: rules?,
            cost: cost?,
            links: links?,
            self_profile: self_profile?,
        })
    }
}

#[cfg(test)]
mod tests;
