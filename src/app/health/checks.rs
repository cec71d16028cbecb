//! The parts of a process that are checked, as answers and their documentation have them.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::app::access::AccessHealth;
use crate::http::Unreachable;
use crate::sor::history::SpoolHealth;
use crate::storage::{Condition, Health};

/// How one part does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum CheckStatus {
    /// Well.
    Pass,
    /// It serves, but needs attention.
    Warn,
    /// It does not serve.
    Fail,
}

impl CheckStatus {
    fn of(condition: Condition) -> Self {
        match condition {
            Condition::Pass => Self::Pass,
            Condition::Warn => Self::Warn,
            Condition::Fail => Self::Fail,
        }
    }
}

/// The parts of a process.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it is the schema of a map")]
pub(super) struct Checks {
    /// Its database.
    database: Option<DatabaseCheck>,
    /// Its spool of assessments on their way to the history.
    spool: Option<SpoolCheck>,
    /// The other server that its profiles come from.
    profiles: Option<SourceCheck>,
    /// Who may ask this process.
    auth: AccessCheck,
    /// The audit log, if this process keeps it.
    audit: Option<AuditCheck>,
    /// Messages about incidents, if this process keeps them.
    notifications: Option<NotificationsCheck>,
    /// The evaluation of alert rules, if this process takes part in it.
    alerting: Option<AlertingCheck>,
    /// Whether this process can record its own operations; absent if it does not record them.
    performance: Option<PerformanceCheck>,
}

/// Operations and how long they took.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it is the schema of a check")]
struct PerformanceCheck {
    /// How it does: `warn` where own operations were dropped within 5 minutes, or an hour that ended 10 minutes ago is not
    /// rolled up.
    status: CheckStatus,
    /// Rows that wait to be written, and how far rollups are behind.
    details: PerformanceHealth,
}

/// How operations are recorded and rolled up.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(in crate::app) struct PerformanceHealth {
    /// Own operations that wait to be recorded; null where none are.
    #[schema(example = 0)]
    pub(in crate::app) queued: Option<usize>,
    /// Own operations that were dropped since the start; null where none are recorded.
    #[schema(example = 0)]
    pub(in crate::app) dropped: Option<u64>,
    /// The end of the last hour that is rolled up; null if none is yet, or if it cannot be read.
    pub(in crate::app) rolled_through: Option<DateTime<Utc>>,
}

/// What people are told of incidents.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it is the schema of a check")]
struct NotificationsCheck {
    /// How it does: `warn` where a channel has taken nothing for 5 minutes, notifications were given up in the last day, the
    /// file of channels is refused, or none of that can be read.
    status: CheckStatus,
    /// What does not arrive.
    details: NotificationHealth,
}

/// Whether notifications arrive.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(in crate::app) struct NotificationHealth {
    /// Channels that have taken nothing for 5 minutes; null where that cannot be read.
    #[schema(example = json!([]))]
    pub(in crate::app) failing: Option<Vec<String>>,
    /// Notifications that were given up in the last day.
    #[schema(example = 0)]
    pub(in crate::app) dead: Option<i64>,
    /// Notifications that wait for their channel.
    #[schema(example = 0)]
    pub(in crate::app) pending: Option<i64>,
    /// Why the file of channels is refused, and in which line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::app) problem: Option<String>,
}

/// The evaluation of alert rules.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it is the schema of a check")]
struct AlertingCheck {
    /// How it does: `warn` where no round has gone well for over three minutes.
    status: CheckStatus,
    /// The last round.
    details: AlertingHealth,
}

/// When alert rules were evaluated last.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(in crate::app) struct AlertingHealth {
    /// When the last round ended, if it went well; null if it did not, runs, or is not known.
    pub(in crate::app) last_round_at: Option<DateTime<Utc>>,
}

/// Who may ask a process.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it is the schema of a check")]
struct AccessCheck {
    /// How it does: `warn` while the file of tokens is refused and the tokens read before stay.
    status: CheckStatus,
    /// Its counts.
    details: AccessHealth,
}

/// The audit log.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it is the schema of a check")]
struct AuditCheck {
    /// How it does: `warn` where an entry has not been chained for over a minute, or the log cannot be read.
    status: CheckStatus,
    /// What is not chained yet.
    details: AuditHealth,
}

/// Which part of the audit log is not chained yet.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(in crate::app) struct AuditHealth {
    /// Entries; null where the log cannot be read.
    pub(in crate::app) unchained: Option<u64>,
    /// Seconds since the oldest of them.
    pub(in crate::app) oldest_age_seconds: Option<i64>,
}

/// The server that profiles come from.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it is the schema of a check")]
struct SourceCheck {
    /// How it does: `warn` where it cannot be read.
    status: CheckStatus,
    /// Where it is, and why it cannot be read.
    details: SourceHealth,
}

/// Whether the server that profiles come from can be read.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(in crate::app) struct SourceHealth {
    /// Its host and port.
    #[schema(example = "pyroscope:4040")]
    pub(in crate::app) host: String,
    /// Whether its apps could be listed within the last 15 seconds.
    pub(in crate::app) reachable: bool,
    /// Where not: why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::app) class: Option<Unreachable>,
    /// Where not: what to check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::app) detail: Option<&'static str>,
}

/// The spool of a process.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it is the schema of a check")]
struct SpoolCheck {
    /// How it does: `warn` while assessments cannot be written to it, or wait for a history that does not take them.
    status: CheckStatus,
    /// Its counts.
    details: SpoolHealth,
}

/// The database of a process.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct DatabaseCheck {
    /// How it does.
    pub(super) status: CheckStatus,
    /// How long it took to answer.
    response_time_ms: f64,
    /// The pool of connections.
    details: PoolDetails,
}

/// The pool of connections.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct PoolDetails {
    /// Connections open.
    open_connections: u32,
    /// The idle ones among them.
    idle_connections: u32,
    /// The ones among them that are in use.
    in_use_connections: u32,
    /// How often a caller waited for a connection.
    wait_count: u64,
}

impl DatabaseCheck {
    pub(super) fn of(health: &Health) -> Self {
        Self {
            status: CheckStatus::of(health.condition),
            response_time_ms: health.response_time.as_secs_f64() * 1_000.0,
            details: PoolDetails {
                open_connections: health.pool.open,
                idle_connections: health.pool.idle,
                in_use_connections: health.pool.in_use,
                wait_count: health.pool.wait_count,
            },
        }
    }
}
