//! Writes profiles: pprof here, other formats in the files below.

mod flamebearer;
mod folded;
mod speedscope;

use std::io::Write;

use chrono::{DateTime, TimeDelta, Utc};
use flate2::Compression;
use flate2::write::GzEncoder;
use rustc_hash::FxHashMap;

use super::inflate::inflate;
use super::limits::{ReadError, ReadLimits};
use super::merge::aligned;
use super::model::{Profile, SampleType};

pub use self::flamebearer::write_flamebearer;
pub use self::folded::write_folded;
pub use self::speedscope::write_speedscope;

/// What a pprof says beside its stacks.
#[derive(Debug, Clone, Default)]
pub struct PprofHeader {
    /// When the profile was taken.
    pub time: Option<DateTime<Utc>>,
    /// How long it was taken for.
    pub duration: Option<TimeDelta>,
    /// What the period counts.
    pub period_type: Option<SampleType>,
    /// Between two samples, in the unit of the period type.
    pub period: i64,
    /// The sample type that a reader should show first.
    pub default_sample_type: Option<String>,
    /// Free texts.
    pub comments: Vec<String>,
}

/// Writes a profile as gzip pprof: one function and one location for each function of the model, stacks in their order.
/// The same profile gives the same bytes.
pub fn write_pprof(profile: &Profile, header: &PprofHeader) -> Vec<u8> {
    gzip(&write_plain(profile, header))
}

/// Writes several profiles of the same sample types as one gzip pprof, whose samples have the text of their profile as
/// the value of a label. [`read_pprof_by_labels`](super::read_pprof_by_labels) reads them apart.
pub fn write_pprof_by_label(label: &str, profiles: &[(String, Profile)], header: &PprofHeader) -> Vec<u8> {
    let (values, profiles): (Vec<_>, Vec<_>) = profiles.iter().map(|(value, profile)| (value, profile.clone())).unzip();
    let aligned = aligned(profiles);
    let parts: Vec<_> = values.into_iter().map(|value| Some((label, value.as_str()))).zip(&aligned).collect();
    gzip(&write_parts(&parts, header))
}

/// A pprof as gzip that is the same but does not say when it was taken.
///
/// # Errors
/// It cannot be inflated, or is over a limit.
pub fn without_time(pprof: &[u8], limits: &ReadLimits) -> Result<Vec<u8>, ReadError> {
    let mut plain = inflate(pprof, limits)?.into_owned();
    // Of a field that is there twice, the last counts.
    plain.extend_from_slice(&[9 << 3, 0]);
    Ok(gzip(&plain))
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    // No time and no name in the header: the same bytes for the same profile.
    let mut gzip = GzEncoder::new(Vec::with_capacity(plain.len() / 3 + 64), Compression::fast());
    // Writing into memory cannot fail.
    let _ = gzip.write_all(plain);
    gzip.finish().unwrap_or_default()
}

/// Writes a profile as pprof, not compressed.
pub fn write_plain(profile: &Profile, header: &PprofHeader) -> Vec<u8> {
    write_parts(&[(None, profile)], header)
}

/// Writes profiles that share their functions. The samples of each have this label and value, if any.
fn write_parts(parts: &[(Option<(&str, &str)>, &Profile)], header: &PprofHeader) -> Vec<u8> {
    let none = Profile::default();
    let profile = parts.first().map_or(&none, |(_, first)| first);
    let mut strings = Strings::default();
    strings.id("");
    let frames: usize = parts.iter().map(|(_, part)| part.frame_count()).sum();
    let mut out = Out(Vec::with_capacity(frames * 2 + profile.function_count() * 64));
    for sample_type in profile.sample_types() {
        let message = value_type(sample_type, &mut strings);
        out.message(1, &message);
    }
    let mut message = Out::default();
    for (label, part) in parts {
        message.0.clear();
        if let Some((label, value)) = label {
            message.number(1, strings.id(label));
            message.number(2, strings.id(value));
        }
        write_samples(&mut out, part, &message);
    }
    let mut line = Out::default();
    for function in profile.function_ids() {
        let id = function.index() as u64 + 1;
        line.0.clear();
        line.number(1, id);
        line.number(2, u64::from(profile.line(function).unwrap_or(0)));
        message.0.clear();
        message.number(1, id);
        message.message(4, &line);
        out.message(4, &message);
    }
    for function in profile.function_ids() {
        let (name, file) = profile.function(function);
        message.0.clear();
        message.number(1, function.index() as u64 + 1);
        message.number(2, strings.id(name));
        message.number(4, strings.id(file));
        out.message(5, &message);
    }
    write_header(&mut out, header, &mut strings);
    for text in &strings.list {
        out.bytes(6, text.as_bytes());
    }
    out.0
}

/// Writes the stacks, each with the message of a label where that is not empty.
fn write_samples(out: &mut Out, profile: &Profile, label: &Out) {
    let mut sample = Out::default();
    let mut packed = Out::default();
    for stack in profile.stacks() {
        sample.0.clear();
        packed.0.clear();
        for frame in stack.frames {
            packed.varint(frame.index() as u64 + 1);
        }
        sample.packed(1, &packed);
        packed.0.clear();
        for value in stack.values {
            packed.varint(value.cast_unsigned());
        }
        sample.packed(2, &packed);
        sample.packed(3, label);
        out.message(2, &sample);
    }
}

fn write_header<'t>(out: &mut Out, header: &'t PprofHeader, strings: &mut Strings<'t>) {
    let nanos = header.time.and_then(|time| time.timestamp_nanos_opt()).unwrap_or(0);
    out.number(9, nanos.cast_unsigned());
    let nanos = header.duration.and_then(|duration| duration.num_nanoseconds()).unwrap_or(0);
    out.number(10, nanos.cast_unsigned());
    if let Some(period_type) = &header.period_type {
        let message = value_type(period_type, strings);
        out.message(11, &message);
    }
    out.number(12, header.period.cast_unsigned());
    for comment in &header.comments {
        // Written even where it is string 0: an absent element would vanish.
        let id = strings.id(comment);
        out.varint(13 << 3);
        out.varint(id);
    }
    out.number(14, header.default_sample_type.as_deref().map_or(0, |name| strings.id(name)));
}

fn value_type<'t>(sample_type: &'t SampleType, strings: &mut Strings<'t>) -> Out {
    let mut message = Out::default();
    message.number(1, strings.id(&sample_type.name));
    message.number(2, strings.id(&sample_type.unit));
    message
}

/// The string table while it is written.
#[derive(Default)]
struct Strings<'t> {
    list: Vec<&'t str>,
    ids: FxHashMap<&'t str, u64>,
}

impl<'t> Strings<'t> {
    fn id(&mut self, text: &'t str) -> u64 {
        let Self { list, ids } = self;
        *ids.entry(text).or_insert_with(|| {
            list.push(text);
            list.len() as u64 - 1
        })
    }
}

/// The bytes of a message while it is written.
#[derive(Default)]
struct Out(Vec<u8>);

impl Out {
    #[expect(clippy::cast_possible_truncation, reason = "seven bits fit a byte")]
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value as u8 & 0x7f) | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// A number, left out where it is 0 as proto3 does.
    fn number(&mut self, field: u64, value: u64) {
        if value != 0 {
            self.varint(field << 3);
            self.varint(value);
        }
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn message(&mut self, field: u64, message: &Self) {
        self.bytes(field, &message.0);
    }

    /// A field of bytes; left out where there are none.
    fn packed(&mut self, field: u64, numbers: &Self) {
        if !numbers.0.is_empty() {
            self.bytes(field, &numbers.0);
        }
    }
}
