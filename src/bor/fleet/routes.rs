//! The routes of the fleet search.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoResponses;

use super::domain::{FleetQuery, HotspotsRequest, SearchRequest};
use super::lists::{apps, excluded};
use super::service::FleetService;
use super::wire::{HotspotsBody, SearchBody};
use crate::bor::request::{selector, source_responses};
use crate::http::{Answers, Code, Limit, Problem, Query, Resource, Routes, TenantHeader, TimeParam, json, window};
use crate::kernel::{Call, FunctionName, ProfileType, Selector};
use crate::verdict::Ranking;

const DEFAULT_MATCHES: usize = 1_000;
const MOST_MATCHES: u16 = 10_000;
const DEFAULT_HOTSPOTS: usize = 20;
const MOST_HOTSPOTS: u16 = 1_000;

/// Mounts and documents the routes of the fleet search. They ask for `web::Data<FleetService>`.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(Resource::at("/search").with(__path_search_fleet, search_fleet));
    routes.service(Resource::at("/fleet/hotspots").with(__path_fleet_hotspots, fleet_hotspots));
}

/// What to look for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SearchParams {
    /// A part of the function's name, whatever its case: 1 to 2,000 bytes, not only blanks.
    #[param(value_type = String, min_length = 1, max_length = 2000, example = "HashMap.resize")]
    function: FunctionName,
    /// The kind of profile: cpu, alloc, lock, wall, inuse, goroutine, exception or samples.
    #[serde(rename = "type")]
    #[param(rename = "type", value_type = Option<String>, default = "cpu", example = "cpu")]
    kind: Option<ProfileType>,
    /// The window's start; an hour before now if not given.
    #[param(value_type = Option<String>, example = "now-1h")]
    from: Option<TimeParam>,
    /// The window's end, exclusive; now, rounded down to 15 s, if not given.
    #[param(value_type = Option<String>, example = "now")]
    to: Option<TimeParam>,
    /// The apps, comma-separated, at most 1,000; all that have profiles in the window if not given.
    #[param(value_type = Option<String>, example = "flamewarden")]
    apps: Option<String>,
    /// At most this many matches are shown; all are counted.
    #[param(value_type = Option<i64>, default = 1000, minimum = 1, maximum = 10_000, example = 1000)]
    limit: Option<Limit<MOST_MATCHES>>,
    /// Select series of each app: `name="value"`, also `!=`, `=~`, `!~`, joined by commas. In v2 the labels that the
    /// registry gives an app apply as well.
    #[param(value_type = Option<String>)]
    #[serde(default, deserialize_with = "selector")]
    selector: Option<Selector>,
}

/// What to rank.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HotspotsParams {
    /// The kind of profile: cpu, alloc, lock, wall, inuse, goroutine, exception or samples.
    #[serde(rename = "type")]
    #[param(rename = "type", value_type = Option<String>, default = "cpu", example = "cpu")]
    kind: Option<ProfileType>,
    /// At most this many functions.
    #[param(value_type = Option<i64>, default = 20, minimum = 1, maximum = 1_000, example = 20)]
    limit: Option<Limit<MOST_HOTSPOTS>>,
    /// The window's start; an hour before now if not given.
    #[param(value_type = Option<String>, example = "now-1h")]
    from: Option<TimeParam>,
    /// The window's end, exclusive; now, rounded down to 15 s, if not given.
    #[param(value_type = Option<String>, example = "now")]
    to: Option<TimeParam>,
    /// The apps, comma-separated, at most 1,000; all that have profiles in the window if not given.
    #[param(value_type = Option<String>)]
    apps: Option<String>,
    /// Categories, comma-separated, whose functions are left out; empty for none.
    #[param(value_type = Option<String>, default = "idle,profiler_overhead,unresolved")]
    exclude: Option<String>,
    /// By what functions are ranked: `impact`, or `cores` for cpu.
    #[param(value_type = Option<String>, default = "impact", example = "impact")]
    sort: Option<Ranking>,
    /// Select series of each app: `name="value"`, also `!=`, `=~`, `!~`, joined by commas. In v2 the labels that the
    /// registry gives an app apply as well.
    #[param(value_type = Option<String>)]
    #[serde(default, deserialize_with = "selector")]
    selector: Option<Selector>,
}

