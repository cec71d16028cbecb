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
        let path =
            ["baselines", query.app_name.as_str()].into_iter().chain(query.profile_type.map(ProfileType::as_str));
        let body = self.peer.written::<BaselinesBody>(call, Repeatable::Yes, |outward| {
            outward.request(Method::GET, outward.url(path.clone())).query(&parameters)
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
