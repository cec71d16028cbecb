//! Tells people of incidents: what is to be told is read, put into words, handed in, and noted as told.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;

use super::domain::{RESOLVED_FOR, message, mirrored};
use crate::kernel::{Call, Clock, LimitSeverity, PortResult, all_pages};
use crate::sor::incident::{AlertStateSor, Incident, IncidentQuery, IncidentSor, IncidentState, Told, Untold};
use crate::sor::notification::NotificationSor;

/// The most alerts that have a series of their own among the metrics.
const MOST_SERIES: usize = 1_000;

/// What telling is made of.
pub struct TellParts {
    /// What is wrong.
    pub incidents: Arc<dyn IncidentSor>,
    /// Of what somebody is to be told.
    pub states: Arc<dyn AlertStateSor>,
    /// Who takes messages.
    pub notifications: Arc<dyn NotificationSor>,
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// The least severity that people are told of.
    pub least: LimitSeverity,
    /// After how long they are told again of what nobody looks after.
    pub repeat: Duration,
    /// The address in links, without a slash at its end; empty for paths alone.
    pub base: String,
}

/// Messages that are handed in at once: each may take 64 KiB, and a request 8 MiB.
const AT_ONCE: usize = 100;

/// Tells people of incidents.
pub struct Teller {
    parts: TellParts,
    /// The series of `alert_active` that were 1 when they were set last.
    shown: Mutex<BTreeSet<[String; 5]>>,
}

impl Teller {
    /// A teller over these ports.
    pub fn new(parts: TellParts) -> Self {
        metrics::describe_gauge!(
            "alert_active",
            "Alerts that are pending or fire: 1, and 0 once they are not any more"
        );
        metrics::describe_gauge!("alerts_open", "How many alerts are pending or fire");
        Self { parts, shown: Mutex::default() }
    }

    /// Tells people of every incident of which they are to be told. Returns how many there were. If a run is interrupted after
    /// its messages were handed in, the next run hands in the same messages under the same keys, which changes nothing.
    pub async fn tell(&self, call: &Call) -> PortResult<usize> {
        let TellParts { states, notifications, clock, least, repeat, base, .. } = &self.parts;
        let repeat = TimeDelta::from_std(*repeat).unwrap_or(TimeDelta::MAX);
        let mut told = 0;
        loop {
            let now = clock.now();
            let repeated_before = now.checked_sub_signed(repeat).unwrap_or(chrono::DateTime::UNIX_EPOCH);
            let untold = states.untold(call, Untold { repeated_before, least: *least }).await?;
            let (incidents, messages): (Vec<_>, Vec<_>) =
                untold.iter().filter_map(|incident| Some((incident, message(incident, base, now)?))).unzip();
            if messages.is_empty() {
                return Ok(told);
            }
            let mut handed_in = Vec::with_capacity(messages.len());
            for some in messages.chunks(AT_ONCE) {
                handed_in.extend(notifications.enqueue(call, some.to_vec()).await?);
            }
            let known = incidents.into_iter().zip(handed_in).filter_map(|(incident, handed_in)| {
                Some(Told {
                    id: incident.id,
                    state: incident.level()?,
                    severity: incident.found.severity,
                    at: now,
                    channel: handed_in.channel,
                    last_told_at: incident.told_at,
                })
            });
            let known: Vec<_> = known.collect();
            let count = known.len();
            states.told(call, known).await?;
            told += count;
            if count < usize::from(Untold::MOST) {
                return Ok(told);
            }
        }
    }

    /// Hands what fires, and what was resolved lately, to each Alertmanager, and sets the metrics of alerts.
    pub async fn mirror(&self, call: &Call) -> PortResult<()> {
        let TellParts { notifications, clock, base, .. } = &self.parts;
        let now = clock.now();
        let lately = IncidentQuery { from: Some(now - RESOLVED_FOR), ..of_state(IncidentState::Resolved) };
        let (firing, pending) = (of_state(IncidentState::Firing), of_state(IncidentState::Pending));
        let (firing, pending, resolved) =
            futures::try_join!(self.all(call, firing), self.all(call, pending), self.all(call, lately))?;
        self.show(firing.iter().chain(&pending));
        let alerts: Vec<_> =
            firing.iter().chain(&resolved).filter_map(|incident| mirrored(incident, base, now)).collect();
        notifications.mirror(call, alerts).await
    }

    async fn all(&self, call: &Call, query: IncidentQuery) -> PortResult<Vec<Incident>> {
        all_pages(|after| {
            let query = IncidentQuery { after, ..query.clone() };
            async move { self.parts.incidents.page(call, &query).await }
        })
        .await
    }

    fn show<'i>(&self, open: impl Iterator<Item = &'i Incident>) {
        let mut counts = std::collections::BTreeMap::new();
        for state in [IncidentState::Firing, IncidentState::Pending] {
            for severity in [LimitSeverity::Info, LimitSeverity::Warning, LimitSeverity::Critical] {
                counts.insert((state.as_str(), severity), 0_u32);
            }
        }
        let mut now = BTreeSet::new();
        for Incident { found, .. } in open {
            *counts.entry((found.state.as_str(), found.severity)).or_default() += 1;
            if now.len() < MOST_SERIES {
                let text = |text: Option<String>| text.unwrap_or_default();
                now.insert([
                    found.source.as_str().to_owned(),
                    text(found.rule_id.map(|id| id.to_string())),
                    text(found.app_name.as_ref().map(ToString::to_string)),
                    found.severity.as_str().to_owned(),
                    found.state.as_str().to_owned(),
                ]);
            }
        }
        for ((state, severity), count) in counts {
            metrics::gauge!("alerts_open", "state" => state, "severity" => severity.as_str()).set(count);
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in shown.difference(&now) {
            set(gone, 0.0);
        }
        for one in &now {
            set(one, 1.0);
        }
        *shown = now;
    }
}

fn of_state(state: IncidentState) -> IncidentQuery {
    IncidentQuery { state: Some(state), limit: IncidentQuery::MAX_LIMIT, ..IncidentQuery::default() }
}

fn set(series: &[String; 5], value: f64) {
    let [source, rule, app, severity, state] = series.clone();
    let series = metrics::gauge!(
        "alert_active", "source" => source, "rule" => rule, "app" => app, "severity" => severity, "state" => state
    );
    series.set(value);
}

#[cfg(test)]
mod tests;
