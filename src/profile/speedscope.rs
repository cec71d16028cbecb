//! speedscope's JSON: several profiles over one table of frames, each a list of weighted stacks (`sampled`) or of frames
//! that open and close (`evented`).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::builder::ProfileBuilder;
use super::inflate::inflate;
use super::json::{each, malformed};
use super::limits::{LimitName, ReadError, ReadLimits};
use super::model::{FunctionId, Profile, SampleType};
use super::tally::Tally;
use super::text::without_line;

/// What the values of a speedscope profile count, as sample types of the profile that [`read_speedscope`] gives. The file
/// does not say more: time may be CPU time or elapsed time, bytes may be allocated or in use.
pub const SPEEDSCOPE_SAMPLES: (&str, &str) = ("samples", "");
/// Time, whatever its unit in the file.
pub const SPEEDSCOPE_TIME: (&str, &str) = ("duration", "nanoseconds");
/// Bytes.
pub const SPEEDSCOPE_BYTES: (&str, &str) = ("bytes", "bytes");

#[derive(Deserialize)]
struct Document<'j> {
    #[serde(borrow)]
    shared: Shared<'j>,
    #[serde(borrow)]
    profiles: &'j RawValue,
}

#[derive(Deserialize)]
struct Shared<'j> {
    #[serde(borrow)]
    frames: &'j RawValue,
}

#[derive(Deserialize)]
struct Frame<'j> {
    #[serde(borrow)]
    name: Cow<'j, str>,
    #[serde(borrow, default)]
    file: Option<&'j RawValue>,
    #[serde(default)]
    line: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'j> {
    #[serde(rename = "type")]
    kind: Kind,
    unit: Unit,
    #[serde(default)]
    start_value: Option<f64>,
    #[serde(default)]
    end_value: Option<f64>,
    #[serde(borrow, default)]
    samples: Option<&'j RawValue>,
    #[serde(borrow, default)]
    weights: Option<&'j RawValue>,
    #[serde(borrow, default)]
    events: Option<&'j RawValue>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Sampled,
    Evented,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Unit {
    None,
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Seconds,
    Bytes,
}

impl Unit {
    /// The sample type, and what one of the unit is in its unit.
    fn counts(self) -> ((&'static str, &'static str), f64) {
        match self {
            Self::None => (SPEEDSCOPE_SAMPLES, 1.0),
            Self::Nanoseconds => (SPEEDSCOPE_TIME, 1.0),
            Self::Microseconds => (SPEEDSCOPE_TIME, 1e3),
            Self::Milliseconds => (SPEEDSCOPE_TIME, 1e6),
            Self::Seconds => (SPEEDSCOPE_TIME, 1e9),
            Self::Bytes => (SPEEDSCOPE_BYTES, 1.0),
        }
    }
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: EventKind,
    at: f64,
    frame: usize,
}

#[derive(Deserialize, PartialEq)]
enum EventKind {
    #[serde(rename = "O")]
    Open,
    #[serde(rename = "C")]
    Close,
}

/// Reads a speedscope file. Its profiles (often one for each thread) are added up by what they count; the profile has one
/// sample type for each of that. Fractions are kept until they add up to a whole number. Gzip and zstd are inflated.
///
/// # Errors
/// The limit passed, or what cannot be read; `at` is a line, or the number of an item in its list.
pub fn read_speedscope(json: &[u8], limits: &ReadLimits) -> Result<Profile, ReadError> {
    let inflated = inflate(json, limits)?;
    let Document { shared, profiles: listed } = serde_json::from_slice(&inflated)
        .map_err(|e| ReadError::malformed(format!("no speedscope JSON: {e}"), e.line()))?;
    let mut profiles: Vec<Listed<'_>> = Vec::new();
    let mut types = Vec::new();
    each(listed, |profile: Listed<'_>| {
        let (sample_type, _) = profile.unit.counts();
        if !types.contains(&sample_type) {
            types.push(sample_type);
        }
        profiles.push(profile);
        Ok(())
    })?;
    let mut builder = ProfileBuilder::new(types.iter().map(|(name, unit)| SampleType::new(*name, *unit)).collect());
    let frames = functions(shared.frames, &mut builder, limits)?;
    let mut tallies: Vec<_> = types.iter().map(|(name, _)| Tally::new(*name, limits)).collect();
    for profile in &profiles {
        let (sample_type, scale) = profile.unit.counts();
        let Some(place) = types.iter().position(|t| *t == sample_type) else { continue };
        let Some(tally) = tallies.get_mut(place) else { continue };
        let mut values = vec![0; types.len()];
        let mut add = |stack: &[FunctionId], value: i64| {
            if value == 0 {
                return Ok(());
            }
            tally.stack(stack.len(), value)?;
            if let Some(at) = values.get_mut(place) {
                *at = value;
            }
            builder.add(stack.iter().rev().copied(), &values);
            Ok(())
        };
        let reader = Reader { frames: &frames, scale: Whole { scale, given: 0 }, limits };
        match profile.kind {
            Kind::Sampled => reader.sampled(profile, &mut add)?,
            Kind::Evented => reader.evented(profile, &mut add)?,
        }
    }
    Ok(builder.build())
}

