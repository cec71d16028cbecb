//! The wire format of protocol buffers, as much of it as a pprof needs: borrowed, bounds-checked, never copying.

use crate::profile::ReadError;

/// What is left of a message. Places count from the start of the profile.
#[derive(Clone, Copy)]
pub(super) struct Wire<'b> {
    rest: &'b [u8],
    end: usize,
}

/// The value of a field.
pub(super) enum Value<'b> {
    /// A varint.
    Number(u64),
    /// A string, a message, or packed numbers.
    Bytes(Wire<'b>),
    /// A fixed-width number; no field of a pprof is one.
    Fixed,
}

impl<'b> Wire<'b> {
    /// A whole profile.
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes, end: bytes.len() }
    }

    /// A region of a whole profile.
    pub(super) fn region(&self, region: &std::ops::Range<usize>) -> Self {
        Self { rest: self.rest.get(region.clone()).unwrap_or(&[]), end: region.end }
    }

    /// What of this was read when `later` was left.
    pub(super) fn until(&self, later: &Self) -> Self {
        let read = self.rest.len().saturating_sub(later.rest.len());
        Self { rest: self.rest.get(..read).unwrap_or(&[]), end: later.at() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Where the next byte lies.
    pub(super) fn at(&self) -> usize {
        self.end - self.rest.len()
    }

    /// Where it ends.
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// The bytes not read yet.
    pub(super) fn rest(&self) -> &'b [u8] {
        self.rest
    }

    #[expect(clippy::inline_always, reason = "measured: a result in registers, not in memory, for each field")]
    #[inline(always)]
    pub(super) fn varint(&mut self) -> Result<u64, ReadError> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            [byte, next, rest @ ..] if *next < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte & 0x7f) | u64::from(*next) << 7)
            }
            _ => self.long_varint(),
        }
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Result<u64, ReadError> {
        let (mut value, mut shift, mut rest) = (0_u64, 0, self.rest);
        while let ([byte, further @ ..], 0..=63) = (rest, shift) {
            value |= u64::from(byte & 0x7f) << shift;
            (rest, shift) = (further, shift + 7);
            if *byte < 0x80 {
                self.rest = rest;
                return Ok(value);
            }
        }
        Err(self.bad(if shift > 63 { "a number longer than ten bytes" } else { "it ends within a number" }))
    }

    /// The bytes of a length-delimited field, whose length comes next.
    #[expect(clippy::inline_always, reason = "measured: a result in registers, not in memory, for each field")]
    #[inline(always)]
    pub(super) fn delimited(&mut self) -> Result<Wire<'b>, ReadError> {
        let len = self.varint()?;
        match usize::try_from(len).ok().and_then(|len| self.rest.split_at_checked(len)) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(Wire { rest: bytes, end: self.at() })
            }
            None => Err(self.bad("it ends within a field")),
        }
    }

    /// The next field's number and value; `None` at the end.
    #[expect(clippy::inline_always, reason = "measured: a result in registers, not in memory, for each field")]
    #[inline(always)]
    pub(super) fn field(&mut self) -> Result<Option<(u64, Value<'b>)>, ReadError> {
        if self.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            2 => Value::Bytes(self.delimited()?),
            1 => self.fixed(8)?,
            5 => self.fixed(4)?,
            _ => return Err(self.bad("no field of a pprof has such a wire type")),
        };
        Ok(Some((tag >> 3, value)))
    }

    #[cold]
    #[inline(never)]
    fn bad(&self, what: &str) -> ReadError {
        ReadError::malformed(what, self.at())
    }

    #[cold]
    fn fixed(&mut self, len: usize) -> Result<Value<'b>, ReadError> {
        match self.rest.split_at_checked(len) {
            Some((_, rest)) => {
                self.rest = rest;
                Ok(Value::Fixed)
            }
            None => Err(self.bad("it ends within a number")),
        }
    }
}

impl Value<'_> {
    /// The number; 0 for anything else, as if the field were absent.
    pub(super) fn number(&self) -> u64 {
        match self {
            Self::Number(number) => *number,
            _ => 0,
        }
    }

    /// Gives each number of a repeated field, packed or not.
    #[expect(clippy::inline_always, reason = "measured: a result in registers, not in memory, for each field")]
    #[inline(always)]
    pub(super) fn each(self, mut take: impl FnMut(u64) -> Result<(), ReadError>) -> Result<(), ReadError> {
        match self {
            Self::Number(number) => take(number),
            Self::Bytes(mut packed) => {
                while !packed.is_empty() {
                    take(packed.varint()?)?;
                }
                Ok(())
            }
            Self::Fixed => Ok(()),
        }
    }
}
