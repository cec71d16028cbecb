//! The diff report: did this deploy make it slower? It reads an app's profiles of two windows, compares them function
//! by function, holds them against approved limits and has the verdict kept.
//!
//! It owns no data. Its ports: profile data; in v2 also baselines and history, either of which may be off.

mod domain;
mod entry;
mod example;
mod markdown;
mod routes;
mod service;
mod wire;

pub use domain::{Diff, DiffRequest, DiffWindows, FilesDiff};
pub use markdown::{command, markdown, shell_word};
pub use routes::routes;
pub use service::{DiffParts, DiffService};
pub use wire::{BreachBody, ChangeBody, DiffBody, DiffSummaryBody, DiffWindowBody};
