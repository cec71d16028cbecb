//! The types that all rooms share: names, kinds of profile, windows, severities, roles, time, ids, the error of ports and
//! the call; and the threads for heavy work.
//!
//! Nothing here does I/O or depends on the web. Every value of these types is valid, because it is checked when it is
//! made.

mod actor;
mod call;
mod change;
mod cost;
mod duration;
mod error;
mod ids;
mod json;
mod names;
mod near;
mod no_data;
mod offload;
mod page;
mod percent;
mod profile_type;
mod progress;
mod role;
mod selector;
mod severity;
mod stored;
mod tenant;
#[cfg(test)]
pub(crate) mod testing;
mod time;
mod token_digest;
mod trace;
mod version;
mod words;

pub use actor::{AccessMethod, Actor, InvalidActor};
#[cfg(test)]
pub(crate) use call::CALL;
pub use call::{Call, Caller, Priority, Urgency};
pub use change::Change;
pub use cost::{CostPerCoreHour, InvalidCost};
pub use duration::parse_duration;
pub use error::{PortError, PortResult};
pub use ids::SequentialIds;
pub use ids::{IdSource, RandomIds, RowId};
pub use json::{InvalidJson, JsonObject, MAX_JSON_BYTES, check_json, holds_nul};
pub use names::{AppName, FunctionName, InvalidName, Note, Text255, Tier, check_text};
pub use near::near;
pub use no_data::NoDataReason;
pub use offload::offload;
pub use page::{Page, all_pages};
pub use percent::{InvalidPercent, Percent, percent_of, round2, round4};
pub use profile_type::{ProfileType, UnknownProfileType};
pub use progress::{Phase, Progress};
pub use role::{Role, UnknownRole};
pub use selector::{InvalidSelector, LabelMatcher, Labels, MatchOp, Selector};
pub use severity::{FindingSeverity, LimitSeverity};
pub use stored::{OddRow, Repeated, Stored};
pub use tenant::{InvalidTenant, Tenant};
pub use time::FixedClock;
pub use time::{Clock, DEFAULT_WINDOW, InvalidWindow, MAX_WINDOW, SystemClock, TimeWindow, rfc3339, rfc3339_or_null};
pub use token_digest::{InvalidDigest, TokenDigest};
pub use trace::{InvalidTrace, Trace};
pub use version::Version;
pub(crate) use words::words;
