//! The function table of a profile: self and total of each name.

use super::model::{FunctionId, Profile, TextId};

/// One function of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionRow<'p> {
    /// The name, as the source spells it.
    pub name: &'p str,
    /// The ticks of the stacks that end in it.
    pub self_ticks: i64,
    /// The ticks of the stacks that contain it. Each stack counts once, however often the function recurs in it.
    pub total_ticks: i64,
}

/// The functions of a profile under one sample type, grouped by name: by self descending, ties by name.
///
/// The self ticks of all rows add up to [`FunctionTable::total`]: ticks of stacks without a frame are counted for
/// [`FunctionTable::NO_STACK`]. A function that only occurs in stacks of value 0 has no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionTable<'p> {
    rows: Vec<FunctionRow<'p>>,
    total: i64,
}

impl<'p> FunctionTable<'p> {
    /// The name for ticks of stacks without a frame.
    pub const NO_STACK: &'static str = "[unknown]";

    /// The table of `profile` under the sample type at that place.
    pub fn of(profile: &'p Profile, sample_type: usize) -> Self {
        let names: Vec<_> =
            profile.function_ids().filter_map(|id| profile.function_texts(id)).map(|f| f.name).collect();
        let mut ticks = vec![Ticks::default(); profile.text_count()];
        let (mut total, mut no_stack, mut stamp) = (0_i64, 0_i64, 0_u32);
        for stack in profile.stacks() {
            let value = stack.values.get(sample_type).copied().unwrap_or(0);
            if value == 0 {
                continue;
            }
            total = total.saturating_add(value);
            stamp += 1;
            count(stack.frames, &names, &mut ticks, (stamp, value));
            let leaf = stack.frames.first().and_then(|leaf| names.get(leaf.index()));
            match leaf.and_then(|name| ticks.get_mut(name.index())) {
                Some(of_name) => of_name.of_self = of_name.of_self.saturating_add(value),
                None => no_stack = no_stack.saturating_add(value),
            }
        }
        let texts = profile.texts().zip(&ticks).filter(|(_, of_name)| of_name.stamp != 0);
        let row = |(name, of_name): (_, &Ticks)| FunctionRow {
            name,
            self_ticks: of_name.of_self,
            total_ticks: of_name.of_total,
        };
        let mut rows: Vec<_> = texts.map(row).collect();
        if no_stack != 0 {
            add_no_stack(&mut rows, no_stack);
        }
        rank(&mut rows);
        Self { rows, total }
    }

    /// The rows, ranked.
    pub fn rows(&self) -> &[FunctionRow<'p>] {
        &self.rows
    }

    /// All ticks of the profile.
    pub fn total(&self) -> i64 {
        self.total
    }
}

/// Of one name.
#[derive(Clone, Copy, Default)]
struct Ticks {
    of_self: i64,
    of_total: i64,
    /// The number of the last stack that it was counted for, from 1.
    stamp: u32,
}

/// Counts a stack's value for the names in it, each once. It is a function of its own, so that its few values stay in
/// registers.
#[inline(never)]
fn count(frames: &[FunctionId], names: &[TextId], ticks: &mut [Ticks], (stamp, value): (u32, i64)) {
    for frame in frames {
        let Some(name) = names.get(frame.index()) else { continue };
        let Some(of_name) = ticks.get_mut(name.index()) else { continue };
        if of_name.stamp != stamp {
            of_name.stamp = stamp;
            of_name.of_total = of_name.of_total.saturating_add(value);
        }
    }
}

