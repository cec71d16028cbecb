//! Triage: why is this app slow? It reads an app's profiles, judges them, holds them against approved limits and has
//! the assessment kept.
//!
//! It owns no data. Its ports: profile data; in v2 also registry, baselines and history, each of which may be off.

mod blocks;
mod domain;
mod entry;
mod example;
mod routes;
mod service;
mod verdicts;
mod wire;

pub use blocks::Blocks;
pub use domain::{InvalidTypes, Judged, Requested, Triage, TriageRequest, TypeResult};
pub use routes::routes;
pub use service::{TriageParts, TriageService};
pub use wire::{Block, FindingBody, JudgedBlock, TriageBody, ViolationBody};
