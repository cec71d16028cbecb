//! Logs, request ids, the counts and spans of one request, and metrics.

mod logging;
mod metrics;
mod request;
mod spans;

pub use logging::init_logging;
pub use metrics::{AUTH_REQUESTS, Metrics, REQUEST_DURATION};
pub use request::{RequestScope, query, request_id, upstream_call};
pub use spans::{Failure, FinishedTrace, Recording, TraceSink, TracedSpan, Work, outgoing_trace, recorded, span};
