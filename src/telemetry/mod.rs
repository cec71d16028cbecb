//! Logs, request ids, the counts of one request, and metrics.

mod logging;
mod metrics;
mod request;

pub use logging::init_logging;
pub use metrics::{AUTH_REQUESTS, Metrics, REQUEST_DURATION};
pub use request::{RequestScope, query, request_id, upstream_call};
