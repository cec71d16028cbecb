//! The short names of environment variables.

/// Name of a variable and the key it sets. Those of the systems of record follow from their keys.
pub(super) const NAMES: &[(&str, &str)] = &[
    ("HOST", "server.host"),
    ("PORT", "server.port"),
    ("PUBLIC_URL", "server.public_url"),
    ("FUNCTION", "server.function"),
    ("DATA_DIR", "server.data_dir"),
    ("AUTH", "auth.mode"),
    ("AUTH_TOKENS_FILE", "auth.tokens_file"),
    ("ADMIN_TOKEN", "auth.admin_token"),
    ("SERVICE_TOKEN", "auth.service_token"),
    ("TRUSTED_PROXIES", "auth.trusted_proxies"),
    ("LOG_LEVEL", "log.level"),
    ("LOG_FORMAT", "log.format"),
    ("PROFILE_RETENTION_DAYS", "store.retention_days"),
    ("PROFILE_ROLLUP_DAYS", "store.rollup_days"),
    ("PYROSCOPE_URL", "pyroscope.url"),
    ("PYROSCOPE_TENANT", "pyroscope.tenant"),
    ("PYROSCOPE_BASIC_AUTH", "pyroscope.basic_auth"),
    ("PYROSCOPE_TOKEN", "pyroscope.token"),
    ("PYROSCOPE_TIMEOUT", "pyroscope.timeout"),
    ("SOR_TIMEOUT", "sor.timeout"),
    ("DATABASE_URL", "database.url"),
    ("DB_HOST", "database.host"),
    ("DB_PORT", "database.port"),
    ("DB_NAME", "database.name"),
    ("DB_USER", "database.user"),
    ("DB_PASSWORD", "database.password"),
    ("DB_SSLMODE", "database.sslmode"),
    ("DB_POOLER", "database.pooler"),
    ("DB_POOL_SIZE", "database.pool_size"),
    ("DB_MAX_OPEN_CONNS", "database.pool_size"),
    ("DB_MAX_IDLE_CONNS", "database.max_idle"),
    ("DB_CONN_MAX_LIFETIME", "database.max_lifetime"),
    ("DB_CONN_MAX_IDLE_TIME", "database.max_idle_time"),
    ("DB_CONNECT_TIMEOUT", "database.connect_timeout"),
    ("DB_QUERY_TIMEOUT", "database.query_timeout"),
    ("MIGRATE", "database.migrate"),
    ("HISTORY_RETENTION_DAYS", "history.retention_days"),
    ("HISTORY_REPEATS_EVERY", "history.repeats_every"),
    ("ALERTS", "alerts.enabled"),
    ("ALERT_BASELINES", "alerts.baselines"),
    ("ALERT_MAX_PAIRS", "alerts.max_pairs"),
    ("ALERT_RETENTION_DAYS", "alerts.retention_days"),
    ("AUDIT_RETENTION_DAYS", "audit.retention_days"),
    ("PERF_RETENTION_DAYS", "performance.retention_days"),
    ("PERF_ROLLUP_DAYS", "performance.rollup_days"),
    ("SELF_RECORD", "performance.self_record"),
    ("CHANNELS_FILE", "notify.channels_file"),
    ("SLACK_WEBHOOK_URL", "notify.slack_webhook_url"),
    ("ALERTMANAGER_URL", "notify.alertmanager_url"),
    ("ALERT_NOTIFY_FROM", "notify.from"),
    ("ALERT_REPEAT", "notify.repeat"),
    ("SPOOL", "spool.mode"),
    ("SPOOL_FSYNC", "spool.fsync"),
    ("SPOOL_MAX_BYTES", "spool.max_bytes"),
    ("QUIET_CORES", "rules.quiet_cores"),
    ("COST_PER_CORE_HOUR", "cost.per_core_hour"),
    ("SELF_PROFILE", "self_profile.enabled"),
];

/// Prefix of the variables that name any key: `FLAMEWARDEN__SECTION__KEY`.
pub(super) const PREFIX: &str = "FLAMEWARDEN__";

/// Keys whose values are never shown.
pub(super) const SECRET_KEYS: &[&str] = &[
    "auth.admin_token",
    "auth.service_token",
    "notify.slack_webhook_url",
    "notify.alertmanager_url",
    "pyroscope.basic_auth",
    "pyroscope.token",
    "database.url",
    "database.password",
];

/// The variable that sets a key by its long name.
pub(super) fn long_name(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

/// Whether a variable sets a key.
pub(super) fn sets(name: &str, key: &str) -> bool {
    NAMES.contains(&(name, key)) || name.eq_ignore_ascii_case(&long_name(key))
}
