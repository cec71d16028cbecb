//! The walls of the house: which room may know which. Reads the sources, as the compiler does not know our walls.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

static COMMENT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?m)//.*$").unwrap());
static USE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?ms)^\s*(?:pub(?:\([a-z]+\))?\s+)?use\s+([^;]+);").unwrap());
static PATH: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b[a-z_][a-z0-9_]*(?:::[A-Za-z_][A-Za-z0-9_]*)+").unwrap());
/// What makes an adapter.
static CONSTRUCTOR: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?:^|::)(?:profile_data|baseline|history|registry|alert_rule)::(?:local|remote|pyroscope|embedded|spool\w*)$",
    )
    .unwrap()
});

/// One file of `src`, with its path below it.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: COMMENT.replace_all(text, "").into_owned() }
    }

    /// The room: `kernel`, `sor/baseline`, `bor/triage`, `app`…
    fn room(&self) -> String {
        let parts: Vec<&str> = self.path.trim_end_matches(".rs").split('/').collect();
        let depth = if matches!(parts[0], "sor" | "bor") && parts.get(1) != Some(&"mod") { 2 } else { 1 };
        parts[..depth.min(parts.len())].join("/")
    }

    /// Every path that the file names, from its crate's root: `crate::kernel::Clock`, `sqlx::query`…
    fn paths(&self) -> BTreeSet<String> {
        let mut paths = BTreeSet::new();
        for used in USE.captures_iter(&self.text) {
            expand("", &used[1], &mut paths);
        }
        let rest = USE.replace_all(&self.text, "");
        paths.extend(PATH.find_iter(&rest).map(|found| found.as_str().to_owned()));
        paths.into_iter().map(|path| self.absolute(&path)).collect()
    }

    /// Resolves `self` and `super`.
    fn absolute(&self, path: &str) -> String {
        let file = self.path.trim_end_matches(".rs").trim_end_matches("/mod");
        let mut here: Vec<&str> = file.split('/').collect();
        let mut rest = path;
        let mut relative = false;
        loop {
            if let Some(tail) = rest.strip_prefix("super::") {
                here.pop();
                (rest, relative) = (tail, true);
            } else if let Some(tail) = rest.strip_prefix("self::") {
                (rest, relative) = (tail, true);
            } else {
                break;
            }
        }
        here.insert(0, "crate");
        here.push(rest);
        if relative { here.join("::") } else { path.to_owned() }
    }
}

/// Expands `a::{b, c::{d, e}}` to its paths.
fn expand(prefix: &str, tree: &str, paths: &mut BTreeSet<String>) {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let path = tree.split(" as ").next().unwrap_or(tree).trim();
        if !path.is_empty() {
            paths.insert(format!("{prefix}{path}"));
        }
        return;
    };
    let prefix = format!("{prefix}{}", tree[..open].trim());
    let inner = &tree[open + 1..tree.rfind('}').unwrap_or(tree.len())];
    let (mut depth, mut begin) = (0, 0);
    for (i, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&prefix, &inner[begin..i], paths);
                begin = i + 1;
            }
            _ => {}
        }
    }
    expand(&prefix, &inner[begin..], paths);
}

