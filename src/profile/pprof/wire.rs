//! The part of the protocol buffers wire format that a pprof needs. It borrows, checks bounds and copies nothing.

use std::ops::Range;

use crate::profile::ReadError;

const ENDS_IN_NUMBER: &str = "it ends within a number";

/// The bit of each of eight bytes that says that its number goes on in the next.
pub(in crate::profile) const CONTINUED: u64 = 0x8080_8080_8080_8080;

const fn is_delimited(tag: u64) -> bool {
    tag & 7 == 2
}

/// What is left of a message. Places count from the start of the profile.
#[derive(Clone, Copy)]
pub(in crate::profile) struct Wire<'b> {
    /// The profile, up to the end of the message.
    bytes: &'b [u8],
    at: usize,
}

/// How many bytes at the start of a message are whole fields.
pub(in crate::profile) fn whole_fields(bytes: &[u8]) -> usize {
    let mut wire = Wire::new(bytes);
    let mut end = 0;
    while let Ok(Some(tag)) = wire.tag() {
        if wire.skip(tag).is_err() {
            break;
        }
        end = wire.at();
    }
    end
}

/// The tag of a varint field of that number.
pub(in crate::profile) const fn number(field: u64) -> u64 {
    field << 3
}

/// The tag of a length-delimited field of that number: a string, a message, or packed numbers.
pub(in crate::profile) const fn bytes(field: u64) -> u64 {
    field << 3 | 2
}

impl<'b> Wire<'b> {
    /// A whole profile.
    pub(in crate::profile) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// A region of this.
    pub(in crate::profile) fn region(&self, region: &Range<usize>) -> Self {
        Self { bytes: self.bytes.get(..region.end).unwrap_or(&[]), at: region.start }
    }

    /// Whether a field of that tag, a single byte, comes next.
    #[inline]
    pub(in crate::profile) fn starts_with(&self, tag: u64) -> bool {
        self.bytes.get(self.at).is_some_and(|next| u64::from(*next) == tag)
    }

    /// The position of the unread bytes, if within 4 GiB.
    pub(in crate::profile) fn place(&self) -> (u32, u32) {
        match (u32::try_from(self.at), u32::try_from(self.bytes.len())) {
            (Ok(start), Ok(end)) => (start, end),
            _ => (u32::MAX, u32::MAX),
        }
    }

