use proptest::prelude::*;

use super::canonical;
use crate::profile::{
    FunctionTable, MergeError, PprofHeader, Profile, ProfileBuilder, ReadLimits, SampleType, aligned, merge,
    read_cpuprofile, read_flamebearer, read_folded, read_pprof, read_pprof_by_labels, read_speedscope, read_tree,
    read_trie, without_time, write_flamebearer, write_folded, write_pprof, write_speedscope,
};

/// Profiles of two sample types over few functions, so that stacks and names meet.
fn profiles() -> impl Strategy<Value = Profile> {
    let frame = (0..6_usize, 0..3_usize);
    let stack = prop::collection::vec(frame, 0..6);
    let value = prop_oneof![Just(0), -100..100_i64, any::<i32>().prop_map(i64::from)];
    prop::collection::vec((stack, value.clone(), value), 0..12).prop_map(|stacks| {
        let types = vec![SampleType::new("cpu", "nanoseconds"), SampleType::new("größe", "bytes")];
        let mut builder = ProfileBuilder::new(types);
        for (frames, first, second) in stacks {
            let names = ["main", "work", "größe", "a b;c", "[unknown]", "x"];
            let files = ["", "a.rs", "ß.rs"];
            let frames: Vec<_> =
                frames.into_iter().map(|(name, file)| builder.function(names[name], files[file])).collect();
            builder.add(frames, &[first, second]);
        }
        builder.build()
    })
}

/// The profile under one sample type, with the values to keep and other names and files. Where a format has no samples
/// without a stack, they are `[unknown]`.
fn rewritten(
    profile: &Profile,
    sample_type: usize,
    keep: impl Fn(i64) -> bool,
    name_empty: bool,
    named: impl Fn(&str, &str) -> (String, String),
) -> Profile {
    let mut builder = ProfileBuilder::new(vec![profile.sample_types()[sample_type].clone()]);
    for stack in profile.stacks().filter(|stack| keep(stack.values[sample_type])) {
        let mut names: Vec<_> = stack.frames.iter().map(|f| profile.function(*f)).map(|(n, f)| named(n, f)).collect();
        if names.is_empty() && name_empty {
            names.push(("[unknown]".to_owned(), String::new()));
        }
        let frames: Vec<_> = names.iter().map(|(name, file)| builder.function(name, file)).collect();
        builder.add(frames, &[stack.values[sample_type]]);
    }
    builder.build()
}

/// Bytes that look like a pprof more often than chance would have it.
fn nearly_pprof() -> impl Strategy<Value = Vec<u8>> {
    (profiles(), prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)).prop_map(
        |(profile, changes)| {
            let mut bytes = crate::profile::write::write_plain(&profile, &PprofHeader::default());
            for (at, byte) in changes {
                let len = bytes.len();
                if len > 0 {
                    bytes[at.index(len)] = byte;
                }
            }
            bytes
        },
    )
}

