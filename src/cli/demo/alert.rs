//! `flamewarden demo --alert`: a program gets slow, a rule fires and is told, the program is rolled back, and the alert
//! is resolved. The messages come to a receiver that the command opens.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, interval, timeout_at};
use url::Url;

use super::program::Program;
use super::workload::{Version, Workload};
use super::{now, receiver, sleep_until, with_dots};
use crate::cli::server::{Server, refusal};
use crate::cli::{Common, Exit};

/// Rules look at whole minutes.
const MINUTE: i64 = 60;
/// How long the slow version runs before a whole minute.
const SLOW: u64 = 15;
/// How long its profiler takes to start, at most.
const START: i64 = 6;
/// How long the earlier version runs after the rollback.
const ROLLED_BACK: u64 = 60;
/// The window of the rule, in seconds.
const WINDOW: i64 = 300;
/// From which share on, in percent, the rule fires.
const THRESHOLD: f64 = 30.0;
/// How long to wait for the alert to fire, and then for it to be resolved. Rules are evaluated once a minute, and on a busy
/// machine the profiles may arrive after a round has begun.
const PATIENCE: Duration = Duration::from_mins(4);

/// The server that evaluates the rule, and the address where this command receives messages.
pub(super) struct AlertDemo {
    pub(super) server: Server,
    pub(super) url: Url,
    pub(super) receiver: SocketAddr,
}

impl AlertDemo {
    /// Shows an alert from its beginning to its end. The rule is removed then, also if the command is interrupted.
    pub(super) async fn run(&self, common: &Common) -> anyhow::Result<Exit> {
        if self.ran_lately().await? {
            eprintln!(
                "error: this demo ran within the last 5 minutes, which is what its rule looks at: wait until they are over"
            );
            return Ok(Exit::NoData);
        }
        let mut messages = receiver::open(self.receiver)?;
        let is_told = self.names_a_channel(common).await?;
        let rule: Kept = self.post("rules", &rule()).await?;
        common.show(&format!("Rule {}: {} may take {THRESHOLD} % of the CPU of {}.\n", rule.id, function(), app()))?;
        let shown = tokio::select! {
            shown = self.show(common, &rule, &mut messages, is_told) => shown,
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
        };
        let removed = self.server.delete(&["rules", &rule.id.to_string()]).await?;
        anyhow::ensure!(removed.status.is_success(), "rule {} is left: {}", rule.id, refusal(&removed));
        shown
    }

    async fn show(
        &self,
        common: &Common,
        rule: &Kept,
        messages: &mut UnboundedReceiver<String>,
        is_told: bool,
    ) -> anyhow::Result<Exit> {
        let slow = i64::try_from(SLOW)?;
        let earliest = now() + START + slow;
        let minute = earliest + (MINUTE - earliest.rem_euclid(MINUTE)) % MINUTE;
        let mut program = Program::start(Workload::Alert, &self.url, SLOW)?;
        let mut before = Program::start(Workload::Alert, &self.url, ROLLED_BACK)?;
        let text = format!("Waiting for {}, so that the slow version ends with a whole minute", clock(minute - slow));
        let ready = async {
            futures::try_join!(program.prepare(Version::After), before.prepare(Version::Before))?;
            sleep_until(minute - slow).await;
            Ok(())
        };
        with_dots(&text, ready).await?;
        with_dots(&format!("Version 2 runs for {SLOW} s"), program.run()).await?;
        program.end().await?;
        common.show("Its profiles are there. Rules are evaluated 30 s after each whole minute.\n")?;
        self.seen(common, rule, "firing", is_told.then_some(&mut *messages)).await?;
        common.show("\nIt is rolled back: version 1 runs for a minute.\n")?;
        let rolled_back = async {
            before.run().await?;
            before.end().await
        };
        futures::try_join!(rolled_back, self.seen(common, rule, "resolved", is_told.then_some(messages)))?;
        Ok(Exit::Fine)
    }

