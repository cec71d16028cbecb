//! Reads what the checks need of a Rust file: its modules, the paths they use, and their strings. It works on text,
//! since a test cannot ask the compiler.

use std::path::Path;
use std::rc::Rc;
use std::sync::LazyLock;

use regex::{Captures, Regex};

static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    let comment = r"//[^\n]*|(?s:/\*.*?\*/)";
    let raw = r###"\bb?r"(?<r0>[^"]*)"|\bb?r#"(?<r1>(?s:.*?))"#|\bb?r##"(?<r2>(?s:.*?))"##"###;
    let string = r##""(?<s>(?s:\\.|[^"\\])*)""##;
    let character = r"'(?:\\[^']+|\\'|[^'\\])'";
    Regex::new(&format!("{comment}|{raw}|{string}|{character}")).unwrap()
});
static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#""(\d+)""#).unwrap());
static INLINE_MODULE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bmod\s+(\w+)\s*\{").unwrap());
static OTHER_FILE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?:#\[path\s*=\s*"(\d+)"\]\s*)?(?:pub(?:\([^)]*\))?\s+)?\bmod\s+(\w+)\s*;"#).unwrap()
});
static USE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b(?:use|extern\s+crate)\s+([^;]+);").unwrap());
static TYPE_ALIAS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\btype\s+(\w+)\s*=\s*([\w:]+)\s*;").unwrap());
static QUALIFIED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"<\s*([\w:]+)(?:\s+as\s+[^<>]*)?>\s*::").unwrap());
static TURBOFISH: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"::<(?:[^<>]|<[^<>]*>)*>::").unwrap());
static PATH: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b[A-Za-z_]\w*(?:::[A-Za-z_]\w*)+").unwrap());

/// The content of one module without its inner modules. Its test code is a separate `Module`.
#[derive(Debug, Clone)]
pub(super) struct Module {
    /// The file below `src`.
    pub(super) file: String,
    /// Its path from the crate's root: `crate::sor::baseline::postgres`.
    pub(super) path: String,
    /// Whether it is under `#[cfg(test)]`.
    pub(super) test: bool,
    /// The code without comments. Strings are replaced by `"0"`, `"1"`, …
    pub(super) code: String,
    /// The strings of the whole file.
    strings: Rc<[String]>,
}

/// The modules of all files.
pub(super) fn read_all(files: &[(String, String)]) -> Vec<Module> {
    let mut modules = Vec::new();
    for (file, text) in files.iter().filter(|(file, _)| file.ends_with(".rs")) {
        split(&lex(file, text), &mut modules);
    }
    let tests: Vec<String> = modules.iter().filter(|module| module.test).flat_map(Module::files).collect();
    for module in &mut modules {
        let is_of = |test: &String| {
            module.path.strip_prefix(test.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        module.test |= tests.iter().any(is_of);
    }
    modules
}

/// Separates code from comments and strings.
fn lex(file: &str, text: &str) -> Module {
    let mut strings = Vec::new();
    let code = TOKEN.replace_all(text, |token: &Captures<'_>| {
        let raw = token.name("r0").or(token.name("r1")).or(token.name("r2")).map(|raw| raw.as_str().to_owned());
        let Some(string) = raw.or_else(|| token.name("s").map(|s| unescape(s.as_str()))) else { return " ".to_owned() };
        strings.push(string);
        format!("\"{}\"", strings.len() - 1)
    });
    Module {
        file: file.to_owned(),
        path: module_of(file),
        test: false,
        code: code.into_owned(),
        strings: strings.into(),
    }
}

/// The text of a string. SQL strings have no other escapes than these.
fn unescape(string: &str) -> String {
    string.replace("\\\n", " ").replace("\\\"", "\"").replace("\\n", "\n")
}

/// The module of a file: `crate::sor::baseline` for `sor/baseline/mod.rs`.
fn module_of(file: &str) -> String {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::");
    if path == "lib" { "crate".to_owned() } else { format!("crate::{path}") }
}

/// Separates test code and inner modules.
fn split(module: &Module, modules: &mut Vec<Module>) {
    let mut code = module.code.clone();
    let mut test = String::new();
    while let Some(at) = code.find("#[cfg(test)]").filter(|_| !module.test) {
        let end = item_end(&code, at);
        test += &code[at..end];
        test.push('\n');
        code.replace_range(at..end, "");
    }
    if !test.is_empty() {
        split(&Module { test: true, code: test, ..module.clone() }, modules);
    }
    while let Some(found) = INLINE_MODULE.captures(&code) {
        let (at, body) = (found.get(0).unwrap().start(), found.get(0).unwrap().end());
        let end = item_end(&code, at);
        let inner = code[body..end].strip_suffix('}').unwrap_or(&code[body..]).to_owned();
        split(&Module { path: format!("{}::{}", module.path, &found[1]), code: inner, ..module.clone() }, modules);
        code.replace_range(at..end, "");
    }
    modules.push(Module { code, ..module.clone() });
}

/// The end of the item that starts here: its semicolon, its last brace, or the brace around it.
pub(super) fn item_end(code: &str, begin: usize) -> usize {
    let mut depth = 0_i32;
    for (i, c) in code[begin..].char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return begin + i;
        }
        let end = begin + i + 1;
        if depth == 0 && (c == ';' || (c == '}' && !code[end..].trim_start().starts_with(';'))) {
            return end;
        }
    }
    code.len()
}

