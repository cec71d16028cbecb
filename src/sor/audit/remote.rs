//! The audit log of another Flamewarden.

use async_trait::async_trait;
use chrono::SecondsFormat;
use reqwest::Method;

use super::domain::{AuditPage, AuditQuery, NewAuditEntry, Verification, VerifyLimit};
use super::port::AuditSor;
use super::wire::{AppendedBody, AuditLogBody, NewAuditEntriesBody};
use crate::http::{Code, Cursor, Outward, Peer, Repeatable};
use crate::kernel::{AppName, Call, PortResult, Text255};

pub(super) struct RemoteAudit {
    peer: Peer,
}

impl RemoteAudit {
    pub(super) fn new(outward: Outward) -> Self {
        Self { peer: Peer::new(outward, Code::RouteUnknown) }
    }
}

fn parameters(query: &AuditQuery) -> Vec<(&'static str, String)> {
    let time = |time: chrono::DateTime<chrono::Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let projects = query.projects.as_ref().map(|all| all.iter().map(Text255::as_str).collect::<Vec<_>>().join(","));
    let given = [
        ("userId", query.user.as_ref().map(ToString::to_string)),
        ("action", query.action.as_ref().map(ToString::to_string)),
        ("resourceType", query.resource_type.as_ref().map(ToString::to_string)),
        ("resourceId", query.resource_id.as_ref().map(ToString::to_string)),
        ("appName", query.app.as_ref().map(AppName::to_string)),
        ("project", projects),
        ("result", query.result.map(|result| result.as_str().to_owned())),
        ("from", query.from.map(time)),
        ("to", query.to.map(time)),
        ("limit", Some(query.limit.clamp(1, AuditQuery::MAX_LIMIT).to_string())),
        ("cursor", query.after.as_ref().map(Cursor::encode)),
    ];
    given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

#[async_trait]
impl AuditSor for RemoteAudit {
    async fn append(&self, call: &Call, entries: Vec<NewAuditEntry>) -> PortResult<()> {
        let body = NewAuditEntriesBody { entries };
        let appended = self.peer.written::<AppendedBody>(call, Repeatable::No, |outward| {
            outward.request(Method::POST, outward.url(["core", "audit", "append"])).json(&body)
        });
        appended.await.map(drop)
    }

    async fn page(&self, call: &Call, query: &AuditQuery) -> PortResult<AuditPage> {
        if query.projects.as_ref().is_some_and(Vec::is_empty) {
            return Ok(AuditPage::empty());
        }
        let parameters = parameters(query);
        let body = self.peer.written::<AuditLogBody>(call, Repeatable::Yes, |outward| {
            outward.request(Method::GET, outward.url(["audit"])).query(&parameters)
        });
        let body = body.await?;
        Ok(AuditPage { entries: body.entries, next: Cursor::next(body.next_cursor)? })
    }

    async fn verify(&self, call: &Call, from_seq: Option<i64>, limit: VerifyLimit) -> PortResult<Verification> {
        let mut parameters = vec![("limit", limit.get().to_string())];
        parameters.extend(from_seq.map(|seq| ("fromSeq", seq.max(1).to_string())));
        let verified = self.peer.written(call, Repeatable::Yes, |outward| {
            outward.request(Method::GET, outward.url(["audit", "verify"])).query(&parameters)
        });
        verified.await
    }
}
