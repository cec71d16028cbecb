//! The routes of the Alert rule SOR. They call the port only.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::conditions::InvalidRule;
use super::domain::{NewRule, RuleChange, RulePosition, RuleQuery, Which};
use super::port::AlertRuleSor;
use super::wire::{NewRuleBody, RuleBody, RuleChangeBody, RulesBody};
use crate::http::{
    Body, ChangeBody, Code, Cursor, Limit, NoParams, PathParam, Problem, Query, RelationalErrors, Resource, Routes,
    RowKey, StoredBody, WriteErrors, created, found, json, removed,
};
use crate::kernel::{AppName, Call};

/// Mounts and documents the routes of the Alert rule SOR.
pub fn routes(routes: &mut Routes<'_>) {
    routes
        .service(Resource::at("/rules").with(__path_list_rules, list_rules).with(__path_create_rule, create_rule))
        .service(
            Resource::at("/rules/{id}")
                .with(__path_read_rule, read_rule)
                .with(__path_change_rule, change_rule)
                .with(__path_remove_rule, remove_rule),
        )
        .service(Resource::at("/rules/active/{appName}").with(__path_list_active_rules, list_active_rules));
}

type Port = web::Data<dyn AlertRuleSor>;

/// Which rules to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct RuleParams {
    /// Only rules of this app.
    #[param(value_type = Option<String>, min_length = 1, max_length = 512, example = "flamewarden")]
    app_name: Option<AppName>,
    /// At most this many.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 10_000, example = 100)]
    limit: Option<Limit<{ RuleQuery::MAX_LIMIT }>>,
    /// Continue here: `nextCursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<RulePosition>>,
}

/// A page of the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageParams {
    /// At most this many.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 10_000, example = 100)]
    limit: Option<Limit<{ RuleQuery::MAX_LIMIT }>>,
    /// Continue here: `nextCursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<RulePosition>>,
}

/// Make an alert rule
///
/// Makes a rule that says from which share of an app's profile on to alert: of any function, of those whose names match,
/// or of a category. A rule whose `appName` is `*` covers every app. Repeating the request makes a second rule.
#[utoipa::path(
    post, path = "/rules", tag = "rules", operation_id = "createRule",
    request_body = NewRuleBody,
    responses((status = 201, description = "The row as it is kept", body = RuleBody), WriteErrors),
    security(("bearer" = ["editor"]), ("basic" = ["editor"])),
)]
pub(super) async fn create_rule(
    port: Port,
    call: Call,
    _: Query<NoParams>,
    body: Body<NewRuleBody>,
) -> Result<HttpResponse, Problem> {
    created::<RuleBody, _>(port.create(&call, new_rule(body.into_inner())?).await)
}

/// Reads the body of a rule whose members may not go together.
///
/// # Errors
/// `body_invalid`, with the member to look at.
pub fn new_rule(body: NewRuleBody) -> Result<NewRule, Problem> {
    let invalid = |why: InvalidRule| Problem::field(Code::BodyInvalid, format!("/{}", why.member()), why.to_string());
    body.try_into().map_err(invalid)
}

