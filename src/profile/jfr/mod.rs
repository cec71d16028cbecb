//! Reads recordings of the JDK's Flight Recorder (JFR), as the JDK itself, async-profiler and Pyroscope's agent make them.
//!
//! A recording is a sequence of chunks, each of which can be read alone: a header, a description of its own types, constants
//! (stacks, methods, names) and events. The description says how everything else is laid out, so events of any version are
//! read and unknown ones passed over. A chunk is gone through three times: for its constants, its settings and its
//! samples. Constants are not unpacked: of each kind the places are held, four bytes each, and what a sample needs is read
//! where it stands.
//!
//! The profiles have the names, sample types and function names that Pyroscope's conversion gives them.

mod classes;
mod events;
mod labels;
mod names;
mod pools;
mod settings;
mod wire;

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use self::classes::Classes;
use self::events::{CPU, HEADER, MEASURES, Sample, WALL, samples};
use self::labels::LabelSets;
use self::pools::Pools;
use self::settings::Settings;
use self::wire::Wire;
use super::builder::Interner;
use super::inflate::inflate;
use super::limits::{LimitName, ReadError, ReadLimits};
use super::model::{FunctionId, Profile, SampleType, Stacks};
use super::pprof::Labels;

/// A recording, as profiles.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    /// The profiles, one for each name and set of labels. There is always one: a recording without samples is an empty
    /// profile of CPU time.
    pub profiles: Vec<RecordedProfile>,
    /// What samples were taken by, if async-profiler made the recording: `cpu`, `itimer`, `wall`, ….
    pub event: Option<String>,
    /// When it began.
    pub time: Option<DateTime<Utc>>,
    /// How long it took.
    pub duration: Option<TimeDelta>,
}

/// One profile of a recording.
#[derive(Debug, Clone)]
pub struct RecordedProfile {
    /// Its name, such as `process_cpu`. Several profiles of memory have the same.
    pub name: &'static str,
    /// The labels of its samples that were to be kept.
    pub labels: Labels,
    /// The stacks. The profiles of a recording share their functions.
    pub profile: Profile,
    /// What the period counts.
    pub period_type: Option<SampleType>,
    /// Between two samples, in nanoseconds; 0 where samples are not taken at intervals of time.
    pub period: i64,
}

/// What is known beside the recording itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct JfrContext<'l> {
    /// The labels of its samples (`LabelsSnapshot`), if they were sent. They may be compressed.
    pub labels: &'l [u8],
    /// The names of the labels that are kept.
    pub keep: &'l [&'l str],
    /// Samples per second, where the sender says it. Otherwise the recording's own settings are taken.
    pub rate: Option<u32>,
}

