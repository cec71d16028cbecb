//! Reads the samples of a pprof into stacks.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::ops::Range;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::frames::{LOCATION, LOCATIONS, push_frames};
use super::tables::{Locations, Strings};
use super::wire::{Wire, bytes, number};
use super::{Labels, MAX_LABEL_SETS, Piece, SAMPLE};
use crate::profile::limits::{LimitName, ReadError, ReadLimits};
use crate::profile::model::{SampleType, Stacks};

const VALUE: u64 = number(2);
const VALUES: u64 = bytes(2);
const LABEL: u64 = bytes(3);
const LABEL_KEY: u64 = number(1);
const LABEL_TEXT: u64 = number(2);

/// Reads samples into stacks, one [`Part`] per set of kept labels.
pub(super) struct Samples<'s> {
    locations: &'s Locations,
    limits: &'s ReadLimits,
    sample_types: &'s [SampleType],
    keep: &'s [&'s str],
    /// The pieces before are gone, with what was sent in them.
    forgets: bool,
    sets: BTreeMap<Labels, usize>,
    parts: Vec<Part>,
    values: Vec<i64>,
    labels: Vec<(u64, u64)>,
    /// Of each sample type, the sum of the magnitudes: while it fits, no sum of any stacks can overflow.
    sums: Vec<u64>,
    seed: DefaultHashBuilder,
    frames: usize,
}

/// The stacks of one set of labels.
#[derive(Default)]
struct Part {
    stacks: Stacks,
    /// Stacks by what was sent of them: the fields of their locations. Samples that differ in labels only are one stack.
    /// Those whose fields do not stand side by side are not known.
    known: HashTable<u32>,
    /// Of each stack, a hash of what was sent.
    hashes: Vec<u32>,
    /// Of each stack, where that lies, or its sample where it is not known: to find it without reading its locations again,
    /// and to read them in the end. Of several pieces, which would have to be held for it, there is none, and frames are
    /// compared.
    sent: Vec<(u32, u32)>,
    /// Of several pieces, what was sent of stacks that a few bytes stand for: reading these again and again costs too much.
    dense: BTreeMap<usize, Box<[u8]>>,
}

impl Part {
    /// The stack of which this was sent, with that hash.
    fn seen(&self, hash: u32, sent: Wire<'_>) -> Option<usize> {
        self.find(hash, |at| match self.sent.get(at) {
            Some(known) => sent.between(*known) == Some(sent.rest()),
            None => self.dense.get(&at).is_some_and(|known| **known == *sent.rest()),
        })
    }

    /// The stack of that hash that is the `same`.
    fn find(&self, hash: u32, same: impl Fn(usize) -> bool) -> Option<usize> {
        let same = |at: &u32| self.hashes.get(*at as usize) == Some(&hash) && same(*at as usize);
        self.known.find(spread(hash), same).map(|at| *at as usize)
    }

    /// Adds the values of a sample to a stack's.
    fn add(&mut self, stack: usize, values: &[i64]) {
        for (sum, value) in self.stacks.values.iter_mut().skip(stack * values.len()).zip(values) {
            *sum = sum.saturating_add(*value);
        }
    }

    /// Adds a stack but for its frames.
    fn push(&mut self, hash: Option<u32>, values: &[i64]) {
        if let (Some(hash), Ok(stack)) = (hash, u32::try_from(self.hashes.len())) {
            let hashes = &self.hashes;
            self.known.insert_unique(spread(hash), stack, |at| spread(hashes.get(*at as usize).copied().unwrap_or(0)));
        }
        self.hashes.push(hash.unwrap_or(0));
        self.stacks.push_values(values);
    }
}

/// More frames to a byte than this are dense.
const DENSE: usize = 8;

fn widen(region: &mut Range<usize>, start: usize, end: usize) {
    if region.start == region.end {
        *region = start..end;
    } else {
        region.end = end;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "half of a hash is one, too")]
fn hash(seed: &DefaultHashBuilder, sent: Wire<'_>) -> u32 {
    seed.hash_one(sent.rest()) as u32
}

