//! Reads pprof (`perftools.profiles.Profile`) straight from its bytes, without a tree of messages in between.
//!
//! Fields may come in any order, so the top level is scanned once for the string table, the single fields, and where
//! functions, mappings, locations and samples lie; then each of these kinds is read in the order it is needed in.
//! Beside the inflated bytes only tables of small integers are held. Sources send one kind after the other or, as Go
//! does, each when it is first needed: either has each byte looked at twice at most. Of a large profile the bytes come in
//! pieces of whole fields, each dropped once its samples are read: the stacks grow as the bytes go.

mod frames;
mod ids;
mod runs;
mod samples;
mod tables;
pub(super) mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use self::runs::Runs;
use self::samples::Samples;
use self::tables::{Locations, Strings};
use self::wire::{Wire, bytes, number, whole_fields};
use super::inflate::{Inflated, inflate_in_pieces};
use super::limits::{LimitName, ReadError, ReadLimits};
use super::model::{Profile, SampleType};

/// A pprof: its profile and what its header says.
#[derive(Debug, Clone, Default)]
pub struct PprofFile {
    /// The stacks, with every sample type.
    pub profile: Profile,
    /// When the profile was taken; `None` where the source does not say.
    pub time: Option<DateTime<Utc>>,
    /// How long it was taken for; `None` where the source does not say.
    pub duration: Option<TimeDelta>,
    /// What [`PprofFile::period`] counts.
    pub period_type: Option<SampleType>,
    /// Between two samples, in the unit of the period type; 0 where unknown.
    pub period: i64,
    /// The sample type that a reader should show first.
    pub default_sample_type: Option<String>,
    /// Free texts.
    pub comments: Vec<String>,
}

/// A set of values of labels.
pub type Labels = BTreeMap<String, String>;

/// Label sets of one pprof kept apart by [`read_pprof_by_labels`]; samples of further ones count as without labels.
pub const MAX_LABEL_SETS: usize = 1_000;

/// Reads a pprof: gzip (several members too), zstd or plain, recognised by the first bytes. Labels are ignored: samples
/// of the same locations are one stack, their values added.
///
/// Names that are not UTF-8, and U+0000, are read with U+FFFD in their place. A location without functions becomes a
/// frame named after its mapping's file, such as `[libc.so.6]`, or `[unknown]`. No bytes at all are an empty profile:
/// that is how some servers say "no data".
///
/// # Errors
/// The limit passed, or what cannot be read and at which byte.
pub fn read_pprof(bytes: &[u8], limits: &ReadLimits) -> Result<PprofFile, ReadError> {
    let parts = read_pprof_by_labels(bytes, limits, &[])?;
    Ok(parts.into_iter().next().map(|(_, file)| file).unwrap_or_default())
}

/// Reads a pprof as [`read_pprof`] does, one profile for each set of values that its samples have for the string labels
/// in `keep`, in the order of the sets. There is always at least one; all share their names and functions. The first has
/// the comments.
///
/// # Errors
/// The limit passed, or what cannot be read and at which byte.
pub fn read_pprof_by_labels(
    bytes: &[u8],
    limits: &ReadLimits,
    keep: &[&str],
) -> Result<Vec<(Labels, PprofFile)>, ReadError> {
    let inflated = inflate_in_pieces(bytes, limits, whole_fields)?;
    let mut pieces = Vec::with_capacity(inflated.len());
    let outline = Outline::scan(inflated, &mut pieces, limits)?;
    // Pieces with strings are needed for longer. They usually come last.
    let held = pieces.split_off(pieces.iter().position(|piece| piece.strings).unwrap_or(pieces.len()));
    let mut strings = Strings::new(&held, &outline, limits)?;
    let mut file = outline.header(&strings)?;
    // Copied into each part, a long one would be very many bytes.
    let mut comments = std::mem::take(&mut file.comments);
    let sample_types = outline.sample_types(&strings, limits)?;
    let locations = Locations::read(pieces.iter().chain(&held), &outline, &mut strings)?;
    let mut samples = Samples::new(&locations, limits, &sample_types, keep);
    samples.make_room(outline.sample_count, pieces.iter().chain(&held))?;
    for piece in pieces {
        samples.read(&piece, Some(&strings))?;
    }
    let symbols = if keep.is_empty() {
        let symbols = strings.into_symbols();
        for piece in held {
            samples.read(&piece, None)?;
        }
        symbols
    } else {
        for piece in &held {
            samples.read(piece, Some(&strings))?;
        }
        strings.into_symbols()
    };
    let parts = samples.finish();
    let with = |(labels, stacks)| {
        let profile = Profile::from_parts(sample_types.clone(), Arc::clone(&symbols), stacks);
        (labels, PprofFile { profile, comments: std::mem::take(&mut comments), ..file.clone() })
    };
    Ok(parts.into_iter().map(with).collect())
}

