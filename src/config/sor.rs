use std::time::Duration;

use url::Url;

use super::reader::Reader;

/// Section `sor`: where systems of record listen that are not in this process.
#[derive(Debug, Clone)]
pub struct SorSettings {
    /// Profile data.
    pub profile_data_url: Option<Url>,
    /// Baselines.
    pub baseline_url: Option<Url>,
    /// History.
    pub history_url: Option<Url>,
    /// Registry.
    pub registry_url: Option<Url>,
    /// Alert rules.
    pub alert_rule_url: Option<Url>,
    /// Deadline of a call for profiles.
    pub timeout: Duration,
    /// Deadline of a call to any other.
    pub relational_timeout: Duration,
}

impl SorSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let profile_data_url = reader.url("sor.profile_data_url");
        let baseline_url = reader.url("sor.baseline_url");
        let history_url = reader.url("sor.history_url");
        let registry_url = reader.url("sor.registry_url");
        let alert_rule_url = reader.url("sor.alert_rule_url");
        let timeout = reader.duration("sor.timeout");
        let relational_timeout = reader.duration("sor.relational_timeout");
        Some(Self {
            profile_data_url: profile_data_url?,
            baseline_url: baseline_url?,
            history_url: history_url?,
            registry_url: registry_url?,
            alert_rule_url: alert_rule_url?,
            timeout: timeout?,
            relational_timeout: relational_timeout?,
        })
    }
}
