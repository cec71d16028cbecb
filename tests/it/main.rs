//! Tests of the whole server over HTTP, and of the architecture.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that meets what it does not expect ends"
)]

// `testing` refers to them by the same names as the library's own tests.
use flamewarden::{config, storage};

mod alike;
mod api;
mod architecture;
mod audit;
mod cli;
mod cli_alerts;
mod cli_demo;
mod cli_diff;
mod cli_fleet;
mod cli_lists;
mod cli_token;
mod faults;
mod harness;
mod hostile;
mod json;
mod openapi;
mod processes;
mod push_command;
mod pyroscope;
mod retention;
mod schedule;
mod split;
#[path = "../../src/storage/testing/mod.rs"]
#[expect(dead_code, reason = "the library's own tests need the rest")]
mod testing;
