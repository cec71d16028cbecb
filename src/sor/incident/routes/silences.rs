//! When nobody is to be told.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Deserialize;

use super::Silences;
use crate::http::{
    Body, Code, Cursor, Limit, NoParams, PathParam, Problem, Query, RelationalErrors, RowKey, WriteErrors, created,
    json, removed,
};
use crate::kernel::Call;
use crate::sor::incident::domain::{IncidentPosition, IncidentQuery, NewSilence, Silence, SilenceQuery};
use crate::sor::incident::wire::{NewSilenceBody, SilencesBody};

/// Which silences to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::sor::incident) struct SilenceParams {
    /// Only those that have not ended (true, the default), or all.
    #[param(example = true)]
    active: Option<bool>,
    /// At most this many silences; 100 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1_000, example = 100)]
    limit: Option<Limit<{ IncidentQuery::MAX_LIMIT }>>,
    /// Continue here: `nextCursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<IncidentPosition>>,
}

/// Make a silence
///
/// From one time to another nobody is told of alerts that match all members given. They fire all the same, and
/// `GET /alerts` shows them. That one is over is told where it was told that it fires.
#[utoipa::path(
    post, path = "/silences", tag = "silences", operation_id = "makeSilence",
    request_body = NewSilenceBody,
    responses((status = 201, description = "The silence as it is kept", body = Silence), WriteErrors),
    security(("bearer" = ["editor"]), ("basic" = ["editor"])),
)]
pub(in crate::sor::incident) async fn make_silence(
    port: Silences,
    call: Call,
    _: Query<NoParams>,
    body: Body<NewSilenceBody>,
) -> Result<HttpResponse, Problem> {
    let new = NewSilence::from(body.into_inner());
    if new.app.is_none() && new.source.is_none() && new.rule_id.is_none() {
        return Err(Problem::new(Code::BodyInvalid, "give at least one of appName, source, ruleId"));
    }
    created::<Silence, _>(port.create(&call, new).await)
}

/// List silences
///
/// Those that hold now or later, newest first; with `active=false` those that ended too.
#[utoipa::path(
    get, path = "/silences", tag = "silences", operation_id = "listSilences",
    params(SilenceParams),
    responses((status = 200, description = "One page", body = SilencesBody), RelationalErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(in crate::sor::incident) async fn list_silences(
    port: Silences,
    call: Call,
    params: Query<SilenceParams>,
) -> Result<HttpResponse, Problem> {
    let params = params.into_inner();
    let query = SilenceQuery {
        active: params.active.unwrap_or(true),
        limit: params.limit.map_or(IncidentQuery::DEFAULT_LIMIT, Limit::get),
        after: params.cursor.map(|cursor| cursor.0),
    };
    let page = port.page(&call, query).await.map_err(|e| Problem::of_relational(&e))?;
    let (count, next_cursor) = (page.entries.len(), page.next.as_ref().map(Cursor::encode));
    json(StatusCode::OK, &SilencesBody { count, silences: page.entries, next_cursor })
}

/// Remove a silence
///
/// People are told again at once of what it matched.
#[utoipa::path(
    delete, path = "/silences/{id}", tag = "silences", operation_id = "removeSilence",
    params(("id" = i32, Path, description = "the silence's id; GET /silences shows it", example = 1)),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "`silence_unknown`: no silence has this id", body = Problem, content_type = "application/problem+json"),
        RelationalErrors,
    ),
    security(("bearer" = ["editor"]), ("basic" = ["editor"])),
)]
pub(in crate::sor::incident) async fn remove_silence(
    port: Silences,
    call: Call,
    id: PathParam<RowKey>,
    _: Query<NoParams>,
) -> Result<HttpResponse, Problem> {
    let id = id.into_inner().known(Code::SilenceUnknown)?;
    removed(port.remove(&call, id).await, || {
        Problem::new(Code::SilenceUnknown, "no silence has this id; GET /silences lists those that there are")
    })
}
