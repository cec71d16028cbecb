use super::varint::{self, Reader};
use super::{Corrupt, compress, decompress};

/// The values of one pushed profile: for some nodes of its epoch, one value per sample type.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Block {
    /// Ascending, unique.
    nodes: Vec<u32>,
    /// Per sample type, one value per node.
    values: Vec<Vec<i64>>,
}

impl Block {
    /// A block of the stacks' nodes with one value per sample type each, as a profile has them. Values of the same node
    /// are added, nodes without any value left out.
    pub fn of<'a>(width: usize, stacks: impl IntoIterator<Item = (u32, &'a [i64])>) -> Self {
        let mut stacks: Vec<_> = stacks.into_iter().filter(|(_, values)| values.iter().any(|v| *v != 0)).collect();
        stacks.sort_by_key(|(node, _)| *node);
        let mut nodes: Vec<u32> = Vec::with_capacity(stacks.len());
        let mut columns = vec![Vec::with_capacity(stacks.len()); width];
        for (node, values) in stacks {
            let known = nodes.last() == Some(&node);
            if !known {
                nodes.push(node);
            }
            for (i, column) in columns.iter_mut().enumerate() {
                let value = values.get(i).copied().unwrap_or(0);
                match column.last_mut() {
                    Some(last) if known => *last = i64::saturating_add(*last, value),
                    _ => column.push(value),
                }
            }
        }
        Self { nodes, values: columns }
    }

    /// The sum of each sample type.
    pub fn totals(&self) -> Vec<i64> {
        self.values.iter().map(|column| column.iter().fold(0, |sum: i64, v| sum.saturating_add(*v))).collect()
    }

    /// The nodes and their values of one sample type, those that are not 0.
    pub fn column(&self, sample_type: usize) -> impl Iterator<Item = (u32, i64)> + '_ {
        let values = self.values.get(sample_type).map_or(&[][..], Vec::as_slice);
        self.nodes.iter().copied().zip(values.iter().copied()).filter(|(_, value)| *value != 0)
    }

    /// The nodes, ascending.
    pub(super) fn nodes(&self) -> &[u32] {
        &self.nodes
    }

    /// How many sample types there are.
    pub(super) fn width(&self) -> usize {
        self.values.len()
    }

    /// The same values for other nodes: each one's place, where it has one.
    pub(super) fn placed(&self, places: &[Option<u32>]) -> Self {
        let row = |at: usize| self.values.iter().map(|column| column.get(at).copied().unwrap_or(0)).collect::<Vec<_>>();
        let rows: Vec<_> = (0..self.nodes.len()).map(row).collect();
        let placed = self.nodes.iter().zip(&rows).filter_map(|(node, row)| {
            let place = places.get(*node as usize).copied().flatten()?;
            Some((place, row.as_slice()))
        });
        Self::of(self.values.len(), placed)
    }

    /// How many nodes have values.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether no node has a value.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// As it is stored.
    pub fn encode(&self) -> Vec<u8> {
        let mut plain = Vec::with_capacity(8 + self.nodes.len() * (2 + 2 * self.values.len()));
        varint::put(&mut plain, self.nodes.len() as u64);
        varint::put(&mut plain, self.values.len() as u64);
        let mut last = 0;
        for node in &self.nodes {
            varint::put(&mut plain, u64::from(node - last));
            last = *node;
        }
        for column in &self.values {
            // i64::MIN has no positive counterpart; a divisor that would need it is 1.
            let divisor = column.iter().fold(0, |divisor, value| gcd(divisor, value.unsigned_abs()));
            let divisor = i64::try_from(divisor).unwrap_or(1).max(1);
            let signed = column.iter().any(|value| *value < 0);
            plain.push(u8::from(signed));
            varint::put(&mut plain, divisor.cast_unsigned());
            for value in column {
                if signed {
                    varint::put_signed(&mut plain, value / divisor);
                } else {
                    varint::put(&mut plain, (value / divisor).cast_unsigned());
                }
            }
        }
        compress(&plain)
    }

    /// Reads what [`Block::encode`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] if it is something else.
    pub fn decode(body: &[u8]) -> Result<Self, Corrupt> {
        let plain = decompress(body)?;
        let mut reader = Reader(&plain);
        let count = reader.take_count()?;
        let width = reader.take_count()?;
        let mut nodes = Vec::with_capacity(count);
        let mut last = 0_u32;
        for _ in 0..count {
            last = last.checked_add(reader.take_u32()?).ok_or(Corrupt("a node is over 32 bits"))?;
            nodes.push(last);
        }
        let mut values = Vec::with_capacity(width);
        for _ in 0..width {
            let signed = reader.bytes(1)? == [1];
            let divisor = reader.take()?.cast_signed();
            let mut column = Vec::with_capacity(count);
            for _ in 0..count {
                let value = if signed { reader.take_signed()? } else { reader.take()?.cast_signed() };
                column.push(value.wrapping_mul(divisor));
            }
            values.push(column);
        }
        Ok(Self { nodes, values })
    }
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
