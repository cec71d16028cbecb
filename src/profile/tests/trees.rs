use rstest::rstest;

use super::folded;
use crate::profile::{LimitName, Profile, ReadError, ReadLimits, SampleType, read_tree, read_trie};

type Read = fn(&[u8], SampleType, &ReadLimits) -> Result<Profile, ReadError>;

fn read(read: Read, bytes: &[u8], limits: &ReadLimits) -> Result<Profile, ReadError> {
    read(bytes, SampleType::new("cpu", ""), limits)
}

/// A root without a name that calls `a`, which calls `b` and `c`: Pyroscope's own example.
const TREE: &[u8] = b"\x00\x00\x01\x01a\x00\x02\x01b\x01\x00\x01c\x02\x00";

#[test]
fn a_tree_is_read_with_its_self_values() {
    let profile = read(read_tree, TREE, &ReadLimits::default()).unwrap();
    assert_eq!(folded(&profile), ["a;b [1]", "a;c [2]"]);
}

#[test]
fn a_tree_may_have_a_value_at_each_node_and_a_named_root() {
    let profile = read(read_tree, b"\x01r\x05\x02\x00\x03\x01\x01x\x04\x00\x01y\x80\x01\x00", &ReadLimits::default());
    assert_eq!(folded(&profile.unwrap()), ["r [5]", "r;[unknown] [3]", "r;[unknown];x [4]", "r;y [128]"]);
    let profile = read(read_tree, b"\x00\x07\x00", &ReadLimits::default()).unwrap();
    assert_eq!(folded(&profile), [" [7]"]);
}

#[test]
fn a_trie_writes_common_beginnings_once_within_names_too() {
    // The keys `main;a`, `main;a;bc`, `main;a;bd;e` and `mainly`.
    let bytes = b"\x04main\x00\x02\x02;a\x05\x01\x02;b\x00\x02\x01c\x01\x00\x03d;e\x02\x00\x02ly\x03\x00";
    let profile = read(read_trie, bytes, &ReadLimits::default()).unwrap();
    assert_eq!(folded(&profile), ["main;a [5]", "main;a;bc [1]", "main;a;bd;e [2]", "mainly [3]"]);
}

#[test]
fn a_trie_may_split_a_letter_and_have_empty_names() {
    let bytes = b"\x00\x00\x02\x02;\xc3\x00\x02\x01\xa4\x01\x00\x01\xb6\x02\x00\x02a;\x03\x00";
    let profile = read(read_trie, bytes, &ReadLimits::default()).unwrap();
    assert_eq!(folded(&profile), ["[unknown];ä [1]", "[unknown];ö [2]", "a;[unknown] [3]"]);
}

#[rstest]
#[case(read_tree)]
#[case(read_trie)]
fn nothing_is_an_empty_profile(#[case] format: Read) {
    assert_eq!(read(format, b"", &ReadLimits::default()).unwrap().stack_count(), 0);
}

#[rstest]
#[case(b"\x00\x00\x02\x01a\x01\x00", "the end, where a node goes on (at 7)")]
#[case(b"\x05a", "a name that is longer than what is left (at 1)")]
#[case(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "a name that is longer than what is left (at 10)")]
#[case(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", "a number of more than 64 bits (at 10)")]
#[case(b"\x01a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00", "a value of more than 63 bits (at 12)")]
#[case(b"\x01a\x01\x00\x00", "bytes after the last node (at 4)")]
#[case(
    b"\x00\x00\x02\x01a\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x00\x01b\x01\x00",
    "add up to more than a 64-bit integer"
)]
fn says_what_cannot_be_read(#[case] bytes: &[u8], #[case] expected: &str) {
    for format in [read_tree as Read, read_trie] {
        let error = read(format, bytes, &ReadLimits::default()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[rstest]
#[case::samples(read_tree, b"\x00\x00\x03\x01a\x01\x00\x01b\x01\x00\x01c\x01\x00", LimitName::Samples)]
#[case::stack(read_tree, b"\x01a\x00\x01\x01b\x00\x01\x01c\x00\x01\x01d\x00\x00", LimitName::Stack)]
#[case::name(read_tree, b"\x0beleven-long\x00\x00", LimitName::Name)]
#[case::symbols(
    read_tree,
    b"\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    LimitName::Symbols
)]
#[case::samples_of_a_trie(read_trie, b"\x00\x00\x03\x01a\x01\x00\x01b\x01\x00\x01c\x01\x00", LimitName::Samples)]
#[case::stack_of_a_trie(read_trie, b"\x07a;b;c;d\x01\x00", LimitName::Stack)]
#[case::frames_of_a_trie(read_trie, b"\x05a;b;c\x01\x01\x00\x01\x00", LimitName::Frames)]
#[case::name_of_a_trie(read_trie, b"\x06eleven\x00\x01\x05-long\x00\x00", LimitName::Name)]
#[case::names_that_a_trie_repeats(read_trie, b"\x0aten-bytes!\x01\x01\x00\x01\x00", LimitName::Inflated)]
fn names_the_limit_that_was_passed(#[case] format: Read, #[case] bytes: &[u8], #[case] expected: LimitName) {
    let limits =
        ReadLimits { samples: 2, stack: 3, frames: 5, name: 10, symbols: 4, inflated: 19, ..ReadLimits::default() };
    let error = read(format, bytes, &limits).unwrap_err();
    assert!(matches!(error, ReadError::Limit { limit, .. } if limit == expected), "{error}");
}
