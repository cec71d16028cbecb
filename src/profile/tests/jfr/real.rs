//! Recordings of a Kafka broker against the conversions that Pyroscope made of them, where they are at hand.

use std::collections::BTreeMap;

use rstest::rstest;

use crate::profile::{FunctionTable, JfrContext, Profile, ReadLimits, read_jfr, read_pprof};

fn shared(path: &str) -> Option<Vec<u8>> {
    crate::kernel::testing::shared(path).map(|path| std::fs::read(path).unwrap())
}

/// Self and total by name, of one sample type.
fn table(profile: &Profile, sample_type: usize) -> BTreeMap<String, (i64, i64)> {
    let table = FunctionTable::of(profile, sample_type);
    table.rows().iter().map(|row| (row.name.to_owned(), (row.self_ticks, row.total_ticks))).collect()
}

#[rstest]
#[case("java-kafka-cpu", "process_cpu", "cpu")]
#[case("java-kafka-cpu-lock-alloc", "process_cpu_cpu_nanoseconds_cpu_nanoseconds", "cpu")]
#[case("java-kafka-cpu-lock-alloc", "memory_alloc_in_new_tlab_bytes_bytes_space_bytes", "alloc_in_new_tlab_bytes")]
#[case("java-kafka-cpu-lock-alloc", "memory_alloc_in_new_tlab_objects_count_space_bytes", "alloc_in_new_tlab_objects")]
fn says_of_every_function_what_pyroscope_says(#[case] name: &str, #[case] conversion: &str, #[case] sample_type: &str) {
    let Some(recording) = shared(&format!("profiles/{name}.jfr.gz")) else { return };
    let expected = shared(&format!("profiles/{name}.expected.{conversion}.pb.gz")).unwrap();
    let expected = read_pprof(&expected, &ReadLimits::default()).unwrap().profile;
    let context = JfrContext { rate: Some(100), ..JfrContext::default() };
    let recording = read_jfr(&recording, &context, &ReadLimits::default()).unwrap();
    let of_type = recording.profiles.iter().filter_map(|of| {
        let at = of.profile.sample_types().iter().position(|t| t.name == sample_type)?;
        Some((&of.profile, at))
    });
    let [(profile, at)] = of_type.collect::<Vec<_>>()[..] else { panic!("not one profile of {sample_type}") };
    let (ours, theirs) = (table(profile, at), table(&expected, 0));
    let differences: Vec<_> = ours
        .keys()
        .chain(theirs.keys())
        .filter(|name| ours.get(*name) != theirs.get(*name))
        .map(|name| (name, ours.get(name), theirs.get(name)))
        .collect();
    assert!(differences.is_empty(), "{differences:#?}");
    assert!(ours.len() > 50);
}

#[test]
fn a_recording_says_itself_how_often_it_looked() {
    let Some(recording) = shared("profiles/java-kafka-cpu-lock-alloc.jfr.gz") else { return };
    let recording = read_jfr(&recording, &JfrContext::default(), &ReadLimits::default()).unwrap();
    let names: Vec<_> = recording.profiles.iter().map(|of| of.name).collect();
    assert_eq!(names, ["process_cpu", "memory"]);
    assert_eq!((recording.event.as_deref(), recording.profiles[0].period), (Some("cpu"), 10_000_000));
    assert_eq!(recording.duration.unwrap().num_seconds(), 10);
}
