//! Writes speedscope's JSON.

use serde::{Serialize, Serializer};

use crate::profile::model::{FunctionId, Profile};

/// The address by which tools recognise the format.
const SCHEMA: &str = "https://www.speedscope.app/file-format-schema.json";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'p> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    exporter: &'static str,
    name: &'p str,
    active_profile_index: usize,
    shared: Shared<'p>,
    profiles: [Sampled<'p>; 1],
}

#[derive(Serialize)]
struct Shared<'p> {
    frames: Vec<Frame<'p>>,
}

#[derive(Serialize)]
struct Frame<'p> {
    name: &'p str,
    #[serde(skip_serializing_if = "str::is_empty")]
    file: &'p str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sampled<'p> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'p str,
    unit: &'static str,
    start_value: i64,
    end_value: i64,
    samples: Samples<'p>,
    weights: Weights<'p>,
}

/// The stacks of one sample type, from the root, as indices of frames.
struct Samples<'p>(Values<'p>);
/// Their values.
struct Weights<'p>(Values<'p>);

/// One sample type of a profile.
#[derive(Clone, Copy)]
struct Values<'p> {
    profile: &'p Profile,
    sample_type: usize,
}

impl<'p> Values<'p> {
    /// The stacks whose value is over 0.
    fn stacks(self) -> impl Iterator<Item = (&'p [FunctionId], i64)> {
        let valued = move |values: &[i64]| values.get(self.sample_type).copied().filter(|value| *value > 0);
        self.profile.stacks().filter_map(move |stack| Some((stack.frames, valued(stack.values)?)))
    }
}

impl Serialize for Samples<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.stacks().map(|(frames, _)| FromRoot(frames)))
    }
}

impl Serialize for Weights<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.stacks().map(|(_, value)| value))
    }
}

/// A stack whose leaf comes first.
struct FromRoot<'p>(&'p [FunctionId]);

impl Serialize for FromRoot<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().rev().map(|frame| frame.index()))
    }
}

/// Writes one sample type as speedscope's JSON, as one `sampled` profile of that name with all functions in its table of
/// frames. Stacks whose value is not over 0 are left out, since the format has no negative weights. The unit is the sample
/// type's if speedscope knows it, and else `none`. Readers take numbers as `f64`, which are exact up to 2^53.
///
/// # Errors
/// None that a profile can cause: the type is that of the JSON writer.
pub fn write_speedscope(profile: &Profile, sample_type: usize, name: &str) -> Result<Vec<u8>, serde_json::Error> {
    let values = Values { profile, sample_type };
    let frames = profile.function_ids().map(|id| {
        let (name, file) = profile.function(id);
        Frame { name, file, line: profile.line(id) }
    });
    serde_json::to_vec(&Document {
        schema: SCHEMA,
        exporter: concat!("flamewarden ", env!("CARGO_PKG_VERSION")),
        name,
        active_profile_index: 0,
        shared: Shared { frames: frames.collect() },
        profiles: [Sampled {
            kind: "sampled",
            name,
            unit: unit(profile.sample_types().get(sample_type).map_or("", |t| t.unit.as_str())),
            start_value: 0,
            end_value: values.stacks().fold(0, |sum, (_, value)| sum.saturating_add(value)),
            samples: Samples(values),
            weights: Weights(values),
        }],
    })
}

/// A unit in speedscope's spelling.
fn unit(unit: &str) -> &'static str {
    const KNOWN: [&str; 5] = ["nanoseconds", "microseconds", "milliseconds", "seconds", "bytes"];
    KNOWN.into_iter().find(|known| *known == unit).unwrap_or("none")
}
