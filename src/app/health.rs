//! The health of this process: its own database and spool, and whether the server that its profiles come from can be read.
//! `/ready` asks for the former alone.

mod checks;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, get, web};
use async_trait::async_trait;
use chrono::SecondsFormat;
use serde::Serialize;
use serde_json::json;

pub(super) use self::checks::{AlertingHealth, AuditHealth, NotificationHealth, PerformanceHealth, SourceHealth};
use self::checks::{CheckStatus, Checks, DatabaseCheck};
use crate::http::{self, Code, Problem};
use crate::kernel::Clock;
use crate::storage::{Db, Health};

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
