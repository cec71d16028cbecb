//! The courier with a real database and real receivers.

use std::sync::Arc;

use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions};
use wiremock::matchers::{any, body_string_contains};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::Courier;
use crate::config::ChannelSource;
use crate::kernel::CALL;
use crate::sor::notification::conformance::{message, parts};
use crate::sor::notification::{
    ChannelName, ChannelState, ChannelStatus, MessageQuery, MessageState, NewMessage, NoticeEvent, NotificationSor,
};
use crate::storage::testing::{TestDatabase, database};

const SIGNS: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A courier and what hands messages in to it.
struct Office {
    courier: Courier,
    port: Arc<dyn NotificationSor>,
    database: TestDatabase,
}

impl Office {
    /// With these channels: name, kind, address, and more lines. The first is the default.
    async fn with(channels: &[(&str, &str, &str, &str)]) -> Self {
        let mut text = format!("default = \"{}\"\n", channels[0].0);
        for (name, kind, url, more) in channels {
            text.push_str(&format!("[channel.{name}]\nkind = \"{kind}\"\nurl = \"{url}\"\n{more}\n"));
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let parts = parts(&ChannelSource::File(file.path().to_owned()));
        let database = database().await;
        let port = crate::sor::notification::local(database.db.clone(), parts.clone());
        Self { courier: Courier::new(database.db.clone(), parts), port, database }
    }

    async fn hand_in(&self, messages: Vec<NewMessage>) {
        self.port.enqueue(&CALL, messages).await.unwrap();
    }

    async fn execute(&self, sql: &str) {
        let mut session = self.database.connect_options().connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut session).await.unwrap();
    }

    async fn number(&self, sql: &str) -> f64 {
        let mut session = self.database.connect_options().connect().await.unwrap();
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut session).await.unwrap()
    }

    /// Lets so many seconds pass for the channels and their messages.
    async fn pass(&self, seconds: u32) {
        let past = format!("interval '{seconds} seconds'");
        self.execute(&format!(
            "UPDATE core.channel_state SET next_at = next_at - {past}, busy_until = busy_until - {past},
                    failing_since = failing_since - {past};
             UPDATE core.message SET created_at = created_at - {past}"
        ))
        .await;
    }

    /// One round, after which a second passes.
    async fn round(&self) -> usize {
        let channels = self.courier.round().await.unwrap();
        self.pass(1).await;
        channels
    }

    /// How messages stand, the oldest first.
    async fn states(&self) -> Vec<MessageState> {
        let page = self.port.page(&CALL, &MessageQuery::newest(1_000)).await.unwrap();
        page.entries.into_iter().rev().map(|message| message.state).collect()
    }

    async fn channel(&self, name: &str) -> ChannelStatus {
        let name: ChannelName = name.parse().unwrap();
        self.port.channels(&CALL).await.unwrap().channels.into_iter().find(|channel| channel.name == name).unwrap()
    }
}

async fn receiver(status: u16) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(status)).mount(&server).await;
    server
}

async fn bodies(server: &MockServer) -> Vec<Value> {
    let received = server.received_requests().await.unwrap();
    received.iter().map(|request: &Request| request.body_json().unwrap()).collect()
}

fn resolved(incident: i64, key: &str) -> NewMessage {
    let mut message = message(incident, key, &[]);
    message.notice.event = NoticeEvent::Resolved;
    message.notice.headline = "RESOLVED".to_owned();
    message
}

#[tokio::test]
async fn a_hundred_incidents_are_told_in_two_requests() {
    let server = receiver(200).await;
    let office = Office::with(&[("ops", "slack", &server.uri(), "")]).await;
    office.hand_in((1..=100).map(|n| message(n, &format!("k{n}"), &[])).collect()).await;
    assert_eq!((office.round().await, office.round().await, office.round().await), (1, 1, 0));
    let bodies = bodies(&server).await;
    assert_eq!(bodies.len(), 2);
    assert!(bodies[0]["text"].as_str().unwrap().ends_with("and 30 more"), "{}", bodies[0]);
    assert_eq!(office.states().await, [MessageState::Delivered; 100]);
    let channel = office.channel("ops").await;
    assert_eq!((channel.state, channel.pending, channel.last_error), (ChannelState::Ok, 0, None));
    assert!(channel.last_ok_at.is_some());
}

