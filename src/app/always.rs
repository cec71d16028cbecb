//! The paths that every process serves, whatever its function.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, Responder, get, web};
use serde::Serialize;

use super::health::{self, HealthSources};
use crate::http::{self, Problem, Routes};
use crate::identity;
use crate::telemetry::Metrics;

/// Opens the paths.
pub(super) fn routes(routes: &mut Routes<'_>) {
    routes
        .service(health_text)
        .service(live)
        .service(health::ready)
        .service(health::detailed)
        .service(health::numbers)
        .service(metrics);
    identity::routes(routes);
}

/// A process that answers.
///
/// Answers `OK` as long as the process answers at all.
#[utoipa::path(tag = "health", responses((status = 200, description = "It answers", body = String, content_type = "text/plain", example = "OK")), security(()))]
#[get("/health")]
async fn health_text() -> impl Responder {
    "OK"
}

/// Whether the process lives.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Live {
    /// Always `alive`.
    #[schema(example = "alive")]
    status: &'static str,
}

/// Whether the process lives.
///
/// Always 200: a process that cannot answer needs a restart.
#[utoipa::path(tag = "health", responses((status = 200, description = "It lives", body = Live)), security(()))]
#[get("/live")]
async fn live() -> Result<HttpResponse, Problem> {
    http::json(StatusCode::OK, &Live { status: "alive" })
}

/// Metrics for Prometheus.
///
/// Requests by method, route pattern and status, the connection pool, and what else the server counts of itself, in
/// Prometheus' text format.
#[utoipa::path(tag = "health", responses((status = 200, description = "Metrics", body = String, content_type = "text/plain")), security(("bearer" = ["viewer"]), ("basic" = ["viewer"])))]
#[get("/metrics")]
async fn metrics(metrics: web::Data<Option<Metrics>>, sources: web::Data<HealthSources>) -> impl Responder {
    if let Some(db) = &sources.db {
        db.record_stats();
    }
    let text = metrics.as_ref().as_ref().map(Metrics::render).unwrap_or_default();
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text)
}
