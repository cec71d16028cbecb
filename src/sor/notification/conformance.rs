//! One suite for every adapter of the port: PostgreSQL, and the HTTP adapter over a live server.

use std::sync::Arc;

use actix_web::web;
use secrecy::SecretString;
use serde_json::json;
use tokio::sync::Notify;

use super::{
    ChannelKind, ChannelState, Channels, Enqueued, Message, MessageQuery, MessageState, NewMessage, Notice,
    NoticeEvent, NoticeLink, NotificationParts, NotificationSor,
};
use crate::config::ChannelSource;
use crate::http::Routes;
use crate::http::testing::Served;
use crate::kernel::{CALL, LimitSeverity, PortError, RowId, SequentialIds, SystemClock};
use crate::sor::testing::{Fixture, suite};

pub(super) fn serve(port: Arc<dyn NotificationSor>) -> Served {
    let port = web::Data::from(port);
    Served::with(move |app| {
        app.app_data(port.clone()).configure(Routes::serve(super::routes));
    })
}

/// Parts with the channels of this source.
pub(super) fn parts(source: &ChannelSource) -> NotificationParts {
    NotificationParts {
        channels: Arc::new(Channels::of(source).unwrap()),
        clock: Arc::new(SystemClock),
        ids: Arc::new(SequentialIds::default()),
        wake: Arc::new(Notify::new()),
    }
}

/// A channel of Slack at an address where nobody listens.
fn unreachable_slack() -> ChannelSource {
    ChannelSource::Settings { slack: Some(SecretString::from("http://127.0.0.1:1/hunter2")), alertmanager: None }
}

async fn postgres() -> Fixture<dyn NotificationSor> {
    Fixture::local(|db| super::local(db, parts(&unreachable_slack()))).await
}

async fn http() -> Fixture<dyn NotificationSor> {
    postgres().await.over_http(serve, super::remote)
}

/// A message about an incident.
pub(super) fn message(incident: i64, key: &str, meant_for: &[&str]) -> NewMessage {
    let alert = json!({"id": incident, "appName": "größe 🔥", "state": "firing"});
    NewMessage {
        key: key.parse().unwrap(),
        incident_id: RowId::new(incident).unwrap(),
        meant_for: meant_for.iter().map(|name| name.parse().unwrap()).collect(),
        notice: Notice {
            event: NoticeEvent::Firing,
            severity: LimitSeverity::Critical,
            headline: format!("FIRING critical · <größe> {key}"),
            lines: vec!["one".to_owned(), "\"two\"\n🔥".to_owned()],
            links: vec![NoticeLink { name: "alert".to_owned(), url: format!("http://fw/alerts/{incident}?a&b") }],
            alert: alert.try_into().unwrap(),
        },
    }
}

async fn all(port: &dyn NotificationSor) -> Vec<Message> {
    port.page(&CALL, &MessageQuery::newest(1_000)).await.unwrap().entries
}

async fn answers_a_message_as_it_was_handed_in(port: &dyn NotificationSor) {
    let key = "ü".repeat(127);
    let given = message(i32::MAX.into(), &key, &["#ops/%🔥", "https://hooks.example/secret", "x"]);
    let done = port.enqueue(&CALL, vec![given.clone()]).await.unwrap();
    let unresolved = vec!["https://hooks.example/…".to_owned()];
    // The pattern `*` of the channel matches the first text already.
    assert_eq!(done, [Enqueued { channel: Some("slack".to_owned()), unresolved: Vec::new() }]);
    let only_a_url = message(1, "b", &["https://hooks.example/secret"]);
    let done = port.enqueue(&CALL, vec![only_a_url]).await.unwrap();
    assert_eq!(done, [Enqueued { channel: Some("slack".to_owned()), unresolved: unresolved.clone() }]);
    let found = all(port).await;
    assert_eq!((found.len(), &found[0].body.unresolved), (2, &unresolved));
    let first = &found[1];
    assert_eq!((&first.key, first.channel.as_str(), first.incident_id.get()), (&key, "slack", i32::MAX));
    assert_eq!((&first.body.notice, first.state, first.attempts), (&given.notice, MessageState::Pending, 0));
    assert_eq!((&first.last_error, first.settled_at), (&None, None));
}

async fn the_same_key_changes_nothing_and_a_newer_message_takes_the_place_of_one_that_waits(
    port: &dyn NotificationSor,
) {
    port.enqueue(&CALL, vec![message(1, "a", &[]), message(2, "b", &[])]).await.unwrap();
    port.enqueue(&CALL, vec![message(1, "a", &[])]).await.unwrap();
    port.enqueue(&CALL, vec![message(1, "c", &[]), message(1, "d", &[])]).await.unwrap();
    port.enqueue(&CALL, vec![message(1, "c", &[])]).await.unwrap();
    let found: Vec<_> = all(port).await.into_iter().map(|one| (one.key, one.state)).collect();
    let expected = [
        ("d", MessageState::Pending),
        ("c", MessageState::Superseded),
        ("b", MessageState::Pending),
        ("a", MessageState::Superseded),
    ];
    assert_eq!(found, expected.map(|(key, state)| (key.to_owned(), state)));
}

