use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};
use utoipa::openapi::path::Operation;
use utoipa::openapi::{OpenApi, PathItem};

use super::codes::Code;
use super::problem::Problem;

/// A path in which `{name}` stands for one segment. In their order, a name goes before a parameter in its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathPattern(String);

impl PathPattern {
    /// The pattern as a document writes it.
    pub fn new(pattern: &str) -> Self {
        Self(pattern.to_owned())
    }

    /// Whether a path fits.
    pub fn matches(&self, path: &str) -> bool {
        let (wanted, given) = (self.0.split('/'), path.split('/'));
        wanted.clone().count() == given.clone().count()
            && wanted.zip(given).all(|(wanted, given)| wanted == given || wanted.starts_with('{') && !given.is_empty())
    }
}

/// The operations of a path, each with its method.
pub fn operations(item: &PathItem) -> impl Iterator<Item = (Method, &Operation)> {
    let operations = [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::DELETE, &item.delete),
        (Method::PATCH, &item.patch),
    ];
    operations.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

/// The operations of a path, to change them.
pub(super) fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
}

/// Which methods each path knows, taken from the document that describes them.
#[derive(Debug)]
pub struct RouteTable {
    rows: Vec<(PathPattern, Vec<Method>)>,
}

impl RouteTable {
    /// The routes of a document.
    pub fn of(document: &OpenApi) -> Self {
        let rows = document.paths.paths.iter();
        let methods = |item| operations(item).map(|(method, _)| method).collect();
        Self { rows: rows.map(|(pattern, item)| (PathPattern::new(pattern), methods(item))).collect() }
    }

    /// The methods of a path, sorted. There are none for an unknown path. HEAD is there where GET is.
    pub fn allowed(&self, path: &str) -> Vec<Method> {
        let matching = self.rows.iter().filter(|(pattern, _)| pattern.matches(path));
        let mut allowed: Vec<Method> = matching.flat_map(|(_, methods)| methods.iter().cloned()).collect();
        if allowed.contains(&Method::GET) {
            allowed.push(Method::HEAD);
        }
        allowed.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        allowed.dedup();
        allowed
    }
}

/// Answers requests that no route takes: 405 with `Allow` if the path is known, else 404.
pub async fn unknown_route(request: HttpRequest, routes: web::Data<RouteTable>) -> Result<HttpResponse, Problem> {
    Err(problem(&request, &routes))
}

fn problem(request: &HttpRequest, routes: &RouteTable) -> Problem {
    let (method, path) = (request.method(), request.path());
    let allowed = routes.allowed(path);
    if allowed.is_empty() || allowed.contains(method) {
        return Problem::new(
            Code::RouteUnknown,
            format!("no route {method} {path}: see /swagger-ui/ for the routes of this server"),
        );
    }
    let allow = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    Problem::new(Code::MethodNotAllowed, format!("{method} is not allowed on {path}, which takes {allow}"))
        .allowing(allow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("/health", "/health", true)]
    #[case("/health", "/health/", false)]
    #[case("/health", "/healthy", false)]
    #[case("/profiles/{appName}", "/profiles", false)]
    #[case("/profiles/{appName}", "/profiles/", false)]
    #[case("/profiles/{appName}", "/profiles/a%2Fb", true)]
    #[case("/profiles/{appName}", "/profiles/a/diff", false)]
    #[case("/profiles/{appName}/diff", "/profiles/a/diff", true)]
    #[case("/profiles/{appName}/diff", "/profiles/a/merge", false)]
    fn a_name_in_braces_stands_for_one_segment(#[case] pattern: &str, #[case] path: &str, #[case] matches: bool) {
        assert_eq!(PathPattern::new(pattern).matches(path), matches);
    }
}
