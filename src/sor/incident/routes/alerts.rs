//! What is wrong, and what people do about it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web;
use serde::Deserialize;

use super::Incidents;
use crate::http::{
    Body, Code, Cursor, Limit, NoParams, PathParam, Problem, Query, RelationalErrors, RowKey, TimeParam, WriteErrors,
    found, json,
};
use crate::kernel::{AppName, Call, Clock, LimitSeverity, RowId};
use crate::sor::incident::domain::{
    Act, Incident, IncidentPosition, IncidentQuery, IncidentSource, IncidentState, IncidentTimeline,
};
use crate::sor::incident::wire::{AcknowledgeBody, AlertsBody, SnoozeBody};

/// Which states to list.
#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::sor::incident) enum AlertStates {
    /// Those that fire.
    #[default]
    Firing,
    /// Those that are over the limit, but not yet for long enough.
    Pending,
    /// Those that are over.
    Resolved,
    /// All.
    All,
}

impl AlertStates {
    fn state(self) -> Option<IncidentState> {
        match self {
            Self::Firing => Some(IncidentState::Firing),
            Self::Pending => Some(IncidentState::Pending),
            Self::Resolved => Some(IncidentState::Resolved),
            Self::All => None,
        }
    }
}

/// Which alerts to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::sor::incident) struct AlertParams {
    /// In this state; those that fire if absent.
    #[param(inline)]
    state: Option<AlertStates>,
    /// Of this app.
    #[param(value_type = Option<String>, min_length = 1, max_length = 512, example = "flamewarden")]
    app_name: Option<AppName>,
    /// From there: an alert rule, an approved limit (`baseline`), or the server itself (`system`).
    source: Option<IncidentSource>,
    /// Of this severity.
    severity: Option<LimitSeverity>,
    /// Of this rule.
    #[param(value_type = Option<i32>, minimum = 1, example = 1)]
    rule_id: Option<RowId>,
    /// Acknowledged, or not.
    acknowledged: Option<bool>,
    /// Only alerts that were not over before this time: epoch seconds, RFC 3339, `now-90m`.
    #[param(value_type = Option<String>, example = "now-24h")]
    from: Option<TimeParam>,
    /// Only alerts that began before this time.
    #[param(value_type = Option<String>, example = "now")]
    to: Option<TimeParam>,
    /// At most this many alerts; 100 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1_000, example = 100)]
    limit: Option<Limit<{ IncidentQuery::MAX_LIMIT }>>,
    /// Continue here: `nextCursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<IncidentPosition>>,
}

impl AlertParams {
    fn query(self, clock: &dyn Clock) -> Result<IncidentQuery, Problem> {
        let from = self.from.map(|time| time.resolve(clock)).transpose()?;
        let to = self.to.map(|time| time.resolve(clock)).transpose()?;
        if from.zip(to).is_some_and(|(from, to)| from >= to) {
            return Err(Problem::new(Code::WindowInvalid, "from must lie before to"));
        }
        Ok(IncidentQuery {
            state: self.state.unwrap_or_default().state(),
            app: self.app_name,
            source: self.source,
            severity: self.severity,
            rule_id: self.rule_id.map(RowId::get),
            acknowledged: self.acknowledged,
            from,
            to,
            limit: self.limit.map_or(IncidentQuery::DEFAULT_LIMIT, Limit::get),
            after: self.cursor.map(|cursor| cursor.0),
        })
    }
}

fn unknown() -> Problem {
    Problem::new(Code::AlertUnknown, "no alert has this id; GET /alerts?state=all lists those that there are")
}

