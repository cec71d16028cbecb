//! The routes of alerts.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use chrono::TimeDelta;
use serde::Deserialize;
use utoipa::IntoResponses;

use super::round::AlertRound;
use super::service::{AlertService, TrialRequest};
use super::wire::{RuleStateBody, TrialBody};
use crate::bor::request::error_responses;
use crate::http::{
    Answers, Body, Code, NoParams, PathParam, Problem, Query, RelationalErrors, Resource, Routes, RowKey, TimeParam,
    documented, json, window,
};
use crate::kernel::Call;
use crate::sor::alert_rule::{NewRuleBody, new_rule};

/// The longest window that a rule is tried over.
const LONGEST: TimeDelta = TimeDelta::days(7);
/// The window's start if it is not given.
const DEFAULT_FROM: &str = "now-24h";

/// Mounts and documents the routes of alerts. They ask for `web::Data` of [`AlertService`] and [`AlertRound`].
pub fn routes(routes: &mut Routes<'_>) {
    routes
        .service(Resource::at("/rules/test").with(__path_test_rule, test_rule))
        // `/rules/active/state` lists the rules of an app of that name.
        .service(
            Resource::narrowed("/rules/{id}/state", r"/rules/{id:-?\d+}/state")
                .with(__path_read_rule_state, read_rule_state),
        );
}

/// When the rule would have been evaluated.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TrialParams {
    /// The earliest time of an evaluation; a day before now if not given.
    #[param(value_type = Option<String>, example = "now-24h")]
    from: Option<TimeParam>,
    /// The latest time of an evaluation, at most seven days after `from`; now if not given.
    #[param(value_type = Option<String>, example = "now")]
    to: Option<TimeParam>,
}

/// What a trial may answer beside 200.
struct TrialErrors;

impl IntoResponses for TrialErrors {
    fn responses() -> Answers {
        let mut answers = error_responses(&[
            Code::BodyInvalid,
            Code::ParameterInvalid,
            Code::ParameterUnknown,
            Code::ProfileTypeUnknown,
            Code::WindowInvalid,
        ]);
        answers.extend(documented(&[("413", &[Code::BodyTooLarge]), ("415", &[Code::ContentTypeUnsupported])]));
        answers
    }
}

/// Try an alert rule
///
/// Says when a rule would have fired, by the steps that rules are evaluated with: what it finds in the window before each
/// evaluation, and what that does to it. Nothing is stored and nobody is told. The body is that of `POST /rules`, with one
/// app (no `*`); `severity`, `notificationChannel`, `enabled`, `createdBy` and `runbookUrl` make no difference.
///
/// At most 300 evaluations are made, at multiples of a fifth of the rule's window; what cannot be evaluated within 60 s is
/// left out, and `evaluatedTo` says how far it came. A window that cannot be read is an `error`; the others are still evaluated. In
/// the registry's labels and tenant an app is read as a triage reads it.
#[utoipa::path(
    post, path = "/rules/test", tag = "evaluation", operation_id = "testRule",
    params(TrialParams),
    request_body = NewRuleBody,
    responses(
        (status = 200, description = "When it would have fired", body = TrialBody),
        TrialErrors,
    ),
    security(("bearer" = ["editor"]), ("basic" = ["editor"])),
)]
pub(super) async fn test_rule(
    service: web::Data<AlertService>,
    call: Call,
    params: Query<TrialParams>,
    body: Body<NewRuleBody>,
) -> Result<HttpResponse, Problem> {
    let params = params.into_inner();
    let rule = new_rule(body.into_inner())?;
    let Some(app) = rule.scope.app().cloned() else {
        return Err(Problem::field(
            Code::BodyInvalid,
            "/appName",
            "a rule is tried on one app: name it in place of \"*\"",
        ));
    };
    let from = params.from.or_else(|| DEFAULT_FROM.parse().ok());
    let window = window(from, params.to, service.clock())?;
    if window.duration() > LONGEST {
        return Err(Problem::new(Code::WindowInvalid, "the window is longer than 7 days, over which a rule is tried"));
    }
    let request = TrialRequest { app, rule, window };
    let trial = service.trial(&call, &request).await?;
    json(StatusCode::OK, &TrialBody::of(&request, &trial))
}

/// Read what was found of a rule
///
/// What the last evaluation of an alert rule found: for each app its verdict, its share, and how it stands, at most 200 apps,
/// those that fire first. A rule is evaluated at multiples of a fifth of its window. Before its first evaluation all members
/// but `ruleId` and `appsTotal` are null, and `apps` is empty.
#[utoipa::path(
    get, path = "/rules/{id}/state", tag = "evaluation", operation_id = "readRuleState",
    params(("id" = i32, Path, description = "the rule's id; GET /rules shows it", example = 1)),
    responses(
        (status = 200, description = "What was found", body = RuleStateBody),
        (status = 404, description = "`rule_unknown`: no rule has this id", body = Problem, content_type = "application/problem+json"),
        RelationalErrors,
    ),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn read_rule_state(
    round: web::Data<AlertRound>,
    call: Call,
    id: PathParam<RowKey>,
    _: Query<NoParams>,
) -> Result<HttpResponse, Problem> {
    let id = id.into_inner().known(Code::RuleUnknown)?;
    let state = round.state(&call, id).await.map_err(|error| Problem::of_relational(&error))?;
    let state = state.ok_or_else(|| Problem::new(Code::RuleUnknown, "no row has this id"))?;
    json(StatusCode::OK, &RuleStateBody::of(id, state))
}
