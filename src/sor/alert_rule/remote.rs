//! Alert rules kept by another Flamewarden, over its public routes.

use async_trait::async_trait;
use reqwest::Method;

use super::conditions::InvalidRule;
use super::domain::{AlertRule, NewRule, RuleChange, RulePage, RuleQuery, Which};
use super::port::AlertRuleSor;
use super::wire::{NewRuleBody, RuleBody, RuleChangeBody, RulesBody};
use crate::http::{Code, Cursor, Outward, Peer, Repeatable, StoredBody, with_repeated};
use crate::kernel::{Call, PortError, PortResult, RowId, Stored};

/// The first segment of its paths.
const ROOM: &str = "rules";

pub(super) struct RemoteRules {
    peer: Peer,
}

impl RemoteRules {
    pub(super) fn new(outward: Outward) -> Self {
        Self { peer: Peer::new(outward, Code::RuleUnknown) }
    }
}

#[async_trait]
impl AlertRuleSor for RemoteRules {
    async fn create(&self, call: &Call, rule: NewRule) -> PortResult<AlertRule> {
        let body = NewRuleBody::from(rule);
        // The same again would be another rule.
        let row = self.peer.written::<RuleBody>(call, Repeatable::No, |outward| {
            outward.request(Method::POST, outward.url([ROOM])).json(&body)
        });
        row.await?.try_into().map_err(|why: InvalidRule| PortError::Unavailable(format!("/{}: {why}", why.member())))
    }

    async fn get(&self, call: &Call, id: RowId) -> PortResult<Option<Stored<AlertRule>>> {
        let row = self.peer.read::<StoredBody<RuleBody>>(call, Repeatable::Yes, |outward| {
            outward.request(Method::GET, outward.url([ROOM, &id.get().to_string()]))
        });
        row.await?.map(StoredBody::try_into_stored).transpose()
    }

    async fn page(&self, call: &Call, query: &RuleQuery) -> PortResult<RulePage> {
        let mut parameters = vec![("limit", query.limit.clamp(1, RuleQuery::MAX_LIMIT).to_string())];
        let mut path = vec![ROOM];
        match &query.which {
            Which::All => {}
            Which::Of(app) => parameters.push(("appName", app.to_string())),
            Which::Active(app) => path.extend(["active", app.as_str()]),
        }
        parameters.extend(query.after.as_ref().map(|after| ("cursor", Cursor::encode(after))));
        let body = self.peer.written::<RulesBody>(call, Repeatable::Yes, |outward| {
            outward.request(Method::GET, outward.url(path.iter().copied())).query(&parameters)
        });
        let body = body.await?;
        Ok(RulePage {
            entries: body.rules.into_iter().map(StoredBody::try_into_stored).collect::<PortResult<_>>()?,
            next: Cursor::next(body.next_cursor)?,
        })
    }

    async fn change(&self, call: &Call, id: RowId, change: RuleChange) -> PortResult<Option<Stored<AlertRule>>> {
        let repeated = change.repeated.clone();
        let body = with_repeated(&RuleChangeBody::from(change), &repeated);
        let row = self.peer.read::<StoredBody<RuleBody>>(call, Repeatable::Yes, |outward| {
            outward.request(Method::PUT, outward.url([ROOM, &id.get().to_string()])).json(&body)
        });
        row.await?.map(StoredBody::try_into_stored).transpose()
    }

    async fn remove(&self, call: &Call, id: RowId) -> PortResult<bool> {
        self.peer.remove(call, &[ROOM, &id.get().to_string()]).await
    }
}
