//! Gzip, zstd or plain bytes, recognised by their first bytes.

use std::borrow::Cow;
use std::io::{Read, Write};
use std::ops::Deref;

use flate2::{Decompress, FlushDecompress, Status};
use memmap2::MmapMut;

use super::limits::{LimitName, ReadError, ReadLimits};

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// No deflate stream inflates to more than this many times its size.
const DEFLATE_MAX_RATIO: u64 = 1_032;
/// What large profiles are inflated into at a time.
const PIECE: u64 = 1 << 20;
/// Gzip of the one method that there is, without a name, comment or anything else; a time and two more bytes follow.
const PLAIN_HEADER: [u8; 4] = [0x1f, 0x8b, 8, 0];

/// Whether the bytes are gzip or zstd.
pub fn is_compressed(bytes: &[u8]) -> bool {
    bytes.starts_with(&GZIP) || bytes.starts_with(&ZSTD)
}

/// The inflated bytes. Plain ones are borrowed. Stops at the limit: never holds more than `limits.inflated` bytes.
///
/// # Errors
/// The exceeded limit, or damaged bytes.
pub fn inflate<'b>(bytes: &'b [u8], limits: &ReadLimits) -> Result<Cow<'b, [u8]>, ReadError> {
    LimitName::Body.check(bytes.len(), limits.body)?;
    if bytes.starts_with(&GZIP) {
        gunzip(bytes, limits).map(Cow::Owned)
    } else if bytes.starts_with(&ZSTD) {
        read(reader(bytes)?, claimed_size(bytes), limits).map(Cow::Owned)
    } else {
        LimitName::Inflated.check(bytes.len(), limits.inflated)?;
        Ok(Cow::Borrowed(bytes))
    }
}

/// At most the first `limit` inflated bytes; fewer where the rest is damaged. Plain bytes are borrowed.
pub fn beginning(bytes: &[u8], limit: usize) -> Cow<'_, [u8]> {
    if !is_compressed(bytes) {
        return Cow::Borrowed(bytes.get(..limit).unwrap_or(bytes));
    }
    let mut first = Vec::new();
    if let Ok(reader) = reader(bytes) {
        // What was inflated before an error stays.
        let _ = reader.take(limit as u64).read_to_end(&mut first);
    }
    Cow::Owned(first)
}

/// Inflates gzip, of several members too. Never holds more than `limits.inflated` bytes.
///
/// # Errors
/// The limit passed, or no gzip.
pub fn gunzip(bytes: &[u8], limits: &ReadLimits) -> Result<Vec<u8>, ReadError> {
    let claimed = claimed_size(bytes);
    match at_once(bytes, claimed, limits) {
        Some(all) => Ok(all),
        None => read(flate2::bufread::MultiGzDecoder::new(bytes), claimed, limits),
    }
}

/// One gzip member with a plain header that holds what it declares, which is the usual case: it is inflated in a single
/// step, without a window of its own. `None` for everything else, which is then read step by step and reports errors.
fn at_once(bytes: &[u8], claimed: u64, limits: &ReadLimits) -> Option<Vec<u8>> {
    let room = usize::try_from(claimed).ok().filter(|_| claimed <= limits.inflated)?;
    let (deflated, [a, b, c, d, ..]) = bytes.strip_prefix(&PLAIN_HEADER)?.get(6..)?.split_last_chunk::<8>()?;
    let mut all = Vec::with_capacity(room);
    let mut inflater = Decompress::new(false);
    let status = inflater.decompress_vec(deflated, &mut all, FlushDecompress::Finish).ok()?;
    let whole = status == Status::StreamEnd && inflater.total_in() == deflated.len() as u64 && all.len() == room;
    (whole && crc32fast::hash(&all) == u32::from_le_bytes([*a, *b, *c, *d])).then_some(all)
}