#[tokio::test]
async fn after_an_outage_one_message_says_how_an_incident_stands() {
    let server = receiver(500).await;
    let office = Office::with(&[("ops", "slack", &server.uri(), "")]).await;
    office.hand_in(vec![message(1, "fires", &[])]).await;
    assert_eq!(office.round().await, 1);
    assert_eq!(office.round().await, 0, "the channel pauses");
    let channel = office.channel("ops").await;
    assert_eq!((channel.state, channel.pending), (ChannelState::Failing, 1));
    assert_eq!(channel.last_error.as_deref(), Some("the receiver answered 500 Internal Server Error"));
    office.hand_in(vec![resolved(1, "over")]).await;
    office.pass(1_200).await;
    assert_eq!(office.round().await, 1);
    server.reset().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    office.pass(1_200).await;
    assert_eq!(office.round().await, 1);
    let told = bodies(&server).await;
    assert_eq!(told.len(), 1);
    assert!(told[0]["text"].as_str().unwrap().starts_with("*RESOLVED*"), "{}", told[0]);
    assert_eq!(office.states().await, [MessageState::Superseded, MessageState::Delivered]);
    assert_eq!(office.channel("ops").await.state, ChannelState::Ok);
}

#[tokio::test]
async fn what_a_receiver_refuses_is_dead_and_opens_the_incident_of_the_channel() {
    let server = receiver(404).await;
    let office = Office::with(&[("ops", "slack", &server.uri(), "")]).await;
    office.hand_in(vec![message(1, "a", &[]), message(2, "b", &[])]).await;
    assert_eq!(office.round().await, 1);
    assert_eq!(office.states().await, [MessageState::Dead; 2]);
    assert_eq!(bodies(&server).await.len(), 3, "together, then one by one");
    // Ids of incidents grow: another one is the second, and the first is that of the channel.
    let incident = async |fingerprint: &str| {
        let sql = format!("SELECT id::float8 FROM core.incident_observe('{fingerprint}', 'system', 'info', 'a title')");
        office.number(&sql).await.to_string()
    };
    assert_eq!(
        (incident("system/other").await, incident("system/channel/ops").await),
        ("2".to_owned(), "1".to_owned())
    );
    let dead = office.port.page(&CALL, &MessageQuery::newest(1)).await.unwrap().entries.remove(0);
    assert_eq!(dead.last_error.as_deref(), Some("the receiver answered 404 Not Found"));
    // It is sent after all where somebody asks for that, once nothing newer waits.
    server.reset().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    assert_eq!(office.port.retry(&CALL, dead.id).await.unwrap().unwrap().state, MessageState::Pending);
    assert_eq!(office.round().await, 1);
    assert_eq!(office.states().await, [MessageState::Dead, MessageState::Delivered]);
}

#[tokio::test]
async fn a_dead_message_gives_way_to_a_newer_one() {
    let server = receiver(404).await;
    let office = Office::with(&[("ops", "slack", &server.uri(), "")]).await;
    office.hand_in(vec![message(1, "a", &[])]).await;
    office.round().await;
    office.hand_in(vec![message(1, "b", &[])]).await;
    let oldest = crate::kernel::RowId::new(1).unwrap();
    let refused = office.port.retry(&CALL, oldest).await.unwrap_err();
    assert!(matches!(&refused, crate::kernel::PortError::Conflict(why) if why.contains("newer")), "{refused:?}");
}

