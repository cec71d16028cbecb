//! An hour of an app's profiles of one name as one body: a dictionary of what they hold, and of each series their sum.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::varint::{self, Reader};
use super::{Block, Corrupt, OpenDictionary, Tables};

/// A stored block of an hour.
#[derive(Debug, Clone, Copy)]
pub struct HourBlock<'a> {
    /// Its series.
    pub series: i32,
    /// The epoch whose dictionary numbers its nodes.
    pub epoch: i64,
    /// Its body.
    pub body: &'a [u8],
}

/// The merged profiles of an hour, as they are read.
#[derive(Debug, Default)]
pub struct Rollup {
    /// What the nodes of its blocks are.
    pub tables: Arc<Tables>,
    /// By series.
    pub series: BTreeMap<i32, RolledSeries>,
}

/// One series of an hour.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RolledSeries {
    /// The sum of its blocks.
    pub sum: Block,
    /// Of a series whose values may only ever grow.
    pub growth: Option<Growth>,
}

/// What is needed of a series whose values only ever grow: windows hold the last less the first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Growth {
    /// The first block.
    pub first: Block,
    /// The last block.
    pub last: Block,
    /// Of each sample type, the sum of the blocks after which its total fell, as the source began anew.
    pub ended: Block,
}

impl Rollup {
    /// Merges an hour: the blocks of each series in order of time, and the dictionaries of their epochs. `growing` says
    /// of which series more than the sum is kept. Nodes that no dictionary holds are dropped.
    ///
    /// # Errors
    /// [`Corrupt`] if a block is none.
    pub fn merge(
        blocks: &[HourBlock<'_>],
        tables: &HashMap<i64, Arc<Tables>>,
        growing: impl Fn(i32) -> bool,
    ) -> Result<Vec<u8>, Corrupt> {
        let mut wanted: BTreeMap<i64, Vec<bool>> = BTreeMap::new();
        for block in blocks {
            let wanted = wanted.entry(block.epoch).or_default();
            for node in Block::decode(block.body)?.nodes() {
                let node = *node as usize;
                if node >= wanted.len() {
                    wanted.resize(node + 1, false);
                }
                if let Some(place) = wanted.get_mut(node) {
                    *place = true;
                }
            }
        }
        let mut dictionary = OpenDictionary::default();
        let mut places: HashMap<i64, Vec<Option<u32>>> = HashMap::new();
        for (epoch, wanted) in wanted {
            if let Some(tables) = tables.get(&epoch) {
                places.insert(epoch, dictionary.adopt(tables, wanted));
            }
        }
        let mut merging: BTreeMap<i32, Merging> = BTreeMap::new();
        for stored in blocks {
            let block = Block::decode(stored.body)?.placed(places.get(&stored.epoch).map_or(&[], Vec::as_slice));
            merging.entry(stored.series).or_default().add(block, growing(stored.series));
        }
        let mut body = Vec::new();
        put(&mut body, &dictionary.take_segment().unwrap_or_default());
        varint::put(&mut body, merging.len() as u64);
        for (series, merged) in merging {
            varint::put_signed(&mut body, i64::from(series));
            put(&mut body, &merged.sum.block().encode());
            let growth = merged.first.zip(merged.last);
            body.push(u8::from(growth.is_some()));
            for block in growth.into_iter().flat_map(|(first, last)| [first, last, merged.ended.block()]) {
                put(&mut body, &block.encode());
            }
        }
        Ok(body)
    }

    /// Reads what [`Rollup::merge`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] if it is something else.
    pub fn decode(body: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader(body);
        let mut tables = Tables::default();
        tables.append(take(&mut reader)?)?;
        let mut series = BTreeMap::new();
        for _ in 0..reader.take_count()? {
            let id = i32::try_from(reader.take_signed()?).map_err(|_| Corrupt("a series is over 32 bits"))?;
            let sum = Block::decode(take(&mut reader)?)?;
            let growth = if reader.bytes(1)? == [1] {
                let mut next = || Block::decode(take(&mut reader)?);
                Some(Growth { first: next()?, last: next()?, ended: next()? })
            } else {
                None
            };
            series.insert(id, RolledSeries { sum, growth });
        }
        Ok(Self { tables: Arc::new(tables), series })
    }
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    varint::put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn take<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Corrupt> {
    let length = reader.take_count()?;
    reader.bytes(length)
}

/// A series on its way to a sum.
#[derive(Debug, Default)]
struct Merging {
    sum: Sum,
    first: Option<Block>,
    last: Option<Block>,
    ended: Sum,
}

impl Merging {
    fn add(&mut self, block: Block, growing: bool) {
        for sample_type in 0..block.width() {
            self.sum.add(&block, sample_type);
        }
        if !growing {
            return;
        }
        if let Some(last) = self.last.take() {
            for (sample_type, (total, before)) in block.totals().into_iter().zip(last.totals()).enumerate() {
                if total < before {
                    self.ended.add(&last, sample_type);
                }
            }
        }
        self.first.get_or_insert_with(|| block.clone());
        self.last = Some(block);
    }
}

/// By sample type, a value per node.
#[derive(Debug, Default)]
struct Sum(Vec<Vec<i64>>);

impl Sum {
    fn add(&mut self, block: &Block, sample_type: usize) {
        let width = block.width().max(self.0.len());
        self.0.resize(width, Vec::new());
        let Some(column) = self.0.get_mut(sample_type) else { return };
        for (node, value) in block.column(sample_type) {
            let node = node as usize;
            if node >= column.len() {
                column.resize(node + 1, 0);
            }
            if let Some(sum) = column.get_mut(node) {
                *sum = sum.saturating_add(value);
            }
        }
    }

    fn block(&self) -> Block {
        let nodes = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let row = |node: usize| self.0.iter().map(|column| column.get(node).copied().unwrap_or(0)).collect::<Vec<_>>();
        let rows: Vec<_> = (0..nodes).map(row).collect();
        let numbered = (0_u32..).zip(rows.iter().map(Vec::as_slice));
        Block::of(self.0.len(), numbered)
    }
}
