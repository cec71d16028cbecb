//! C, C++, Rust and kernel symbols: libraries, versions, clones, arguments, templates, hashes.

use super::frame::Frame;
use super::text::{all_digits, all_hex, without_groups, without_last_group};
use crate::verdict::category::Runtime;

/// Splits `libjvm.so.Parker::park`, `libc-2.31.so.epoll_wait` and ``zfs`zil_commit`` into library and function.
pub(super) fn library(name: &str) -> Option<(&str, &str)> {
    if let Some((library, function)) = name.split_once('`') {
        let plain = !library.is_empty() && !library.contains([' ', '(', '<', '.'])
            || [".dylib", ".so", ".exe", ".dll"].iter().any(|ending| library.contains(ending));
        return plain.then_some((library, function));
    }
    for ending in [".so.", ".dylib."] {
        let Some(at) = name.find(ending) else { continue };
        let (library, mut rest) = (name.get(..at)?, name.get(at + ending.len()..)?);
        if library.contains([' ', '(', '<']) {
            continue;
        }
        while let Some((version, tail)) = rest.split_once('.') {
            if !all_digits(version) {
                break;
            }
            rest = tail;
        }
        return Some((library, rest));
    }
    if let Some((library, function)) = name.split_once('!') {
        // Windows: `ntdll!NtWaitForSingleObject`.
        let plain = !library.is_empty() && !library.contains(['.', ' ', '(']) && !function.contains('.');
        return (plain && !function.is_empty()).then_some((library, function));
    }
    None
}

/// Modules of the kernels of Linux, illumos and the BSDs, as profilers write them before a function.
const KERNEL_MODULES: [&str; 33] = [
    "kernel",
    "vmlinux",
    "unix",
    "genunix",
    "zfs",
    "ip",
    "sockfs",
    "ufs",
    "nfs",
    "lofs",
    "dtrace",
    "tcp",
    "overlay",
    "xfs",
    "ext4",
    "kvm",
    "kvm_intel",
    "kvm_amd",
    "vmm",
    "specfs",
    "fifofs",
    "devfs",
    "procfs",
    "sd",
    "scsi",
    "mac",
    "dls",
    "dld",
    "nf_conntrack",
    "virtio_net",
    "pcplusmp",
    "apix",
    "FSS",
];

/// A function of a library that the name tells.
pub(super) fn within(library: &str, function: &str) -> Frame {
    let base = library.rsplit('/').next().unwrap_or(library);
    let base = base.trim_end_matches(".dylib").split(".so").next().unwrap_or(base);
    let kernel = KERNEL_MODULES.contains(&base) || base == "mach_kernel";
    let base = base.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    let mut frame = frame(function);
    frame.library = Some(base.to_owned());
    frame.own = frame.own.or(Some(if kernel { Runtime::Kernel } else { Runtime::Native }));
    frame
}

/// A symbol without a library. `own` is set only where the spelling proves it.
pub(super) fn frame(name: &str) -> Frame {
    let name = undecorated(name);
    // C++ nests names in the same way; only Rust's end in a hash.
    if let Some(text) =
        rustc_demangle::try_demangle(name).ok().filter(|t| format!("{t:#}") != t.to_string() || name.starts_with("_R"))
    {
        let mut frame = symbol(&format!("{text:#}"));
        frame.own = Some(Runtime::Rust);
        return frame;
    }
    if let Some(text) = without_crate_hash(name) {
        let mut frame = symbol(&text);
        frame.own = Some(Runtime::Rust);
        return frame;
    }
    if let Some(text) = name.strip_prefix("_Z").or_else(|| name.strip_prefix("__Z")).and_then(cpp_path) {
        return symbol(&text);
    }
    if name.contains("_$LT$") || name.contains("$GT$") || name.contains("$u20$") {
        return symbol(&unescaped(name));
    }
    symbol(name)
}

