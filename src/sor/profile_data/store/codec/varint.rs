//! Numbers of as many bytes as they need, low seven bits first.

use super::Corrupt;

/// Appends a number.
pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

/// Appends a number that may be negative.
pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

/// Reads what was appended, from the front.
#[derive(Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// Whether everything was read.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next number.
    pub(super) fn take(&mut self) -> Result<u64, Corrupt> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Corrupt("it ends within a number"))?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Corrupt("a number is longer than ten bytes"))
    }

    /// The next number, as an id or a count.
    pub(super) fn take_u32(&mut self) -> Result<u32, Corrupt> {
        u32::try_from(self.take()?).map_err(|_| Corrupt("an id is over 32 bits"))
    }

    /// The next number, which may be negative.
    pub(super) fn take_signed(&mut self) -> Result<i64, Corrupt> {
        let value = self.take()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// A count of things of at least one byte each, so that no count asks for more room than its bytes can fill.
    pub(super) fn take_count(&mut self) -> Result<usize, Corrupt> {
        let count = self.take_u32()? as usize;
        if count > self.0.len() { Err(Corrupt("a count is over what follows")) } else { Ok(count) }
    }

    /// The next bytes.
    pub(super) fn bytes(&mut self, length: usize) -> Result<&'a [u8], Corrupt> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Corrupt("it ends within a text"))?;
        self.0 = rest;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn reads_what_it_wrote(values in prop::collection::vec(any::<i64>(), 0..50)) {
            let mut bytes = Vec::new();
            for value in &values {
                put(&mut bytes, value.cast_unsigned());
                put_signed(&mut bytes, *value);
            }
            let mut reader = Reader(&bytes);
            for value in values {
                prop_assert_eq!(reader.take(), Ok(value.cast_unsigned()));
                prop_assert_eq!(reader.take_signed(), Ok(value));
            }
            prop_assert!(reader.0.is_empty());
        }
    }

    #[test]
    fn small_numbers_of_either_sign_take_one_byte() {
        let mut bytes = Vec::new();
        put_signed(&mut bytes, -64);
        put_signed(&mut bytes, 63);
        assert_eq!(bytes, [127, 126]);
    }
}
