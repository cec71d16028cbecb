//! The key that the same function has in two windows, two versions and two spellings.

use std::borrow::Cow;

use super::text::{all_digits, all_hex, frame_type};
use super::{jvm, native};

/// The name under which a function is joined between windows, with baselines and across a fleet: spellings of one JVM
/// method fall together, and counters that change from run to run or from build to build are neutralised (lambda and
/// accessor numbers, proxy and CGLIB suffixes, addresses, Rust hashes, compiler clones, Go closure numbers and shapes,
/// trailing line numbers). About 7 % of real names carry such counters.
pub fn key(name: &str) -> Cow<'_, str> {
    key_by(name, Marks::of)
}

/// Answers `None` where it has nothing to do.
type Step = fn(&str) -> Option<String>;

/// The key, by the steps that may have something to do.
fn key_by(name: &str, marks_of: fn(&str) -> Marks) -> Cow<'_, str> {
    let (bare, _) = frame_type(name.trim());
    if !bare.contains(['/', '.', ':', '$', '`', '+', '(', '[', '@', '#']) {
        return Cow::Borrowed(bare);
    }
    let bare = bare.strip_prefix("./").unwrap_or(bare);
    let mut marks = marks_of(bare);
    let bare = if marks.library { native::library(bare).map_or(bare, |(_, function)| function) } else { bare };
    let mut text: Cow<'_, str> = Cow::Borrowed(bare);
    if let Some(dotted) = jvm::canonical(bare) {
        // Dots in place of slashes make marks that were none.
        marks = marks_of(&dotted);
        text = Cow::Owned(dotted);
    }
    let steps: [(bool, Step); 7] = [
        (true, line_off),
        (marks.rust_hash, rust_hash_off),
        (marks.clone, clones_off),
        (marks.address, addresses_off),
        (marks.java_counter, java_counters_off),
        (marks.go_shape, go_shapes_off),
        (marks.go_closure, go_closures_off),
    ];
    for (_, step) in steps.into_iter().filter(|(needed, _)| *needed) {
        if let Some(changed) = step(&text) {
            text = Cow::Owned(changed);
        }
    }
    text
}

/// Which steps may have something to do: found out in one pass, by two bytes of what each looks for. Steps take away and
/// bring nothing in that another looks for.
#[expect(clippy::struct_excessive_bools, reason = "they do not depend on one another")]
#[derive(Debug, Default)]
struct Marks {
    library: bool,
    rust_hash: bool,
    clone: bool,
    address: bool,
    java_counter: bool,
    go_shape: bool,
    go_closure: bool,
}

impl Marks {
    fn of(text: &str) -> Self {
        let mut marks = Self::default();
        let mut before = 0;
        for byte in text.bytes() {
            match (before, byte) {
                (_, b'`' | b'!') | (b'.', b's' | b'd') => marks.library = true,
                (b':', b'h') => marks.rust_hash = true,
                (b'.', b'i' | b'p' | b'c' | b'l') | (b'@', b'p' | b'@' | b'G') | (b' ', b'[') => marks.clone = true,
                (b'0', b'x') => (marks.address, marks.clone) = (true, true),
                (_, b'$') | (b'd', b'M' | b'C') => marks.java_counter = true,
                (b'[', b'g' | b'.') => marks.go_shape = true,
                (b'.', b'f') => marks.go_closure = true,
                _ => {}
            }
            before = byte;
        }
        marks
    }
}

/// `…/layer.js:handle:86` → `…/layer.js:handle`, `foo()` → `foo`, `main (app/main.py:49)` → `main (app/main.py)`.
fn line_off(text: &str) -> Option<String> {
    if let Some((head, line)) = text.strip_suffix(')').and_then(|inside| inside.rsplit_once(':'))
        && head.rsplit('.').next() == Some("py")
        && all_digits(line)
    {
        return Some(format!("{head})"));
    }
    if let Some(head) = text.strip_suffix("()") {
        return Some(head.to_owned());
    }
    let (head, line) = text.rsplit_once(':')?;
    (all_digits(line) && !head.is_empty() && !head.ends_with(':'))
        .then(|| line_off(head).unwrap_or_else(|| head.to_owned()))
}

fn rust_hash_off(text: &str) -> Option<String> {
    let (head, hash) = text.rsplit_once("::h")?;
    (hash.len() == 16 && all_hex(hash)).then(|| head.to_owned())
}

/// What compilers and linkers append to a name, the first in this list first.
const CLONES: [&str; 10] =
    [".isra.", ".part.", ".constprop.", ".lto_priv.", ".llvm.", ".cold", "@plt", "@@GLIBC", "@GLIBC", " [clone "];

fn clones_off(text: &str) -> Option<String> {
    // One pass for all of them: few bytes of a name begin any.
    let begins = |(_, byte): &(usize, u8)| matches!(byte, b'.' | b'@' | b' ');
    let found = text.bytes().enumerate().filter(begins).filter_map(|(at, _)| {
        let tail = text.get(at..)?;
        CLONES.iter().position(|mark| tail.starts_with(mark)).map(|rank| (rank, at))
    });
    if let Some((_, at)) = found.min() {
        return text.get(..at).filter(|head| !head.is_empty()).map(str::to_owned);
    }
    let (head, offset) = text.rsplit_once("+0x")?;
    all_hex(offset).then(|| head.to_owned())
}

