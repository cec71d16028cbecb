//! The channels that the operator has defined, and which of them a text means.

mod file;
mod resolve;

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

pub(super) use self::resolve::{Resolved, resolve};
use crate::config::{ChannelSource, InvalidFile, WatchedFile};
use crate::http::{Outward, OutwardSettings};
use crate::kernel::words;

/// How long a receiver may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How much of an answer is read, in bytes.
const MAX_ANSWER_BYTES: usize = 16 << 10;

/// The name of a channel: 1 to 63 letters, digits, `.`, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ChannelName(String);

/// A text is no [`ChannelName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 63 of the characters A to Z, a to z, 0 to 9, '.', '_' and '-'")]
pub struct InvalidChannelName;

impl ChannelName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ChannelName {
    type Error = InvalidChannelName;

    fn try_from(text: String) -> Result<Self, InvalidChannelName> {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if plain && (1..=63).contains(&text.len()) { Ok(Self(text)) } else { Err(InvalidChannelName) }
    }
}

impl FromStr for ChannelName {
    type Err = InvalidChannelName;

    fn from_str(text: &str) -> Result<Self, InvalidChannelName> {
        text.to_owned().try_into()
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

words! {
    /// What kind of receiver a channel is.
    ChannelKind:
    /// An incoming webhook of Slack.
    Slack = "slack",
    /// A receiver of Standard Webhooks.
    Webhook = "webhook",
    /// The Events API of PagerDuty.
    Pagerduty = "pagerduty",
    /// An Alertmanager, which is handed all alerts. No message goes to it.
    Alertmanager = "alertmanager",
}

impl ChannelKind {
    /// Whether a status of the receiver says that it took what was sent.
    pub(super) fn accepts(self, status: u16) -> bool {
        match self {
            Self::Slack | Self::Alertmanager => status == 200,
            Self::Webhook => (200..300).contains(&status),
            Self::Pagerduty => status == 202,
        }
    }
}

/// The secret of a channel.
#[derive(Debug, Clone)]
pub(super) enum ChannelSecret {
    /// There is none.
    None,
    /// The key that signs what is sent to a webhook.
    Signs(SigningKey),
    /// The routing key of PagerDuty.
    RoutingKey(SecretString),
}

/// The key that signs what is sent to a webhook. It is never shown.
#[derive(Clone)]
pub(super) struct SigningKey(pub(super) Vec<u8>);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(***)")
    }
}

/// A channel. Its address is never shown: it is a secret.
pub(super) struct Channel {
    pub(super) name: ChannelName,
    pub(super) kind: ChannelKind,
    pub(super) globs: Vec<String>,
    pub(super) secret: ChannelSecret,
    pub(super) outward: Outward,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// The client of a channel.
fn outward(base: Url, bearer: Option<&SecretString>) -> Result<Outward, reqwest::Error> {
    let authorization = bearer.map(crate::http::bearer);
    Outward::new(OutwardSettings { base, timeout: TIMEOUT, max_answer_bytes: MAX_ANSWER_BYTES, authorization })
}

/// The channels that are defined.
#[derive(Debug, Default)]
pub(super) struct ChannelSet {
    /// By name.
    pub(super) channels: Vec<Channel>,
    /// The one that takes what is meant for none of them.
    pub(super) default: Option<ChannelName>,
}

impl ChannelSet {
    /// The channel of that name.
    pub(super) fn get(&self, name: &ChannelName) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.name == *name)
    }

    /// Those that alerts are mirrored to.
    pub(super) fn mirrors(&self) -> impl Iterator<Item = &Channel> {
        self.channels.iter().filter(|channel| channel.kind == ChannelKind::Alertmanager)
    }

    /// The channels of settings: `slack`, which takes everything, and `alertmanager`.
    fn of_settings(
        slack: Option<&SecretString>,
        alertmanager: Option<&SecretString>,
    ) -> Result<Self, InvalidChannelSettings> {
        let channel = |name: &str, kind, address: &SecretString, globs| {
            let base = Url::parse(address.expose_secret())?;
            let name = name.parse()?;
            let outward = outward(base, None)?;
            Ok::<_, InvalidChannelSettings>(Channel { name, kind, globs, secret: ChannelSecret::None, outward })
        };
        let mirror = alertmanager.map(|url| channel("alertmanager", ChannelKind::Alertmanager, url, Vec::new()));
        let slack = slack.map(|url| channel("slack", ChannelKind::Slack, url, vec!["*".to_owned()])).transpose()?;
        let default = slack.as_ref().map(|channel| channel.name.clone());
        let channels = mirror.transpose()?.into_iter().chain(slack).collect();
        Ok(Self { channels, default })
    }
}

/// Why the channels of settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidChannelSettings {
    /// The address is none.
    #[error("an address of a channel cannot be read: {0}")]
    Address(#[from] url::ParseError),
    /// The name is none.
    #[error(transparent)]
    Name(#[from] InvalidChannelName),
    /// There is no client for it.
    #[error("no client for a channel: {0}")]
    Client(#[from] reqwest::Error),
}

/// The channels, which may change while the server runs.
#[derive(Debug)]
pub struct Channels(Origin);

#[derive(Debug)]
enum Origin {
    File(WatchedFile<ChannelSet>),
    Settings(std::sync::Arc<ChannelSet>),
}

impl Channels {
    /// The channels of these settings. A file is read.
    ///
    /// # Errors
    /// Says what is wrong with the file, and in which line.
    pub fn of(source: &ChannelSource) -> Result<Self, InvalidFile> {
        Ok(Self(match source {
            ChannelSource::File(path) => {
                Origin::File(WatchedFile::open(path.clone(), "channels", |path: &Path| file::read(path))?)
            }
            ChannelSource::Settings { slack, alertmanager } => {
                let set = ChannelSet::of_settings(slack.as_ref(), alertmanager.as_ref());
                Origin::Settings(set.map_err(|why| InvalidFile::TooLarge(why.to_string()))?.into())
            }
        }))
    }

    /// The channels that are defined now.
    pub(super) fn now(&self) -> std::sync::Arc<ChannelSet> {
        match &self.0 {
            Origin::File(file) => file.content(),
            Origin::Settings(set) => std::sync::Arc::clone(set),
        }
    }

    /// Whether they are in a file, which has to be read again.
    pub fn change(&self) -> bool {
        matches!(self.0, Origin::File(_))
    }

    /// Reads the file again, if it was changed. A bad one is refused as a whole, and the channels read before stay.
    pub fn reload(&self) {
        if let Origin::File(file) = &self.0 {
            file.reload();
        }
    }

    /// Why the file is refused now; `None` where it is good.
    pub fn problem(&self) -> Option<String> {
        if let Origin::File(file) = &self.0 { file.problem() } else { None }
    }
}
