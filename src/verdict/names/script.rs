//! Python, Ruby, Node and PHP: languages in which the file tells the module, or the name does.

use super::frame::Frame;
use super::text::{all_digits, without_last_group};
use crate::verdict::category::Runtime;

/// A Node frame: by its file, by a module in the name (`node:net:connect:193`), or by V8's own marks.
pub(super) fn node(name: &str, file: &str) -> Option<Frame> {
    let found = |text: String| Some(Frame::new(text, Some(Runtime::Node)));
    // Pyroscope's agent writes file, function and line into the name: `:(idle):0` has no file.
    let name = match name.strip_prefix(':').and_then(|n| n.rsplit_once(':')) {
        Some((mark, line)) if all_digits(line) && !mark.contains([':', '/']) => mark,
        _ => name,
    };
    // The SDK for Node.js writes it so.
    let name = if name == "Garbage Collection" { "(garbage collector)" } else { name };
    if matches!(name, "(garbage collector)" | "(idle)" | "(root)" | "(compiler)" | "(parser)") {
        return found(name.to_owned());
    }
    for mark in ["RegExp: ", "RegExp:", "Builtin:", "Builtin: ", "Bytecode:", "BytecodeHandler:"] {
        if name.starts_with(mark) {
            let kind = mark.trim().trim_end_matches(':');
            let rest = name.get(mark.len()..).unwrap_or("").trim();
            return found(if kind == "RegExp" { "RegExp".to_owned() } else { format!("{kind}:{rest}") });
        }
    }
    for mark in ["LazyCompile:", "JS:", "Function:", "Script:", "Eval:", "Handler:", "Stub:"] {
        if let Some(rest) = name.strip_prefix(mark) {
            return found(perf_basic(rest.trim_start_matches(['*', '~', '^', '+', '`', ' '])));
        }
    }
    if function_and_place(name) {
        return found(perf_basic(name));
    }
    if let Some((function, file)) = place_in_parentheses(name) {
        return found(format!("{}:{function}", module(file)));
    }
    let inside = name.strip_prefix("(anonymous):").unwrap_or(name);
    if inside.starts_with("node:")
        || inside.contains("node_modules/")
        || inside.contains(".js:")
        || inside.contains(".ts:")
    {
        return found(in_name(inside));
    }
    if is_node_file(file) {
        let function = name.strip_suffix("()").unwrap_or(name);
        return found(format!("{}:{function}", module(file)));
    }
    None
}

fn is_node_file(file: &str) -> bool {
    file.starts_with("node:")
        || [".js", ".mjs", ".cjs", ".ts", ".jsx", ".tsx"].iter().any(|ending| file.ends_with(ending))
}

/// Whether a name is a function and its place, and nothing else: `Module._compile module.js:652`.
fn function_and_place(name: &str) -> bool {
    let Some((_, place)) = name.rsplit_once(' ') else { return false };
    let mut parts = place.rsplit(':');
    let numbers = parts.by_ref().take_while(|part| all_digits(part)).count();
    let file = place.rsplitn(numbers + 1, ':').last().unwrap_or("");
    (1..=2).contains(&numbers) && !file.starts_with('(') && is_node_file(file)
}

/// The function and the file of `executeQuery (file:///srv/node_modules/kysely/index.mjs:12:3)`.
fn place_in_parentheses(name: &str) -> Option<(&str, &str)> {
    let (function, place) = name.strip_suffix(')')?.rsplit_once(" (")?;
    let file = place.trim_end_matches(|c: char| c.is_ascii_digit() || c == ':');
    (!function.is_empty() && is_node_file(file)).then_some((function, file))
}

/// `Module.require module.js:364` and `onread net.js:512:12`.
fn perf_basic(rest: &str) -> String {
    match rest.split_once(' ') {
        Some((function, place)) => {
            let file = place.split(':').take_while(|p| !all_digits(p)).collect::<Vec<_>>().join(":");
            format!("{}:{function}", module(file.trim_start_matches("native ")))
        }
        None => rest.to_owned(),
    }
}

/// `./node_modules/express/lib/router/layer.js:handle:86`.
fn in_name(name: &str) -> String {
    let name = match name.rsplit_once(':') {
        Some((front, line)) if all_digits(line) => front,
        _ => name,
    };
    let name = without_drive(name);
    let from = usize::from(name.starts_with("node:")) * 5;
    match name.get(from..).and_then(|tail| tail.split_once(':')) {
        Some((file, function)) => {
            let scheme = name.get(..from).unwrap_or("");
            format!("{}:{function}", module(&format!("{scheme}{file}")))
        }
        None => module(name),
    }
}

