//! The walls between rooms. The map in ARCHITECTURE.md says which room may use which, and these tests check the sources
//! against it, since the compiler does not know these rules.

mod adapters;
mod cases;
mod map;
mod paths;
mod source;
mod sql;
mod walls;

use std::fs;
use std::path::Path;

use self::walls::{Project, breaches};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(directory: &Path, below: &str, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{below}{}", entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            read(&entry.path(), &format!("{path}/"), files);
        } else {
            files.push((path, String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned()));
        }
    }
    files.sort();
}

fn this_project() -> Project {
    let text = |name| fs::read_to_string(root().join(name)).unwrap();
    let (mut sources, mut migrations) = (Vec::new(), Vec::new());
    read(&root().join("src"), "", &mut sources);
    read(&root().join("migrations"), "", &mut migrations);
    migrations.retain(|(name, _)| name.ends_with(".up.sql"));
    Project { document: text("ARCHITECTURE.md"), manifest: text("Cargo.toml"), sources, migrations }
}

#[test]
fn no_room_reaches_through_a_wall() {
    let found = breaches(&this_project());
    assert!(found.is_empty(), "{}", found.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn files_stay_small_enough_to_read() {
    let long: Vec<_> = this_project()
        .sources
        .into_iter()
        .filter(|(file, _)| file.ends_with(".rs") && !file.contains("/proto/"))
        .map(|(file, text)| (text.lines().count(), file))
        .filter(|(lines, _)| *lines > 600)
        .collect();
    assert!(long.is_empty(), "over 600 lines: {long:?}");
}
