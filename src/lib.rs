//! Flamewarden reads continuous profiles and decides: what is wrong, what changed, who owns it, and whether it breaks
//! an approved limit. ARCHITECTURE.md describes its structure.

pub mod app;
pub mod bor;
pub mod cli;
pub mod config;
pub mod http;
pub mod identity;
pub mod kernel;
pub mod profile;
pub mod protobuf;
pub mod sor;
pub mod storage;
pub mod telemetry;
pub mod ui;
pub mod upstream;
pub mod verdict;
