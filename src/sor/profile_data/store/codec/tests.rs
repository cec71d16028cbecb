use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::profile::{Profile, ProfileBuilder, SampleType};

/// Stacks, leaf first, as (name, file), with one value per sample type.
type Stacks = Vec<(Vec<(String, String)>, Vec<i64>)>;

fn profile(width: usize, stacks: &Stacks) -> Profile {
    let mut builder = ProfileBuilder::new((0..width).map(|i| SampleType::new(format!("t{i}"), "count")).collect());
    for (frames, values) in stacks {
        let frames: Vec<_> = frames.iter().map(|(name, file)| builder.function(name, file)).collect();
        builder.add(frames, values);
    }
    builder.build()
}

/// The content of a profile, whatever its order: the sum of each stack, without stacks whose sum is 0. Samples without a
/// stack are not read.
fn sums(profile: &Profile, sample_type: usize) -> BTreeMap<Vec<(String, String)>, i64> {
    let mut sums = BTreeMap::new();
    for stack in profile.stacks() {
        let frames =
            stack.frames.iter().map(|f| profile.function(*f)).map(|(n, f)| (n.to_owned(), f.to_owned())).collect();
        *sums.entry(frames).or_insert(0) += stack.values[sample_type];
    }
    sums.retain(|stack: &Vec<_>, value| *value != 0 && !stack.is_empty());
    sums
}

fn block(dictionary: &mut OpenDictionary, profile: &Profile) -> Block {
    let nodes = dictionary.intern(profile, DictionaryLimits::default()).unwrap();
    Block::of(profile.sample_types().len(), nodes.into_iter().zip(profile.stacks().map(|s| s.values)))
}

fn stacks(width: usize) -> impl Strategy<Value = Stacks> {
    let frame = ("[abc]?", "(x\\.rs)?");
    prop::collection::vec(
        (prop::collection::vec(frame, 0..6), prop::collection::vec(-3_i64..1_000_000, width..=width)),
        0..30,
    )
}

proptest! {
    #[test]
    fn what_is_read_is_the_sum_of_what_was_written(
        first in prop::collection::vec(stacks(2), 1..4),
        second in prop::collection::vec(stacks(2), 0..3),
    ) {
        let mut expected = BTreeMap::new();
        let mut joined = Joined::default();
        for epoch in [&first, &second] {
            let mut dictionary = OpenDictionary::default();
            let (mut tables, mut sum) = (Tables::default(), EpochSum::default());
            for stacks in epoch {
                let profile = profile(2, stacks);
                for (stack, value) in sums(&profile, 1) {
                    *expected.entry(stack).or_insert(0) += value;
                }
                let stored = block(&mut dictionary, &profile).encode();
                if let Some(segment) = dictionary.take_segment() {
                    tables.append(&segment).unwrap();
                }
                sum.add(&Block::decode(&stored).unwrap(), 1, 1);
            }
            joined.join(&sum, &tables);
        }
        expected.retain(|_, value| *value != 0);
        let read = joined.into_profile(SampleType::new("t1", "count"), false);
        prop_assert_eq!(sums(&read, 0), expected);
    }

    #[test]
    fn a_rollup_is_the_sum_of_its_blocks_series_by_series(
        epochs in prop::collection::vec(prop::collection::vec((0..2_i32, stacks(2)), 1..4), 1..3),
    ) {
        let (mut expected, mut first) = (BTreeMap::new(), BTreeMap::new());
        let (mut bodies, mut tables) = (Vec::new(), HashMap::new());
        for (epoch, profiles) in (0_i64..).zip(&epochs) {
            let (mut dictionary, mut of_epoch) = (OpenDictionary::default(), Tables::default());
            for (series, stacks) in profiles {
                let profile = profile(2, stacks);
                for (stack, value) in sums(&profile, 1) {
                    *expected.entry((*series, stack)).or_insert(0) += value;
                }
                first.entry(*series).or_insert_with(|| sums(&profile, 1));
                bodies.push((*series, epoch, block(&mut dictionary, &profile).encode()));
            }
            of_epoch.append(&dictionary.take_segment().unwrap()).unwrap();
            tables.insert(epoch, Arc::new(of_epoch));
        }
        expected.retain(|_, value| *value != 0);
        let blocks: Vec<_> =
            bodies.iter().map(|(series, epoch, body)| HourBlock { series: *series, epoch: *epoch, body }).collect();
        let body = Rollup::merge(&blocks, &tables, |series| series == 1).unwrap();
        for end in 0..body.len() {
            prop_assert!(Rollup::decode(body.get(..end).unwrap()).is_err());
        }
        let rollup = Rollup::decode(&body).unwrap();
        let read = |block: &Block| {
            let (mut joined, mut sum) = (Joined::default(), EpochSum::default());
            sum.add(block, 1, 1);
            joined.join(&sum, &rollup.tables);
            sums(&joined.into_profile(SampleType::new("t1", "count"), false), 0)
        };
        let mut rolled = BTreeMap::new();
        for (series, of_series) in &rollup.series {
            rolled.extend(read(&of_series.sum).into_iter().map(|(stack, value)| ((*series, stack), value)));
            prop_assert_eq!(of_series.growth.is_some(), *series == 1);
            if let Some(growth) = &of_series.growth {
                prop_assert_eq!(&read(&growth.first), first.get(series).unwrap());
            }
        }
        prop_assert_eq!(rolled, expected);
    }

    #[test]
    fn a_block_is_read_as_it_was_written(stacks in stacks(3)) {
        let block = block(&mut OpenDictionary::default(), &profile(3, &stacks));
        prop_assert_eq!(Block::decode(&block.encode()), Ok(block));
    }

    #[test]
    fn any_bytes_are_refused_or_read_but_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Block::decode(&bytes);
        let _ = Block::decode(&compress(&bytes));
        let _ = Tables::default().append(&bytes);
        let _ = Tables::default().append(&compress(&bytes));
        let _ = Rollup::decode(&bytes);
    }
}