async fn hands_in_all_or_none(port: &dyn NotificationSor) {
    let mut long = message(2, "b", &[]);
    long.notice.lines.push("x".repeat(70_000));
    let refused = port.enqueue(&CALL, vec![message(1, "a", &[]), long]).await;
    assert!(matches!(&refused, Err(PortError::Invalid(why)) if why.contains("message b")), "{refused:?}");
    let mut nul = message(2, "b", &[]);
    nul.notice.headline.push('\0');
    let refused = port.enqueue(&CALL, vec![message(1, "a", &[]), nul]).await;
    assert!(matches!(&refused, Err(PortError::Invalid(_))), "{refused:?}");
    assert_eq!(all(port).await, []);
}

async fn narrows_by_each_member_and_joins_pages(port: &dyn NotificationSor) {
    let messages = (1..=7).map(|n| message(n, &format!("k{n}"), &[])).collect();
    port.enqueue(&CALL, messages).await.unwrap();
    port.enqueue(&CALL, vec![message(7, "k8", &[])]).await.unwrap();
    let query = || MessageQuery::newest(100);
    for (query, expected) in [
        (query(), 8),
        (MessageQuery { state: Some(MessageState::Superseded), ..query() }, 1),
        (MessageQuery { state: Some(MessageState::Dead), ..query() }, 0),
        (MessageQuery { channel: Some("slack".parse().unwrap()), ..query() }, 8),
        (MessageQuery { channel: Some("ops".parse().unwrap()), ..query() }, 0),
        (MessageQuery { incident_id: RowId::new(7), ..query() }, 2),
    ] {
        assert_eq!(port.page(&CALL, &query).await.unwrap().entries.len(), expected, "{query:?}");
    }
    let (mut query, mut joined, mut sizes) = (MessageQuery::newest(3), Vec::new(), Vec::new());
    loop {
        let page = port.page(&CALL, &query).await.unwrap();
        sizes.push(page.entries.len());
        joined.extend(page.entries);
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    assert_eq!((sizes, joined), (vec![3, 3, 2], all(port).await));
}

async fn lists_channels_and_what_is_not_defined(port: &dyn NotificationSor) {
    port.enqueue(&CALL, vec![message(1, "a", &["https://b.example/x", "https://a.example/x"])]).await.unwrap();
    let list = port.channels(&CALL).await.unwrap();
    assert_eq!(list.default.unwrap().as_str(), "slack");
    let slack = &list.channels[0];
    assert_eq!(
        (slack.name.as_str(), slack.kind, &slack.globs[..]),
        ("slack", ChannelKind::Slack, &["*".to_owned()][..])
    );
    assert_eq!((slack.state, slack.pending, slack.last_ok_at), (ChannelState::Unused, 1, None));
    assert_eq!(
        (list.channels.len(), list.unresolved),
        (1, vec!["https://a.example/…".to_owned(), "https://b.example/…".to_owned()])
    );
}

async fn only_a_dead_message_is_sent_again(port: &dyn NotificationSor) {
    let nobody = RowId::new(9).unwrap();
    assert_eq!(port.retry(&CALL, nobody).await, Ok(None));
    port.enqueue(&CALL, vec![message(1, "a", &[])]).await.unwrap();
    let id = all(port).await[0].id;
    let refused = port.retry(&CALL, id).await;
    assert!(matches!(&refused, Err(PortError::Conflict(why)) if why.contains("is pending")), "{refused:?}");
}

async fn a_test_says_what_came_of_it(port: &dyn NotificationSor) {
    assert_eq!(port.test(&CALL, &"nobody".parse().unwrap()).await, Ok(None));
    let tested = port.test(&CALL, &"slack".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((tested.delivered, tested.status), (false, None));
    let error = tested.error.unwrap();
    assert!(error.contains("cannot be reached") && !error.contains("hunter2"), "{error}");
    assert_eq!(all(port).await, [], "a test is not kept");
}

suite! {
    answers_a_message_as_it_was_handed_in
    the_same_key_changes_nothing_and_a_newer_message_takes_the_place_of_one_that_waits
    hands_in_all_or_none
    narrows_by_each_member_and_joins_pages
    lists_channels_and_what_is_not_defined
    only_a_dead_message_is_sent_again
    a_test_says_what_came_of_it
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
        (PortError::Conflict("no".into()), PortError::Conflict("no".into())),
    ] {
        let mut port = super::MockNotificationSor::new();
        let answer = error.clone();
        port.expect_enqueue().returning(move |_, _| Err(answer.clone()));
        let served = serve(Arc::new(port));
        let result = super::remote(served.client()).enqueue(&CALL, vec![message(1, "a", &[])]).await.unwrap_err();
        match told {
            PortError::Unavailable(_) => {
                assert!(matches!(&result, PortError::Unavailable(text) if !text.contains("5432")), "{result:?}");
            }
            told => assert_eq!(result, told),
        }
    }
}