/// Every `0x1f…` becomes `0x*`.
fn addresses_off(text: &str) -> Option<String> {
    if !text.contains("0x") {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((head, tail)) = rest.split_once("0x") {
        let end = tail.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(tail.len());
        out.push_str(head);
        out.push_str(if end == 0 { "0x" } else { "0x*" });
        rest = tail.get(end..).unwrap_or("");
    }
    out.push_str(rest);
    Some(out)
}

/// `$$Lambda$14/0x…`, `$Proxy12`, `$$EnhancerBySpringCGLIB$$1a2b`, `lambda$run$3`, `$anonfun$5`.
fn java_counters_off(text: &str) -> Option<String> {
    let mut out: Option<String> = None;
    for mark in ["$Proxy", "GeneratedMethodAccessor", "GeneratedConstructorAccessor", "CGLIB$$", "$anonfun$"] {
        let current = out.as_deref().unwrap_or(text);
        let Some(at) = current.find(mark) else { continue };
        let tail = current.get(at + mark.len()..)?;
        let hex = mark.ends_with("CGLIB$$");
        let end = tail.find(|c: char| !(c.is_ascii_digit() || hex && c.is_ascii_hexdigit())).unwrap_or(tail.len());
        // Pyroscope has `_` in their place.
        let end = if hex && tail.split('.').next() == Some("_") { 1 } else { end };
        if end > 0 {
            out = Some(format!("{}*{}", current.get(..at + mark.len())?, tail.get(end..)?));
        }
    }
    let current = out.as_deref().unwrap_or(text);
    if let Some(at) = current.find("$$Lambda") {
        let tail = current.get(at + 8..)?;
        let end = tail.rfind('.').unwrap_or(tail.len());
        return Some(format!("{}{}", current.get(..at + 8)?, tail.get(end..)?));
    }
    if current.contains("lambda$")
        && let Some((head, number)) = current.rsplit_once('$')
        && all_digits(number)
    {
        return Some(format!("{head}$*"));
    }
    out
}

/// `Sort[go.shape.string]` and what Go's own profiler writes for it, `Sort[...]` → `Sort[…]`.
fn go_shapes_off(text: &str) -> Option<String> {
    let at = ["[go.shape.", "[...]"].iter().filter_map(|mark| text.find(mark)).min()?;
    let mut depth = 0_usize;
    let tail = text.get(at..)?;
    let end = tail.char_indices().find_map(|(i, c)| {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        (depth == 0).then_some(i)
    });
    let rest = end.and_then(|end| tail.get(end + 1..)).unwrap_or("");
    Some(format!("{}[…]{}", text.get(..at)?, go_shapes_off(rest).unwrap_or_else(|| rest.to_owned())))
}

/// `.func1.2`, `.func3.gowrap1` → `.func*`.
fn go_closures_off(text: &str) -> Option<String> {
    let mut from = 0;
    while let Some(found) = text.get(from..)?.find(".func") {
        let at = from + found;
        let tail = text.get(at + 5..)?;
        let first = tail.split('.').next()?;
        let digits = first.find(|c: char| !c.is_ascii_digit()).unwrap_or(first.len());
        let closure = |t: &str| {
            all_digits(t) || ["func", "gowrap", "deferwrap"].iter().any(|p| t.strip_prefix(p).is_some_and(all_digits))
        };
        if digits > 0 && digits == first.len() && tail.split('.').skip(1).all(closure) {
            return Some(format!("{}.func*", text.get(..at)?));
        }
        from = at + 5;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: Marks = Marks {
        library: true,
        rust_hash: true,
        clone: true,
        address: true,
        java_counter: true,
        go_shape: true,
        go_closure: true,
    };

    /// What steps look for, and what stands around it.
    const PARTS: [&str; 38] = [
        "libjvm.so.",
        "x.dylib.",
        "ntdll!",
        "zfs`",
        "::h0123456789abcdef",
        "::",
        ":12",
        "()",
        ".isra.3",
        ".part.1",
        ".constprop.0",
        ".cold",
        ".lto_priv.9",
        ".llvm.77",
        "@plt",
        "@@GLIBC_2.2",
        "@GLIBC",
        " [clone .x]",
        "+0x1f",
        "0xff00",
        "$Proxy12",
        "$$Lambda$14/",
        "lambda$run$3",
        "$anonfun$5",
        "CGLIB$$1a2b",
        "GeneratedMethodAccessor5",
        "GeneratedConstructorAccessor",
        "[go.shape.int]",
        "[...]",
        " (app/main.py:49)",
        ".func1",
        ".2",
        ".gowrap1",
        "com/x/",
        "java.util.",
        "Foo",
        ".bar",
        "(",
    ];

    proptest! {
        #[test]
        fn no_step_that_is_left_out_had_anything_to_do(parts in prop::collection::vec(prop::sample::select(&PARTS[..]), 1..7)) {
            let name = parts.concat();
            prop_assert_eq!(key_by(&name, Marks::of), key_by(&name, |_| ALL));
        }

        #[test]
        fn one_pass_cuts_where_a_search_for_each_mark_would(parts in prop::collection::vec(prop::sample::select(&PARTS[..]), 1..7)) {
            let name = parts.concat();
            if let Some((head, _)) = CLONES.iter().find_map(|mark| name.split_once(mark)) {
                prop_assert_eq!(clones_off(&name), (!head.is_empty()).then(|| head.to_owned()));
            }
        }
    }
}
