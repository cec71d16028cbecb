//! The frames of a sample, by its locations.

use super::tables::Locations;
use super::wire::{CONTINUED, Wire, bytes, number};
use crate::profile::limits::{LimitName, ReadError, ReadLimits};
use crate::profile::model::FunctionId;

/// The locations of a sample, one by one and packed.
pub(super) const LOCATION: u64 = number(1);
pub(super) const LOCATIONS: u64 = bytes(1);

/// Adds the frames of a sample's locations, packed or not: how many they are.
pub(super) fn push_frames(
    frames: &mut Vec<FunctionId>,
    mut sample: Wire<'_>,
    locations: &Locations,
    limits: &ReadLimits,
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

/// The frames of one stack while it is read.
struct Pushed<'s> {
    frames: &'s mut Vec<FunctionId>,
    /// Where the stack's start.
    start: usize,
    locations: &'s Locations,
    /// The position of the sample.
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

    /// The case of nearly all frames: packed locations that count up, most of one function each. Numbers of two bytes, of
    /// which a large profile has many in a row, are taken four at a time. Where some have one, they are taken without a
    /// branch for each: their lengths follow no pattern that could be learned.
    #[inline(never)]
    fn packed(&mut self, mut packed: Wire<'_>, single: &[FunctionId]) -> Result<(), ReadError> {
        // A location takes a byte at least.
        make_room(self.frames, packed.rest().len());
        while let Some(word) = packed.word() {
            let mut short = Short { word, bits: 0 };
            let four = match pairs(word) {
                Some(ids) => {
                    short.bits = 64;
                    ids.map(|id| single.get(usize::from(id)).copied().unwrap_or(FunctionId::NONE))
                }
                None => [short.next(single), short.next(single), short.next(single), short.next(single)],
            };
            if has_long(word) || FunctionId::may_be_none(four) {
                self.location(packed.varint()?)?;
                continue;
            }
            packed.pass(short.bits / 8);
            self.frames.extend_from_slice(&four);
            LimitName::Stack.check(self.frames.len() - self.start, self.most)?;
        }
        let bits = packed.rest().len() * 8;
        if let Some(word) = packed.last_word().filter(|word| !has_long(*word) && (word & CONTINUED) >> (bits - 1) == 0)
        {
            let mut short = Short { word, bits: 0 };
            while short.bits < bits {
                let before = short.bits;
                let frame = short.next(single);
                if frame == FunctionId::NONE {
                    short.bits = before;
                    break;
                }
                self.frames.push(frame);
            }
            packed.pass(short.bits / 8);
            LimitName::Stack.check(self.frames.len() - self.start, self.most)?;
        }
        while !packed.is_empty() {
            self.location(packed.varint()?)?;
        }
        Ok(())
    }
}

/// Whether one of the numbers in eight bytes is of three or more.
fn has_long(word: u64) -> bool {
    let continued = word & CONTINUED;
    continued & continued >> 8 != 0
}

/// Four numbers of two bytes each, if that is what eight bytes are.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "each is a quarter of the word")]
fn pairs(word: u64) -> Option<[u16; 4]> {
    (word & CONTINUED == 0x0080_0080_0080_0080).then(|| {
        let joined = word & 0x007f_007f_007f_007f | (word & 0x7f00_7f00_7f00_7f00) >> 1;
        [0, 16, 32, 48].map(|start| (joined >> start) as u16)
    })
}

/// Numbers of one or two bytes, the next one lowest.
struct Short {
    word: u64,
    /// Among those that were taken.
    bits: usize,
}

impl Short {
    /// The frame of the next location; [`FunctionId::NONE`] where it is not a single one.
    #[expect(clippy::inline_always, reason = "measured: a few steps for each frame, in registers")]
    #[inline(always)]
    fn next(&mut self, single: &[FunctionId]) -> FunctionId {
        let two = self.word & 0x80;
        // Seven bits, or twice seven with one between them.
        let apart = self.word & (0x7f + two * 0xfe);
        let id = apart - ((apart & 0x7f00) >> 1);
        let bits = 8 + (two >> 4);
        self.word >>= bits;
        self.bits += usize::try_from(bits).unwrap_or(0);
        let place = usize::try_from(id).unwrap_or(usize::MAX);
        single.get(place).copied().unwrap_or(FunctionId::NONE)
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
