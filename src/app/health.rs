//! The health of this process: its own database and spool, and whether the server that its profiles come from can be read.
//! `/ready` asks for the former alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, get, web};
use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::json;

use super::access::AccessHealth;
use crate::http::{self, Code, Problem, Unreachable};
use crate::kernel::Clock;
use crate::sor::history::SpoolHealth;
use crate::storage::{Condition, Db, Health};

/// Where the health of a process is read: its database, and what its rooms have checked.
#[derive(Clone)]
pub(super) struct HealthSources {
    pub(super) db: Option<Db>,
    pub(super) checks: Vec<Arc<dyn HealthCheck>>,
}

/// How long a check may take that asks a database or another server.
pub(super) const CHECK_WITHIN: Duration = Duration::from_secs(2);

/// A check that a room adds to the health of the process.
#[async_trait]
pub(super) trait HealthCheck: Send + Sync {
    /// Its member of `checks`.
    fn name(&self) -> &'static str;

    /// How that part does.
    async fn check(&self) -> Check;

    /// Why no requests may be sent: for the caller, and for the log. `None` where that never happens.
    fn obstacle(&self) -> Option<(&'static str, String)> {
        None
    }
}

/// The health of a part of a process.
pub(super) struct Check {
    /// Whether it needs attention.
    pub(super) warn: bool,
    /// Its counts.
    pub(super) details: serde_json::Value,
}

/// How one part does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum CheckStatus {
    /// Well.
    Pass,
    /// It serves, but needs attention.
    Warn,
    /// It does not serve.
    Fail,
}

/// How the process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum Overall {
    /// All parts are well.
    Healthy,
    /// It serves, but needs attention.
    Degraded,
    /// It does not serve.
    Unhealthy,
}

/// The health of a process.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Health)]
struct HealthBody {
    /// How the process does.
    status: Overall,
    /// When it was looked at.
    #[schema(example = "2026-01-23T08:53:20.000Z")]
    timestamp: String,
    /// The version of the program.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// Its parts; those that this process does not have are absent.
    #[schema(value_type = Checks)]
    checks: BTreeMap<&'static str, serde_json::Value>,
}

/// The parts of a process.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it is the schema of a map")]
struct Checks {
    /// Its database.
    database: Option<DatabaseCheck>,
    /// Its spool of assessments on their way to the history.
    spool: Option<SpoolCheck>,
    /// The other server that its profiles come from.
    profiles: Option<SourceCheck>,
    /// Who may ask this process.
    auth: AccessCheck,
    /// The audit log, where it is kept here.
    audit: Option<AuditCheck>,
    /// What people are told of incidents, where it is kept here.
    notifications: Option<NotificationsCheck>,
    /// The evaluation of alert rules, where this process takes part in it.
    alerting: Option<AlertingCheck>,
    /// Operations and how long they took, where this process records them.
    performance: Option<PerformanceCheck>,
}

/// Operations and how long they took.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it is the schema of a check")]
struct PerformanceCheck {
    /// How it does: `warn` where own operations were dropped within 5 minutes, or an hour that ended 10 minutes ago is not
    /// rolled up.
    status: CheckStatus,
    /// What waits, and what is behind.
    details: PerformanceHealth,
}

