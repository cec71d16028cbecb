//! Limits that are learnt.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Deserialize;

use super::types::MostParams;
use super::{Baselines, BaselinesBody, HealthBody};
use crate::http::{
    BigRowKey, Body, Code, Cursor, Limit, NoParams, PathParam, Problem, Query, RelationalErrors, WriteErrors, answered,
    found, json, removed,
};
use crate::kernel::Call;
use crate::sor::performance::limits::{
    DEFAULT_LIMIT, LatencyBaseline, LatencyBaselineQuery, MAX_LIMIT, NewLatencyBaseline,
};
use crate::sor::performance::names::{OperationScope, OperationType};

/// Whether limits are in force.
#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum InForce {
    /// Those that are.
    #[default]
    True,
    /// Those that were.
    False,
    /// All.
    All,
}

/// Which limits to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct BaselineParams {
    /// Only those of this type.
    #[param(value_type = Option<String>, min_length = 1, max_length = 128, example = "commit")]
    operation_type: Option<OperationType>,
    /// Only those for this scope.
    #[param(value_type = Option<String>, max_length = 512)]
    scope: Option<OperationScope>,
    /// Whether they are in force; those that are if absent.
    #[param(inline)]
    active: Option<InForce>,
    /// At most this many; 100 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1_000, example = 100)]
    limit: Option<Limit<{ MAX_LIMIT }>>,
    /// Continue here: `nextCursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<i64>>,
}

fn unknown() -> Problem {
    Problem::new(Code::LatencyBaselineUnknown, "no limit of an operation has this id")
}

/// Learn a limit
///
/// What operations of a type usually take in some days, and the limit that follows: `alertThresholdMultiplier` times the 99th
/// percentile. It takes the place of the limit of the same type and scope. Operations that failed are left out, and hours of
/// which more than 5 % was over the limit, unless `includeIncidents` says otherwise. 422 where fewer than 10 are left.
#[utoipa::path(
    post, path = "/performance/baselines", tag = "performance", operation_id = "learnLatencyBaseline",
    request_body = NewLatencyBaseline,
    responses(
        (status = 201, description = "The limit", body = LatencyBaseline),
        (status = 422, description = "`samples_insufficient`: there are fewer than 10 operations to learn from", body = Problem, content_type = "application/problem+json"),
        WriteErrors,
    ),
    security(("bearer" = ["editor"]), ("basic" = ["editor"])),
)]
pub(super) async fn learn_latency_baseline(
    port: Baselines,
    call: Call,
    _: Query<NoParams>,
    body: Body<NewLatencyBaseline>,
) -> Result<HttpResponse, Problem> {
    let new = body.into_inner();
    if new.critical().is_none() {
        let why = "must not be below alertThresholdMultiplier";
        return Err(Problem::field(Code::BodyInvalid, "/criticalMultiplier", why));
    }
    let days = new.lookback_days.get();
    let learnt = port.learn(&call, new).await.map_err(|error| Problem::of_relational(&error))?;
    let too_few = || {
        let why = format!("fewer than 10 operations to learn from succeeded within {days} days");
        Problem::new(Code::SamplesInsufficient, why)
    };
    json(StatusCode::CREATED, &learnt.ok_or_else(too_few)?)
}

/// List limits
///
/// Those that were learnt, newest first.
#[utoipa::path(
    get, path = "/performance/baselines", tag = "performance", operation_id = "listLatencyBaselines",
    params(BaselineParams),
    responses((status = 200, description = "One page", body = BaselinesBody), RelationalErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn list_latency_baselines(
    port: Baselines,
    call: Call,
    params: Query<BaselineParams>,
) -> Result<HttpResponse, Problem> {
    let params = params.into_inner();
    let query = LatencyBaselineQuery {
        operation_type: params.operation_type,
        scope: params.scope,
        active: match params.active.unwrap_or_default() {
            InForce::True => Some(true),
            InForce::False => Some(false),
            InForce::All => None,
        },
        limit: params.limit.map_or(DEFAULT_LIMIT, Limit::get),
        after: params.cursor.map(|cursor| cursor.0),
    };
    answered(port.page(&call, &query).await, |page| BaselinesBody {
        count: page.entries.len(),
        next_cursor: page.next.as_ref().map(Cursor::encode),
        baselines: page.entries,
    })
}

/// Show a limit
///
/// In force or not. 404 if there is none of this id.
#[utoipa::path(
    get, path = "/performance/baselines/{id}", tag = "performance", operation_id = "showLatencyBaseline",
    params(("id" = i64, Path, description = "the limit's id", example = 1)),
    responses(
        (status = 200, description = "The limit", body = LatencyBaseline),
        (status = 404, description = "`latency_baseline_unknown`: none has this id", body = Problem, content_type = "application/problem+json"),
        RelationalErrors,
    ),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn show_latency_baseline(
    port: Baselines,
    call: Call,
    id: PathParam<BigRowKey>,
    _: Query<NoParams>,
) -> Result<HttpResponse, Problem> {
    let id = id.into_inner().known(Code::LatencyBaselineUnknown)?;
    found::<LatencyBaseline, _>(port.get(&call, id).await, unknown)
}

/// Deactivate a limit
///
/// Operations are not held against it any more. 404 if no active limit has this id.
#[utoipa::path(
    delete, path = "/performance/baselines/{id}", tag = "performance", operation_id = "deactivateLatencyBaseline",
    params(("id" = i64, Path, description = "the limit's id", example = 1)),
    responses(
        (status = 204, description = "Out of force"),
        (status = 404, description = "`latency_baseline_unknown`: none in force has this id", body = Problem, content_type = "application/problem+json"),
        RelationalErrors,
    ),
    security(("bearer" = ["editor"]), ("basic" = ["editor"])),
)]
pub(super) async fn deactivate_latency_baseline(
    port: Baselines,
    call: Call,
    id: PathParam<BigRowKey>,
    _: Query<NoParams>,
) -> Result<HttpResponse, Problem> {
    let id = id.into_inner().known(Code::LatencyBaselineUnknown)?;
    removed(port.deactivate(&call, id).await, unknown)
}

/// List how old limits are
///
/// How old the limits in force are, and how many alerts each has raised, by type and scope.
#[utoipa::path(
    get, path = "/performance/baseline-health", tag = "performance", operation_id = "listLatencyBaselineHealth",
    params(MostParams),
    responses((status = 200, description = "The limits in force", body = HealthBody), RelationalErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn list_latency_baseline_health(
    port: Baselines,
    call: Call,
    params: Query<MostParams>,
) -> Result<HttpResponse, Problem> {
    answered(port.health(&call, params.into_inner().limit()).await, |baselines| HealthBody { baselines })
}
