//! Reads keys as typed values and gathers every error.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::env;
use crate::kernel::parse_duration;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `config/default.toml`, compiled in.
    Default,
    /// A file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Variable(name) => write!(f, "the environment variable {name}"),
        }
    }
}

/// One value as it was written.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub(super) text: String,
    pub(super) origin: Origin,
}

/// One complaint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} (from {origin}) {rule}")]
pub struct SettingError {
    /// The key.
    pub key: String,
    /// Where its value came from.
    pub origin: Origin,
    /// What is wrong, and what is right.
    pub rule: String,
}

/// Every error in the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSettings(Vec<SettingError>);

impl InvalidSettings {
    pub(super) fn new(errors: Vec<SettingError>) -> Self {
        Self(errors)
    }

    pub(super) fn unexplained() -> Self {
        let rule = "could not be read".to_owned();
        Self(vec![SettingError { key: "the settings".to_owned(), origin: Origin::Default, rule }])
    }

    /// The complaints, by key.
    pub fn errors(&self) -> &[SettingError] {
        &self.0
    }
}

impl fmt::Display for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings are invalid")?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

impl std::error::Error for InvalidSettings {}

/// What a key came to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The key.
    pub key: String,
    /// Its value; `***` for a secret that is set.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// Gives the values of keys.
pub(super) struct Reader {
    values: BTreeMap<String, Raw>,
    errors: Vec<SettingError>,
}

const DURATION: &str = "a duration from 1ms to 24h such as 30s, 5m, 1h30m";

fn short_duration(text: &str) -> Option<Duration> {
    let range = Duration::from_millis(1)..=Duration::from_hours(24);
    parse_duration(text).filter(|duration| range.contains(duration))
}

#[expect(clippy::option_option, reason = "outer: whether the rule holds; inner: whether the key is set")]
impl Reader {
    pub(super) fn new(values: BTreeMap<String, Raw>) -> Self {
        Self { values, errors: Vec::new() }
    }

    /// The value and origin of each key, or every error.
    pub(super) fn finish(mut self) -> Result<Vec<Effective>, InvalidSettings> {
        if !self.errors.is_empty() {
            self.errors.sort_by(|a, b| a.key.cmp(&b.key));
            return Err(InvalidSettings(self.errors));
        }
        let shown = |key: &str, text: String| {
            let hidden = !text.is_empty() && env::SECRET_KEYS.contains(&key);
            if hidden { "***".to_owned() } else { text }
        };
        Ok(self
            .values
            .into_iter()
            .map(|(key, raw)| Effective { value: shown(&key, raw.text), key, origin: raw.origin })
            .collect())
    }

    /// Every key.
    pub(super) fn keys(&self) -> impl Iterator<Item = &String> {
        self.values.keys()
    }

    /// Notes that the value of a key breaks a rule.
    pub(super) fn refuse(&mut self, key: &str, rule: impl Into<String>) {
        let origin = self.values.get(key).map_or(Origin::Default, |raw| raw.origin.clone());
        self.errors.push(SettingError { key: key.to_owned(), origin, rule: rule.into() });
    }

    /// Whether a file or a variable sets this key to something.
    pub(super) fn is_given(&self, key: &str) -> bool {
        self.values.get(key).is_some_and(|raw| raw.origin != Origin::Default && !raw.text.is_empty())
    }

    /// The text of a key; `None` where it is empty.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        let Some(raw) = self.values.get(key) else {
            self.refuse(key, "has no default");
            return None;
        };
        Some(raw.text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// A value that may be unset: outer `None` if it breaks the rule.
    pub(super) fn optional<T>(&mut self, key: &str, rule: &str, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
        let Some(text) = self.text(key) else { return Some(None) };
        if let Some(value) = read(&text) {
            return Some(Some(value));
        }
        self.refuse(key, format!("must be {rule}"));
        None
    }

    /// A value that must be set.
    pub(super) fn required<T>(&mut self, key: &str, rule: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let value = self.optional(key, rule, read)?;
        if value.is_none() {
            self.refuse(key, format!("must be {rule}"));
        }
        value
    }

    /// A whole number in a range.
    pub(super) fn number<T>(&mut self, key: &str, range: RangeInclusive<T>) -> Option<T>
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        let rule = format!("a whole number from {} to {}", range.start(), range.end());
        self.required(key, &rule, |text| text.parse().ok().filter(|number| range.contains(number)))
    }

    /// A whole number in a range that may be unset.
    pub(super) fn optional_number<T>(&mut self, key: &str, range: RangeInclusive<T>) -> Option<Option<T>>
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        let rule = format!("a whole number from {} to {}", range.start(), range.end());
        self.optional(key, &rule, |text| text.parse().ok().filter(|number| range.contains(number)))
    }

    /// A duration of 1 ms to 1 day.
    pub(super) fn duration(&mut self, key: &str) -> Option<Duration> {
        self.required(key, DURATION, short_duration)
    }

    /// A duration of 1 ms to 1 day that may be unset.
    pub(super) fn optional_duration(&mut self, key: &str) -> Option<Option<Duration>> {
        self.optional(key, DURATION, short_duration)
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &str) -> Option<bool> {
        self.required(key, "true or false", |text| text.parse().ok())
    }

    /// An address of another server, without credentials and query.
    pub(super) fn url(&mut self, key: &str) -> Option<Option<Url>> {
        self.optional(key, "an http or https URL without credentials, query and fragment", |text| {
            let url = Url::parse(text).ok()?;
            let plain = url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none();
            (plain && url.has_host() && matches!(url.scheme(), "http" | "https")).then_some(url)
        })
    }

    /// A secret.
    pub(super) fn secret(&mut self, key: &str) -> Option<SecretString> {
        self.text(key).map(SecretString::from)
    }
}
