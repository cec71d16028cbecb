use std::collections::BTreeMap;
use std::io::Write;

use chrono::DateTime;
use flate2::Compression;
use flate2::write::GzEncoder;
use rstest::rstest;

use super::folded;
use super::wire::{Message, message, small};
use crate::profile::{
    LimitName, MAX_LABEL_SETS, PprofFile, PprofHeader, Profile, ReadError, ReadLimits, SampleType, merge, read_pprof,
    read_pprof_by_labels, write_pprof,
};

fn read(message: &Message) -> Result<PprofFile, ReadError> {
    read_pprof(&message.0, &ReadLimits::default())
}

fn stacks(message: &Message) -> Vec<String> {
    folded(&read(message).unwrap().profile)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn what(error: &ReadError) -> String {
    error.to_string()
}

#[test]
fn reads_names_files_and_header() {
    let period = message().number(1, 1).number(2, 2);
    let file = read(
        &small()
            .number(9, 1_706_000_000_000_000_007)
            .number(10, 15_000_000_000)
            .with(11, &period)
            .number(12, 10_000_000)
            .number(13, 3)
            .packed(13, [4])
            .number(14, 1),
    )
    .unwrap();
    assert_eq!(folded(&file.profile), ["main;work [7]"]);
    assert_eq!(file.profile.sample_types(), [SampleType::new("cpu", "nanoseconds")]);
    let ids: Vec<_> = file.profile.function_ids().map(|id| file.profile.function(id)).collect();
    assert_eq!(ids, [("work", "main.rs"), ("main", "main.rs")]);
    assert_eq!(file.time, Some(DateTime::from_timestamp_nanos(1_706_000_000_000_000_007)));
    assert_eq!(file.duration.unwrap().num_seconds(), 15);
    assert_eq!((file.period_type, file.period), (Some(SampleType::new("cpu", "nanoseconds")), 10_000_000));
    assert_eq!((file.comments, file.default_sample_type), (vec!["work".into(), "main".into()], Some("cpu".into())));
}

#[test]
fn fields_may_come_in_any_order() {
    let strings = ["", "cpu", "nanoseconds", "work", "main"];
    let forward = message()
        .strings(&strings)
        .function(1, 3, 0)
        .function(2, 4, 0)
        .location(1, &[1])
        .location(2, &[2])
        .sample([1, 2], 7)
        .sample_type();
    let mixed = message()
        .strings(&strings[..2])
        .sample([1, 2], 3)
        .location(1, &[1])
        .function(1, 3, 0)
        .sample_type()
        .strings(&strings[2..])
        .location(2, &[2])
        .sample([1, 2], 4)
        .function(2, 4, 0);
    assert_eq!(stacks(&forward), ["main;work [7]"]);
    assert_eq!(stacks(&mixed), ["main;work [7]"]);
}

#[test]
fn repeated_numbers_may_be_packed_or_not_or_both() {
    let sample = message().number(1, 1).packed(1, [1, 2]).number(1, 2).number(2, 7);
    let profile = small().with(2, &sample);
    assert_eq!(stacks(&profile)[1], "main;main;work;work [7]");
}

#[test]
fn samples_of_the_same_locations_are_one_stack() {
    let loose = |value| message().number(1, 1).number(1, 2).packed(2, [value]);
    let apart = message().number(1, 1).packed(2, [9]).number(1, 2);
    let profile = small().sample([1, 2], 5).sample([2], 1).sample([1, 2], -2).with(2, &loose(3)).with(2, &loose(4));
    assert_eq!(stacks(&profile.with(2, &apart)), ["main;work [10]", "main [1]", "main;work [7]", "main;work [9]"]);
}

#[test]
fn inlined_functions_are_frames_and_recursion_stays() {
    let profile = small().location(3, &[1, 2, 1]).sample([3, 3], 5);
    assert_eq!(stacks(&profile)[1], "work;main;work;work;main;work [5]");
}

#[test]
fn a_location_without_functions_is_named_after_its_mapping() {
    let mapping = |id, file| message().number(1, id).number(5, file);
    let location = |id, mapping| message().number(1, id).number(2, mapping).number(3, 0xdead_beef);
    let profile = small()
        .strings(&["/usr/lib/libc.so.6", "[vdso]", "C:\\app\\core.dll"])
        .with(3, &mapping(1, 6))
        .with(3, &mapping(2, 7))
        .with(3, &mapping(3, 8))
        .with(3, &mapping(4, 0))
        .with(4, &location(3, 1))
        .with(4, &location(4, 2))
        .with(4, &location(5, 3))
        .with(4, &location(6, 4))
        .with(4, &location(7, 99))
        .location(8, &[0])
        .sample([3, 4, 5, 6, 7, 8], 1);
    assert_eq!(stacks(&profile)[1], "[unknown];[unknown];[unknown];[core.dll];[vdso];[libc.so.6] [1]");
}

#[test]
fn a_function_without_a_name_takes_its_system_name() {
    let profile = small()
        .with(5, &message().number(1, 3).number(3, 3))
        .with(5, &message().number(1, 4))
        .location(3, &[3])
        .location(4, &[4])
        .sample([3, 4], 1);
    assert_eq!(stacks(&profile)[1], "[unknown];work [1]");
}

#[test]
fn ids_may_be_sparse_out_of_order_or_absent() {
    let sparse = message()
        .sample_type()
        .sample([u64::MAX, 5], 7)
        .location(u64::MAX, &[1 << 40])
        .location(5, &[3])
        .function(1 << 40, 3, 0)
        .function(3, 4, 0)
        .strings(&["", "cpu", "nanoseconds", "work", "main"]);
    assert_eq!(stacks(&sparse), ["main;work [7]"]);
    // .NET's profiler numbers neither functions nor locations and counts from 1.
    let absent = message()
        .sample_type()
        .sample([1, 2], 7)
        .with(4, &message().with(4, &message().number(1, 1)))
        .with(4, &message().with(4, &message().number(1, 2)))
        .with(5, &message().number(2, 3))
        .with(5, &message().number(2, 4))
        .strings(&["", "cpu", "nanoseconds", "work", "main"]);
    assert_eq!(stacks(&absent), ["main;work [7]"]);
}

#[test]
fn texts_that_are_not_utf8_or_hold_nul_are_read() {
    let profile = message()
        .sample_type()
        .sample([1], 7)
        .location(1, &[1])
        .function(1, 3, 0)
        .strings(&["", "cpu", "nanoseconds"])
        .bytes(6, b"caf\xe9\0!");
    assert_eq!(stacks(&profile), ["caf\u{fffd}\u{fffd}! [7]"]);
}

#[test]
fn values_may_be_negative_and_samples_without_a_stack() {
    let profile = small().sample([1], -9).sample([], 4);
    assert_eq!(stacks(&profile), ["main;work [7]", "work [-9]", " [4]"]);
    assert_eq!(read(&profile).unwrap().profile.total(0), 2);
}

#[test]
fn several_sample_types_keep_their_values() {
    let sample = message().packed(1, [1]).packed(2, [3, 30]);
    let profile = message()
        .sample_type()
        .sample_type()
        .with(2, &sample)
        .location(1, &[1])
        .function(1, 3, 0)
        .strings(&["", "cpu", "nanoseconds", "work"]);
    let profile = read(&profile).unwrap().profile;
    assert_eq!(folded(&profile), ["work [3, 30]"]);
    assert_eq!(folded(&profile.only(1)), ["work [30]"]);
    assert_eq!(profile.only(2).stack_count(), 0);
}

#[rstest]
#[case::nothing(Vec::new())]
#[case::pyroscope_v1_without_data(vec![0x0a, 0x00, 0x32, 0x00, 0x5a, 0x00])]
#[case::only_strings(message().strings(&["", "x"]).0)]
fn a_profile_may_be_empty(#[case] bytes: Vec<u8>) {
    let file = read_pprof(&bytes, &ReadLimits::default()).unwrap();
    assert_eq!((file.profile.stack_count(), file.time, file.period_type), (0, None, None));
}

#[test]
fn gzip_of_several_members_zstd_and_plain_are_told_apart() {
    let plain = small().0;
    let (head, tail) = plain.split_at(20);
    let members = [gzip(head), gzip(tail)].concat();
    let zstd = zstd::encode_all(plain.as_slice(), 3).unwrap();
    for bytes in [plain.clone(), gzip(&plain), members, zstd] {
        assert_eq!(folded(&read_pprof(&bytes, &ReadLimits::default()).unwrap().profile), ["main;work [7]"]);
    }
}

#[rstest]
#[case::string(small().function(3, 99, 0), "the profile cannot be read: it names string 99, and has 6 (at 0)")]
#[case::function(small().location(3, &[9]), "a location names function 9: unknown")]
#[case::location(small().sample([9], 1), "a sample names location 9: unknown")]
#[case::location_0(small().sample([0], 1), "a sample names location 0: unknown")]
#[case::twice(small().function(1, 3, 0), "two functions have the id 1")]
#[case::values(small().with(2, &message().packed(2, [1, 2])), "a sample has 2 values for 1 sample types")]
#[case::first_string(message().strings(&["x"]), "its first string is not empty")]
#[case::not_a_message(message().number(2, 5), "field 2 is no message")]
#[case::group(Message(vec![0x0b]), "no field of a pprof has such a wire type")]
#[case::cut(Message(small().0[..40].to_vec()), "it ends within a field")]
#[case::text(Message(b"main;work 7\n".to_vec()), "the profile cannot be read")]
#[case::comments(small().packed(13, [3; 200]), "its comments name the same text too often")]
#[case::cut_number(Message(vec![0x48, 0xff]), "it ends within a number (at 1)")]
#[case::cut_long_number(Message([0x48].into_iter().chain([0xff; 9]).collect()), "it ends within a number (at 1)")]
#[case::long_number(Message([0x48].into_iter().chain([0xff; 11]).collect()), "a number longer than ten bytes")]
fn says_what_cannot_be_read(#[case] profile: Message, #[case] expected: &str) {
    let error = read(&profile).unwrap_err();
    assert!(what(&error).contains(expected), "{error}");
    assert!(!error.is_limit());
}

#[test]
fn the_end_of_a_gzip_may_not_be_missing() {
    let whole = gzip(&small().0);
    for end in 2..whole.len() {
        let error = read_pprof(&whole[..end], &ReadLimits::default()).unwrap_err();
        assert!(matches!(error, ReadError::Compression(_)), "{end} {error}");
    }
}

#[test]
fn sums_that_do_not_fit_are_an_error() {
    let error = read(&small().sample([1], i64::MAX)).unwrap_err();
    assert_eq!(error, ReadError::Overflow("cpu".into()));
    assert_eq!(read(&small().sample([1], i64::MIN)).unwrap_err(), ReadError::Overflow("cpu".into()));
}

fn small_limits() -> ReadLimits {
    ReadLimits { body: 4_000, inflated: 2_000, samples: 3, stack: 5, frames: 8, symbols: 12, name: 12, sample_types: 2 }
}

#[rstest]
#[case::fits(small().sample([1, 1, 2, 2, 2], 1), None)]
#[case::body(message().bytes(99, [7; 4_000]), Some((LimitName::Body, 4_000)))]
#[case::inflated(message().bytes(99, [7; 2_000]), Some((LimitName::Inflated, 2_000)))]
#[case::samples(small().sample([], 1).sample([], 1).sample([], 1), Some((LimitName::Samples, 3)))]
#[case::stack(small().sample([1; 6], 1), Some((LimitName::Stack, 5)))]
#[case::inlined(small().location(3, &[1, 2]).sample([3; 3], 1), Some((LimitName::Stack, 5)))]
#[case::frames(small().sample([1; 4], 1).sample([1; 3], 1), Some((LimitName::Frames, 8)))]
#[case::name(small().strings(&["thirteen long"]).function(3, 6, 0), Some((LimitName::Name, 12)))]
#[case::file(small().strings(&["thirteen long"]).function(3, 4, 6), Some((LimitName::Name, 12)))]
#[case::sample_types(small().sample_type().sample_type(), Some((LimitName::SampleTypes, 2)))]
#[case::symbols(small().location(3, &[]).function(3, 4, 5).with(3, &message()), Some((LimitName::Symbols, 12)))]
#[case::comments(small().packed(13, [3; 13]), Some((LimitName::Symbols, 12)))]
fn names_the_limit_that_was_passed(#[case] profile: Message, #[case] expected: Option<(LimitName, u64)>) {
    match (read_pprof(&profile.0, &small_limits()), expected) {
        (Ok(_), None) => {}
        (Err(error @ ReadError::Limit { limit, number }), Some(expected)) => {
            assert_eq!((limit, number), expected);
            assert!(error.to_string().contains(&number.to_string()), "{error}");
            assert!(error.is_limit());
        }
        (read, expected) => panic!("{read:?}, not {expected:?}"),
    }
}

#[test]
fn a_bomb_is_refused_once_it_passes_the_limit() {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..64 {
        bomb.write_all(&zeros).unwrap();
    }
    let limits = ReadLimits { inflated: 8 << 20, ..ReadLimits::default() };
    let expected = ReadError::Limit { limit: LimitName::Inflated, number: 8 << 20 };
    assert_eq!(read_pprof(&bomb.finish().unwrap(), &limits).unwrap_err(), expected);
    let zstd = zstd::encode_all(vec![0; 64 << 20].as_slice(), 3).unwrap();
    assert_eq!(read_pprof(&zstd, &limits).unwrap_err(), expected);
}

#[test]
fn a_few_bytes_of_zstd_that_inflate_to_ten_gigabytes_are_refused() {
    // A window of 128 KiB, then blocks that say "this byte, 128 KiB of it".
    let mut bomb = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    bomb.extend([0x02, 0x00, 0x10, 0x00].repeat(80_000));
    let error = read_pprof(&bomb, &ReadLimits::default()).unwrap_err();
    assert_eq!(error, ReadError::Limit { limit: LimitName::Inflated, number: 256 << 20 });
}

#[test]
fn a_trailer_that_lies_costs_nothing() {
    let mut lying = gzip(&small().0);
    let end = lying.len();
    lying[end - 4..].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(read_pprof(&lying, &ReadLimits::default()), Err(ReadError::Compression(_))));
}

