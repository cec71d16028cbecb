//! The stored form of profiles: dictionaries that grow by segments, blocks of values, and their merge. Pure.
//!
//! An *epoch* (one writer, one app, one hour) has a dictionary of texts, frames (name, file) and tree nodes (parent,
//! frame), each numbered from 0 in the order of its first sight, a parent before its children. A stack is the node of
//! its leaf. A profile is then a few node numbers with a value each: its block.

mod block;
mod dictionary;
mod merge;
mod rollup;
mod tables;
mod varint;

pub use block::Block;
pub use dictionary::{DictionaryFull, DictionaryLimits, OpenDictionary};
pub use merge::{EpochSum, Joined};
pub use rollup::{Growth, HourBlock, Rollup};
pub use tables::Tables;

/// The parent of a node that has none.
const NO_PARENT: u32 = u32::MAX;

/// The frame of a sample without a stack. Every dictionary begins with it.
const NO_FRAME: u32 = 0;

/// Stored bytes are not what this codec writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored body is corrupt: {0}")]
pub struct Corrupt(pub &'static str);

/// The largest size of a stored body after inflating, in bytes.
const MAX_BODY: usize = 1 << 27;

pub(super) fn compress(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint::put(&mut out, plain.len() as u64);
    // Compression into memory fails only where memory does; an empty body is then refused as corrupt when read.
    out.extend(zstd::bulk::compress(plain, 3).unwrap_or_default());
    out
}

pub(super) fn decompress(body: &[u8]) -> Result<Vec<u8>, Corrupt> {
    let mut reader = varint::Reader(body);
    let length = reader.take_u32()? as usize;
    if length > MAX_BODY {
        return Err(Corrupt("it is over the largest size"));
    }
    let plain = zstd::bulk::decompress(reader.0, length).map_err(|_| Corrupt("it is no zstd frame"))?;
    if plain.len() == length { Ok(plain) } else { Err(Corrupt("it is shorter than it says")) }
}

#[cfg(test)]
mod tests;
