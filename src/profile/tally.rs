//! Counts what a reader has taken against its limits.

use super::limits::{LimitName, ReadError, ReadLimits};

/// The stacks that a reader of one sample type has taken so far.
#[derive(Debug)]
pub struct Tally<'l> {
    limits: &'l ReadLimits,
    /// The name of the sample type, for the error about a sum that is too large.
    name: String,
    stacks: usize,
    frames: usize,
    sum: u64,
}

impl<'l> Tally<'l> {
    /// Nothing taken yet, of the sample type of this name.
    pub fn new(name: impl Into<String>, limits: &'l ReadLimits) -> Self {
        Self { limits, name: name.into(), stacks: 0, frames: 0, sum: 0 }
    }

    /// Takes a stack of so many frames with this value.
    ///
    /// # Errors
    /// The limit that it passes, or a sum that does not fit.
    pub fn stack(&mut self, frames: usize, value: i64) -> Result<(), ReadError> {
        self.stacks += 1;
        LimitName::Samples.check(self.stacks, self.limits.samples)?;
        self.depth(frames)?;
        self.frames += frames;
        LimitName::Frames.check(self.frames, self.limits.frames)?;
        self.sum = self.sum.saturating_add(value.unsigned_abs());
        if i64::try_from(self.sum).is_err() { Err(ReadError::Overflow(self.name.clone())) } else { Ok(()) }
    }

    /// Looks at the frames of a stack that is being read.
    ///
    /// # Errors
    /// More frames than a stack may have.
    pub fn depth(&self, frames: usize) -> Result<(), ReadError> {
        LimitName::Stack.check(frames, self.limits.stack)
    }
}