const SAMPLE_TYPE: u64 = bytes(1);
const SAMPLE: u64 = bytes(2);
const MAPPING: u64 = bytes(3);
const LOCATION: u64 = bytes(4);
const FUNCTION: u64 = bytes(5);
const STRING: u64 = bytes(6);
const TIME_NANOS: u64 = number(9);
const DURATION_NANOS: u64 = number(10);
const PERIOD_TYPE: u64 = bytes(11);
const PERIOD: u64 = number(12);
const COMMENT: u64 = number(13);
const COMMENTS: u64 = bytes(13);
const DEFAULT_SAMPLE_TYPE: u64 = number(14);

/// Bytes of a profile, in whole fields, and the positions of each kind among them.
pub(super) struct Piece<'b> {
    bytes: Inflated<'b>,
    /// Where it starts in the profile.
    start: usize,
    samples: Runs,
    mappings: Runs,
    locations: Runs,
    functions: Runs,
    /// Whether it holds strings.
    strings: bool,
}

impl Piece<'_> {
    /// The messages of one kind, a run at a time.
    fn runs<'s>(&'s self, of: &'s Runs) -> impl Iterator<Item = Wire<'s>> {
        let all = Wire::new(&self.bytes);
        of.iter().map(move |run| all.region(&run))
    }
}

/// What a pprof has beside what its [`Piece`]s say: its single fields and how much there is of all others.
#[derive(Default)]
pub(super) struct Outline {
    /// Name and unit of each, as places of strings.
    sample_types: Vec<(u64, u64)>,
    mapping_count: usize,
    location_count: usize,
    function_count: usize,
    sample_count: usize,
    /// Where each string starts and ends, from the start of the profile.
    strings: Vec<(u32, u32)>,
    time_nanos: i64,
    duration_nanos: i64,
    period_type: Option<(u64, u64)>,
    period: i64,
    comments: Vec<u64>,
    default_sample_type: u64,
    bytes: usize,
}

