//! Real profiles and answers of a real Pyroscope, where they are at hand.

use std::collections::BTreeMap;

use rstest::rstest;

use crate::profile::{FunctionTable, Profile, ReadLimits, SampleType, merge, read_flamebearer, read_pprof};

/// A file of the shared test data; `None`, with a note, where they are absent.
fn shared(path: &str) -> Option<Vec<u8>> {
    crate::kernel::testing::shared(path).map(|path| std::fs::read(path).unwrap())
}

/// Self and total by name.
fn table(profile: &Profile, sample_type: usize) -> BTreeMap<String, (i64, i64)> {
    let table = FunctionTable::of(profile, sample_type);
    assert_eq!(table.rows().iter().map(|r| r.self_ticks).sum::<i64>(), table.total());
    assert_eq!(table.total(), profile.total(sample_type));
    table.rows().iter().map(|r| (r.name.to_owned(), (r.self_ticks, r.total_ticks))).collect()
}

#[rstest]
#[case("dotnet-3", 17, &[("cpu", 5_653_000_000), ("exception", 0), ("alloc-samples", 0), ("alloc-size", 0), ("lock-count", 0), ("lock-time", 0)])]
#[case("go-cpu", 48, &[("samples", 50), ("cpu", 500_000_000)])]
#[case("go-cpu-exemplars", 13, &[("samples", 873), ("cpu", 8_730_000_000)])]
#[case("go-heap", 611, &[("alloc_objects", 196_607_841), ("alloc_space", 13_434_386_318), ("inuse_objects", 22_156_072), ("inuse_space", 1_602_645_059)])]
#[case("invalid-utf8", 1, &[("cpu", 1)])]
#[case("java-cpu", 171, &[("cpu", 5_020_648_123)])]
#[case("node-heap", 8, &[("inuse_objects", 100_498), ("inuse_space", 8_357_762)])]
#[case("node-wall", 16, &[("samples", 898), ("wall", 8_980_000)])]
#[case("python-cpu", 2, &[("sample", 49), ("CPU", 490_000_000)])]
#[case("python-pyspy", 13, &[("samples", 781)])]
fn reads_real_profiles(#[case] name: &str, #[case] stacks: usize, #[case] totals: &[(&str, i64)]) {
    let Some(bytes) = shared(&format!("profiles/{name}.pb.gz")) else { return };
    let profile = read_pprof(&bytes, &ReadLimits::default()).unwrap().profile;
    let read: Vec<_> =
        profile.sample_types().iter().enumerate().map(|(i, t)| (t.name.as_str(), profile.total(i))).collect();
    assert_eq!((profile.stack_count(), read.as_slice()), (stacks, totals));
    (0..totals.len()).for_each(|i| assert_eq!(table(&profile, i).is_empty(), totals[i].1 == 0));
}

#[test]
fn finds_the_hot_functions_of_real_profiles() {
    let hot = |name: &str, sample_type: usize| {
        let profile = read_pprof(&shared(&format!("profiles/{name}.pb.gz"))?, &ReadLimits::default()).unwrap().profile;
        let (ticks, name) = {
            let table = FunctionTable::of(&profile, sample_type);
            let row = table.rows()[0];
            (row.self_ticks * 100 / table.total(), row.name.to_owned())
        };
        Some(format!("{name} {ticks}"))
    };
    let Some(first) = hot("dotnet-3", 0) else { return };
    assert_eq!(first, "WebApplication1.Controllers!CpuController.fib 100");
    assert_eq!(hot("go-cpu-exemplars", 1).unwrap(), "main.work 90");
}

#[rstest]
#[case("java-kafka-cpu.expected.process_cpu")]
#[case("java-kafka-cpu-lock-alloc.expected.process_cpu_cpu_nanoseconds_cpu_nanoseconds")]
#[case("java-kafka-cpu-lock-alloc.expected.memory_alloc_in_new_tlab_bytes_bytes_space_bytes")]
#[case("java-kafka-cpu-lock-alloc.expected.memory_alloc_in_new_tlab_objects_count_space_bytes")]
fn reads_converted_recordings(#[case] name: &str) {
    let Some(bytes) = shared(&format!("profiles/{name}.pb.gz")) else { return };
    let profile = read_pprof(&bytes, &ReadLimits::default()).unwrap().profile;
    assert!(profile.total(0) > 0 && table(&profile, 0).len() > 50, "{name}");
}

