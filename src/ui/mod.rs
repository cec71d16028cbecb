//! Pages for people.

use actix_web::{HttpResponse, Responder, web};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::http::{RouteTable, Routes};

const STYLE: &str = include_str!("landing.css");

/// The page at `/`, which links to what this server answers.
pub fn routes(routes: &mut Routes<'_>) {
    routes.route("/", web::get().to(landing));
}

async fn landing(routes: web::Data<RouteTable>) -> impl Responder {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header(("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'"))
        .body(page(&routes).into_string())
}

/// A process of a split deployment lists only its own routes.
fn page(routes: &RouteTable) -> Markup {
    let serves = |path: &str| !routes.allowed(path).is_empty();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Flamewarden" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Flamewarden" }
                p { "Reads continuous profiles and says what is wrong." }
                dl {
                    dt { a href="swagger-ui/" { "Every route, to read and to try" } }
                    dd { "The same as a document: " a href="api-docs/openapi.json" { code { "openapi.json" } } }
                    @if serves("/triage/flamewarden") {
                        dt { a href="triage/flamewarden" { "What is wrong with this very server" } }
                        dd { "It profiles itself; an idle one has little to say." }
                    }
                    @if serves("/profiles/apps") {
                        dt { a href="profiles/apps" { "Apps that sent profiles in the last hour" } }
                        @if serves("/triage/any") { dd { "Triage any of them at " code { "/triage/<app>" } "." } }
                    }
                    dt { a href="api/v1/health" { "How this process does" } }
                    dd { "For machines: " a href="ready" { code { "/ready" } } ", " a href="metrics" { code { "/metrics" } } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use utoipa::openapi::path::{HttpMethod, OperationBuilder};
    use utoipa::openapi::{OpenApiBuilder, PathItem, PathsBuilder};

    use super::*;

    /// Where the page of a server with these routes leads to.
    fn links(served: &[&str]) -> Vec<String> {
        let got = || PathItem::new(HttpMethod::Get, OperationBuilder::new());
        let paths = served.iter().fold(PathsBuilder::new(), |paths, path| paths.path(*path, got()));
        let page = page(&RouteTable::of(&OpenApiBuilder::new().paths(paths).build())).into_string();
        page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn leads_to_what_the_server_serves_and_nowhere_else() {
        let always = ["swagger-ui/", "api-docs/openapi.json"];
        let health = ["api/v1/health", "ready", "metrics"];
        assert_eq!(links(&["/baselines"]), [&always[..], &health].concat());
        let all = links(&["/triage/{appName}", "/profiles/apps"]);
        assert_eq!(all, [&always[..], &["triage/flamewarden", "profiles/apps"], &health].concat());
    }
}
