//! A receiver of webhooks that notes what it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use flamewarden::kernel::{Clock, SystemClock};
use serde_json::Value;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// One message that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arrived {
    /// The id of the alert.
    pub(super) alert: i64,
    /// What is told of it.
    pub(super) event: String,
    /// When it arrived first.
    pub(super) at: DateTime<Utc>,
}

#[derive(Clone, Default)]
struct Notes {
    /// By the ids of the messages.
    messages: Arc<Mutex<BTreeMap<i64, Arrived>>>,
    requests: Arc<Mutex<Vec<String>>>,
    silent: Arc<AtomicBool>,
}

impl Respond for Notes {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let body: Value = request.body_json().unwrap();
        let at = SystemClock.now();
        self.requests.lock().unwrap().push(body["id"].as_str().unwrap().to_owned());
        let mut messages = self.messages.lock().unwrap();
        for row in body["alerts"].as_array().unwrap() {
            let (alert, event) = (row["id"].as_i64().unwrap(), row["event"].as_str().unwrap().to_owned());
            let known = messages.entry(row["messageId"].as_i64().unwrap()).or_insert(Arrived {
                alert,
                event: event.clone(),
                at,
            });
            assert_eq!((known.alert, &known.event), (alert, &event), "the same id says the same: {row}");
        }
        let answer = ResponseTemplate::new(200);
        if self.silent.load(Ordering::Relaxed) { answer.set_delay(Duration::from_secs(600)) } else { answer }
    }
}

/// The receiver.
pub(super) struct Receiver {
    server: MockServer,
    notes: Notes,
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let (server, notes) = (MockServer::start().await, Notes::default());
        Mock::given(any()).respond_with(notes.clone()).mount(&server).await;
        Self { server, notes }
    }

    pub(super) fn url(&self) -> String {
        self.server.uri()
    }

    /// Whether it takes what it is sent without an answer from now on.
    pub(super) fn is_silent(&self, silent: bool) {
        self.notes.silent.store(silent, Ordering::Relaxed);
    }

    /// What arrived, by the ids of messages: one that arrived again is there once.
    pub(super) fn messages(&self) -> BTreeMap<i64, Arrived> {
        self.notes.messages.lock().unwrap().clone()
    }

    /// The ids of the requests in their order.
    pub(super) fn requests(&self) -> Vec<String> {
        self.notes.requests.lock().unwrap().clone()
    }

    /// The alerts of which it was told that. Fails if it was told of one in two messages.
    pub(super) fn told(&self, event: &str) -> BTreeSet<i64> {
        let messages = self.messages();
        let of_event: Vec<_> = messages.values().filter(|one| one.event == event).map(|one| one.alert).collect();
        let alerts: BTreeSet<_> = of_event.iter().copied().collect();
        assert_eq!(alerts.len(), of_event.len(), "two messages say {event} of one alert");
        alerts
    }
}
