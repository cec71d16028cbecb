//! The hallway: problem documents, error codes, extractors, pagination, middleware, OpenAPI, and the outward client.

mod answer;
mod client;
mod codes;
mod extract;
mod problem;

pub use answer::json;
pub use client::{Answer, Outward, OutwardSettings};
pub use codes::{Code, CodeRow};
pub use extract::{BODY_LIMIT_BYTES, Body, PathParam, Query, TimeParam, default_to, parse, window};
pub use problem::{FieldError, Problem};
