use rstest::rstest;

use super::folded;
use crate::profile::{LimitName, Profile, ReadError, ReadLimits, SampleType, read_folded, read_weighted_folded};

fn read(text: &str) -> Result<Profile, ReadError> {
    read_folded(text.as_bytes(), SampleType::new("cpu", "nanoseconds"), &ReadLimits::default())
}

#[test]
fn reads_lines_from_root_to_leaf() {
    let profile = read("main;run fast;work 7\r\n\n  main 5\nmain;;x\t-2\n").unwrap();
    assert_eq!(folded(&profile), ["main;run fast;work [7]", "main [5]", "main;[unknown];x [-2]"]);
}

#[test]
fn a_number_behind_a_blank_is_a_stack_without_frames() {
    let profile = read("main;work 7\n 2\n").unwrap();
    assert_eq!(folded(&profile), ["main;work [7]", "[unknown] [2]"]);
}

#[test]
fn keeps_names_that_flame_graphs_use_for_themselves() {
    assert_eq!(folded(&read("total;other 3").unwrap()), ["total;other [3]"]);
}

#[test]
fn no_lines_are_an_empty_profile() {
    assert_eq!(read("\n\n").unwrap().stack_count(), 0);
}

#[test]
fn replaces_what_is_no_text() {
    let profile = read_folded(b"caf\xe9;a\0b 1", SampleType::new("cpu", ""), &ReadLimits::default()).unwrap();
    assert_eq!(folded(&profile), ["caf\u{fffd};a\u{fffd}b [1]"]);
}

#[rstest]
#[case::whole("a;b 2\na 1\n", &["a;b [2]", "a [1]"])]
#[case::decimals("a;b 2.5\na 1\nc.d 0.0004\n", &["a;b [2500]", "a [1000]", "c.d [0]"])]
#[case::no_number_but_a_name("a x.y 3", &["a x.y [3]"])]
fn weights_with_decimals_are_read_in_thousandths(#[case] text: &str, #[case] expected: &[&str]) {
    let weights = SampleType::new("samples", "");
    let profile = read_weighted_folded(text.as_bytes(), weights, &ReadLimits::default()).unwrap();
    assert_eq!(folded(&profile), expected);
}

#[rstest]
#[case("a 1.5\nb nan")]
#[case("a 1.5\nb 1e300")]
fn a_weight_without_a_place_is_refused(#[case] text: &str) {
    let error = read_weighted_folded(text.as_bytes(), SampleType::new("samples", ""), &ReadLimits::default());
    assert!(error.unwrap_err().to_string().contains("(at 2)"));
}

#[rstest]
#[case("a 1\nb x", "a line that does not end in a whole number (at 2)")]
#[case("a 1.5", "a line that does not end in a whole number (at 1)")]
#[case("a 99999999999999999999", "a line that does not end in a whole number (at 1)")]
#[case("12", "a line without a number (at 1)")]
#[case("a 9223372036854775807\na 1", "add up to more than a 64-bit integer holds")]
fn names_the_line_that_cannot_be_read(#[case] text: &str, #[case] expected: &str) {
    let error = read(text).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[rstest]
#[case("a 1\nb 1\nc 1", LimitName::Samples)]
#[case("a;b;c;d 1", LimitName::Stack)]
#[case("a;b;c 1\na;b;c 1", LimitName::Frames)]
#[case("eleven-long 1", LimitName::Name)]
fn names_the_limit_that_was_passed(#[case] text: &str, #[case] expected: LimitName) {
    let limits = ReadLimits { samples: 2, stack: 3, frames: 5, name: 10, ..ReadLimits::default() };
    let error = read_folded(text.as_bytes(), SampleType::new("cpu", ""), &limits).unwrap_err();
    assert!(matches!(error, ReadError::Limit { limit, .. } if limit == expected), "{error}");
}
