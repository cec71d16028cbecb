//! The routes of the Schedule SOR. They call the port only.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

use super::domain::{RunEnd, RunStart, ScheduleName};
use super::port::ScheduleSor;
use super::wire::{BegunBody, CandidateBody, DoneBody, ForgottenBody, LedBody, ScheduleBody};
use crate::http::{
    Body, Code, NoParams, PathParam, Problem, Query, RelationalErrors, Resource, Routes, WriteErrors, answered, json,
};
use crate::kernel::Call;

/// Mounts and documents the routes of the Schedule SOR.
pub fn routes(routes: &mut Routes<'_>) {
    routes
        .service(Resource::at("/schedule").with(__path_show_schedule, show_schedule))
        .service(Resource::at("/schedule/{job}/run").with(__path_run_job, run_job))
        .service(Resource::at("/core/schedule/lead").with(__path_lead, lead))
        .service(Resource::at("/core/schedule/resign").with(__path_resign, resign))
        .service(Resource::at("/core/schedule/begin").with(__path_begin_run, begin_run))
        .service(Resource::at("/core/schedule/end").with(__path_end_run, end_run))
        .service(Resource::at("/core/schedule/forget").with(__path_forget_jobs, forget_jobs));
}

type Port = web::Data<dyn ScheduleSor>;

/// Show what the server does by itself
///
/// Which process leads each group of jobs, and of each job when it last ran, how that went and when it is due next. A job is
/// here once it has been begun, and until 30 days after it was begun last.
#[utoipa::path(
    get, path = "/schedule", tag = "schedule", operation_id = "showSchedule",
    responses((status = 200, description = "Leaders by group, jobs by name", body = ScheduleBody), RelationalErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn show_schedule(port: Port, call: Call, _: Query<NoParams>) -> Result<HttpResponse, Problem> {
    answered(port.jobs(&call).await, ScheduleBody::from)
}

/// Run a job now
///
/// The leader of its group begins it within 5 seconds, or as soon as the run that is going on has ended. Asking again before
/// it has begun changes nothing.
#[utoipa::path(
    post, path = "/schedule/{job}/run", tag = "schedule", operation_id = "runJob",
    params(("job" = String, Path, description = "the job's name; GET /schedule shows it", example = "example")),
    responses(
        (status = 202, description = "It will run", body = DoneBody),
        (status = 404, description = "`job_unknown`: no job of this name was ever begun", body = Problem, content_type = "application/problem+json"),
        RelationalErrors,
    ),
    security(("bearer" = ["admin"]), ("basic" = ["admin"])),
)]
pub(super) async fn run_job(
    port: Port,
    call: Call,
    job: PathParam<ScheduleName>,
    _: Query<NoParams>,
) -> Result<HttpResponse, Problem> {
    let job = job.into_inner();
    let done = port.ask(&call, &job).await.map_err(|error| Problem::of_relational(&error))?;
    if !done {
        return Err(Problem::new(
            Code::JobUnknown,
            "no job of this name was ever begun; GET /schedule lists those that were",
        ));
    }
    json(StatusCode::ACCEPTED, &DoneBody { done })
}

/// Take or renew the lease of a group
///
/// For processes of this server that are elsewhere. A lease holds for 15 seconds.
#[utoipa::path(
    post, path = "/core/schedule/lead", tag = "schedule", operation_id = "leadGroup",
    request_body = CandidateBody,
    responses((status = 200, description = "The lease, or null where another process holds it", body = LedBody), WriteErrors),
    security(("bearer" = ["service"]), ("basic" = ["service"])),
)]
pub(super) async fn lead(
    port: Port,
    call: Call,
    _: Query<NoParams>,
    body: Body<CandidateBody>,
) -> Result<HttpResponse, Problem> {
    let CandidateBody { group, holder } = body.into_inner();
    answered(port.lead(&call, &group, holder).await, |lease| LedBody { lease })
}

/// Give the lease of a group back
///
/// For processes of this server that are elsewhere and stop. Another may then lead at once.
#[utoipa::path(
    post, path = "/core/schedule/resign", tag = "schedule", operation_id = "resignGroup",
    request_body = CandidateBody,
    responses((status = 200, description = "Whether the process held it", body = DoneBody), WriteErrors),
    security(("bearer" = ["service"]), ("basic" = ["service"])),
)]
pub(super) async fn resign(
    port: Port,
    call: Call,
    _: Query<NoParams>,
    body: Body<CandidateBody>,
) -> Result<HttpResponse, Problem> {
    let CandidateBody { group, holder } = body.into_inner();
    answered(port.resign(&call, &group, holder).await, |done| DoneBody { done })
}

/// Begin a run of a job
///
/// For leaders that are elsewhere. Of two that begin a run for the same due time, one does.
#[utoipa::path(
    post, path = "/core/schedule/begin", tag = "schedule", operation_id = "beginRun",
    request_body = RunStart,
    responses(
        (status = 200, description = "The job, or null where that due time was run for or another leads", body = BegunBody),
        WriteErrors,
    ),
    security(("bearer" = ["service"]), ("basic" = ["service"])),
)]
pub(super) async fn begin_run(
    port: Port,
    call: Call,
    _: Query<NoParams>,
    body: Body<RunStart>,
) -> Result<HttpResponse, Problem> {
    answered(port.begin(&call, body.into_inner()).await, |job| BegunBody { job })
}

/// End a run of a job
///
/// For leaders that are elsewhere. Nothing is changed where another process has begun a run since.
#[utoipa::path(
    post, path = "/core/schedule/end", tag = "schedule", operation_id = "endRun",
    request_body = RunEnd,
    responses((status = 200, description = "Whether it was running", body = DoneBody), WriteErrors),
    security(("bearer" = ["service"]), ("basic" = ["service"])),
)]
pub(super) async fn end_run(
    port: Port,
    call: Call,
    _: Query<NoParams>,
    body: Body<RunEnd>,
) -> Result<HttpResponse, Problem> {
    answered(port.end(&call, body.into_inner()).await, |done| DoneBody { done })
}

/// Forget jobs that no version has any more
///
/// For leaders that are elsewhere. Jobs that were not begun for 30 days are removed.
#[utoipa::path(
    post, path = "/core/schedule/forget", tag = "schedule", operation_id = "forgetJobs",
    responses((status = 200, description = "How many were removed", body = ForgottenBody), RelationalErrors),
    security(("bearer" = ["service"]), ("basic" = ["service"])),
)]
pub(super) async fn forget_jobs(port: Port, call: Call, _: Query<NoParams>) -> Result<HttpResponse, Problem> {
    answered(port.forget(&call).await, |forgotten| ForgottenBody { forgotten })
}
