//! Numbers as they travel: of all lengths, packed and not.

use rstest::rstest;

use super::wire::{Message, message};
use crate::profile::{LimitName, Profile, ReadError, ReadLimits, read_pprof};

const LOCATIONS: u64 = 20_000;

/// A function to each location; every seventh location has it twice, as if it were inlined into itself.
fn program() -> Message {
    let mut program = message().sample_type().strings(&["", "cpu", "nanoseconds"]);
    for id in 1..=LOCATIONS {
        let inlined = [id, id];
        let lines = if id % 7 == 0 { &inlined[..] } else { &inlined[..1] };
        program = program.bytes(6, id.to_string()).function(id, id + 2, 0).location(id, lines);
    }
    program
}

fn frames(profile: &Profile) -> Vec<Vec<&str>> {
    profile.stacks().map(|stack| stack.frames.iter().map(|frame| profile.name(*frame)).collect()).collect()
}

#[rstest]
#[case::of_one_byte(|i| 1 + i % 127)]
#[case::of_two_bytes(|i| 128 + i * 31 % 16_000)]
#[case::of_one_and_two(|i| if i % 3 == 0 { 3 } else { 1_000 + i })]
#[case::of_two_and_three(|i| if i % 5 == 0 { 19_999 - i } else { 200 + i })]
#[case::of_all_lengths(|i| [5, 300, 17_000, 6, 127, 128, 16_383, 16_384][i as usize % 8])]
#[case::inlined(|i| i * 7 % LOCATIONS + 7 * u64::from(i == 0))]
fn packed_locations_are_what_they_are_one_by_one(#[case] id: fn(u64) -> u64) {
    let mut profile = program();
    for len in 0..40 {
        let ids: Vec<_> = (0..len).map(id).collect();
        let loose = ids.iter().fold(message(), |sample, id| sample.number(1, *id));
        profile = profile.with(2, &loose.packed(2, [1])).sample(ids, 1);
    }
    let read = read_pprof(&profile.0, &ReadLimits::default()).unwrap().profile;
    let frames = frames(&read);
    let expected = |len: u64| (0..len).map(id).flat_map(|id| vec![id.to_string(); 1 + usize::from(id % 7 == 0)]);
    assert_eq!(frames.len(), 80);
    for (pair, len) in frames.chunks(2).zip(0..) {
        assert!(pair[0].iter().copied().eq(expected(len)), "{pair:?}");
        assert_eq!(pair[0], pair[1]);
    }
}

#[test]
fn an_unknown_location_is_found_wherever_it_stands() {
    for len in 1..20_usize {
        for at in 0..len {
            for unknown in [0, LOCATIONS + 1, 1 << 40] {
                let ids = (0..len).map(|i| if i == at { unknown } else { 1 + i as u64 * 40 });
                let sample = message().packed(1, ids).packed(2, [1]);
                let profile = message().sample_type().strings(&["", "cpu", "nanoseconds", "f"]);
                let profile = (1..1_000).fold(profile.function(1, 3, 0), |p, id| p.location(id, &[1]));
                let error = read_pprof(&profile.with(2, &sample).0, &ReadLimits::default()).unwrap_err();
                assert!(error.to_string().contains(&format!("names location {unknown}: unknown")), "{error}");
            }
        }
    }
}

#[test]
fn the_limit_of_a_stack_counts_packed_and_inlined_frames_alike() {
    let limits = |stack| ReadLimits { stack, ..ReadLimits::default() };
    let program = program();
    for len in 1..30 {
        let profile = Message(program.0.clone()).sample(1..=len, 1);
        let frames = len + len / 7;
        assert!(read_pprof(&profile.0, &limits(frames)).is_ok());
        let expected = ReadError::Limit { limit: LimitName::Stack, number: frames - 1 };
        assert_eq!(read_pprof(&profile.0, &limits(frames - 1)).unwrap_err(), expected);
    }
}

#[test]
fn numbers_of_all_lengths_are_read_at_the_end_and_before_it() {
    for bits in 0..64 {
        for number in [1 << bits, u64::MAX >> bits, (1 << bits) | 1, 0xa5a5_5a5a_c3c3_3c3c >> bits] {
            let end = message().number(12, number);
            let before = message().number(12, number).bytes(99, [0xff; 9]);
            for profile in [end, before] {
                let file = read_pprof(&profile.0, &ReadLimits::default()).unwrap();
                assert_eq!(file.period.cast_unsigned(), number);
            }
        }
    }
}
