//! The table of functions of a profile: self and total of each name.

use super::model::{Profile, TextId};

/// One function of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionRow<'p> {
    /// The name, as the source spells it.
    pub name: &'p str,
    /// The ticks of the stacks that end in it.
    pub self_ticks: i64,
    /// The ticks of the stacks that it stands in, each stack once however often the function recurs in it.
    pub total_ticks: i64,
}

/// The functions of a profile under one sample type, grouped by name: by self descending, ties by name.
///
/// The self ticks of all rows add up to [`FunctionTable::total`]: ticks of stacks without a frame stand under
/// [`FunctionTable::NO_STACK`]. A function that only stands in stacks of value 0 has no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionTable<'p> {
    rows: Vec<FunctionRow<'p>>,
    total: i64,
}

impl<'p> FunctionTable<'p> {
    /// The name that ticks of stacks without a frame stand under.
    pub const NO_STACK: &'static str = "[unknown]";

    /// The table of `profile` under the sample type at that place.
    pub fn of(profile: &'p Profile, sample_type: usize) -> Self {
        let mut ticks = vec![(0_i64, 0_i64, 0_u32); profile.text_count()];
        let (mut total, mut no_stack, mut stamp) = (0_i64, 0_i64, 0_u32);
        let mut seen: Vec<TextId> = Vec::new();
        for stack in profile.stacks() {
            let value = stack.values.get(sample_type).copied().unwrap_or(0);
            if value == 0 {
                continue;
            }
            total = total.saturating_add(value);
            stamp += 1;
            for frame in stack.frames {
                let Some(name) = profile.function_texts(*frame).map(|f| f.name) else { continue };
                let Some((_, of_total, stamped)) = ticks.get_mut(name.index()) else { continue };
                if *stamped != stamp {
                    if *stamped == 0 {
                        seen.push(name);
                    }
                    *stamped = stamp;
                    *of_total = of_total.saturating_add(value);
                }
            }
            let leaf = stack.frames.first().and_then(|leaf| profile.function_texts(*leaf));
            match leaf.and_then(|leaf| ticks.get_mut(leaf.name.index())) {
                Some((of_self, ..)) => *of_self = of_self.saturating_add(value),
                None => no_stack = no_stack.saturating_add(value),
            }
        }
        let mut rows: Vec<_> = seen
            .into_iter()
            .map(|name| {
                let (self_ticks, total_ticks, _) = ticks.get(name.index()).copied().unwrap_or_default();
                FunctionRow { name: profile.text(name), self_ticks, total_ticks }
            })
            .collect();
        if no_stack != 0 {
            add_no_stack(&mut rows, no_stack);
        }
        rows.sort_unstable_by(|a, b| b.self_ticks.cmp(&a.self_ticks).then_with(|| a.name.cmp(b.name)));
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
