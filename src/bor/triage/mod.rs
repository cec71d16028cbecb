//! Triage: why is this app slow? It reads an app's profiles, judges them, checks them against approved limits, and
//! records the verdict.
//!
//! It owns no data. It uses the port of profile data; in v2 also those of registry, baselines and history, each of
//! which may be off.

mod blocks;
mod domain;
mod entry;
mod example;
mod recent;
mod routes;
mod service;
mod wire;

pub use blocks::Blocks;
pub use domain::{CompareWith, Earlier, InvalidTypes, JudgedProfile, Requested, Triage, TriageRequest, TypeResult};
pub use routes::routes;
pub use service::{TriageParts, TriageService};
pub use wire::{Block, FindingBody, JudgedBlock, TriageBody, ViolationBody};
