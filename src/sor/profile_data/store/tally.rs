//! What is known of a series without its stacks: of one hour, or of all hours of a window. Pure.

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use serde::{Deserialize, Serialize};

use super::super::coverage::Starts;

/// Pushes after which totals that never fell are taken for cumulative.
const CUMULATIVE_PUSHES: u64 = 10;

/// The hour of an instant.
pub(super) fn hour(instant: DateTime<Utc>) -> DateTime<Utc> {
    let hour = instant.with_minute(0).and_then(|t| t.with_second(0)).and_then(|t| t.with_nanosecond(0));
    hour.unwrap_or(instant)
}

/// What is known of a block without its body.
#[derive(Debug)]
pub(super) struct BlockHead {
    pub(super) time: DateTime<Utc>,
    pub(super) series: i32,
    pub(super) samples: Option<i64>,
    pub(super) totals: Vec<i64>,
}

/// One series over some time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tally {
    pub(super) blocks: u64,
    /// Events counted, where every block counted them.
    pub(super) samples: Option<i64>,
    /// By sample type: the sum, and the totals of the first and the last block.
    totals: Vec<i64>,
    first: Vec<i64>,
    last: Vec<i64>,
    /// By sample type, whether a block's total fell below, or rose above, the one before.
    fell: Vec<bool>,
    rose: Vec<bool>,
    pub(super) first_at: Option<DateTime<Utc>>,
    pub(super) last_at: Option<DateTime<Utc>>,
    /// When blocks of a window began.
    #[serde(skip)]
    pub(super) starts: Starts,
}

/// What is added to a tally: a block, or what came after it.
struct Later<'a> {
    blocks: u64,
    samples: Option<i64>,
    totals: &'a [i64],
    first: &'a [i64],
    last: &'a [i64],
    fell: &'a [bool],
    rose: &'a [bool],
    at: (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
}

impl Tally {
    /// Adds what is known of later time.
    pub(super) fn append(&mut self, later: &Self) {
        self.add(&Later {
            blocks: later.blocks,
            samples: later.samples,
            totals: &later.totals,
            first: &later.first,
            last: &later.last,
            fell: &later.fell,
            rose: &later.rose,
            at: (later.first_at, later.last_at),
        });
    }

    fn add(&mut self, later: &Later<'_>) {
        self.samples = match (self.blocks, self.samples, later.samples) {
            (0, _, first) => first,
            (_, Some(sum), Some(more)) => Some(sum.saturating_add(more)),
            _ => None,
        };
        if self.blocks == 0 {
            self.first = later.first.to_vec();
        }
        self.blocks += later.blocks;
        let width = later.totals.len().max(self.totals.len());
        self.totals.resize(width, 0);
        self.fell.resize(width, false);
        self.rose.resize(width, false);
        let changes = self.totals.iter_mut().zip(&mut self.fell).zip(&mut self.rose);
        for (at, (((sum, fell), rose), total)) in changes.zip(later.totals).enumerate() {
            *sum = sum.saturating_add(*total);
            if let (Some(last), Some(next)) = (self.last.get(at), later.first.get(at)) {
                *fell |= next < last;
                *rose |= next > last;
            }
            *fell |= later.fell.get(at) == Some(&true);
            *rose |= later.rose.get(at) == Some(&true);
        }
        self.last.clear();
        self.last.extend_from_slice(later.last);
        self.first_at = self.first_at.or(later.at.0);
        self.last_at = later.at.1;
    }

    /// The sum of these sample types.
    pub(super) fn total(&self, columns: &[usize]) -> i64 {
        sum(&self.totals, columns)
    }

    /// The sum of these sample types in the last block.
    pub(super) fn latest(&self, columns: &[usize]) -> i64 {
        sum(&self.last, columns)
    }

    /// How much these sample types grew between the first block and the last.
    pub(super) fn growth(&self, columns: &[usize]) -> i64 {
        sum(&self.last, columns).saturating_sub(sum(&self.first, columns)).max(0)
    }

    /// Whether the values of these sample types only ever grow. Totals that stand still all the while are not taken
    /// for that: a source that repeats itself says as much each time.
    pub(super) fn grows(&self, columns: &[usize]) -> bool {
        let any = |changes: &[bool]| columns.iter().any(|at| changes.get(*at) == Some(&true));
        self.blocks >= CUMULATIVE_PUSHES && any(&self.rose) && !any(&self.fell)
    }

    /// Whether a longer time may show that the values of some sample type only ever grow.
    pub(super) fn may_grow(&self) -> bool {
        self.totals.iter().zip(&self.fell).any(|(total, fell)| *total != 0 && !fell)
    }
}

fn sum(totals: &[i64], columns: &[usize]) -> i64 {
    columns.iter().filter_map(|at| totals.get(*at)).fold(0, |sum: i64, total| sum.saturating_add(*total))
}

/// One series in one hour.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct HourTally {
    pub(super) tally: Tally,
    /// The seconds of the hour in which blocks began, each as its distance from the one before.
    steps: Vec<u16>,
    #[serde(skip)]
    last_second: u16,
}

impl HourTally {
    /// Counts a block. They must come in order of time.
    pub(super) fn add(&mut self, head: &BlockHead) {
        let second = u16::try_from((head.time - hour(head.time)).num_seconds()).unwrap_or(0);
        if self.steps.is_empty() || second > self.last_second {
            self.steps.push(second.saturating_sub(self.last_second));
            self.last_second = second;
        }
        self.tally.add(&Later {
            blocks: 1,
            samples: head.samples,
            totals: &head.totals,
            first: &head.totals,
            last: &head.totals,
            fell: &[],
            rose: &[],
            at: (Some(head.time), Some(head.time)),
        });
    }

    /// When blocks of this hour began, to the second.
    pub(super) fn starts(&self, hour: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> + '_ {
        self.steps.iter().scan(hour, |at, step| {
            *at += TimeDelta::seconds(i64::from(*step));
            Some(*at)
        })
    }
}
