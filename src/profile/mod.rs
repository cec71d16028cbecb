//! The workshop: what a profile is, how it is read, merged, written and drawn.
//!
//! Pure and synchronous. It knows nothing of verdicts, of the web or of a database, and reads no clock.

mod model;

pub use model::{Function, FunctionId, Profile, ProfileBuilder, SampleType, Stack, TextId};
