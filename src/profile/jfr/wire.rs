//! Numbers and texts of a recording, as its format version 2 with compressed integers has them. It borrows, checks bounds
//! and copies nothing.

use std::borrow::Cow;

use crate::profile::limits::{LimitName, ReadError};
use crate::profile::text::sanitise;

/// What is left of a part of a chunk. Places count from the start of the chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wire<'b> {
    /// The chunk, up to the end of the part.
    bytes: &'b [u8],
    at: usize,
}

/// A text, as it was sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Text<'b> {
    /// No text, or the empty one.
    Empty,
    Utf8(&'b [u8]),
    Latin1(&'b [u8]),
    /// UTF-16, each unit as a number.
    Units(Wire<'b>),
    /// The key of a constant of the type `java.lang.String`.
    Constant(u64),
}

impl<'b> Wire<'b> {
    /// A whole chunk, read from `at` on.
    pub(super) fn new(bytes: &'b [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// Where the next byte lies.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The same part, read from another place on.
    pub(super) fn from(&self, place: usize) -> Self {
        Self { bytes: self.bytes, at: place }
    }

    /// The same, up to `end` or its own end.
    pub(super) fn until(&self, end: usize) -> Self {
        Self { bytes: self.bytes.get(..end).unwrap_or(self.bytes), at: self.at }
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    pub(super) fn malformed(&self, what: impl Into<String>) -> ReadError {
        ReadError::malformed(what, self.at)
    }

    pub(super) fn byte(&mut self) -> Result<u8, ReadError> {
        let byte = self.bytes.get(self.at).ok_or_else(|| self.malformed("it ends within a value"))?;
        self.at += 1;
        Ok(*byte)
    }

    /// A number: seven bits of each byte, the lowest first. A ninth byte is the last and has eight.
    pub(super) fn number(&mut self) -> Result<u64, ReadError> {
        let mut value = 0;
        for place in 0..8 {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Ok(value | u64::from(self.byte()?) << 56)
    }

    /// How many of something follow. Each of them has a byte at least, so there are no more than bytes are left.
    pub(super) fn count(&mut self) -> Result<usize, ReadError> {
        let at = self.at;
        let count = self.number()?;
        match usize::try_from(count) {
            Ok(count) if count <= self.left() => Ok(count),
            _ => Err(ReadError::malformed(format!("it says that {count} follow, and it has fewer bytes"), at)),
        }
    }

    pub(super) fn bytes(&mut self, len: usize) -> Result<&'b [u8], ReadError> {
        let bytes = self.at.checked_add(len).and_then(|end| self.bytes.get(self.at..end));
        let bytes = bytes.ok_or_else(|| self.malformed("it ends within a value"))?;
        self.at += len;
        Ok(bytes)
    }

    pub(super) fn text(&mut self) -> Result<Text<'b>, ReadError> {
        Ok(match self.byte()? {
            0 | 1 => Text::Empty,
            2 => Text::Constant(self.number()?),
            3 => {
                let len = self.count()?;
                Text::Utf8(self.bytes(len)?)
            }
            4 => {
                let count = self.count()?;
                let start = *self;
                for _ in 0..count {
                    self.number()?;
                }
                Text::Units(start.until(self.at))
            }
            5 => {
                let len = self.count()?;
                Text::Latin1(self.bytes(len)?)
            }
            other => return Err(self.malformed(format!("no text is encoded as {other}"))),
        })
    }
}

impl<'b> Text<'b> {
    /// The text, with U+FFFD for what is not UTF-8 or UTF-16 and for U+0000; `limit` is the most bytes that it may have. A
    /// constant is not looked up.
    pub(super) fn read(self, limit: u64) -> Result<Cow<'b, str>, ReadError> {
        let read = match self {
            Self::Empty | Self::Constant(_) => Cow::Borrowed(""),
            Self::Utf8(bytes) => {
                LimitName::Name.check(bytes.len(), limit)?;
                sanitise(bytes)
            }
            Self::Latin1(bytes) => {
                LimitName::Name.check(bytes.len(), limit)?;
                Cow::Owned(bytes.iter().map(|byte| if *byte == 0 { '\u{fffd}' } else { char::from(*byte) }).collect())
            }
            Self::Units(mut wire) => {
                // A unit has one byte at least where it stands, and in UTF-8.
                let mut units = Vec::new();
                while wire.left() > 0 {
                    units.push(u16::try_from(wire.number()?).unwrap_or(0));
                    LimitName::Name.check(units.len(), limit)?;
                }
                let text = char::decode_utf16(units).map(|unit| unit.unwrap_or('\u{fffd}'));
                Cow::Owned(text.map(|c| if c == '\0' { '\u{fffd}' } else { c }).collect())
            }
        };
        LimitName::Name.check(read.len(), limit)?;
        Ok(read)
    }
}
