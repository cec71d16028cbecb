//! The routes of the Registry SOR. They call the port only.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::domain::{ServiceChange, ServicePosition, ServiceQuery};
use super::port::RegistrySor;
use super::wire::{NewServiceBody, ServiceBody, ServiceChangeBody, ServicesBody};
use crate::http::{
    Body, ChangeBody, Code, Cursor, Limit, NoParams, PathParam, Problem, Query, RelationalErrors, Resource, Routes,
    StoredBody, WriteErrors, created, found, json, removed,
};
use crate::kernel::{AppName, Call, Tier};

/// Mounts and documents the routes of the Registry SOR.
pub fn routes(routes: &mut Routes<'_>) {
    routes
        .service(
            Resource::at("/services")
                .with(__path_list_services, list_services)
                .with(__path_register_service, register_service),
        )
        .service(
            Resource::at("/services/{appName}")
                .with(__path_read_service, read_service)
                .with(__path_change_service, change_service)
                .with(__path_remove_service, remove_service),
        );
}

type Port = web::Data<dyn RegistrySor>;

/// Which services to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ServiceParams {
    /// Only services of this tier.
    #[param(value_type = Option<String>, min_length = 1, max_length = 20, example = "critical")]
    tier: Option<Tier>,
    /// At most this many.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 10_000, example = 100)]
    limit: Option<Limit<{ ServiceQuery::MAX_LIMIT }>>,
    /// Continue here: `nextCursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<ServicePosition>>,
}

/// Register a service
///
/// Registers who owns an app, how important it is, the channel on which its owners are notified, and which series
/// belong to it. For an app that is registered, the given members change and the others stay; to clear a member, change
/// the service.
#[utoipa::path(
    post, path = "/services", tag = "services", operation_id = "registerService",
    request_body = NewServiceBody,
    responses((status = 201, description = "The row as it is kept", body = ServiceBody), WriteErrors),
    security(("bearer" = ["editor"]), ("basic" = ["editor"])),
)]
pub(super) async fn register_service(
    port: Port,
    call: Call,
    _: Query<NoParams>,
    body: Body<NewServiceBody>,
) -> Result<HttpResponse, Problem> {
    created::<StoredBody<ServiceBody>, _>(port.register(&call, body.into_inner().into()).await)
}

/// List services
///
/// All services, or those of one tier, by app; at most 10,000 in one answer.
#[utoipa::path(
    get, path = "/services", tag = "services", operation_id = "listServices",
    params(ServiceParams),
    responses((status = 200, description = "The services", body = ServicesBody), RelationalErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn list_services(
    port: Port,
    call: Call,
    params: Query<ServiceParams>,
) -> Result<HttpResponse, Problem> {
    let params = params.into_inner();
    let query = ServiceQuery {
        tier: params.tier,
        limit: params.limit.map_or(ServiceQuery::MAX_LIMIT, Limit::get),
        after: params.cursor.map(|cursor| cursor.0),
    };
    let page = port.page(&call, &query).await.map_err(|e| Problem::of_relational(&e))?;
    let body = ServicesBody {
        count: page.entries.len(),
        services: page.entries.into_iter().map(StoredBody::from).collect(),
        next_cursor: page.next.as_ref().map(Cursor::encode),
    };
    json(StatusCode::OK, &body)
}

/// Read a service
///
/// What is known of one app's service. 404 where the app is not registered.
#[utoipa::path(
    get, path = "/services/{appName}", tag = "services", operation_id = "readService",
    params(("appName" = String, Path, description = "the app's name, percent-encoded", example = "flamewarden")),
    responses(
        (status = 200, description = "The row", body = ServiceBody),
        (status = 404, description = "`service_unknown`: the app is not registered", body = Problem, content_type = "application/problem+json"),
        RelationalErrors,
    ),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn read_service(
    port: Port,
    call: Call,
    app: PathParam<AppName>,
    _: Query<NoParams>,
) -> Result<HttpResponse, Problem> {
    let app = app.into_inner();
    found::<StoredBody<ServiceBody>, _>(port.get(&call, &app).await, || unknown(&app))
}

/// Change a service
///
/// At least one member; what is absent stays, null clears. The whole row as GET answers it is taken too: what cannot be
/// changed must then be as it is stored (`updatedAt` and `problems` are not compared).
#[utoipa::path(
    put, path = "/services/{appName}", tag = "services", operation_id = "changeService",
    params(("appName" = String, Path, description = "the app's name, percent-encoded", example = "flamewarden")),
    request_body = ServiceChangeBody,
    responses(
        (status = 200, description = "The row as it is kept now", body = ServiceBody),
        (status = 404, description = "`service_unknown`: the app is not registered", body = Problem, content_type = "application/problem+json"),
        WriteErrors,
    ),
    security(("bearer" = ["editor"]), ("basic" = ["editor"])),
)]
pub(super) async fn change_service(
    port: Port,
    call: Call,
    app: PathParam<AppName>,
    _: Query<NoParams>,
    body: ChangeBody<ServiceChangeBody>,
) -> Result<HttpResponse, Problem> {
    let (app, change) = (app.into_inner(), ServiceChange { repeated: body.repeated, ..body.change.into() });
    if change.is_empty() {
        let detail =
            "give at least one of teamOwner, tier, environment, notificationChannel, pyroscopeLabels, metadata";
        return Err(Problem::new(Code::BodyInvalid, detail));
    }
    found::<StoredBody<ServiceBody>, _>(port.change(&call, &app, change).await, || unknown(&app))
}

/// Remove a service
///
/// From then on the app has no owner, and all series with its name belong to it. 404 if it is not registered.
#[utoipa::path(
    delete, path = "/services/{appName}", tag = "services", operation_id = "removeService",
    params(("appName" = String, Path, description = "the app's name, percent-encoded", example = "flamewarden")),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "`service_unknown`: the app is not registered", body = Problem, content_type = "application/problem+json"),
        RelationalErrors,
    ),
    security(("bearer" = ["editor"]), ("basic" = ["editor"])),
)]
pub(super) async fn remove_service(
    port: Port,
    call: Call,
    app: PathParam<AppName>,
    _: Query<NoParams>,
) -> Result<HttpResponse, Problem> {
    let app = app.into_inner();
    removed(port.remove(&call, &app).await, || unknown(&app))
}

fn unknown(app: &AppName) -> Problem {
    Problem::new(Code::ServiceUnknown, format!("{:?} is not registered", app.as_str()))
}