/// Hash tables look at bits of all places.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl<'s> Samples<'s> {
    pub(super) fn new(
        locations: &'s Locations,
        limits: &'s ReadLimits,
        sample_types: &'s [SampleType],
        keep: &'s [&'s str],
    ) -> Self {
        Self {
            locations,
            limits,
            sample_types,
            keep,
            forgets: false,
            sets: BTreeMap::new(),
            parts: Vec::new(),
            values: Vec::with_capacity(sample_types.len()),
            labels: Vec::new(),
            sums: vec![0; sample_types.len()],
            seed: DefaultHashBuilder::default(),
            frames: 0,
        }
    }

    /// Makes room for so many samples, and those of these pieces: a value takes a byte at least, a frame two as a rule.
    pub(super) fn make_room<'p>(
        &mut self,
        count: usize,
        pieces: impl Iterator<Item = &'p Piece<'p>>,
    ) -> Result<(), ReadError> {
        LimitName::Samples.check(count, self.limits.samples)?;
        let (pieces, bytes) = pieces.fold((0, 0), |(pieces, bytes), piece| (pieces + 1, bytes + piece.samples.bytes()));
        self.forgets = pieces > 1;
        if self.keep.is_empty() {
            let only = self.part(Labels::new());
            if let Some(Part { stacks, known, hashes, sent, .. }) = self.parts.get_mut(only) {
                stacks.ends.reserve_exact(count);
                stacks.values.reserve_exact(count.saturating_mul(self.sample_types.len()).min(bytes));
                stacks.frames.reserve_exact(bytes / 2);
                hashes.reserve_exact(count);
                sent.reserve_exact(if self.forgets { 0 } else { count });
                // It is empty.
                known.reserve(count, |_| 0);
            }
        }
        Ok(())
    }

    /// Reads the samples of a piece. Strings are needed where labels are kept.
    pub(super) fn read(&mut self, piece: &Piece<'_>, strings: Option<&Strings<'_>>) -> Result<(), ReadError> {
        let stacks = piece.runs(&piece.samples).try_for_each(|run| self.run(run, strings));
        stacks.and_then(|()| self.push_all_frames(piece)).map_err(|error| error.behind(piece.start))
    }

    /// Reads the frames of each stack from where it was sent. Of several pieces there is none, and they were read at once;
    /// else it is done after all stacks were told apart, which a processor does to several at once if nothing longer comes
    /// between.
    fn push_all_frames(&mut self, piece: &Piece<'_>) -> Result<(), ReadError> {
        let Self { locations, limits, parts, frames, .. } = self;
        let all = Wire::new(&piece.bytes);
        for Part { stacks, sent, .. } in parts {
            for (start, end) in &*sent {
                let sent = all.region(&(*start as usize..*end as usize));
                *frames += push_frames(&mut stacks.frames, sent, locations, limits)?;
                LimitName::Frames.check(*frames, limits.frames)?;
                stacks.end();
            }
        }
        Ok(())
    }

    fn run(&mut self, mut run: Wire<'_>, strings: Option<&Strings<'_>>) -> Result<(), ReadError> {
        while let Some(tag) = run.tag()? {
            if tag == SAMPLE {
                let sample = run.delimited()?;
                let at = match strings {
                    Some(strings) if !self.keep.is_empty() => self.part_of(sample, strings)?,
                    _ => 0,
                };
                self.sample(sample, at)?;
            } else {
                run.skip(tag)?;
            }
        }
        Ok(())
    }

    /// The stacks of each set of labels, in the order of the sets, at least one.
    pub(super) fn finish(mut self) -> Vec<(Labels, Stacks)> {
        if self.parts.is_empty() {
            self.part(Labels::new());
        }
        let Self { sets, mut parts, .. } = self;
        let mut stacks = |at: usize| parts.get_mut(at).map(|part| std::mem::take(&mut part.stacks)).unwrap_or_default();
        sets.into_iter().map(|(labels, at)| (labels, stacks(at))).collect()
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

    fn sample(&mut self, sample: Wire<'_>, at: usize) -> Result<(), ReadError> {
        if let Some(stack) = self.again(sample, at)? {
            self.count(sample.at())?;
            if let Some(part) = self.parts.get_mut(at) {
                part.add(stack, &self.values);
            }
            return Ok(());
        }
        let sent = self.fields(sample)?;
        self.count(sample.at())?;
        let Self { locations, limits, parts, values, seed, frames, forgets, .. } = self;
        let Some(part) = parts.get_mut(at) else { return Ok(()) };
        let hash = sent.map(|sent| hash(seed, sent));
        if let (Some(hash), Some(sent)) = (hash, sent)
            && let Some(stack) = part.seen(hash, sent)
        {
            part.add(stack, values);
            return Ok(());
        }
        let sent = sent.unwrap_or(sample);
        if *forgets {
            let start = part.stacks.frames.len();
            let count = push_frames(&mut part.stacks.frames, sent, locations, limits)?;
            let new = part.stacks.frames.get(start..).unwrap_or(&[]);
            let known = hash.and_then(|hash| part.find(hash, |at| part.stacks.frames_of(at) == Some(new)));
            if let Some(stack) = known {
                part.add(stack, values);
                part.stacks.frames.truncate(start);
                return Ok(());
            }
            if hash.is_some() && count / DENSE > sent.rest().len() {
                part.dense.insert(part.hashes.len(), sent.rest().into());
            }
            *frames += count;
            LimitName::Frames.check(*frames, limits.frames)?;
            part.stacks.end();
        } else {
            part.sent.push(sent.place());
        }
        part.push(hash, values);
        Ok(())
    }

    /// The stack of a sample whose values come first, and all that follows is what was sent of that stack before: it need
    /// not be read again. The values are taken.
    #[expect(clippy::cast_possible_wrap, reason = "int64 travels as its two's complement")]
    fn again(&mut self, sample: Wire<'_>, at: usize) -> Result<Option<usize>, ReadError> {
        let mut rest = sample;
        self.values.clear();
        for _ in self.sample_types {
            if !rest.starts_with(VALUE) {
                return Ok(None);
            }
            rest.tag()?;
            self.values.push(rest.varint()? as i64);
        }
        if !rest.starts_with(LOCATION) {
            return Ok(None);
        }
        Ok(self.parts.get(at).and_then(|part| part.seen(hash(&self.seed, rest), rest)))
    }

    /// Takes the sample's values; the fields of its locations where they stand side by side.
    #[expect(clippy::cast_possible_wrap, reason = "int64 travels as its two's complement")]
    fn fields<'b>(&mut self, sample: Wire<'b>) -> Result<Option<Wire<'b>>, ReadError> {
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
    fn part_of(&mut self, mut sample: Wire<'_>, strings: &Strings<'_>) -> Result<usize, ReadError> {
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
            let key = strings.bytes(*key)?;
            if let Some(kept) = self.keep.iter().find(|kept| kept.as_bytes() == key) {
                LimitName::Name.check(strings.bytes(*text)?.len(), self.limits.name)?;
                set.insert((*kept).to_owned(), strings.sanitised(*text)?.into_owned());
            }
        }
        Ok(self.part(set))
    }
}
