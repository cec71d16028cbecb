//! The whole server, over HTTP, and the rules of the house.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that meets what it does not expect ends"
)]

// `testing` names them as the library's own tests do.
use flamewarden::{config, storage};

mod alike;
mod api;
mod architecture;
mod cli;
mod cli_demo;
mod cli_diff;
mod cli_fleet;
mod cli_lists;
mod faults;
mod harness;
mod hostile;
mod json;
mod openapi;
mod processes;
mod pyroscope;
mod retention;
mod split;
#[path = "../../src/storage/testing/mod.rs"]
#[expect(dead_code, reason = "the library's own tests need the rest")]
mod testing;
