//! The diff report: did this deploy make it slower? It reads an app's profiles in two windows, compares them function
//! by function, checks them against approved limits, and records the verdict.
//!
//! It owns no data. It uses the port of profile data. In v2 it also uses those of baselines and history, if they are
//! available.

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
pub use wire::{BreachBody, CallerBody, ChangeBody, ChangeGroupBody, DiffBody, DiffSummaryBody, DiffWindowBody};
