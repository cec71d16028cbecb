//! How frames are spelled, and the one spelling rules are written in.
//!
//! A Java method has six spellings in real profiles, a native function carries its library, a Rust one a hash, a Node
//! one its line. [`Frame::of`] takes all that off and finds out what language the name speaks, where it shows.

mod dotnet;
mod go;
mod jvm;
mod key;
mod native;
mod script;
mod unresolved;

pub(super) use go::is_standard;
pub use key::key;

use super::Runtime;

/// A frame in the one spelling that rules are written in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The canonical name, dotted, slashed or coloned as its language is.
    pub(crate) text: String,
    /// A second name that may be claimed too: the trait of a Rust method.
    pub(crate) alt: Option<String>,
    /// The runtime the spelling proves; `None` for a bare word such as `malloc` or `loads`.
    pub(crate) own: Option<Runtime>,
    /// The library in the name, without path and version.
    pub(crate) library: Option<String>,
    /// Says that nobody knows what ran: an address, a library alone, a marker of a broken stack.
    pub(crate) unresolved: bool,
}

impl Frame {
    fn new(text: impl Into<String>, own: Option<Runtime>) -> Self {
        Self { text: text.into(), own, ..Self::default() }
    }

    fn unresolved(text: &str) -> Self {
        Self { text: text.to_owned(), unresolved: true, ..Self::default() }
    }

    /// Reads a name as a profiler spelled it, with the file it stands in (empty where unknown).
    pub(crate) fn of(name: &str, file: &str) -> Self {
        let (name, marked) = frame_type(name.trim());
        if unresolved::is_unresolved(name) {
            return Self::unresolved(name);
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
    let by_file = runtime_of_file(file);
    if let Some(frame) = script::node(name, file) {
        return frame;
    }
    if let Some(frame) = script::python(name, file) {
        return frame;
    }
    if by_file == Some(Runtime::Ruby) || script::is_ruby(name) {
        return script::ruby(name);
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

/// Takes off the mark of a frame's type: `_[j]`, `_[k]`… and what it says of the runtime.
fn frame_type(name: &str) -> (&str, Option<Runtime>) {
    // A folded line's count may hang on a frame: `fsnotify_[k] 7`.
    let name = match name.rsplit_once("] ") {
        Some((head, count)) if all_digits(count) => name.get(..=head.len()).unwrap_or(name),
        _ => name,
    };
    let Some(head) = name.strip_suffix(']') else { return (name, None) };
    let Some((rest, mark)) = head.rsplit_once("_[") else { return (name, None) };
    match mark {
        "j" | "i" | "0" | "1" => (rest, Some(Runtime::Jvm)),
        "k" => (rest, Some(Runtime::Kernel)),
        "n" => (rest, None),
        _ => (name, None),
    }
}

/// Takes off the balanced last group `open … close`, if the text ends with it.
fn without_last_group(text: &str, open: char, close: char) -> Option<&str> {
    if !text.ends_with(close) {
        return None;
    }
    let mut depth = 0_usize;
    for (at, c) in text.char_indices().rev() {
        if c == close {
            depth += 1;
        } else if c == open {
            depth -= 1;
            if depth == 0 {
                return text.get(..at);
            }
        }
    }
    None
}

/// Takes out every balanced group `open … close`, wherever it stands.
fn without_groups(text: &str, open: char, close: char) -> String {
    let mut out = String::with_capacity(text.len());
    let mut depth = 0_usize;
    for c in text.chars() {
        if c == open {
            depth += 1;
        } else if c == close && depth > 0 {
            depth -= 1;
        } else if depth == 0 {
            out.push(c);
        }
    }
    out
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn all_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests;
