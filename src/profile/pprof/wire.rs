//! The wire format of protocol buffers, as much of it as a pprof needs: borrowed, bounds-checked, never copying.

use crate::profile::ReadError;

/// A place in the bytes of a message. `at` counts from the start of the profile, for errors.
#[derive(Clone, Copy)]
pub(super) struct Wire<'b> {
    bytes: &'b [u8],
    pos: usize,
    base: usize,
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
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, pos: 0, base: 0 }
    }

    /// The same message from `from` to `to`, which count from its own start.
    pub(super) fn region(&self, region: &std::ops::Range<usize>) -> Self {
        let bytes = self.bytes.get(region.clone()).unwrap_or(&[]);
        Self { bytes, pos: 0, base: self.base + region.start }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pos >= self.bytes.len()
    }

    /// Bytes read so far.
    pub(super) fn pos(&self) -> usize {
        self.pos
    }

    /// Where in the whole profile the next byte lies.
    pub(super) fn at(&self) -> usize {
        self.base + self.pos
    }

    /// The bytes not read yet.
    pub(super) fn rest(&self) -> &'b [u8] {
        self.bytes.get(self.pos..).unwrap_or(&[])
    }

    #[expect(clippy::inline_always, reason = "measured: a result in registers, not in memory, for each field")]
    #[inline(always)]
    pub(super) fn varint(&mut self) -> Result<u64, ReadError> {
        match self.bytes.get(self.pos) {
            Some(byte) if *byte < 0x80 => {
                self.pos += 1;
                Ok(u64::from(*byte))
            }
            Some(byte) => match self.bytes.get(self.pos + 1) {
                Some(next) if *next < 0x80 => {
                    self.pos += 2;
                    Ok(u64::from(*byte & 0x7f) | u64::from(*next) << 7)
                }
                _ => self.long_varint(),
            },
            None => self.long_varint(),
        }
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Result<u64, ReadError> {
        let (mut value, mut shift) = (0_u64, 0);
        for (len, byte) in (1..=10).zip(self.rest()) {
            value |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                self.pos += len;
                return Ok(value);
            }
            shift += 7;
        }
        let what = if self.rest().len() < 10 { "it ends within a number" } else { "a number longer than ten bytes" };
        Err(ReadError::malformed(what, self.at()))
    }

    /// The bytes of a length-delimited field, whose length comes next.
    #[expect(clippy::inline_always, reason = "measured: a result in registers, not in memory, for each field")]
    #[inline(always)]
    pub(super) fn delimited(&mut self) -> Result<Wire<'b>, ReadError> {
        let len = self.varint()?;
        let start = self.pos;
        let end = usize::try_from(len).ok().and_then(|len| start.checked_add(len));
        match end.and_then(|end| Some((end, self.bytes.get(start..end)?))) {
            Some((end, bytes)) => {
                self.pos = end;
                Ok(Wire { bytes, pos: 0, base: self.base + start })
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
        if self.rest().len() < len {
            return Err(ReadError::malformed("it ends within a number", self.at()));
        }
        self.pos += len;
        Ok(Value::Fixed)
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
