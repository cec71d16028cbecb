//! Business decisions (BORs). They reach data through ports only.

pub mod alert;
pub mod diff;
mod facts;
pub mod fleet;
mod links;
mod refusal;
mod relational;
mod request;
pub mod triage;

pub use links::{Grafana, LinkSettings};
pub use refusal::Refusal;
pub use relational::{Absence, RelationalPorts, SorAnswer};
