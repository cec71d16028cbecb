//! Pyroscope's binary format `tree`: each node is a frame.

use super::builder::ProfileBuilder;
use super::inflate::inflate;
use super::limits::{LimitName, ReadError, ReadLimits};
use super::model::{Profile, SampleType};
use super::nodes::walk;
use super::tally::Tally;
use super::text::sanitise;

/// Reads a tree whose nodes are frames, with their self values. A root without a name is no frame; any other empty name
/// becomes `[unknown]`. Nothing is an empty profile. Gzip and zstd are inflated.
///
/// # Errors
/// The limit passed, or what cannot be read; `at` is a byte.
pub fn read_tree(bytes: &[u8], sample_type: SampleType, limits: &ReadLimits) -> Result<Profile, ReadError> {
    let inflated = inflate(bytes, limits)?;
    let mut tally = Tally::new(sample_type.name.as_str(), limits);
    let mut builder = ProfileBuilder::new(vec![sample_type]);
    // The open frames from the root, of which a root without a name is none.
    let (mut frames, mut above) = (Vec::new(), 0);
    walk(&inflated, limits, |depth, node| {
        LimitName::Name.check(node.name.len(), limits.name)?;
        if depth == 0 && node.name.is_empty() {
            above = 1;
        } else {
            frames.truncate(depth - above);
            LimitName::Stack.check(frames.len() + 1, limits.stack)?;
            let name = sanitise(node.name);
            frames.push(builder.function(if name.is_empty() { "[unknown]" } else { &name }, ""));
        }
        if node.value > 0 {
            tally.stack(frames.len(), node.value)?;
            builder.add(frames.iter().rev().copied(), &[node.value]);
        }
        Ok(())
    })?;
    Ok(builder.build())
}
