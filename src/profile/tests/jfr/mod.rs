//! The reader of JFR recordings: real ones against Pyroscope's conversions, and small ones made here.

mod hostile;
mod real;
pub(crate) mod writer;

use rstest::rstest;

use self::writer::{Chunk, DEFAULT, RUNNABLE, SLEEPING, labels};
use super::folded;
use crate::profile::{JfrContext, ReadError, ReadLimits, RecordedProfile, Recording, read_jfr};

fn read(bytes: &[u8]) -> Result<Recording, ReadError> {
    read_jfr(bytes, &JfrContext::default(), &ReadLimits::default())
}

/// Name, labels, sample types and stacks of each profile.
fn seen(recording: &Recording) -> Vec<(String, Vec<String>)> {
    let one = |of: &RecordedProfile| {
        let types: Vec<_> = of.profile.sample_types().iter().map(|t| t.name.as_str()).collect();
        let labels: Vec<_> = of.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let head = format!("{}:{} {}", of.name, types.join("+"), labels.join(","));
        (head.trim_end().to_owned(), folded(&of.profile))
    };
    recording.profiles.iter().map(one).collect()
}

fn lines(expected: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    expected
        .iter()
        .map(|(head, stacks)| ((*head).to_owned(), stacks.iter().map(|s| (*s).to_owned()).collect()))
        .collect()
}

/// A chunk with one sample of CPU.
fn one(frames: &[&str]) -> Chunk {
    let mut chunk = Chunk::default();
    let stack = chunk.stack(frames);
    chunk.event("jdk.ExecutionSample", stack, &[DEFAULT, 0]);
    chunk
}

#[test]
fn each_event_becomes_the_profile_that_pyroscope_makes_of_it() {
    let mut chunk = Chunk { ticks_per_second: 2_000_000_000, ..Chunk::default() };
    let (a, b) = (chunk.stack(&["app/A.leaf:12", "app/Main.main:3"]), chunk.stack(&["app/B.leaf"]));
    chunk.event("jdk.ExecutionSample", a, &[DEFAULT, 0]).event("jdk.ExecutionSample", b, &[SLEEPING, 0]);
    chunk.event("jdk.ExecutionSample", a, &[RUNNABLE, 0]).event("jdk.NativeMethodSample", b, &[RUNNABLE, 0]);
    chunk.event("jdk.ObjectAllocationInNewTLAB", a, &[24, 1_000]).event("jdk.ObjectAllocationInNewTLAB", a, &[24, 500]);
    chunk.event("jdk.ObjectAllocationOutsideTLAB", b, &[70_000]).event("jdk.ObjectAllocationSample", b, &[7]);
    chunk.event("profiler.LiveObject", a, &[]).event("profiler.Malloc", b, &[4096, 11]);
    // A negative length, of a clock that went back, and one of half a second.
    chunk.event("jdk.JavaMonitorEnter", a, &[1_000_000_000, 0]).event("jdk.JavaMonitorEnter", b, &[u64::MAX, 0]);
    chunk.event("jdk.ThreadPark", b, &[30, 0]);
    let recording = read(&chunk.bytes()).unwrap();
    let expected: &[(&str, &[&str])] = &[
        ("process_cpu:cpu", &["app/Main.main;app/A.leaf [20000000]"]),
        ("memory:alloc_in_new_tlab_objects+alloc_in_new_tlab_bytes", &["app/Main.main;app/A.leaf [2, 1500]"]),
        ("memory:alloc_outside_tlab_objects+alloc_outside_tlab_bytes", &["app/B.leaf [1, 70000]"]),
        ("memory:alloc_sample_objects+alloc_sample_bytes", &["app/B.leaf [1, 7]"]),
        ("memory:live", &["app/Main.main;app/A.leaf [1]"]),
        ("memory:malloc_objects+malloc_bytes", &["app/B.leaf [1, 11]"]),
        ("mutex:contentions+delay", &["app/Main.main;app/A.leaf [1, 500000000]", "app/B.leaf [1, 0]"]),
        ("block:contentions+delay", &["app/B.leaf [1, 15]"]),
    ];
    assert_eq!(seen(&recording), lines(expected));
    let periods: Vec<_> =
        recording.profiles.iter().filter_map(|p| Some(p.period_type.as_ref()?.name.clone())).collect();
    assert_eq!(periods, ["cpu", "space", "space", "space", "objects", "mutex", "block"]);
    assert_eq!(recording.time.unwrap().to_rfc3339(), "2026-11-20T12:00:00+00:00");
    assert_eq!((recording.duration, recording.event), (Some(chrono::TimeDelta::seconds(10)), None));
}

