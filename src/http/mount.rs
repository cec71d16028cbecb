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
                let known = &mut document.components.get_or_insert_with(Components::new).schemas;
                for (name, schema) in schemas {
                    let same = known.get(&name).is_none_or(|other| *other == schema);
                    debug_assert!(same, "two types are documented as {name}: give one another name");
                    known.insert(name, schema);
                }
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

#[cfg(test)]
mod tests {
    use utoipa::ToSchema;

    use super::*;
    use crate::http::Resource;

    mod other {
        #[derive(utoipa::ToSchema)]
        #[expect(dead_code, reason = "it is documented only")]
        pub(super) struct Thing {
            name: String,
        }
    }

    #[derive(ToSchema)]
    #[expect(dead_code, reason = "it is documented only")]
    struct Thing {
        id: i32,
    }

    #[utoipa::path(get, path = "/one", responses((status = 200, body = Thing)))]
    async fn one() -> &'static str {
        ""
    }

    #[utoipa::path(get, path = "/other", responses((status = 200, body = other::Thing)))]
    async fn another() -> &'static str {
        ""
    }

    fn described(open: impl FnOnce(&mut Routes<'_>)) -> usize {
        let document = Routes::describe(OpenApi::default(), open);
        document.components.unwrap().schemas.len()
    }

    #[test]
    fn a_type_may_be_documented_again() {
        let twice = |routes: &mut Routes<'_>| {
            routes
                .service(Resource::at("/one").with(__path_one, one))
                .service(Resource::at("/one").with(__path_one, one));
        };
        assert_eq!(described(twice), 1);
    }

    #[test]
    #[should_panic(expected = "two types are documented as Thing")]
    fn two_types_of_one_name_do_not_pass() {
        described(|routes| {
            routes
                .service(Resource::at("/one").with(__path_one, one))
                .service(Resource::at("/other").with(__path_another, another));
        });
    }
}
