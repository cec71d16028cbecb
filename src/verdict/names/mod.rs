//! What a frame is called: how profilers spell names, and the one spelling rules are written in.
//!
//! Takes a name and its file as a profiler wrote them; gives a [`Frame`], the [`key`] under which spellings of one
//! function are joined, and the short name that people are shown. A Java method has six spellings in real profiles, a
//! native function carries its library, a Rust one a hash, a Node one its line.

mod dotnet;
mod entry;
mod frame;
mod go;
mod jvm;
mod key;
mod library;
mod native;
mod read;
mod script;
mod short;
#[cfg(test)]
mod tests;
mod text;
mod unresolved;

pub(super) use entry::{MODULE_BODY, TIME_MARKERS, is_entry, is_thread_or_process};
pub(super) use frame::Frame;
pub(super) use go::is_standard;
pub use key::key;
pub(super) use library::{library_name, version_of_file};
pub use short::short_name;
pub(super) use short::with_file;
pub(super) use unresolved::library_of_nameless;
