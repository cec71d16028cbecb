//! The orders that fields come in: of a sample, and of the kinds of messages.

use rstest::rstest;

use super::folded;
use super::wire::{Message, message};
use crate::profile::{ReadLimits, read_pprof};

const FUNCTIONS: u64 = 300;

fn stacks(profile: &Message) -> Vec<String> {
    folded(&read_pprof(&profile.0, &ReadLimits::default()).unwrap().profile)
}

fn locations(ids: &[u64]) -> impl Fn(Message) -> Message {
    move |sample| ids.iter().fold(sample, |sample, id| sample.number(1, *id))
}

fn label(sample: Message) -> Message {
    sample.with(3, &message().number(1, 3).number(2, 4))
}

#[rstest]
#[case::locations_first(|ids: &[u64], value| locations(ids)(message()).number(2, value))]
#[case::values_first(|ids: &[u64], value| locations(ids)(message().number(2, value)))]
#[case::labels_last(|ids: &[u64], value| label(locations(ids)(message().number(2, value))))]
#[case::labels_between(|ids: &[u64], value| locations(ids)(label(message().number(2, value))))]
#[case::values_between(|ids: &[u64], value| locations(&ids[1..])(locations(&ids[..1])(message()).number(2, value)))]
#[case::packed(|ids: &[u64], value| message().number(2, value).packed(1, ids.iter().copied()))]
fn a_sample_is_the_same_in_any_order_and_each_time(#[case] sample: fn(&[u64], u64) -> Message) {
    let mut profile = message().sample_type().strings(&["", "cpu", "nanoseconds", "a", "b", "c"]);
    for id in 1..=3 {
        profile = profile.function(id, id + 2, 0).location(id, &[id]);
    }
    for value in 1..=3 {
        // One begins and one ends as the other does.
        for ids in [&[1, 2, 3][..], &[1, 2], &[2, 3]] {
            profile = profile.with(2, &sample(ids, value));
        }
    }
    let read = read_pprof(&profile.0, &ReadLimits::default()).unwrap().profile;
    let (_, sums) = super::canonical(&read);
    let named = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), String::new())).collect::<Vec<_>>();
    assert_eq!(
        sums,
        [(named(&["a", "b", "c"]), vec![6]), (named(&["a", "b"]), vec![6]), (named(&["b", "c"]), vec![6])].into()
    );
}

#[test]
fn a_value_behind_locations_that_were_known_before_counts() {
    let sample = message().number(2, 5).number(1, 1).number(1, 2);
    let two = message().with(1, &message().number(1, 1)).with(1, &message().number(1, 2));
    let tables = two.strings(&["", "cpu", "samples"]).function(1, 1, 0).function(2, 2, 0);
    let tables = tables.location(1, &[1]).location(2, &[2]);
    let whole = |sample: Message| sample.number(2, 7);
    let profile = tables.with(2, &whole(sample.clone())).with(2, &whole(sample));
    assert_eq!(stacks(&profile), ["samples;cpu [10, 14]"]);
}

/// Each function, location and sample when it is first needed, as Go sends them; so many bytes of it that some runs are
/// joined where there are too many.
#[rstest]
#[case::many_short_runs(1)]
#[case::few_long_runs(FUNCTIONS)]
fn kinds_that_take_turns_are_read_as_those_in_a_row(#[case] turn: u64) {
    let start = || message().sample_type().strings(&["", "cpu", "nanoseconds"]);
    let (mut turns, mut row) = (start(), start());
    for first in (1..=FUNCTIONS).step_by(turn as usize) {
        let ids = first..first + turn;
        turns = ids.clone().fold(turns, |all, id| all.bytes(6, id.to_string()));
        turns = ids.clone().fold(turns, |all, id| all.location(id, &[id]));
        turns = ids.clone().fold(turns, |all, id| all.function(id, id + 2, 0));
        turns = ids.fold(turns, |all, id| all.sample([id, 1 + id / 2], 1));
    }
    row = (1..=FUNCTIONS).fold(row, |all, id| all.sample([id, 1 + id / 2], 1));
    row = (1..=FUNCTIONS).fold(row, |all, id| all.location(id, &[id]));
    row = (1..=FUNCTIONS).fold(row, |all, id| all.function(id, id + 2, 0));
    row = (1..=FUNCTIONS).fold(row, |all, id| all.bytes(6, id.to_string()));
    let stacks = stacks(&turns);
    assert_eq!(stacks.len(), FUNCTIONS as usize);
    assert_eq!(stacks, super::folded(&read_pprof(&row.0, &ReadLimits::default()).unwrap().profile));
}
