//! Reads a name as a profiler spelled it: finds out what language it speaks, and takes off what that language adds.

use super::frame::Frame;
use super::text::frame_type;
use super::{dotnet, go, jvm, native, script, unresolved};
use crate::verdict::category::Runtime;

impl Frame {
    /// Reads a name as a profiler spelled it, with its file (empty if unknown).
    pub(in crate::verdict) fn of(name: &str, file: &str) -> Self {
        let (name, marked) = frame_type(name.trim());
        if unresolved::is_unresolved(name) {
            return Self::unresolved(name, unresolved::runtime(name));
        }
        let mut frame = read(name, file);
        if marked == Some(Runtime::Kernel) || (frame.own.is_none() && marked.is_some()) {
            frame.own = marked;
        }
        if frame.text.is_empty() {
            name.clone_into(&mut frame.text);
        }
        frame
    }
}

/// The order matters: what only one language writes comes first.
fn read(name: &str, file: &str) -> Frame {
    let name = script::without_calls(name);
    let by_file = runtime_of_file(file);
    if let Some(frame) = script::node(name, file) {
        return frame;
    }
    if let Some(frame) = script::python(name, file) {
        return frame;
    }
    if let Some((function, place)) = unresolved::function_in(name) {
        return native::within(place, function);
    }
    if by_file == Some(Runtime::Ruby) || script::is_ruby(name) {
        return script::ruby(name);
    }
    if let Some(function) = script::php_with_place(name) {
        return Frame::new(script::php(function), Some(Runtime::Php));
    }
    if by_file == Some(Runtime::Php) || name.contains('\\') && !name.contains(".dll") {
        return Frame::new(script::php(name), Some(Runtime::Php));
    }
    if let Some((library, function)) = native::library(name) {
        return native::within(library, function);
    }
    if let Some(text) = dotnet::canonical(name) {
        return Frame::new(text, Some(Runtime::Dotnet));
    }
    if let Some(text) = jvm::canonical(name) {
        return Frame::new(text, Some(Runtime::Jvm));
    }
    if let Some(frame) = go::canonical(name, file) {
        return frame;
    }
    match by_file {
        Some(Runtime::Jvm) => Frame::new(jvm::plain(name), by_file),
        Some(Runtime::Dotnet) => Frame::new(dotnet::plain(name), by_file),
        _ => {
            let mut frame = native::frame(name);
            if frame.own.is_none() {
                frame.own = by_file;
            }
            frame
        }
    }
}

fn runtime_of_file(file: &str) -> Option<Runtime> {
    if file.starts_with("node:") {
        return Some(Runtime::Node);
    }
    let (_, ending) = file.rsplit_once('.')?;
    Some(match ending {
        "go" => Runtime::Go,
        "py" | "pyx" => Runtime::Python,
        "rb" | "erb" | "rake" => Runtime::Ruby,
        "js" | "ts" | "mjs" | "cjs" | "jsx" | "tsx" => Runtime::Node,
        "php" => Runtime::Php,
        "java" | "kt" | "scala" | "groovy" | "clj" => Runtime::Jvm,
        "cs" | "fs" | "vb" => Runtime::Dotnet,
        "rs" => Runtime::Rust,
        "c" | "cc" | "cpp" | "cxx" | "h" | "hpp" | "inc" => Runtime::Native,
        _ => return None,
    })
}
