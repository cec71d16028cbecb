//! The routes of statistics.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, DurationRound, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::port::StatisticsSor;
use super::{
    Bucket, GroupBy, Operation, OperationTotals, PerformanceOverview, ScopeFigures, SeriesAnswer, SeriesQuery,
    SlowOperation, SlowestQuery, StatisticsQuery, Step, Trend, TrendQuery, UserFigures,
};
use crate::http::{
    Code, Limit, NoParams, PathParam, Problem, Query, RelationalErrors, Resource, Routes, TimeParam, answered, found,
};
use crate::kernel::{Call, Clock};
use crate::sor::performance::names::{OperationScope, OperationType};
use crate::sor::performance::window::{WindowErrors, window};

type Statistics = web::Data<dyn StatisticsSor>;

/// Mounts and documents them.
pub(in crate::sor::performance) fn routes(routes: &mut Routes<'_>) {
    routes
        .service(Resource::at("/performance/operations").with(__path_list_operations, list_operations))
        .service(Resource::at("/performance/operations/{type}").with(__path_show_operation, show_operation))
        .service(Resource::at("/performance/operations/{type}/trend").with(__path_show_trend, show_trend))
        .service(Resource::at("/performance/series").with(__path_show_operation_series, show_operation_series))
        .service(Resource::at("/performance/slowest").with(__path_list_slowest, list_slowest))
        .service(Resource::at("/performance/dashboard").with(__path_show_overview, show_overview))
        .service(Resource::at("/performance/scopes").with(__path_list_scopes, list_scopes))
        .service(Resource::at("/performance/users").with(__path_list_users, list_users));
}

/// The most frequent operations of a window.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Operations)]
pub(super) struct OperationsBody {
    /// The operations, the most frequent first.
    pub(super) operations: Vec<Operation>,
}

/// The slowest operations.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = SlowOperations)]
pub(super) struct SlowestBody {
    /// The operations, slowest first.
    pub(super) operations: Vec<SlowOperation>,
}

/// What operations belong to.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OperationScopes)]
pub(super) struct ScopesBody {
    /// The most frequent first.
    pub(super) scopes: Vec<ScopeFigures>,
}

/// Who did how much.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OperationUsers)]
pub(super) struct UsersBody {
    /// The most frequent first.
    pub(super) users: Vec<UserFigures>,
}

/// Of which window to show operations.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct OperationsParams {
    /// What ended at or after this time, which is rounded down to the hour: epoch seconds, RFC 3339, `now`, `now-7d`; 24 hours
    /// ago if absent.
    #[param(value_type = Option<String>, example = "now-24h")]
    from: Option<TimeParam>,
    /// What ended before this time, which is rounded up to the hour; until now if absent.
    #[param(value_type = Option<String>, example = "now")]
    to: Option<TimeParam>,
    /// Only what belongs to this.
    #[param(value_type = Option<String>, max_length = 512)]
    scope: Option<OperationScope>,
    /// At most this many operations; 100 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1_000, example = 100)]
    limit: Option<Limit<{ StatisticsQuery::MAX_LIMIT }>>,
}

/// List operations
///
/// How often each type ended and how long it took, the most frequent first, beside its limit. What was recorded a moment ago
/// counts. Percentiles are of operations that succeeded; `exact` says whether they are exact or within 1 %.
#[utoipa::path(
    get, path = "/performance/operations", tag = "performance", operation_id = "listOperations",
    params(OperationsParams),
    responses((status = 200, description = "The operations", body = OperationsBody), RelationalErrors, WindowErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
async fn list_operations(
    port: Statistics,
    call: Call,
    clock: web::Data<dyn Clock>,
    params: Query<OperationsParams>,
) -> Result<HttpResponse, Problem> {
    let params = params.into_inner();
    let (from, to) = window((params.from, params.to), StatisticsQuery::DEFAULT_WINDOW, &**clock)?;
    let query = StatisticsQuery {
        from: hour_of(from),
        to: to.map(|to| hour_of(to + (TimeDelta::hours(1) - TimeDelta::nanoseconds(1)))),
        scope: params.scope,
        limit: params.limit.map_or(StatisticsQuery::DEFAULT_LIMIT, Limit::get),
    };
    answered(port.operations(&call, &query).await, |operations| OperationsBody { operations })
}

/// A time, down to the hour.
fn hour_of(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(TimeDelta::hours(1)).unwrap_or(at)
}

/// What operations belong to.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct ScopeParams {
    /// Only what belongs to this.
    #[param(value_type = Option<String>, max_length = 512)]
    scope: Option<OperationScope>,
}