/// The size that the profile claims to inflate to. It is used to reserve memory and is not trusted; it is at most what
/// the compression can reach. For plain bytes it is their number.
pub(super) fn claimed_size(bytes: &[u8]) -> u64 {
    let len = bytes.len() as u64;
    if bytes.starts_with(&GZIP) {
        let claim = bytes.last_chunk::<4>().map_or(0, |tail| u64::from(u32::from_le_bytes(*tail)));
        claim.min(len.saturating_mul(DEFLATE_MAX_RATIO))
    } else if bytes.starts_with(&ZSTD) {
        // Many zstd frames do not say: a usual ratio then.
        zstd::zstd_safe::get_frame_content_size(bytes).ok().flatten().unwrap_or(len.saturating_mul(4))
    } else {
        len
    }
}

/// Inflated bytes, or a piece of them.
pub(super) enum Inflated<'b> {
    /// All of them.
    Whole(Cow<'b, [u8]>),
    /// A piece that the system has back at once when it is dropped: an allocator would keep it.
    Piece(Mapped),
}

/// Memory of its own, with so many bytes written to it.
pub(super) struct Mapped {
    room: MmapMut,
    len: usize,
}

impl Deref for Inflated<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Piece(piece) => piece.bytes(),
        }
    }
}

impl Mapped {
    /// A piece that starts with these bytes and has room for more.
    fn new(start: &[u8], more: u64) -> Result<Self, ReadError> {
        let room = start.len().saturating_add(usize::try_from(more).unwrap_or(usize::MAX));
        let mut piece = Self { room: MmapMut::map_anon(room).map_err(failed)?, len: 0 };
        piece.len = piece.room.as_mut().write(start).map_err(failed)?;
        Ok(piece)
    }

    fn bytes(&self) -> &[u8] {
        self.room.get(..self.len).unwrap_or(&[])
    }

    /// Reads until it is full, or all was read; how many bytes that were.
    fn fill(&mut self, reader: &mut impl Read) -> Result<u64, ReadError> {
        let start = self.len;
        while let Some(room @ [_, ..]) = self.room.get_mut(self.len..) {
            match reader.read(room).map_err(failed)? {
                0 => break,
                read => self.len += read,
            }
        }
        Ok((self.len - start) as u64)
    }

    fn is_full(&self) -> bool {
        self.len == self.room.len()
    }
}

/// The inflated bytes in pieces of about 1 MiB, so that a reader can drop each once it is read. `whole` says how many
/// of the given bytes form a piece; the next piece starts with the others. Small inputs are one piece, and plain bytes
/// are borrowed. Stops at the limit as [`inflate`] does.
pub(super) fn inflate_in_pieces<'b>(
    bytes: &'b [u8],
    limits: &ReadLimits,
    whole: impl Fn(&[u8]) -> usize,
) -> Result<Vec<Inflated<'b>>, ReadError> {
    if !is_compressed(bytes) || claimed_size(bytes) <= 2 * PIECE {
        return Ok(vec![Inflated::Whole(inflate(bytes, limits)?)]);
    }
    LimitName::Body.check(bytes.len(), limits.body)?;
    let mut reader = reader(bytes)?;
    // One byte more than allowed, so that more is noticed.
    let mut left = limits.inflated.saturating_add(1);
    let mut pieces = Vec::new();
    let mut piece = Mapped::new(&[], PIECE.min(left))?;
    loop {
        left -= piece.fill(&mut reader)?;
        if left == 0 {
            return Err(ReadError::Limit { limit: LimitName::Inflated, number: limits.inflated });
        }
        if !piece.is_full() {
            pieces.push(Inflated::Piece(piece));
            return Ok(pieces);
        }
        let (bytes, rest) = piece.bytes().split_at_checked(whole(piece.bytes())).unwrap_or_default();
        if bytes.is_empty() {
            // What it starts with is larger than a piece, or has no end: room for all that is allowed, at once. Memory
            // that is not written to costs nothing, and growing step by step would hold the bytes twice.
            piece = Mapped::new(rest, left)?;
        } else {
            let next = Mapped::new(rest, PIECE.min(left))?;
            let done = Mapped { len: bytes.len(), ..std::mem::replace(&mut piece, next) };
            pieces.push(Inflated::Piece(done));
        }
    }
}

