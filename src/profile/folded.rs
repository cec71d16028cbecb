//! Folded text: `root;caller;leaf 12`, one stack a line.

use super::builder::ProfileBuilder;
use super::inflate::inflate;
use super::limits::{LimitName, ReadError, ReadLimits};
use super::model::{Profile, SampleType};
use super::tally::Tally;
use super::text::{sanitise, without_line};

/// Reads folded text: on each line a stack from the root to the leaf, joined by `;`, a blank, and a whole number. Blank
/// lines are skipped, names may hold blanks, an empty name becomes `[unknown]`. Gzip and zstd are inflated.
///
/// # Errors
/// The limit passed, or the line that cannot be read.
pub fn read_folded(text: &[u8], sample_type: SampleType, limits: &ReadLimits) -> Result<Profile, ReadError> {
    read_inflated(&inflate(text, limits)?, sample_type, limits, 1)
}

/// Reads folded text whose numbers may be weights of no unit, as in milliseconds with decimals. If any number has
/// decimals, all values are in thousandths.
///
/// # Errors
/// The limit passed, or the line that cannot be read.
pub fn read_weighted_folded(text: &[u8], sample_type: SampleType, limits: &ReadLimits) -> Result<Profile, ReadError> {
    let inflated = inflate(text, limits)?;
    let unit = if has_decimals(&inflated) { THOUSANDTHS } else { 1 };
    read_inflated(&inflated, sample_type, limits, unit)
}

/// Reads folded text, with each value in units of which `unit` are 1.
fn read_inflated(text: &[u8], sample_type: SampleType, limits: &ReadLimits, unit: i64) -> Result<Profile, ReadError> {
    let mut tally = Tally::new(sample_type.name.as_str(), limits);
    let mut builder = ProfileBuilder::new(vec![sample_type]);
    let mut frames = Vec::new();
    for (line, at) in text.split(|byte| *byte == b'\n').zip(1..) {
        // py-spy writes samples without any frame as a number behind a blank.
        let without_frames = line.starts_with(b" ");
        let line = sanitise(line.trim_ascii());
        if line.is_empty() {
            continue;
        }
        let bad = |what: &str| ReadError::malformed(what, at);
        let split = line.rsplit_once([' ', '\t']).or(without_frames.then_some(("", &*line)));
        let (stack, value) = split.ok_or_else(|| bad("a line without a number"))?;
        let value = number(value, unit).ok_or_else(|| bad("a line that does not end in a whole number"))?;
        frames.clear();
        for frame in stack.trim_end().rsplit(';') {
            LimitName::Name.check(frame.len(), limits.name)?;
            LimitName::Stack.check(frames.len() + 1, limits.stack)?;
            let (name, line) = without_line(if frame.is_empty() { "[unknown]" } else { frame });
            let function = builder.function(&name, "");
            builder.line(function, line);
            frames.push(function);
        }
        tally.stack(frames.len(), value)?;
        builder.add(frames.iter().copied(), &[value]);
    }
    Ok(builder.build())
}

/// What 1 is worth in a text that has decimals.
const THOUSANDTHS: i64 = 1_000;

/// Whether a line ends in a number with a decimal point.
fn has_decimals(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n').any(|line| {
        let last = line.trim_ascii_end().rsplit(|byte| matches!(byte, b' ' | b'\t')).next().unwrap_or(&[]);
        last.contains(&b'.')
            && std::str::from_utf8(last).is_ok_and(|number| number.parse::<f64>().is_ok_and(f64::is_finite))
    })
}

/// A number in units of which `unit` are 1, rounded. `None` for what is no number or needs more than 63 bits.
fn number(text: &str, unit: i64) -> Option<i64> {
    if let Ok(whole) = text.parse::<i64>() {
        return whole.checked_mul(unit);
    }
    let scaled = text.parse::<f64>().ok().filter(|_| unit > 1)? * unit as f64;
    #[expect(clippy::cast_possible_truncation, reason = "checked against the largest number that f64 holds exactly")]
    (scaled.abs() < 9e15).then_some(scaled.round() as i64)
}