fn unknown() -> Problem {
    Problem::new(Code::OperationUnknown, "no operation of this type is known")
}

/// Show an operation
///
/// All that is kept of a type, in one row. 404 if none of that type ended.
#[utoipa::path(
    get, path = "/performance/operations/{type}", tag = "performance", operation_id = "showOperation",
    params(("type" = String, Path, description = "what was done: 1 to 128 bytes", example = "triage"), ScopeParams),
    responses(
        (status = 200, description = "The operation", body = OperationTotals),
        (status = 404, description = "`operation_unknown`: none of this type ended", body = Problem, content_type = "application/problem+json"),
        RelationalErrors,
    ),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
async fn show_operation(
    port: Statistics,
    call: Call,
    operation_type: PathParam<OperationType>,
    params: Query<ScopeParams>,
) -> Result<HttpResponse, Problem> {
    let scope = params.into_inner().scope;
    found::<OperationTotals, _>(port.totals(&call, &operation_type.into_inner(), scope).await, unknown)
}

/// Of which days to show an operation.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct TrendParams {
    /// Only what belongs to this.
    #[param(value_type = Option<String>, max_length = 512)]
    scope: Option<OperationScope>,
    /// How many calendar days (UTC), today included; 7 if absent. By hours at most 35.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 395, example = 7)]
    days: Option<Limit<{ TrendQuery::MOST_DAYS }>>,
    /// Whether by days or by hours; days if absent.
    #[param(inline)]
    bucket: Option<Bucket>,
}

/// Show how an operation changed
///
/// By days or by hours, newest first; those in which it did not end are left out. 404 if no operation of that type is known.
#[utoipa::path(
    get, path = "/performance/operations/{type}/trend", tag = "performance", operation_id = "showOperationTrend",
    params(("type" = String, Path, description = "what was done: 1 to 128 bytes", example = "triage"), TrendParams),
    responses(
        (status = 200, description = "The operation, by days or hours", body = Trend),
        (status = 404, description = "`operation_unknown`: no operation of this type is known", body = Problem, content_type = "application/problem+json"),
        RelationalErrors,
    ),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
async fn show_trend(
    port: Statistics,
    call: Call,
    operation_type: PathParam<OperationType>,
    params: Query<TrendParams>,
) -> Result<HttpResponse, Problem> {
    let params = params.into_inner();
    let (days, bucket) = (params.days.map_or(TrendQuery::DEFAULT_DAYS, Limit::get), params.bucket.unwrap_or_default());
    let most = bucket.most_days();
    if days > most {
        return Err(Problem::field(
            Code::ParameterInvalid,
            "days",
            format!("must be at most {most} by the {}", bucket.as_str()),
        ));
    }
    let query = TrendQuery { operation_type: operation_type.into_inner(), scope: params.scope, days, bucket };
    found::<Trend, _>(port.trend(&call, &query).await, unknown)
}

/// Which operations to show over time.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct SeriesParams {
    /// From when on: epoch seconds, RFC 3339, `now`, `now-1h`; an hour ago if absent. Rounded down to the hour for steps of
    /// hours.
    #[param(value_type = Option<String>, example = "now-1h")]
    from: Option<TimeParam>,
    /// Until when; now if absent.
    #[param(value_type = Option<String>, example = "now")]
    to: Option<TimeParam>,
    /// How long a step takes: `15s` to `24h`, `1m` if absent; from an hour on in whole hours. Steps below an hour show at most
    /// 24 hours; there are at most 2,000 steps.
    #[param(value_type = Option<String>, example = "1m")]
    step: Option<Step>,
    /// Only operations of this type.
    #[param(value_type = Option<String>, min_length = 1, max_length = 128, example = "triage")]
    operation_type: Option<OperationType>,
    /// Only operations of this scope.
    #[param(value_type = Option<String>, max_length = 512)]
    scope: Option<OperationScope>,
    /// What the lines stand for; types of operations if absent.
    #[param(inline)]
    group_by: Option<GroupBy>,
}

