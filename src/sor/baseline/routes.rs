//! The routes of the Baseline SOR. They call the port only.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::domain::{BaselineChange, BaselinePosition, BaselineQuery};
use super::port::BaselineSor;
use super::wire::{BaselineBody, BaselineChangeBody, BaselinesBody, NewBaselineBody};
use crate::http::{
    Body, ChangeBody, Code, Cursor, Limit, NoParams, PathParam, Problem, Query, RelationalErrors, Resource, Routes,
    RowKey, StoredBody, WriteErrors, created, found, json, removed,
};
use crate::kernel::{AppName, Call, ProfileType};

/// Mounts and documents the routes of the Baseline SOR.
pub fn routes(routes: &mut Routes<'_>) {
    routes
        .service(
            Resource::at("/baselines")
                .with(__path_list_all_baselines, list_all_baselines)
                .with(__path_set_baseline, set_baseline),
        )
        .service(
            Resource::at("/baselines/{key}")
                .with(__path_list_baselines, list_baselines)
                .with(__path_change_baseline, change_baseline)
                .with(__path_remove_baseline, remove_baseline),
        )
        .service(Resource::at("/baselines/{key}/{type}").with(__path_list_baselines_of_type, list_baselines_of_type));
}

type Port = web::Data<dyn BaselineSor>;

/// A page of the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageParams {
    /// At most this many rows.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 10_000, example = 100)]
    limit: Option<Limit<{ BaselineQuery::MAX_LIMIT }>>,
    /// Continue here: `nextCursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<BaselinePosition>>,
}

/// What to list of all apps' limits.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AllParams {
    /// Only limits of this profile type or alias.
    #[serde(rename = "type")]
    #[param(value_type = Option<String>, example = "cpu")]
    profile_type: Option<ProfileType>,
    /// At most this many rows.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 10_000, example = 100)]
    limit: Option<Limit<{ BaselineQuery::MAX_LIMIT }>>,
    /// Continue here: `nextCursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<BaselinePosition>>,
}

/// List the limits of all apps
///
/// By app, type and function, at most 10,000 in one answer.
#[utoipa::path(
    get, path = "/baselines", tag = "baselines", operation_id = "listAllBaselines",
    params(AllParams),
    responses((status = 200, description = "The limits", body = BaselinesBody), RelationalErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn list_all_baselines(
    port: Port,
    call: Call,
    params: Query<AllParams>,
) -> Result<HttpResponse, Problem> {
    let AllParams { profile_type, limit, cursor } = params.into_inner();
    list(&port, &call, BaselineQuery::of(None, profile_type), PageParams { limit, cursor }).await
}

/// Set a limit
///
/// Approves a largest self share for a function of an app. If there is a limit for the app, type and function, its
/// threshold and severity are updated.
#[utoipa::path(
    post, path = "/baselines", tag = "baselines", operation_id = "setBaseline",
    request_body = NewBaselineBody,
    responses(
        (status = 201, description = "The row as it is kept", body = BaselineBody),
        WriteErrors,
    ),
    security(("bearer" = ["editor"]), ("basic" = ["editor"])),
)]
pub(super) async fn set_baseline(
    port: Port,
    call: Call,
    _: Query<NoParams>,
    body: Body<NewBaselineBody>,
) -> Result<HttpResponse, Problem> {
    created::<StoredBody<BaselineBody>, _>(port.set(&call, body.into_inner().into()).await)
}

