//! The samples of a pprof, taken into stacks.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::tables::{Locations, Strings, place};
use super::wire::{CONTINUED, Wire, bytes, number};
use super::{Labels, MAX_LABEL_SETS, SAMPLE, widen};
use crate::profile::limits::{LimitName, Limits, ReadError};
use crate::profile::model::{FunctionId, SampleType, Stacks};

const LOCATION: u64 = number(1);
const LOCATIONS: u64 = bytes(1);
const VALUE: u64 = number(2);
const VALUES: u64 = bytes(2);
const LABEL: u64 = bytes(3);
const LABEL_KEY: u64 = number(1);
const LABEL_TEXT: u64 = number(2);

/// Takes samples into stacks, one [`Part`] per set of kept labels.
pub(super) struct Samples<'s, 'b> {
    strings: &'s Strings<'b>,
    locations: &'s Locations,
    limits: &'s Limits,
    sample_types: &'s [SampleType],
    keep: &'s [&'s str],
    sets: BTreeMap<Labels, usize>,
    parts: Vec<Part<'b>>,
    values: Vec<i64>,
    labels: Vec<(u64, u64)>,
    /// Of each sample type, the sum of the magnitudes: while it fits, no sum of any stacks can overflow.
    sums: Vec<u64>,
    seed: DefaultHashBuilder,
    frames: usize,
}

/// The stacks of one set of labels.
#[derive(Default)]
struct Part<'b> {
    stacks: Stacks,
    /// Of each stack, the fields of its locations as they were sent: samples that differ in labels only are one stack,
    /// found without reading its locations again. Empty where they do not stand side by side.
    sent: Vec<&'b [u8]>,
    known: HashTable<u32>,
}

impl Part<'_> {
    /// Makes room for so many stacks, of samples with so many bytes together: a value takes one at least, a frame two as
    /// a rule.
    fn make_room(&mut self, stacks: usize, sample_types: usize, bytes: usize, seed: &DefaultHashBuilder) {
        self.stacks.ends.reserve_exact(stacks);
        self.stacks.values.reserve_exact(stacks.saturating_mul(sample_types).min(bytes));
        self.stacks.frames.reserve_exact(bytes / 2);
        self.sent.reserve_exact(stacks);
        let sent = &self.sent;
        self.known.reserve(stacks, |at| seed.hash_one(sent.get(*at as usize).copied().unwrap_or(&[])));
    }
}

