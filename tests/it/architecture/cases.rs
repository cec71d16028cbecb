//! One violation of each kind in a small project, and code that violates nothing.

use super::walls::{Project, breaches};

const MAP: &str = "\
## The map

| Room | Tables | May touch |
|---|---|---|
| `src/lib.rs` | – | – |
| `src/app/` | – | everything |
| `src/cli/` | – | `app`, `bor`, `http::Outward` |
| `src/kernel/` | – | pure |
| `src/verdict/` | – | pure; `kernel` |
| `src/http/` | – | `kernel`, `actix`, `reqwest` |
| `src/storage/` | `*` | `sqlx` |
| `src/sor/baseline/` | `performance_baseline`, `broken` | `kernel`, `http`, database, `core.acting` |
| `src/sor/history/` | `triage_history` | `kernel`, `http`, database |
| `src/sor/message/` | `core.message`, `core.acting`, `core.seal` | `kernel`, database |
| `src/sor/signal/` | `signal.*` | `kernel`, database |
| `src/bor/` | – | ports |
| `src/bor/triage/` | – | ports, `bor`, `kernel` |

- **database**: `storage`, `sqlx`.
- **ports**: `sor/*`. What their doors offer.
- **everything**: `*`.
";

const MANIFEST: &str = "[dependencies]\nactix-web = \"4\"\nreqwest = { version = \"0.13\" }\nsqlx = \"0.9\"\n";

/// Allowed as they are.
const SOURCES: [(&str, &str); 14] = [
    ("lib.rs", "pub mod kernel;"),
    (
        "app/mod.rs",
        "use crate::sor::{baseline, history::{self, Spool}};\n\
         fn f() { baseline::local(db); history::local(db); Spool::open(inner); }",
    ),
    ("cli/mod.rs", "use crate::http::Outward;\nuse crate::app::run;"),
    ("kernel/time.rs", "fn f() { Utc::now() }"),
    ("verdict/mod.rs", "mod rules;\n#[cfg(test)]\nmod tests;\nuse crate::kernel::Percent; // use sqlx::PgPool;"),
    ("verdict/tests.rs", "fn f() { std::fs::read(path); }"),
    ("http/mod.rs", "pub use actix_web::web;\nconst HELP: &str = \"crate::storage::Db\";"),
    ("storage/mod.rs", "fn f() { sqlx::raw_sql(\"TRUNCATE triage_history, core.message\"); }"),
    (
        "sor/baseline/mod.rs",
        "mod port;\npub use port::{BaselineSor, Limit};\nuse crate::storage::Db;\n\
         pub fn local(db: Db) -> Arc<dyn BaselineSor> { x(\"SELECT core.acting($1), b.id FROM performance_baseline b\") }\n\
         #[cfg(test)]\nmod tests { use crate::app::settings; fn f() { super::local(db); } }",
    ),
    (
        "sor/baseline/port.rs",
        "pub trait BaselineSor {}\npub struct Limit;\nimpl Limit { pub fn new(n: u8) -> Self {} }",
    ),
    (
        "sor/history/mod.rs",
        "mod spool;\npub mod segments;\npub use spool::{Retention, Spool};\n\
         pub(crate) fn local(db: crate::storage::Db) -> Result<Arc<dyn HistorySor>, E> { x(r#\"TABLE \"triage_history\"\"#) }",
    ),
    (
        "sor/history/spool.rs",
        "impl HistorySor for Spool {}\n\
         impl Spool { pub fn open(inner: Inner) -> Result<Self, E> {} }\n\
         impl<T> Retention<T> { pub fn new(db: Db) -> Self {} pub fn expire(&self, db: Db) -> Self {} }",
    ),
    ("sor/message/mod.rs", "fn f() { x(\"INSERT INTO core.message (text) VALUES ($1)\"); }"),
    ("sor/signal/mod.rs", "fn f() { x(\"select 1 from \\\"signal\\\".\\\"message\\\"\"); }"),
];

