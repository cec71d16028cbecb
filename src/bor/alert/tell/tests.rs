use std::sync::Arc;

use super::*;
use crate::bor::alert::testing::{at, incident};
use crate::kernel::{CALL, Page, PortError, RowId};
use crate::sor::incident::{IncidentLevel, MockAlertStateSor, MockIncidentSor};
use crate::sor::notification::{Enqueued, MockNotificationSor, NewMessage};
use mockall::predicate::eq;

struct Noon;

impl Clock for Noon {
    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        at(60)
    }
}

/// A teller to whom the mocks that `expect` sets up answer.
fn teller(expect: impl FnOnce(&mut MockIncidentSor, &mut MockAlertStateSor, &mut MockNotificationSor)) -> Teller {
    let (mut incidents, mut states, mut notifications) =
        (MockIncidentSor::new(), MockAlertStateSor::new(), MockNotificationSor::new());
    expect(&mut incidents, &mut states, &mut notifications);
    Teller::new(TellParts {
        incidents: Arc::new(incidents),
        states: Arc::new(states),
        notifications: Arc::new(notifications),
        clock: Arc::new(Noon),
        least: LimitSeverity::Warning,
        repeat: Duration::from_hours(4),
        base: String::new(),
    })
}

fn taken(channel: Option<&str>) -> Enqueued {
    Enqueued { channel: channel.map(str::to_owned), unresolved: Vec::new() }
}

fn numbered(id: i64) -> Incident {
    Incident { id: RowId::new(id).unwrap(), ..incident() }
}

#[tokio::test]
async fn what_was_handed_in_is_noted_as_told_on_the_channel_that_took_it() {
    let teller = teller(|_, states, notifications| {
        let asked = Untold { repeated_before: at(60 - 240), least: LimitSeverity::Warning };
        states
            .expect_untold()
            .with(mockall::predicate::always(), eq(asked))
            .times(1)
            .returning(|_, _| Ok(vec![numbered(7), numbered(8)]));
        let ids = |messages: &Vec<NewMessage>| messages.iter().map(|one| one.incident_id.get()).eq([7, 8]);
        notifications
            .expect_enqueue()
            .withf(move |_, messages| ids(messages))
            .times(1)
            .returning(|_, _| Ok(vec![taken(Some("ops")), taken(None)]));
        let told = [(7, Some("ops")), (8, None)].map(|(id, channel)| Told {
            id: RowId::new(id).unwrap(),
            state: IncidentLevel::Firing,
            severity: LimitSeverity::Warning,
            at: at(60),
            channel: channel.map(str::to_owned),
            last_told_at: None,
        });
        states.expect_told().withf(move |_, all| *all == told).times(1).returning(|_, _| Ok(()));
    });
    assert_eq!(teller.tell(&CALL).await, Ok(2));
}

#[tokio::test]
async fn where_nothing_is_to_be_told_nobody_is_asked() {
    let teller = teller(|_, states, _| {
        states.expect_untold().times(1).returning(|_, _| Ok(Vec::new()));
    });
    assert_eq!(teller.tell(&CALL).await, Ok(0));
}

#[tokio::test]
async fn more_than_one_answer_holds_is_told_answer_by_answer_a_hundred_messages_at_once() {
    let teller = teller(|_, states, notifications| {
        let mut answers = [500, 3].into_iter();
        states
            .expect_untold()
            .times(2)
            .returning(move |_, _| Ok((1..=answers.next().unwrap()).map(numbered).collect()));
        notifications
            .expect_enqueue()
            .withf(|_, messages| messages.len() <= 100)
            .times(6)
            .returning(|_, messages| Ok(vec![taken(Some("ops")); messages.len()]));
        states.expect_told().times(2).returning(|_, _| Ok(()));
    });
    assert_eq!(teller.tell(&CALL).await, Ok(503));
}

#[tokio::test]
async fn what_was_not_taken_is_not_noted() {
    let failed = PortError::Unavailable("x".to_owned());
    let error = failed.clone();
    let teller = teller(|_, states, notifications| {
        states.expect_untold().returning(|_, _| Ok(vec![incident()]));
        notifications.expect_enqueue().returning(move |_, _| Err(error.clone()));
    });
    assert_eq!(teller.tell(&CALL).await, Err(failed));
}

#[tokio::test]
async fn what_fires_and_what_was_resolved_lately_is_mirrored() {
    let teller = teller(|incidents, _, notifications| {
        let page = |entries| Ok(Page { entries, next: None });
        let in_state = |state| move |_: &Call, query: &IncidentQuery| query.state == Some(state);
        incidents.expect_page().withf(in_state(IncidentState::Firing)).returning(move |_, _| page(vec![numbered(7)]));
        incidents.expect_page().withf(in_state(IncidentState::Pending)).returning(move |_, _| {
            let mut pending = numbered(8);
            pending.found.state = IncidentState::Pending;
            page(vec![pending])
        });
        let lately = |_: &Call, query: &IncidentQuery| {
            query.state == Some(IncidentState::Resolved) && query.from == Some(at(45))
        };
        incidents.expect_page().withf(lately).returning(move |_, _| {
            let mut resolved = numbered(9);
            (resolved.found.state, resolved.found.resolved_at) = (IncidentState::Resolved, Some(at(59)));
            page(vec![resolved])
        });
        notifications
            .expect_mirror()
            .withf(|_, alerts| alerts.iter().map(|one| one.generator_url.as_str()).eq(["/alerts/7", "/alerts/9"]))
            .times(1)
            .returning(|_, _| Ok(()));
    });
    assert_eq!(teller.mirror(&CALL).await, Ok(()));
}