impl Outline {
    fn scan<'b>(
        inflated: Vec<Inflated<'b>>,
        pieces: &mut Vec<Piece<'b>>,
        limits: &ReadLimits,
    ) -> Result<Self, ReadError> {
        let mut outline = Self::default();
        for bytes in inflated {
            let start = outline.bytes;
            outline.bytes += bytes.len();
            if u32::try_from(outline.bytes).is_err() {
                return Err(ReadError::malformed("it is over 4 GiB", start));
            }
            let [samples, mappings, locations, functions] = std::array::from_fn(|_| Runs::within(bytes.len()));
            let mut piece = Piece { bytes, start, samples, mappings, locations, functions, strings: false };
            outline.piece(&mut piece, limits).map_err(|error| error.behind(start))?;
            pieces.push(piece);
        }
        Ok(outline)
    }

    #[expect(clippy::cast_possible_wrap, reason = "int64 travels as its two's complement")]
    #[expect(clippy::cast_possible_truncation, reason = "a profile is under 4 GiB")]
    fn piece(&mut self, piece: &mut Piece<'_>, limits: &ReadLimits) -> Result<(), ReadError> {
        let Piece { bytes, samples, mappings, locations, functions, .. } = piece;
        let mut wire = Wire::new(bytes);
        loop {
            let start = wire.at();
            let Some(tag) = wire.tag()? else { return Ok(()) };
            match tag {
                SAMPLE => {
                    self.sample_count += wire.skip_run(SAMPLE)?;
                    samples.add(start, wire.at());
                }
                MAPPING => {
                    self.mapping_count += wire.skip_run(MAPPING)?;
                    mappings.add(start, wire.at());
                }
                LOCATION => {
                    self.location_count += wire.skip_run(LOCATION)?;
                    locations.add(start, wire.at());
                }
                FUNCTION => {
                    self.function_count += wire.skip_run(FUNCTION)?;
                    functions.add(start, wire.at());
                }
                STRING => {
                    piece.strings = true;
                    let string = wire.delimited()?;
                    self.strings.push(((piece.start + string.at()) as u32, (piece.start + wire.at()) as u32));
                }
                SAMPLE_TYPE => self.sample_types.push(value_type(wire.delimited()?)?),
                PERIOD_TYPE => self.period_type = Some(value_type(wire.delimited()?)?),
                TIME_NANOS => self.time_nanos = wire.varint()? as i64,
                DURATION_NANOS => self.duration_nanos = wire.varint()? as i64,
                PERIOD => self.period = wire.varint()? as i64,
                COMMENT | COMMENTS => wire.each(tag, |text| {
                    self.comments.push(text);
                    LimitName::Symbols.check(self.comments.len(), limits.symbols)
                })?,
                DEFAULT_SAMPLE_TYPE => self.default_sample_type = wire.varint()?,
                _ => match tag >> 3 {
                    field @ 2..=6 => return Err(ReadError::malformed(format!("field {field} is no message"), start)),
                    _ => wire.skip(tag)?,
                },
            }
            LimitName::Symbols.check(self.symbols(), limits.symbols)?;
        }
    }

    /// How many entries all tables have.
    fn symbols(&self) -> usize {
        self.mapping_count + self.location_count + self.function_count + self.strings.len()
    }

    fn header(&self, strings: &Strings<'_>) -> Result<PprofFile, ReadError> {
        let named = |text: String| if text.is_empty() { None } else { Some(text) };
        Ok(PprofFile {
            profile: Profile::default(),
            time: (self.time_nanos != 0).then(|| DateTime::from_timestamp_nanos(self.time_nanos)),
            duration: (self.duration_nanos > 0).then(|| TimeDelta::nanoseconds(self.duration_nanos)),
            period_type: match &self.period_type {
                Some(texts) => Some(strings.value_type(texts)?).filter(|t| !t.name.is_empty() || !t.unit.is_empty()),
                None => None,
            },
            period: self.period,
            default_sample_type: named(strings.owned(self.default_sample_type)?),
            comments: self.comments(strings)?,
        })
    }

    /// The free texts. A few bytes that name a long text again and again must not expand to gigabytes.
    fn comments(&self, strings: &Strings<'_>) -> Result<Vec<String>, ReadError> {
        let mut room = self.bytes;
        let mut comments = Vec::with_capacity(self.comments.len());
        for text in &self.comments {
            let left = room.checked_sub(strings.bytes(*text)?.len());
            room = left.ok_or_else(|| ReadError::malformed("its comments name the same text too often", 0))?;
            comments.push(strings.owned(*text)?);
        }
        Ok(comments)
    }

    fn sample_types(&self, strings: &Strings<'_>, limits: &ReadLimits) -> Result<Vec<SampleType>, ReadError> {
        LimitName::SampleTypes.check(self.sample_types.len(), limits.sample_types)?;
        self.sample_types.iter().map(|texts| strings.value_type(texts)).collect()
    }
}

const TYPE_NAME: u64 = number(1);
const TYPE_UNIT: u64 = number(2);

/// The strings that a sample type's name and unit are.
fn value_type(mut message: Wire<'_>) -> Result<(u64, u64), ReadError> {
    let (mut name, mut unit) = (0, 0);
    while let Some(tag) = message.tag()? {
        match tag {
            TYPE_NAME => name = message.varint()?,
            TYPE_UNIT => unit = message.varint()?,
            _ => message.skip(tag)?,
        }
    }
    Ok((name, unit))
}
