//! What the server says of itself: tracing, request ids, the counts of one request, metrics.

mod request;

pub use request::{RequestScope, query, request_id, upstream_call};
