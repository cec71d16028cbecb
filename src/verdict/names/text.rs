//! Helpers for texts that the spellings of several languages need.

use crate::verdict::category::Runtime;

/// Takes off the mark of a frame's type: `_[j]`, `_[k]`… and what it says of the runtime.
pub(super) fn frame_type(name: &str) -> (&str, Option<Runtime>) {
    // A folded line's count may hang on a frame: `fsnotify_[k] 7`.
    let name = match name.rsplit_once("] ") {
        Some((head, count)) if all_digits(count) => name.get(..=head.len()).unwrap_or(name),
        _ => name,
    };
    for module in ["[kernel.kallsyms]`", "[kernel]`", "[k]`"] {
        if let Some(function) = name.strip_prefix(module) {
            return (function, Some(Runtime::Kernel));
        }
    }
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
pub(super) fn without_last_group(text: &str, open: char, close: char) -> Option<&str> {
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
pub(super) fn without_groups(text: &str, open: char, close: char) -> String {
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

pub(super) fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

pub(super) fn all_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit())
}
