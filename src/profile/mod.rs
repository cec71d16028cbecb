//! Profiles: the model, and how profiles are read, merged, written and drawn.
//!
//! Pure and synchronous: no verdicts, no network, no database, no clock.

mod budget;
mod builder;
mod caller_tree;
mod cpuprofile;
mod flame_graph;
mod flamebearer;
mod folded;
mod inflate;
mod jfr;
mod json;
mod limits;
mod merge;
mod model;
mod nodes;
mod pprof;
mod speedscope;
mod table;
mod tally;
#[cfg(test)]
pub(crate) mod tests;
mod text;
mod tree;
mod trie;
mod write;

pub use budget::{Budget, Permit};
pub use builder::ProfileBuilder;
pub use caller_tree::{FlameLevels, flame_levels, flame_levels_diff, largest_nodes};
pub use cpuprofile::read_cpuprofile;
pub use flame_graph::{FlameGraphText, flame_graph, flame_graph_diff};
pub use flamebearer::{FlamebearerFile, FlamebearerSide, read_flamebearer};
pub use folded::{read_folded, read_weighted_folded};
pub use inflate::{beginning, gunzip, inflate, is_compressed};
pub use jfr::{JfrContext, RecordedProfile, Recording, is_jfr, read_jfr};
pub use limits::{LimitName, ReadError, ReadLimits};
pub use merge::{MergeError, aligned, merge};
pub use model::{Function, FunctionId, Profile, SampleType, Stack, TextId};
pub use pprof::{Labels, MAX_LABEL_SETS, PprofFile, read_pprof, read_pprof_by_labels};
pub use speedscope::{SPEEDSCOPE_BYTES, SPEEDSCOPE_SAMPLES, SPEEDSCOPE_TIME, read_speedscope};
pub use table::{FunctionRow, FunctionTable};
pub use tally::Tally;
pub use tree::read_tree;
pub use trie::read_trie;
pub use write::{
    PprofHeader, without_time, write_flamebearer, write_folded, write_plain, write_pprof, write_pprof_by_label,
    write_speedscope,
};
