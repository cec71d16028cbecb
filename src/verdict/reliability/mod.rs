//! How reliable the figures are: the number of samples, the interval of a share, and what is wrong with the data.
//!
//! Takes a profile's values and what its source knows of it; gives shares with their intervals, a band of confidence and
//! notes on the data. Findings, comparisons and rankings of the fleet rest on it.

mod confidence;
mod quality;

pub use confidence::{BUNCHING, Confidence, Share, estimated_samples};
pub(super) use confidence::{highest_severity, nanoseconds_per_tick};
pub use quality::{LabelValue, QualityCode, QualityNote, SourceFacts};
pub(super) use quality::{MOSTLY_IDLE_BELOW, QualityTicks, compared_notes, note_on_kind, notes, notes_without_data};