#[tokio::test]
async fn only_what_is_refused_alone_is_dead() {
    let server = MockServer::start().await;
    Mock::given(body_string_contains("poison")).respond_with(ResponseTemplate::new(413)).mount(&server).await;
    Mock::given(any()).respond_with(ResponseTemplate::new(204)).mount(&server).await;
    let office = Office::with(&[("robot", "webhook", &server.uri(), "")]).await;
    office.hand_in(vec![message(1, "a", &[]), message(2, "poison", &[]), message(3, "c", &[])]).await;
    office.round().await;
    assert_eq!(office.states().await, [MessageState::Delivered, MessageState::Dead, MessageState::Delivered]);
    assert_eq!(office.channel("robot").await.state, ChannelState::Ok);
}

#[tokio::test]
async fn what_was_not_taken_for_a_day_is_dead() {
    let server = receiver(503).await;
    let office = Office::with(&[("ops", "slack", &server.uri(), "")]).await;
    office.hand_in(vec![message(1, "a", &[])]).await;
    office.pass(86_300).await;
    office.round().await;
    office.hand_in(vec![message(2, "b", &[])]).await;
    assert_eq!(office.states().await, [MessageState::Pending; 2]);
    office.pass(100).await;
    office.round().await;
    assert_eq!(office.states().await, [MessageState::Dead, MessageState::Pending]);
}

#[tokio::test]
async fn a_receiver_says_for_how_long_it_wants_to_be_left_alone() {
    let server = MockServer::start().await;
    let busy = ResponseTemplate::new(429).insert_header("retry-after", "1800");
    Mock::given(any()).respond_with(busy).mount(&server).await;
    let office = Office::with(&[("ops", "slack", &server.uri(), "")]).await;
    office.hand_in(vec![message(1, "a", &[])]).await;
    office.courier.round().await.unwrap();
    let pause =
        office.number("SELECT extract(epoch FROM next_at - clock_timestamp())::float8 FROM core.channel_state").await;
    assert!((1_790.0..=1_800.0).contains(&pause), "{pause}");
    assert_eq!(office.states().await, [MessageState::Pending]);
}

#[tokio::test]
async fn a_receiver_without_an_answer_delays_no_other() {
    let (asked, mut was_asked) = tokio::sync::mpsc::unbounded_channel();
    let silent = MockServer::start().await;
    let never = ResponseTemplate::new(200).set_delay(std::time::Duration::from_secs(600));
    Mock::given(any()).respond_with(never).mount(&silent).await;
    let well = MockServer::start().await;
    let answer = move |_: &Request| {
        asked.send(()).unwrap();
        ResponseTemplate::new(200)
    };
    Mock::given(any()).respond_with(answer).mount(&well).await;
    let office = Office::with(&[("silent", "slack", &silent.uri(), ""), ("well", "slack", &well.uri(), "")]).await;
    office.hand_in(vec![message(1, "a", &["silent"]), message(2, "b", &["#Well"])]).await;
    let round = office.courier.round();
    tokio::select! {
        _ = round => panic!("the silent one has answered"),
        asked = was_asked.recv() => assert!(asked.is_some()),
    }
}

#[tokio::test]
async fn what_a_killed_courier_sent_is_sent_again_under_the_same_id_after_a_minute() {
    let server = receiver(200).await;
    let secret = format!("secret = \"{SIGNS}\"");
    let office = Office::with(&[("robot", "webhook", &server.uri(), &secret)]).await;
    office.hand_in(vec![message(1, "a", &[]), message(2, "b", &[])]).await;
    for claim in office.courier.claim().await.unwrap() {
        let channels = office.courier.parts.channels.now();
        let messages: Vec<_> = claim.messages.iter().map(|(message, _)| message).collect();
        let tally = office.courier.deliver(channels.get(&claim.channel).unwrap(), &messages).await;
        assert_eq!(tally.delivered.len(), 2);
    }
    office.hand_in(vec![message(3, "c", &[])]).await;
    office.pass(58).await;
    assert_eq!(office.round().await, 0, "the claim holds");
    office.pass(2).await;
    assert_eq!((office.round().await, office.round().await), (1, 1));
    assert_eq!(office.states().await, [MessageState::Delivered; 3]);
    let bodies = bodies(&server).await;
    let ids =
        |body: &Value| body["alerts"].as_array().unwrap().iter().map(|alert| alert["id"].clone()).collect::<Vec<_>>();
    assert_eq!(
        (bodies.len(), ids(&bodies[0]), ids(&bodies[1]), ids(&bodies[2])),
        (3, vec![json!(1), json!(2)], vec![json!(1), json!(2)], vec![json!(3)])
    );
    assert_eq!(bodies[0]["id"], bodies[1]["id"]);
    let library = standardwebhooks::Webhook::new(SIGNS).unwrap();
    for request in server.received_requests().await.unwrap() {
        let mut headers = HeaderMap::new();
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            headers.insert(name, request.headers[name].clone());
        }
        library.verify(&request.body, &headers).unwrap();
        assert!(!request.headers.keys().any(|name| name.as_str().contains("flamewarden")), "{:?}", request.headers);
    }
}

