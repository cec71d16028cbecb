//! Merges profiles.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::builder::Interner;
use super::model::{Function, FunctionId, Profile, SampleType, Stacks};

/// Why profiles cannot be merged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// They count different things.
    #[error("profiles of different sample types cannot be merged: {one} and {other}")]
    SampleTypes {
        /// The sample types of the first.
        one: String,
        /// The sample types of the one that differs.
        other: String,
    },
    /// The values of one sample type add up to more than 2^63 − 1.
    #[error("the values of sample type {0:?} add up to more than a 64-bit integer holds")]
    Overflow(String),
    /// Together they have more stacks or frames than ids can number.
    #[error("the merged profile has more frames than can be held")]
    TooLarge,
}

/// Merges profiles of the same sample types: stacks of the same functions become one, and their values are added.
/// Profiles without a sample type and without stacks (no data) add nothing. No profiles at all make an empty one.
///
/// The stacks are in the order in which they first come.
///
/// # Errors
/// The sample types differ, or the sums do not fit.
pub fn merge<'a>(profiles: impl IntoIterator<Item = &'a Profile>) -> Result<Profile, MergeError> {
    let mut profiles = profiles.into_iter().filter(|p| !(p.sample_types().is_empty() && p.stack_count() == 0));
    let Some(first) = profiles.next() else { return Ok(Profile::default()) };
    let mut merged = Merge::new(first.sample_types().to_vec());
    merged.add(first)?;
    for profile in profiles {
        merged.add(profile)?;
    }
    Ok(Profile::from_parts(merged.sample_types, merged.interner.finish(), merged.stacks))
}

/// The same profiles, which share their texts and functions.
pub fn aligned(profiles: Vec<Profile>) -> Vec<Profile> {
    if profiles.windows(2).all(|pair| matches!(pair, [a, b] if a.shares_functions(b))) {
        return profiles;
    }
    let mut interner = Interner::default();
    let align = |profile: &Profile| {
        let functions = functions_of(&mut interner, profile);
        let mut stacks = Stacks::default();
        for stack in profile.stacks() {
            stacks.frames.extend(stack.frames.iter().filter_map(|f| functions.get(f.index())));
            stacks.end();
            stacks.push_values(stack.values);
        }
        stacks
    };
    let stacks: Vec<_> = profiles.iter().map(align).collect();
    let symbols = interner.finish();
    let with = |(profile, stacks): (Profile, Stacks)| {
        Profile::from_parts(profile.sample_types().to_vec(), Arc::clone(&symbols), stacks)
    };
    profiles.into_iter().zip(stacks).map(with).collect()
}

/// Interns all functions of a profile and returns their ids in the interner.
fn functions_of(interner: &mut Interner, profile: &Profile) -> Vec<FunctionId> {
    let mut texts = vec![None; profile.text_count()];
    let mut text = |interner: &mut Interner, id| {
        let known = texts.get_mut(super::TextId::index(id));
        match known {
            Some(Some(known)) => *known,
            known => {
                let new = interner.text(profile.text(id));
                if let Some(place) = known {
                    *place = Some(new);
                }
                new
            }
        }
    };
    let ids = profile.function_ids().filter_map(|id| Some((id, profile.function_texts(id)?)));
    ids.map(|(id, Function { name, file })| {
        let function = Function { name: text(interner, name), file: text(interner, file) };
        let own = interner.function(function);
        interner.line(own, profile.line(id).unwrap_or(0));
        own
    })
    .collect()
}

struct Merge {
    sample_types: Vec<SampleType>,
    interner: Interner,
    stacks: Stacks,
    known: HashTable<u32>,
    seed: DefaultHashBuilder,
    /// Of each sample type, the sum of the magnitudes: while it fits, no sum of any stacks can overflow.
    sums: Vec<u64>,
}

impl Merge {
    fn new(sample_types: Vec<SampleType>) -> Self {
        Self {
            sums: vec![0; sample_types.len()],
            sample_types,
            interner: Interner::default(),
            stacks: Stacks::default(),
            known: HashTable::new(),
            seed: DefaultHashBuilder::default(),
        }
    }

    fn add(&mut self, profile: &Profile) -> Result<(), MergeError> {
        if profile.sample_types() != self.sample_types {
            let list = |types: &[SampleType]| {
                types.iter().map(|t| format!("{}/{}", t.name, t.unit)).collect::<Vec<_>>().join(", ")
            };
            return Err(MergeError::SampleTypes { one: list(&self.sample_types), other: list(profile.sample_types()) });
        }
        let functions = functions_of(&mut self.interner, profile);
        for stack in profile.stacks() {
            self.count(stack.values)?;
            let start = self.stacks.frames.len();
            let renamed = stack.frames.iter().filter_map(|f| functions.get(f.index()));
            self.stacks.frames.extend(renamed);
            self.end_stack(start, stack.values)?;
        }
        Ok(())
    }

    fn count(&mut self, values: &[i64]) -> Result<(), MergeError> {
        for ((sum, value), sample_type) in self.sums.iter_mut().zip(values).zip(&self.sample_types) {
            *sum = sum.saturating_add(value.unsigned_abs());
            if i64::try_from(*sum).is_err() {
                return Err(MergeError::Overflow(sample_type.name.clone()));
            }
        }
        Ok(())
    }

    /// Ends the stack whose frames were pushed from `start` on: a new one, or added to the same.
    fn end_stack(&mut self, start: usize, values: &[i64]) -> Result<(), MergeError> {
        let Self { stacks, known, seed, .. } = self;
        let Stacks { frames, ends, values: sums } = stacks;
        let frames_of = |at: &u32| {
            let at = *at as usize;
            let start = at.checked_sub(1).and_then(|before| ends.get(before)).map_or(0, |end| *end as usize);
            let end = ends.get(at).map_or(0, |end| *end as usize);
            frames.get(start..end).unwrap_or(&[])
        };
        let new = frames.get(start..).unwrap_or(&[]);
        let entry = known.entry(seed.hash_one(new), |at| frames_of(at) == new, |at| seed.hash_one(frames_of(at)));
        match entry {
            Entry::Occupied(same) => {
                let (at, width) = (*same.get() as usize, values.len());
                for (sum, value) in sums.iter_mut().skip(at * width).zip(values) {
                    *sum = sum.saturating_add(*value);
                }
                frames.truncate(start);
            }
            Entry::Vacant(place) => {
                let number = |n: usize| u32::try_from(n).map_err(|_| MergeError::TooLarge);
                place.insert(number(ends.len())?);
                number(frames.len())?;
                stacks.end();
                stacks.push_values(values);
            }
        }
        Ok(())
    }
}
