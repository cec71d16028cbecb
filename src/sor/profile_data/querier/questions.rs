//! What requests ask for, checked: windows, types, selectors, and what is not served.

use chrono::{DateTime, TimeDelta, Utc};

use super::super::proto::querier::v1::{SelectMergeProfileRequest, SelectMergeStacktracesRequest, SelectSeriesRequest};
use super::super::proto::types::v1::StackTraceSelector;
use super::super::type_id::TypeId;
use super::connect::invalid;
use super::selector::Matchers;
use crate::http::Problem;
use crate::kernel::TimeWindow;

/// How many nodes a flame graph has unless the request says so, and the most that it may ask for.
const NODES: usize = 8_192;
const MAX_NODES: usize = 1 << 20;

/// The window between two times in milliseconds since the epoch. The end is outside; a window of no length is one of a
/// millisecond.
pub(super) fn window(start_ms: i64, end_ms: i64) -> Result<TimeWindow, Problem> {
    if start_ms == 0 || end_ms == 0 {
        return Err(invalid("missing time range in the query"));
    }
    let at =
        |ms| DateTime::from_timestamp_millis(ms).ok_or_else(|| invalid(format!("{ms} is no time in milliseconds")));
    between(at(start_ms)?, at(end_ms)?)
}

/// The window between two times.
pub(super) fn between(start: DateTime<Utc>, end: DateTime<Utc>) -> Result<TimeWindow, Problem> {
    if start > end {
        return Err(invalid("query start time is after end time"));
    }
    let end = end.max(start + TimeDelta::milliseconds(1));
    TimeWindow::new(start, end).map_err(|e| invalid(e.to_string()))
}

/// The last hour.
pub(super) fn last_hour(now: DateTime<Utc>) -> Result<TimeWindow, Problem> {
    between(now - TimeDelta::hours(1), now)
}

/// A full type ID.
pub(super) fn type_id(text: &str) -> Result<TypeId, Problem> {
    text.parse().map_err(|_| {
        invalid(format!(
            "profile-type selection must be of the form <name>:<sample-type>:<sample-unit>:<period-type>:<period-unit>(:delta), got {text:?}"
        ))
    })
}

/// Selectors, of which none is all.
pub(super) fn matchers(selectors: &[String]) -> Result<Matchers, Problem> {
    Matchers::read(selectors.iter().map(String::as_str)).map_err(invalid)
}

/// Profiles of one type.
#[derive(Debug)]
pub(super) struct Profiles {
    pub(super) type_id: TypeId,
    pub(super) matchers: Matchers,
    pub(super) window: TimeWindow,
}

impl Profiles {
    /// Profiles of a type in a window from the series of a selector.
    pub(super) fn of(type_id: &str, selector: &str, window: TimeWindow) -> Result<Self, Problem> {
        let type_id = self::type_id(type_id)?;
        let matchers = Matchers::read([selector]).map_err(invalid)?.of_type(&type_id);
        Ok(Self { type_id, matchers, window })
    }
}

impl TryFrom<&SelectMergeProfileRequest> for Profiles {
    type Error = Problem;

    fn try_from(asked: &SelectMergeProfileRequest) -> Result<Self, Problem> {
        whole_stacks(asked.stack_trace_selector.as_ref())?;
        whole_profiles("profileIdSelector", &asked.profile_id_selector)?;
        whole_profiles("traceIdSelector", &asked.trace_id_selector)?;
        Self::of(&asked.profile_type_id, &asked.label_selector, window(asked.start, asked.end)?)
    }
}

impl TryFrom<&SelectMergeStacktracesRequest> for Profiles {
    type Error = Problem;

    fn try_from(asked: &SelectMergeStacktracesRequest) -> Result<Self, Problem> {
        whole_stacks(asked.stack_trace_selector.as_ref())?;
        whole_profiles("profileIdSelector", &asked.profile_id_selector)?;
        whole_profiles("traceIdSelector", &asked.trace_id_selector)?;
        whole_profiles("spanSelector", &asked.span_selector)?;
        Self::of(&asked.profile_type_id, &asked.label_selector, window(asked.start, asked.end)?)
    }
}

impl TryFrom<&SelectSeriesRequest> for Profiles {
    type Error = Problem;

    fn try_from(asked: &SelectSeriesRequest) -> Result<Self, Problem> {
        whole_stacks(asked.stack_trace_selector.as_ref())?;
        Self::of(&asked.profile_type_id, &asked.label_selector, window(asked.start, asked.end)?)
    }
}

/// The store keeps no ids of profiles, traces and spans. To leave them aside would answer another question.
fn whole_profiles(name: &str, ids: &[String]) -> Result<(), Problem> {
    if ids.is_empty() { Ok(()) } else { Err(invalid(format!("{name} is not served: this store keeps no such ids"))) }
}

fn whole_stacks(selector: Option<&StackTraceSelector>) -> Result<(), Problem> {
    match selector {
        Some(selector) if !selector.call_site.is_empty() || selector.go_pgo.is_some() => {
            Err(invalid("stackTraceSelector is not served: profiles are read with all their stacks"))
        }
        _ => Ok(()),
    }
}

/// The number of nodes to keep; absent or 0, the usual one.
pub(super) fn nodes(asked: Option<i64>) -> Result<usize, Problem> {
    match asked {
        None | Some(0) => Ok(NODES),
        Some(asked) => match usize::try_from(asked) {
            Ok(nodes) if nodes <= MAX_NODES => Ok(nodes),
            Ok(_) => Err(invalid(format!("max flamegraph nodes limit {asked} is greater than allowed {MAX_NODES}"))),
            Err(_) => Err(invalid(format!("max flamegraph nodes limit {asked} is negative"))),
        },
    }
}