/// The row of BORs. It is separate since most cases replace it.
const BOR: [(&str, &str); 2] = [
    ("bor/mod.rs", "use crate::sor::history;\nfn f(port: &dyn history::HistorySor) {}"),
    ("bor/triage/mod.rs", "use crate::sor::baseline::{BaselineSor, Limit};\nfn f() { Limit::new(1); super::links(); }"),
];

const MIGRATIONS: [(&str, &str); 2] = [
    (
        "0001_tables.up.sql",
        "CREATE TABLE IF NOT EXISTS public.performance_baseline (id int);\nCREATE TABLE triage_history ();",
    ),
    (
        "0002_schemas.up.sql",
        "CREATE TABLE core.message ();\nCREATE VIEW \"signal\".message AS SELECT 1; -- CREATE TABLE lost\n\
         CREATE TABLE gone (); DROP TABLE gone; CREATE OR REPLACE VIEW broken AS SELECT * FROM performance_baseline;\n\
         CREATE FUNCTION core.acting(text) RETURNS text AS $$ SELECT $1 $$;\n\
         CREATE OR REPLACE FUNCTION core.seal() RETURNS text AS $$ SELECT text FROM core.message $$;\n\
         SELECT core.seal() FROM performance_baseline;",
    ),
];

fn project(changed: &[(&str, &str)]) -> Project {
    let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    let kept = SOURCES.iter().chain(&BOR).filter(|(file, _)| changed.iter().all(|(other, _)| file != other));
    Project {
        document: MAP.to_owned(),
        manifest: MANIFEST.to_owned(),
        sources: kept.chain(changed).map(owned).collect(),
        migrations: MIGRATIONS.iter().map(owned).collect(),
    }
}

fn assert_found(project: &Project, breach: &str, case: &str) {
    let found = breaches(project);
    assert!(found.contains(breach), "{case}\nis not found as\n{breach}\nbut as\n{found:#?}");
}

