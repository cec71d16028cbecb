//! Folded text: `root;caller;leaf 12`, one stack a line.

use super::builder::ProfileBuilder;
use super::inflate::inflate;
use super::limits::{LimitName, ReadError, ReadLimits};
use super::model::{Profile, SampleType};
use super::text::sanitise;

/// Reads folded text: on each line a stack from the root to the leaf, joined by `;`, a blank, and a whole number. Blank
/// lines are skipped, names may hold blanks, an empty name becomes `[unknown]`. Gzip and zstd are inflated.
///
/// # Errors
/// The limit passed, or the line that cannot be read.
pub fn read_folded(text: &[u8], sample_type: SampleType, limits: &ReadLimits) -> Result<Profile, ReadError> {
    let inflated = inflate(text, limits)?;
    let name = sample_type.name.clone();
    let mut builder = ProfileBuilder::new(vec![sample_type]);
    let (mut stacks, mut all_frames, mut sum) = (0, 0, 0_u64);
    let mut frames = Vec::new();
    for (line, at) in inflated.split(|byte| *byte == b'\n').zip(1..) {
        let line = sanitise(line.trim_ascii());
        if line.is_empty() {
            continue;
        }
        let bad = |what: &str| ReadError::malformed(what, at);
        let (stack, value) = line.rsplit_once([' ', '\t']).ok_or_else(|| bad("a line without a number"))?;
        let value: i64 = value.parse().map_err(|_| bad("a line that does not end in a whole number"))?;
        stacks += 1;
        LimitName::Samples.check(stacks, limits.samples)?;
        frames.clear();
        for frame in stack.trim_end().rsplit(';') {
            LimitName::Name.check(frame.len(), limits.name)?;
            LimitName::Stack.check(frames.len() + 1, limits.stack)?;
            frames.push(builder.function(if frame.is_empty() { "[unknown]" } else { frame }, ""));
        }
        all_frames += frames.len();
        LimitName::Frames.check(all_frames, limits.frames)?;
        sum = sum.saturating_add(value.unsigned_abs());
        if i64::try_from(sum).is_err() {
            return Err(ReadError::Overflow(name));
        }
        builder.add(frames.iter().copied(), &[value]);
    }
    Ok(builder.build())
}
