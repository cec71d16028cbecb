//! The route of triage.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoResponses;

use super::domain::{CompareWith, InvalidTypes, Requested, TriageRequest};
use super::service::TriageService;
use super::wire::TriageBody;
use crate::bor::LinkSettings;
use crate::bor::request::{error_responses, requested_by, selector};
use crate::http::{Answers, Code, PathParam, Problem, Query, Resource, Routes, TimeParam, json, window};
use crate::kernel::{AppName, Call, Selector};

/// The number of top functions if `limit` is absent.
const DEFAULT_LIMIT: u32 = 10;

/// Mounts and documents the route of triage. It asks for `web::Data` of [`TriageService`] and [`LinkSettings`].
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(Resource::at("/triage/{appName}").with(__path_triage_app, triage_app));
}

/// How to triage.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TriageParams {
    /// The window's start; an hour before now if not given.
    #[param(value_type = Option<String>, example = "now-1h")]
    from: Option<TimeParam>,
    /// The window's end, exclusive; now, rounded down to 15 s, if not given.
    #[param(value_type = Option<String>, example = "now")]
    to: Option<TimeParam>,
    /// Kinds of profile, comma-separated: cpu, alloc, lock, wall, inuse, goroutine, exception, samples. Not given: cpu and
    /// alloc, those the app has; if it has neither, wall, inuse and lock; if none of them, goroutine, exception and samples,
    /// which are profiles of an unknown kind.
    #[param(value_type = Option<String>, example = "cpu,alloc")]
    types: Option<String>,
    /// At most this many top functions; 0 means all.
    #[param(value_type = Option<i64>, default = 10, minimum = 0, maximum = 4_294_967_295i64, example = 10)]
    limit: Option<u32>,
    /// Select series of the app: `name="value"`, also `!=`, `=~`, `!~`, joined by commas.
    #[param(value_type = Option<String>)]
    #[serde(default, deserialize_with = "selector")]
    selector: Option<Selector>,
    /// Also read the same window a `day` or a `week` earlier, and say for each finding whether it is usual.
    #[param(inline, example = "day")]
    compare: Option<CompareWith>,
}

/// What triage may answer beside 200.
struct TriageErrors;

impl IntoResponses for TriageErrors {
    fn responses() -> Answers {
        error_responses(&[
            Code::ParameterInvalid,
            Code::ParameterUnknown,
            Code::ProfileTypeUnknown,
            Code::WindowInvalid,
        ])
    }
}

/// Triage an app
///
/// Says what is wrong with an app: for each kind of profile a diagnosis with severity, evidence and recommendation, and
/// the approved limits that it breaks (v2). A kind that cannot be read is `unavailable`, and the others are still
/// answered. In v2 the assessment is kept in the app's history; `X-Requested-By` says for whom.
#[utoipa::path(
    get, path = "/triage/{appName}", tag = "triage", operation_id = "triageApp",
    params(
        ("appName" = String, Path, description = "the app's name, percent-encoded", example = "flamewarden"),
        TriageParams,
        ("X-Requested-By" = Option<String>, Header, description = "who asks, for the history: 1 to 255 bytes; else the name of the token or of the gateway's user", example = "ada"),
    ),
    responses(
        (status = 200, description = "What is wrong, or that nothing stands out, or that there is no data", body = TriageBody,
         example = super::example::triage),
        TriageErrors,
    ),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn triage_app(
    service: web::Data<TriageService>,
    links: web::Data<LinkSettings>,
    call: Call,
    app: PathParam<AppName>,
    params: Query<TriageParams>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let params = params.into_inner();
    let request = TriageRequest {
        app: app.into_inner(),
        window: window(params.from, params.to, service.clock())?,
        types: params.types.as_deref().map_or(Ok(Requested::Default), requested)?,
        limit: params.limit.unwrap_or(DEFAULT_LIMIT) as usize,
        selector: params.selector.unwrap_or_default(),
        tenant: None,
        requested_by: requested_by(&request, &call)?,
        compare: params.compare,
    };
    let triage = service.triage(&call, &request).await?;
    json(StatusCode::OK, &TriageBody::of(&triage, &links))
}

fn requested(types: &str) -> Result<Requested, Problem> {
    types.parse().map_err(|error: InvalidTypes| {
        let code = match error {
            InvalidTypes::Gap => Code::ParameterInvalid,
            InvalidTypes::Unknown(_) => Code::ProfileTypeUnknown,
        };
        Problem::field(code, "types", error.to_string())
    })
}

#[cfg(test)]
mod tests;
