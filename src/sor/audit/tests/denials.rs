//! Denied requests on their way to the log.

use std::sync::Arc;

use chrono::TimeDelta;

use super::super::conformance::all;
use super::super::{AuditResult, DeniedRequest, DeniedRequests, MockAuditSor};
use crate::kernel::{CALL, FixedClock, PortError};
use crate::storage::testing::database;

fn clock() -> Arc<FixedClock> {
    Arc::new(FixedClock::at("2026-11-20T12:00:30Z".parse().unwrap()))
}

fn denied(user: &str, client: &str, route: &str) -> DeniedRequest {
    DeniedRequest {
        actor: user.parse().ok(),
        client: client.parse().ok(),
        agent: Some("curl/8.5".to_owned()),
        request_id: Some(format!("r-{user}")),
        route: route.to_owned(),
        reason: "forbidden",
    }
}

#[tokio::test]
async fn what_is_denied_in_a_minute_is_one_entry_for_each_client_user_route_and_reason() {
    let test = database().await;
    let (log, clock) = (super::super::local(test.db.clone()), clock());
    let requests = DeniedRequests::new(Some(Arc::clone(&log)), clock.clone());
    for _ in 0..3 {
        requests.note(denied("token:ci", "192.0.2.7", "PUT /baselines/{key}"));
    }
    requests.note(denied("token:ci", "192.0.2.8", "PUT /baselines/{key}"));
    requests.note(denied("nobody", "192.0.2.7", "GET /audit"));
    requests.note(DeniedRequest { reason: "unauthenticated", ..denied("nobody", "192.0.2.7", "GET /audit") });
    requests.deliver(&CALL).await.unwrap();
    assert_eq!(all(&*log).await, [], "the minute goes on");
    clock.advance(TimeDelta::seconds(30));
    requests.note(denied("token:ci", "192.0.2.7", "PUT /baselines/{key}"));
    requests.deliver(&CALL).await.unwrap();
    requests.deliver(&CALL).await.unwrap();
    let mut told: Vec<_> = all(&*log)
        .await
        .into_iter()
        .map(|row| {
            let reason = row.metadata.unwrap()["reason"].as_str().unwrap().to_owned();
            assert_eq!(
                (row.result, row.action.as_str(), row.resource_type.as_str()),
                (AuditResult::Denied, "request.denied", "route")
            );
            format!(
                "{} {} {} {reason} {}",
                row.user_id.unwrap(),
                row.client_ip.unwrap(),
                row.resource_id.unwrap(),
                row.times
            )
        })
        .collect();
    told.sort();
    let expected = [
        "anonymous 192.0.2.7 GET /audit forbidden 1",
        "anonymous 192.0.2.7 GET /audit unauthenticated 1",
        "token:ci 192.0.2.7 PUT /baselines/{key} forbidden 3",
        "token:ci 192.0.2.8 PUT /baselines/{key} forbidden 1",
    ];
    assert_eq!(told, expected);
    requests.flush(&CALL).await.unwrap();
    assert_eq!(all(&*log).await.len(), 5, "the end of the server waits for no minute");
}

#[tokio::test]
async fn what_the_log_does_not_take_waits() {
    let mut log = MockAuditSor::new();
    log.expect_append().times(1).returning(|_, _| Err(PortError::Unavailable("away".to_owned())));
    log.expect_append()
        .times(1)
        .withf(|_, entries| entries.len() == 1 && entries[0].times == 2)
        .returning(|_, _| Ok(()));
    let clock = clock();
    let requests = DeniedRequests::new(Some(Arc::new(log)), clock.clone());
    requests.note(denied("token:ci", "192.0.2.7", "GET /audit"));
    requests.note(denied("token:ci", "192.0.2.7", "GET /audit"));
    clock.advance(TimeDelta::minutes(1));
    assert!(requests.deliver(&CALL).await.is_err());
    requests.deliver(&CALL).await.unwrap();
    requests.deliver(&CALL).await.unwrap();
}

#[tokio::test]
async fn no_more_than_ten_thousand_entries_wait() {
    let mut log = MockAuditSor::new();
    let (sizes, seen) = std::sync::mpsc::channel();
    log.expect_append().returning(move |_, entries| {
        sizes.send(entries.len()).unwrap();
        Ok(())
    });
    let requests = DeniedRequests::new(Some(Arc::new(log)), clock());
    for n in 0..10_010 {
        requests.note(denied("token:ci", "192.0.2.7", &format!("GET /{n}")));
    }
    // One that is counted already takes no more room.
    requests.note(denied("token:ci", "192.0.2.7", "GET /0"));
    requests.flush(&CALL).await.unwrap();
    drop(requests);
    assert_eq!(seen.iter().sum::<usize>(), 10_000);
}

#[tokio::test]
async fn without_a_log_they_are_told_and_forgotten() {
    let requests = DeniedRequests::new(None, clock());
    requests.note(denied("token:ci", "192.0.2.7", "GET /audit"));
    assert_eq!(requests.flush(&CALL).await, Ok(()));
}