fn named(names: &[&str]) -> Vec<(String, String)> {
    names.iter().map(|name| ((*name).to_owned(), String::new())).collect()
}

#[test]
fn a_node_is_outermost_where_its_function_does_not_occur_above() {
    let mut dictionary = OpenDictionary::default();
    dictionary
        .intern(&profile(1, &vec![(named(&["f", "g", "f", "main"]), vec![1])]), DictionaryLimits::default())
        .unwrap();
    let mut tables = Tables::default();
    tables.append(&dictionary.take_segment().unwrap()).unwrap();
    let nodes: Vec<_> = (0..tables.node_count())
        .map(|node| (tables.name_and_file(tables.frame(node).unwrap()).0, tables.is_outermost(node)))
        .collect();
    assert_eq!(nodes, [("main", true), ("f", true), ("g", true), ("f", false)]);
}

#[test]
fn a_known_profile_adds_no_segment() {
    let mut dictionary = OpenDictionary::default();
    let profile = profile(1, &vec![(named(&["f", "main"]), vec![1])]);
    dictionary.intern(&profile, DictionaryLimits::default()).unwrap();
    assert!(dictionary.take_segment().is_some());
    dictionary.intern(&profile, DictionaryLimits::default()).unwrap();
    assert!(dictionary.take_segment().is_none());
}

#[test]
fn a_segment_out_of_order_is_refused() {
    let mut dictionary = OpenDictionary::default();
    dictionary.intern(&profile(1, &vec![(named(&["a"]), vec![1])]), DictionaryLimits::default()).unwrap();
    dictionary.take_segment().unwrap();
    dictionary.intern(&profile(1, &vec![(named(&["b"]), vec![1])]), DictionaryLimits::default()).unwrap();
    let second = dictionary.take_segment().unwrap();
    assert_eq!(Tables::default().append(&second), Err(Corrupt("a segment is missing before it")));
}

#[test]
fn a_profile_that_brings_too_many_nodes_is_refused() {
    let stacks = (0..20).map(|i| (named(&[&format!("f{i}")]), vec![1])).collect();
    let limits = DictionaryLimits { nodes: 10, text_bytes: 1_000 };
    let refused = OpenDictionary::default().intern(&profile(1, &stacks), limits);
    assert_eq!(refused.unwrap_err().to_string(), "the profile has over 10 distinct tree nodes");
    let limits = DictionaryLimits { nodes: 1_000, text_bytes: 10 };
    let refused = OpenDictionary::default().intern(&profile(1, &stacks), limits);
    assert_eq!(refused.unwrap_err().to_string(), "the profile has over 10 bytes of names");
}

#[test]
fn a_sample_without_a_stack_is_left_out_and_a_function_without_a_name_is_read() {
    let written = profile(1, &vec![(vec![], vec![2]), (named(&[""]), vec![3])]);
    let mut dictionary = OpenDictionary::default();
    let mut sum = EpochSum::default();
    sum.add(&block(&mut dictionary, &written), 0, 1);
    let mut tables = Tables::default();
    tables.append(&dictionary.take_segment().unwrap()).unwrap();
    let mut joined = Joined::default();
    joined.join(&sum, &tables);
    let read = joined.into_profile(SampleType::new("t", "count"), true);
    assert_eq!((read.stack_count(), sums(&read, 0)), (1, [(named(&[""]), 3)].into()));
}

