//! The nodes of Pyroscope's binary formats `tree` and `trie`.
//!
//! Both write a tree from the root down, each child with all that is under it before the next. A node is the length of
//! its name, the name, its value and the number of its children; the numbers are base-128 varints, lowest bits first.

use super::limits::{LimitName, ReadError, ReadLimits};

/// A node.
pub(super) struct Node<'b> {
    /// Its name, which need not be text.
    pub(super) name: &'b [u8],
    /// Its own value, without its children's.
    pub(super) value: i64,
}

/// Calls `visit` with each node and its depth: the root has depth 0. No bytes are no nodes.
///
/// # Errors
/// The limit passed (each node counts as a symbol), what cannot be read, or the error of `visit`.
pub(super) fn walk<'b>(
    bytes: &'b [u8],
    limits: &ReadLimits,
    mut visit: impl FnMut(usize, Node<'b>) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let mut bytes = Bytes { rest: bytes, all: bytes.len() };
    // Of each open node, how many of its children are still to come. The first entry is for the root.
    let mut open = vec![u64::from(!bytes.rest.is_empty())];
    let mut nodes = 0;
    while let Some(left) = open.last_mut() {
        if *left == 0 {
            open.pop();
            continue;
        }
        *left -= 1;
        nodes += 1;
        LimitName::Symbols.check(nodes, limits.symbols)?;
        let length = bytes.number()?;
        let name = bytes.take(length)?;
        let value = bytes.number()?;
        let value = i64::try_from(value).map_err(|_| bytes.bad("a value of more than 63 bits"))?;
        let children = bytes.number()?;
        visit(open.len() - 1, Node { name, value })?;
        open.push(children);
    }
    if bytes.rest.is_empty() { Ok(()) } else { Err(bytes.bad("bytes after the last node")) }
}

/// The bytes that are not read yet.
struct Bytes<'b> {
    rest: &'b [u8],
    all: usize,
}

impl<'b> Bytes<'b> {
    fn bad(&self, what: &str) -> ReadError {
        ReadError::malformed(what, self.all - self.rest.len())
    }

    fn take(&mut self, length: u64) -> Result<&'b [u8], ReadError> {
        let split = usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length));
        let (taken, rest) = split.ok_or_else(|| self.bad("a name that is longer than what is left"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u64, ReadError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or_else(|| self.bad("the end, where a node goes on"))?;
            self.rest = rest;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.bad("a number of more than 64 bits"))
    }
}
