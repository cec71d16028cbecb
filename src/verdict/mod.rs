//! The judge: what a frame claims, what a profile's stacks add up to, how sure that is, and what to do about it.
//!
//! Pure and synchronous: a profile goes in, findings come out. It knows no BOR, no web, no database, no clock.

mod category;

pub use category::{Category, Runtime};
