use std::collections::BTreeMap;
use std::io::Write;

use rstest::rstest;

use super::*;

fn load(file: Option<&str>, variables: &[(&str, &str)]) -> Result<(Settings, Vec<Effective>), String> {
    let written = file.map(|text| {
        let mut written = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        written.write_all(text.as_bytes()).unwrap();
        written
    });
    let path = written.as_ref().map(|written| written.path().to_owned());
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let result = Settings::load(&crate::app::functions(), path.as_deref(), variables);
    result.map_err(|error| match path {
        Some(path) => error.to_string().replace(&path.display().to_string(), "FILE"),
        None => error.to_string(),
    })
}

const TOKEN: &str = "tttttttttttttttttttttttttttttttt";
const DIGEST: &str = "sha256:8408c6d2a7b286b16d526315e5e8216cf36a7148cdbbd6e064762cd75ec5ae66";

#[test]
fn tokens_of_settings_are_never_shown() {
    let (settings, effective) = load(None, &[("ADMIN_TOKEN", TOKEN), ("SERVICE_TOKEN", &"s".repeat(32))]).unwrap();
    let shown = format!("{settings:?}{effective:?}");
    assert!(!shown.contains(TOKEN) && !shown.contains(&"s".repeat(32)), "{shown}");
    assert_eq!(settings.auth.admin_token.unwrap().digest().to_string(), DIGEST);
}

#[test]
fn defaults_need_nothing() {
    let (settings, effective) = load(None, &[]).unwrap();
    assert_eq!((settings.server.port, settings.server.host.to_string()), (8080, "127.0.0.1".to_owned()));
    assert!(settings.server.functions.is_all());
    assert!(matches!(settings.database.connect_to, ConnectTo::Embedded));
    assert_eq!(settings.database.max_lifetime.as_secs(), 300);
    assert_eq!((settings.history.retention_days, settings.history.repeats_every), (None, None));
    assert_eq!(settings.audit.retention_days, None);
    assert_eq!(settings.spool.max_bytes, 64 << 20);
    assert_eq!((settings.store.retention_days, settings.store.rollup_days), (7, 90));
    assert_eq!(settings.rules.quiet_cores.to_bits(), crate::verdict::Rules::builtin().quiet_cores().to_bits());
    assert_eq!(settings.profiles.inflate_budget, crate::profile::Budget::default().bytes());
    assert!(effective.iter().all(|row| row.origin == Origin::Default));
}

#[test]
fn variables_override_the_file_and_the_file_overrides_defaults() {
    let file = "[server]\nport = 1\nhost = \"0.0.0.0\"\n[log]\nformat = \"json\"";
    let (settings, effective) = load(Some(file), &[("PORT", "9000"), ("FLAMEWARDEN__SPOOL__FSYNC", "always")]).unwrap();
    assert_eq!((settings.server.port, settings.server.host.to_string()), (9000, "0.0.0.0".to_owned()));
    assert_eq!((settings.log.format, settings.spool.fsync), (Some(LogFormat::Json), SpoolFsync::Always));
    let port = effective.iter().find(|row| row.key == "server.port").unwrap();
    assert_eq!(port.origin.to_string(), "the environment variable PORT");
}

#[test]
fn an_empty_variable_is_not_set() {
    let (settings, _) = load(None, &[("PORT", ""), ("PYROSCOPE_URL", "")]).unwrap();
    assert_eq!((settings.server.port, settings.pyroscope.url), (8080, None));
}

#[test]
fn both_names_of_a_key_must_agree() {
    let (settings, _) = load(None, &[("DB_POOL_SIZE", "7"), ("DB_MAX_OPEN_CONNS", "7")]).unwrap();
    assert_eq!(settings.database.pool_size, Some(7));
    let error = load(None, &[("DB_POOL_SIZE", "7"), ("DB_MAX_OPEN_CONNS", "8")]).unwrap_err();
    assert!(error.contains("database.pool_size (from the environment variable DB_POOL_SIZE) is also set by the environment variable DB_MAX_OPEN_CONNS"), "{error}");
}

#[test]
fn every_short_name_sets_a_key_that_exists() {
    for (name, key) in env::NAMES {
        let defaults = sources::collect(None, []).unwrap();
        assert!(defaults.contains_key(*key), "{name} sets {key}");
    }
    let defaults = sources::collect(None, []).unwrap();
    assert!(env::SECRET_KEYS.iter().all(|key| defaults.contains_key(*key)));
}

