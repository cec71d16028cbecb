//! A registry kept by another Flamewarden, over its public routes.

use async_trait::async_trait;
use reqwest::Method;

use super::domain::{NewService, Service, ServiceChange, ServicePage, ServiceQuery};
use super::port::RegistrySor;
use super::wire::{NewServiceBody, ServiceBody, ServiceChangeBody, ServicesBody};
use crate::http::{Code, Cursor, Outward, Peer, Repeatable, StoredBody, with_repeated};
use crate::kernel::{AppName, Call, PortResult, Stored};

/// The first segment of its paths.
const ROOM: &str = "services";

pub(super) struct RemoteRegistry {
    peer: Peer,
}

impl RemoteRegistry {
    pub(super) fn new(outward: Outward) -> Self {
        Self { peer: Peer::new(outward, Code::ServiceUnknown) }
    }
}

#[async_trait]
impl RegistrySor for RemoteRegistry {
    async fn register(&self, call: &Call, service: NewService) -> PortResult<Stored<Service>> {
        let body = NewServiceBody::from(service);
        let row = self.peer.written::<StoredBody<ServiceBody>>(call, Repeatable::Yes, |outward| {
            outward.request(Method::POST, outward.url([ROOM])).json(&body)
        });
        row.await.map(StoredBody::into_stored)
    }

    async fn get(&self, call: &Call, app: &AppName) -> PortResult<Option<Stored<Service>>> {
        let row = self.peer.read::<StoredBody<ServiceBody>>(call, Repeatable::Yes, |outward| {
            outward.request(Method::GET, outward.url([ROOM, app.as_str()]))
        });
        Ok(row.await?.map(StoredBody::into_stored))
    }

    async fn page(&self, call: &Call, query: &ServiceQuery) -> PortResult<ServicePage> {
        let mut parameters = vec![("limit", query.limit.clamp(1, ServiceQuery::MAX_LIMIT).to_string())];
        parameters.extend(query.tier.as_ref().map(|tier| ("tier", tier.to_string())));
        parameters.extend(query.after.as_ref().map(|after| ("cursor", Cursor::encode(after))));
        let body = self.peer.written::<ServicesBody>(call, Repeatable::Yes, |outward| {
            outward.request(Method::GET, outward.url([ROOM])).query(&parameters)
        });
        let body = body.await?;
        Ok(ServicePage {
            entries: body.services.into_iter().map(StoredBody::into_stored).collect(),
            next: Cursor::next(body.next_cursor)?,
        })
    }

    async fn change(&self, call: &Call, app: &AppName, change: ServiceChange) -> PortResult<Option<Stored<Service>>> {
        let repeated = change.repeated.clone();
        let body = with_repeated(&ServiceChangeBody::from(change), &repeated);
        let row = self.peer.read::<StoredBody<ServiceBody>>(call, Repeatable::Yes, |outward| {
            outward.request(Method::PUT, outward.url([ROOM, app.as_str()])).json(&body)
        });
        Ok(row.await?.map(StoredBody::into_stored))
    }

    async fn remove(&self, call: &Call, app: &AppName) -> PortResult<bool> {
        self.peer.remove(call, &[ROOM, app.as_str()]).await
    }
}