impl Module {
    /// The strings in this module.
    pub(super) fn strings(&self) -> impl Iterator<Item = &str> {
        PLACEHOLDER.captures_iter(&self.code).map(|found| self.string(found.get(1).unwrap().as_str()))
    }

    /// The modules that it declares in files of their own.
    fn files(&self) -> Vec<String> {
        let found = OTHER_FILE.captures_iter(&self.code).map(|other| match other.get(1) {
            Some(number) => {
                module_of(Path::new(&self.file).with_file_name(self.string(number.as_str())).to_str().unwrap())
            }
            None => format!("{}::{}", self.path, &other[2]),
        });
        found.collect()
    }

    fn string(&self, number: &str) -> &str {
        &self.strings[number.parse::<usize>().unwrap()]
    }

    /// The names that its `use` lines and type aliases define, each with its path.
    pub(super) fn aliases(&self) -> Vec<(String, String)> {
        let mut aliases = Vec::new();
        for used in USE.captures_iter(&self.code) {
            expand("", &used[1], &mut aliases);
        }
        let types = TYPE_ALIAS.captures_iter(&self.code);
        aliases.extend(types.map(|found| (found[1].to_owned(), found[2].to_owned())));
        aliases
    }

    /// Every path in its code, as written.
    pub(super) fn paths(&self) -> Vec<String> {
        let code = USE.replace_all(&self.code, "");
        let code = TURBOFISH.replace_all(&code, "::");
        let code = QUALIFIED.replace_all(&code, "$1::");
        PATH.find_iter(&code).map(|found| found.as_str().to_owned()).collect()
    }
}

/// Expands `a::{self, b as c, d::{e, f}}` to its paths and their names.
fn expand(prefix: &str, tree: &str, aliases: &mut Vec<(String, String)>) {
    let tree = tree.trim();
    if let Some(open) = tree.find('{') {
        let prefix = format!("{prefix}{}", tree[..open].trim());
        for part in parts(&tree[open + 1..tree.rfind('}').unwrap_or(tree.len())]) {
            expand(&prefix, part, aliases);
        }
    } else if !tree.is_empty() {
        let (path, name) =
            tree.split_once(" as ").map_or((tree, None), |(path, name)| (path.trim(), Some(name.trim())));
        let path = format!("{prefix}{path}");
        let path = path.strip_suffix("::self").unwrap_or(&path).trim_start_matches("::");
        let last = path.rsplit("::").next().unwrap_or(path);
        aliases.push((name.unwrap_or(last).to_owned(), path.to_owned()));
    }
}

/// Splits at the commas outside braces.
fn parts(list: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut parts) = (0, 0, Vec::new());
    for (i, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&list[begin..i]);
                begin = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[begin..]);
    parts
}
