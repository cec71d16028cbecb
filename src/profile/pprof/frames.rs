//! The frames of a sample, by its locations.

use super::samples::{LOCATION, LOCATIONS};
use super::tables::{Locations, place};
use super::wire::{CONTINUED, Wire};
use crate::profile::limits::{LimitName, Limits, ReadError};
use crate::profile::model::FunctionId;

/// Adds the frames of a sample's locations, packed or not.
pub(super) fn push_frames(
    frames: &mut Vec<FunctionId>,
    mut sample: Wire<'_>,
    locations: &Locations,
    limits: &Limits,
) -> Result<(), ReadError> {
    let start = frames.len();
    let mut to = Pushed { frames, start, locations, at: sample.at(), most: limits.stack };
    while let Some(tag) = sample.tag()? {
        match (tag, locations.single()) {
            (LOCATIONS, Some(single)) => to.packed(sample.delimited()?, single)?,
            (LOCATION | LOCATIONS, _) => sample.each(tag, |id| to.location(id))?,
            _ => sample.skip(tag)?,
        }
    }
    Ok(())
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
