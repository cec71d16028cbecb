//! How routes document the problems they answer with.

use std::collections::BTreeMap;

use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

use super::codes::Code;

/// Answers by status, as a route's documentation holds them.
pub type Answers = BTreeMap<String, RefOr<Response>>;

/// Problem documents by status, described by the titles of their codes.
pub fn documented(groups: &[(&str, &[Code])]) -> Answers {
    let title = |code: &Code| format!("`{}`: {}", code.id(), code.row().title);
    let described = |codes: &[Code]| problem(codes.iter().map(title).collect::<Vec<_>>().join("; "));
    groups.iter().map(|(status, codes)| ((*status).to_owned(), described(codes))).collect()
}

/// Problem documents by status, described in the route's own words.
pub fn described(groups: &[(&str, &str)]) -> Answers {
    groups.iter().map(|(status, words)| ((*status).to_owned(), problem((*words).to_owned()))).collect()
}

fn problem(description: String) -> RefOr<Response> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    RefOr::T(ResponseBuilder::new().description(description).content("application/problem+json", content).build())
}