#[test]
fn ten_million_samples_are_refused() {
    let sample = message().with(2, &message().packed(2, [1])).0;
    let mut profile = small().0;
    for _ in 0..1_000_000 {
        profile.extend_from_slice(&sample);
    }
    let error = read_pprof(&profile, &ReadLimits::default()).unwrap_err();
    assert_eq!(error, ReadError::Limit { limit: LimitName::Samples, number: 1_000_000 });
}

#[rstest]
#[case::many_locations(small().sample(std::iter::repeat_n(1, 3_000_000), 1))]
#[case::one_location_of_many_lines(small().location(3, &vec![1; 5_000]).sample([3], 1))]
fn three_million_frames_in_one_stack_are_refused(#[case] profile: Message) {
    let error = read(&profile).unwrap_err();
    assert_eq!(error, ReadError::Limit { limit: LimitName::Stack, number: 4_096 });
}

fn labelled(labels: &[(u64, u64)], value: i64) -> Message {
    let label = |m: Message, (key, text): &(u64, u64)| m.with(3, &message().number(1, *key).number(2, *text));
    labels.iter().fold(message().packed(1, [1]).packed(2, [value.cast_unsigned()]), label)
}

#[test]
fn kept_labels_split_samples_and_others_are_folded() {
    let profile = small()
        .strings(&["region", "eu", "us", "span_id", "abc", "bytes"])
        .with(2, &labelled(&[(6, 7), (9, 10)], 1))
        .with(2, &labelled(&[(9, 10), (6, 8)], 2))
        .with(2, &labelled(&[(6, 7)], 3))
        .with(2, &labelled(&[], 5).with(3, &message().number(1, 11).number(3, 64)));
    assert_eq!(stacks(&profile), ["main;work [7]", "work [11]"]);
    let parts = read_pprof_by_labels(&profile.0, &ReadLimits::default(), &["region", "version"]).unwrap();
    let parts: Vec<_> = parts.into_iter().map(|(labels, file)| (labels, folded(&file.profile))).collect();
    let region = |value: &str| BTreeMap::from([("region".to_owned(), value.to_owned())]);
    assert_eq!(
        parts,
        [
            (BTreeMap::new(), vec!["main;work [7]".to_owned(), "work [5]".to_owned()]),
            (region("eu"), vec!["work [4]".to_owned()]),
            (region("us"), vec!["work [2]".to_owned()]),
        ]
    );
}