impl<'s, 'b> Samples<'s, 'b> {
    pub(super) fn new(
        strings: &'s Strings<'b>,
        locations: &'s Locations,
        limits: &'s Limits,
        sample_types: &'s [SampleType],
        keep: &'s [&'s str],
    ) -> Self {
        Self {
            strings,
            locations,
            limits,
            sample_types,
            keep,
            sets: BTreeMap::new(),
            parts: Vec::new(),
            values: Vec::with_capacity(sample_types.len()),
            labels: Vec::new(),
            sums: vec![0; sample_types.len()],
            seed: DefaultHashBuilder::default(),
            frames: 0,
        }
    }

    /// Reads the samples between others, so many; the stacks of each set of labels, in the order of the sets, at least
    /// one.
    pub(super) fn read(mut self, mut region: Wire<'b>, count: usize) -> Result<Vec<(Labels, Stacks)>, ReadError> {
        LimitName::Samples.check(count, self.limits.samples)?;
        if self.keep.is_empty() {
            let only = self.part(Labels::new());
            if let Some(only) = self.parts.get_mut(only) {
                only.make_room(count, self.sample_types.len(), region.rest().len(), &self.seed);
            }
        }
        while let Some(tag) = region.tag()? {
            if tag == SAMPLE {
                let sample = region.delimited()?;
                let at = if self.keep.is_empty() { 0 } else { self.part_of(sample)? };
                self.sample(sample, at)?;
            } else {
                region.skip(tag)?;
            }
        }
        if self.parts.is_empty() {
            self.part(Labels::new());
        }
        let Self { sets, mut parts, .. } = self;
        let mut stacks = |at: usize| parts.get_mut(at).map(|part| std::mem::take(&mut part.stacks)).unwrap_or_default();
        Ok(sets.into_iter().map(|(labels, at)| (labels, stacks(at))).collect())
    }

    /// The place of the part of that set of labels.
    fn part(&mut self, labels: Labels) -> usize {
        let next = self.parts.len();
        let kept = self.sets.len() < MAX_LABEL_SETS || self.sets.contains_key(&labels);
        let at = *self.sets.entry(if kept { labels } else { Labels::new() }).or_insert(next);
        if at == next {
            self.parts.push(Part::default());
        }
        at
    }

    fn sample(&mut self, sample: Wire<'b>, at: usize) -> Result<(), ReadError> {
        let sent = self.fields(sample)?;
        self.count(sample.at())?;
        let Self { locations, limits, parts, values, seed, frames, .. } = self;
        let Some(Part { stacks, sent: known_as, known }) = parts.get_mut(at) else { return Ok(()) };
        if let Some(sent) = sent {
            let bytes = sent.rest();
            let same = |at: &u32| known_as.get(*at as usize).is_some_and(|known| *known == bytes);
            let hash = |at: &u32| seed.hash_one(known_as.get(*at as usize).copied().unwrap_or(&[]));
            match known.entry(seed.hash_one(bytes), same, hash) {
                Entry::Occupied(stack) => {
                    let first = *stack.get() as usize * values.len();
                    for (sum, value) in stacks.values.iter_mut().skip(first).zip(values.iter()) {
                        *sum = sum.saturating_add(*value);
                    }
                    return Ok(());
                }
                Entry::Vacant(place) => {
                    place.insert(u32::try_from(stacks.ends.len()).unwrap_or(u32::MAX));
                }
            }
        }
        *frames += push_frames(&mut stacks.frames, sent.unwrap_or(sample), locations, limits)?;
        LimitName::Frames.check(*frames, limits.frames)?;
        stacks.push_values(values);
        known_as.push(sent.map_or(&[], |sent| sent.rest()));
        Ok(())
    }

    /// Takes the sample's values; the fields of its locations where they stand side by side.
    #[expect(clippy::cast_possible_wrap, reason = "int64 travels as its two's complement")]
    fn fields(&mut self, sample: Wire<'b>) -> Result<Option<Wire<'b>>, ReadError> {
        let (mut sent, mut together) = (sample.at()..sample.at(), true);
        let mut rest = sample;
        self.values.clear();
        loop {
            let start = rest.at();
            let Some(tag) = rest.tag()? else { break };
            match tag {
                LOCATION => {
                    rest.skip_run(LOCATION)?;
                    together &= sent.is_empty() || sent.end == start;
                    widen(&mut sent, start, rest.at());
                }
                LOCATIONS => {
                    rest.skip(LOCATIONS)?;
                    together &= sent.is_empty() || sent.end == start;
                    widen(&mut sent, start, rest.at());
                }
                VALUE | VALUES => rest.each(tag, |value| {
                    self.values.push(value as i64);
                    LimitName::SampleTypes.check(self.values.len(), self.limits.sample_types)
                })?,
                _ => rest.skip(tag)?,
            }
        }
        Ok(together.then(|| sample.region(&sent)))
    }

    /// Checks the sample's values and adds them to the sums.
    fn count(&mut self, at: usize) -> Result<(), ReadError> {
        if self.values.len() != self.sample_types.len() {
            let (values, types) = (self.values.len(), self.sample_types.len());
            return Err(ReadError::malformed(format!("a sample has {values} values for {types} sample types"), at));
        }
        for ((sum, value), sample_type) in self.sums.iter_mut().zip(self.values.iter()).zip(self.sample_types) {
            *sum = sum.saturating_add(value.unsigned_abs());
            if i64::try_from(*sum).is_err() {
                return Err(ReadError::Overflow(sample_type.name.clone()));
            }
        }
        Ok(())
    }

    /// The place of the part that the sample's kept labels call for.
    fn part_of(&mut self, mut sample: Wire<'b>) -> Result<usize, ReadError> {
        self.labels.clear();
        while let Some(tag) = sample.tag()? {
            if tag != LABEL {
                sample.skip(tag)?;
                continue;
            }
            let mut label = sample.delimited()?;
            let (mut key, mut text) = (0, 0);
            while let Some(tag) = label.tag()? {
                match tag {
                    LABEL_KEY => key = label.varint()?,
                    LABEL_TEXT => text = label.varint()?,
                    _ => label.skip(tag)?,
                }
            }
            if text != 0 {
                self.labels.push((key, text));
            }
        }
        let mut set = Labels::new();
        for (key, text) in &self.labels {
            // As they were sent: a long text that is not kept is not looked through for each sample.
            let key = self.strings.bytes(*key)?;
            if let Some(kept) = self.keep.iter().find(|kept| kept.as_bytes() == key) {
                LimitName::Name.check(self.strings.bytes(*text)?.len(), self.limits.name)?;
                set.insert((*kept).to_owned(), self.strings.sanitised(*text)?.into_owned());
            }
        }
        Ok(self.part(set))
    }
}