    /// Waits until the alert is in that state, then prints it and the message that the receiver got.
    async fn seen(
        &self,
        common: &Common,
        rule: &Kept,
        state: &'static str,
        messages: Option<&mut UnboundedReceiver<String>>,
    ) -> anyhow::Result<()> {
        let parameters = [("state", Some(state.to_owned())), ("ruleId", Some(rule.id.to_string()))];
        let end = Instant::now() + PATIENCE;
        let mut ticks = interval(Duration::from_secs(1));
        let alert = loop {
            ticks.tick().await;
            let alerts: Alerts = self.get(&["alerts"], &parameters).await?;
            if let Some(alert) = alerts.alerts.into_iter().next() {
                break alert;
            }
            anyhow::ensure!(
                Instant::now() < end,
                "the alert is not {state} after {} s: /api/v1/health of the server says whether rules are evaluated",
                PATIENCE.as_secs()
            );
        };
        common.show(&format!("\n{}  alert {} is {state}: {}\n", clock(now()), alert.id, alert.title))?;
        if let Some(messages) = messages {
            let received = timeout_at(end, messages.recv()).await;
            let message = received.ok().flatten().context("the server told nobody: GET /channels says why")?;
            let indented = message.lines().fold(String::new(), |text, line| text + "    " + line + "\n");
            common.show(&format!("{}  received at http://{}:\n{indented}", clock(now()), self.receiver))?;
        }
        Ok(())
    }

    /// Whether the demo ran within the last minutes: the rule would see the profiles of that run too.
    async fn ran_lately(&self) -> anyhow::Result<bool> {
        let from = [("from", Some((now() - WINDOW - MINUTE).to_string()))];
        let apps: Apps = self.get(&["profiles", "apps"], &from).await?;
        Ok(apps.apps.iter().any(|name| name == app()))
    }

    /// Whether the server has a channel. If it has none, prints how to start it with one.
    async fn names_a_channel(&self, common: &Common) -> anyhow::Result<bool> {
        let channels: Channels = self.get(&["channels"], &[]).await?;
        let is_told = !channels.channels.is_empty();
        if !is_told {
            common.show(&format!(
                "This server sends no messages, because it has no channel. To see the messages here, start it with\n\
                 SLACK_WEBHOOK_URL=http://{}/hook in its environment.\n\n",
                self.receiver
            ))?;
        }
        Ok(is_told)
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        parameters: &[(&str, Option<String>)],
    ) -> anyhow::Result<T> {
        let answer = self.server.get(path.iter().copied(), parameters).await?;
        anyhow::ensure!(answer.status.is_success(), "/{}: {}", path.join("/"), refusal(&answer));
        Ok(serde_json::from_slice(&answer.body)?)
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> anyhow::Result<T> {
        let answer = self.server.post(&[path], &[], body).await?;
        anyhow::ensure!(answer.status.is_success(), "/{path}: {}", refusal(&answer));
        Ok(serde_json::from_slice(&answer.body)?)
    }
}

fn app() -> &'static str {
    Workload::Alert.app()
}

/// The function that the slow version calls too often.
fn function() -> &'static str {
    Workload::Alert.limit().map_or("", |(function, _)| function)
}

fn rule() -> Value {
    json!({
        "appName": app(), "profileType": "cpu", "functionPattern": format!("^{}$", function()),
        "thresholdPercent": THRESHOLD, "forSeconds": 0, "keepFiringSeconds": 0, "severity": "critical",
        "createdBy": "flamewarden demo --alert",
    })
}

/// `14:05:30Z`.
fn clock(second: i64) -> String {
    DateTime::<Utc>::from_timestamp(second, 0).map_or_else(String::new, |at| at.format("%H:%M:%SZ").to_string())
}

#[derive(Debug, Deserialize)]
struct Kept {
    id: i32,
}

#[derive(Debug, Deserialize)]
struct Apps {
    apps: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Channels {
    channels: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct Alerts {
    alerts: Vec<Alert>,
}

#[derive(Debug, Deserialize)]
struct Alert {
    id: i32,
    title: String,
}