/// List alert rules
///
/// All rules, or those of one app, by app and newest first; at most 10,000 in one answer. Empty for an unknown app.
#[utoipa::path(
    get, path = "/rules", tag = "rules", operation_id = "listRules",
    params(RuleParams),
    responses((status = 200, description = "The rules", body = RulesBody), RelationalErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn list_rules(port: Port, call: Call, params: Query<RuleParams>) -> Result<HttpResponse, Problem> {
    let RuleParams { app_name, limit, cursor } = params.into_inner();
    list(&port, &call, app_name.map_or(Which::All, Which::Of), PageParams { limit, cursor }).await
}

/// List an app's active alert rules
///
/// The enabled rules of an app, newest first; at most 10,000 in one answer. Empty for an unknown app.
#[utoipa::path(
    get, path = "/rules/active/{appName}", tag = "rules", operation_id = "listActiveRules",
    params(("appName" = String, Path, description = "the app's name, percent-encoded", example = "flamewarden"), PageParams),
    responses((status = 200, description = "The rules", body = RulesBody), RelationalErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn list_active_rules(
    port: Port,
    call: Call,
    app: PathParam<AppName>,
    page: Query<PageParams>,
) -> Result<HttpResponse, Problem> {
    list(&port, &call, Which::Active(app.into_inner()), page.into_inner()).await
}

async fn list(port: &Port, call: &Call, which: Which, page: PageParams) -> Result<HttpResponse, Problem> {
    let limit = page.limit.map_or(RuleQuery::MAX_LIMIT, Limit::get);
    let query = RuleQuery { which, limit, after: page.cursor.map(|cursor| cursor.0) };
    let page = port.page(call, &query).await.map_err(|e| Problem::of_relational(&e))?;
    let body = RulesBody {
        app_name: if let Which::Active(app) = query.which { Some(app) } else { None },
        count: page.entries.len(),
        rules: page.entries.into_iter().map(StoredBody::from).collect(),
        next_cursor: page.next.as_ref().map(Cursor::encode),
    };
    json(StatusCode::OK, &body)
}

/// Read an alert rule
///
/// Reads one rule by its id. 404 if there is no rule with that id.
#[utoipa::path(
    get, path = "/rules/{id}", tag = "rules", operation_id = "readRule",
    params(("id" = i32, Path, description = "the row's id; GET /rules shows it", example = 1)),
    responses(
        (status = 200, description = "The row", body = RuleBody),
        (status = 404, description = "`rule_unknown`: no row has this id", body = Problem, content_type = "application/problem+json"),
        RelationalErrors,
    ),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn read_rule(
    port: Port,
    call: Call,
    id: PathParam<RowKey>,
    _: Query<NoParams>,
) -> Result<HttpResponse, Problem> {
    let row =
        port.get(&call, id.into_inner().known(Code::RuleUnknown)?).await.map_err(|e| Problem::of_relational(&e))?;
    json(StatusCode::OK, &StoredBody::<RuleBody>::from(row.ok_or_else(unknown)?))
}

/// Change an alert rule
///
/// At least one member; what is absent stays, null clears. The whole row as GET answers it is taken too: what cannot be
/// changed must then be as it is stored (`updatedAt` and `problems` are not compared).
#[utoipa::path(
    put, path = "/rules/{id}", tag = "rules", operation_id = "changeRule",
    params(("id" = i32, Path, description = "the row's id; GET /rules shows it", example = 1)),
    request_body = RuleChangeBody,
    responses(
        (status = 200, description = "The row as it is kept now", body = RuleBody),
        (status = 404, description = "`rule_unknown`: no row has this id", body = Problem, content_type = "application/problem+json"),
        WriteErrors,
    ),
    security(("bearer" = ["editor"]), ("basic" = ["editor"])),
)]
pub(super) async fn change_rule(
    port: Port,
    call: Call,
    id: PathParam<RowKey>,
    _: Query<NoParams>,
    body: ChangeBody<RuleChangeBody>,
) -> Result<HttpResponse, Problem> {
    let change = RuleChange { repeated: body.repeated, ..body.change.into() };
    if change.is_empty() {
        let detail = "give at least one of thresholdPercent, functionPattern, severity, notificationChannel, enabled, \
                      services, measure, category, windowSeconds, forSeconds, keepFiringSeconds, runbookUrl";
        return Err(Problem::new(Code::BodyInvalid, detail));
    }
    let id = id.into_inner().known(Code::RuleUnknown)?;
    found::<StoredBody<RuleBody>, _>(port.change(&call, id, change).await, unknown)
}

/// Remove an alert rule
///
/// The rule raises no alert from then on. 404 if there is no rule with that id.
#[utoipa::path(
    delete, path = "/rules/{id}", tag = "rules", operation_id = "removeRule",
    params(("id" = i32, Path, description = "the row's id; GET /rules shows it", example = 1)),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "`rule_unknown`: no row has this id", body = Problem, content_type = "application/problem+json"),
        RelationalErrors,
    ),
    security(("bearer" = ["editor"]), ("basic" = ["editor"])),
)]
pub(super) async fn remove_rule(
    port: Port,
    call: Call,
    id: PathParam<RowKey>,
    _: Query<NoParams>,
) -> Result<HttpResponse, Problem> {
    let id = id.into_inner().known(Code::RuleUnknown)?;
    removed(port.remove(&call, id).await, unknown)
}

fn unknown() -> Problem {
    Problem::new(Code::RuleUnknown, "no rule has this id")
}
