//! Recordings that nobody should send: cut, false, deep and huge.

use std::io::Write;

use proptest::prelude::*;
use rstest::rstest;

use super::super::folded;
use super::writer::{Chunk, Described, INT, Is, LONG, STACK_FRAME, labels, metadata, number, sized};
use super::{one, read};
use crate::profile::{FunctionTable, JfrContext, LimitName, ReadError, ReadLimits, read_jfr};

fn said(bytes: &[u8]) -> String {
    read(bytes).unwrap_err().to_string()
}

#[test]
fn a_recording_that_is_cut_anywhere_is_refused() {
    let bytes = [one(&["A.run"]).bytes(), one(&["B.run"]).bytes()].concat();
    let first = one(&["A.run"]).bytes().len();
    for end in 0..bytes.len() {
        assert_eq!(read(&bytes[..end]).is_ok(), end == first, "{end}");
    }
    assert!(said(&bytes[..first + 100]).contains("it is cut off: a chunk of"), "{}", said(&bytes[..first + 100]));
    assert!(said(&bytes[..first + 20]).contains("it is cut off in the header of a chunk"));
    assert_eq!(said(b""), "the profile cannot be read: it is empty (at 0)");
}

#[test]
fn a_compressed_recording_that_is_cut_is_refused() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&one(&["A.run"]).bytes()).unwrap();
    let bytes = gzip.finish().unwrap();
    assert!(read(&bytes).is_ok());
    assert!(matches!(read(&bytes[..bytes.len() / 2]), Err(ReadError::Compression(_))));
}

#[rstest]
#[case::no_chunk(0, b"PK\x03\x04", "nor a further chunk of one, begins so")]
#[case::version(4, &[0, 1, 0, 0], "its version 1.0 is not read, 2.x is")]
#[case::not_finished(8, &[0; 8], "a chunk was not finished")]
#[case::too_large(8, &[0x7f; 8], "it is cut off: a chunk of 9187201950435737471 bytes")]
#[case::no_metadata(24, &[0; 8], "a chunk was not finished")]
#[case::metadata_elsewhere(24, &[0xff; 8], "it ends within a value")]
#[case::metadata_is_something_else(31, &[90], "no metadata is where its header says")]
#[case::not_compressed(64, &[0; 4], "its integers are not compressed")]
fn a_header_that_is_wrong_is_named(#[case] at: usize, #[case] change: &[u8], #[case] expected: &str) {
    let mut bytes = one(&["A.run"]).bytes();
    bytes[at..at + change.len()].copy_from_slice(change);
    assert!(said(&bytes).contains(expected), "{}", said(&bytes));
}

#[test]
fn an_event_that_says_a_wrong_size_is_refused() {
    for size in [vec![0], vec![1], vec![0xff; 9], vec![0xff, 0xff, 0x7f]] {
        let mut chunk = one(&["A.run"]);
        chunk.events.push(size);
        assert!(said(&chunk.bytes()).contains("an event says that it has"), "{}", said(&chunk.bytes()));
    }
}

#[test]
fn an_event_that_ends_within_a_value_is_refused() {
    let mut chunk = one(&["A.run"]);
    let mut body = Vec::new();
    number(&mut body, 40);
    body.extend([0xff; 5]);
    chunk.events.push(sized(&body));
    assert!(said(&chunk.bytes()).contains("it ends within a value"));
}

