//! Baselines kept by another Flamewarden, over its public routes.

use async_trait::async_trait;
use reqwest::Method;

use super::domain::{Baseline, BaselineChange, BaselinePage, BaselinePosition, BaselineQuery, NewBaseline};
use super::port::BaselineSor;
use super::wire::{BaselineBody, BaselineChangeBody, BaselinesBody, NewBaselineBody};
use crate::http::{Code, Cursor, Outward, Peer, Repeatable};
use crate::kernel::{PortError, PortResult, ProfileType, RowId};

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
    async fn set(&self, baseline: NewBaseline) -> PortResult<Baseline> {
        let body = NewBaselineBody::from(baseline);
        let row = self.peer.read::<BaselineBody>(Repeatable::Yes, |outward| {
            outward.request(Method::POST, outward.url(["baselines"])).json(&body)
        });
        row.await?.map(Baseline::from).ok_or_else(|| PortError::Unavailable("the answer has no row".to_owned()))
    }

    async fn page(&self, query: &BaselineQuery) -> PortResult<BaselinePage> {
        let mut parameters = vec![("limit", query.limit.clamp(1, BaselineQuery::MAX_LIMIT).to_string())];
        parameters.extend(query.after.as_ref().map(|after| ("cursor", Cursor::encode(after))));
        let path =
            ["baselines", query.app_name.as_str()].into_iter().chain(query.profile_type.map(ProfileType::as_str));
        let body = self.peer.read::<BaselinesBody>(Repeatable::Yes, |outward| {
            outward.request(Method::GET, outward.url(path.clone())).query(&parameters)
        });
        let Some(body) = body.await? else { return Ok(BaselinePage { entries: Vec::new(), next: None }) };
        let next = body.next_cursor.map(|text| text.parse::<Cursor<BaselinePosition>>()).transpose();
        let next = next.map_err(|error| PortError::Unavailable(format!("nextCursor {error}")))?;
        Ok(BaselinePage {
            entries: body.baselines.into_iter().map(Baseline::from).collect(),
            next: next.map(|cursor| cursor.0),
        })
    }

    async fn change(&self, id: RowId, change: BaselineChange) -> PortResult<Option<Baseline>> {
        let body = BaselineChangeBody { max_self_percent: change.max_self_percent, severity: change.severity };
        let row = self.peer.read::<BaselineBody>(Repeatable::Yes, |outward| {
            outward.request(Method::PUT, outward.url(["baselines", &id.get().to_string()])).json(&body)
        });
        Ok(row.await?.map(Baseline::from))
    }

    async fn remove(&self, id: RowId) -> PortResult<bool> {
        // Not repeated: the second try would find nothing and say that there was nothing.
        let done = self.peer.done(Repeatable::No, |outward| {
            outward.request(Method::DELETE, outward.url(["baselines", &id.get().to_string()]))
        });
        done.await
    }
}