#[test]
fn a_long_text_that_many_labels_name_is_not_looked_through_each_time() {
    let profile = small().bytes(6, vec![b'k'; 4 << 20]).with(2, &labelled(&[(6, 6); 100_000], 1));
    // Looking through 400 GB would not end.
    let parts = read_pprof_by_labels(&profile.0, &ReadLimits::default(), &["id"]).unwrap();
    assert_eq!((parts.len(), parts[0].1.profile.total(0)), (1, 8));
}

#[test]
fn comments_stand_in_the_first_part_alone() {
    let profile = small()
        .strings(&["id", "a", "b"])
        .packed(13, [3])
        .with(2, &labelled(&[(6, 7)], 1))
        .with(2, &labelled(&[(6, 8)], 1));
    let parts = read_pprof_by_labels(&profile.0, &ReadLimits::default(), &["id"]).unwrap();
    let comments: Vec<_> = parts.into_iter().map(|(_, file)| file.comments).collect();
    assert_eq!(comments, [vec!["work".to_owned()], vec![], vec![]]);
}

#[test]
fn label_sets_beyond_the_most_count_as_without_labels() {
    let mut profile = message().sample_type().location(1, &[1]).function(1, 1, 0).strings(&["", "cpu", "ns", "id"]);
    for i in 0..MAX_LABEL_SETS as u64 + 50 {
        profile = profile.bytes(6, format!("value {i}")).with(2, &labelled(&[(3, 4 + i)], 1));
    }
    let parts = read_pprof_by_labels(&profile.0, &ReadLimits::default(), &["id"]).unwrap();
    assert_eq!(parts.len(), MAX_LABEL_SETS + 1);
    assert!(parts[0].0.is_empty());
    assert_eq!(parts[0].1.profile.total(0), 50);
}