/// Whether these are the first bytes of a recording that is not compressed.
pub fn is_jfr(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

const MAGIC: [u8; 4] = *b"FLR\0";

/// Reads a recording: gzip, zstd or plain, recognised by the first bytes. Chunks may follow one another.
///
/// A recording that is cut off is refused as a whole. A sample without a stack, and a frame without a method, are left out.
/// Where the recorder cut a stack that was too deep, the frames that it kept are read.
///
/// # Errors
/// The limit passed, or what cannot be read and at which byte.
pub fn read_jfr(bytes: &[u8], context: &JfrContext<'_>, limits: &ReadLimits) -> Result<Recording, ReadError> {
    let labels = LabelSets::read(&inflate(context.labels, limits)?, limits, context.keep)?;
    let inflated = inflate(bytes, limits)?;
    let mut reader = Reader { limits: *limits, labels, ..Reader::default() };
    let mut start = 0;
    while let Some(rest @ [_, ..]) = inflated.get(start..) {
        start += reader.chunk(rest).map_err(|error| error.behind(start))?;
    }
    if start == 0 {
        return Err(ReadError::malformed("it is empty", 0));
    }
    reader.finish(context.rate)
}

/// The header of a chunk.
struct Header {
    size: usize,
    metadata: usize,
    start_nanos: i64,
    duration_nanos: i64,
    ticks_per_second: u64,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, ReadError> {
        if !bytes.starts_with(MAGIC.get(..bytes.len()).unwrap_or(&MAGIC)) {
            return Err(ReadError::malformed("no JFR recording, nor a further chunk of one, begins so", 0));
        }
        let number = |at: usize| {
            let bytes = bytes.get(at..).and_then(|bytes| bytes.first_chunk::<8>());
            bytes
                .map(|bytes| u64::from_be_bytes(*bytes))
                .ok_or_else(|| ReadError::malformed("it is cut off in the header of a chunk", at.max(1)))
        };
        let (version, size) = (number(0)? & 0xffff_ffff, number(8)?);
        if version >> 16 != 2 {
            let (major, minor) = (version >> 16, version & 0xffff);
            return Err(ReadError::malformed(format!("its version {major}.{minor} is not read, 2.x is"), 4));
        }
        // The last four bytes are the features.
        if number(HEADER - 8)? & 1 == 0 {
            return Err(ReadError::malformed(
                "its integers are not compressed, which only old recordings do",
                HEADER - 4,
            ));
        }
        let signed = |at| number(at).map(|number| i64::try_from(number).unwrap_or(0));
        if size < HEADER as u64 || number(24)? == 0 {
            return Err(ReadError::malformed(
                "a chunk was not finished: stop or dump the recording before it is sent",
                8,
            ));
        }
        let Some(size) = usize::try_from(size).ok().filter(|size| *size <= bytes.len()) else {
            let left = bytes.len();
            return Err(ReadError::malformed(format!("it is cut off: a chunk of {size} bytes has {left}"), left));
        };
        Ok(Self {
            size,
            metadata: usize::try_from(number(24)?).unwrap_or(usize::MAX),
            start_nanos: signed(32)?,
            duration_nanos: signed(40)?,
            ticks_per_second: number(56)?,
        })
    }
}

/// The values of samples of one stack, by measure and set of labels.
type Sums = HashMap<(usize, u32, usize), [u64; 2]>;

/// What was read so far.
#[derive(Default)]
struct Reader {
    limits: ReadLimits,
    labels: LabelSets,
    settings: Settings,
    interner: Interner,
    /// The stacks, by measure and set of labels. Values are not scaled yet.
    stacks: HashMap<(usize, u32), Stacks>,
    samples: usize,
    frames: usize,
    start: Option<i64>,
    end: i64,
}

impl Reader {
    /// Reads the chunk that the bytes begin with; its size.
    fn chunk(&mut self, bytes: &[u8]) -> Result<usize, ReadError> {
        let header = Header::read(bytes)?;
        let chunk = Wire::new(bytes.get(..header.size).unwrap_or(bytes), 0);
        let described = Classes::read(chunk.from(header.metadata))?;
        let mut pools = Pools::read(chunk, &described, &self.limits)?;
        self.settings.read(chunk, &described, &pools)?;
        let sums = self.sums(chunk, &header, &described, &pools)?;
        self.add(&described, &mut pools, sums)?;
        if header.start_nanos > 0 {
            self.start = Some(self.start.map_or(header.start_nanos, |start| start.min(header.start_nanos)));
            self.end = self.end.max(header.start_nanos.saturating_add(header.duration_nanos));
        }
        Ok(header.size)
    }

    /// The values of each stack.
    fn sums(
        &self,
        chunk: Wire<'_>,
        header: &Header,
        described: &Classes,
        pools: &Pools<'_>,
    ) -> Result<Sums, ReadError> {
        let mut sums = Sums::new();
        let add = |sample: Sample| {
            let sum = sums.entry((sample.measure, self.labels.of(sample.context), sample.stack)).or_default();
            for (sum, value) in sum.iter_mut().zip([sample.count, sample.amount]) {
                *sum = sum.saturating_add(value);
            }
            LimitName::Samples.check(self.samples + sums.len(), self.limits.samples)
        };
        samples(chunk, header.ticks_per_second, described, pools, &self.settings, add)?;
        Ok(sums)
    }

    /// Adds the stacks of a chunk, in a fixed order.
    fn add(&mut self, described: &Classes, pools: &mut Pools<'_>, sums: Sums) -> Result<(), ReadError> {
        self.samples += sums.len();
        let mut sums: Vec<_> = sums.into_iter().collect();
        sums.sort_unstable_by_key(|(place, _)| *place);
        let mut frames: Vec<FunctionId> = Vec::new();
        for ((measure, labels, stack), values) in sums {
            frames.clear();
            pools.frames(described, stack, &mut self.interner, &self.limits, &mut frames)?;
            self.frames += frames.len();
            LimitName::Frames.check(self.frames, self.limits.frames)?;
            let types = MEASURES.get(measure).map_or(&[][..], |measure| measure.types);
            let stacks = self.stacks.entry((measure, labels)).or_default();
            stacks.frames.extend_from_slice(&frames);
            stacks.end();
            for (value, (name, _)) in values.iter().zip(types) {
                stacks.values.push(i64::try_from(*value).map_err(|_| ReadError::Overflow((*name).to_owned()))?);
            }
        }
        Ok(())
    }

    /// The profiles, their values in the units that the sample types name.
    fn finish(mut self, rate: Option<u32>) -> Result<Recording, ReadError> {
        let given = rate.filter(|rate| *rate > 0).map(|rate| i64::from((1_000_000_000 / rate).max(1)));
        let cpu = given.unwrap_or_else(|| self.settings.cpu_interval());
        let wall = given.unwrap_or_else(|| self.settings.wall_interval());
        if self.stacks.is_empty() {
            self.stacks.insert((CPU, 0), Stacks::default());
        }
        let symbols = self.interner.finish();
        let mut profiles = Vec::with_capacity(self.stacks.len());
        let mut places: Vec<_> = self.stacks.into_iter().collect();
        places.sort_unstable_by_key(|(place, _)| *place);
        for ((measure, labels), mut stacks) in places {
            let Some(of) = MEASURES.get(measure) else { continue };
            let period = match measure {
                CPU => cpu,
                WALL => wall,
                _ => 0,
            };
            scale(&mut stacks, of.types, period.max(1))?;
            let typed = |(name, unit): &(&str, &str)| SampleType::new(*name, *unit);
            profiles.push(RecordedProfile {
                name: of.name,
                labels: self.labels.sets.get(labels as usize).cloned().unwrap_or_default(),
                profile: Profile::from_parts(of.types.iter().map(typed).collect(), Arc::clone(&symbols), stacks),
                period_type: of.period.as_ref().map(typed),
                period,
            });
        }
        let event = Some(self.settings.event).filter(|event| !event.is_empty());
        let time = self.start.map(DateTime::from_timestamp_nanos);
        let duration = self.start.map(|start| TimeDelta::nanoseconds(self.end.saturating_sub(start)));
        Ok(Recording { profiles, event, time, duration: duration.filter(|length| *length > TimeDelta::zero()) })
    }
}

/// Multiplies the values, and makes sure that those of each type add up to a number of 64 bits.
fn scale(stacks: &mut Stacks, types: &[(&str, &str)], by: i64) -> Result<(), ReadError> {
    let mut sums = vec![0_i64; types.len()];
    for values in stacks.values.chunks_mut(types.len().max(1)) {
        for ((value, sum), (name, _)) in values.iter_mut().zip(&mut sums).zip(types) {
            let scaled = value.checked_mul(by).and_then(|value| Some((value, sum.checked_add(value)?)));
            (*value, *sum) = scaled.ok_or_else(|| ReadError::Overflow((*name).to_owned()))?;
        }
    }
    Ok(())
}
