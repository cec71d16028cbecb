//! One suite for every adapter of the port: PostgreSQL, and the HTTP adapter over a live server.

use std::sync::Arc;

use actix_web::web;
use chrono::{DateTime, Utc};
use futures::future::join_all;
use uuid::Uuid;

use super::{JobRecord, Lease, RunEnd, RunOutcome, RunStart, ScheduleName, ScheduleSor, Timetable};
use crate::http::Routes;
use crate::http::testing::Served;
use crate::kernel::{CALL, PortError};
use crate::sor::testing::{Fixture, suite};

pub(super) const GROUP: ScheduleName = ScheduleName::of("group");
pub(super) const JOB: ScheduleName = ScheduleName::of("job");
const TIMETABLE: Timetable = Timetable::of(60, 30);

pub(super) fn serve(port: Arc<dyn ScheduleSor>) -> Served {
    let port = web::Data::from(port);
    Served::with(move |app| {
        app.app_data(port.clone()).configure(Routes::serve(super::routes));
    })
}

async fn postgres() -> Fixture<dyn ScheduleSor> {
    Fixture::local(super::local).await
}

async fn http() -> Fixture<dyn ScheduleSor> {
    postgres().await.over_http(serve, super::remote)
}

/// The process of that number.
fn process(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// The due time of that minute.
fn due(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_176_030 + 60 * minute, 0).unwrap()
}

pub(super) fn start(minute: i64, holder: u128, term: i64) -> RunStart {
    let holder = process(holder);
    RunStart { job: JOB, group: GROUP, timetable: TIMETABLE, due: due(minute), holder, term }
}

fn end(holder: u128, term: i64, error: Option<&str>) -> RunEnd {
    let error = error.map(|error| error.parse().unwrap());
    RunEnd { job: JOB, holder: process(holder), term, duration_ms: 12, error }
}

async fn led(port: &dyn ScheduleSor, holder: u128) -> Option<i64> {
    let lease = port.lead(&CALL, &GROUP, process(holder)).await.unwrap();
    lease.map(|lease| {
        assert_eq!((lease.group, lease.holder), (GROUP, process(holder)));
        lease.term
    })
}

async fn job(port: &dyn ScheduleSor) -> JobRecord {
    let jobs = port.jobs(&CALL).await.unwrap().jobs;
    jobs.into_iter().find(|job| job.name == JOB).unwrap()
}

async fn one_process_leads_a_group_until_it_gives_the_lease_back(port: &dyn ScheduleSor) {
    assert_eq!(led(port, 1).await, Some(1));
    assert_eq!(led(port, 2).await, None);
    assert_eq!(led(port, 1).await, Some(1), "renewed in the same term");
    let other = ScheduleName::of("other");
    assert_eq!(port.lead(&CALL, &other, process(2)).await.unwrap().unwrap().term, 1, "groups are led apart");
    let leaders = port.jobs(&CALL).await.unwrap().leaders;
    let holders: Vec<_> = leaders.iter().map(|Lease { group, holder, .. }| (group.clone(), *holder)).collect();
    assert_eq!(holders, [(GROUP, process(1)), (other, process(2))]);
    assert_eq!(port.resign(&CALL, &GROUP, process(2)).await, Ok(false), "what it does not hold");
    assert_eq!(port.resign(&CALL, &GROUP, process(1)).await, Ok(true));
    assert_eq!(port.resign(&CALL, &GROUP, process(1)).await, Ok(false));
    assert_eq!(port.jobs(&CALL).await.unwrap().leaders.len(), 1);
    assert_eq!(led(port, 2).await, Some(2), "a new holder is a new term");
    assert_eq!(led(port, 1).await, None);
}

async fn of_many_that_want_to_lead_one_does(port: &dyn ScheduleSor) {
    let all = join_all((1..=8).map(|holder| led(port, holder))).await;
    assert_eq!(all.iter().flatten().collect::<Vec<_>>(), [&1]);
}

