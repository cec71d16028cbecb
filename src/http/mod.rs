//! What all HTTP routes and clients share: problem documents, error codes, extractors, pagination, middleware, OpenAPI,
//! and the client for other servers.

mod answer;
mod call;
mod client;
mod codes;
mod compress;
mod documented;
mod extract;
mod idempotency;
mod middleware;
mod mount;
mod openapi;
mod pagination;
mod peer;
mod problem;
mod raw_body;
mod reach;
mod relational;
mod resource;
mod routes;
mod row_key;
mod stored;
#[cfg(test)]
pub(crate) mod testing;

pub use answer::json;
pub use call::{announce, announced};
pub use client::{Answer, NoAnswer, Outward, OutwardSettings, bearer};
pub use codes::{Code, CodeRow};
pub use documented::{Answers, described, documented};
pub use extract::{
    BODY_LIMIT_BYTES, Body, ChangeBody, Ends, PathParam, Query, ReadOnly, SpanParam, TENANT_HEADER, TenantHeader,
    TimeParam, default_to, parse, window, windows,
};
pub use idempotency::{IDEMPOTENCY_KEY, idempotency_key};
pub use middleware::handle_request;
pub use mount::Routes;
pub use openapi::{document, serve_document, swagger_ui, with_access_errors, with_its_own_tags};
pub use pagination::{Cursor, InvalidCursor, Limit};
pub use peer::{Peer, Repeatable, denied};
pub use problem::{FieldError, PROBLEM_JSON, Problem};
pub use raw_body::{BodyMemory, BodyRoom, NoBody, RawBody, is_gzip};
pub use reach::{Unreachable, why_unreachable};
pub use relational::{NoParams, RelationalErrors, WriteErrors, answered, created, found, given, removed};
pub use resource::Resource;
pub use routes::{PathPattern, RouteTable, operations, unknown_route};
pub use row_key::{BigRowKey, RowKey};
pub use stored::{StoredBody, empty_for_none, with_repeated};
