//! Whose code a function is: the application's, a library's, or the runtime's and its standard library's.

use super::Runtime;
use super::catalogue::Rules;
use super::names::Frame;

/// Whose code a function is.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The application's own.
    #[default]
    App,
    /// A library's.
    Library,
    /// The runtime's, the standard library's or the kernel's.
    Runtime,
}

const LIBRARY_PLACES: [&str; 9] = [
    "site-packages/",
    "dist-packages/",
    "node_modules/",
    "/gems/",
    "/pkg/mod/",
    "/.cargo/registry/",
    "/.cargo/git/",
    "/vendor/",
    "/.nuget/",
];

/// By the catalogue's lists first, then by where its file stands, then by how the language names things.
pub(super) fn of(rules: &Rules, frame: &Frame, file: &str) -> Origin {
    if let Some(runtime) = rules.is_runtime(frame) {
        return if runtime { Origin::Runtime } else { Origin::Library };
    }
    if LIBRARY_PLACES.iter().any(|place| file.contains(place)) || frame.text.starts_with("node_modules/") {
        return Origin::Library;
    }
    match frame.own {
        Some(Runtime::Kernel) => Origin::Runtime,
        Some(Runtime::Go) if !frame.text.contains('/') && !frame.text.starts_with("main.") => Origin::Runtime,
        Some(Runtime::Node) if frame.text.starts_with("node:") || frame.text.starts_with('(') => Origin::Runtime,
        Some(Runtime::Python) if file.starts_with("<frozen") || file.contains("/lib/python") => Origin::Runtime,
        None if frame.library.is_some() => Origin::Library,
        // A bare C symbol: the kernel's and the C library's are far more than an application's.
        None if rules.rule_of(frame, None).is_some() => Origin::Runtime,
        _ => Origin::App,
    }
}
