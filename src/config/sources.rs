//! Gathers the values of every key, each with its origin.

use std::collections::BTreeMap;
use std::path::Path;

use config::{Config, File, FileFormat, Source, Value, ValueKind};

use super::reader::{InvalidSettings, Origin, Raw, SettingError};
use super::{env, sor};

/// The value of every key, from its last source.
pub(super) fn collect(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<BTreeMap<String, Raw>, InvalidSettings> {
    let mut errors = Vec::new();
    let mut values = layer(&File::from_str(super::DEFAULTS, FileFormat::Toml), &Origin::Default)
        .map_err(|error| InvalidSettings::new(vec![error]))?;
    if let Some(path) = file {
        let origin = Origin::File(path.to_owned());
        match layer(&File::from(path).format(FileFormat::Toml), &origin) {
            Ok(given) => merge(&mut values, given, &mut errors),
            Err(error) => errors.push(error),
        }
    }
    let given = variables(environment, &values, &mut errors);
    merge(&mut values, given, &mut errors);
    if errors.is_empty() { Ok(values) } else { Err(InvalidSettings::new(errors)) }
}

fn merge(values: &mut BTreeMap<String, Raw>, given: BTreeMap<String, Raw>, errors: &mut Vec<SettingError>) {
    for (key, raw) in given {
        match values.get_mut(&key) {
            Some(value) => *value = raw,
            None => errors.push(SettingError { rule: unknown(&key, values), key, origin: raw.origin }),
        }
    }
}

fn unknown(key: &str, values: &BTreeMap<String, Raw>) -> String {
    let section = key.split('.').next().unwrap_or("");
    let prefix = format!("{section}.");
    let known: Vec<&str> = values.keys().filter_map(|known| known.strip_prefix(&prefix)).collect();
    if known.is_empty() {
        let mut sections: Vec<&str> = values.keys().filter_map(|known| known.split('.').next()).collect();
        sections.dedup();
        return format!("is unknown: sections are {}", sections.join(", "));
    }
    format!("is unknown: keys of [{section}] are {}", known.join(", "))
}

/// One layer as flat keys such as `server.port`.
fn layer(
    source: &(impl Source + Clone + Send + Sync + 'static),
    origin: &Origin,
) -> Result<BTreeMap<String, Raw>, SettingError> {
    let fault = |rule: String| SettingError { key: "the settings".to_owned(), origin: origin.clone(), rule };
    let read = Config::builder().add_source(source.clone()).build().map_err(|error| fault(error.to_string()))?;
    let mut flat = BTreeMap::new();
    flatten("", &read.cache, origin, &mut flat);
    Ok(flat)
}

fn flatten(prefix: &str, value: &Value, origin: &Origin, flat: &mut BTreeMap<String, Raw>) {
    if let ValueKind::Table(table) = &value.kind {
        for (name, value) in table {
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            flatten(&key, value, origin, flat);
        }
    } else {
        flat.insert(prefix.to_owned(), Raw { text: value.to_string(), origin: origin.clone() });
    }
}

/// The keys that variables set. An empty variable is not set.
fn variables(
    environment: impl IntoIterator<Item = (String, String)>,
    known: &BTreeMap<String, Raw>,
    errors: &mut Vec<SettingError>,
) -> BTreeMap<String, Raw> {
    let mut given: BTreeMap<String, Raw> = BTreeMap::new();
    let mut sorted: Vec<_> = environment.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    sorted.sort();
    for (name, text) in sorted {
        let short = env::NAMES.iter().find(|(known, _)| *known == name).map(|(_, key)| (*key).to_owned());
        let short = short.or_else(|| sor::key_of(&name, known.keys()).map(str::to_owned));
        let long = || name.strip_prefix(env::PREFIX).map(|rest| rest.to_ascii_lowercase().replace("__", "."));
        let Some(key) = short.or_else(long) else { continue };
        let raw = Raw { text, origin: Origin::Variable(name) };
        match given.get(&key) {
            Some(other) if other.text != raw.text => {
                let rule = format!("is also set by {}, to another value", other.origin);
                errors.push(SettingError { key, origin: raw.origin, rule });
            }
            _ => {
                given.insert(key, raw);
            }
        }
    }
    given
}
