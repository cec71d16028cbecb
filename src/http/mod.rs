//! The hallway: problem documents, error codes, extractors, pagination, middleware, OpenAPI, and the outward client.

mod client;
mod codes;
mod problem;

pub use client::{Answer, Outward, OutwardSettings};
pub use codes::{Code, CodeRow};
pub use problem::{FieldError, Problem};