#[test]
fn the_extremes_of_64_bits_survive() {
    let written = profile(1, &vec![(named(&["a"]), vec![i64::MIN]), (named(&["b"]), vec![i64::MAX])]);
    let block = block(&mut OpenDictionary::default(), &written);
    assert_eq!(Block::decode(&block.encode()), Ok(block));
}

#[test]
fn growth_is_the_last_less_the_first() {
    let (first, last) = (
        profile(1, &vec![(named(&["a"]), vec![10])]),
        profile(1, &vec![(named(&["a"]), vec![25]), (named(&["b"]), vec![4])]),
    );
    let mut dictionary = OpenDictionary::default();
    let mut sum = EpochSum::default();
    sum.add(&block(&mut dictionary, &first), 0, -1);
    sum.add(&block(&mut dictionary, &last), 0, 1);
    let mut tables = Tables::default();
    tables.append(&dictionary.take_segment().unwrap()).unwrap();
    let mut joined = Joined::default();
    joined.join(&sum, &tables);
    let grown = joined.into_profile(SampleType::new("t", "count"), true);
    assert_eq!(sums(&grown, 0), BTreeMap::from([(named(&["a"]), 15), (named(&["b"]), 4)]));
}

fn profile_with_lines(functions: &[(&str, u32)]) -> Profile {
    let mut builder = ProfileBuilder::new(vec![SampleType::new("t0", "count")]);
    for (name, line) in functions {
        let function = builder.function(name, "a.rs");
        builder.line(function, *line);
        builder.add([function], &[1]);
    }
    builder.build()
}

fn lines(profile: &Profile) -> BTreeMap<&str, Option<u32>> {
    profile.function_ids().map(|id| (profile.name(id), profile.line(id))).collect()
}

#[test]
fn a_line_is_kept_with_its_function_and_tells_no_two_apart() {
    let mut dictionary = OpenDictionary::default();
    let (mut tables, mut sum) = (Tables::default(), EpochSum::default());
    // The second segment has no line at all, as those of earlier versions.
    for functions in [&[("f", 12), ("g", 0)][..], &[("h", 0)], &[("f", 40), ("i", 7)]] {
        let stored = block(&mut dictionary, &profile_with_lines(functions));
        tables.append(&dictionary.take_segment().unwrap_or_default()).unwrap();
        sum.add(&stored, 0, 1);
    }
    let mut joined = Joined::default();
    joined.join(&sum, &tables);
    let read = joined.into_profile(SampleType::new("t0", "count"), false);
    assert_eq!(lines(&read), BTreeMap::from([("f", Some(12)), ("g", None), ("h", None), ("i", Some(7))]));
    assert_eq!(read.total(0), 5);
}

#[test]
fn epochs_and_rollups_keep_the_lowest_line() {
    let (mut bodies, mut tables) = (Vec::new(), HashMap::new());
    for (epoch, line) in [(0, 30), (1, 20)] {
        let (mut dictionary, mut of_epoch) = (OpenDictionary::default(), Tables::default());
        bodies.push((epoch, block(&mut dictionary, &profile_with_lines(&[("f", line)])).encode()));
        of_epoch.append(&dictionary.take_segment().unwrap()).unwrap();
        tables.insert(epoch, Arc::new(of_epoch));
    }
    let mut joined = Joined::default();
    for (epoch, body) in &bodies {
        let mut sum = EpochSum::default();
        sum.add(&Block::decode(body).unwrap(), 0, 1);
        joined.join(&sum, &tables[epoch]);
    }
    let read = joined.into_profile(SampleType::new("t0", "count"), false);
    assert_eq!(lines(&read), BTreeMap::from([("f", Some(20))]));
    let blocks: Vec<_> = bodies.iter().map(|(epoch, body)| HourBlock { series: 1, epoch: *epoch, body }).collect();
    let rollup = Rollup::decode(&Rollup::merge(&blocks, &tables, |_| false).unwrap()).unwrap();
    let (mut of_hour, mut sum) = (Joined::default(), EpochSum::default());
    sum.add(&rollup.series[&1].sum, 0, 1);
    of_hour.join(&sum, &rollup.tables);
    let read = of_hour.into_profile(SampleType::new("t0", "count"), false);
    assert_eq!(lines(&read), BTreeMap::from([("f", Some(20))]));
}