/// How operations are recorded and rolled up.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(super) struct PerformanceHealth {
    /// Own operations that wait to be recorded; null where none are.
    #[schema(example = 0)]
    pub(super) queued: Option<usize>,
    /// Own operations that were dropped since the start; null where none are recorded.
    #[schema(example = 0)]
    pub(super) dropped: Option<u64>,
    /// Through when hours are rolled up; null before the first time, and where that cannot be read.
    pub(super) rolled_through: Option<DateTime<Utc>>,
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
pub(super) struct NotificationHealth {
    /// Channels that have taken nothing for 5 minutes; null where that cannot be read.
    #[schema(example = json!([]))]
    pub(super) failing: Option<Vec<String>>,
    /// Notifications that were given up in the last day.
    #[schema(example = 0)]
    pub(super) dead: Option<i64>,
    /// Notifications that wait for their channel.
    #[schema(example = 0)]
    pub(super) pending: Option<i64>,
    /// Why the file of channels is refused, and in which line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<String>,
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
pub(super) struct AlertingHealth {
    /// When the last round ended, if it went well; null if it did not, runs, or is not known.
    pub(super) last_round_at: Option<DateTime<Utc>>,
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
pub(super) struct AuditHealth {
    /// Entries; null where the log cannot be read.
    pub(super) unchained: Option<u64>,
    /// Seconds since the oldest of them.
    pub(super) oldest_age_seconds: Option<i64>,
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
pub(super) struct SourceHealth {
    /// Its host and port.
    #[schema(example = "pyroscope:4040")]
    pub(super) host: String,
    /// Whether its apps could be listed within the last 15 seconds.
    pub(super) reachable: bool,
    /// Where not: why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) class: Option<Unreachable>,
    /// Where not: what to check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<&'static str>,
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
struct DatabaseCheck {
    /// How it does.
    status: CheckStatus,
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

impl CheckStatus {
    fn of(condition: Condition) -> Self {
        match condition {
            Condition::Pass => Self::Pass,
            Condition::Warn => Self::Warn,
            Condition::Fail => Self::Fail,
        }
    }
}

impl DatabaseCheck {
    fn of(health: &Health) -> Self {
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

async fn database(sources: &HealthSources) -> Option<Health> {
    Some(sources.db.as_ref()?.health().await)
}

/// Whether requests may be sent here.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Ready {
    /// Always `ready`.
    #[schema(example = "ready")]
    status: &'static str,
}

/// Whether requests may be sent here.
///
/// Looks at this process's own database and schema, for at most two seconds, and whether its spool can be written;
/// never at other servers: a spool that is full because the history is away leaves it ready.
#[utoipa::path(
    tag = "health",
    responses(
        (status = 200, description = "Requests may be sent", body = Ready),
        (status = 503, description = "`not_ready`: not yet, or not now", body = Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
#[get("/ready")]
pub(super) async fn ready(sources: web::Data<HealthSources>) -> Result<HttpResponse, Problem> {
    let not_ready = |detail: &str, why: &dyn std::fmt::Display| {
        Err(Problem::new(Code::NotReady, detail).retry_after(1).because(why.to_string()))
    };
    if let Some(Health { reason: Some(reason), .. }) = database(&sources).await.filter(|health| !health.is_ready()) {
        return not_ready(&format!("the database is not ready: {}", reason.public), &reason.internal);
    }
    if let Some((told, why)) = sources.checks.iter().find_map(|check| check.obstacle()) {
        return not_ready(told, &why);
    }
    http::json(StatusCode::OK, &Ready { status: "ready" })
}

/// Reports the health of this process, part by part.
///
/// `healthy` and `degraded` are 200, `unhealthy` is 503 with the same body. A process without a database has no
/// `checks.database`.
#[utoipa::path(
    tag = "health",
    responses(
        (status = 200, description = "It serves", body = HealthBody),
        (status = 503, description = "It does not serve", body = HealthBody),
    ),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
#[get("/api/v1/health")]
pub(super) async fn detailed(
    sources: web::Data<HealthSources>,
    clock: web::Data<dyn Clock>,
) -> Result<HttpResponse, Problem> {
    let database = database(&sources).await;
    if let Some(Health { condition, reason: Some(reason), .. }) = &database {
        tracing::warn!(?condition, reason = reason.internal, "the database is not healthy");
    }
    let mut checks = BTreeMap::new();
    let mut worst = None;
    if let Some(check) = database.as_ref().map(DatabaseCheck::of) {
        worst = Some(check.status);
        checks.insert("database", json!(check));
    }
    for check in &sources.checks {
        let Check { warn, details } = check.check().await;
        let status = if warn { CheckStatus::Warn } else { CheckStatus::Pass };
        worst = worst.max(Some(status));
        checks.insert(check.name(), json!({"status": status, "details": details}));
    }
    let (status, code) = match worst {
        Some(CheckStatus::Fail) => (Overall::Unhealthy, StatusCode::SERVICE_UNAVAILABLE),
        Some(CheckStatus::Warn) => (Overall::Degraded, StatusCode::OK),
        Some(CheckStatus::Pass) | None => (Overall::Healthy, StatusCode::OK),
    };
    let timestamp = clock.now().to_rfc3339_opts(SecondsFormat::Millis, true);
    http::json(code, &HealthBody { status, timestamp, version: env!("CARGO_PKG_VERSION"), checks })
}

/// The health of a process as numbers. A process without a database has none of `database_*`.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names are those of the answer")]
struct HealthMetrics {
    /// Whether the database serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    database_healthy: Option<bool>,
    /// How long it took to answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    database_response_time_seconds: Option<f64>,
    /// Connections open.
    #[serde(skip_serializing_if = "Option::is_none")]
    database_open_connections: Option<u32>,
    /// The ones among them that are in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    database_in_use_connections: Option<u32>,
    /// The share of connections in use, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    database_utilization_percent: Option<f64>,
    /// How often a caller waited for a connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    database_wait_count: Option<u64>,
    /// How long callers waited, in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    database_wait_duration_seconds: Option<f64>,
}

/// Reports the health of this process in numbers.
///
/// Always 200: the numbers tell its health. A process without a database has none of `database_*`.
#[utoipa::path(tag = "health", responses((status = 200, description = "The numbers", body = HealthMetrics)), security(("bearer" = ["viewer"]), ("basic" = ["viewer"])))]
#[get("/metrics/health")]
pub(super) async fn numbers(sources: web::Data<HealthSources>) -> Result<HttpResponse, Problem> {
    let numbers = database(&sources).await.map_or_else(HealthMetrics::default, |health| HealthMetrics {
        database_healthy: Some(health.is_ready()),
        database_response_time_seconds: Some(health.response_time.as_secs_f64()),
        database_open_connections: Some(health.pool.open),
        database_in_use_connections: Some(health.pool.in_use),
        database_utilization_percent: Some(http_percent(health.pool.utilization_percent())),
        database_wait_count: Some(health.pool.wait_count),
        database_wait_duration_seconds: Some(health.pool.wait_duration.as_secs_f64()),
    });
    http::json(StatusCode::OK, &numbers)
}

fn http_percent(value: f64) -> f64 {
    crate::kernel::round2(value)
}
