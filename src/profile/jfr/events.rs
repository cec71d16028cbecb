//! The events of a chunk, and what those count that are read.

use std::collections::HashMap;

use super::classes::{Classes, FieldName, Value};
use super::pools::Pools;
use super::settings::Settings;
use super::wire::Wire;
use crate::profile::limits::ReadError;

/// The events of a chunk in their order: the id of the class of each, and its content.
pub(super) struct Events<'b> {
    chunk: Wire<'b>,
    next: usize,
    end: usize,
}

/// How long the header of a chunk is.
pub(super) const HEADER: usize = 68;

impl<'b> Events<'b> {
    pub(super) fn of(chunk: Wire<'b>) -> Self {
        Self { chunk, next: HEADER, end: chunk.at() + chunk.left() }
    }

    fn read(&mut self) -> Result<(u64, Wire<'b>), ReadError> {
        let start = self.chunk.from(self.next);
        let mut wire = start;
        let size = wire.number()?;
        let end = usize::try_from(size).ok().and_then(|size| self.next.checked_add(size));
        let end = end.filter(|end| *end <= self.end && *end > wire.at());
        let end = end.ok_or_else(|| start.malformed(format!("an event says that it has {size} bytes")))?;
        let mut wire = wire.until(end);
        let id = wire.number()?;
        self.next = end;
        Ok((id, wire))
    }
}

impl<'b> Iterator for Events<'b> {
    type Item = Result<(u64, Wire<'b>), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let event = self.read();
        if event.is_err() {
            self.next = self.end;
        }
        Some(event)
    }
}

/// A profile that a recording may hold.
#[derive(Debug)]
pub(super) struct Measure {
    /// The profile's name, as Pyroscope gives it.
    pub(super) name: &'static str,
    /// Sample types and their units.
    pub(super) types: &'static [(&'static str, &'static str)],
    /// What its period counts.
    pub(super) period: Option<(&'static str, &'static str)>,
}

/// The profiles, in the order in which they are given.
pub(super) const MEASURES: [Measure; 9] = [
    Measure { name: "process_cpu", types: &[("cpu", "nanoseconds")], period: Some(("cpu", "nanoseconds")) },
    Measure { name: "wall", types: &[("wall", "nanoseconds")], period: Some(("wall", "nanoseconds")) },
    Measure {
        name: "memory",
        types: &[("alloc_in_new_tlab_objects", "count"), ("alloc_in_new_tlab_bytes", "bytes")],
        period: Some(("space", "bytes")),
    },
    Measure {
        name: "memory",
        types: &[("alloc_outside_tlab_objects", "count"), ("alloc_outside_tlab_bytes", "bytes")],
        period: Some(("space", "bytes")),
    },
    Measure {
        name: "memory",
        types: &[("alloc_sample_objects", "count"), ("alloc_sample_bytes", "bytes")],
        period: Some(("space", "bytes")),
    },
    Measure { name: "memory", types: &[("live", "count")], period: Some(("objects", "count")) },
    Measure { name: "memory", types: &[("malloc_objects", "count"), ("malloc_bytes", "bytes")], period: None },
    Measure {
        name: "mutex",
        types: &[("contentions", "count"), ("delay", "nanoseconds")],
        period: Some(("mutex", "count")),
    },
    Measure {
        name: "block",
        types: &[("contentions", "count"), ("delay", "nanoseconds")],
        period: Some(("block", "count")),
    },
];

/// The places among [`MEASURES`].
pub(super) const CPU: usize = 0;
pub(super) const WALL: usize = 1;

/// What an event counts.
#[derive(Debug, Clone, Copy)]
enum Counts {
    /// A thread that was seen at an interval of its CPU time (or of elapsed time, if the profiler is set so).
    Execution,
    /// A thread that was seen at an interval of elapsed time, several times in one event.
    WallClock,
    /// An occurrence, and a number of bytes in the field of this name.
    Bytes(usize, FieldName),
    /// An occurrence, and the ticks of the chunk's clock that it lasted.
    Ticks(usize),
    /// An occurrence.
    Once(usize),
}

