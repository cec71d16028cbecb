use std::path::PathBuf;

use chrono::TimeDelta;
use rstest::rstest;

use super::*;
use crate::bor::triage::Block;
use crate::cli::Exit;
use crate::profile::tests::jfr::writer::{Chunk, RUNNABLE};
use crate::profile::{PprofHeader, ProfileBuilder, SampleType, write_pprof};

fn write(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (dir, path)
}

fn triage(name: &str, bytes: &[u8], kind: Option<ProfileType>) -> Result<TriageBody, FileError> {
    let (_dir, path) = write(name, bytes);
    judge(&Rules::builtin(), &path, None, kind, 10, None)
}

fn kinds(body: &TriageBody) -> Vec<&str> {
    body.profiles.0.iter().map(|(kind, _)| kind.as_str()).collect()
}

fn pprof(sample_types: &[(&str, &str)], header: &PprofHeader) -> Vec<u8> {
    let types = sample_types.iter().map(|(name, unit)| SampleType::new(*name, *unit)).collect();
    let mut builder = ProfileBuilder::new(types);
    let frame = builder.function("main.work", "main.go");
    builder.add([frame], &vec![1_000_000_000; sample_types.len()]);
    write_pprof(&builder.build(), header)
}

/// A recording of a JVM: ten seconds of one hot function, and two kinds of allocation.
fn recording() -> Vec<u8> {
    let mut chunk = Chunk::default();
    let hot = chunk.stack(&["shop/Prices.score:12", "shop/Main.run:3"]);
    chunk.setting("jdk.ExecutionSample", "period", "20 ms");
    for _ in 0..400 {
        chunk.event("jdk.ExecutionSample", hot, &[RUNNABLE, 0]);
    }
    chunk.event("jdk.ObjectAllocationInNewTLAB", hot, &[24, 700]).event("jdk.ObjectAllocationOutsideTLAB", hot, &[300]);
    chunk.event("jdk.JavaMonitorEnter", hot, &[5_000_000, 0]).event("profiler.LiveObject", hot, &[]);
    chunk.bytes()
}

#[test]
fn judges_recordings_by_what_they_hold() {
    let body = triage("shop.jfr", &recording(), None).unwrap();
    assert_eq!(kinds(&body), ["cpu", "alloc"]);
    let Block::Judged(block) = &body.profiles.0[0].1 else { panic!("judged") };
    assert_eq!((block.sample_count, block.diagnosis.as_str()), (Some(400), "cpu_bound"));
    assert_eq!(block.cores, Some(0.8));
    for (kind, name) in [(ProfileType::Lock, "lock"), (ProfileType::Inuse, "inuse")] {
        assert_eq!(kinds(&triage("shop.jfr", &recording(), Some(kind)).unwrap()), [name]);
    }
    let error = triage("shop.jfr", &recording(), Some(ProfileType::Wall)).unwrap_err();
    assert!(error.to_string().contains("shop.jfr holds no wall profile: its sample types are cpu (nanoseconds), "));
    let cut = triage("shop.jfr", &recording()[..1_000], None).unwrap_err();
    assert!(cut.to_string().contains("it is cut off: a chunk of"), "{cut}");
}

#[test]
fn judges_folded_stacks_as_samples_of_an_unknown_kind_unless_told_otherwise() {
    let body = triage("shop.folded", b"main;a 300\nmain;b 100\n", None).unwrap();
    assert_eq!((body.app_name.as_str(), kinds(&body)), ("shop", vec!["samples"]));
    let Block::Judged(block) = &body.profiles.0[0].1 else { panic!("judged") };
    assert_eq!((block.sample_count, block.diagnosis.as_str()), (Some(400), "mixed_workload"));
    assert_eq!((body.from, body.to, block.cores), (0, 0, None));
    let body = triage("shop.folded", b"main;a 300\nmain;b 100\n", Some(ProfileType::Cpu)).unwrap();
    let Block::Judged(block) = &body.profiles.0[0].1 else { panic!("judged") };
    assert_eq!((kinds(&body), block.diagnosis.as_str()), (vec!["cpu"], "cpu_bound"));
    let body = triage("shop.folded", b"main;a 300\n", Some(ProfileType::Wall)).unwrap();
    assert_eq!(kinds(&body), ["wall"]);
}

#[test]
fn a_profile_of_an_unknown_kind_is_judged_as_samples_and_says_so() {
    let header = PprofHeader {
        time: chrono::DateTime::from_timestamp(1_706_000_000, 0),
        duration: Some(TimeDelta::seconds(10)),
        ..PprofHeader::default()
    };
    let mut builder = ProfileBuilder::new(vec![SampleType::new("foo", "count")]);
    let [decode, work] = ["encoding/json.Unmarshal", "main.work"].map(|name| builder.function(name, "main.go"));
    builder.add([decode, work], &[4_000]);
    builder.add([work], &[6_000]);
    let body = triage("shop.pb.gz", &write_pprof(&builder.build(), &header), None).unwrap();
    let Block::Judged(block) = &body.profiles.0[0].1 else { panic!("judged") };
    assert_eq!((kinds(&body), block.cores, block.sample_count), (vec!["samples"], None, Some(10_000)));
    // Thresholds are those of CPU time, sentences speak of samples.
    assert_eq!((block.diagnosis.as_str(), block.findings[0].threshold), ("serialization", 20.0));
    assert!(body.summary.headline.starts_with("Serialization is 40 % of shop's samples"), "{}", body.summary.headline);
    let notes: Vec<_> = block.data_quality.iter().map(|note| note.detail.as_str()).collect();
    assert_eq!(
        notes,
        ["the kind of profile is unknown, its sample type is \"foo\": it is judged as samples, not as CPU time"]
    );
}

