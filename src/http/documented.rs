//! How routes document the problems they answer with.

use std::collections::BTreeMap;

use serde_json::json;
use utoipa::openapi::example::{Example, ExampleBuilder};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

use super::codes::Code;

/// Answers by status, as a route's documentation holds them.
pub type Answers = BTreeMap<String, RefOr<Response>>;

/// Problem documents by status, described by the titles of their codes, each with an example.
pub fn documented(groups: &[(&str, &[Code])]) -> Answers {
    let title = |code: &Code| format!("`{}`: {}", code.id(), code.row().title);
    let described = |codes: &[Code]| problem(codes.iter().map(title).collect::<Vec<_>>().join("; "), codes);
    groups.iter().map(|(status, codes)| ((*status).to_owned(), described(codes))).collect()
}

/// Problem documents by status, described in the route's own words; the codes that these quote have an example.
pub fn described(groups: &[(&str, &str)]) -> Answers {
    let quoted = |words: &str| words.split('`').skip(1).step_by(2).filter_map(Code::of_id).collect::<Vec<_>>();
    groups.iter().map(|(status, words)| ((*status).to_owned(), problem((*words).to_owned(), &quoted(words)))).collect()
}

fn problem(description: String, codes: &[Code]) -> RefOr<Response> {
    let examples = codes.iter().map(|code| (code.id(), example(*code)));
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).examples_from_iter(examples);
    RefOr::T(
        ResponseBuilder::new().description(description).content("application/problem+json", content.build()).build(),
    )
}

fn example(code: Code) -> Example {
    let row = code.row();
    let value = json!({
        "type": format!("/problems/{}", row.id), "title": row.title, "status": row.status, "detail": row.title,
        "instance": "urn:request:018d3f3e-7c1a-7000-8000-000000000002", "code": row.id, "error": row.title,
        "errors": [], "retryable": row.retryable,
    });
    ExampleBuilder::new().summary(row.title).value(Some(value)).build()
}
