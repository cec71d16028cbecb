//! Tests on real profiles and on answers of a real Pyroscope, where they are at hand.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{FunctionTable, Limits, Profile, read_pprof};

/// A file of the shared test data; `None`, with a note, where it is absent.
fn shared(path: &str) -> Option<Vec<u8>> {
    let root = std::env::var_os("SHARED_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    if !root.exists() {
        println!("skipped: the shared test data is absent");
        return None;
    }
    Some(std::fs::read(root.join(path)).unwrap())
}

fn table(profile: &Profile, sample_type: usize) -> BTreeMap<String, (i64, i64)> {
    let table = FunctionTable::of(profile, sample_type);
    assert_eq!(table.rows().iter().map(|r| r.self_ticks).sum::<i64>(), table.total());
    assert_eq!(table.total(), profile.total(sample_type));
    table.rows().iter().map(|r| (r.name.to_owned(), (r.self_ticks, r.total_ticks))).collect()
}

#[test]
fn reads_every_real_profile() {
    for name in [
        "dotnet-3",
        "go-cpu",
        "go-cpu-exemplars",
        "go-heap",
        "invalid-utf8",
        "java-cpu",
        "node-heap",
        "node-wall",
        "python-cpu",
        "python-pyspy",
    ] {
        let Some(bytes) = shared(&format!("profiles/{name}.pb.gz")) else { return };
        let file = read_pprof(&bytes, &Limits::default()).unwrap();
        println!(
            "{name} {:?} {:?} {} {}",
            file.profile.sample_types(),
            file.time,
            file.profile.stack_count(),
            file.profile.frame_count()
        );
        for i in 0..file.profile.sample_types().len() {
            println!("  {} {}", file.profile.total(i), table(&file.profile, i).len());
        }
    }
}
