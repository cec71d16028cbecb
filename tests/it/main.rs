//! The whole server, over HTTP, and the rules of the house.

mod api;
mod architecture;
mod harness;
mod openapi;
mod processes;
mod split;
