//! The readers of profiles out of the server's own source, without the server: built in a minute, and with nothing that a
//! sanitizer would have to be built for.

#[path = "../../src/profile/mod.rs"]
pub mod profile;
