//! Checks the sources against the map.

use std::collections::{BTreeMap, BTreeSet};

use super::adapters::constructors;
use super::map::{Map, Row, is_of_family};
use super::paths::Names;
use super::source::{self, Module};
use super::sql;

/// What reads a clock. No pure room uses it.
const CLOCKS: [&str; 7] =
    ["Instant", "SystemTime", "Utc::now", "Local::now", "Uuid::now_v7", "kernel::SystemClock", "tokio::time"];
/// What does I/O. No pure room uses it, except that its tests may read files.
const IO: [&str; 7] = ["std::env", "std::fs", "std::net", "std::process", "tokio::fs", "tokio::net", "tokio::process"];
/// Exceptions: the clock itself, deadlines of calls, ids that start with the time, and rules from files.
const EXCEPTIONS: [(&str, &str); 5] = [
    ("kernel/time.rs", "Utc::now"),
    ("kernel/call.rs", "Instant"),
    ("kernel/call.rs", "sleep_until"),
    ("kernel/ids.rs", "Uuid::now_v7"),
    ("verdict/catalogue/load.rs", "std::fs"),
];

/// The files that are checked, each with its path and text.
#[derive(Clone)]
pub(super) struct Project {
    /// ARCHITECTURE.md.
    pub(super) document: String,
    /// Cargo.toml.
    pub(super) manifest: String,
    /// The files in `src`.
    pub(super) sources: Vec<(String, String)>,
    /// The `.up.sql` files in `migrations`, in order.
    pub(super) migrations: Vec<(String, String)>,
}

/// Every violation, as a sentence.
pub(super) fn breaches(project: &Project) -> BTreeSet<String> {
    let (map, faults) = Map::read(&project.document);
    let modules = source::read_all(&project.sources);
    let check = Check {
        project,
        rooms: project.sources.iter().map(|(file, _)| room_of(file)).collect(),
        names: Names::of(&modules),
        functions: sql::functions(&project.migrations),
        constructors: constructors(&modules),
        map,
    };
    let mut found: BTreeSet<String> = faults.into_iter().collect();
    found.extend(check.rooms_and_rows());
    found.extend(modules.iter().flat_map(|module| check.paths_of(module)));
    found.extend(check.tables_of(&modules));
    found
}

/// The room of a file: its folder in `sor` or `bor`, or else its folder or file in `src`.
fn room_of(file: &str) -> String {
    let parts: Vec<&str> = file.split('/').collect();
    let depth = if matches!(parts[0], "sor" | "bor") && parts.len() > 2 { 2 } else { 1 };
    parts[..depth].join("/").trim_end_matches(".rs").to_owned()
}

struct Check<'a> {
    project: &'a Project,
    map: Map,
    /// The rooms of the tree.
    rooms: BTreeSet<String>,
    names: Names,
    /// The SQL functions that migrations make.
    functions: BTreeSet<String>,
    constructors: BTreeSet<String>,
}