#[tokio::test]
async fn two_couriers_send_a_message_once() {
    let server = receiver(200).await;
    let office = Office::with(&[("ops", "slack", &server.uri(), "")]).await;
    office.hand_in(vec![message(1, "a", &[])]).await;
    let other = office.courier.clone();
    let (one, two) = tokio::join!(office.courier.round(), other.round());
    assert_eq!(one.unwrap() + two.unwrap(), 1);
    assert_eq!(bodies(&server).await.len(), 1);
}

#[tokio::test]
async fn pagerduty_is_told_of_each_alone() {
    let server = receiver(202).await;
    let office = Office::with(&[("pager", "pagerduty", &server.uri(), "secret = \"key\"")]).await;
    office.hand_in(vec![message(1, "a", &[]), resolved(2, "b")]).await;
    assert_eq!(office.round().await, 1);
    let told: Vec<_> =
        bodies(&server).await.iter().map(|body| (body["event_action"].clone(), body["dedup_key"].clone())).collect();
    assert_eq!(told, [(json!("trigger"), json!("flamewarden-1")), (json!("resolve"), json!("flamewarden-2"))]);
    let tested = office.port.test(&CALL, &"pager".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((tested.delivered, tested.status, tested.error), (true, Some(202), None));
    assert_eq!(bodies(&server).await[2]["dedup_key"], "flamewarden-test");
}

#[tokio::test]
async fn settled_messages_go_after_thirty_days() {
    let server = receiver(200).await;
    let office = Office::with(&[("ops", "slack", &server.uri(), "")]).await;
    office.hand_in(vec![message(1, "a", &["#x"]), message(2, "b", &[])]).await;
    office.round().await;
    office.hand_in(vec![message(3, "c", &[])]).await;
    let aged = "UPDATE core.message SET settled_at = settled_at - interval '30 days 1 second' WHERE key = 'a';
                UPDATE core.channel_unresolved SET meant_at = meant_at - interval '30 days 1 second'";
    office.execute(aged).await;
    assert_eq!(office.courier.tidy(&CALL).await, Ok(1));
    assert_eq!(office.states().await, [MessageState::Delivered, MessageState::Pending]);
    assert!((office.number("SELECT count(*)::float8 FROM core.channel_unresolved").await).abs() < f64::EPSILON);
}

#[tokio::test]
async fn trouble_is_a_channel_that_fails_or_a_message_that_is_dead() {
    let server = receiver(500).await;
    let office = Office::with(&[("ops", "slack", &server.uri(), "")]).await;
    let five = std::time::Duration::from_mins(5);
    office.hand_in(vec![message(1, "a", &[])]).await;
    office.round().await;
    assert_eq!(office.courier.trouble(&CALL, five).await, Ok((vec![], 0, 1)));
    office.pass(300).await;
    assert_eq!(office.courier.trouble(&CALL, five).await, Ok((vec!["ops".to_owned()], 0, 1)));
    server.reset().await;
    office.round().await;
    assert_eq!(office.courier.trouble(&CALL, five).await, Ok((vec!["ops".to_owned()], 1, 0)));
}
