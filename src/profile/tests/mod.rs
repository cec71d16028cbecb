//! Tests of readers, writer and merge against one another, on traps and on real data.

mod cpuprofile;
mod flamebearer;
mod folded;
pub(crate) mod jfr;
mod order;
mod packed;
mod pieces;
mod pprof;
mod properties;
mod real;
mod speedscope;
mod trees;
mod wire;

use std::collections::BTreeMap;

use super::{Profile, SampleType};

/// A stack, leaf first, as names and files.
type Named = Vec<(String, String)>;

/// What a profile says, whatever the order of its tables: sample types, and values by stack.
pub(super) fn canonical(profile: &Profile) -> (Vec<SampleType>, BTreeMap<Named, Vec<i64>>) {
    let mut stacks: BTreeMap<Named, Vec<i64>> = BTreeMap::new();
    for stack in profile.stacks() {
        let named = stack.frames.iter().map(|f| profile.function(*f)).map(|(n, f)| (n.to_owned(), f.to_owned()));
        let sums = stacks.entry(named.collect()).or_insert_with(|| vec![0; stack.values.len()]);
        for (sum, value) in sums.iter_mut().zip(stack.values) {
            *sum += value;
        }
    }
    (profile.sample_types().to_vec(), stacks)
}

/// Stacks as folded lines, leaf last, in order.
pub(super) fn folded(profile: &Profile) -> Vec<String> {
    let line = |stack: super::Stack<'_>| {
        let names: Vec<_> = stack.frames.iter().rev().map(|f| profile.name(*f)).collect();
        format!("{} {:?}", names.join(";"), stack.values)
    };
    profile.stacks().map(line).collect()
}