/// What was pushed three times must come back three times, function by function. The v1 server keeps no `alloc_space`
/// of the heap profile under the type that was asked for.
#[rstest]
#[case("v1/merge-checkout-cpu", "go-cpu", "cpu")]
#[case("v2/merge-checkout-cpu", "go-cpu", "cpu")]
#[case("v2/merge-checkout-alloc", "go-heap", "alloc_space")]
#[case("v1/merge-search-cpu", "java-cpu", "cpu")]
#[case("v2/merge-search-cpu", "java-cpu", "cpu")]
fn merged_answers_equal_three_times_what_was_pushed(
    #[case] answer: &str,
    #[case] pushed: &str,
    #[case] sample_type: &str,
) {
    let Some(bytes) = shared(&format!("recorded/pyroscope-{answer}.bin")) else { return };
    let merged = read_pprof(&bytes, &ReadLimits::default()).unwrap().profile;
    let one = shared(&format!("profiles/{pushed}.pb.gz")).unwrap();
    let one = read_pprof(&one, &ReadLimits::default()).unwrap().profile;
    let at = one.sample_types().iter().position(|t| t.name == sample_type).unwrap();
    let thrice = merge([&one, &one, &one]).unwrap();
    let (merged_table, pushed_table) = (table(&merged, 0), table(&thrice.only(at), 0));
    assert!(merged_table.keys().eq(pushed_table.keys()));
    for (name, (of_self, of_total)) in &merged_table {
        let (pushed_self, pushed_total) = pushed_table[name];
        // The server completes stacks that Go's heap profiler cut at 64 frames, so totals of callers may only be
        // larger.
        let mended = pushed == "go-heap" && *of_total > pushed_total;
        assert!(*of_self == pushed_self && (*of_total == pushed_total || mended), "{name}: {of_self} {of_total}");
    }
    assert_eq!(merged.total(0), one.total(at) * 3);
}

/// The recording of Kafka was pushed once.
#[rstest]
#[case("merge-kafka-cpu", "process_cpu_cpu_nanoseconds_cpu_nanoseconds")]
#[case("merge-kafka-alloc", "memory_alloc_in_new_tlab_bytes_bytes_space_bytes")]
fn merged_recordings_equal_their_conversion(#[case] answer: &str, #[case] conversion: &str) {
    for version in ["v1", "v2"] {
        let Some(bytes) = shared(&format!("recorded/pyroscope-{version}/{answer}.bin")) else { return };
        let merged = read_pprof(&bytes, &ReadLimits::default()).unwrap().profile;
        let pushed = shared(&format!("profiles/java-kafka-cpu-lock-alloc.expected.{conversion}.pb.gz")).unwrap();
        let pushed = read_pprof(&pushed, &ReadLimits::default()).unwrap().profile;
        assert_eq!(merged.total(0), pushed.total(0), "{version}");
    }
}

#[test]
fn an_answer_without_data_is_an_empty_profile() {
    for version in ["v1", "v2"] {
        for answer in ["merge-empty-app", "merge-empty-window", "merge-unknown-type", "merge-recommender-cpu"] {
            let Some(bytes) = shared(&format!("recorded/pyroscope-{version}/{answer}.bin")) else { return };
            assert_eq!(
                read_pprof(&bytes, &ReadLimits::default()).unwrap().profile.stack_count(),
                0,
                "{version} {answer}"
            );
        }
    }
}

#[test]
fn functions_really_called_other_and_total_are_plain_functions() {
    for version in ["v1", "v2"] {
        let Some(bytes) = shared(&format!("recorded/pyroscope-{version}/merge-folded.bin")) else { return };
        let profile = read_pprof(&bytes, &ReadLimits::default()).unwrap().profile;
        let names = table(&profile, 0);
        assert!(names.contains_key("other") && names.contains_key("total"), "{names:?}");
    }
}

#[test]
fn a_rendered_flame_graph_says_the_same_as_the_exact_answer() {
    for version in ["v1", "v2"] {
        let Some(json) = shared(&format!("recorded/pyroscope-{version}/render.json")) else { return };
        let file = read_flamebearer(&json, &ReadLimits::default()).unwrap();
        let exact = shared(&format!("recorded/pyroscope-{version}/merge-checkout-cpu.bin")).unwrap();
        let exact = read_pprof(&exact, &ReadLimits::default()).unwrap().profile;
        assert_eq!(file.profile.sample_types(), [SampleType::new("cpu", "nanoseconds")]);
        assert_eq!(file.truncated_ticks, 0);
        assert!(table(&file.profile, 0) == table(&exact, 0), "the tables differ in {version}");
    }
}

#[test]
fn reads_rendered_differences_and_empty_ones() {
    for version in ["v1", "v2"] {
        let Some(json) = shared(&format!("recorded/pyroscope-{version}/render-diff.json")) else { return };
        let file = read_flamebearer(&json, &ReadLimits::default()).unwrap();
        let whole: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(file.profile.total(0), whole["rightTicks"].as_i64().unwrap());
        assert_eq!(file.baseline.unwrap().profile.total(0), whole["leftTicks"].as_i64().unwrap());
        let empty = shared(&format!("recorded/pyroscope-{version}/render-empty.json")).unwrap();
        assert_eq!(read_flamebearer(&empty, &ReadLimits::default()).unwrap().profile.stack_count(), 0);
    }
}

#[test]
fn tells_how_much_a_truncated_answer_lost() {
    for version in ["v1", "v2"] {
        let Some(json) = shared(&format!("recorded/pyroscope-{version}/render-maxnodes-16.json")) else { return };
        let file = read_flamebearer(&json, &ReadLimits::default()).unwrap();
        // Sixteen nodes hold one path of callers; every leaf was cut off.
        assert_eq!((file.truncated_ticks, file.profile.total(0)), (1_500_000_000, 1_500_000_000), "{version}");
    }
}