/// A chunk whose events have fields of a class that this makes.
fn with_field(classes: Vec<Described>, field: (&'static str, u64, Is), value: &[u8]) -> Vec<u8> {
    let mut chunk = Chunk::default();
    chunk.types.extend(classes);
    chunk.types.iter_mut().find(|t| t.name == "profiler.LiveObject").unwrap().fields.push(field);
    let stack = chunk.stack(&["A.run"]);
    chunk.event("profiler.LiveObject", stack, &[]);
    let event = chunk.events.pop().unwrap();
    chunk.events.push(sized(&[&event[4..], value].concat()));
    chunk.bytes()
}

#[test]
fn classes_that_lie_in_themselves_are_refused_where_they_are_met() {
    let of_itself = Described { id: 90, name: "Loop", fields: vec![("n", LONG, Is::Plain), ("next", 90, Is::Plain)] };
    let bytes = with_field(vec![of_itself], ("loop", 90, Is::Plain), &[1; 100]);
    assert!(said(&bytes).contains("more than 16 objects lie in one another"), "{}", said(&bytes));
    // An array may hold its own class, as long as it ends.
    let list = Described { id: 90, name: "Node", fields: vec![("children", 90, Is::Array)] };
    assert!(read(&with_field(vec![list.clone()], ("tree", 90, Is::Plain), &[2, 0, 1, 0])).is_ok());
    let bytes = with_field(vec![list], ("tree", 90, Is::Plain), &[1; 100]);
    assert!(said(&bytes).contains("more than 16 objects lie in one another"), "{}", said(&bytes));
}

#[test]
fn objects_without_content_take_no_time_however_many_there_are() {
    // Each holds a hundred of the one before, and the first holds nothing: a hundred to the sixteenth in all.
    let mut classes = vec![Described { id: 100, name: "Empty", fields: vec![] }];
    classes.extend((101..116).map(|id| Described { id, name: "Full", fields: vec![("of", id - 1, Is::Plain); 100] }));
    let mut many = Vec::new();
    number(&mut many, u64::MAX);
    let bytes = with_field(classes, ("all", 115, Is::Array), &many);
    assert_eq!(folded(&read(&bytes).unwrap().profiles[0].profile), ["A.run [1]"]);
}

#[test]
fn types_that_are_not_described_are_named() {
    let bytes = with_field(vec![], ("what", 4_711, Is::Plain), &[1]);
    assert!(said(&bytes).contains("it does not describe the type 4711"));
    let mut chunk = one(&["A.run"]);
    chunk.other_pools.push((4_712, 0, vec![]));
    assert!(said(&chunk.bytes()).contains("it does not describe the type 4712"));
}

#[test]
fn counts_are_believed_only_as_far_as_there_are_bytes() {
    let mut huge = vec![1];
    number(&mut huge, u64::from(u32::MAX));
    let mut chunk = one(&["A.run"]);
    chunk.other_pools.push((26, 1, huge.clone()));
    assert!(said(&chunk.bytes()).contains("fewer bytes"), "{}", said(&chunk.bytes()));
    let mut chunk = one(&["A.run"]);
    chunk.other_pools.push((30, u64::MAX, vec![]));
    assert!(said(&chunk.bytes()).contains("it says that 18446744073709551615 follow"));
    let bytes = with_field(vec![], ("frames", STACK_FRAME, Is::Array), &huge[1..]);
    assert!(said(&bytes).contains("it says that 4294967295 follow"));
}

#[test]
fn metadata_are_bounded() {
    let many = Described { id: 90, name: "Many", fields: vec![("n", INT, Is::Plain); 65_536] };
    let mut chunk = one(&["A.run"]);
    chunk.types.push(many);
    assert!(said(&chunk.bytes()).contains("more than 65536 names, or classes and fields"), "{}", said(&chunk.bytes()));
    // Elements of elements.
    let mut body = Vec::new();
    [0, 9, 0, 1, 1].iter().for_each(|n| number(&mut body, *n));
    body.extend([3, 1, b'x']);
    body.extend([0, 0, 1].repeat(1_000));
    let mut bytes = Chunk::default().bytes();
    let old = metadata(&Chunk::default().types).len();
    bytes.splice(68..68 + old, sized(&body));
    let size = (bytes.len() as u64).to_be_bytes();
    bytes[8..16].copy_from_slice(&size);
    assert!(said(&bytes).contains("more than 16 elements of its metadata lie in one another"), "{}", said(&bytes));
}

#[rstest]
#[case::body(|l: &mut ReadLimits| l.body = 500, LimitName::Body, 500)]
#[case::inflated(|l: &mut ReadLimits| l.inflated = 500, LimitName::Inflated, 500)]
#[case::samples(|l: &mut ReadLimits| l.samples = 2, LimitName::Samples, 2)]
#[case::stack(|l: &mut ReadLimits| l.stack = 2, LimitName::Stack, 2)]
#[case::frames(|l: &mut ReadLimits| l.frames = 4, LimitName::Frames, 4)]
#[case::symbols(|l: &mut ReadLimits| l.symbols = 10, LimitName::Symbols, 10)]
#[case::name(|l: &mut ReadLimits| l.name = 13, LimitName::Name, 13)]
fn limits_are_named(#[case] lower: fn(&mut ReadLimits), #[case] limit: LimitName, #[case] number: u64) {
    let mut chunk = one(&["app/Aa.running", "B.run", "C.run"]);
    for frames in [&["D.run"], &["E.run"]] {
        let stack = chunk.stack(frames);
        chunk.event("jdk.ExecutionSample", stack, &[1, 0]);
    }
    let mut limits = ReadLimits::default();
    assert!(read_jfr(&chunk.bytes(), &JfrContext::default(), &limits).is_ok());
    lower(&mut limits);
    let error = read_jfr(&chunk.bytes(), &JfrContext::default(), &limits).unwrap_err();
    assert_eq!(error, ReadError::Limit { limit, number });
}

#[test]
fn values_that_do_not_fit_together_are_refused() {
    let mut chunk = Chunk::default();
    let stack = chunk.stack(&["A.run"]);
    for _ in 0..3 {
        chunk.event("jdk.ObjectAllocationSample", stack, &[i64::MAX as u64]);
    }
    assert_eq!(read(&chunk.bytes()).unwrap_err(), ReadError::Overflow("alloc_sample_bytes".to_owned()));
}

#[test]
fn labels_that_cannot_be_read_are_named() {
    let context = JfrContext { labels: b"\x0a\x05\x08", ..JfrContext::default() };
    let error = read_jfr(&one(&["A.run"]).bytes(), &context, &ReadLimits::default()).unwrap_err();
    assert_eq!(error.to_string(), "the profile cannot be read: in its labels, it ends within a field (at 2)");
}

fn full() -> Vec<u8> {
    let mut chunk = one(&["app/A.leaf:12", "app/Main.main:3"]);
    let stack = chunk.stack(&["app/B$$Lambda$14/0x0000000800c01220.run"]);
    chunk.setting("jdk.ExecutionSample", "event", "wall").event("profiler.WallClockSample", stack, &[2, 5]);
    chunk.event("jdk.JavaMonitorEnter", stack, &[1_000, 7]).event("jdk.ObjectAllocationSample", 1, &[1 << 20]);
    chunk.bytes()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn damaged_recordings_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        removed in prop::option::of((any::<prop::sample::Index>(), 1..9_usize)),
    ) {
        let mut bytes = full();
        for (at, byte) in changes {
            let len = bytes.len();
            bytes[at.index(len)] = byte;
        }
        if let Some((at, count)) = removed {
            let at = at.index(bytes.len() - count);
            bytes.drain(at..at + count);
            let size = (bytes.len() as u64).to_be_bytes();
            bytes[8..16].copy_from_slice(&size);
        }
        if let Ok(recording) = read(&bytes) {
            for of in &recording.profiles {
                for sample_type in 0..of.profile.sample_types().len() {
                    let table = FunctionTable::of(&of.profile, sample_type);
                    prop_assert_eq!(table.total(), of.profile.total(sample_type));
                }
            }
        }
    }

    #[test]
    fn damaged_labels_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut labels = labels(&[(7, &[("region", "eu"), ("user", "ann")])]);
        for (at, byte) in changes {
            let len = labels.len();
            labels[at.index(len)] = byte;
        }
        let context = JfrContext { labels: &labels, keep: &["region"], rate: None };
        let _ = read_jfr(&full(), &context, &ReadLimits::default());
    }
}