/// List an app's limits
///
/// All of them by type and function, at most 10,000 in one answer; empty for an unknown app.
#[utoipa::path(
    get, path = "/baselines/{key}", tag = "baselines", operation_id = "listBaselines",
    params(("key" = String, Path, description = "the app's name, percent-encoded", example = "flamewarden"), PageParams),
    responses((status = 200, description = "The limits", body = BaselinesBody), RelationalErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn list_baselines(
    port: Port,
    call: Call,
    app: PathParam<AppName>,
    page: Query<PageParams>,
) -> Result<HttpResponse, Problem> {
    list(&port, &call, BaselineQuery::of(Some(app.into_inner()), None), page.into_inner()).await
}

/// List an app's limits of one profile type
///
/// By function, at most 10,000 in one answer; empty for an unknown app.
#[utoipa::path(
    get, path = "/baselines/{key}/{type}", tag = "baselines", operation_id = "listBaselinesOfType",
    params(
        ("key" = String, Path, description = "the app's name, percent-encoded", example = "flamewarden"),
        ("type" = String, Path, description = "the profile type or an alias", example = "cpu"),
        PageParams,
    ),
    responses((status = 200, description = "The limits", body = BaselinesBody), RelationalErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn list_baselines_of_type(
    port: Port,
    call: Call,
    app: PathParam<AppName>,
    kind: PathParam<ProfileType, 1>,
    page: Query<PageParams>,
) -> Result<HttpResponse, Problem> {
    let query = BaselineQuery::of(Some(app.into_inner()), Some(kind.into_inner()));
    list(&port, &call, query, page.into_inner()).await
}

async fn list(port: &Port, call: &Call, query: BaselineQuery, page: PageParams) -> Result<HttpResponse, Problem> {
    let limit = page.limit.map_or(query.limit, Limit::get);
    let query = BaselineQuery { limit, after: page.cursor.map(|cursor| cursor.0), ..query };
    let page = port.page(call, &query).await.map_err(|e| Problem::of_relational(&e))?;
    let body = BaselinesBody {
        app_name: query.app_name,
        profile_type: query.profile_type,
        baselines: page.entries.into_iter().map(StoredBody::from).collect(),
        next_cursor: page.next.as_ref().map(Cursor::encode),
    };
    json(StatusCode::OK, &body)
}

/// Change a limit
///
/// At least one member; what is absent stays. The whole row as GET answers it is taken too: what cannot be changed must
/// then be as it is stored (`updatedAt` and `problems` are not compared).
#[utoipa::path(
    put, path = "/baselines/{key}", tag = "baselines", operation_id = "changeBaseline",
    params(("key" = i32, Path, description = "the row's id; GET with the app's name shows it", example = 1)),
    request_body = BaselineChangeBody,
    responses(
        (status = 200, description = "The row as it is kept now", body = BaselineBody),
        (status = 404, description = "`baseline_unknown`: no row has this id", body = Problem, content_type = "application/problem+json"),
        WriteErrors,
    ),
    security(("bearer" = ["editor"]), ("basic" = ["editor"])),
)]
pub(super) async fn change_baseline(
    port: Port,
    call: Call,
    key: PathParam<RowKey>,
    _: Query<NoParams>,
    body: ChangeBody<BaselineChangeBody>,
) -> Result<HttpResponse, Problem> {
    let change = BaselineChange { repeated: body.repeated, ..body.change.into() };
    if change.is_empty() {
        return Err(Problem::new(Code::BodyInvalid, "give at least one of maxSelfPercent, severity"));
    }
    let id = key.into_inner().known(Code::BaselineUnknown)?;
    found::<StoredBody<BaselineBody>, _>(port.change(&call, id, change).await, unknown)
}

/// Remove a limit
///
/// The function may take any share from then on. 404 if there is no limit with that id.
#[utoipa::path(
    delete, path = "/baselines/{key}", tag = "baselines", operation_id = "removeBaseline",
    params(("key" = i32, Path, description = "the row's id; GET with the app's name shows it", example = 1)),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "`baseline_unknown`: no row has this id", body = Problem, content_type = "application/problem+json"),
        RelationalErrors,
    ),
    security(("bearer" = ["editor"]), ("basic" = ["editor"])),
)]
pub(super) async fn remove_baseline(
    port: Port,
    call: Call,
    key: PathParam<RowKey>,
    _: Query<NoParams>,
) -> Result<HttpResponse, Problem> {
    let id = key.into_inner().known(Code::BaselineUnknown)?;
    removed(port.remove(&call, id).await, unknown)
}

fn unknown() -> Problem {
    Problem::new(Code::BaselineUnknown, "no baseline has this id")
}
