//! Writes folded text.

use std::borrow::Cow;
use std::io::Write;

use crate::profile::model::Profile;

/// Writes the values of one sample type as folded text: `root;caller;leaf 12`, one line for each stack whose value is not
/// 0, in the order of the profile. In names, `;` becomes `:` and a line end becomes a blank. A sample without a stack is
/// written as `[unknown]`. Files and lines are not written.
pub fn write_folded(profile: &Profile, sample_type: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(profile.frame_count() * 16);
    for stack in profile.stacks() {
        let value = stack.values.get(sample_type).copied().unwrap_or(0);
        if value == 0 {
            continue;
        }
        if stack.frames.is_empty() {
            out.extend_from_slice(UNKNOWN.as_bytes());
        }
        for (place, frame) in stack.frames.iter().rev().enumerate() {
            if place > 0 {
                out.push(b';');
            }
            out.extend_from_slice(in_line(profile.name(*frame)).as_bytes());
        }
        // Writing into memory cannot fail.
        let _ = writeln!(out, " {value}");
    }
    out
}

/// What stands for a name that is not known, in all formats that are read.
const UNKNOWN: &str = "[unknown]";

/// A name without the characters that end a frame or a line.
fn in_line(name: &str) -> Cow<'_, str> {
    if name.trim().is_empty() {
        return UNKNOWN.into();
    }
    if name.contains([';', '\n', '\r']) {
        return name.replace(';', ":").replace(['\n', '\r'], " ").into();
    }
    name.into()
}
