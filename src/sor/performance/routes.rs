//! The routes of the Performance SOR. They only call its ports.

mod export;
mod intake;
mod metrics;
mod spans;
mod traces;

use actix_web::web;
use utoipa::IntoResponses;

pub use self::intake::{TraceIntake, TraceIntakeLimits};
use super::port::OperationSor;
use super::{limits, merges, statistics};
use crate::http::{Answers, Code, Resource, Routes, documented};

type Operations = web::Data<dyn OperationSor>;

/// What is wrong with a request that says when something happened, for its documentation.
struct TimeErrors;

impl IntoResponses for TimeErrors {
    fn responses() -> Answers {
        documented(&[(
            "400",
            &[Code::ParameterInvalid, Code::ParameterUnknown, Code::BodyInvalid, Code::TimeOutOfRange],
        )])
    }
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
