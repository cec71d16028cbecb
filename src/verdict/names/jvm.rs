//! Java, Kotlin and Scala methods: slashes, dots, descriptors, full signatures.

use std::borrow::Cow;

use super::text::all_digits;

const ROOTS: [&str; 30] = [
    "java",
    "javax",
    "jdk",
    "sun",
    "com",
    "org",
    "io",
    "net",
    "scala",
    "kotlin",
    "kotlinx",
    "akka",
    "zio",
    "cats",
    "jakarta",
    "groovy",
    "clojure",
    "ch",
    "de",
    "edu",
    "fr",
    "uk",
    "reactor",
    "okhttp3",
    "okio",
    "retrofit2",
    "rx",
    "lombok",
    "play",
    "monix",
];

/// What counters follow.
const COUNTED: [&str; 4] = [
    "$$Lambda",
    "GeneratedMethodAccessor",
    "GeneratedConstructorAccessor",
    "GeneratedSerializationConstructorAccessor",
];

/// The dotted name if this is the spelling of a JVM method. `None` otherwise.
pub(super) fn canonical(name: &str) -> Option<String> {
    if let Some(text) = name.strip_prefix('L').and_then(perf_map) {
        return Some(text);
    }
    // Folding can lose the `L`: `java/util/zip/Inflater:::inflateBytes`.
    if let Some(text) = name.find("::").filter(|at| *at > 0).and_then(|_| perf_map(name)) {
        return Some(text);
    }
    let bare = &*without_address(strip_signature(name));
    if bare.contains("(*") || bare.contains("::") || bare.contains('`') || bare.contains('#') || bare.contains('!') {
        return None;
    }
    if bare.contains("$$Lambda") {
        return Some(plain(bare));
    }
    let (head, last) = bare.rsplit_once('/').unwrap_or(("", bare));
    let mut parts = last.split('.');
    if head.is_empty() {
        return dotted(bare);
    }
    if head.contains(['.', ':', ' ', '-']) {
        return None;
    }
    let class = parts.next()?.trim_end_matches(':');
    let method = parts.next()?;
    let classy = class.starts_with(|c: char| c.is_ascii_uppercase()) || class.contains('$') || method == "<init>";
    let javaish = ROOTS.contains(&head.split('/').next().unwrap_or(""));
    (classy || (javaish && class == "package$")).then(|| plain(bare))
}

/// A hidden class without its address: `LambdaForm$DMH+0x00007f2c/1535.invoke` is `LambdaForm$DMH.invoke`.
fn without_address(name: &str) -> Cow<'_, str> {
    let Some((class, rest)) = name.split_once("+0x") else { return Cow::Borrowed(name) };
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_hexdigit());
    let rest = rest.strip_prefix('/').map_or(rest, |id| id.trim_start_matches(|c: char| c.is_ascii_digit()));
    Cow::Owned(format!("{class}{rest}"))
}

/// `Ljava/util/zip/Inflater;::inflateBytes`, also with `.` and, after folding, with `:::` or a lost `;`.
fn perf_map(rest: &str) -> Option<String> {
    let end = rest.find([';', ':', '.']).filter(|end| rest.get(..*end).is_some_and(|c| c.contains('/')))?;
    let (class, method) = (rest.get(..end)?, rest.get(end..)?);
    if !method.starts_with([';', ':']) {
        return None;
    }
    let method = method.trim_start_matches([';', ':', '.']);
    let method = method.split("->").next().unwrap_or(method);
    Some(plain(&format!("{class}.{}", strip_signature(method))))
}

/// A dotted name is Java's only where a package of a known root and a class with a capital stand before the method.
fn dotted(bare: &str) -> Option<String> {
    let tokens: Vec<&str> = bare.split('.').collect();
    let (first, class, method) = (tokens.first()?, tokens.get(tokens.len().checked_sub(2)?)?, tokens.last()?);
    if tokens.len() < 3 || !ROOTS.contains(first) || method.is_empty() {
        return None;
    }
    let capital = |t: &str| t.starts_with(|c: char| c.is_ascii_uppercase());
    (capital(class) || class.contains('$')).then(|| plain(bare))
}

/// Dots for slashes, no arguments, no return type, no counters.
pub(super) fn plain(name: &str) -> String {
    let name = strip_signature(name);
    let mut text = if name.contains(":.") { name.replace(":.", ".").replace('/', ".") } else { name.replace('/', ".") };
    // Most names hold no marker, and then they are not looked for one by one.
    let markers: &[&str] = if text.contains("$$") || text.contains("Accessor") { &COUNTED } else { &[] };
    for marker in markers {
        if let Some(at) = text.find(marker) {
            let tail = text.get(at + marker.len()..).unwrap_or("");
            let method = tail.rsplit_once('.').map_or(String::new(), |(_, m)| format!(".{m}"));
            text.truncate(at + marker.len());
            text.push_str(&method);
            break;
        }
    }
    while let Some(at) = text.find(".0x") {
        let tail = text.get(at + 3..).unwrap_or("");
        let end = tail.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(tail.len());
        let rest = tail.get(end..).unwrap_or("").to_owned();
        text.truncate(at);
        text.push_str(&rest);
    }
    text
}

/// `void a.b.C.m(int, long)` → `a.b.C.m`; `a/b/C.m(I)V` → `a/b/C.m`; a trailing `:12` goes too.
fn strip_signature(name: &str) -> &str {
    let end = name.find('(').unwrap_or(name.len());
    if end == 0 || name.get(end..).is_some_and(|t| t.starts_with("(*")) {
        return name;
    }
    let head = name.get(..end).unwrap_or(name);
    let head = match head.rsplit_once(':') {
        Some((front, line)) if all_digits(line) => front,
        _ => head,
    };
    head.rsplit(' ').next().unwrap_or(head)
}