#[test]
fn samples_of_elapsed_time_are_cpu_too_where_the_thread_ran() {
    let mut chunk = Chunk::default();
    let (a, b) = (chunk.stack(&["A.run"]), chunk.stack(&["B.wait"]));
    chunk.setting("jdk.ExecutionSample", "event", "wall").setting("jdk.ExecutionSample", "interval", "1000");
    chunk.event("profiler.WallClockSample", a, &[RUNNABLE, 5]).event("profiler.WallClockSample", b, &[SLEEPING, 9]);
    chunk.event("jdk.ExecutionSample", a, &[DEFAULT, 0]).event("jdk.ExecutionSample", b, &[SLEEPING, 0]);
    let recording = read(&chunk.bytes()).unwrap();
    let expected: &[(&str, &[&str])] =
        &[("process_cpu:cpu", &["A.run [6000]"]), ("wall:wall", &["A.run [6000]", "B.wait [10000]"])];
    assert_eq!(seen(&recording), lines(expected));
    assert_eq!(recording.event.as_deref(), Some("wall"));
}

#[rstest]
#[case::usual(&[], None, 10_000_000)]
#[case::async_profiler(&[("interval", "5000000")], None, 5_000_000)]
#[case::default_of_async_profiler(&[("interval", "0")], None, 10_000_000)]
#[case::jdk(&[("period", "20 ms")], None, 20_000_000)]
#[case::said_by_the_sender(&[("interval", "5000000")], Some(250), 4_000_000)]
#[case::rate_of_zero_says_nothing(&[("interval", "5000000")], Some(0), 5_000_000)]
fn a_sample_stands_for_its_interval(#[case] settings: &[(&str, &str)], #[case] rate: Option<u32>, #[case] period: i64) {
    let mut chunk = one(&["A.run"]);
    for (name, value) in settings {
        chunk.setting("jdk.ExecutionSample", name, value);
        chunk.setting("jdk.ThreadPark", name, "123");
    }
    let context = JfrContext { rate, ..JfrContext::default() };
    let recording = read_jfr(&chunk.bytes(), &context, &ReadLimits::default()).unwrap();
    let cpu = &recording.profiles[0];
    assert_eq!((cpu.profile.total(0), cpu.period), (period, period));
}

#[test]
fn chunks_are_read_each_with_its_own_constants() {
    // The second chunk gives the same keys to other methods, and has another clock.
    let mut first = one(&["A.run:7"]);
    first.event("jdk.JavaMonitorEnter", 1, &[1_000, 0]);
    let mut second = one(&["B.run:9", "A.run:5"]);
    second.event("jdk.JavaMonitorEnter", 1, &[1_000, 0]);
    second.ticks_per_second = 500_000_000;
    second.start_nanos += 10_000_000_000;
    let recording = read(&[first.bytes(), second.bytes()].concat()).unwrap();
    let expected: &[(&str, &[&str])] = &[
        ("process_cpu:cpu", &["A.run [10000000]", "A.run;B.run [10000000]"]),
        ("mutex:contentions+delay", &["A.run [1, 1000]", "A.run;B.run [1, 2000]"]),
    ];
    assert_eq!(seen(&recording), lines(expected));
    assert_eq!(recording.duration, Some(chrono::TimeDelta::seconds(20)));
    let profile = &recording.profiles[0].profile;
    let line = |name: &str| profile.function_ids().find(|id| profile.name(*id) == name).and_then(|id| profile.line(id));
    assert_eq!((line("A.run"), line("B.run")), (Some(5), Some(9)));
}

