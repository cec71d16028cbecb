//! Incidents kept by another Flamewarden, over its routes.

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::{Method, RequestBuilder};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::domain::{
    Act, Incident, IncidentPage, IncidentQuery, IncidentTimeline, NewSilence, Observation, Observed, Silence,
    SilencePage, SilenceQuery,
};
use super::port::{AlertStateSor, IncidentSor, SilenceSor};
use super::rounds::{Decided, RuleState, StandingIncidents, Told, Untold};
use super::wire::{
    AcknowledgeBody, AlertsBody, KeptBody, NewSilenceBody, RuleIdBody, RuleStateBody, SilencesBody, SnoozeBody,
    ToldBody, UntoldBody,
};
use crate::http::{Code, Cursor, Outward, Peer, Repeatable};
use crate::kernel::{AppName, Call, PortResult, RowId};

/// The adapter of the room's three ports.
pub(super) struct RemoteIncidents {
    incidents: Peer,
    silences: Peer,
}

impl RemoteIncidents {
    pub(super) fn new(outward: Outward) -> Self {
        Self {
            incidents: Peer::new(outward.clone(), Code::AlertUnknown),
            silences: Peer::new(outward, Code::SilenceUnknown),
        }
    }

    /// Calls a method of a port over its internal route, `POST /core/incident/{method}`.
    async fn method<T: DeserializeOwned>(
        &self,
        call: &Call,
        name: &str,
        repeatable: Repeatable,
        body: &(impl Serialize + Sync),
    ) -> PortResult<T> {
        let request =
            |outward: &Outward| outward.request(Method::POST, outward.url(["core", "incident", name])).json(body);
        self.incidents.written(call, repeatable, request).await
    }

    /// Does something to the alert of an id, at `/alerts/{id}/{what}`.
    async fn act_on(
        &self,
        call: &Call,
        method: Method,
        (id, what): (RowId, &str),
        body: Option<&(impl Serialize + Sync)>,
    ) -> PortResult<Option<Incident>> {
        let id = id.get().to_string();
        let request = |outward: &Outward| {
            let request = outward.request(method.clone(), outward.url(["alerts", &id, what]));
            body.iter().fold(request, RequestBuilder::json)
        };
        self.incidents.read(call, Repeatable::No, request).await
    }
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn parameters(query: &IncidentQuery) -> Vec<(&'static str, String)> {
    let given = [
        ("state", Some(query.state.map_or("all", |state| state.as_str()).to_owned())),
        ("appName", query.app.as_ref().map(AppName::to_string)),
        ("source", query.source.map(|source| source.as_str().to_owned())),
        ("severity", query.severity.map(|severity| severity.as_str().to_owned())),
        ("ruleId", query.rule_id.map(|id| id.to_string())),
        ("acknowledged", query.acknowledged.map(|acknowledged| acknowledged.to_string())),
        ("from", query.from.map(time)),
        ("to", query.to.map(time)),
        ("limit", Some(query.limit.clamp(1, IncidentQuery::MAX_LIMIT).to_string())),
        ("cursor", query.after.as_ref().map(Cursor::encode)),
    ];
    given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

#[async_trait]
impl IncidentSor for RemoteIncidents {
    async fn page(&self, call: &Call, query: &IncidentQuery) -> PortResult<IncidentPage> {
        let parameters = parameters(query);
        let body = self.incidents.written::<AlertsBody>(call, Repeatable::Yes, |outward| {
            outward.request(Method::GET, outward.url(["alerts"])).query(&parameters)
        });
        let body = body.await?;
        Ok(IncidentPage { entries: body.alerts, next: Cursor::next(body.next_cursor)? })
    }

    async fn get(&self, call: &Call, id: RowId) -> PortResult<Option<IncidentTimeline>> {
        let id = id.get().to_string();
        let request = |outward: &Outward| outward.request(Method::GET, outward.url(["alerts", &id]));
        self.incidents.read(call, Repeatable::Yes, request).await
    }

    async fn act(&self, call: &Call, id: RowId, act: Act) -> PortResult<Option<Incident>> {
        match act {
            Act::Acknowledge { note, by } => {
                let body = AcknowledgeBody { note, by };
                self.act_on(call, Method::POST, (id, "acknowledge"), Some(&body)).await
            }
            Act::Snooze { minutes, reason } => {
                let body = SnoozeBody { minutes, reason };
                self.act_on(call, Method::POST, (id, "snooze"), Some(&body)).await
            }
            Act::Unsnooze => self.act_on(call, Method::DELETE, (id, "snooze"), None::<&()>).await,
        }
    }

    async fn observe(&self, call: &Call, observation: Observation) -> PortResult<Observed> {
        self.method(call, "observe", Repeatable::Yes, &observation).await
    }
}

#[async_trait]
impl AlertStateSor for RemoteIncidents {
    async fn standing(&self, call: &Call) -> PortResult<StandingIncidents> {
        let request = |outward: &Outward| outward.request(Method::POST, outward.url(["core", "incident", "standing"]));
        self.incidents.written(call, Repeatable::Yes, request).await
    }

    async fn apply(&self, call: &Call, decided: Decided) -> PortResult<()> {
        self.method::<KeptBody>(call, "apply", Repeatable::Yes, &decided).await.map(drop)
    }

    async fn untold(&self, call: &Call, which: Untold) -> PortResult<Vec<Incident>> {
        Ok(self.method::<UntoldBody>(call, "untold", Repeatable::Yes, &which).await?.incidents)
    }

    async fn told(&self, call: &Call, told: Vec<Told>) -> PortResult<()> {
        self.method::<KeptBody>(call, "told", Repeatable::Yes, &ToldBody { told }).await.map(drop)
    }

    async fn rule_state(&self, call: &Call, rule_id: RowId) -> PortResult<Option<RuleState>> {
        let body = RuleIdBody { rule_id };
        Ok(self.method::<RuleStateBody>(call, "rule_state", Repeatable::Yes, &body).await?.state)
    }
}

#[async_trait]
impl SilenceSor for RemoteIncidents {
    async fn create(&self, call: &Call, silence: NewSilence) -> PortResult<Silence> {
        let body = NewSilenceBody::from(silence);
        let request = |outward: &Outward| outward.request(Method::POST, outward.url(["silences"])).json(&body);
        self.silences.written(call, Repeatable::No, request).await
    }

    async fn page(&self, call: &Call, query: SilenceQuery) -> PortResult<SilencePage> {
        let mut parameters = vec![
            ("active", query.active.to_string()),
            ("limit", query.limit.clamp(1, IncidentQuery::MAX_LIMIT).to_string()),
        ];
        parameters.extend(query.after.as_ref().map(|after| ("cursor", Cursor::encode(after))));
        let body = self.silences.written::<SilencesBody>(call, Repeatable::Yes, |outward| {
            outward.request(Method::GET, outward.url(["silences"])).query(&parameters)
        });
        let body = body.await?;
        Ok(SilencePage { entries: body.silences, next: Cursor::next(body.next_cursor)? })
    }

    async fn remove(&self, call: &Call, id: RowId) -> PortResult<bool> {
        self.silences.remove(call, &["silences", &id.get().to_string()]).await
    }
}
