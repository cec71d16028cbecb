//! Go symbols: import path, receiver, closures, generics, vendored and versioned paths.

use super::frame::Frame;
use super::text::{all_digits, without_groups};
use crate::verdict::category::Runtime;

const STANDARD: [&str; 62] = [
    "archive",
    "arena",
    "bufio",
    "bytes",
    "cmp",
    "compress",
    "container",
    "context",
    "crypto",
    "database",
    "debug",
    "embed",
    "encoding",
    "errors",
    "expvar",
    "flag",
    "fmt",
    "go",
    "hash",
    "html",
    "image",
    "index",
    "internal",
    "io",
    "iter",
    "log",
    "main",
    "maps",
    "math",
    "mime",
    "net",
    "os",
    "path",
    "plugin",
    "reflect",
    "regexp",
    "runtime",
    "slices",
    "sort",
    "strconv",
    "strings",
    "structs",
    "sync",
    "syscall",
    "testing",
    "text",
    "time",
    "unicode",
    "unique",
    "unsafe",
    "vendor",
    "weak",
    "type",
    "go.shape",
    "runtime.text",
    "_cgo",
    "cmd",
    "gosave",
    "gogo",
    "memeqbody",
    "aeshashbody",
    "indexbytebody",
];

/// The name without receiver marks, closures and generics, if this is the spelling of a Go symbol; `None` otherwise. A
/// closure of an inlined function (`gcMark.forEachP.func6`) has that function as its second name.
pub(super) fn canonical(name: &str, file: &str) -> Option<Frame> {
    let ending = file.rsplit('.').next();
    let go_file = ending == Some("go") || ending == Some("s") && file.contains("/src/");
    if !go_file && !is_go(name) {
        return None;
    }
    if name.contains(' ') && !name.contains('[') && !name.contains("struct {") {
        return None;
    }
    let text = plain(name);
    let mut frame = Frame::new(text, Some(Runtime::Go));
    if name.contains(".func") && !name.contains("(*") {
        frame.alt = inlined(&frame.text);
    }
    Some(frame)
}

/// Whether a canonical name is of the standard library or the runtime, whose assembly has names without a package.
pub(in crate::verdict) fn is_standard(text: &str) -> bool {
    let first = text.split(['/', '.', ':']).next().unwrap_or(text);
    first != "main" && (first == text || STANDARD.contains(&first))
}

/// `pkg.Outer.Inner` → `pkg.Inner`.
fn inlined(text: &str) -> Option<String> {
    let package = text.rfind('/').map_or(0, |at| at + 1);
    let mut parts = text.get(package..)?.split('.');
    let (name, _outer, inner) = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then(|| format!("{}{name}.{inner}", text.get(..package).unwrap_or("")))
}

fn is_go(name: &str) -> bool {
    if name.contains("::") || name.starts_with(['[', '(', '<']) {
        return false;
    }
    if name.contains("(*") || name.contains("go.shape.") {
        return true;
    }
    let flat = name.split('[').next().unwrap_or(name);
    if flat.contains(['(', '#', '!', '`', ':']) {
        return false;
    }
    let Some((path, function)) = flat.rsplit_once('/').map_or_else(
        || flat.split_once('.'),
        |(head, last)| {
            last.split_once('.').map(|(package, f)| (flat.get(..head.len() + 1 + package.len()).unwrap_or(head), f))
        },
    ) else {
        return false;
    };
    let first = path.split('/').next().unwrap_or(path);
    let identifier = !function.is_empty() && !function.contains(['$', '-'])
        || function.ends_with("-fm")
        || function.contains("-range");
    identifier && (STANDARD.contains(&first) || first.contains('.') && path.contains('/'))
}

fn plain(name: &str) -> String {
    let name = name.rsplit("/vendor/").next().unwrap_or(name);
    let name = name.strip_prefix("vendor/").unwrap_or(name);
    let flat = if name.contains('[') { without_groups(name, '[', ']') } else { name.to_owned() };
    let flat = flat.replace("(*", "").replace(['(', ')'], "").replace("%2e", ".").replace('·', ".");
    let flat = flat.trim_end_matches("-fm");
    let mut tokens: Vec<&str> = flat.split('.').collect();
    while tokens.len() > 2 && tokens.last().is_some_and(|t| is_closure(t)) {
        tokens.pop();
    }
    let joined = tokens.join(".");
    without_versions(&joined)
}

fn is_closure(token: &str) -> bool {
    let token = token.split("-range").next().unwrap_or(token);
    let numbered = |prefix: &str| token.strip_prefix(prefix).is_some_and(all_digits);
    token.is_empty()
        || all_digits(token)
        || numbered("func")
        || numbered("gowrap")
        || numbered("deferwrap")
        || numbered("stub")
        || token.split('_').next().is_some_and(|t| t != token && t.strip_prefix("func").is_some_and(all_digits))
}

/// `badger/v4/table` → `badger/table`, `yaml.v3.` → `yaml.`; `v1` stays, it is an API's name more often.
fn without_versions(path: &str) -> String {
    if !path.contains("/v") && !path.contains(".v") {
        return path.to_owned();
    }
    let is_version = |t: &str| t.strip_prefix('v').is_some_and(|n| all_digits(n) && n != "1");
    let mut out = String::with_capacity(path.len());
    let mut token = String::new();
    for c in path.chars().chain(std::iter::once('\0')) {
        if c == '/' || c == '.' || c == '\0' {
            if is_version(&token) {
                out.pop();
            } else {
                out.push_str(&token);
            }
            token.clear();
            if c != '\0' {
                out.push(c);
            }
        } else {
            token.push(c);
        }
    }
    out
}