#[test]
fn what_is_allowed_is_not_found() {
    let found = breaches(&project(&[]));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_map_and_the_tree_have_the_same_rooms() {
    for (file, room) in [
        ("upstream/mod.rs", "upstream"),
        ("identity.rs", "identity"),
        ("ui/landing.css", "ui"),
        ("sor/note/mod.rs", "sor/note"),
        ("sor/testing.rs", "sor"),
        ("bor/alert/service.rs", "bor/alert"),
    ] {
        assert_found(&project(&[(file, "")]), &format!("the room {room} has no row on the map"), file);
    }
    for (row, breach) in [
        ("| `src/jobs/` | – | – |", "the map's row jobs has no room"),
        ("| `src/sor/note/` | – | – |", "the map's row sor/note has no room"),
        ("| `src/kernel/` | – | – |", "the map has two rows kernel"),
        ("| `src/jobs/` | – |", "the map's row `src/jobs/` has 2 columns"),
        ("| `src/jobs/` | – | wires |", "the map's row jobs says \"wires\", which the map does not explain"),
        (
            "| `src/jobs/` | – | `kernal` |",
            "the map's row jobs names kernal, which is neither a room nor a dependency nor a function",
        ),
    ] {
        let mut project = project(&[]);
        project.document = MAP.replace("\n\n- ", &format!("\n{row}\n\n- "));
        assert_found(&project, breach, row);
    }
}

#[test]
fn a_new_room_takes_a_row_and_nothing_else() {
    let mut project = project(&[
        ("upstream/mod.rs", "use crate::kernel::Clock;"),
        (
            "sor/note/mod.rs",
            "use crate::storage::Db;\npub fn local(db: Db) -> Arc<dyn NoteSor> { x(\"SELECT 1 FROM note.note\") }",
        ),
        ("bor/alert/mod.rs", "use crate::sor::note::NoteSor;"),
        ("app/rooms/note.rs", "fn f() { crate::sor::note::local(db); }"),
    ]);
    let rows = "| `src/upstream/` | – | `kernel` |\n| `src/sor/note/` | `note.*` | database |\n| `src/bor/alert/` | – | ports |";
    project.document = MAP.replace("\n\n- ", &format!("\n{rows}\n\n- "));
    project.migrations.push(("0003_note.up.sql".to_owned(), "CREATE TABLE note.note ();".to_owned()));
    let found = breaches(&project);
    assert!(found.is_empty(), "{found:#?}");
    project.sources.push(("bor/alert/service.rs".to_owned(), "fn f() { crate::sor::note::local(db); }".to_owned()));
    assert_found(
        &project,
        "src/bor/alert/service.rs names crate::sor::note::local, and only app constructs adapters",
        "a new SOR",
    );
}

#[test]
fn a_room_touches_what_its_row_names() {
    for (file, text, named, room) in [
        ("kernel/a.rs", "use sqlx::PgPool;", "sqlx::PgPool", "kernel"),
        ("kernel/a.rs", "fn f() -> actix_web::HttpResponse {}", "actix_web::HttpResponse", "kernel"),
        ("kernel/a.rs", "use actix_multipart as m;", "actix_multipart", "kernel"),
        ("kernel/a.rs", "#[cfg(test)]\nmod tests { use crate::verdict::Rules; }", "crate::verdict::Rules", "kernel"),
        (
            "kernel/a.rs",
            "use crate::{\n    a::b,\n    verdict::{Rules, Claims},\n};",
            "crate::verdict::Claims",
            "kernel",
        ),
        ("verdict/a.rs", "use super::super::http::Outward;", "crate::http::Outward", "verdict"),
        ("cli/a.rs", "use crate::http::{Outward, Problem};", "crate::http::Problem", "cli"),
        ("lib.rs", "fn f() { crate::app::run() }", "crate::app::run", "lib"),
        // A SOR uses neither another SOR nor a BOR, also not in tests.
        (
            "sor/baseline/a.rs",
            "use crate::sor::history::HistorySor;",
            "crate::sor::history::HistorySor",
            "sor/baseline",
        ),
        (
            "sor/baseline/a.rs",
            "pub(crate) use super::super::history::Spool as Own;",
            "crate::sor::history::Spool",
            "sor/baseline",
        ),
        (
            "sor/baseline/a.rs",
            "#[cfg(test)]\nuse crate::sor::history::Spool;",
            "crate::sor::history::Spool",
            "sor/baseline",
        ),
        ("sor/history/a.rs", "use crate::bor::triage;", "crate::bor::triage", "sor/history"),
        (
            "sor/history/a.rs",
            "#[cfg(test)]\nuse crate::{bor::{Version}};\nfn f() {}",
            "crate::bor::Version",
            "sor/history",
        ),
        // A BOR does not use `storage`, and of a SOR only what its `mod.rs` exports.
        ("bor/triage/a.rs", "use crate::storage::Db;", "crate::storage::Db", "bor/triage"),
        ("bor/triage/a.rs", "fn f() { sqlx::query(\"x\"); }", "sqlx::query", "bor/triage"),
        (
            "bor/triage/a.rs",
            "use crate::sor::history::segments::Segment;",
            "crate::sor::history::segments::Segment",
            "bor/triage",
        ),
    ] {
        // The module that `mod.rs` does not export exists.
        let project = project(&[(file, text), ("sor/history/segments.rs", "")]);
        assert_found(&project, &format!("src/{file} names {named}, which the map's row {room} does not allow"), text);
    }
}

#[test]
fn a_path_is_followed_through_other_names() {
    let breach = "src/bor/triage/a.rs names crate::storage::Db, which the map's row bor/triage does not allow";
    for (others, text) in [
        (&[][..], "use super::super::super::storage as s;\nfn f(db: s::Db) {}"),
        (&[], "use crate as root;\nfn f(db: root::storage::Db) {}"),
        (&[], "mod inner { mod deeper { type T = super::super::super::super::super::storage::Db; } }"),
        (&[], "macro_rules! m { () => { $crate::storage::Db } }"),
        (&[("bor/mod.rs", "pub(crate) use crate::storage::Db as Kept;")], "use crate::bor::Kept;"),
        (&[("bor/mod.rs", "use crate::storage;")], "fn f(db: super::super::storage::Db) {}"),
        (
            &[("bor/mod.rs", "mod a; pub use a::*;"), ("bor/a.rs", "pub use crate::storage::Db;")],
            "fn f(db: crate::bor::Db) {}",
        ),
        (&[("bor/triage/mod.rs", "use crate::storage;")], "use super::*;\nfn f(db: storage::Db) {}"),
        (&[("bor/mod.rs", "pub type Kept = crate::storage::Db;")], "use super::super::Kept;"),
    ] {
        assert_found(&project(&[others, &[("bor/triage/a.rs", text)]].concat()), breach, text);
    }
    let text = "use crate::bor::*;";
    let breach = "src/bor/triage/a.rs imports crate::bor::*, which hides what it uses";
    assert_found(&project(&[("bor/triage/a.rs", text)]), breach, text);
}

#[test]
fn a_pure_room_reads_no_clock_and_does_no_io() {
    for (file, text, named) in [
        ("verdict/a.rs", "fn f() { chrono::Utc::now() }", "chrono::Utc::now"),
        ("verdict/a.rs", "use chrono::Utc as U;\nfn f() { U::now() }", "chrono::Utc::now"),
        ("verdict/a.rs", "use std::time::{Duration, Instant};", "std::time::Instant"),
        ("verdict/a.rs", "fn f() { tokio::time::Instant::now() }", "tokio::time::Instant::now"),
        ("verdict/a.rs", "use crate::kernel::SystemClock;", "crate::kernel::SystemClock"),
        ("kernel/a.rs", "fn f() { std::time::SystemTime::now() }", "std::time::SystemTime::now"),
        ("kernel/a.rs", "fn f() { chrono::Utc::now() }", "chrono::Utc::now"),
        ("verdict/a.rs", "fn f() { std::fs::read(path) }", "std::fs::read"),
        ("verdict/a.rs", "use tokio::net::TcpStream;", "tokio::net::TcpStream"),
        ("verdict/tests.rs", "use std::time::Instant;", "std::time::Instant"),
    ] {
        let room = file.split('/').next().unwrap();
        assert_found(&project(&[(file, text)]), &format!("src/{file} names {named}, and {room} is pure"), text);
    }
}

#[test]
fn only_app_constructs_adapters_however_it_is_spelled() {
    let (local, open) = ("crate::sor::baseline::local", "crate::sor::history::spool::Spool::open");
    for (text, named) in [
        ("fn f() { crate::sor::baseline::local(db); }", local),
        ("use crate::sor::baseline;\nfn f() { baseline::local(db); }", local),
        ("use crate::sor::baseline::local as make;\nfn f() { make(db); }", local),
        ("use crate::sor::{self, history};\nfn f() { let make = sor::baseline::local; }", local),
        ("fn f() { crate::sor::history::local(db); }", "crate::sor::history::local"),
        ("use crate::sor::history::Spool;\nfn f() { Spool::open(inner); }", open),
        ("use crate::sor::history::Spool;\nfn f() { <Spool as Own>::open(inner); }", open),
        ("use crate::sor::history;\ntype S = history::Spool;\nfn f() { S::open(inner); }", open),
        (
            "use crate::sor::history::Retention as R;\nfn f() { R::<u8>::new(db); }",
            "crate::sor::history::spool::Retention::new",
        ),
        ("use super::super::Kept;\nfn f() { Kept::open(inner); }", open),
        ("#[cfg(test)]\nfn f() { crate::sor::baseline::local(db); }", local),
    ] {
        let shared = ("bor/mod.rs", "pub use crate::sor::history::Spool as Kept;");
        let breach = format!("src/bor/triage/a.rs names {named}, and only app constructs adapters");
        assert_found(&project(&[shared, ("bor/triage/a.rs", text)]), &breach, text);
    }
}

#[test]
fn a_table_is_named_by_the_room_that_owns_it() {
    for (sql, table) in [
        ("INSERT INTO triage_history (app_name) VALUES ($1)", "public.triage_history"),
        (
            "SELECT 1 FROM public.performance_baseline JOIN public.triage_history USING (app_name)",
            "public.triage_history",
        ),
        ("DELETE FROM performance_baseline\n    USING triage_history", "public.triage_history"),
        ("SELECT 1 FROM performance_baseline AS b, triage_history", "public.triage_history"),
        ("SELECT 1 FROM performance_baseline JOIN triage_history", "public.triage_history"),
        ("select count(*)\n    from \"public\".\"triage_history\"", "public.triage_history"),
        ("UPDATE ONLY Triage_History SET severity = 'low'", "public.triage_history"),
        ("TRUNCATE TABLE triage_history", "public.triage_history"),
        ("SELECT 'core.message'::regclass", "core.message"),
        ("SELECT 1 FROM core.acting($1) JOIN signal.message", "signal.message"),
    ] {
        let text = format!("fn f() {{ sqlx::raw_sql(r#\"{sql}\"#); }}");
        let breach = format!("src/sor/baseline/a.rs names the table {table}, which is not of sor/baseline");
        assert_found(&project(&[("sor/baseline/a.rs", &text)]), &breach, sql);
    }
}

#[test]
fn a_function_of_another_room_is_called_by_rooms_whose_row_names_it() {
    for (file, sql, function) in [
        ("sor/baseline/a.rs", "SELECT core.seal()", "core.seal"),
        ("sor/history/a.rs", "DELETE FROM triage_history USING core.acting($1)", "core.acting"),
    ] {
        let room = file.trim_end_matches("/a.rs");
        let text = format!("fn f() {{ sqlx::raw_sql(\"{sql}\"); }}");
        let breach = format!("src/{file} names the function {function}, which is not of {room}");
        assert_found(&project(&[(file, &text)]), &breach, sql);
    }
}

#[test]
fn sql_in_a_file_of_its_own_is_read() {
    let breach = "src/sor/baseline/a.sql names the table public.triage_history, which is not of sor/baseline";
    assert_found(&project(&[("sor/baseline/a.sql", "SELECT 1 FROM triage_history")]), breach, "a file");
}

#[test]
fn tables_of_one_name_in_two_schemas_are_told_apart() {
    let found = |file: &str, sql: &str| breaches(&project(&[(file, &format!("fn f() {{ x(\"{sql}\"); }}"))]));
    assert!(found("sor/message/mod.rs", "UPDATE core.message SET text = $1").is_empty());
    assert!(found("sor/message/mod.rs", "SELECT message FROM message").is_empty(), "public has no such table");
    let other = found("sor/message/mod.rs", "UPDATE signal.message SET text = $1");
    let breach = "src/sor/message/mod.rs names the table signal.message, which is not of sor/message";
    assert_eq!(other.iter().collect::<Vec<_>>(), [breach]);
}

#[test]
fn every_table_has_one_owner_and_no_migration_joins_two() {
    let migration = |sql: &str| {
        let mut project = project(&[]);
        project.migrations.push(("0003_more.up.sql".to_owned(), sql.to_owned()));
        project
    };
    for (sql, breach) in [
        ("CREATE TABLE core.ledger ();", "the table core.ledger belongs to no room"),
        ("CREATE FUNCTION core.book() RETURNS int;", "the function core.book belongs to no room"),
        ("create table message ();", "the table public.message belongs to no room"),
        ("CREATE MATERIALIZED VIEW both AS SELECT 1;", "the table public.both belongs to no room"),
        (
            "CREATE VIEW signal.both AS SELECT * FROM triage_history;",
            "migrations/0003_more.up.sql names tables of several rooms at once: {\"public.triage_history\", \"signal.both\"}",
        ),
        (
            "DROP TABLE core.message;",
            "the map's row sor/message names the table core.message, which no migration makes",
        ),
    ] {
        assert_found(&migration(sql), breach, sql);
    }
    let mut project = project(&[]);
    project.document = MAP.replace("`triage_history`", "`triage_history`, `core.*`");
    assert_found(&project, "the table core.message belongs to sor/history and to sor/message", "two owners");
}