/// Takes off offsets, versions, clones and the marks of linkers.
fn undecorated(name: &str) -> &str {
    let mut name = name.split('\t').next().unwrap_or(name).trim();
    // async-profiler's stubs, and the counts of a table of frames.
    name = name.strip_prefix('.').unwrap_or(name);
    name = name.strip_prefix("DYLD-STUB$$").unwrap_or(name);
    // What Go makes of a C function that it calls.
    if let Some((hash, function)) = name.strip_prefix("_cgo_").and_then(|n| n.split_once("_Cfunc_"))
        && all_hex(hash)
    {
        name = function;
    }
    // Where a profiler writes Go's own name of it: names in C are not written with a capital and a dot.
    if let Some(function) = name.strip_prefix("C.").filter(|function| function.contains('_') && is_c_name(function)) {
        name = function;
    }
    if let Some((head, _)) = name.split_once("  (in ") {
        name = head;
    }
    for mark in ["@plt", "$INODE64", "$NOCANCEL", "$UNIX2003", "$VARIANT", "@@", "@GLIBC"] {
        if let Some((head, _)) = name.split_once(mark)
            && !head.is_empty()
        {
            name = head;
        }
    }
    if let Some((head, _)) = name.split_once(" [clone ") {
        name = head;
    }
    if let Some((head, tail)) = name.rsplit_once("+0x")
        && all_hex(tail)
    {
        name = head;
    }
    for mark in [".isra.", ".part.", ".constprop.", ".cold", ".lto_priv.", ".llvm.", ".clone.", ".localalias"] {
        if let Some((head, _)) = name.split_once(mark)
            && !head.is_empty()
        {
            name = head;
        }
    }
    name
}

/// Whether a name may be a function's in C, in small letters.
fn is_c_name(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// The qualified name of an Itanium-mangled symbol, without templates and arguments; `None` for what is not plain.
fn cpp_path(mangled: &str) -> Option<String> {
    let nested = mangled.strip_prefix('N');
    let mut rest = nested.unwrap_or(mangled).trim_start_matches(['K', 'V', 'r']);
    let mut parts: Vec<&str> = Vec::new();
    if let Some(tail) = rest.strip_prefix("St") {
        parts.push("std");
        rest = tail;
    }
    while let Some(digits) = rest.find(|c: char| !c.is_ascii_digit()).filter(|n| *n > 0) {
        let length: usize = rest.get(..digits)?.parse().ok()?;
        parts.push(rest.get(digits..digits.checked_add(length)?)?);
        rest = rest.get(digits + length..)?;
        if nested.is_none() {
            break;
        }
        rest = rest.trim_start_matches("B5cxx11");
    }
    (!parts.is_empty()).then(|| parts.join("::"))
}

/// Undoes the escapes of Rust's old mangling where the frame was cut before the symbol was whole.
fn unescaped(name: &str) -> String {
    let mut text = name.trim_start_matches('_').to_owned();
    for (from, to) in [
        ("$LT$", "<"),
        ("$GT$", ">"),
        ("$RF$", "&"),
        ("$BP$", "*"),
        ("$C$", ","),
        ("$u20$", " "),
        ("$u27$", "'"),
        ("$u5b$", "["),
        ("$u5d$", "]"),
        ("$u7b$", "{"),
        ("$u7d$", "}"),
        ("$u7e$", "~"),
        ("$u2b$", "+"),
        ("$LP$", "("),
        ("$RP$", ")"),
        ("..", "::"),
    ] {
        text = text.replace(from, to);
    }
    text
}

/// Takes the hash of the crate off: `serde_json[1f2e3d4c5b6a7988]::de::from_str`.
fn without_crate_hash(name: &str) -> Option<String> {
    let (head, rest) = name.split_once('[')?;
    let (hash, path) = rest.split_once("]::")?;
    let is_hash = (12..=16).contains(&hash.len()) && all_hex(hash);
    (is_hash && !head.is_empty()).then(|| format!("{head}::{path}"))
}

/// Takes a readable symbol apart: hash, arguments, templates, impl blocks.
fn symbol(name: &str) -> Frame {
    let mut name = name.trim();
    let mut rust = false;
    if let Some((head, hash)) = name.rsplit_once("::h")
        && hash.len() >= 7
        && hash.len() <= 16
        && all_hex(hash)
    {
        name = head;
        rust = true;
    }
    if let Some(operator) = operator(name) {
        return Frame::new(operator, None);
    }
    let text = without_arguments(name);
    let (path, alt) = path_of(text);
    let mut frame = Frame::new(path, None);
    let rusty = rust || text.contains(" as ") || is_rust_path(&frame.text);
    frame.alt = alt;
    if rusty {
        frame.own = Some(Runtime::Rust);
    } else if frame.text.contains("::") {
        frame.own = Some(Runtime::Native);
    }
    frame
}

/// `operator new(unsigned long)` and its kind, which hold blanks.
fn operator(name: &str) -> Option<String> {
    let at = name.find("operator new").or_else(|| name.find("operator delete"))?;
    let tail = name.get(at..)?;
    Some(tail.split(['(', '[']).next().unwrap_or(tail).trim().to_owned())
}

fn without_arguments(name: &str) -> &str {
    let name = name.trim_end_matches(" const").trim_end_matches(" [clone]");
    if name.starts_with('(') && !name.starts_with("(anonymous") {
        return name;
    }
    match without_last_group(name, '(', ')') {
        Some(head) if !head.is_empty() && !head.ends_with("::") => head,
        _ => name,
    }
}

/// The path without templates, and the trait of `<Type as Trait>::method`.
fn path_of(text: &str) -> (String, Option<String>) {
    if let Some((inside, tail)) = leading_group(text) {
        let inside = inside.strip_prefix("impl ").unwrap_or(inside);
        let tail = plain_path(tail);
        if let Some((kind, of)) = split_outside(inside, " as ") {
            return (format!("{}{tail}", type_path(kind)), Some(format!("{}{tail}", type_path(of))));
        }
        if let Some((of, kind)) = split_outside(inside, " for ") {
            return (format!("{}{tail}", type_path(kind)), Some(format!("{}{tail}", type_path(of))));
        }
        return (format!("{}{tail}", type_path(inside)), None);
    }
    let flat = plain_path(text);
    // A C++ return type stands before the last blank.
    let last = flat.rsplit(' ').next().unwrap_or(&flat).trim_start_matches(['*', '&']);
    // A bare template is no C function of that name.
    let template = !last.contains("::") && text.ends_with('>') && last.len() < text.len();
    (if template { format!("{last}<>") } else { last.to_owned() }, None)
}

fn leading_group(text: &str) -> Option<(&str, &str)> {
    if !text.starts_with('<') {
        return None;
    }
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if text.get(..at).is_some_and(|t| t.ends_with('-')) => {}
            '>' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some((text.get(1..at)?, text.get(at + 1..)?)).filter(|(_, tail)| tail.starts_with("::"));
                }
            }
            _ => {}
        }
    }
    None
}

