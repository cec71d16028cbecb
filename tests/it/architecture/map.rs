//! The map: the table in ARCHITECTURE.md, and the terms that are explained below it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

static NAME: LazyLock<Regex> = LazyLock::new(|| Regex::new("`([^`]+)`").unwrap());
static WORD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\w+").unwrap());
static EXPLAINED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?m)^- \*\*(\w+)\*\*: ([^.]*)\.").unwrap());

/// The rows by room: `kernel`, `sor/baseline`…
#[derive(Debug, Default)]
pub(super) struct Map {
    pub(super) rows: BTreeMap<String, Row>,
}

/// A room's row.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// Rooms, items of rooms, and crates: `kernel`, `http::Outward`, `sor/*`, `*`, `sqlx`.
    pub(super) may_touch: Vec<String>,
    /// Whether it reads no clock and does no I/O.
    pub(super) pure: bool,
    /// The tables, with their schemas: `public.alert_rule`, `profile_store.*`, `*`.
    pub(super) tables: Vec<String>,
}

impl Map {
    /// Reads the map of a document. Also returns what is wrong with it.
    pub(super) fn read(document: &str) -> (Self, Vec<String>) {
        let (mut map, mut faults) = (Self::default(), Vec::new());
        let section = document.split("## ").find(|section| section.starts_with("The map")).unwrap_or_default();
        let words: BTreeMap<&str, &str> = EXPLAINED
            .captures_iter(section)
            .map(|found| found.extract())
            .map(|(_, [word, names])| (word, names))
            .collect();
        let mut lines = section.lines().filter(|line| line.starts_with('|')).map(cells);
        let head = lines.next().unwrap_or_default();
        let column = |name| head.iter().position(|head| *head == name);
        let (Some(room), Some(tables), Some(may_touch)) = (column("Room"), column("Tables"), column("May touch"))
        else {
            return (map, vec!["the map lacks one of the columns Room, Tables and May touch".to_owned()]);
        };
        for cells in lines.filter(|cells| !cells[0].starts_with("---")) {
            if cells.len() != head.len() {
                faults.push(format!("the map's row {} has {} columns", cells[0], cells.len()));
                continue;
            }
            let path = cells[room].trim_matches('`').trim_start_matches("src/");
            let name = path.trim_end_matches(".rs").trim_end_matches('/');
            let mut row = Row::default();
            row.tables.extend(NAME.captures_iter(cells[tables]).map(|name| in_schema(&name[1])));
            for word in row.touch(cells[may_touch], &words) {
                faults.push(format!("the map's row {name} says \"{word}\", which the map does not explain"));
            }
            if map.rows.insert(name.to_owned(), row).is_some() {
                faults.push(format!("the map has two rows {name}"));
            }
        }
        (map, faults)
    }

    /// Whether a row names this crate or its family. If so, no other room may use it.
    pub(super) fn walls(&self, name: &str) -> bool {
        self.rows
            .values()
            .flat_map(|row| &row.may_touch)
            .any(|entry| !self.rows.contains_key(entry) && is_of_family(name, entry))
    }
}

impl Row {
    /// Adds the names of a cell and those that its terms stand for. Returns the terms that are not explained.
    fn touch<'a>(&mut self, cell: &'a str, words: &BTreeMap<&str, &str>) -> Vec<&'a str> {
        let names = |text: &str| NAME.captures_iter(text).map(|name| name[1].to_owned()).collect::<Vec<_>>();
        self.may_touch.extend(names(cell));
        let mut unknown = Vec::new();
        for word in cell.split('`').step_by(2).flat_map(|between| WORD.find_iter(between)).map(|word| word.as_str()) {
            match words.get(word) {
                _ if word == "pure" => self.pure = true,
                Some(explained) => self.may_touch.extend(names(explained)),
                None => unknown.push(word),
            }
        }
        unknown
    }
}

/// Whether a crate belongs to a family: `actix_web` and `actix-web` belong to `actix`.
pub(super) fn is_of_family(name: &str, family: &str) -> bool {
    name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with(['_', '-']))
}

/// A table's name with its schema.
pub(super) fn in_schema(name: &str) -> String {
    let name = name.replace('"', "").to_lowercase();
    if name.contains('.') || name == "*" { name } else { format!("public.{name}") }
}

fn cells(line: &str) -> Vec<&str> {
    line.trim().trim_matches('|').split('|').map(str::trim).collect()
}