#[test]
fn samples_are_kept_apart_by_the_labels_that_are_kept() {
    let mut chunk = Chunk::default();
    let stack = chunk.stack(&["A.run"]);
    for (context, times) in [(0, 1), (7, 2), (8, 3), (9, 4), (99, 5)] {
        for _ in 0..times {
            chunk.event("jdk.ExecutionSample", stack, &[DEFAULT, context]);
        }
    }
    chunk.event("jdk.JavaMonitorEnter", stack, &[5, 7]);
    let labels = labels(&[
        (7, &[("region", "eu"), ("user", "ann")]),
        (8, &[("region", "eu"), ("user", "bob")]),
        (9, &[("user", "bob")]),
    ]);
    let context = JfrContext { labels: &labels, keep: &["region"], rate: Some(1_000) };
    let recording = read_jfr(&chunk.bytes(), &context, &ReadLimits::default()).unwrap();
    let expected: &[(&str, &[&str])] = &[
        ("process_cpu:cpu", &["A.run [10000000]"]),
        ("process_cpu:cpu region=eu", &["A.run [5000000]"]),
        ("mutex:contentions+delay region=eu", &["A.run [1, 5]"]),
    ];
    assert_eq!(seen(&recording), lines(expected));
}

#[test]
fn what_a_stack_lacks_is_left_out() {
    let mut chunk = Chunk::default();
    let whole = chunk.stack(&["A.run", "B.run", "C.run"]);
    // The recorder cut this one: what it kept is read.
    chunk.stacks.get_mut(&whole).unwrap().0 = true;
    let (method, (class, _)) = chunk.methods.iter().nth(1).map(|(key, of)| (*key, *of)).unwrap();
    chunk.event("jdk.ExecutionSample", whole, &[DEFAULT, 0]);
    let mut without_method = chunk.clone();
    without_method.methods.remove(&method);
    let mut without_class = chunk.clone();
    without_class.classes.remove(&class);
    let mut without_symbol = chunk.clone();
    without_symbol.symbols.remove(&class);
    let mut without_stack = chunk.clone();
    without_stack.stacks.clear();
    // State 77 is no constant, so nothing says that the thread ran.
    let mut without_state = chunk.clone();
    without_state.events.clear();
    without_state.event("jdk.ExecutionSample", whole, &[77, 0]);
    let stacks = |chunk: &Chunk| folded(&read(&chunk.bytes()).unwrap().profiles[0].profile);
    assert_eq!(stacks(&chunk), ["C.run;B.run;A.run [10000000]"]);
    assert_eq!(stacks(&without_method), ["C.run;A.run [10000000]"]);
    assert_eq!(stacks(&without_class), ["C.run;A.run [10000000]"]);
    assert_eq!(stacks(&without_symbol), ["C.run;.run;A.run [10000000]"]);
    assert!(stacks(&without_stack).is_empty() && stacks(&without_state).is_empty());
}

#[test]
fn texts_are_read_in_every_encoding() {
    let mut chunk = one(&["X.run", "Y.run", "Z.run", "W.run"]);
    let keys: Vec<_> = ["X", "Y", "Z", "W"]
        .map(|class| {
            let bytes = [&[3, 1], class.as_bytes()].concat();
            chunk.symbols.iter().find(|(_, known)| **known == bytes).map(|(key, _)| *key).unwrap()
        })
        .into();
    chunk.symbols.insert(keys[0], vec![5, 2, b'g', 0xfc]);
    chunk.symbols.insert(keys[1], vec![4, 2, b'a', 0xac, 0x41]);
    // A constant of the texts, and a text that is not UTF-8.
    chunk.symbols.insert(keys[2], vec![2, 42]);
    chunk.other_pools.push((writer::STRING, 1, vec![42, 3, 2, b'o', b'k']));
    chunk.symbols.insert(keys[3], vec![3, 2, 0xff, 0]);
    let stacks = folded(&read(&chunk.bytes()).unwrap().profiles[0].profile);
    assert_eq!(stacks, ["\u{fffd}\u{fffd}.run;ok.run;a€.run;gü.run [10000000]"]);
}

#[test]
fn a_recording_without_samples_is_an_empty_profile() {
    let recording = read(&Chunk::default().bytes()).unwrap();
    assert_eq!(seen(&recording), lines(&[("process_cpu:cpu", &[])]));
}

#[test]
fn of_constants_with_one_key_the_last_counts() {
    let mut chunk = one(&["A.run"]);
    let key = *chunk.symbols.iter().find(|(_, text)| text.ends_with(b"A")).unwrap().0;
    let old = [vec![key as u8 & 0x7f | 0x80, (key >> 7) as u8], vec![3, 1, b'O']].concat();
    let old = if key < 0x80 { vec![key as u8, 3, 1, b'O'] } else { old };
    chunk.other_pools.push((30, 1, old));
    assert_eq!(folded(&read(&chunk.bytes()).unwrap().profiles[0].profile), ["A.run [10000000]"]);
}