#[rstest]
#[case(Some("[server]\nprot = 1"), &[], "server.prot (from the file FILE) is unknown: keys of [server] are data_dir, function, host, port, public_url, shutdown_timeout, workers")]
#[case(Some("[srever]\nport = 1"), &[], "srever.port (from the file FILE) is unknown: sections are alerts, audit, auth, cost, database, history")]
#[case(Some("server = 1"), &[], "server (from the file FILE) is unknown")]
#[case(Some("port"), &[], "the settings (from the file FILE)")]
#[case(None, &[("FLAMEWARDEN__SERVER__PROT", "1")], "server.prot (from the environment variable FLAMEWARDEN__SERVER__PROT) is unknown")]
#[case(None, &[("PORT", "80800")], "server.port (from the environment variable PORT) must be a whole number from 0 to 65535")]
#[case(Some("[server]\nport = \"x\""), &[], "server.port (from the file FILE) must be a whole number")]
#[case(None, &[("HOST", "example")], "server.host (from the environment variable HOST) must be an IP address")]
#[case(None, &[("FUNCTION", "x")], "server.function (from the environment variable FUNCTION) holds the unknown value \"x\"")]
#[case(None, &[("PROFILE_RETENTION_DAYS", "367")], "store.retention_days (from the environment variable PROFILE_RETENTION_DAYS) must be a whole number from 1 to 366")]
#[case(None, &[("PROFILE_ROLLUP_DAYS", "6")], "store.rollup_days (from the environment variable PROFILE_ROLLUP_DAYS) must not be under store.retention_days, 7")]
#[case(None, &[("HISTORY_RETENTION_DAYS", "0")], "history.retention_days (from the environment variable HISTORY_RETENTION_DAYS) must be a whole number from 1 to 36500")]
#[case(None, &[("AUDIT_RETENTION_DAYS", "89")], "audit.retention_days (from the environment variable AUDIT_RETENTION_DAYS) must be a whole number from 90 to 36500")]
#[case(None, &[("HISTORY_REPEATS_EVERY", "25h")], "history.repeats_every (from the environment variable HISTORY_REPEATS_EVERY) must be a duration from 1ms to 24h")]
#[case(None, &[("QUIET_CORES", "-0.1")], "rules.quiet_cores (from the environment variable QUIET_CORES) must be a number of cores that is not negative")]
#[case(None, &[("QUIET_CORES", "inf")], "must be a number of cores that is not negative")]
#[case(None, &[("QUIET_CORES", "NaN")], "must be a number of cores that is not negative")]
#[case(None, &[("QUIET_CORES", "few")], "must be a number of cores that is not negative")]
#[case(None, &[("COST_PER_CORE_HOUR", "-1")], "cost.per_core_hour (from the environment variable COST_PER_CORE_HOUR) must be a number, 0 or more: units of money per core and hour")]
#[case(None, &[("COST_PER_CORE_HOUR", "4 cents")], "cost.per_core_hour (from the environment variable COST_PER_CORE_HOUR) must be a number")]
#[case(None, &[("AUTH", "maybe")], "auth.mode (from the environment variable AUTH) must be auto, required or open")]
#[case(None, &[("AUTH", "required")], "auth.mode (from the environment variable AUTH) lets nobody in: set ADMIN_TOKEN")]
#[case(None, &[("ADMIN_TOKEN", "short")], "must be 32 characters or more")]
#[case(None, &[("ADMIN_TOKEN", "SHA256:ba7816bf8f01cfea414140de5dae2223b00361a3")], "must be 32 characters or more, or sha256: and 64")]
#[case(None, &[("TRUSTED_PROXIES", "::ffff:10.0.0.0/104")], "must be networks, comma-separated")]
#[case(None, &[("FLAMEWARDEN__AUTH__USER_HEADER", "X-Role")], "must differ from auth.role_header")]
#[case(None, &[("SERVICE_TOKEN", DIGEST)], "must be 32 characters or more, not a digest")]
#[case(None, &[("ADMIN_TOKEN", DIGEST), ("SERVICE_TOKEN", TOKEN)], "must not be the same as auth.admin_token")]
#[case(None, &[("TRUSTED_PROXIES", "10.0.0.0/8, gateway")], "must be networks, comma-separated")]
#[case(None, &[("FLAMEWARDEN__AUTH__GATEWAY_ROLE", "service")], "must be one of ingest, viewer, editor, admin")]
#[case(None, &[("FLAMEWARDEN__AUTH__USER_HEADER", "X User")], "must be the name of a header")]
#[case(None, &[("LOG_FORMAT", "xml")], "must be text or json")]
#[case(None, &[("DB_QUERY_TIMEOUT", "30")], "must be a duration")]
#[case(None, &[("DB_QUERY_TIMEOUT", "30M")], "must be a duration")]
#[case(None, &[("PYROSCOPE_URL", "localhost:4040")], "must be an http or https URL")]
#[case(None, &[("BASELINE_URL", "http://user:pass@other")], "must be an http or https URL without credentials")]
#[case(None, &[("PYROSCOPE_TOKEN", "t")], "pyroscope.token (from the environment variable PYROSCOPE_TOKEN) has no use without")]
#[case(None, &[("DB_HOST", "db")], "database.name (from the default) (DB_NAME) must be set, as DB_HOST is")]
#[case(None, &[("DB_NAME", "n"), ("DB_USER", "u"), ("DB_PASSWORD", "p")], "(DB_HOST) must be set, as DB_NAME, DB_USER, DB_PASSWORD is")]
#[case(None, &[("DATABASE_URL", "postgres://a/b"), ("DB_HOST", "db")], "database.host (from the environment variable DB_HOST) must not be set together with database.url (DATABASE_URL)")]
#[case(None, &[("DB_PORT", "1")], "has no use without database.host (DB_HOST)")]
#[case(None, &[("DB_POOLER", "session")], "database.pooler (from the environment variable DB_POOLER) must be none or transaction")]
#[case(None, &[("DB_POOLER", "transaction")], "database.pooler (from the environment variable DB_POOLER) has no use without database.url (DATABASE_URL) or database.host (DB_HOST)")]
#[case(None, &[("DATABASE_URL", "mysql://a/b")], "must be a URL such as postgres://")]
#[case(None, &[("RULES_DIR", "x"), ("FLAMEWARDEN__RULES__DIR", "/does/not/exist")], "must be a directory that exists")]
fn a_complaint_names_key_source_and_rule(
    #[case] file: Option<&str>,
    #[case] variables: &[(&str, &str)],
    #[case] expected: &str,
) {
    let error = load(file, variables).unwrap_err();
    assert!(error.contains(expected), "{error}");
}