proptest! {
    #[test]
    fn self_adds_up_to_the_total_and_no_function_is_over_it(profile in profiles()) {
        for sample_type in 0..2 {
            let table = FunctionTable::of(&profile, sample_type);
            prop_assert_eq!(table.rows().iter().map(|r| r.self_ticks).sum::<i64>(), profile.total(sample_type));
            prop_assert_eq!(table.total(), profile.total(sample_type));
            let ranked = table.rows().windows(2).all(|w| {
                (std::cmp::Reverse(w[0].self_ticks), w[0].name) < (std::cmp::Reverse(w[1].self_ticks), w[1].name)
            });
            prop_assert!(ranked, "{:?}", table);
        }
    }

    #[test]
    fn what_runs_through_a_function_is_each_stack_that_holds_it_once(profile in profiles()) {
        for function in profile.function_ids() {
            for sample_type in 0..2 {
                let holding = profile.stacks().filter(|stack| stack.frames.contains(&function));
                let sum: i64 = holding.map(|stack| stack.values[sample_type]).sum();
                prop_assert_eq!(profile.total_through(function, sample_type), sum);
            }
        }
    }

    #[test]
    fn a_table_is_that_of_its_sample_type_alone(profile in profiles()) {
        let only = profile.only(1);
        prop_assert_eq!(FunctionTable::of(&profile, 1), FunctionTable::of(&only, 0));
    }

    #[test]
    fn what_is_written_is_read_back(profile in profiles(), seconds in 1..4_000_000_000_i64, comment in "\\PC{0,40}") {
        let header = PprofHeader {
            time: chrono::DateTime::from_timestamp(seconds, 7),
            duration: Some(chrono::TimeDelta::seconds(15)),
            period_type: Some(SampleType::new("cpu", "nanoseconds")),
            period: 10_000_000,
            default_sample_type: Some("cpu".into()),
            comments: vec![comment, String::new()],
        };
        let bytes = write_pprof(&profile, &header);
        prop_assert_eq!(&bytes, &write_pprof(&profile, &header));
        let file = read_pprof(&bytes, &ReadLimits::default()).unwrap();
        prop_assert_eq!(canonical(&file.profile), canonical(&profile));
        prop_assert_eq!((file.time, file.duration), (header.time, header.duration));
        prop_assert_eq!((file.period_type, file.period), (header.period_type, header.period));
        prop_assert_eq!((file.default_sample_type, file.comments), (header.default_sample_type, header.comments));
    }

    #[test]
    fn folded_text_is_read_back(profile in profiles(), sample_type in 0..2_usize) {
        let text = write_folded(&profile, sample_type);
        let kind = profile.sample_types()[sample_type].clone();
        let read = read_folded(&text, kind, &ReadLimits::default()).unwrap();
        let named = |name: &str, _: &str| (name.replace(';', ":"), String::new());
        let expected = rewritten(&profile, sample_type, |value| value != 0, true, named);
        prop_assert_eq!(canonical(&read), canonical(&expected));
    }

    #[test]
    fn flame_graph_json_is_read_back(profile in profiles(), sample_type in 0..2_usize) {
        let read = read_flamebearer(&write_flamebearer(&profile, sample_type).unwrap(), &ReadLimits::default()).unwrap();
        let named = |name: &str, _: &str| (name.to_owned(), String::new());
        let expected = rewritten(&profile, sample_type, |value| value > 0, false, named);
        prop_assert_eq!(canonical(&read.profile), canonical(&expected));
        prop_assert_eq!(read.truncated_ticks, 0);
    }

    #[test]
    fn speedscope_is_read_back(profile in profiles(), sample_type in 0..2_usize) {
        let written = write_speedscope(&profile, sample_type, "shop").unwrap();
        let read = read_speedscope(&written, &ReadLimits::default()).unwrap();
        let named = |name: &str, file: &str| (name.to_owned(), file.to_owned());
        let expected = rewritten(&profile, sample_type, |value| value > 0, false, named);
        prop_assert_eq!(canonical(&read).1, canonical(&expected).1);
        let unit = &profile.sample_types()[sample_type].unit;
        prop_assert_eq!(&read.sample_types()[0].unit, unit);
    }

    #[test]
    fn a_pprof_without_its_time_is_the_same_otherwise(profile in profiles(), seconds in 1..4_000_000_000_i64) {
        let duration = Some(chrono::TimeDelta::seconds(15));
        let time = chrono::DateTime::from_timestamp(seconds, 7);
        let dated = write_pprof(&profile, &PprofHeader { time, duration, ..PprofHeader::default() });
        let undated = without_time(&dated, &ReadLimits::default()).unwrap();
        let file = read_pprof(&undated, &ReadLimits::default()).unwrap();
        prop_assert_eq!((file.time, file.duration), (None, duration));
        prop_assert_eq!(canonical(&file.profile), canonical(&profile));
    }

    #[test]
    fn aligned_profiles_share_their_functions_and_are_the_same_otherwise(a in profiles(), b in profiles()) {
        let aligned = aligned(vec![a.clone(), b.clone(), a.clone()]);
        prop_assert!(aligned.iter().all(|profile| profile.shares_functions(&aligned[0])));
        for (profile, before) in aligned.iter().zip([&a, &b, &a]) {
            prop_assert_eq!(profile.sample_types(), before.sample_types());
            prop_assert_eq!(write_folded(profile, 1), write_folded(before, 1));
        }
    }

    #[test]
    fn merge_is_commutative_and_associative(a in profiles(), b in profiles(), c in profiles()) {
        let all = canonical(&merge([&a, &b, &c]).unwrap());
        prop_assert_eq!(&canonical(&merge([&c, &a, &b]).unwrap()), &all);
        prop_assert_eq!(&canonical(&merge([&merge([&a, &b]).unwrap(), &c]).unwrap()), &all);
        prop_assert_eq!(&canonical(&merge([&a, &merge([&b, &c]).unwrap()]).unwrap()), &all);
    }

    #[test]
    fn merge_adds_same_stacks_and_loses_nothing(a in profiles(), b in profiles()) {
        let merged = merge([&a, &b]).unwrap();
        prop_assert_eq!(canonical(&merged).1.len(), merged.stack_count());
        for sample_type in 0..2 {
            prop_assert_eq!(merged.total(sample_type), a.total(sample_type) + b.total(sample_type));
        }
        prop_assert_eq!(canonical(&merge([&a, &Profile::default()]).unwrap()), canonical(&merge([&a]).unwrap()));
    }

    #[test]
    fn readers_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let limits = ReadLimits::default();
        let _ = read_pprof(&bytes, &limits);
        let _ = read_folded(&bytes, SampleType::new("cpu", ""), &limits);
        let _ = read_flamebearer(&bytes, &limits);
        let _ = read_tree(&bytes, SampleType::new("cpu", ""), &limits);
        let _ = read_trie(&bytes, SampleType::new("cpu", ""), &limits);
    }

    #[test]
    fn readers_of_trees_of_small_numbers_never_panic(bytes in prop::collection::vec(0..6_u8, 0..60)) {
        let limits = ReadLimits::default();
        for profile in [
            read_tree(&bytes, SampleType::new("cpu", ""), &limits),
            read_trie(&bytes, SampleType::new("cpu", ""), &limits),
        ] {
            let Ok(profile) = profile else { continue };
            let table = FunctionTable::of(&profile, 0);
            prop_assert_eq!(table.rows().iter().map(|r| r.self_ticks).sum::<i64>(), profile.total(0));
        }
    }

    #[test]
    fn readers_of_damaged_json_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), b' '..b'~'), 0..4),
    ) {
        let speedscope = br#"{"shared":{"frames":[{"name":"a"},{"name":"b"}]},"profiles":[
            {"type":"sampled","unit":"seconds","samples":[[0,1],[1]],"weights":[0.5,1e3]},
            {"type":"evented","unit":"bytes","startValue":1,"endValue":9,"events":[
                {"type":"O","at":1,"frame":0},{"type":"O","at":2,"frame":1},{"type":"C","at":3.5,"frame":1}]}]}"#;
        let cpuprofile = br#"{"nodes":[{"id":1,"callFrame":{"functionName":"(root)","lineNumber":-1},"children":[2]},
            {"id":2,"callFrame":{"functionName":"","url":"a.js","lineNumber":4},"hitCount":2}],
            "startTime":10,"endTime":90,"samples":[1,2,2],"timeDeltas":[3,20,-4]}"#;
        let damaged = |json: &[u8]| {
            let mut json = json.to_vec();
            for (at, byte) in &changes {
                let len = json.len();
                json[at.index(len)] = *byte;
            }
            json
        };
        let limits = ReadLimits::default();
        for profile in [read_speedscope(&damaged(speedscope), &limits), read_cpuprofile(&damaged(cpuprofile), &limits)] {
            if changes.is_empty() {
                prop_assert!(profile.is_ok());
            }
            let Ok(profile) = profile else { continue };
            for sample_type in 0..profile.sample_types().len() {
                prop_assert!(profile.total(sample_type) >= 0);
            }
        }
    }

    #[test]
    fn readers_of_damaged_pprof_never_panic(bytes in nearly_pprof()) {
        if let Ok(file) = read_pprof(&bytes, &ReadLimits::default()) {
            for sample_type in 0..file.profile.sample_types().len() {
                let table = FunctionTable::of(&file.profile, sample_type);
                prop_assert_eq!(table.total(), file.profile.total(sample_type));
            }
        }
        let _ = read_pprof_by_labels(&bytes, &ReadLimits::default(), &["main"]);
    }

    #[test]
    fn flame_graph_numbers_never_panic(
        levels in prop::collection::vec(prop::collection::vec(prop_oneof![0..5_i64, any::<i64>()], 0..15), 0..5),
        format in prop_oneof![Just("single"), Just("double")],
    ) {
        let document = serde_json::json!({
            "flamebearer": {"names": ["total", "a", "other"], "levels": levels}, "metadata": {"format": format}
        });
        let _ = read_flamebearer(&serde_json::to_vec(&document).unwrap(), &ReadLimits::default());
    }
}

#[test]
fn merge_refuses_what_does_not_fit_together() {
    let profile = |name: &str, value| {
        let mut builder = ProfileBuilder::new(vec![SampleType::new(name, "count")]);
        let main = builder.function("main", "");
        builder.add([main], &[value]);
        builder.build()
    };
    let error = merge([&profile("cpu", 1), &profile("wall", 1)]).unwrap_err();
    assert_eq!(error, MergeError::SampleTypes { one: "cpu/count".into(), other: "wall/count".into() });
    let error = merge([&profile("cpu", i64::MAX), &profile("cpu", 1)]).unwrap_err();
    assert_eq!(error, MergeError::Overflow("cpu".into()));
    assert_eq!(merge([]).unwrap().stack_count(), 0);
}
