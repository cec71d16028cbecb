//! Collects the routes of rooms.

use actix_web::Route;
use actix_web::dev::HttpServiceFactory;
use actix_web::web::ServiceConfig;
use utoipa::openapi::{Components, OpenApi};
use utoipa_actix_web::OpenApiFactory;

/// Takes routes either to serve or to describe them. Every worker serves them. They are described only once, because a
/// description takes megabytes while it is put together.
pub enum Routes<'a> {
    /// Served by this app.
    Served(&'a mut ServiceConfig),
    /// Described in this document.
    Described(&'a mut OpenApi),
}

impl Routes<'_> {
    /// Configures an app to serve what `open` adds.
    pub fn serve(open: impl FnOnce(&mut Routes<'_>)) -> impl FnOnce(&mut ServiceConfig) {
        |app| open(&mut Routes::Served(app))
    }

    /// Returns the document with the routes that `open` adds.
    pub fn describe(mut document: OpenApi, open: impl FnOnce(&mut Routes<'_>)) -> OpenApi {
        open(&mut Routes::Described(&mut document));
        document
    }

    /// Adds a route that is in the document.
    pub fn service(&mut self, route: impl HttpServiceFactory + OpenApiFactory + 'static) -> &mut Self {
        match self {
            Self::Served(app) => {
                app.service(route);
            }
            Self::Described(document) => {
                document.paths.merge(route.paths());
                let mut schemas = Vec::new();
                route.schemas(&mut schemas);
                document.components.get_or_insert_with(Components::new).schemas.extend(schemas);
            }
        }
        self
    }

    /// Adds a route that is not in the document.
    pub fn route(&mut self, path: &str, route: Route) -> &mut Self {
        if let Self::Served(app) = self {
            app.route(path, route);
        }
        self
    }
}