#[rstest]
#[case("127.0.0.1", "BASELINE_URL", "http://localhost:8080", true)]
#[case("127.0.0.1", "PYROSCOPE_URL", "http://127.0.0.1:8080/prefix", true)]
#[case("127.0.0.1", "PROFILE_DATA_URL", "http://127.0.0.1:8081", false)]
#[case("127.0.0.1", "HISTORY_URL", "http://10.0.0.1:8080", false)]
#[case("0.0.0.0", "HISTORY_URL", "http://127.0.0.1:8080", true)]
#[case("10.0.0.1", "HISTORY_URL", "http://10.0.0.1:8080", true)]
#[case("10.0.0.1", "HISTORY_URL", "http://localhost:8080", false)]
fn the_url_of_this_very_listener_is_refused(
    #[case] host: &str,
    #[case] variable: &str,
    #[case] url: &str,
    #[case] refused: bool,
) {
    let result = load(None, &[("HOST", host), (variable, url)]);
    assert_eq!(result.is_err(), refused);
    assert!(result.err().unwrap_or_default().ends_with(if refused { "itself listens on" } else { "" }));
}

#[test]
fn all_complaints_come_at_once() {
    let error = load(None, &[("PORT", "x"), ("LOG_LEVEL", "=,="), ("SPOOL", "tape")]).unwrap_err();
    assert_eq!(error.lines().count(), 4, "{error}");
}

#[test]
fn secrets_are_hidden() {
    let secrets =
        [("DATABASE_URL", "postgres://u:hunter2@h/d"), ("PYROSCOPE_URL", "http://p"), ("PYROSCOPE_TOKEN", "hunter2")];
    let (settings, effective) = load(None, &secrets).unwrap();
    assert!(!format!("{settings:?} {effective:?}").contains("hunter2"));
    assert!(effective.iter().any(|row| row.key == "database.url" && row.value == "***"));
}

#[test]
fn every_example_of_a_deployment_is_understood() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples");
    let mut listening = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let (settings, _) =
            Settings::load(&crate::app::functions(), Some(&path), []).unwrap_or_else(|error| panic!("{error}"));
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if name.starts_with("split-") {
            let other = listening.insert(settings.server.port, name.clone());
            assert_eq!(other, None, "{name} listens where another does");
            for url in settings.sor.urls() {
                assert_ne!(url.port(), Some(settings.server.port), "{name} asks itself");
            }
        }
    }
    assert!(listening.len() >= 6, "{listening:?}");
}

/// The rows of the README's table of settings: variable and default.
fn documented() -> Vec<(String, String)> {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (_, chapter) = readme.split_once("\n## Settings\n").unwrap();
    let chapter = chapter.split("\n## ").next().unwrap();
    let rows = chapter.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        (cells[1].trim_matches('`').to_owned(), cells[2].to_owned())
    })
    .collect()
}

/// Every variable: the short name of a key, or else its long one; and the variables of the command line.
fn variables() -> BTreeMap<String, Option<String>> {
    let keys = sources::collect(None, []).unwrap();
    let mut all: BTreeMap<_, _> = crate::cli::variables().into_iter().map(|name| (name, None)).collect();
    for (key, raw) in keys {
        let mut names: Vec<_> = env::NAMES.iter().filter(|(_, of)| *of == key).map(|(n, _)| (*n).to_owned()).collect();
        let sors = key.strip_prefix("sor.").filter(|key| key.ends_with("_url"));
        names.extend(sors.map(str::to_uppercase));
        if names.is_empty() {
            names.push(format!("{}{}", env::PREFIX, key.replace('.', "__").to_uppercase()));
        }
        all.extend(names.into_iter().map(|name| (name, Some(raw.text.clone()))));
    }
    all
}

#[test]
fn the_readme_lists_every_variable_and_no_other() {
    let mut listed: Vec<_> = documented().into_iter().map(|(name, _)| name).collect();
    listed.sort();
    assert_eq!(listed, variables().into_keys().collect::<Vec<_>>());
}

#[test]
fn the_readme_tells_the_defaults_that_hold() {
    let variables = variables();
    for (name, told) in documented() {
        if let Some(default) = variables[&name].as_ref().filter(|default| !default.is_empty()) {
            assert_eq!(told, format!("`{default}`"), "{name}");
        }
    }
}