/// Splits at the first `mark` outside angle brackets.
fn split_outside<'t>(text: &'t str, mark: &str) -> Option<(&'t str, &'t str)> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ if depth == 0 && text.get(at..).is_some_and(|t| t.starts_with(mark)) => {
                return Some((text.get(..at)?, text.get(at + mark.len()..)?));
            }
            _ => {}
        }
    }
    None
}

/// The path of a type: references and pointers off, nested `<A as B>` by its first.
fn type_path(text: &str) -> String {
    let text = text.trim().trim_start_matches("'a ").trim_start_matches(['&', '*']);
    let text = text.trim_start_matches("'a ").trim_start_matches("mut ").trim_start_matches("const ").trim();
    if text.starts_with('<') {
        return path_of(text).0;
    }
    let flat = plain_path(text);
    flat.trim_start_matches("dyn ").split(['+', ' ']).next().unwrap_or("").to_owned()
}

/// Templates, closures and impl numbers off.
fn plain_path(text: &str) -> String {
    let flat = angles_off(text);
    if !flat.contains(['{', '#', '(']) && !flat.ends_with("::") {
        return flat;
    }
    let parts: Vec<&str> = flat
        .split("::")
        .filter(|p| !p.starts_with('{') && *p != "(anonymous namespace)" && !p.starts_with("closure#"))
        .collect();
    parts.join("::").trim_end_matches("::").to_owned()
}

fn angles_off(text: &str) -> String {
    if !text.contains('<') {
        return text.to_owned();
    }
    if ["operator<", "operator>", "operator->"].iter().any(|o| text.contains(o))
        || text.starts_with('<') && !text.contains("::")
    {
        return text.to_owned();
    }
    without_groups(text, '<', '>').replace("::::", "::")
}

fn is_rust_path(text: &str) -> bool {
    const CRATES: [&str; 12] = [
        "core::",
        "alloc::",
        "tokio::",
        "hyper::",
        "serde::",
        "serde_json::",
        "actix_web::",
        "rayon_core::",
        "hashbrown::",
        "parking_lot::",
        "futures_util::",
        "actix_rt::",
    ];
    const STD: [&str; 26] = [
        "sys",
        "io",
        "thread",
        "panicking",
        "rt",
        "sys_common",
        "collections",
        "panic",
        "time",
        "fs",
        "net",
        "sync",
        "backtrace",
        "env",
        "path",
        "process",
        "alloc",
        "ffi",
        "hash",
        "fmt",
        "os",
        "prelude",
        "rand",
        "error",
        "ascii",
        "f64",
    ];
    if CRATES.iter().any(|c| text.starts_with(c)) {
        return true;
    }
    let mut parts = text.split("::");
    parts.next() == Some("std") && parts.next().is_some_and(|p| STD.contains(&p)) && parts.next().is_some()
}
