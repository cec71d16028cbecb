//! The routes of the Audit SOR. They call the port only.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::domain::{AuditPosition, AuditQuery, AuditResult, AuditText, NewAuditEntry, Verification, VerifyLimit};
use super::port::AuditSor;
use super::wire::{AppendedBody, AuditLogBody, MAX_ENTRIES, NewAuditEntriesBody};
use crate::http::{
    Body, Code, Cursor, Limit, NoParams, Problem, Query, RelationalErrors, Resource, Routes, TimeParam, WriteErrors,
    json,
};
use crate::kernel::{AppName, Call, Clock, Text255};

/// Mounts and documents the routes of the Audit SOR.
pub fn routes(routes: &mut Routes<'_>) {
    routes
        .service(Resource::at("/audit").with(__path_list_audit_log, list_audit_log))
        .service(Resource::at("/audit/verify").with(__path_verify_audit_log, verify_audit_log))
        .service(Resource::at("/core/audit/append").with(__path_append_to_audit_log, append_to_audit_log));
}

type Port = web::Data<dyn AuditSor>;

/// Which entries to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct AuditParams {
    /// Who acted: `method:name`, such as `token:ci`, or `sql:` and the role where a change was made past the server.
    #[param(value_type = Option<String>, min_length = 1, max_length = 2000, example = "token:ci")]
    user_id: Option<AuditText>,
    /// What was done: `baseline.create`, `.update`, `.delete`; the same of `service` and `rule`; `history.delete`,
    /// `history.expire`; `request.denied`.
    #[param(value_type = Option<String>, min_length = 1, max_length = 2000, example = "baseline.update")]
    action: Option<AuditText>,
    /// The kind of what it was done to: `baseline`, `service`, `rule`, `history`, `route`.
    #[param(value_type = Option<String>, min_length = 1, max_length = 2000, example = "baseline")]
    resource_type: Option<AuditText>,
    /// Which one it was: the id of its row; of a service, the app.
    #[param(value_type = Option<String>, min_length = 1, max_length = 2000, example = "1")]
    resource_id: Option<AuditText>,
    /// The app it belongs to.
    #[param(value_type = Option<String>, min_length = 1, max_length = 512, example = "flamewarden")]
    app_name: Option<AppName>,
    /// The project it belongs to, or several with commas between them.
    #[param(value_type = Option<String>, min_length = 1, max_length = 2000)]
    project: Option<AuditText>,
    /// How it ended.
    result: Option<AuditResult>,
    /// Only entries from this time on: epoch seconds, RFC 3339, `now-90m`.
    #[param(value_type = Option<String>, example = "now-24h")]
    from: Option<TimeParam>,
    /// Only entries before this time.
    #[param(value_type = Option<String>, example = "now")]
    to: Option<TimeParam>,
    /// At most this many entries; 100 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1_000, example = 100)]
    limit: Option<Limit<{ AuditQuery::MAX_LIMIT }>>,
    /// Continue here: `nextCursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<AuditPosition>>,
}

impl AuditParams {
    fn query(self, call: &Call, clock: &dyn Clock) -> Result<AuditQuery, Problem> {
        let from = self.from.map(|time| time.resolve(clock)).transpose()?;
        let to = self.to.map(|time| time.resolve(clock)).transpose()?;
        if from.zip(to).is_some_and(|(from, to)| from >= to) {
            return Err(Problem::new(Code::WindowInvalid, "from must lie before to"));
        }
        let asked = self.project.as_ref().map(|text| projects(text.as_str())).transpose()?;
        Ok(AuditQuery {
            user: self.user_id,
            action: self.action,
            resource_type: self.resource_type,
            resource_id: self.resource_id,
            app: self.app_name,
            projects: seen(call.caller().and_then(|caller| caller.projects.clone()), asked),
            result: self.result,
            from,
            to,
            limit: self.limit.map_or(AuditQuery::DEFAULT_LIMIT, Limit::get),
            after: self.cursor.map(|cursor| cursor.0),
        })
    }
}

fn projects(text: &str) -> Result<Vec<Text255>, Problem> {
    let read = text.split(',').map(str::parse).collect::<Result<_, crate::kernel::InvalidName>>();
    read.map_err(|error| Problem::field(Code::ParameterInvalid, "project", error.to_string()))
}

