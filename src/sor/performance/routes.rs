//! The routes of the Performance SOR. They only call its ports.

mod export;
mod intake;
mod metrics;
mod spans;
mod traces;

use actix_web::web;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use utoipa::IntoResponses;

pub use self::intake::{TraceIntake, TraceIntakeLimits};
use super::port::OperationSor;
use super::{limits, merges, statistics};
use crate::http::{Answers, Code, Problem, Resource, Routes, TimeParam, documented};
use crate::kernel::Clock;

type Operations = web::Data<dyn OperationSor>;

/// What is wrong with a request that says when something happened, for its documentation.
struct TimeErrors;

/// What is wrong with a request for a window, for its documentation.
pub(super) struct WindowErrors;

impl IntoResponses for TimeErrors {
    fn responses() -> Answers {
        documented(&[(
            "400",
            &[Code::ParameterInvalid, Code::ParameterUnknown, Code::BodyInvalid, Code::TimeOutOfRange],
        )])
    }
}

impl IntoResponses for WindowErrors {
    fn responses() -> Answers {
        documented(&[("400", &[Code::ParameterInvalid, Code::ParameterUnknown, Code::WindowInvalid])])
    }
}

/// The window that a request asks for: until later if no end is given, and so long if no start is.
pub(super) fn window(
    (from, to): (Option<TimeParam>, Option<TimeParam>),
    length: TimeDelta,
    clock: &dyn Clock,
) -> Result<(DateTime<Utc>, Option<DateTime<Utc>>), Problem> {
    let from = from.map(|time| time.resolve(clock)).transpose()?;
    let to = to.map(|time| time.resolve(clock)).transpose()?;
    let from = from.unwrap_or_else(|| clock.now().trunc_subsecs(0) - length);
    if to.is_some_and(|to| from >= to) {
        return Err(Problem::new(Code::WindowInvalid, "from must lie before to"));
    }
    Ok((from, to))
}

/// Mounts and documents the routes of the Performance SOR.
pub fn routes(routes: &mut Routes<'_>) {
    routes
        .service(Resource::at("/performance/metrics").with(metrics::__path_record_metric, metrics::record_metric))
        // Before the path of an id.
        .service(
            Resource::at("/performance/metrics/batch").with(metrics::__path_record_metrics, metrics::record_metrics),
        )
        .service(Resource::at("/performance/metrics/{id}").with(metrics::__path_show_metric, metrics::show_metric))
        .service(Resource::at("/performance/spans").with(spans::__path_begin_span, spans::begin_span))
        .service(Resource::at("/performance/spans/{spanId}/end").with(spans::__path_end_span, spans::end_span))
        .service(Resource::at("/performance/traces").with(traces::__path_list_traces, traces::list_traces))
        .service(Resource::at("/performance/traces/{traceId}").with(traces::__path_show_trace, traces::show_trace));
    routes.service(Resource::at("/v1/traces").with(export::__path_export_traces, export::export_traces));
    statistics::routes(routes);
    limits::routes(routes);
    merges::routes(routes);
}
