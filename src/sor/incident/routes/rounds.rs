//! What evaluation and telling in other processes ask for.

use actix_web::HttpResponse;

use super::{AlertStates, Incidents};
use crate::http::{Body, Code, NoParams, Problem, Query, RelationalErrors, WriteErrors, answered};
use crate::kernel::Call;
use crate::sor::incident::domain::{Observation, Observed};
use crate::sor::incident::rounds::{Decided, StandingIncidents, Untold};
use crate::sor::incident::wire::{KeptBody, RuleIdBody, RuleStateBody, ToldBody, UntoldBody};

/// Refuses a list that is longer than one call may have.
fn within(member: &str, length: usize, most: usize) -> Result<(), Problem> {
    if length <= most {
        return Ok(());
    }
    Err(Problem::field(
        Code::BodyInvalid,
        format!("/{member}"),
        format!("must hold at most {most}, and holds {length}"),
    ))
}

/// Say what a source sees
///
/// For processes of this server that are elsewhere. Opens an alert that fires, or brings the open one up to date, or reopens
/// one that was resolved within 6 hours. Unless it is seen again in time, it is resolved.
#[utoipa::path(
    post, path = "/core/incident/observe", tag = "alerts", operation_id = "observeIncident",
    request_body = Observation,
    responses((status = 200, description = "The alert that it belongs to", body = Observed), WriteErrors),
    security(("bearer" = ["service"]), ("basic" = ["service"])),
)]
pub(in crate::sor::incident) async fn observe_incident(
    port: Incidents,
    call: Call,
    _: Query<NoParams>,
    body: Body<Observation>,
) -> Result<HttpResponse, Problem> {
    answered(port.observe(&call, body.into_inner()).await, |observed: Observed| observed)
}

/// Read where an evaluation begins
///
/// For leaders that are elsewhere: the alerts of rules and approved limits that are open or were resolved within some hours,
/// and when each rule was evaluated last.
#[utoipa::path(
    post, path = "/core/incident/standing", tag = "alerts", operation_id = "readStanding",
    responses((status = 200, description = "All of them", body = StandingIncidents), RelationalErrors),
    security(("bearer" = ["service"]), ("basic" = ["service"])),
)]
pub(in crate::sor::incident) async fn read_standing(
    port: AlertStates,
    call: Call,
    _: Query<NoParams>,
) -> Result<HttpResponse, Problem> {
    answered(port.standing(&call).await, |standing: StandingIncidents| standing)
}

/// Keep what an evaluation decided
///
/// For leaders that are elsewhere. All of it is kept, or nothing. A change that was decided on another version of the alert
/// is left out. At most 1,000 changes and 1,000 states.
#[utoipa::path(
    post, path = "/core/incident/apply", tag = "alerts", operation_id = "applyEvaluation",
    request_body = Decided,
    responses((status = 200, description = "It is kept", body = KeptBody), WriteErrors),
    security(("bearer" = ["service"]), ("basic" = ["service"])),
)]
pub(in crate::sor::incident) async fn apply_evaluation(
    port: AlertStates,
    call: Call,
    _: Query<NoParams>,
    body: Body<Decided>,
) -> Result<HttpResponse, Problem> {
    let decided = body.into_inner();
    within("writes", decided.writes.len(), Decided::MOST)?;
    within("states", decided.states.len(), Decided::MOST)?;
    answered(port.apply(&call, decided).await, |()| KeptBody { kept: true })
}

/// List alerts of which somebody is to be told
///
/// For leaders that are elsewhere. Those that changed first come first; at most 500.
#[utoipa::path(
    post, path = "/core/incident/untold", tag = "alerts", operation_id = "listUntold",
    request_body = Untold,
    responses((status = 200, description = "The alerts", body = UntoldBody), WriteErrors),
    security(("bearer" = ["service"]), ("basic" = ["service"])),
)]
pub(in crate::sor::incident) async fn list_untold(
    port: AlertStates,
    call: Call,
    _: Query<NoParams>,
    body: Body<Untold>,
) -> Result<HttpResponse, Problem> {
    answered(port.untold(&call, body.into_inner()).await, |incidents| UntoldBody { incidents })
}

/// Keep what was told
///
/// For leaders that are elsewhere. At most 500 alerts; those that are not there any more are left out.
#[utoipa::path(
    post, path = "/core/incident/told", tag = "alerts", operation_id = "keepTold",
    request_body = ToldBody,
    responses((status = 200, description = "It is kept", body = KeptBody), WriteErrors),
    security(("bearer" = ["service"]), ("basic" = ["service"])),
)]
pub(in crate::sor::incident) async fn keep_told(
    port: AlertStates,
    call: Call,
    _: Query<NoParams>,
    body: Body<ToldBody>,
) -> Result<HttpResponse, Problem> {
    let told = body.into_inner().told;
    within("told", told.len(), Untold::MOST.into())?;
    answered(port.told(&call, told).await, |()| KeptBody { kept: true })
}

/// Read what the last evaluation found of a rule
///
/// For processes of this server that are elsewhere.
#[utoipa::path(
    post, path = "/core/incident/rule_state", tag = "alerts", operation_id = "readRuleState",
    request_body = RuleIdBody,
    responses((status = 200, description = "What it found", body = RuleStateBody), WriteErrors),
    security(("bearer" = ["service"]), ("basic" = ["service"])),
)]
pub(in crate::sor::incident) async fn read_rule_state(
    port: AlertStates,
    call: Call,
    _: Query<NoParams>,
    body: Body<RuleIdBody>,
) -> Result<HttpResponse, Problem> {
    answered(port.rule_state(&call, body.into_inner().rule_id).await, |state| RuleStateBody { state })
}
