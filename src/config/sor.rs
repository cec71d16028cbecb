use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use super::reader::Reader;

/// The ending of keys that hold the address of a system of record.
const URL: &str = "_url";

/// Section `sor`: the addresses of systems of record in other processes. Any of its keys that ends with `_url` is such
/// an address, and its variable is the key in capitals: `baseline_url` and `BASELINE_URL`.
#[derive(Debug, Clone)]
pub struct SorSettings {
    urls: BTreeMap<String, Url>,
    /// Deadline of a call for profiles.
    pub timeout: Duration,
    /// Deadline of a call to any other.
    pub relational_timeout: Duration,
}

impl SorSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let keys: Vec<String> = url_keys(reader.keys()).map(str::to_owned).collect();
        let urls: Vec<_> = keys.into_iter().map(|key| (reader.url(&key), key)).collect();
        let timeout = reader.duration("sor.timeout");
        let relational_timeout = reader.duration("sor.relational_timeout");
        let mut known = BTreeMap::new();
        for (url, key) in urls {
            known.extend(url?.map(|url| (key.trim_start_matches("sor.").to_owned(), url)));
        }
        Some(Self { urls: known, timeout: timeout?, relational_timeout: relational_timeout? })
    }

    /// Every address that is set.
    #[cfg(test)]
    pub(super) fn urls(&self) -> impl Iterator<Item = &Url> {
        self.urls.values()
    }

    /// Where the system of record of a key listens, such as `baseline_url`; `None` where that is not set.
    pub fn url(&self, key: &str) -> Option<&Url> {
        self.urls.get(key)
    }
}

/// The keys that say where a system of record listens.
pub(super) fn url_keys<'k>(keys: impl Iterator<Item = &'k String>) -> impl Iterator<Item = &'k str> {
    keys.map(String::as_str).filter(|key| key.starts_with("sor.") && key.ends_with(URL))
}

/// The key that a variable names, if there is such a system of record.
pub(super) fn key_of<'k>(variable: &str, mut keys: impl Iterator<Item = &'k String>) -> Option<&'k str> {
    keys.find(|key| key.strip_prefix("sor.").is_some_and(|name| name.ends_with(URL) && name.to_uppercase() == variable))
        .map(String::as_str)
}
