use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::reader::Reader;
use crate::kernel::LimitSeverity;

/// Where the channels are defined.
#[derive(Debug, Clone)]
pub enum ChannelSource {
    /// In a file.
    File(PathBuf),
    /// In settings: at most one of each kind. The addresses are secret.
    Settings {
        /// The incoming webhook of a channel in Slack.
        slack: Option<SecretString>,
        /// An Alertmanager.
        alertmanager: Option<SecretString>,
    },
}

/// Section `notify`.
#[derive(Debug, Clone)]
pub struct NotifySettings {
    /// Where the channels are defined.
    pub channels: ChannelSource,
    /// The least severity that people are told of.
    pub from: LimitSeverity,
    /// How often they are told of what nobody looks after.
    pub repeat: Duration,
}

impl NotifySettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let file = reader.text("notify.channels_file").map(PathBuf::from);
        let slack = address(reader, "notify.slack_webhook_url");
        let alertmanager = address(reader, "notify.alertmanager_url");
        if file.is_some() {
            for (key, given) in [("notify.slack_webhook_url", &slack), ("notify.alertmanager_url", &alertmanager)] {
                if matches!(given, Some(Some(_))) {
                    reader.refuse(key, "must not be set together with notify.channels_file (CHANNELS_FILE)");
                }
            }
        }
        let from = reader.required("notify.from", "info, warning or critical", |text| text.parse().ok());
        let repeat = reader.duration("notify.repeat");
        let channels = match file {
            Some(path) => ChannelSource::File(path),
            None => ChannelSource::Settings { slack: slack?, alertmanager: alertmanager? },
        };
        Some(Self { channels, from: from?, repeat: repeat? })
    }
}

/// An address that nobody may see. Its path and query hold the secret.
#[expect(clippy::option_option, reason = "outer: whether the rule holds; inner: whether the key is set")]
fn address(reader: &mut Reader, key: &str) -> Option<Option<SecretString>> {
    reader.optional(key, "an http or https URL without user and password", |text| {
        let url = Url::parse(text).ok()?;
        let plain = url.username().is_empty() && url.password().is_none();
        let usable = plain && url.has_host() && matches!(url.scheme(), "http" | "https");
        usable.then(|| SecretString::from(text))
    })
}