/// The projects to list, of those that the caller may see.
fn seen(allowed: Option<Vec<Text255>>, asked: Option<Vec<Text255>>) -> Option<Vec<Text255>> {
    match (allowed, asked) {
        (Some(allowed), Some(asked)) => Some(asked.into_iter().filter(|one| allowed.contains(one)).collect()),
        (allowed, asked) => allowed.or(asked),
    }
}

/// List what was changed
///
/// Newest first: who changed what and when, with the row before and after; also requests that were denied.
#[utoipa::path(
    get, path = "/audit", tag = "audit", operation_id = "listAuditLog",
    params(AuditParams),
    responses((status = 200, description = "One page", body = AuditLogBody), RelationalErrors),
    security(("bearer" = ["admin", "projects"]), ("basic" = ["admin", "projects"])),
)]
pub(super) async fn list_audit_log(
    port: Port,
    call: Call,
    clock: web::Data<dyn Clock>,
    params: Query<AuditParams>,
) -> Result<HttpResponse, Problem> {
    let query = params.into_inner().query(&call, &**clock)?;
    let page = port.page(&call, &query).await.map_err(|e| Problem::of_relational(&e))?;
    let (count, next_cursor) = (page.entries.len(), page.next.as_ref().map(Cursor::encode));
    json(StatusCode::OK, &AuditLogBody { count, entries: page.entries, next_cursor })
}

/// Which part of the chain to verify.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct VerifyParams {
    /// The first link to verify: `nextSeq` of the answer before. From the first link on if absent.
    #[param(value_type = Option<u64>, minimum = 1, example = 1)]
    from_seq: Option<core::num::NonZeroU64>,
    /// At most this many links; 100,000 if absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1_000_000, example = 100_000)]
    limit: Option<VerifyLimit>,
}

/// Verify the log
///
/// Entries are chained: each link holds the SHA-256 of the link before it and of an entry. An entry that was changed or
/// removed past the server no longer fits. Entries are chained within about a second.
#[utoipa::path(
    get, path = "/audit/verify", tag = "audit", operation_id = "verifyAuditLog",
    params(VerifyParams),
    responses((status = 200, description = "What came of it", body = Verification), RelationalErrors),
    security(("bearer" = ["admin"]), ("basic" = ["admin"])),
)]
pub(super) async fn verify_audit_log(
    port: Port,
    call: Call,
    params: Query<VerifyParams>,
) -> Result<HttpResponse, Problem> {
    let VerifyParams { from_seq, limit } = params.into_inner();
    let too_large = |_| Problem::field(Code::ParameterInvalid, "fromSeq", format!("must be at most {}", i64::MAX));
    let from_seq = from_seq.map(|seq| i64::try_from(seq.get()).map_err(too_large)).transpose()?;
    let verified = port.verify(&call, from_seq, limit.unwrap_or_default()).await;
    json(StatusCode::OK, &verified.map_err(|e| Problem::of_relational(&e))?)
}

/// Append to the log
///
/// For other Flamewardens: entries of what changes no table, such as requests that were denied. All are kept, or none.
#[utoipa::path(
    post, path = "/core/audit/append", tag = "audit", operation_id = "appendToAuditLog",
    request_body = NewAuditEntriesBody,
    responses((status = 200, description = "They are kept", body = AppendedBody), WriteErrors),
    security(("bearer" = ["service"]), ("basic" = ["service"])),
)]
pub(super) async fn append_to_audit_log(
    port: Port,
    call: Call,
    _: Query<NoParams>,
    body: Body<NewAuditEntriesBody>,
) -> Result<HttpResponse, Problem> {
    let entries: Vec<NewAuditEntry> = body.into_inner().entries;
    if !(1..=MAX_ENTRIES).contains(&entries.len()) {
        let detail = format!("/entries: must hold 1 to {MAX_ENTRIES} entries, and holds {}", entries.len());
        return Err(Problem::new(Code::BodyInvalid, detail));
    }
    if let Some(position) = entries.iter().position(|entry| entry.times < 1) {
        return Err(Problem::new(Code::BodyInvalid, format!("/entries/{position}/times: must be at least 1")));
    }
    let appended = entries.len();
    port.append(&call, entries).await.map_err(|e| Problem::of_relational(&e))?;
    json(StatusCode::OK, &AppendedBody { appended })
}
