use std::collections::BTreeSet;

use actix_web::dev::HttpServiceFactory;
use actix_web::http::header::ContentType;
use actix_web::{HttpResponse, guard, web};
use bytes::Bytes;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, Contact, Info, License, OpenApi, OpenApiBuilder, Ref, Tag};
use utoipa_swagger_ui::SwaggerUi;

use super::codes::Code;
use super::documented::documented;
use super::routes::{operations, operations_mut};

/// Where the document is served.
const DOCUMENT: &str = "/api-docs/openapi.json";

/// The document without routes; rooms add theirs. `chapters` are names and what they are about.
pub fn document(chapters: impl Iterator<Item = (&'static str, &'static str)>) -> OpenApi {
    let mut license = License::new("Apache-2.0");
    license.identifier = Some("Apache-2.0".to_owned());
    let mut info = Info::new("Flamewarden", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "Reads continuous profiles and says what is wrong, what changed, who owns it, and whether it breaks an approved \
         limit.\n\nErrors are problem documents (RFC 9457) with a machine-readable `code`. Times in parameters are epoch \
         seconds, RFC 3339, `now`, or `now-90m`; windows are half-open and at most 31 days long. Every answer carries \
         `x-request-id`.\n\nWhere the server asks who calls, send a token as `Authorization: Bearer TOKEN`, or as the \
         password of HTTP Basic with any user. The scope of a route is the role that it takes at least: `ingest`, `viewer`, \
         `editor`, `admin` or `service`; without a scope any role may ask."
            .to_owned(),
    );
    info.license = Some(license);
    info.contact = None::<Contact>;
    let tag = |(name, text): (&str, &str)| {
        let mut tag = Tag::new(name);
        tag.description = Some(text.to_owned());
        tag
    };
    let scheme = |scheme| SecurityScheme::Http(Http::new(scheme));
    let components = ComponentsBuilder::new()
        .security_scheme("bearer", scheme(HttpAuthScheme::Bearer))
        .security_scheme("basic", scheme(HttpAuthScheme::Basic));
    let tags = chapters.map(tag).collect::<Vec<_>>();
    OpenApiBuilder::new().info(info).tags(Some(tags)).components(Some(components.build())).build()
}

/// The document in which every route that asks who calls answers with the errors of that.
pub fn with_access_errors(mut document: OpenApi) -> OpenApi {
    let errors = documented(&[
        ("401", &[Code::Unauthenticated]),
        ("403", &[Code::Forbidden, Code::HostRefused]),
        ("429", &[Code::RateLimited]),
    ]);
    let name = |status: &str| format!("Access{status}");
    for operation in document.paths.paths.values_mut().flat_map(operations_mut) {
        if operation.security.as_ref().is_some_and(|security| *security != [SecurityRequirement::default()]) {
            let answers = &mut operation.responses.responses;
            for status in errors.keys() {
                answers.entry(status.clone()).or_insert_with(|| Ref::from_response_name(name(status)).into());
            }
        }
    }
    let components = document.components.get_or_insert_default();
    components.responses.extend(errors.into_iter().map(|(status, answer)| (name(&status), answer)));
    document
}

/// The document without chapters that no route belongs to.
pub fn with_its_own_tags(mut document: OpenApi) -> OpenApi {
    let operations = document.paths.paths.values().flat_map(operations);
    let used: BTreeSet<_> = operations.flat_map(|(_, operation)| operation.tags.iter().flatten()).collect();
    if let Some(tags) = &mut document.tags {
        tags.retain(|tag| used.contains(&tag.name));
    }
    document
}

/// The page that shows and runs every route, with the scripts of Swagger UI.
const SWAGGER_PAGE: &str = include_str!("swagger.html");

/// The pages that show and run every route, served by this process alone.
pub fn swagger_ui() -> impl HttpServiceFactory {
    let page = || {
        web::get().to(|| std::future::ready(HttpResponse::Ok().content_type(ContentType::html()).body(SWAGGER_PAGE)))
    };
    (
        web::redirect("/swagger-ui", "/swagger-ui/"),
        web::resource(["/swagger-ui/", "/swagger-ui/index.html"]).route(page()),
        SwaggerUi::new("/swagger-ui/{_:.*}"),
    )
}

/// Serves the finished document as one text that all workers share: as a tree it would take megabytes in each.
pub fn serve_document(text: Bytes) -> impl HttpServiceFactory {
    web::resource(DOCUMENT).guard(guard::Get()).to(move || {
        let answer = HttpResponse::Ok().content_type(ContentType::json()).body(text.clone());
        std::future::ready(answer)
    })
}