/// Sorts rows by self descending, ties by name. Most functions only call: their names are what is to be sorted.
fn rank(rows: &mut [FunctionRow<'_>]) {
    rows.sort_unstable_by_key(|row| std::cmp::Reverse(row.self_ticks));
    for ties in rows.chunk_by_mut(|a, b| a.self_ticks == b.self_ticks) {
        sort_names(ties, 0);
    }
}

/// Sorts rows by name, which are the same up to `from`: by the next eight bytes as a number, then those that share them.
fn sort_names(rows: &mut [FunctionRow<'_>], from: usize) {
    const FEW: usize = 8;
    /// Each level of recursion holds the rows once more, so names that share a long beginning must not take gigabytes.
    const DEEP: usize = 64;
    if rows.len() <= FEW || from >= DEEP {
        rows.sort_unstable_by(|a, b| a.name.cmp(b.name));
        return;
    }
    // The path of a program's packages is nothing to sort by.
    let same = |row: &FunctionRow<'_>, key| row.name.len() >= from + 8 && eight(row.name, from) == key;
    let first = rows.first().map_or(0, |row| eight(row.name, from));
    if rows.iter().all(|row| same(row, first)) {
        return sort_names(rows, from + 8);
    }
    let mut keyed: Vec<_> = rows.iter().map(|row| (eight(row.name, from), *row)).collect();
    keyed.sort_unstable_by_key(|(key, _)| *key);
    for (place, (_, row)) in rows.iter_mut().zip(&keyed) {
        *place = *row;
    }
    let mut rest = rows;
    for same in keyed.chunk_by(|a, b| a.0 == b.0) {
        let Some((same, others)) = rest.split_at_mut_checked(same.len()) else { return };
        match same {
            [] | [_] => {}
            // One that ends here leaves it to the whole names.
            same if same.iter().any(|row| row.name.len() < from + 8) => {
                same.sort_unstable_by(|a, b| a.name.cmp(b.name));
            }
            same => sort_names(same, from + 8),
        }
        rest = others;
    }
}

/// The eight bytes of a text from there on, in an order that is theirs; 0 past its end.
fn eight(text: &str, from: usize) -> u64 {
    let rest = text.as_bytes().get(from..).unwrap_or(&[]);
    match rest.first_chunk() {
        Some(eight) => u64::from_be_bytes(*eight),
        None => rest.iter().rev().fold(0, |all, byte| all >> 8 | u64::from(*byte) << 56),
    }
}

fn add_no_stack(rows: &mut Vec<FunctionRow<'_>>, ticks: i64) {
    match rows.iter_mut().find(|row| row.name == FunctionTable::NO_STACK) {
        Some(row) => {
            row.self_ticks = row.self_ticks.saturating_add(ticks);
            row.total_ticks = row.total_ticks.saturating_add(ticks);
        }
        None => rows.push(FunctionRow { name: FunctionTable::NO_STACK, self_ticks: ticks, total_ticks: ticks }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{ProfileBuilder, SampleType};

    fn rows(profile: &Profile) -> Vec<(&str, i64, i64)> {
        FunctionTable::of(profile, 0).rows().iter().map(|r| (r.name, r.self_ticks, r.total_ticks)).collect()
    }

    #[test]
    fn counts_a_recursive_function_once_per_stack() {
        let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
        let (walk, main) = (builder.function("walk", ""), builder.function("main", ""));
        builder.add([walk, walk, walk, main], &[7]);
        builder.add([main], &[5]);
        assert_eq!(rows(&builder.build()), [("walk", 7, 7), ("main", 5, 12)]);
    }

    #[test]
    fn groups_by_name_whatever_the_file() {
        let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
        let (a, b) = (builder.function("run", "a.py"), builder.function("run", "b.py"));
        builder.add([a, b], &[3]);
        builder.add([b], &[4]);
        assert_eq!(rows(&builder.build()), [("run", 7, 7)]);
    }

    #[test]
    fn ranks_ties_by_name_and_keeps_negative_values() {
        let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
        let (b, a, c) = (builder.function("b", ""), builder.function("a", ""), builder.function("c", ""));
        builder.add([b], &[1]);
        builder.add([a], &[1]);
        builder.add([c], &[-4]);
        assert_eq!(rows(&builder.build()), [("a", 1, 1), ("b", 1, 1), ("c", -4, -4)]);
    }

    #[test]
    fn ranks_names_that_begin_alike_as_any_others() {
        let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
        let long = "com.example.checkout.größe";
        let ends = (0..40).map(|i| format!("{long}{}", i * 7 % 40)).chain((0..60).map(|len| "\0\0a".repeat(len)));
        let begins = long.char_indices().map(|(end, _)| long[..end].to_owned());
        let names: Vec<_> = ends.chain(begins).collect();
        for name in &names {
            let leaf = builder.function(name, "");
            builder.add([leaf], &[1]);
        }
        let profile = builder.build();
        let ranked: Vec<_> = rows(&profile).into_iter().map(|(name, ..)| name.to_owned()).collect();
        let expected = std::collections::BTreeSet::from_iter(names);
        assert!(ranked.iter().eq(&expected), "{ranked:?}");
    }

    #[test]
    fn loses_no_ticks_of_samples_without_a_stack() {
        let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
        let a = builder.function("a", "");
        builder.add([a], &[1]);
        builder.add([], &[9]);
        let profile = builder.build();
        assert_eq!(rows(&profile), [("[unknown]", 9, 9), ("a", 1, 1)]);
        assert_eq!(FunctionTable::of(&profile, 0).total(), 10);
    }
}