/// A path of Windows without its drive: `/C:/shop/cart.js` is `/shop/cart.js`.
fn without_drive(path: &str) -> &str {
    match path.trim_start_matches('/').split_once(":/") {
        Some((drive, _)) if drive.len() == 1 => path.split_once(':').map_or(path, |(_, rest)| rest),
        _ => path,
    }
}

/// The module of a file: from the last `node_modules` on, without ending; old core files (`net.js`) as `node:net`.
fn module(file: &str) -> String {
    let file = file.trim_start_matches("file://").trim_start_matches("./");
    let stem = |f: &str| match f.rsplit_once('.') {
        Some((stem, "js" | "mjs" | "cjs" | "ts" | "jsx" | "tsx")) => stem.to_owned(),
        _ => f.to_owned(),
    };
    if let Some(at) = file.rfind("node_modules/") {
        return stem(file.get(at..).unwrap_or(file));
    }
    if file.starts_with("node:") {
        return file.to_owned();
    }
    let core = file.strip_prefix("internal/").unwrap_or(file);
    if !file.starts_with('/') && (core != file || !core.contains('/')) && is_core(&stem(core), core != file) {
        return format!("node:{}", stem(file));
    }
    stem(file).trim_start_matches('/').to_owned()
}

fn is_core(stem: &str, internal: bool) -> bool {
    const CORE: [&str; 34] = [
        "net",
        "http",
        "https",
        "fs",
        "timers",
        "events",
        "stream",
        "_stream_readable",
        "_stream_writable",
        "_stream_transform",
        "_http_server",
        "_http_client",
        "_http_outgoing",
        "_http_incoming",
        "_http_common",
        "_tls_wrap",
        "tls",
        "crypto",
        "zlib",
        "dns",
        "dgram",
        "buffer",
        "module",
        "node",
        "path",
        "url",
        "querystring",
        "util",
        "vm",
        "assert",
        "child_process",
        "cluster",
        "readline",
        "string_decoder",
    ];
    internal || CORE.contains(&stem)
}

/// A Python frame: by its file, `<frozen …>`, or py-spy's `function (file.py:12)`.
pub(super) fn python(name: &str, file: &str) -> Option<Frame> {
    let found = |text: String| Some(Frame::new(text, Some(Runtime::Python)));
    if is_python_file(file) {
        return found(format!("{}.{name}", python_module(file)));
    }
    if let Some(library) = generator(file) {
        return found(format!("{library}.{name}"));
    }
    // Some samplers write the thread in front of a bare function.
    if let Some((_, function)) = name.split_once('`').filter(|(thread, _)| is_thread(thread)) {
        return found(function.to_owned());
    }
    if let Some((frozen, function)) = name.strip_prefix("<frozen ").and_then(|n| n.split_once('>')) {
        let function = function.trim_start_matches([':', '.', ' ']);
        return found(format!("{frozen}.{function}"));
    }
    if let Some(function) = without_last_group(name, '(', ')') {
        let place = name.get(function.len() + 1..name.len() - 1).unwrap_or("");
        let place = match place.rsplit_once(':') {
            Some((front, line)) if all_digits(line) => front,
            _ => place,
        };
        if is_python_file(place) {
            return found(format!("{}.{}", python_module(place), function.trim()));
        }
        if let Some(library) = generator(place) {
            return found(format!("{library}.{}", function.trim()));
        }
    }
    if let Some((place, function)) = name.split_once(".py:").or_else(|| name.split_once(".py "))
        && !place.contains(' ')
    {
        let function = function.split(':').find(|p| !all_digits(p)).unwrap_or(function);
        return found(format!("{}.{function}", python_module(&format!("{place}.py"))));
    }
    None
}

/// The library that generated the code of a place: `<sqlalchemy generated warned() wrapper for …>`.
fn generator(place: &str) -> Option<&str> {
    place.strip_prefix('<')?.strip_suffix('>')?.split_once(" generated ").map(|(library, _)| library)
}

/// What Python calls its threads unless told otherwise.
fn is_thread(name: &str) -> bool {
    let number = |n: &str| all_digits(n.split(' ').next().unwrap_or(n));
    name == "MainThread" || name.strip_prefix("Thread-").is_some_and(number)
}

fn is_python_file(file: &str) -> bool {
    matches!(file.rsplit_once('.'), Some((_, "py" | "pyx"))) || file.starts_with("<frozen ")
}