#[rstest]
#[case::page_faults("page-faults", "Allocation is 60 % of shop's page faults (")]
#[case::exceptions(
    "exception",
    "Nothing stands out; the heaviest function is __cxa_throw with 40 % of shop's exceptions ("
)]
fn profiles_of_events_speak_of_events(#[case] sample_type: &str, #[case] headline: &str) {
    let mut builder = ProfileBuilder::new(vec![SampleType::new(sample_type, "count")]);
    let names = ["asm_exc_page_fault", "__libc_malloc", "__cxa_throw", "shop::load"];
    let [fault, malloc, throw, load] = names.map(|name| builder.function(name, ""));
    builder.add([fault, malloc, load], &[600]);
    builder.add([throw, load], &[400]);
    let body = triage("shop.pb.gz", &write_pprof(&builder.build(), &PprofHeader::default()), None).unwrap();
    assert!(body.summary.headline.starts_with(headline), "{}", body.summary.headline);
    let Block::Judged(block) = &body.profiles.0[0].1 else { panic!("judged") };
    assert_eq!((block.cores, block.data_quality.len()), (None, 1));
    assert!(block.data_quality[0].detail.starts_with("the values count"), "{:?}", block.data_quality);
}

#[test]
fn judges_a_flame_graph() {
    let json = br#"{"version":1,"flamebearer":{"names":["total","a","b"],"levels":[[0,40,0,0],[0,40,10,1],[10,30,30,2]],
        "numTicks":40,"maxSelf":30},"metadata":{"format":"single","name":"samples","units":"samples","sampleRate":100}}"#;
    let body = triage("graph.json", json, None).unwrap();
    let Block::Judged(block) = &body.profiles.0[0].1 else { panic!("judged") };
    assert_eq!((block.total_samples, block.top_functions[0].name.as_str()), (40, "b"));
}

#[rstest]
#[case::go_cpu(&[("samples", "count"), ("cpu", "nanoseconds")], &["cpu"], &["cpu"])]
#[case::go_heap(&[("alloc_objects", "count"), ("alloc_space", "bytes"), ("inuse_space", "bytes")], &["alloc"], &["alloc_space"])]
#[case::dotnet(&[("cpu", "nanoseconds"), ("alloc-size", "bytes"), ("lock-time", "nanoseconds")], &["cpu", "alloc"], &["cpu", "alloc-size"])]
#[case::java_alloc(&[("alloc_in_new_tlab_bytes", "bytes"), ("alloc_outside_tlab_bytes", "bytes")], &["alloc"], &["alloc_in_new_tlab_bytes"])]
#[case::node_wall(&[("samples", "count"), ("wall", "microseconds")], &["wall"], &["wall"])]
#[case::node_heap(&[("objects", "count"), ("space", "bytes")], &["inuse"], &["space"])]
#[case::mutex(&[("contentions", "count"), ("delay", "nanoseconds")], &["lock"], &["delay"])]
#[case::python(&[("sample", "count"), ("CPU", "nanoseconds")], &["cpu"], &["CPU"])]
#[case::fgprof(&[("samples", "count"), ("time", "nanoseconds")], &["wall"], &["time"])]
#[case::exceptions(&[("exception", "count")], &["exception"], &["exception"])]
#[case::unknown(&[("foo", "count")], &["samples"], &["foo"])]
fn guesses_the_kind_from_the_sample_types(
    #[case] sample_types: &[(&str, &str)],
    #[case] expected: &[&str],
    #[case] read: &[&str],
) {
    let body = triage("x.pb.gz", &pprof(sample_types, &PprofHeader::default()), None).unwrap();
    assert_eq!(kinds(&body), expected);
    let names = body.profiles.0.iter().map(|(_, block)| match block {
        Block::Judged(block) => block.sample_type.clone().unwrap(),
        Block::Unavailable(_) => panic!("judged"),
    });
    assert_eq!(names.collect::<Vec<_>>(), read);
}

#[test]
fn says_which_sample_types_there_are_where_the_kind_is_none_of_them() {
    let bytes = pprof(&[("cpu", "nanoseconds")], &PprofHeader::default());
    let error = triage("x.pb.gz", &bytes, Some(ProfileType::Alloc)).unwrap_err();
    assert!(error.to_string().ends_with("holds no alloc profile: its sample types are cpu (nanoseconds)"), "{error}");
    assert_eq!(error.exit(), Exit::Usage);
}

#[test]
fn takes_no_window_that_a_server_made_up() {
    let time = chrono::DateTime::from_timestamp(1_706_000_000, 0);
    let with = |duration| {
        let header = PprofHeader { time, duration: Some(duration), ..PprofHeader::default() };
        let body = triage("x.pb.gz", &pprof(&[("cpu", "nanoseconds")], &header), None).unwrap();
        let Block::Judged(block) = &body.profiles.0[0].1 else { panic!("judged") };
        (body.from, block.cores)
    };
    assert_eq!(with(TimeDelta::seconds(10)), (1_706_000_000, Some(0.1)));
    assert_eq!(with(TimeDelta::days(20_000)), (0, None));
}

#[test]
fn names_the_file_that_cannot_be_read() {
    let error = triage("x.pb.gz", b"\x1f\x8bnonsense", None).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("x.pb.gz: this looks like a compressed file that is cut off or damaged; read are pprof, JFR"),
        "{text}"
    );
    assert_eq!(error.exit(), Exit::NoData);
    let error = judge(&Rules::builtin(), Path::new("/nonexistent/x"), None, None, 10, None).unwrap_err();
    assert_eq!(error.exit(), Exit::NoData);
}