/// Show operations over time
///
/// For dashboards: at most 500 lines, the most frequent ones, each with the steps in which something ended.
#[utoipa::path(
    get, path = "/performance/series", tag = "performance", operation_id = "showOperationSeries",
    params(SeriesParams),
    responses((status = 200, description = "The lines", body = SeriesAnswer), RelationalErrors, WindowErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
async fn show_operation_series(
    port: Statistics,
    call: Call,
    clock: web::Data<dyn Clock>,
    params: Query<SeriesParams>,
) -> Result<HttpResponse, Problem> {
    let params = params.into_inner();
    let step = params.step.unwrap_or_default();
    let (from, to) = window((params.from, params.to), TimeDelta::hours(1), &**clock)?;
    let (from, to) =
        (if step.reads_rows() { from } else { hour_of(from) }, to.unwrap_or_else(|| clock.now().trunc_subsecs(0)));
    let window_invalid = |why: String| Err(Problem::new(Code::WindowInvalid, why));
    if from >= to {
        return window_invalid("from must lie before to".to_owned());
    }
    if step.reads_rows() && to - from > SeriesQuery::LONGEST_OF_ROWS {
        return window_invalid("steps below an hour show at most 24 hours".to_owned());
    }
    let steps = (to - from).num_seconds() / step.length().num_seconds().max(1);
    if steps > SeriesQuery::MOST_STEPS {
        return window_invalid(format!("{steps} steps are too many: at most {} are shown", SeriesQuery::MOST_STEPS));
    }
    let group_by = params.group_by.unwrap_or_default();
    let query = SeriesQuery { from, to, step, operation_type: params.operation_type, scope: params.scope, group_by };
    answered(port.series(&call, &query).await, |answer| answer)
}

/// Which of the slowest operations to show.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct SlowestParams {
    /// Only operations of this type.
    #[param(value_type = Option<String>, min_length = 1, max_length = 128, example = "triage")]
    operation_type: Option<OperationType>,
    /// Only operations of this scope.
    #[param(value_type = Option<String>, max_length = 512)]
    scope: Option<OperationScope>,
    /// How many calendar days (UTC) to look at, today included; 7 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 366, example = 7)]
    days: Option<Limit<{ SlowestQuery::MOST_DAYS }>>,
    /// At most this many; 20 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 500, example = 20)]
    limit: Option<Limit<{ SlowestQuery::MAX_LIMIT }>>,
}

/// List the slowest operations
///
/// Failed ones too, each with its trace if it has one.
#[utoipa::path(
    get, path = "/performance/slowest", tag = "performance", operation_id = "listSlowestOperations",
    params(SlowestParams),
    responses((status = 200, description = "The operations, slowest first", body = SlowestBody), RelationalErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
async fn list_slowest(port: Statistics, call: Call, params: Query<SlowestParams>) -> Result<HttpResponse, Problem> {
    let params = params.into_inner();
    let query = SlowestQuery {
        operation_type: params.operation_type,
        scope: params.scope,
        days: params.days.map_or(TrendQuery::DEFAULT_DAYS, Limit::get),
        limit: params.limit.map_or(SlowestQuery::DEFAULT_LIMIT, Limit::get),
    };
    answered(port.slowest(&call, &query).await, |operations| SlowestBody { operations })
}

/// Show how much is recorded
///
/// And how many alerts want somebody.
#[utoipa::path(
    get, path = "/performance/dashboard", tag = "performance", operation_id = "showPerformanceDashboard",
    responses((status = 200, description = "Totals", body = PerformanceOverview), RelationalErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
async fn show_overview(port: Statistics, call: Call, _: Query<NoParams>) -> Result<HttpResponse, Problem> {
    answered(port.overview(&call).await, |overview| overview)
}

/// How many to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct TopParams {
    /// At most this many; 100 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1_000, example = 100)]
    limit: Option<Limit<{ StatisticsQuery::MAX_LIMIT }>>,
}

impl TopParams {
    fn limit(&self) -> u16 {
        self.limit.map_or(StatisticsQuery::DEFAULT_LIMIT, Limit::get)
    }
}

/// List what operations belong to
///
/// Within 7 calendar days (UTC), the most frequent first. Operations that belong to nothing are left out.
#[utoipa::path(
    get, path = "/performance/scopes", tag = "performance", operation_id = "listOperationScopes",
    params(TopParams),
    responses((status = 200, description = "The scopes", body = ScopesBody), RelationalErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
async fn list_scopes(port: Statistics, call: Call, params: Query<TopParams>) -> Result<HttpResponse, Problem> {
    answered(port.scopes(&call, params.into_inner().limit()).await, |scopes| ScopesBody { scopes })
}

/// List who did how much
///
/// Within 24 hours, the most frequent first.
#[utoipa::path(
    get, path = "/performance/users", tag = "performance", operation_id = "listOperationUsers",
    params(TopParams),
    responses((status = 200, description = "The users", body = UsersBody), RelationalErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
async fn list_users(port: Statistics, call: Call, params: Query<TopParams>) -> Result<HttpResponse, Problem> {
    answered(port.users(&call, params.into_inner().limit()).await, |users| UsersBody { users })
}
