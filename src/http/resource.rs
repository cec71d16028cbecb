//! One path with all its methods, mounted and documented together.

use actix_web::dev::{AppService, HttpServiceFactory};
use actix_web::http::Method;
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Responder, web};
use utoipa::openapi::path::{HttpMethod, Paths};
use utoipa::openapi::schema::Schema;
use utoipa_actix_web::OpenApiFactory;

use super::codes::Code;
use super::problem::Problem;

/// One path with all its methods. Any other method is answered with 405 and `Allow`, which would not work if handlers
/// were mounted one by one.
pub struct Resource {
    path: &'static str,
    inner: actix_web::Resource,
    allow: Vec<&'static str>,
    documented: Vec<Box<dyn OpenApiFactory>>,
}

impl Resource {
    /// A path that has no methods yet.
    pub fn at(path: &'static str) -> Self {
        Self { path, inner: web::resource(path), allow: Vec::new(), documented: Vec::new() }
    }

    /// A path whose parameters are narrower than they look, by a pattern for the router: another room has a path alike.
    pub fn narrowed(path: &'static str, pattern: &'static str) -> Self {
        Self { inner: web::resource(pattern), ..Self::at(path) }
    }

    /// Adds the method that `documented` names, the struct `__path_<handler>` that `#[utoipa::path]` made of the handler.
    ///
    /// # Panics
    /// Where the documented path is not this one: the server would document what it does not serve.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "a handler is named, not borrowed")]
    pub fn with<P, F, Args>(mut self, documented: P, handler: F) -> Self
    where
        P: utoipa::Path + OpenApiFactory + 'static,
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        assert_eq!(P::path(), self.path, "a handler is mounted where it is not documented");
        for method in P::methods() {
            let (route, name) = match method {
                HttpMethod::Get => (web::get(), "GET"),
                HttpMethod::Post => (web::post(), "POST"),
                HttpMethod::Put => (web::put(), "PUT"),
                HttpMethod::Delete => (web::delete(), "DELETE"),
                HttpMethod::Patch => (web::patch(), "PATCH"),
                HttpMethod::Head => (web::head(), "HEAD"),
                _ => (web::method(Method::OPTIONS), "OPTIONS"),
            };
            self.inner = self.inner.route(route.to(handler.clone()));
            self.allow.push(name);
        }
        self.documented.push(Box::new(documented));
        self
    }
}

impl HttpServiceFactory for Resource {
    fn register(self, config: &mut AppService) {
        let mut allow = self.allow;
        if allow.contains(&"GET") {
            // `handle_request` answers HEAD with the headers of GET.
            allow.push("HEAD");
        }
        allow.sort_unstable();
        let allow = allow.join(", ");
        let refuse = move |request: HttpRequest| {
            let (method, path) = (request.method(), request.path());
            let detail = format!("{method} is not allowed on {path}, which takes {allow}");
            let problem = Problem::new(Code::MethodNotAllowed, detail).allowing(allow.clone());
            async move { Err::<HttpResponse, Problem>(problem) }
        };
        self.inner.default_service(web::to(refuse)).register(config);
    }
}

impl OpenApiFactory for Resource {
    fn paths(&self) -> Paths {
        let mut paths = Paths::new();
        for method in &self.documented {
            paths.merge(method.paths());
        }
        paths
    }

    fn schemas(&self, schemas: &mut Vec<(String, utoipa::openapi::RefOr<Schema>)>) {
        for method in &self.documented {
            method.schemas(schemas);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::StatusCode;
    use actix_web::test::{TestRequest, call_service, init_service};

    #[utoipa::path(get, path = "/things/{key}", params(("key" = String, Path)), responses((status = 200)))]
    async fn read() -> &'static str {
        "read"
    }

    #[utoipa::path(delete, path = "/things/{key}", params(("key" = String, Path)), responses((status = 204)))]
    async fn remove() -> HttpResponse {
        HttpResponse::NoContent().finish()
    }

    #[actix_web::test]
    async fn serves_and_documents_all_methods_of_a_path_and_refuses_others_with_allow() {
        let resource = Resource::at("/things/{key}").with(__path_read, read).with(__path_remove, remove);
        let paths = resource.paths();
        let item = paths.get_path_item("/things/{key}").unwrap();
        assert!(item.get.is_some() && item.delete.is_some() && item.put.is_none());
        let app = init_service(actix_web::App::new().service(resource)).await;
        let call = async |request: TestRequest| call_service(&app, request.uri("/things/1").to_request()).await;
        assert_eq!(call(TestRequest::get()).await.status(), StatusCode::OK);
        assert_eq!(call(TestRequest::delete()).await.status(), StatusCode::NO_CONTENT);
        let refused = call(TestRequest::put()).await;
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(refused.headers().get("allow").unwrap(), "DELETE, GET, HEAD");
        assert_eq!(refused.headers().get("content-type").unwrap(), "application/problem+json");
    }
}
