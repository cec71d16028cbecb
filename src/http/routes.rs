use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};
use utoipa::openapi::{OpenApi, PathItem};

use super::codes::Code;
use super::problem::Problem;

/// Which methods each path knows, taken from the document that describes them.
#[derive(Debug)]
pub struct RouteTable {
    rows: Vec<(String, Vec<Method>)>,
}

impl RouteTable {
    /// The routes of a document.
    pub fn of(document: &OpenApi) -> Self {
        let rows = document.paths.paths.iter();
        Self { rows: rows.map(|(pattern, item)| (pattern.clone(), methods(item))).collect() }
    }

    /// The methods of a path, sorted. There are none for an unknown path. HEAD is there where GET is.
    pub fn allowed(&self, path: &str) -> Vec<Method> {
        let matching = self.rows.iter().filter(|(pattern, _)| is_match(pattern, path));
        let mut allowed: Vec<Method> = matching.flat_map(|(_, methods)| methods.iter().cloned()).collect();
        if allowed.contains(&Method::GET) {
            allowed.push(Method::HEAD);
        }
        allowed.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        allowed.dedup();
        allowed
    }
}

/// Whether a path fits a pattern in which `{name}` stands for one segment.
fn is_match(pattern: &str, path: &str) -> bool {
    let (wanted, given) = (pattern.split('/'), path.split('/'));
    wanted.clone().count() == given.clone().count()
        && wanted.zip(given).all(|(wanted, given)| wanted == given || wanted.starts_with('{') && !given.is_empty())
}

fn methods(item: &PathItem) -> Vec<Method> {
    let operations = [
        (&item.get, Method::GET),
        (&item.put, Method::PUT),
        (&item.post, Method::POST),
        (&item.delete, Method::DELETE),
        (&item.patch, Method::PATCH),
    ];
    operations.into_iter().filter(|(operation, _)| operation.is_some()).map(|(_, method)| method).collect()
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
        assert_eq!(is_match(pattern, path), matches);
    }
}
