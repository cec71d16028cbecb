//! The routes of the History SOR. They call the port only.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, de};

use super::batch::{Recorded, create_valid};
use super::domain::{HistoryPosition, HistoryQuery, NewAssessment, check_assessed_at};
use super::port::HistorySor;
use super::wire::{AssessmentBody, BatchBody, BatchResultsBody, HistoryBody, KeyedAssessmentBody, NewAssessmentBody};
use crate::http::{
    Body, Code, Cursor, Limit, NoParams, PathParam, Problem, Query, RelationalErrors, Resource, Routes, RowKey,
    StoredBody, TimeParam, WriteErrors, created, idempotency_key, json, removed,
};
use crate::kernel::{AppName, Call, Clock, PortError};

/// The number of assessments in an answer if `limit` is absent.
const DEFAULT_LIMIT: u16 = 50;

/// Mounts and documents the routes of the History SOR.
pub fn routes(routes: &mut Routes<'_>) {
    routes
        .service(Resource::at("/history").with(__path_create_assessment, create_assessment))
        // Before the path of an app: one that is called "batch" has a newest assessment, but no list.
        .service(Resource::at("/history/batch").with(__path_create_assessments, create_assessments))
        .service(
            Resource::at("/history/{key}")
                .with(__path_list_history, list_history)
                .with(__path_remove_assessment, remove_assessment),
        )
        .service(Resource::at("/history/{key}/latest").with(__path_latest_assessment, latest_assessment));
}

type Port = web::Data<dyn HistorySor>;

/// A time with its fraction of a second, where it is given as RFC 3339: pages may end between two of one second.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Exact(DateTime<Utc>),
    Written(TimeParam),
}

impl Moment {
    fn resolve(self, clock: &dyn Clock) -> Result<DateTime<Utc>, Problem> {
        match self {
            Self::Exact(time) => Ok(time),
            Self::Written(time) => time.resolve(clock),
        }
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let written = text.parse().map(Self::Written).map_err(de::Error::custom)?;
        Ok(DateTime::parse_from_rfc3339(&text).map_or(written, |time| Self::Exact(time.to_utc())))
    }
}

/// Which assessments to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryParams {
    /// At most this many.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 500, default = 50)]
    limit: Option<Limit<{ HistoryQuery::MAX_LIMIT }>>,
    /// Only entries from this time on: epoch seconds, RFC 3339, `now`, `now-90m`.
    #[param(value_type = Option<String>, example = "now-7d")]
    from: Option<Moment>,
    /// Only entries before this time.
    #[param(value_type = Option<String>, example = "now")]
    to: Option<Moment>,
    /// Continue here: `nextCursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<HistoryPosition>>,
}

/// Keep an assessment
///
/// A repeated `Idempotency-Key` answers with the existing row, whatever the body says.
#[utoipa::path(
    post, path = "/history", tag = "history", operation_id = "createAssessment",
    params(("Idempotency-Key" = Option<Uuid>, Header, description = "the same key is the same assessment",
        example = "018d3f3e-7c1a-7000-8000-000000000001")),
    request_body = NewAssessmentBody,
    responses(
        (status = 201, description = "The row as it is kept", body = AssessmentBody),
        WriteErrors,
    ),
    security(("bearer" = ["editor"]), ("basic" = ["editor"])),
)]
pub(super) async fn create_assessment(
    port: Port,
    call: Call,
    clock: web::Data<dyn Clock>,
    request: HttpRequest,
    _: Query<NoParams>,
    body: Body<NewAssessmentBody>,
) -> Result<HttpResponse, Problem> {
    let entry = NewAssessment { idempotency_key: idempotency_key(&request)?, ..body.into_inner().into() };
    check_time(&entry, &**clock)?;
    created::<AssessmentBody, _>(port.create(&call, entry).await)
}

fn check_time(entry: &NewAssessment, clock: &dyn Clock) -> Result<(), Problem> {
    check_assessed_at(entry.assessed_at, clock.now())
        .map_err(|error| Problem::field(Code::BodyInvalid, "/assessedAt", error.to_string()))
}

