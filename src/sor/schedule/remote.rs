//! Leases and jobs kept by another Flamewarden, over its routes.

use async_trait::async_trait;
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::domain::{JobRecord, Lease, RunEnd, RunStart, Schedule, ScheduleName};
use super::port::ScheduleSor;
use super::wire::{BegunBody, CandidateBody, DoneBody, ForgottenBody, LedBody, ScheduleBody};
use crate::http::{Code, Outward, Peer, Repeatable};
use crate::kernel::{Call, PortResult};

pub(super) struct RemoteSchedule {
    peer: Peer,
}

impl RemoteSchedule {
    pub(super) fn new(outward: Outward) -> Self {
        Self { peer: Peer::new(outward, Code::JobUnknown) }
    }

    /// Calls a method of the port over its internal route, `POST /core/schedule/{method}`.
    async fn method<T: DeserializeOwned>(
        &self,
        call: &Call,
        name: &str,
        repeatable: Repeatable,
        body: &(impl Serialize + Sync),
    ) -> PortResult<T> {
        let request =
            |outward: &Outward| outward.request(Method::POST, outward.url(["core", "schedule", name])).json(body);
        self.peer.written(call, repeatable, request).await
    }
}

#[async_trait]
impl ScheduleSor for RemoteSchedule {
    async fn lead(&self, call: &Call, group: &ScheduleName, holder: Uuid) -> PortResult<Option<Lease>> {
        let body = CandidateBody { group: group.clone(), holder };
        let led = self.method::<LedBody>(call, "lead", Repeatable::Yes, &body);
        Ok(led.await?.lease)
    }

    async fn resign(&self, call: &Call, group: &ScheduleName, holder: Uuid) -> PortResult<bool> {
        let body = CandidateBody { group: group.clone(), holder };
        Ok(self.method::<DoneBody>(call, "resign", Repeatable::No, &body).await?.done)
    }

    async fn begin(&self, call: &Call, run: RunStart) -> PortResult<Option<JobRecord>> {
        Ok(self.method::<BegunBody>(call, "begin", Repeatable::No, &run).await?.job)
    }

    async fn end(&self, call: &Call, run: RunEnd) -> PortResult<bool> {
        Ok(self.method::<DoneBody>(call, "end", Repeatable::No, &run).await?.done)
    }

    async fn jobs(&self, call: &Call) -> PortResult<Schedule> {
        let body = self.peer.written::<ScheduleBody>(call, Repeatable::Yes, |outward| {
            outward.request(Method::GET, outward.url(["schedule"]))
        });
        body.await.map(Schedule::from)
    }

    async fn ask(&self, call: &Call, job: &ScheduleName) -> PortResult<bool> {
        let asked = self.peer.read::<DoneBody>(call, Repeatable::Yes, |outward| {
            outward.request(Method::POST, outward.url(["schedule", job.as_str(), "run"]))
        });
        Ok(asked.await?.is_some_and(|asked| asked.done))
    }

    async fn forget(&self, call: &Call) -> PortResult<u64> {
        let forgotten = self.peer.written::<ForgottenBody>(call, Repeatable::Yes, |outward| {
            outward.request(Method::POST, outward.url(["core", "schedule", "forget"]))
        });
        Ok(forgotten.await?.forgotten)
    }
}
