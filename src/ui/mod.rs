//! Pages for people.

use actix_web::{HttpResponse, Responder, web};
use utoipa_actix_web::service_config::ServiceConfig;

const LANDING: &str = include_str!("landing.html");

/// Opens the page at `/`, which shows the way to what this server answers.
pub fn routes(config: &mut ServiceConfig) {
    config.route("/", web::get().to(landing));
}

async fn landing() -> impl Responder {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header(("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'"))
        .body(LANDING)
}