/// List alerts
///
/// What is wrong, newest first: those that fire, or those of another state. Each says what fires, since when, with figures,
/// and who looks after it.
#[utoipa::path(
    get, path = "/alerts", tag = "alerts", operation_id = "listAlerts",
    params(AlertParams),
    responses((status = 200, description = "One page", body = AlertsBody), RelationalErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(in crate::sor::incident) async fn list_alerts(
    port: Incidents,
    call: Call,
    clock: web::Data<dyn Clock>,
    params: Query<AlertParams>,
) -> Result<HttpResponse, Problem> {
    let query = params.into_inner().query(&**clock)?;
    let page = port.page(&call, &query).await.map_err(|e| Problem::of_relational(&e))?;
    let (count, next_cursor) = (page.entries.len(), page.next.as_ref().map(Cursor::encode));
    json(StatusCode::OK, &AlertsBody { count, alerts: page.entries, next_cursor })
}

/// Show an alert
///
/// With what happened to it, newest first: at most 200 events.
#[utoipa::path(
    get, path = "/alerts/{id}", tag = "alerts", operation_id = "showAlert",
    params(("id" = i32, Path, description = "the alert's id; GET /alerts shows it", example = 1)),
    responses(
        (status = 200, description = "The alert and its events", body = IncidentTimeline),
        (status = 404, description = "`alert_unknown`: no alert has this id", body = Problem, content_type = "application/problem+json"),
        RelationalErrors,
    ),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(in crate::sor::incident) async fn show_alert(
    port: Incidents,
    call: Call,
    id: PathParam<RowKey>,
    _: Query<NoParams>,
) -> Result<HttpResponse, Problem> {
    let id = id.into_inner().known(Code::AlertUnknown)?;
    found::<IncidentTimeline, _>(port.get(&call, id).await, unknown)
}

/// Acknowledge an alert
///
/// Says that somebody looks after an alert that fires: it is not told again unless it gets worse. The first one who does
/// stays: a second time is a 409.
#[utoipa::path(
    post, path = "/alerts/{id}/acknowledge", tag = "alerts", operation_id = "acknowledgeAlert",
    params(("id" = i32, Path, description = "the alert's id; GET /alerts shows it", example = 1)),
    request_body = AcknowledgeBody,
    responses(
        (status = 200, description = "The alert as it is now", body = Incident),
        (status = 404, description = "`alert_unknown`: no alert has this id", body = Problem, content_type = "application/problem+json"),
        WriteErrors,
    ),
    security(("bearer" = ["editor"]), ("basic" = ["editor"])),
)]
pub(in crate::sor::incident) async fn acknowledge_alert(
    port: Incidents,
    call: Call,
    id: PathParam<RowKey>,
    _: Query<NoParams>,
    body: Body<AcknowledgeBody>,
) -> Result<HttpResponse, Problem> {
    act(&port, &call, id.into_inner(), body.into_inner().into()).await
}

/// Snooze an alert
///
/// Nobody is told of it for some minutes, unless it is resolved. A second time replaces the first. 409 if it is resolved.
#[utoipa::path(
    post, path = "/alerts/{id}/snooze", tag = "alerts", operation_id = "snoozeAlert",
    params(("id" = i32, Path, description = "the alert's id; GET /alerts shows it", example = 1)),
    request_body = SnoozeBody,
    responses(
        (status = 200, description = "The alert as it is now", body = Incident),
        (status = 404, description = "`alert_unknown`: no alert has this id", body = Problem, content_type = "application/problem+json"),
        WriteErrors,
    ),
    security(("bearer" = ["editor"]), ("basic" = ["editor"])),
)]
pub(in crate::sor::incident) async fn snooze_alert(
    port: Incidents,
    call: Call,
    id: PathParam<RowKey>,
    _: Query<NoParams>,
    body: Body<SnoozeBody>,
) -> Result<HttpResponse, Problem> {
    act(&port, &call, id.into_inner(), body.into_inner().into()).await
}

/// End the snoozing of an alert
///
/// People are told of it again. Nothing changes where it is not snoozed. 409 if it is resolved.
#[utoipa::path(
    delete, path = "/alerts/{id}/snooze", tag = "alerts", operation_id = "unsnoozeAlert",
    params(("id" = i32, Path, description = "the alert's id; GET /alerts shows it", example = 1)),
    responses(
        (status = 200, description = "The alert as it is now", body = Incident),
        (status = 404, description = "`alert_unknown`: no alert has this id", body = Problem, content_type = "application/problem+json"),
        WriteErrors,
    ),
    security(("bearer" = ["editor"]), ("basic" = ["editor"])),
)]
pub(in crate::sor::incident) async fn unsnooze_alert(
    port: Incidents,
    call: Call,
    id: PathParam<RowKey>,
    _: Query<NoParams>,
) -> Result<HttpResponse, Problem> {
    act(&port, &call, id.into_inner(), Act::Unsnooze).await
}

async fn act(port: &Incidents, call: &Call, id: RowKey, act: Act) -> Result<HttpResponse, Problem> {
    let id = id.known(Code::AlertUnknown)?;
    found::<Incident, _>(port.act(call, id, act).await, unknown)
}