/// The events that are read. `jdk.NativeMethodSample` is not among them: a thread in native code may run or wait, JFR does
/// not say which, and of all such threads it sees one at a time, so it measures neither CPU nor elapsed time.
const EVENTS: [(&str, Counts); 9] = [
    ("jdk.ExecutionSample", Counts::Execution),
    ("profiler.WallClockSample", Counts::WallClock),
    ("jdk.ObjectAllocationInNewTLAB", Counts::Bytes(2, FieldName::TlabSize)),
    ("jdk.ObjectAllocationOutsideTLAB", Counts::Bytes(3, FieldName::AllocationSize)),
    ("jdk.ObjectAllocationSample", Counts::Bytes(4, FieldName::Weight)),
    ("profiler.LiveObject", Counts::Once(5)),
    ("profiler.Malloc", Counts::Bytes(6, FieldName::Size)),
    ("jdk.JavaMonitorEnter", Counts::Ticks(7)),
    ("jdk.ThreadPark", Counts::Ticks(8)),
];

/// A sample: what it counts for, its stack by number, the key of its labels, and how often and how much.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) measure: usize,
    pub(super) stack: usize,
    pub(super) context: u64,
    pub(super) count: u64,
    pub(super) amount: u64,
}

/// What an event holds.
#[derive(Debug, Default)]
struct Seen {
    stack: u64,
    state: u64,
    context: u64,
    samples: u64,
    amount: u64,
}

/// Gives the samples of a chunk.
pub(super) fn samples(
    chunk: Wire<'_>,
    ticks_per_second: u64,
    described: &Classes,
    pools: &Pools<'_>,
    settings: &Settings,
    mut take: impl FnMut(Sample) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let mut read = HashMap::new();
    for (name, id, place) in described.names() {
        if let Some((_, counts)) = EVENTS.iter().find(|(event, _)| *event == name) {
            read.insert(id, (*counts, place));
        }
    }
    // The few states of threads, by their keys: whether one sleeps, and whether it may run.
    let mut states: HashMap<u64, (bool, bool)> = HashMap::new();
    for event in Events::of(chunk) {
        let (id, mut wire) = event?;
        let Some((counts, class)) = read.get(&id) else { continue };
        let amount = match counts {
            Counts::Bytes(_, name) => *name,
            _ => FieldName::Duration,
        };
        let mut seen = Seen::default();
        described.object(*class, &mut wire, &mut |name, value| {
            let Value::Number(number) = value else { return };
            // Where a clock went back, a duration is below 0.
            let natural = if number.cast_signed() < 0 { 0 } else { number };
            match name {
                FieldName::StackTrace => seen.stack = number,
                FieldName::State => seen.state = number,
                FieldName::ContextId => seen.context = number,
                FieldName::Samples => seen.samples = natural,
                _ if name == amount => seen.amount = natural,
                _ => {}
            }
        })?;
        // A sample without a stack says nothing that a profile could hold: Pyroscope leaves it out too.
        let Some(stack) = pools.stack(seen.stack) else { continue };
        let sample = |measure, count, amount| Sample { measure, stack, context: seen.context, count, amount };
        let mut state = || -> Result<(bool, bool), ReadError> {
            if let Some(known) = states.get(&seen.state) {
                return Ok(*known);
            }
            let name = pools.state(described, seen.state)?;
            let of = name.map_or((true, false), |name| (name == "STATE_SLEEPING", name == "STATE_RUNNABLE"));
            states.insert(seen.state, of);
            Ok(of)
        };
        match counts {
            Counts::Execution => {
                if !state()?.0 {
                    take(sample(CPU, 1, 0))?;
                }
                if settings.is_wall() {
                    take(sample(WALL, 1, 0))?;
                }
            }
            Counts::WallClock => {
                if state()?.1 && settings.is_wall() {
                    take(sample(CPU, seen.samples, 0))?;
                }
                take(sample(WALL, seen.samples, 0))?;
            }
            Counts::Bytes(measure, _) => take(sample(*measure, 1, seen.amount))?,
            Counts::Ticks(measure) => take(sample(*measure, 1, nanoseconds(seen.amount, ticks_per_second)))?,
            Counts::Once(measure) => take(sample(*measure, 1, 0))?,
        }
    }
    Ok(())
}

/// The ticks of a chunk's clock as nanoseconds. Pyroscope takes ticks for nanoseconds, so its delays are larger by the rate
/// of the clock, mostly two to three times; the unit of the profile is nanoseconds, and that is what is given here.
fn nanoseconds(ticks: u64, per_second: u64) -> u64 {
    let nanoseconds = u128::from(ticks) * 1_000_000_000 / u128::from(per_second.max(1));
    u64::try_from(nanoseconds).unwrap_or(u64::MAX)
}