async fn a_lease_lasts_fifteen_seconds_from_each_renewal(port: &dyn ScheduleSor) {
    let first = port.lead(&CALL, &GROUP, process(1)).await.unwrap().unwrap();
    let second = port.lead(&CALL, &GROUP, process(1)).await.unwrap().unwrap();
    assert!(second.expires_at > first.expires_at);
    port.begin(&CALL, start(0, 1, 1)).await.unwrap();
    let third = port.lead(&CALL, &GROUP, process(1)).await.unwrap().unwrap();
    // The database's clock was read between the two.
    let began = job(port).await.started_at;
    let duration = Lease::DURATION;
    assert!(second.expires_at - duration <= began && began <= third.expires_at - duration);
}

async fn of_two_that_begin_the_same_run_one_does(port: &dyn ScheduleSor) {
    let both = join_all((1..=8).map(|holder| port.begin(&CALL, start(0, holder, 1)))).await;
    let begun: Vec<_> = both.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(begun, [job(port).await]);
    let holder = begun[0].holder.as_u128();
    assert_eq!(port.end(&CALL, end(holder, 1, None)).await, Ok(true));
    let again = join_all((1..=8).map(|holder| port.begin(&CALL, start(0, holder, 1)))).await;
    assert!(again.iter().all(|begun| *begun == Ok(None)), "this due time was run for: {again:?}");
    let next = port.begin(&CALL, start(1, holder, 1)).await.unwrap();
    assert_eq!(next.map(|job| (job.last_due_at, job.runs)), Some((due(1), 2)));
}

async fn keeps_how_a_run_went(port: &dyn ScheduleSor) {
    let begun = port.begin(&CALL, start(0, 1, 1)).await.unwrap().unwrap();
    let expected = JobRecord {
        name: JOB,
        group: GROUP,
        timetable: TIMETABLE,
        last_due_at: due(0),
        started_at: begun.started_at,
        finished_at: None,
        outcome: None,
        error: None,
        duration_ms: None,
        runs: 1,
        failures: 0,
        asked_at: None,
        holder: process(1),
        term: 1,
    };
    assert_eq!(begun, expected);
    assert_eq!(job(port).await, expected);
    assert_eq!(port.end(&CALL, end(1, 1, Some("größe \"x\""))).await, Ok(true));
    let failed = job(port).await;
    assert!(failed.finished_at.unwrap() >= failed.started_at);
    let outcome = (failed.outcome, failed.error.as_ref().map(|error| error.as_str()), failed.duration_ms);
    assert_eq!(outcome, (Some(RunOutcome::Failed), Some("größe \"x\""), Some(12)));
    assert_eq!((failed.runs, failed.failures), (1, 1));
    let again = port.begin(&CALL, start(1, 1, 1)).await.unwrap().unwrap();
    assert_eq!((again.finished_at, again.outcome, &again.error), (None, Some(RunOutcome::Failed), &failed.error));
    assert_eq!(port.end(&CALL, end(1, 1, None)).await, Ok(true));
    let ended = job(port).await;
    assert_eq!((ended.outcome, &ended.error, ended.runs, ended.failures), (Some(RunOutcome::Ok), &None, 2, 1));
    assert_eq!(port.end(&CALL, end(1, 1, None)).await, Ok(false), "it is not running");
}

async fn a_run_that_was_never_ended_is_abandoned_and_begun_again_for_the_same_time(port: &dyn ScheduleSor) {
    port.begin(&CALL, start(0, 1, 1)).await.unwrap().unwrap();
    let again = port.begin(&CALL, start(0, 2, 2)).await.unwrap().unwrap();
    assert_eq!((again.outcome, again.runs, again.failures), (Some(RunOutcome::Abandoned), 2, 1));
    assert_eq!((again.last_due_at, again.holder, again.term), (due(0), process(2), 2));
    assert_eq!(port.end(&CALL, end(1, 1, None)).await, Ok(false), "the first is no longer its holder");
    assert_eq!(job(port).await.finished_at, None);
    assert_eq!(port.end(&CALL, end(2, 2, None)).await, Ok(true));
    assert_eq!(port.begin(&CALL, start(0, 2, 2)).await, Ok(None));
}