/// `/usr/lib/python3.11/site-packages/redis/client.py` → `redis.client`; `logging/__init__.py` → `logging`.
fn python_module(file: &str) -> String {
    if let Some(frozen) = file.strip_prefix("<frozen ") {
        return frozen.trim_end_matches('>').to_owned();
    }
    let mut path = file.trim_end_matches('x').trim_end_matches(".py");
    for marker in ["site-packages/", "dist-packages/"] {
        if let Some(at) = path.rfind(marker) {
            path = path.get(at + marker.len()..).unwrap_or(path);
        }
    }
    if let Some(at) = path.rfind("/python") {
        let tail = path.get(at + 7..).unwrap_or("");
        if let Some((version, rest)) = tail.split_once('/')
            && version.split('.').all(all_digits)
        {
            path = rest;
        }
    }
    let path = path.trim_end_matches("/__init__").trim_start_matches("./").trim_start_matches('/');
    path.replace('/', ".")
}

/// The name without the number of calls that ruby-prof writes behind it: `Cart#total (91)`.
pub(super) fn without_calls(name: &str) -> &str {
    match name.strip_suffix(')').and_then(|n| n.rsplit_once(" (")) {
        Some((head, calls)) if all_digits(calls) && head.contains('#') => head,
        _ => name,
    }
}

/// `Class#method`, `block (2 levels) in …`, `Namespace::Class.method?`, `(marking)`.
pub(super) fn is_ruby(name: &str) -> bool {
    const PLAIN: [&str; 9] = [
        "(garbage collection)",
        "(marking)",
        "(sweeping)",
        "<main>",
        "<top (required)>",
        "<internal:gc>",
        "<internal:kernel>",
        "<cfunc>",
        "(dynamic)",
    ];
    if PLAIN.contains(&name) || name.starts_with("#<") {
        return true;
    }
    let starts = [
        "block in ",
        "block (",
        "rescue in ",
        "ensure in ",
        "<class:",
        "<module:",
        "<internal:",
        "<Class::",
        "<Module::",
    ];
    if starts.iter().any(|s| name.starts_with(s)) {
        return true;
    }
    let capital = name.starts_with(|c: char| c.is_ascii_uppercase());
    if !capital || name.contains([' ', '(', '/', '`']) {
        return false;
    }
    // Operators are methods too: `Arel::Collectors::PlainString#<<`, `where!`.
    // `GC_Thread#0` and `C2_CompilerThread#1` are threads: no method's name starts with a digit.
    if let Some((_, method)) = name.split_once('#') {
        return !method.starts_with(|c: char| c.is_ascii_digit());
    }
    if name.contains(['<', '!']) && !name.ends_with('!') {
        return false;
    }
    // A module with `::` and a method after a single dot: `ActiveSupport::JSON.decode`.
    name.rsplit_once('.').is_some_and(|(module, method)| {
        module.contains("::")
            && !module.contains('.')
            && method.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
    })
}

/// The class and method, without the block around them.
pub(super) fn ruby(name: &str) -> Frame {
    let mut rest = name;
    while let Some((mark, inner)) = rest.split_once(" in ") {
        if !(mark.starts_with("block") || mark == "rescue" || mark == "ensure") {
            break;
        }
        rest = inner;
    }
    // ruby-prof's spelling of a method of the class itself: `<Class::IO>#read`.
    let singleton = rest.strip_prefix("<Class::").or_else(|| rest.strip_prefix("<Module::"));
    if let Some((class, method)) = singleton.and_then(|r| r.split_once(">#")) {
        return Frame::new(format!("{class}.{method}"), Some(Runtime::Ruby));
    }
    let text = match rest.strip_prefix("#<").and_then(|r| r.rsplit_once(['>'])) {
        Some((inside, method)) => {
            let class = inside.trim_start_matches("#<").split(':').next().unwrap_or("");
            format!("{class}{method}")
        }
        None => rest.to_owned(),
    };
    Frame::new(text, Some(Runtime::Ruby))
}

/// A function and its place, as samplers of PHP write them: `App\Cart::total /srv/app/Cart.php:31`, without the place.
pub(super) fn php_with_place(name: &str) -> Option<&str> {
    let (function, place) = name.split_once(' ')?;
    let file = match place.rsplit_once(':') {
        Some((file, line)) if all_digits(line) => file,
        _ => place,
    };
    let is_php = file.rsplit_once('.').is_some_and(|(_, ending)| ending == "php");
    (is_php && !function.is_empty()).then_some(function)
}

/// `Composer\Autoload\ClassLoader::loadClass`, closures and all.
pub(super) fn php(name: &str) -> String {
    let name = name.strip_suffix("()").unwrap_or(name);
    name.replace("{closure}", "closure")
}
