//! Baselines kept by another Flamewarden, over its public routes.

use async_trait::async_trait;
use reqwest::Method;

use super::domain::{Baseline, BaselineChange, BaselinePage, BaselineQuery, NewBaseline};
use super::port::BaselineSor;
use super::wire::{BaselineBody, BaselineChangeBody, BaselinesBody, NewBaselineBody};
use crate::http::{Code, Cursor, Outward, Peer, Repeatable, StoredBody, with_repeated};
use crate::kernel::{Call, PortResult, ProfileType, RowId, Stored};

pub(super) struct RemoteBaselines {
    peer: Peer,
}

impl RemoteBaselines {
    pub(super) fn new(outward: Outward) -> Self {
        Self { peer: Peer::new(outward, Code::BaselineUnknown) }
    }
}

#[async_trait]
impl BaselineSor for RemoteBaselines {
    async fn set(&self, call: &Call, baseline: NewBaseline) -> PortResult<Stored<Baseline>> {
        let body = NewBaselineBody::from(baseline);
        let row = self.peer.written::<StoredBody<BaselineBody>>(call, Repeatable::Yes, |outward| {
            outward.request(Method::POST, outward.url(["baselines"])).json(&body)
        });
        row.await.map(StoredBody::into_stored)
    }

    async fn page(&self, call: &Call, query: &BaselineQuery) -> PortResult<BaselinePage> {
        let mut parameters = vec![("limit", query.limit.clamp(1, BaselineQuery::MAX_LIMIT).to_string())];
        parameters.extend(query.after.as_ref().map(|after| ("cursor", Cursor::encode(after))));
        let mut path = vec!["baselines"];
        match (&query.app_name, query.profile_type) {
            (Some(app), kind) => path.extend([Some(app.as_str()), kind.map(ProfileType::as_str)].into_iter().flatten()),
            (None, kind) => parameters.extend(kind.map(|kind| ("type", kind.to_string()))),
        }
        let body = self.peer.written::<BaselinesBody>(call, Repeatable::Yes, |outward| {
            outward.request(Method::GET, outward.url(path.iter().copied())).query(&parameters)
        });
        let body = body.await?;
        Ok(BaselinePage {
            entries: body.baselines.into_iter().map(StoredBody::into_stored).collect(),
            next: Cursor::next(body.next_cursor)?,
        })
    }

    async fn change(&self, call: &Call, id: RowId, change: BaselineChange) -> PortResult<Option<Stored<Baseline>>> {
        let repeated = change.repeated.clone();
        let body = with_repeated(&BaselineChangeBody::from(change), &repeated);
        let row = self.peer.read::<StoredBody<BaselineBody>>(call, Repeatable::Yes, |outward| {
            outward.request(Method::PUT, outward.url(["baselines", &id.get().to_string()])).json(&body)
        });
        Ok(row.await?.map(StoredBody::into_stored))
    }

    async fn remove(&self, call: &Call, id: RowId) -> PortResult<bool> {
        self.peer.remove(call, &["baselines", &id.get().to_string()]).await
    }
}
