//! Reads what the checks need of SQL: the tables and functions that migrations make, and those that a text names.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::map::in_schema;

const NAME: &str = r#""?\w+"?(?:\."?\w+"?)?"#;
static COMMENT: LazyLock<Regex> = LazyLock::new(|| Regex::new("--[^\n]*").unwrap());
static MADE: LazyLock<Regex> = LazyLock::new(|| {
    let kind = r"(?:(?:or\s+replace|unlogged|materialized|recursive|foreign)\s+)*(table|view|function)";
    Regex::new(&format!(r"(?i)\b(create|drop)\s+{kind}\s+(?:if\s+(?:not\s+)?exists\s+)?({NAME})")).unwrap()
});
/// Names where a table is expected: `FROM a AS x, b`, `ALTER TABLE IF EXISTS ONLY a`…
static EXPECTED: LazyLock<Regex> = LazyLock::new(|| {
    let verbs = r"from|into|update|join|table|only|using|truncate|references|lock|copy|if\s+exists";
    let alias = r"(?:\s+(?:as\s+)?\w+)?";
    Regex::new(&format!(r"(?i)\b(?:(?:{verbs})\b[\s(]+)+({NAME}(?:{alias}\s*,\s*{NAME})*)")).unwrap()
});
static QUALIFIED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#""?\b\w+"?\."?\w+\b"?"#).unwrap());

/// The tables and views, with their schemas, that exist after these migrations.
pub(super) fn tables(migrations: &[(String, String)]) -> BTreeSet<String> {
    made(migrations, |kind| !kind.eq_ignore_ascii_case("function"))
}

/// The functions, with their schemas, that exist after these migrations.
pub(super) fn functions(migrations: &[(String, String)]) -> BTreeSet<String> {
    made(migrations, |kind| kind.eq_ignore_ascii_case("function"))
}

fn made(migrations: &[(String, String)], wanted: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (_, sql) in migrations {
        for made in MADE.captures_iter(&COMMENT.replace_all(sql, "")).filter(|made| wanted(&made[2])) {
            if made[1].eq_ignore_ascii_case("create") {
                names.insert(in_schema(&made[3]));
            } else {
                names.remove(&in_schema(&made[3]));
            }
        }
    }
    names
}

/// The statements of a migration, including those in the bodies of functions.
pub(super) fn statements(sql: &str) -> Vec<String> {
    COMMENT.replace_all(sql, "").split(';').map(str::to_owned).collect()
}

/// Which of these tables and functions a text names: with a schema anywhere, without one where SQL expects a table. A single word is not a
/// statement.
pub(super) fn named<'a>(text: &str, tables: &'a BTreeSet<String>) -> BTreeSet<&'a str> {
    if !text.trim().contains(char::is_whitespace) {
        return BTreeSet::new();
    }
    let expected = EXPECTED.captures_iter(text).filter_map(|found| found.get(1)).map(|names| names.as_str());
    let expected = expected.flat_map(|names| names.split(',')).filter_map(|name| name.split_whitespace().next());
    let qualified = QUALIFIED.find_iter(text).map(|name| name.as_str());
    expected.chain(qualified).filter_map(|name| tables.get(&in_schema(name))).map(String::as_str).collect()
}