/// Every breach of a wall: its number in design.md section 4, the file, and what it names.
fn breaches(sources: &[Source], tables: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let room = source.room();
        for path in source.paths() {
            if let Some(wall) = broken_by_path(&source.path, &room, &path) {
                found.push(format!("wall {wall}: {} names {path}", source.path));
            }
        }
    }
    for table in tables {
        let verbs = "from|into|update|join|table|only|using|truncate|references";
        let word = Regex::new(&format!(r#"(?i)\b({verbs})\s+"?(public"?\.)?"?{table}\b"#)).unwrap();
        let users: BTreeSet<String> = sources
            .iter()
            // The cellar makes all tables, and its tests fill them.
            .filter(|s| s.room() != "storage")
            .filter(|source| word.is_match(&source.text))
            .map(Source::room)
            .collect();
        if users.len() > 1 {
            found.push(format!("wall 3: the table {table} is used by {users:?}"));
        }
    }
    found
}

fn broken_by_path(file: &str, room: &str, path: &str) -> Option<u8> {
    let within = |module: &str| path == module || path.starts_with(&format!("{module}::"));
    let any = |modules: &[&str]| modules.iter().any(|module| within(module));
    let outward = path.starts_with("actix_") || any(&["sqlx", "reqwest", "utoipa_actix_web"]);
    let clock =
        ["Utc::now", "Local::now", "SystemTime", "Instant::now", "SystemClock"].iter().any(|c| path.contains(c));
    match room {
        "kernel" | "profile" | "verdict" => {
            let rooms_above = match room {
                "kernel" => &["crate::profile", "crate::verdict", "crate::sor", "crate::bor", "crate::app"][..],
                "profile" => &["crate::verdict", "crate::sor", "crate::bor", "crate::app"],
                _ => &["crate::sor", "crate::bor", "crate::app"],
            };
            let is_the_clock = matches!(file, "kernel/time.rs" | "kernel/mod.rs");
            if outward || (clock && !is_the_clock) || any(rooms_above) || any(&["crate::http", "crate::storage"]) {
                return Some(1);
            }
        }
        _ if room.starts_with("bor") => {
            if any(&["sqlx", "reqwest", "crate::storage"]) {
                return Some(2);
            }
            if any(&["crate::sor::performance", "crate::sor::signal", "crate::sor::dashboard"]) {
                return Some(5);
            }
        }
        _ if room.starts_with("sor/") => {
            let own = format!("crate::{}", room.replace('/', "::"));
            let other_sor = path.starts_with("crate::sor::")
                && !within(&own)
                && path.split("::").count() > 2
                && path.split("::").nth(2).is_some_and(|name| {
                    [
                        "profile_data",
                        "baseline",
                        "history",
                        "registry",
                        "alert_rule",
                        "performance",
                        "signal",
                        "dashboard",
                    ]
                    .contains(&name)
                });
            if other_sor || within("crate::bor") {
                return Some(3);
            }
        }
        _ => {}
    }
    if CONSTRUCTOR.is_match(path) && room != "app" && !room.starts_with("sor") {
        return Some(4);
    }
    None
}

fn read(directory: &Path, below: &str, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{below}{name}");
        if entry.file_type().unwrap().is_dir() {
            read(&entry.path(), &format!("{path}/"), sources);
        } else if name.ends_with(".rs") {
            sources.push(Source::new(&path, &fs::read_to_string(entry.path()).unwrap()));
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn tables() -> Vec<String> {
    let create = Regex::new(r"(?i)create table (?:if not exists )?(?:public\.)?(\w+)").unwrap();
    let mut tables = BTreeSet::new();
    for entry in fs::read_dir(root().join("migrations")).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().ends_with(".up.sql") {
            let sql = fs::read_to_string(&path).unwrap();
            tables.extend(create.captures_iter(&sql).map(|found| found[1].to_lowercase()));
        }
    }
    tables.into_iter().collect()
}

#[test]
fn no_room_reaches_through_a_wall() {
    let mut sources = Vec::new();
    read(&root().join("src"), "", &mut sources);
    assert!(sources.len() > 30, "the sources are read");
    let tables = tables();
    assert!(tables.iter().any(|table| table == "triage_history"), "the migrations are read: {tables:?}");
    let found = breaches(&sources, &tables);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn files_stay_small_enough_to_read() {
    let mut sources = Vec::new();
    read(&root().join("src"), "", &mut sources);
    let generated = |path: &str| path.contains("/proto/");
    let long: Vec<_> = sources
        .iter()
        .filter(|source| !generated(&source.path))
        .map(|source| (source.text.lines().count(), &source.path))
        .filter(|(lines, _)| *lines > 600)
        .collect();
    assert!(long.is_empty(), "over 600 lines: {long:?}");
}

#[test]
fn a_broken_wall_is_found() {
    let cases = [
        (1, "kernel/time.rs", "use sqlx::PgPool;"),
        (1, "profile/read.rs", "use crate::{\n    kernel::Percent,\n    verdict::{Rules, Claims},\n};"),
        (1, "profile/read.rs", "fn f() { let now = chrono::Utc::now(); }"),
        (1, "verdict/engine.rs", "use super::super::bor::triage;"),
        (1, "verdict/engine.rs", "fn f() -> actix_web::HttpResponse { g() }"),
        (2, "bor/triage/service.rs", "use crate::storage::Db;"),
        (2, "bor/triage/service.rs", "fn f() { sqlx::query(\"x\"); }"),
        (3, "sor/baseline/postgres.rs", "use crate::sor::history::HistorySor;"),
        (3, "sor/baseline/postgres.rs", "pub(crate) use super::super::history::HistorySor as Other;"),
        (3, "sor/history/routes.rs", "use crate::bor::triage;"),
        (4, "bor/triage/service.rs", "fn f() { crate::sor::baseline::local(db); }"),
        (4, "cli/serve.rs", "use crate::sor::history::remote;"),
        (5, "bor/triage/service.rs", "use crate::sor::performance::Spans;"),
    ];
    for (wall, path, text) in cases {
        let found = breaches(&[Source::new(path, text)], &[]);
        assert!(found.iter().any(|breach| breach.starts_with(&format!("wall {wall}:"))), "{path}: {text}: {found:?}");
    }
}

#[test]
fn a_table_of_another_room_is_found_however_it_is_written() {
    let owner = Source::new("sor/history/postgres.rs", "\"INSERT INTO public.triage_history (app_name) VALUES ($1)\"");
    let tables = ["triage_history".to_owned()];
    assert_eq!(breaches(std::slice::from_ref(&owner), &tables), Vec::<String>::new());
    for (path, sql) in [
        (
            "sor/baseline/postgres.rs",
            "SELECT 1 FROM public.performance_baseline JOIN public.triage_history USING (app_name)",
        ),
        ("sor/baseline/postgres.rs", "DELETE FROM performance_baseline\n    USING triage_history"),
        ("sor/baseline/postgres.rs", "select count(*)\n    from \"public\".\"triage_history\""),
        ("bor/triage/service.rs", "UPDATE ONLY public.triage_history SET severity = 'low'"),
        ("app/database.rs", "TRUNCATE triage_history"),
    ] {
        let other = Source::new(path, &format!("fn f() {{ sqlx::raw_sql(r#\"{sql}\"#); }}"));
        let found = breaches(&[Source::new(&owner.path, &owner.text), other], &tables);
        assert!(found.iter().any(|breach| breach.contains("the table triage_history")), "{sql}: {found:?}");
    }
}

#[test]
fn what_is_allowed_is_not_found() {
    let cases = [
        ("bor/triage/service.rs", "use crate::sor::baseline::BaselineSor;\nuse crate::verdict::Rules; // use sqlx"),
        ("sor/baseline/postgres.rs", "use crate::storage::Db;\nuse super::domain::Baseline;"),
        ("sor/baseline/tests.rs", "use super::super::baseline::local;"),
        ("app/ports.rs", "use crate::sor::{baseline, history};\nfn f() { baseline::local(db); history::remote(url); }"),
        ("kernel/time.rs", "fn f() { Utc::now() }"),
    ];
    for (path, text) in cases {
        assert_eq!(breaches(&[Source::new(path, text)], &[]), Vec::<String>::new(), "{path}");
    }
}