/// The function of each frame in the table.
fn functions(
    listed: &RawValue,
    builder: &mut ProfileBuilder,
    limits: &ReadLimits,
) -> Result<Vec<FunctionId>, ReadError> {
    let mut functions = Vec::new();
    each(listed, |frame: Frame<'_>| {
        LimitName::Symbols.check(functions.len() + 1, limits.symbols)?;
        let file: Option<Cow<'_, str>> = match frame.file {
            Some(file) => serde_json::from_str(file.get()).map_err(|e| malformed(&e))?,
            None => None,
        };
        let file = file.unwrap_or_default();
        LimitName::Name.check(frame.name.len().max(file.len()), limits.name)?;
        let (name, in_name) = without_line(if frame.name.is_empty() { "[unknown]" } else { &frame.name });
        let function = builder.function(&storable(&name), &storable(&file));
        builder.line(function, line(frame.line).max(in_name));
        functions.push(function);
        Ok(())
    })?;
    Ok(functions)
}

/// The text without U+0000, which PostgreSQL cannot store.
fn storable(text: &str) -> Cow<'_, str> {
    super::text::sanitise(text.as_bytes())
}

/// A line, from 1; 0 where there is none.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, and 0 says nothing")]
fn line(line: Option<f64>) -> u32 {
    line.unwrap_or(0.0) as u32
}

/// What is added up so far as a whole number: the fractions of single values are not lost.
#[derive(Clone, Copy)]
struct Whole {
    scale: f64,
    given: i64,
}

impl Whole {
    /// The whole number by which the sum grows when it becomes `sum`. `None` if it does not grow but shrinks, or is no
    /// number that fits.
    #[expect(clippy::cast_possible_truncation, reason = "checked to fit")]
    fn up_to(&mut self, sum: f64) -> Option<i64> {
        let scaled = (sum * self.scale).round();
        // 2^63, the first that does not fit.
        if !(0.0..9_223_372_036_854_775_808.0).contains(&scaled) {
            return None;
        }
        let more = (scaled as i64).checked_sub(self.given).filter(|more| *more >= 0)?;
        self.given += more;
        Some(more)
    }
}

/// Reads one profile.
struct Reader<'r> {
    frames: &'r [FunctionId],
    scale: Whole,
    limits: &'r ReadLimits,
}

impl Reader<'_> {
    fn frame(&self, index: usize, at: usize) -> Result<FunctionId, ReadError> {
        let frame = self.frames.get(index).copied();
        frame.ok_or_else(|| ReadError::malformed(format!("frame {index} of {} frames", self.frames.len()), at))
    }

    fn sampled(
        mut self,
        profile: &Listed<'_>,
        add: &mut impl FnMut(&[FunctionId], i64) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let (Some(samples), Some(listed)) = (profile.samples, profile.weights) else {
            return Err(ReadError::malformed("a sampled profile without samples and weights", 0));
        };
        let mut weights: Vec<f64> = Vec::new();
        each(listed, |weight| {
            weights.push(weight);
            LimitName::Samples.check(weights.len(), self.limits.samples)
        })?;
        let (mut at, mut sum) = (0, 0.0);
        let mut stack = Vec::new();
        each(samples, |sample: &RawValue| {
            let weight = weights.get(at).copied().filter(|weight| *weight >= 0.0);
            let weight = weight.ok_or_else(|| ReadError::malformed("a sample without a weight of 0 or more", at))?;
            sum += weight;
            stack.clear();
            each(sample, |frame| {
                stack.push(self.frame(frame, at)?);
                LimitName::Stack.check(stack.len(), self.limits.stack)
            })?;
            let value = self.scale.up_to(sum).ok_or_else(|| ReadError::malformed("a sum that does not fit", at))?;
            at += 1;
            add(&stack, value)
        })?;
        if at == weights.len() { Ok(()) } else { Err(ReadError::malformed("a weight without a sample", at)) }
    }

    fn evented(
        mut self,
        profile: &Listed<'_>,
        add: &mut impl FnMut(&[FunctionId], i64) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let Some(events) = profile.events else {
            return Err(ReadError::malformed("an evented profile without events", 0));
        };
        let mut start = profile.start_value;
        let mut stack = Vec::new();
        let mut at = 0;
        each(events, |event: Event| {
            let backwards = || ReadError::malformed("an event before the one that comes first", at);
            let passed = event.at - *start.get_or_insert(event.at);
            let value = self.scale.up_to(passed).ok_or_else(backwards)?;
            if !stack.is_empty() {
                add(&stack, value)?;
            }
            let frame = self.frame(event.frame, at)?;
            match event.kind {
                EventKind::Open => {
                    stack.push(frame);
                    LimitName::Stack.check(stack.len(), self.limits.stack)?;
                }
                EventKind::Close if stack.last() == Some(&frame) => {
                    stack.pop();
                }
                EventKind::Close => return Err(ReadError::malformed("the end of a frame that is not the last", at)),
            }
            at += 1;
            Ok(())
        })?;
        // What is open at the end goes on until then.
        if let (false, Some(start), Some(end)) = (stack.is_empty(), start, profile.end_value) {
            let value = self.scale.up_to(end - start);
            add(&stack, value.ok_or_else(|| ReadError::malformed("an end before the last event", at))?)?;
        }
        Ok(())
    }
}