fn reader<'b>(bytes: &'b [u8]) -> Result<Box<dyn Read + 'b>, ReadError> {
    if bytes.starts_with(&GZIP) {
        return Ok(Box::new(flate2::bufread::MultiGzDecoder::new(bytes)));
    }
    let mut reader = zstd::stream::read::Decoder::with_buffer(bytes).map_err(failed)?;
    // A window over 128 MiB would take memory that no limit counts.
    reader.window_log_max(27).map_err(failed)?;
    Ok(Box::new(reader))
}

#[expect(clippy::needless_pass_by_value, reason = "it is what maps an error")]
fn failed(error: std::io::Error) -> ReadError {
    ReadError::Compression(error.to_string())
}

fn read(mut reader: impl Read, claimed: u64, limits: &ReadLimits) -> Result<Vec<u8>, ReadError> {
    let over = || ReadError::Limit { limit: LimitName::Inflated, number: limits.inflated };
    let room = |bytes: u64| usize::try_from(bytes.min(limits.inflated)).unwrap_or(0);
    // One byte more than claimed, so that the end is seen without growing.
    let mut all = Vec::with_capacity(room(claimed) + 1);
    loop {
        let left = all.capacity() - all.len();
        let before = all.len();
        let got = reader.by_ref().take(left as u64).read_to_end(&mut all).map_err(failed)?;
        if all.len() as u64 > limits.inflated {
            return Err(over());
        }
        if got < left || before == all.len() {
            break;
        }
        // It is more than claimed: room for all that is allowed, at once. Memory that is not written to costs nothing,
        // and growing step by step would hold the bytes twice.
        all.reserve_exact((room(limits.inflated) + 1).saturating_sub(all.len()));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, GzBuilder};
    use rstest::rstest;

    use super::*;

    const TEXT: &[u8] = b"a stack, a stack, and one more stack";

    fn gzip(header: GzBuilder) -> Vec<u8> {
        let mut gzip = header.write(Vec::new(), Compression::best());
        gzip.write_all(TEXT).unwrap();
        gzip.finish().unwrap()
    }

    #[rstest]
    #[case::plain(gzip(GzBuilder::new()), true)]
    #[case::with_a_time(gzip(GzBuilder::new().mtime(1_700_000_000)), true)]
    #[case::with_a_name(gzip(GzBuilder::new().filename("profile")), false)]
    #[case::with_all(gzip(GzBuilder::new().filename("profile").comment("cpu").extra([1, 2, 3])), false)]
    #[case::of_two_members([gzip(GzBuilder::new()), gzip(GzBuilder::new())].concat(), false)]
    fn gzip_of_any_header_inflates_and_the_plain_one_at_once(#[case] bytes: Vec<u8>, #[case] at_once: bool) {
        let limits = ReadLimits::default();
        let inflated = gunzip(&bytes, &limits).unwrap();
        assert!(inflated.chunks(TEXT.len()).all(|text| text == TEXT) && inflated.len() >= TEXT.len());
        assert_eq!(super::at_once(&bytes, claimed_size(&bytes), &limits).is_some(), at_once);
    }

    #[test]
    fn a_byte_that_changed_on_the_way_is_found() {
        let sent = gzip(GzBuilder::new());
        // What a header says of time and system has no check.
        for at in (0..4).chain(10..sent.len()) {
            for bit in 0..8 {
                let mut bytes = sent.clone();
                bytes[at] ^= 1 << bit;
                let inflated = gunzip(&bytes, &ReadLimits::default());
                assert!(inflated.is_err() || inflated.unwrap() == TEXT, "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn the_limit_is_the_last_size_that_inflates() {
        let (bytes, most) = (gzip(GzBuilder::new()), TEXT.len() as u64);
        let limits = |inflated| ReadLimits { inflated, ..ReadLimits::default() };
        assert_eq!(gunzip(&bytes, &limits(most)).unwrap(), TEXT);
        let expected = ReadError::Limit { limit: LimitName::Inflated, number: most - 1 };
        assert_eq!(gunzip(&bytes, &limits(most - 1)).unwrap_err(), expected);
    }
}
