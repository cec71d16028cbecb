//! The route of the diff report.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoResponses;

use super::domain::{DiffRequest, DiffWindows};
use super::markdown::{command, markdown};
use super::service::DiffService;
use super::wire::DiffBody;
use crate::bor::LinkSettings;
use crate::bor::request::{error_responses, requested_by, selector};
use crate::http::{Answers, Code, PathParam, Problem, Query, Resource, Routes, SpanParam, TimeParam, json};
use crate::kernel::{AppName, Call, ProfileType, Selector};
use crate::sor::profile_data::ProfileQuery;

/// The number of rows in each list if `limit` is absent.
const DEFAULT_LIMIT: u32 = 20;
const MARKDOWN: &str = "text/markdown";

/// Mounts and documents the route of the diff report. It asks for `web::Data` of [`DiffService`] and [`LinkSettings`].
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(Resource::at("/diff/{appName}").with(__path_diff_app, diff_app));
}

/// What to compare.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct DiffParams {
    /// The kind of profile: cpu, alloc, lock, wall, inuse, goroutine, exception or samples.
    #[serde(rename = "type")]
    #[param(rename = "type", value_type = Option<String>, default = "cpu", example = "cpu")]
    kind: Option<ProfileType>,
    /// The current window's start; an hour before its end if not given.
    #[param(value_type = Option<String>, example = "now-1h")]
    from: Option<TimeParam>,
    /// The current window's end, exclusive; now, rounded down to 15 s, if not given.
    #[param(value_type = Option<String>, example = "now")]
    to: Option<TimeParam>,
    /// The baseline window's start; an hour before its end if not given.
    #[param(value_type = Option<String>, example = "now-2h")]
    baseline_from: Option<TimeParam>,
    /// The baseline window's end, exclusive; `from` if not given.
    #[param(value_type = Option<String>, example = "now-1h")]
    baseline_to: Option<TimeParam>,
    /// When something was deployed, in place of the four times: the hour before it is compared with the hour after it
    /// and `settle`, as far as that has passed.
    #[param(value_type = Option<String>)]
    at: Option<TimeParam>,
    /// How long after the deploy the current window begins, such as 90s, 5m or 1h30m; with `at` only, 5m if not given.
    #[param(value_type = Option<String>)]
    settle: Option<SpanParam>,
    /// At most this many rows in each list; 0 means all.
    #[param(value_type = Option<i64>, default = 20, minimum = 0, maximum = 4_294_967_295i64, example = 20)]
    limit: Option<u32>,
    /// Select series of the app: `name="value"`, also `!=`, `=~`, `!~`, joined by commas.
    #[param(value_type = Option<String>)]
    #[serde(default, deserialize_with = "selector")]
    selector: Option<Selector>,
    /// Select series in the baseline window; `selector` if not given. A canary is compared with the stable version by
    /// two selectors in one window: without baseline times, the baseline window is the current one.
    #[param(value_type = Option<String>)]
    #[serde(default, deserialize_with = "selector")]
    baseline_selector: Option<Selector>,
    /// `json`, or `markdown` for a pull request. Default: by the Accept header, or else JSON.
    #[param(value_type = Option<String>, default = "json", example = "json")]
    format: Option<Format>,
}

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    Json,
    Markdown,
}

/// What the diff report may answer beside 200.
struct DiffErrors;

impl IntoResponses for DiffErrors {
    fn responses() -> Answers {
        error_responses(&[
            Code::ParameterInvalid,
            Code::ParameterUnknown,
            Code::ProfileTypeUnknown,
            Code::WindowInvalid,
            Code::WindowsOverlap,
        ])
    }
}

/// Compare two windows of an app
///
/// Says which functions got slower or faster: by share, and beyond what is explained by load, chance, and code that
/// only moved, was renamed or inlined. In v2 every function is checked against its approved limit, and the report is kept in the
/// app's history; `X-Requested-By` says for whom. A window without data is reported as such and never counts as an
/// improvement.
#[utoipa::path(
    get, path = "/diff/{appName}", tag = "diff", operation_id = "diffApp",
    params(
        ("appName" = String, Path, description = "the app's name, percent-encoded", example = "flamewarden"),
        DiffParams,
        ("X-Requested-By" = Option<String>, Header, description = "who asks, for the history: 1 to 255 bytes; else the name of the token or of the gateway's user", example = "ada"),
    ),
    responses(
        (status = 200, description = "What changed, or that nothing did, or that it cannot be said", content(
            (DiffBody = "application/json", example = super::example::diff),
            (String = "text/markdown", example = "# Diff Report: checkout"),
        )),
        DiffErrors,
    ),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn diff_app(
    service: web::Data<DiffService>,
    links: web::Data<LinkSettings>,
    call: Call,
    app: PathParam<AppName>,
    params: Query<DiffParams>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let params = params.into_inner();
    let format = params.format.unwrap_or_else(|| accepted(&request));
    let selector = params.selector.unwrap_or_default();
    let baseline_selector = params.baseline_selector.unwrap_or_else(|| selector.clone());
    let windows = DiffWindows {
        from: params.from,
        to: params.to,
        baseline_from: params.baseline_from,
        baseline_to: params.baseline_to,
        at: params.at,
        settle: params.settle.map(SpanParam::get),
        same_series: selector == baseline_selector,
    };
    let (baseline, window) = windows.resolve(service.clock().now())?;
    let kind = params.kind.unwrap_or(ProfileType::Cpu);
    let asked = DiffRequest {
        current: ProfileQuery { app: app.into_inner(), kind, window, selector, tenant: None },
        baseline,
        baseline_selector,
        limit: params.limit.unwrap_or(DEFAULT_LIMIT) as usize,
        requested_by: requested_by(&request, &call)?,
    };
    let diff = service.diff(&call, &asked).await?;
    match format {
        Format::Json => json(StatusCode::OK, &DiffBody::of(&diff, &links)),
        Format::Markdown => {
            let body = DiffBody::whole(&diff, &links);
            let report = markdown(&body, asked.limit, &command(&body), None);
            Ok(HttpResponse::Ok().content_type("text/markdown; charset=utf-8").body(report))
        }
    }
}

/// Markdown if the caller accepts it and does not list JSON first.
fn accepted(request: &HttpRequest) -> Format {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let place = |media: &str| accept.split(',').position(|part| part.split(';').next().unwrap_or("").trim() == media);
    match (place(MARKDOWN), place("application/json")) {
        (Some(markdown), Some(json)) if json < markdown => Format::Json,
        (Some(_), _) => Format::Markdown,
        (None, _) => Format::Json,
    }
}

#[cfg(test)]
mod tests;
