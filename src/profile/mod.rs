//! The workshop: what a profile is, how it is read, merged, written and drawn.
//!
//! Pure and synchronous. It knows nothing of verdicts, of the web or of a database, and reads no clock.

mod budget;
mod builder;
mod flame_graph;
mod flamebearer;
mod folded;
mod inflate;
mod limits;
mod merge;
mod model;
mod pprof;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod write;

pub use budget::{Budget, Permit};
pub use builder::ProfileBuilder;
pub use flame_graph::{FlameGraphText, flame_graph, flame_graph_diff};
pub use flamebearer::{FlamebearerFile, FlamebearerSide, read_flamebearer};
pub use folded::read_folded;
pub use inflate::{gunzip, is_compressed};
pub use limits::{LimitName, Limits, ReadError};
pub use merge::{MergeError, merge};
pub use model::{Function, FunctionId, Profile, SampleType, Stack, TextId};
pub use pprof::{Labels, MAX_LABEL_SETS, PprofFile, read_pprof, read_pprof_by_labels};
pub use table::{FunctionRow, FunctionTable};
pub use write::{PprofHeader, write_pprof};
