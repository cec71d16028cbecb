//! The bare proxy: the same stack, which fetches the same bytes and discards them.

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Result;

struct Upstream {
    client: reqwest::Client,
    url: String,
}

async fn fetch(upstream: web::Data<Upstream>, app: web::Path<String>) -> actix_web::Result<HttpResponse> {
    let answer = upstream
        .client
        .post(&upstream.url)
        .header("content-type", "application/proto")
        .body(crate::canned::merge_request(&app))
        .send()
        .await
        .map_err(actix_web::error::ErrorBadGateway)?;
    let body = answer.bytes().await.map_err(actix_web::error::ErrorBadGateway)?;
    Ok(HttpResponse::Ok().body(format!("{} bytes", body.len())))
}

pub(crate) async fn serve(address: &str, upstream: &str) -> Result<()> {
    let upstream = web::Data::new(Upstream {
        client: reqwest::Client::new(),
        url: format!("http://{upstream}/querier.v1.QuerierService/SelectMergeProfile"),
    });
    HttpServer::new(move || App::new().app_data(upstream.clone()).route("/triage/{app}", web::get().to(fetch)))
        .bind(address)?
        .run()
        .await?;
    Ok(())
}