    /// The bytes at such a place, of those up to the end of this.
    pub(in crate::profile) fn between(&self, (start, end): (u32, u32)) -> Option<&'b [u8]> {
        self.bytes.get(start as usize..end as usize)
    }

    pub(in crate::profile) fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// The next eight bytes, the first one lowest; `None` where fewer are left.
    #[inline]
    pub(in crate::profile) fn word(&self) -> Option<u64> {
        self.rest().first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// The bytes not read yet, the first one lowest, where they are one to seven and others lie before them.
    #[inline]
    pub(in crate::profile) fn last_word(&self) -> Option<u64> {
        let word = self.bytes.last_chunk().map(|bytes| u64::from_le_bytes(*bytes))?;
        let others = 8_usize.checked_sub(self.rest().len())?;
        word.checked_shr(8 * u32::try_from(others).ok()?)
    }

    /// Passes over bytes that were looked at as a word.
    #[inline]
    pub(in crate::profile) fn pass(&mut self, len: usize) {
        self.at += len;
    }

    /// The position of the next byte.
    pub(in crate::profile) fn at(&self) -> usize {
        self.at
    }

    /// The bytes not read yet.
    pub(in crate::profile) fn rest(&self) -> &'b [u8] {
        self.bytes.get(self.at..).unwrap_or(&[])
    }

    /// The next field's tag, as [`number`] and [`bytes`] make them. `None` at the end. The caller then reads or skips
    /// the value behind it.
    #[expect(clippy::inline_always, reason = "measured: a result in registers, not in memory, for each field")]
    #[inline(always)]
    pub(in crate::profile) fn tag(&mut self) -> Result<Option<u64>, ReadError> {
        if self.is_empty() { Ok(None) } else { self.varint().map(Some) }
    }

    #[expect(clippy::inline_always, reason = "measured: a result in registers, not in memory, for each field")]
    #[inline(always)]
    pub(in crate::profile) fn varint(&mut self) -> Result<u64, ReadError> {
        let Some(byte) = self.bytes.get(self.at) else { return Err(malformed(ENDS_IN_NUMBER, self.at)) };
        if *byte < 0x80 {
            self.at += 1;
            return Ok(u64::from(*byte));
        }
        match self.bytes.get(self.at + 1) {
            Some(next) if *next < 0x80 => {
                self.at += 2;
                Ok(u64::from(*byte & 0x7f) | u64::from(*next) << 7)
            }
            _ => {
                let (number, len) = long_varint(self.rest());
                if len == 0 {
                    return Err(no_varint(self.rest().len(), self.at));
                }
                self.at += len;
                Ok(number)
            }
        }
    }

    /// What a length-delimited field holds.
    #[expect(clippy::inline_always, reason = "measured: a result in registers, not in memory, for each field")]
    #[inline(always)]
    pub(in crate::profile) fn delimited(&mut self) -> Result<Wire<'b>, ReadError> {
        let len = self.varint()?;
        let end = usize::try_from(len).ok().and_then(|len| self.at.checked_add(len));
        match end.and_then(|end| self.bytes.get(..end)) {
            Some(bytes) => Ok(Wire { bytes, at: std::mem::replace(&mut self.at, bytes.len()) }),
            None => Err(malformed("it ends within a field", self.at)),
        }
    }

    /// Gives each number of a repeated field, packed or not.
    #[expect(clippy::inline_always, reason = "measured: a result in registers, not in memory, for each field")]
    #[inline(always)]
    pub(in crate::profile) fn each(
        &mut self,
        tag: u64,
        mut take: impl FnMut(u64) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        if !is_delimited(tag) {
            return take(self.varint()?);
        }
        let mut packed = self.delimited()?;
        while !packed.is_empty() {
            take(packed.varint()?)?;
        }
        Ok(())
    }

    /// Passes over the value of a field.
    #[expect(clippy::inline_always, reason = "measured: a result in registers, not in memory, for each field")]
    #[inline(always)]
    pub(in crate::profile) fn skip(&mut self, tag: u64) -> Result<(), ReadError> {
        match tag & 7 {
            0 => self.varint().map(drop),
            2 => self.delimited().map(drop),
            1 => self.skip_bytes(8),
            5 => self.skip_bytes(4),
            _ => Err(malformed("no field of a pprof has such a wire type", self.at)),
        }
    }

    /// Passes over the value of a field and over the fields of the same tag that follow at once; how many they are. The tag
    /// is a single byte.
    #[expect(clippy::inline_always, reason = "measured: a result in registers, not in memory, for each field")]
    #[inline(always)]
    pub(in crate::profile) fn skip_run(&mut self, tag: u64) -> Result<usize, ReadError> {
        let mut count = 0;
        loop {
            self.skip(tag)?;
            count += 1;
            if !self.starts_with(tag) {
                return Ok(count);
            }
            self.at += 1;
        }
    }

    #[cold]
    fn skip_bytes(&mut self, len: usize) -> Result<(), ReadError> {
        if self.rest().len() < len {
            return Err(malformed(ENDS_IN_NUMBER, self.at));
        }
        self.at += len;
        Ok(())
    }
}

/// The number at the start of `bytes` and how many bytes it has, which is 0 where there is no number. It neither takes the
/// [`Wire`] itself, whose place stays in a register, nor makes an error, so that what it answers is in registers too.
#[inline(never)]
fn long_varint(bytes: &[u8]) -> (u64, usize) {
    if let Some(word) = bytes.first_chunk() {
        let word = u64::from_le_bytes(*word);
        let ends = !word & CONTINUED;
        if ends != 0 {
            // The bytes up to the one that is not continued, their seven bits each moved together: by two, four, eight.
            let seven = word & (ends ^ (ends - 1)) & !CONTINUED;
            let pairs = seven & 0x007f_007f_007f_007f | (seven & 0x7f00_7f00_7f00_7f00) >> 1;
            let fours = pairs & 0x0000_3fff_0000_3fff | (pairs & 0x3fff_0000_3fff_0000) >> 2;
            let value = fours & 0x0fff_ffff | (fours & 0x0fff_ffff_0000_0000) >> 4;
            return (value, ends.trailing_zeros() as usize / 8 + 1);
        }
    }
    let mut value = 0;
    for (place, byte) in bytes.iter().take(LONGEST).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if *byte < 0x80 {
            return (value, place + 1);
        }
    }
    (0, 0)
}

/// The most bytes that a number has.
const LONGEST: usize = 10;

#[cold]
fn no_varint(left: usize, at: usize) -> ReadError {
    malformed(if left < LONGEST { ENDS_IN_NUMBER } else { "a number longer than ten bytes" }, at)
}

#[cold]
#[inline(never)]
fn malformed(what: &str, at: usize) -> ReadError {
    ReadError::malformed(what, at)
}