/// What the fleet search may answer beside 200.
struct FleetErrors;

impl IntoResponses for FleetErrors {
    fn responses() -> Answers {
        source_responses(&[
            Code::ParameterInvalid,
            Code::ParameterUnknown,
            Code::ProfileTypeUnknown,
            Code::WindowInvalid,
        ])
    }
}

/// Find a function in all apps
///
/// Looks through every function of every app, wherever in a stack it stands, and says which apps run it and what share of
/// theirs it takes; in v2 also whose they are. With `type=cpu` an app that sends elapsed time and no CPU profiles is read by
/// that, and `readAs` says so. Apps that fail, are unknown or were not reached in time are named in
/// `errors`, and the rest answers.
///
/// One request is over one tenant, that of the header `X-Scope-OrgID`. Without it, the apps of the configured tenant are
/// listed, and in v2 an app is read from the tenant that it is registered with.
#[utoipa::path(
    get, path = "/search", tag = "fleet", operation_id = "searchFleet",
    params(SearchParams, TenantHeader),
    responses(
        (status = 200, description = "Where it was found, and which apps could not be read", body = SearchBody,
         example = super::example::search),
        FleetErrors,
    ),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn search_fleet(
    service: web::Data<FleetService>,
    call: Call,
    tenant: TenantHeader,
    params: Query<SearchParams>,
) -> Result<HttpResponse, Problem> {
    let params = params.into_inner();
    let request = SearchRequest {
        fleet: FleetQuery {
            kind: params.kind.unwrap_or(ProfileType::Cpu),
            window: window(params.from, params.to, service.clock())?,
            selector: params.selector.unwrap_or_default(),
            apps: params.apps.as_deref().map(apps).transpose()?,
            tenant: tenant.into_inner(),
        },
        function: params.function,
        limit: params.limit.map_or(DEFAULT_MATCHES, |limit| usize::from(limit.get())),
    };
    let found = service.search(&call, &request).await?;
    json(StatusCode::OK, &SearchBody::of(&request, found))
}

/// Rank the functions of all apps
///
/// Says which functions cost most over all apps: the number of services that run a function × its largest self share.
/// Spellings of one function are joined. With `type=cpu` an app that sends elapsed time and no CPU profiles is ranked by that,
/// and `readAs` says so. Services with under 100 samples count, and their shares for nothing. In v2 the
/// owners of the services are named. Apps that fail, are unknown or were not reached in time are named in `errors`, and
/// the rest answers.
///
/// One request is over one tenant, that of the header `X-Scope-OrgID`. Without it, the apps of the configured tenant are
/// listed, and in v2 an app is read from the tenant that it is registered with.
#[utoipa::path(
    get, path = "/fleet/hotspots", tag = "fleet", operation_id = "fleetHotspots",
    params(HotspotsParams, TenantHeader),
    responses(
        (status = 200, description = "The functions that cost most, and which apps could not be read", body = HotspotsBody,
         example = super::example::hotspots),
        FleetErrors,
    ),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn fleet_hotspots(
    service: web::Data<FleetService>,
    call: Call,
    tenant: TenantHeader,
    params: Query<HotspotsParams>,
) -> Result<HttpResponse, Problem> {
    let params = params.into_inner();
    let (kind, sort) = (params.kind.unwrap_or(ProfileType::Cpu), params.sort.unwrap_or(Ranking::Impact));
    if sort == Ranking::Cores && kind != ProfileType::Cpu {
        return Err(Problem::field(Code::ParameterInvalid, "sort", "cores are of cpu profiles alone"));
    }
    let request = HotspotsRequest {
        fleet: FleetQuery {
            kind,
            window: window(params.from, params.to, service.clock())?,
            selector: params.selector.unwrap_or_default(),
            apps: params.apps.as_deref().map(apps).transpose()?,
            tenant: tenant.into_inner(),
        },
        limit: params.limit.map_or(DEFAULT_HOTSPOTS, |limit| usize::from(limit.get())),
        exclude: excluded(params.exclude.as_deref())?,
        sort,
    };
    let found = service.hotspots(&call, &request).await?;
    json(StatusCode::OK, &HotspotsBody::of(&request, found))
}