#[test]
fn an_empty_profile_read_by_labels_is_one_empty_part() {
    let parts = read_pprof_by_labels(&message().number(9, 5).0, &ReadLimits::default(), &["id"]).unwrap();
    let [(labels, file)] = parts.as_slice() else { panic!("{parts:?}") };
    assert!(labels.is_empty() && file.time.is_some());
}

#[test]
fn a_function_has_the_line_it_starts_in_else_the_lowest_that_was_sampled() {
    let line = |function, line| message().number(1, function).number(2, line);
    let location = |id, function, number| message().number(1, id).with(4, &line(function, number));
    let lines = |message: &Message| {
        let profile = read(message).unwrap().profile;
        let lines = |profile: &Profile| profile.function_ids().map(|id| profile.line(id)).collect::<Vec<_>>();
        let read = lines(&profile);
        let written = write_pprof(&merge([&profile, &profile]).unwrap(), &PprofHeader::default());
        assert_eq!(lines(&read_pprof(&written, &ReadLimits::default()).unwrap().profile), read, "merged and written");
        read
    };
    let strings = ["", "cpu", "nanoseconds", "work", "main"];
    let function = |id, name| message().number(1, id).number(2, name);
    let sampled = |work: Message, main: Message| {
        let tables = message().strings(&strings).sample_type().with(5, &work).with(5, &main);
        let locations = tables.with(4, &location(1, 1, 17)).with(4, &location(2, 2, 8)).with(4, &location(3, 1, 12));
        locations.sample([1, 3, 2], 7)
    };
    assert_eq!(lines(&sampled(function(1, 3), function(2, 4))), [Some(12), Some(8)]);
    assert_eq!(lines(&sampled(function(1, 3).number(5, 10), function(2, 4))), [Some(10), None]);
    assert_eq!(lines(&small().sample([1, 2], 7)), [Some(7), Some(7)]);
    let negative = u64::MAX;
    assert_eq!(lines(&sampled(function(1, 3).number(5, negative), function(2, 4))), [Some(12), Some(8)]);
}