impl Check<'_> {
    /// Rooms without a row, rows without a room, and names in a row that do not exist.
    fn rooms_and_rows(&self) -> Vec<String> {
        let rows = &self.map.rows;
        let no_row = self.rooms.iter().filter(|room| !rows.contains_key(*room));
        let no_room = rows.keys().filter(|room| !self.rooms.contains(*room));
        let dependencies: Vec<&str> =
            self.project.manifest.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name).collect();
        let known = |entry: &str| {
            let room = entry.split("::").next().unwrap_or(entry);
            entry.ends_with('*')
                || self.functions.contains(entry)
                || rows.contains_key(room)
                || dependencies.iter().any(|name| is_of_family(name, entry))
        };
        let entries = rows.iter().flat_map(|(room, row)| row.may_touch.iter().map(move |entry| (room, entry)));
        let unknown = entries.filter(|(_, entry)| !known(entry));
        no_row
            .map(|room| format!("the room {room} has no row on the map"))
            .chain(no_room.map(|room| format!("the map's row {room} has no room")))
            .chain(unknown.map(|(room, entry)| {
                format!("the map's row {room} names {entry}, which is neither a room nor a dependency nor a function")
            }))
            .collect()
    }

    /// The paths in a module that its room may not use.
    fn paths_of(&self, module: &Module) -> Vec<String> {
        let (file, room) = (&module.file, room_of(&module.file));
        let Some(row) = self.map.rows.get(&room) else { return Vec::new() };
        let mut found = Vec::new();
        let paths = module.paths().into_iter().map(|path| (String::new(), path));
        for (name, path) in module.aliases().into_iter().chain(paths) {
            let steps = self.names.steps(module, &path, &name);
            for step in &steps {
                let path = &step.path;
                let from = step.from.map_or(Some(room.clone()), |from| self.room(&steps[from].path));
                let to = self.room(path);
                let crosses = to != from && to.as_ref() != Some(&room);
                if crosses && !self.allows(row, module.test, path) {
                    found.push(format!("src/{file} names {path}, which the map's row {room} does not allow"));
                }
                if crosses && to.is_some() && path.ends_with("::*") {
                    found.push(format!("src/{file} imports {path}, which hides what it uses"));
                }
                if row.pure && is_impure(module, path) {
                    found.push(format!("src/{file} names {path}, and {room} is pure"));
                }
                if room != "app" && to.as_ref() != Some(&room) && self.constructors.contains(path) {
                    found.push(format!("src/{file} names {path}, and only app constructs adapters"));
                }
            }
        }
        found
    }

    /// The room that a path starts in. None for another crate.
    fn room(&self, path: &str) -> Option<String> {
        let mut parts = path.strip_prefix("crate")?.split("::").skip(1);
        let (first, second) = (parts.next().unwrap_or("lib"), parts.next().unwrap_or_default());
        let rooms = [format!("{first}/{second}"), first.to_owned()];
        Some(rooms.into_iter().find(|room| self.rooms.contains(room)).unwrap_or_else(|| "lib".to_owned()))
    }

    /// Whether a room with this row may use a path.
    fn allows(&self, row: &Row, test: bool, path: &str) -> bool {
        let room = self.room(path);
        let holds_for_tests = row.pure || room.as_ref().is_some_and(|room| room.contains('/') || room == "bor");
        if test && !holds_for_tests {
            return true;
        }
        let Some(room) = room else {
            let name = path.split("::").next().unwrap_or(path);
            return !self.map.walls(name)
                || row.may_touch.iter().any(|entry| entry == "*" || is_of_family(name, entry));
        };
        row.may_touch.iter().any(|entry| match entry.strip_suffix("/*") {
            Some(floor) => room.starts_with(&format!("{floor}/")) && self.is_offered(path),
            None => *entry == "*" || *entry == room || is_within(path, &format!("crate::{}", entry.replace('/', "::"))),
        })
    }

    /// Whether this is a whole SOR or BOR or an item that its `mod.rs` exports, and not an inner module.
    fn is_offered(&self, path: &str) -> bool {
        let mut ends = path.match_indices("::").map(|(end, _)| end).skip(2);
        ends.next().is_none() || !self.names.is_module(&path[..ends.next().unwrap_or(path.len())])
    }

    /// Tables and functions without exactly one owner, rows with some that do not exist, and SQL that names those of other
    /// rooms. A row may name functions of other rooms among what its room may touch.
    fn tables_of(&self, modules: &[Module]) -> Vec<String> {
        let tables = sql::tables(&self.project.migrations);
        let made: BTreeSet<String> = tables.union(&self.functions).cloned().collect();
        let kind = |name: &str| if self.functions.contains(name) { "function" } else { "table" };
        let mut found = Vec::new();
        let mut owners = BTreeMap::new();
        for table in &made {
            let rooms: Vec<&str> =
                self.map.rows.iter().filter(|(_, row)| row.owns(table)).map(|(room, _)| room.as_str()).collect();
            match rooms[..] {
                [] => found.push(format!("the {} {table} belongs to no room", kind(table))),
                [room] => _ = owners.insert(table.as_str(), room),
                _ => found.push(format!("the {} {table} belongs to {}", kind(table), rooms.join(" and to "))),
            }
        }
        for (room, row) in &self.map.rows {
            for entry in row.tables.iter().filter(|entry| !made.iter().any(|table| covers(entry, table))) {
                found.push(format!("the map's row {room} names the table {entry}, which no migration makes"));
            }
        }
        let files = self.project.sources.iter().map(|(file, text)| (file.as_str(), text.as_str()));
        let sql_files = files.filter(|(file, _)| file.ends_with(".sql"));
        let strings = modules.iter().flat_map(|module| module.strings().map(|text| (module.file.as_str(), text)));
        for (file, text) in strings.chain(sql_files) {
            let room = room_of(file);
            let Some(row) = self.map.rows.get(&room) else { continue };
            for table in sql::named(text, &made) {
                let may_call = self.functions.contains(table) && row.may_touch.iter().any(|entry| entry == table);
                if !may_call && !row.tables.iter().any(|entry| covers(entry, table)) {
                    found.push(format!("src/{file} names the {} {table}, which is not of {room}", kind(table)));
                }
            }
        }
        for (file, text) in &self.project.migrations {
            for statement in sql::statements(text) {
                // A room's tables may have triggers of another room's functions.
                let named = sql::named(&statement, &tables);
                let rooms: BTreeSet<_> = named.iter().filter_map(|table| owners.get(table)).collect();
                if rooms.len() > 1 {
                    found.push(format!("migrations/{file} names tables of several rooms at once: {named:?}"));
                }
            }
        }
        found
    }
}

impl Row {
    fn owns(&self, table: &str) -> bool {
        self.tables.iter().any(|entry| entry != "*" && covers(entry, table))
    }
}

/// Whether an entry stands for this table: by its name, its schema, or as `*`.
fn covers(entry: &str, table: &str) -> bool {
    entry == table || entry.strip_suffix('*').is_some_and(|schema| table.starts_with(schema))
}

fn is_impure(module: &Module, path: &str) -> bool {
    let names = |what: &str| format!("::{path}::").contains(&format!("::{what}::"));
    let io: &[&str] = if module.test { &[] } else { &IO };
    CLOCKS.iter().chain(io).any(|what| names(what))
        && !EXCEPTIONS.iter().any(|(file, what)| *file == module.file && names(what))
}

fn is_within(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}
