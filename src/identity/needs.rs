//! Which role each route needs, taken from the document that describes the routes.

use std::collections::HashMap;

use actix_web::http::Method;
use utoipa::openapi::{OpenApi, SecurityRequirement};

use crate::http::{PathPattern, operations};
use crate::kernel::Role;

/// The scheme of which the scopes are read; the other schemes of an operation have the same.
const SCHEME: &str = "bearer";
/// The scope of routes that show a caller with projects of its own those alone.
const PROJECTS: &str = "projects";

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing: everybody may.
    Nothing,
    /// Nothing: a page that shows no data. Unlike health it is refused under the name of another machine.
    Page,
    /// Any good credential. Paths in no document need one too: they are answered with a refusal.
    Credential,
    /// This role at least.
    Role {
        /// The role.
        least: Role,
        /// Whether the route limits its answer to the caller's projects.
        by_project: bool,
    },
}

/// The needs of all routes.
#[derive(Debug)]
pub struct Needs {
    /// By the number of segments, so that few patterns are tried.
    by_length: HashMap<usize, Vec<(PathPattern, Method, Need)>>,
}

/// A route that does not say which role it needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{method} {path} does not say which role it needs: it lacks `security` in its documentation")]
pub struct RouteWithoutRole {
    method: Method,
    path: String,
}

impl Needs {
    /// The needs of the routes of a document.
    ///
    /// # Errors
    /// Names the first operation that states no role.
    pub fn of(document: &OpenApi) -> Result<Self, RouteWithoutRole> {
        let mut by_length = HashMap::<_, Vec<_>>::new();
        for (path, item) in &document.paths.paths {
            for (method, operation) in operations(item) {
                let need = operation.security.as_deref().and_then(need_of);
                let need = need.ok_or_else(|| RouteWithoutRole { method: method.clone(), path: path.clone() })?;
                let pattern = PathPattern::new(path);
                by_length.entry(segments(path)).or_default().push((pattern, method, need));
            }
        }
        // A path of names goes before one of parameters, as `/rules/test` before `/rules/{id}`.
        for rows in by_length.values_mut() {
            rows.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        }
        Ok(Self { by_length })
    }

    /// What a request needs. `path` is decoded as the router decodes it.
    pub(super) fn need(&self, method: &Method, path: &str) -> Need {
        if is_page(path) {
            return Need::Page;
        }
        let rows = self.by_length.get(&segments(path)).into_iter().flatten();
        let found = rows.filter(|(_, of, _)| of == method).find(|(pattern, ..)| pattern.matches(path));
        found.map_or(Need::Credential, |(.., need)| *need)
    }
}

/// Pages that show no data: the start page, and the documentation of the routes.
fn is_page(path: &str) -> bool {
    path == "/" || path == "/swagger-ui" || path.starts_with("/swagger-ui/") || path.starts_with("/api-docs/")
}

fn segments(path: &str) -> usize {
    path.bytes().filter(|byte| *byte == b'/').count()
}

/// `None` where the requirements are of another kind.
fn need_of(requirements: &[SecurityRequirement]) -> Option<Need> {
    // The fields of a requirement are private; as JSON it is an object of schemes with their scopes.
    let all: Vec<HashMap<String, Vec<String>>> = requirements
        .iter()
        .map(|one| serde_json::to_value(one).ok().and_then(|json| serde_json::from_value(json).ok()))
        .collect::<Option<_>>()?;
    if all.iter().all(HashMap::is_empty) {
        return Some(Need::Nothing);
    }
    let scopes = all.iter().find_map(|schemes| schemes.get(SCHEME))?;
    let Some(least) = scopes.first() else { return Some(Need::Credential) };
    let least = least.parse().ok()?;
    Some(Need::Role { least, by_project: scopes.iter().any(|scope| scope == PROJECTS) })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn document(security: &serde_json::Value) -> OpenApi {
        let operation = |security: &serde_json::Value| {
            let mut operation = json!({"responses": {}});
            if !security.is_null() {
                operation["security"] = security.clone();
            }
            operation
        };
        let editor = json!([{"bearer": ["editor"]}, {"basic": ["editor"]}]);
        let viewer = json!([{"bearer": ["viewer"]}]);
        serde_json::from_value(json!({
            "openapi": "3.1.0", "info": {"title": "t", "version": "1"},
            "paths": {
                "/health": {"get": operation(&json!([{}]))},
                "/rules/{id}": {"get": operation(&viewer), "delete": operation(&editor)},
                "/rules/test": {"post": operation(&editor), "get": operation(&json!([{"bearer": ["admin", "projects"]}]))},
                "/whoami": {"get": operation(&json!([{"bearer": []}]))},
                "/a": {"get": operation(security)},
            }
        }))
        .unwrap()
    }

    fn role(least: Role) -> Need {
        Need::Role { least, by_project: false }
    }

    #[rstest]
    #[case(Method::GET, "/health", Need::Nothing)]
    #[case(Method::GET, "/", Need::Page)]
    #[case(Method::GET, "/swagger-ui/index.css", Need::Page)]
    #[case(Method::GET, "/swagger-uix", Need::Credential)]
    #[case(Method::GET, "/rules/7", role(Role::Viewer))]
    #[case(Method::DELETE, "/rules/test", role(Role::Editor))]
    #[case(Method::POST, "/rules/test", role(Role::Editor))]
    #[case(Method::GET, "/rules/test", Need::Role { least: Role::Admin, by_project: true })]
    #[case(Method::GET, "/whoami", Need::Credential)]
    #[case(Method::POST, "/health", Need::Credential)]
    #[case(Method::GET, "/rules/7/", Need::Credential)]
    #[case(Method::GET, "/nothing", Need::Credential)]
    fn a_request_needs_what_its_route_says(#[case] method: Method, #[case] path: &str, #[case] expected: Need) {
        let needs = Needs::of(&document(&json!([{}]))).unwrap();
        assert_eq!(needs.need(&method, path), expected);
    }

    #[rstest]
    #[case(json!(null))]
    #[case(json!([{"bearer": ["root"]}]))]
    #[case(json!([{"key": ["viewer"]}]))]
    fn a_route_without_a_role_is_an_error(#[case] security: serde_json::Value) {
        let error = Needs::of(&document(&security)).unwrap_err();
        assert!(error.to_string().starts_with("GET /a does not say which role it needs"), "{error}");
    }
}