/// Adds the frames of a sample's locations, packed or not; how many they are.
fn push_frames(
    frames: &mut Vec<FunctionId>,
    mut sample: Wire<'_>,
    locations: &Locations,
    limits: &Limits,
) -> Result<usize, ReadError> {
    let start = frames.len();
    let mut to = Pushed { frames, start, locations, at: sample.at(), most: limits.stack };
    while let Some(tag) = sample.tag()? {
        match (tag, locations.single()) {
            (LOCATIONS, Some(single)) => to.packed(sample.delimited()?, single)?,
            (LOCATION | LOCATIONS, _) => sample.each(tag, |id| to.location(id))?,
            _ => sample.skip(tag)?,
        }
    }
    Ok(frames.len() - start)
}

/// The frames of one stack, in the making.
struct Pushed<'s> {
    frames: &'s mut Vec<FunctionId>,
    /// Where the stack's start.
    start: usize,
    locations: &'s Locations,
    /// Where the sample lies.
    at: usize,
    most: u64,
}

impl Pushed<'_> {
    fn location(&mut self, id: u64) -> Result<(), ReadError> {
        let frames = self.locations.of(id).ok_or_else(|| unknown(id, self.at))?;
        make_room(self.frames, frames.len());
        self.frames.extend_from_slice(frames);
        LimitName::Stack.check(self.frames.len() - self.start, self.most)
    }

    /// The case of nearly all frames: packed locations that count up, most of one function each. Numbers of one or two
    /// bytes are taken four at a time, without a branch for each: their lengths follow no pattern that could be learned.
    #[inline(never)]
    fn packed(&mut self, mut packed: Wire<'_>, single: &[FunctionId]) -> Result<(), ReadError> {
        // A location takes a byte at least.
        make_room(self.frames, packed.rest().len());
        while let Some(mut word) = packed.word() {
            let continued = word & CONTINUED;
            let mut len = 0;
            let mut next = || {
                let two = word >> 7 & 1;
                let id = word & 0x7f | word >> 1 & 0x3f80 & two.wrapping_neg();
                word >>= 8 + 8 * two;
                len += 1 + two as usize;
                place(id).and_then(|place| single.get(place)).copied().unwrap_or(FunctionId::NONE)
            };
            let four = [next(), next(), next(), next()];
            if continued & continued >> 8 != 0 || four.contains(&FunctionId::NONE) {
                self.one(packed.varint()?, single)?;
                continue;
            }
            packed.pass(len);
            self.frames.extend_from_slice(&four);
            LimitName::Stack.check(self.frames.len() - self.start, self.most)?;
        }
        while !packed.is_empty() {
            self.one(packed.varint()?, single)?;
        }
        Ok(())
    }

    fn one(&mut self, id: u64, single: &[FunctionId]) -> Result<(), ReadError> {
        match place(id).and_then(|place| single.get(place)) {
            Some(frame) if *frame != FunctionId::NONE => {
                self.frames.push(*frame);
                LimitName::Stack.check(self.frames.len() - self.start, self.most)
            }
            _ => self.location(id),
        }
    }
}

#[cold]
fn unknown(location: u64, at: usize) -> ReadError {
    ReadError::malformed(format!("a sample names location {location}: unknown"), at)
}

/// Makes room for that many frames, growing by an eighth: doubling would hold twice of what a large profile needs. Past
/// 4 MiB it grows eightfold: room that is not written to is no memory then, but each move holds all frames twice.
#[inline]
fn make_room(frames: &mut Vec<FunctionId>, more: usize) {
    if frames.capacity() - frames.len() < more {
        let grown = if frames.len() < 1 << 20 { (frames.len() / 8).max(1_024) } else { frames.len().saturating_mul(7) };
        frames.reserve_exact(grown.max(more));
    }
}