/// Keep several assessments
///
/// Stores 1 to 500 assessments in one transaction and answers with a result for each, in order. One that is not valid,
/// or that the table refuses, does not affect the others. A key that is known, or that comes twice, is answered with
/// the existing row, so a batch can be sent again.
#[utoipa::path(
    post, path = "/history/batch", tag = "history", operation_id = "createAssessments",
    request_body = BatchBody,
    responses(
        (status = 200, description = "What became of each entry", body = BatchResultsBody),
        WriteErrors,
    ),
    security(("bearer" = ["editor"]), ("basic" = ["editor"])),
)]
pub(super) async fn create_assessments(
    port: Port,
    call: Call,
    clock: web::Data<dyn Clock>,
    _: Query<NoParams>,
    body: Body<BatchBody>,
) -> Result<HttpResponse, Problem> {
    let entries = body.into_inner().entries.into_inner();
    let read = entries.iter().map(|text| read_entry(text.get(), &**clock)).collect();
    let results = create_valid(&**port, &call, read).await.map_err(|e| Problem::of_relational(&e))?;
    let results = results.into_iter().map(|kept| kept.and_then(|kept| kept.map_err(|e| entry_problem(&e))).into());
    json(StatusCode::OK, &BatchResultsBody { results: results.collect() })
}

fn read_entry(text: &str, clock: &dyn Clock) -> Result<Recorded, Problem> {
    let recorded = Recorded::from(Body::<KeyedAssessmentBody>::from_json(text.as_bytes())?.into_inner());
    check_time(&recorded.entry, clock)?;
    Ok(recorded)
}

/// Why one entry of a batch is not kept. It is logged here, because the request itself succeeds.
fn entry_problem(error: &PortError) -> Problem {
    if !matches!(error, PortError::Invalid(_) | PortError::Conflict(_)) {
        tracing::warn!(%error, "an assessment of a batch is not kept");
    }
    Problem::of_relational(error)
}

/// List an app's assessments
///
/// Newest first; empty for an unknown app.
#[utoipa::path(
    get, path = "/history/{key}", tag = "history", operation_id = "listHistory",
    params(("key" = String, Path, description = "the app's name, percent-encoded", example = "flamewarden"), HistoryParams),
    responses((status = 200, description = "One page", body = HistoryBody), RelationalErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn list_history(
    port: Port,
    call: Call,
    clock: web::Data<dyn Clock>,
    app: PathParam<AppName>,
    params: Query<HistoryParams>,
) -> Result<HttpResponse, Problem> {
    let params = params.into_inner();
    let from = params.from.map(|time| time.resolve(&**clock)).transpose()?;
    let to = params.to.map(|time| time.resolve(&**clock)).transpose()?;
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        return Err(Problem::new(Code::WindowInvalid, "from must lie before to"));
    }
    let limit = params.limit.map_or(DEFAULT_LIMIT, Limit::get);
    let after = params.cursor.map(|cursor| cursor.0);
    let query = HistoryQuery { app_name: app.into_inner(), limit, from, to, after };
    let page = port.list(&call, &query).await.map_err(|e| Problem::of_relational(&e))?;
    let body = HistoryBody {
        app_name: query.app_name,
        count: page.entries.len(),
        history: page.entries.into_iter().map(StoredBody::from).collect(),
        next_cursor: page.next.as_ref().map(Cursor::encode),
    };
    json(StatusCode::OK, &body)
}

/// Read an app's newest assessment
///
/// The newest assessment of an app. 404 if there is none.
#[utoipa::path(
    get, path = "/history/{key}/latest", tag = "history", operation_id = "latestAssessment",
    params(("key" = String, Path, description = "the app's name, percent-encoded", example = "flamewarden")),
    responses(
        (status = 200, description = "The newest row", body = AssessmentBody),
        (status = 404, description = "`history_unknown`: nothing was assessed", body = Problem, content_type = "application/problem+json"),
        RelationalErrors,
    ),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn latest_assessment(
    port: Port,
    call: Call,
    app: PathParam<AppName>,
    _: Query<NoParams>,
) -> Result<HttpResponse, Problem> {
    let row = port.latest(&call, &app.into_inner()).await.map_err(|e| Problem::of_relational(&e))?;
    let row = row.ok_or_else(|| Problem::new(Code::HistoryUnknown, "nothing was assessed for this app so far"))?;
    json(StatusCode::OK, &StoredBody::<AssessmentBody>::from(row))
}

/// Remove an assessment
///
/// Removes one entry from the audit trail for good. 404 if there is no entry with that id.
#[utoipa::path(
    delete, path = "/history/{key}", tag = "history", operation_id = "removeAssessment",
    params(("key" = i32, Path, description = "the row's id; GET with the app's name shows it", example = 1)),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "`history_unknown`: no row has this id", body = Problem, content_type = "application/problem+json"),
        RelationalErrors,
    ),
    security(("bearer" = ["admin"]), ("basic" = ["admin"])),
)]
pub(super) async fn remove_assessment(
    port: Port,
    call: Call,
    key: PathParam<RowKey>,
    _: Query<NoParams>,
) -> Result<HttpResponse, Problem> {
    let id = key.into_inner().known(Code::HistoryUnknown)?;
    removed(port.remove(&call, id).await, || Problem::new(Code::HistoryUnknown, "no assessment has this id"))
}
