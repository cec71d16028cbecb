//! Large profiles come in pieces when they are inflated, and whole when they are sent plain: both read the same.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use rstest::rstest;

use super::wire::{Message, message};
use crate::profile::{Labels, LimitName, PprofFile, ReadError, ReadLimits, read_pprof_by_labels};

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(plain).unwrap();
    gzip.finish().unwrap()
}

type Read = Result<Vec<(Labels, PprofFile)>, ReadError>;

fn read(bytes: &[u8], limits: &ReadLimits, keep: &[&str]) -> Read {
    read_pprof_by_labels(bytes, limits, keep)
}

/// What a reader sees of it.
fn seen(read: Read) -> Result<Vec<String>, ReadError> {
    let part = |(labels, file): (Labels, PprofFile)| {
        let name = |frame: &_| file.profile.name(*frame).to_owned();
        let stack = |s: crate::profile::Stack<'_>| (s.frames.iter().map(name).collect::<Vec<_>>(), s.values.to_vec());
        let stacks: Vec<_> = file.profile.stacks().map(stack).collect();
        let types = file.profile.sample_types();
        format!("{labels:?} {types:?} {stacks:?} {} {:?} {:?}", file.period, file.comments, file.period_type)
    };
    Ok(read?.into_iter().map(part).collect())
}

const STRINGS: [&str; 6] = ["", "cpu", "nanoseconds", "zone", "east", "west"];

/// Some 5 MB: 60,000 samples of 20,000 stacks, with tables before, between or after them, as `tables` says of each sample.
fn large(tables: fn(u64) -> bool) -> Message {
    let mut written = 0;
    let table = |profile: Message, written: &mut u64, upto: u64| {
        (*written + 1..=upto).fold(profile, |profile, id| {
            *written = id;
            profile.bytes(6, format!("module.function{id}")).function(id, id + 5, 0).location(id, &[id])
        })
    };
    let mut profile = message().strings(&STRINGS).sample_type().number(12, 77);
    for i in 0..60_000_u64 {
        if tables(i) {
            let upto = 2_000.min(written + 500);
            profile = table(profile, &mut written, upto);
        }
        let stack = i % 20_000;
        let ids = (0..30).map(|depth| 1 + (stack * 31 + depth * depth * (7 + stack / 2_000)) % 2_000);
        let label = message().number(1, 3).number(2, 4 + i % 2);
        profile = profile.with(2, &message().packed(1, ids).packed(2, [i]).with(3, &label));
    }
    table(profile, &mut written, 2_000).with(11, &message().number(1, 1).number(2, 2)).number(13, 3)
}

#[rstest]
#[case::tables_first(|i| i < 4)]
#[case::tables_between(|i| i % 12_000 == 100)]
#[case::tables_last(|_| false)]
fn pieces_are_read_as_the_whole_is(#[case] tables: fn(u64) -> bool) {
    let (plain, limits) = (large(tables).0, ReadLimits::default());
    let compressed = [gzip(&plain), zstd::encode_all(plain.as_slice(), 1).unwrap()];
    for keep in [&[][..], &["zone"]] {
        let whole = seen(read(&plain, &limits, keep)).unwrap();
        assert_eq!(whole.len(), 1 + usize::from(!keep.is_empty()));
        for bytes in &compressed {
            assert!(seen(read(bytes, &limits, keep)).unwrap() == whole, "{keep:?}");
        }
    }
}

#[rstest]
#[case::field_of_three_pieces(Message::default().bytes(6, vec![b'x'; 3 << 20]))]
#[case::unknown_field_of_three_pieces(Message::default().bytes(99, vec![b'x'; 3 << 20]))]
#[case::unknown_location(Message::default().sample([1, 2_001], 1))]
#[case::unknown_string(Message::default().function(2_001, 9_999, 0))]
#[case::unknown_function(Message::default().location(2_001, &[2_001]))]
#[case::location_twice(Message::default().location(7, &[7]))]
#[case::two_values(Message::default().with(2, &message().packed(1, [1]).packed(2, [1, 2])))]
#[case::no_message(Message::default().number(2, 5))]
#[case::no_wire_type(Message(vec![0x0b]))]
#[case::long_number(Message([0x48].into_iter().chain([0xff; 11]).collect()))]
#[case::endless(Message(vec![0x12, 0xff, 0xff, 0xff, 0xff, 0x0f]))]
#[case::too_much(Message::default().sample([1], i64::MAX))]
fn what_is_odd_in_the_middle_is_said_of_pieces_as_of_the_whole(#[case] odd: Message) {
    let (start, end) = (large(|i| i < 4).0, Message::default().bytes(99, vec![0; 3 << 19]).sample([1], 1).0);
    let plain = [start, odd.0, end].concat();
    let limits = ReadLimits::default();
    let (whole, pieces) = (seen(read(&plain, &limits, &[])), seen(read(&gzip(&plain), &limits, &[])));
    assert!(whole == pieces, "{:?} {:?}", whole.err(), pieces.err());
}

#[test]
fn a_few_bytes_that_stand_for_a_long_stack_are_not_read_again_and_again() {
    let lines = |first| (0..4_000_u64).map(|i| 1 + (first + i) % 2).collect::<Vec<_>>();
    let mut profile = message().strings(&STRINGS).sample_type().function(1, 1, 0).function(2, 2, 0);
    profile = profile.location(1, &lines(0)).location(2, &lines(1));
    for i in 0..700_000 {
        profile = profile.sample([1 + i % 2], 1);
    }
    // Reading three thousand million frames would not end.
    let [(_, file)] = &read(&gzip(&profile.0), &ReadLimits::default(), &[]).unwrap()[..] else { panic!("one part") };
    assert_eq!((file.profile.stack_count(), file.profile.frame_count(), file.profile.total(0)), (2, 8_000, 700_000));
}

#[test]
fn limits_hold_over_all_pieces() {
    let (plain, limits) = (large(|i| i < 4).0, ReadLimits::default());
    let compressed = gzip(&plain);
    let inflated = plain.len() as u64;
    for (name, exact, less) in [
        (LimitName::Inflated, ReadLimits { inflated, ..limits }, ReadLimits { inflated: inflated - 1, ..limits }),
        (LimitName::Samples, ReadLimits { samples: 60_000, ..limits }, ReadLimits { samples: 59_999, ..limits }),
        (LimitName::Frames, ReadLimits { frames: 600_000, ..limits }, ReadLimits { frames: 599_999, ..limits }),
        (LimitName::Symbols, ReadLimits { symbols: 6_006, ..limits }, ReadLimits { symbols: 6_005, ..limits }),
        (LimitName::Inflated, limits, ReadLimits { inflated: 1 << 20, ..limits }),
        (LimitName::Inflated, limits, ReadLimits { inflated: (1 << 20) - 1, ..limits }),
    ] {
        assert!(read(&compressed, &exact, &[]).is_ok(), "{name:?}");
        let Err(error) = read(&compressed, &less, &[]) else { panic!("{name:?} of {less:?}") };
        assert!(matches!(error, ReadError::Limit { limit, .. } if limit == name), "{error}");
    }
    for cut in [compressed.len() / 2, compressed.len() - 1] {
        assert!(matches!(read(&compressed[..cut], &limits, &[]), Err(ReadError::Compression(_))));
    }
}