async fn a_leader_of_an_earlier_term_begins_nothing(port: &dyn ScheduleSor) {
    port.begin(&CALL, start(0, 2, 2)).await.unwrap().unwrap();
    assert_eq!(port.begin(&CALL, start(1, 1, 1)).await, Ok(None));
    port.end(&CALL, end(2, 2, None)).await.unwrap();
    assert_eq!(port.begin(&CALL, start(1, 1, 1)).await, Ok(None));
    let moved = RunStart { group: ScheduleName::of("other"), ..start(1, 1, 1) };
    let moved = port.begin(&CALL, moved).await.unwrap().unwrap();
    assert_eq!((moved.group.as_str(), moved.term), ("other", 1), "terms of two groups are not compared");
}

async fn a_job_that_was_asked_for_is_begun_though_it_is_not_due(port: &dyn ScheduleSor) {
    assert_eq!(port.ask(&CALL, &JOB).await, Ok(false), "nobody knows it");
    port.begin(&CALL, start(5, 1, 1)).await.unwrap();
    port.end(&CALL, end(1, 1, None)).await.unwrap();
    assert_eq!(port.ask(&CALL, &JOB).await, Ok(true));
    let asked_at = job(port).await.asked_at;
    assert!(asked_at.is_some());
    assert_eq!(port.ask(&CALL, &JOB).await, Ok(true));
    assert_eq!(job(port).await.asked_at, asked_at, "the first stays");
    let begun = port.begin(&CALL, start(4, 1, 1)).await.unwrap().unwrap();
    assert_eq!((begun.asked_at, begun.runs), (None, 2));
    assert_eq!(begun.last_due_at, due(5), "a later due time is not run for again");
}

async fn forgets_no_job_that_was_begun_lately(port: &dyn ScheduleSor) {
    port.begin(&CALL, start(0, 1, 1)).await.unwrap();
    assert_eq!(port.forget(&CALL).await, Ok(0));
    assert_eq!(job(port).await.runs, 1);
}

suite! {
    one_process_leads_a_group_until_it_gives_the_lease_back
    of_many_that_want_to_lead_one_does
    a_lease_lasts_fifteen_seconds_from_each_renewal
    of_two_that_begin_the_same_run_one_does
    keeps_how_a_run_went
    a_run_that_was_never_ended_is_abandoned_and_begun_again_for_the_same_time
    a_leader_of_an_earlier_term_begins_nothing
    a_job_that_was_asked_for_is_begun_though_it_is_not_due
    forgets_no_job_that_was_begun_lately
}

#[actix_web::test]
async fn a_failing_port_keeps_its_meaning_over_http() {
    for (error, told) in [
        (PortError::Unavailable("db:5432".into()), PortError::Unavailable(String::new())),
        (PortError::Timeout("30 s".into()), PortError::Timeout("the database did not answer in time".into())),
        (
            PortError::Overloaded { detail: "pool".into(), retry_after_s: 3 },
            PortError::Overloaded { detail: "no database connection was free in time".into(), retry_after_s: 3 },
        ),
        (PortError::Invalid("no".into()), PortError::Invalid("no".into())),
    ] {
        let mut port = super::MockScheduleSor::new();
        let answer = error.clone();
        port.expect_lead().returning(move |_, _, _| Err(answer.clone()));
        let served = serve(Arc::new(port));
        let result = super::remote(served.client()).lead(&CALL, &GROUP, process(1)).await.unwrap_err();
        match told {
            PortError::Unavailable(_) => {
                assert!(matches!(&result, PortError::Unavailable(text) if !text.contains("5432")), "{result:?}");
            }
            told => assert_eq!(result, told),
        }
    }
}
