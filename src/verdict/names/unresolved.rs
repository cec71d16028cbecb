//! Names that say that it is not known what ran.

use super::text::{all_digits, all_hex, without_last_group};
use crate::verdict::category::Runtime;

const MARKERS: [&str; 25] = [
    "[unknown]",
    "unknown",
    "<unknown>",
    "(unknown)",
    "[Unknown]",
    "??",
    "?",
    "[missing]",
    "[truncated]",
    "(truncated)",
    "[broken stack]",
    "unknown_Java",
    "not_walkable_Java",
    "no_Java_frame",
    "unknown_not_Java",
    "not_walkable_not_Java",
    "unknown_state",
    "break_interpreted",
    "deoptimization_Java",
    "skipped_frames",
    "<unknown cfunc>",
    "<unknown jit code>",
    "<cfunc>",
    "UNKNOWN",
    "?!?",
];

/// Endings of files with native code.
const SOURCES: [&str; 8] = ["c", "cc", "cpp", "cxx", "h", "hpp", "inc", "rs"];

/// What V8 calls time outside JavaScript, as its profiler and Pyroscope's agent write it.
const OUTSIDE_JAVASCRIPT: [&str; 4] =
    ["(program)", ":(program):0", "Non JS threads activity", ":Non JS threads activity:0"];

/// Whose marker it is, where the name tells.
pub(super) fn runtime(name: &str) -> Option<Runtime> {
    OUTSIDE_JAVASCRIPT.contains(&name).then_some(Runtime::Node)
}

/// Whether the name is an address, a library alone, or a marker of a broken stack.
pub(super) fn is_unresolved(name: &str) -> bool {
    let bare = name.strip_prefix('.').unwrap_or(name);
    if name.is_empty() || MARKERS.contains(&bare) || runtime(bare).is_some() {
        return true;
    }
    if name.starts_with("[unknown ")
        || name.starts_with("<unknown")
        || name.starts_with("[unresolved")
        || name.starts_with("<unwinding aborted")
        || name.starts_with("<error ")
    {
        return true;
    }
    if name == "[unknown_Java]" || name == "[no_Java_frame]" || name == "[not_walkable_Java]" {
        return true;
    }
    if let Some((_, function)) = name.split_once('`') {
        return is_address(function) || function.starts_with("func@0x") || name.starts_with("[Unknown]`");
    }
    if let Some(inner) = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')) {
        // `[libc.so]`, `[perf <407a40>]`, `[vmlinux-5.4]`: a place, not a function.
        return !inner.contains(' ') || inner.ends_with('>') && inner.contains(" <");
    }
    if let Some((function, _)) = function_in(name) {
        return is_address(function);
    }
    is_address(name) || is_library(name.rsplit_once("+0x").map_or(name, |(library, _)| library))
}

/// The library in a name that tells no function: `libfoo.so` of `[libfoo.so]`, `/usr/lib/libfoo.so.1+0x1f` and
/// ``libfoo.so`0x1f``.
pub(in crate::verdict) fn library_of_nameless(name: &str) -> Option<&str> {
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let place = name.split_once('`').map_or(name, |(library, _)| library);
    let place = place.rsplit_once("+0x").map_or(place, |(library, _)| library);
    is_library(place).then(|| place.rsplit('/').next().unwrap_or(place))
}

/// The function and the place of a native frame as py-spy writes it: `gc_collect_main (libpython3.11.so.1.0)`, and
/// `save (_pickle.c:4412)` where the library tells its sources.
pub(super) fn function_in(name: &str) -> Option<(&str, &str)> {
    let function = without_last_group(name, '(', ')')?;
    let place = name.get(function.len() + 1..name.len() - 1)?;
    let place = match place.rsplit_once(':') {
        Some((file, line)) if all_digits(line) => file,
        _ => place,
    };
    let is_source = || place.rsplit_once('.').is_some_and(|(_, ending)| SOURCES.contains(&ending));
    let function = function.strip_suffix(' ').filter(|function| !function.is_empty())?;
    (is_library(place) || is_source()).then_some((function, place))
}

fn is_address(text: &str) -> bool {
    let text = text.trim_start_matches('<').trim_end_matches('>');
    match text.strip_prefix("0x") {
        Some(hex) => all_hex(hex) || hex.split_once('+').is_some_and(|(a, _)| all_hex(a)),
        None => text.len() >= 12 && all_hex(text),
    }
}

/// `libc.so.6`, `/usr/bin/php8.2`, `libpython3.11.so.1.0`, `foo.dll`: no function in it.
fn is_library(text: &str) -> bool {
    if text.contains(['(', ' ', '`', '!']) {
        return false;
    }
    let base = text.rsplit('/').next().unwrap_or(text);
    for ending in [".so", ".dylib"] {
        if let Some((_, version)) = base.rsplit_once(ending) {
            return version.split('.').all(|part| part.is_empty() || all_digits(part));
        }
    }
    let binary = matches!(base.rsplit_once('.'), Some((name, "dll" | "exe")) if !name.is_empty());
    binary || is_versioned_binary(base)
}

/// Interpreters alone: `php8.2`, `python3.11`, `ruby3.2`, `perl5.36`.
fn is_versioned_binary(base: &str) -> bool {
    ["php", "python", "ruby", "perl"].iter().any(|name| {
        base.strip_prefix(name).is_some_and(|version| version.contains('.') && version.split('.').all(all_digits))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("[libfoo.so]", Some("libfoo.so"))]
    #[case("[libstdc++.so.6.0.30]", Some("libstdc++.so.6.0.30"))]
    #[case("/usr/lib/libfoo.so.1+0x1f", Some("libfoo.so.1"))]
    #[case("libfoo.so`0x1f", Some("libfoo.so"))]
    #[case("[unknown]", None)]
    #[case("0x7f001122", None)]
    #[case("main", None)]
    fn finds_the_library_of_a_function_without_a_name(#[case] name: &str, #[case] library: Option<&str>) {
        assert_eq!(library_of_nameless(name), library);
    }
}
