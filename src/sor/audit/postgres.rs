//! The audit log in PostgreSQL.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::domain::{
    AuditEntry, AuditHead, AuditMethod, AuditPage, AuditPosition, AuditQuery, AuditResult, AuditText, NewAuditEntry,
    Verification, VerifyLimit,
};
use super::port::AuditSor;
use crate::kernel::{AppName, Call, JsonObject, Page, PortError, PortResult, Text255};
use crate::storage::{Db, DbError, Repeat, begin};

/// Links that one statement verifies.
const PIECE: u32 = 10_000;

pub(super) struct PostgresAudit {
    db: Db,
}

impl PostgresAudit {
    pub(super) fn new(db: Db) -> Self {
        Self { db }
    }
}

struct Row {
    id: i64,
    at: DateTime<Utc>,
    user_id: Option<String>,
    action: String,
    resource_type: String,
    resource_id: Option<String>,
    app_name: Option<String>,
    project_id: Option<String>,
    result: String,
    access_method: String,
    times: i32,
    client_ip: Option<String>,
    user_agent: Option<String>,
    request_id: Option<String>,
    before: Option<Value>,
    after: Option<Value>,
    metadata: Option<Value>,
}

impl TryFrom<Row> for AuditEntry {
    type Error = PortError;

    fn try_from(row: Row) -> PortResult<Self> {
        let odd = || PortError::Internal(format!("core.audit_log: row {} is not what is written", row.id));
        Ok(Self {
            result: AuditResult::of_name(&row.result).ok_or_else(odd)?,
            access_method: AuditMethod::of_name(&row.access_method).ok_or_else(odd)?,
            client_ip: row.client_ip.as_ref().map(|ip| ip.parse().map_err(|_| odd())).transpose()?,
            id: row.id,
            at: row.at,
            user_id: row.user_id,
            action: row.action,
            resource_type: row.resource_type,
            resource_id: row.resource_id,
            app_name: row.app_name,
            project_id: row.project_id,
            times: row.times,
            user_agent: row.user_agent,
            request_id: row.request_id,
            before: row.before,
            after: row.after,
            metadata: row.metadata,
        })
    }
}

/// One piece of a verification.
struct Piece {
    checked: i64,
    last_seq: Option<i64>,
    first_broken_id: Option<i64>,
}

impl PostgresAudit {
    async fn verify_piece(&self, call: &Call, from_seq: i64, limit: u32) -> PortResult<Piece> {
        // A link before the first is in the chain, or its anchor, or there is none. Rows of months that were dropped are
        // gone, and rows that came late may have links after those of the months that stay.
        let piece = self.db.run(Repeat::Safe, move |connection| {
            Box::pin(async move {
                sqlx::query_as!(
                    Piece,
                    r#"WITH anchor AS (SELECT * FROM core.audit_anchor ORDER BY seq DESC LIMIT 1),
                            link AS (
                                SELECT c.*, coalesce(
                                    lag(c.hash) OVER (ORDER BY c.seq),
                                    (SELECT b.hash FROM core.audit_chain AS b WHERE b.seq = $1::bigint - 1),
                                    (SELECT hash FROM anchor), ''::bytea) AS previous
                                FROM core.audit_chain AS c WHERE c.seq >= $1 ORDER BY c.seq LIMIT $2
                            ),
                            checked AS (
                                SELECT link.seq, link.log_id,
                                       CASE WHEN l.id IS NULL
                                            THEN link.at >= coalesce((SELECT kept_from FROM anchor), '-infinity')
                                            ELSE core.audit_hash(link.previous, l) <> link.hash END AS broken
                                FROM link LEFT JOIN core.audit_log AS l ON l.id = link.log_id AND l.at = link.at
                            )
                       SELECT count(*) AS "checked!", max(seq) AS last_seq,
                              (array_agg(log_id ORDER BY seq) FILTER (WHERE broken))[1] AS first_broken_id
                       FROM checked"#,
                    from_seq,
                    i64::from(limit),
                )
                .fetch_one(connection)
                .await
            })
        });
        Ok(call.bound(piece).await?)
    }

    /// The last link, and how many rows have none.
    async fn ends(&self, call: &Call) -> PortResult<(Option<AuditHead>, i64)> {
        let ends = self.db.run(Repeat::Safe, |connection| {
            Box::pin(async move {
                let head = sqlx::query_as!(
                    AuditHead,
                    r#"SELECT seq AS "seq!", encode(hash, 'hex') AS "hash!", at AS "at!" FROM (
                           SELECT seq, hash, at FROM core.audit_chain
                           UNION ALL SELECT seq, hash, kept_from FROM core.audit_anchor WHERE seq > 0
                       ) AS links ORDER BY seq DESC LIMIT 1"#,
                )
                .fetch_optional(&mut *connection)
                .await?;
                let count = "SELECT count(*) FROM core.audit_unchained('1 hour')";
                Ok((head, sqlx::query_scalar(count).fetch_one(connection).await?))
            })
        });
        Ok(call.bound(ends).await?)
    }
}

#[async_trait]
impl AuditSor for PostgresAudit {
    async fn append(&self, call: &Call, entries: Vec<NewAuditEntry>) -> PortResult<()> {
        let entries: Arc<[NewAuditEntry]> = entries.into();
        let done = self.db.run(Repeat::Unsafe, move |connection| {
            let entries = Arc::clone(&entries);
            Box::pin(async move {
                let mut transaction = begin(connection).await?;
                for entry in &*entries {
                    let acting = json!({
                        "actor": entry.user_id, "method": entry.access_method, "client": entry.client_ip,
                        "agent": entry.user_agent, "request": entry.request_id,
                    });
                    sqlx::query!(
                        "SELECT core.audit_append($1, $2, $3, metadata => $4, result => $5, times => $6, acting => $7)",
                        entry.action.as_str(),
                        entry.resource_type.as_str(),
                        entry.resource_id.as_ref().map(AuditText::as_str),
                        entry.metadata.as_ref().map(JsonObject::as_value),
                        entry.result.as_str(),
                        entry.times,
                        acting,
                    )
                    .fetch_one(&mut *transaction)
                    .await?;
                }
                transaction.commit().await
            })
        });
        call.bound(done).await.map_err(|error| match error {
            DbError::Constraint(name) => PortError::Invalid(format!("{name} refuses an entry")),
            DbError::Port(error) => error,
        })
    }

    async fn page(&self, call: &Call, query: &AuditQuery) -> PortResult<AuditPage> {
        let limit = query.limit.clamp(1, AuditQuery::MAX_LIMIT);
        let query = query.clone();
        let rows = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let query = query.clone();
            Box::pin(async move {
                let projects: Option<Vec<String>> =
                    query.projects.map(|all| all.iter().map(|one| Text255::as_str(one).to_owned()).collect());
                sqlx::query_as!(
                    Row,
                    r#"SELECT l.id, l.at, u.name AS user_id, l.action, l.resource_type, l.resource_id, l.app_name,
                              l.project_id, l.result, l.access_method, l.times, host(l.client_ip) AS client_ip,
                              l.user_agent, l.request_id, l.before, l.after, l.metadata
                       FROM core.audit_log AS l JOIN core.audit_user AS u ON u.id = l.user_ref
                       WHERE ($1::text IS NULL OR l.user_ref = (SELECT one.id FROM core.audit_user AS one WHERE one.name = $1))
                         AND ($2::text IS NULL OR l.action = $2) AND ($3::text IS NULL OR l.resource_type = $3)
                         AND ($4::text IS NULL OR l.resource_id = $4) AND ($5::text IS NULL OR l.app_name = $5)
                         AND ($6::text[] IS NULL OR l.project_id = ANY ($6)) AND ($7::text IS NULL OR l.result = $7)
                         AND l.at >= coalesce($8, '-infinity'::timestamptz)
                         AND l.at < coalesce($9, 'infinity'::timestamptz)
                         AND ($10::bigint IS NULL OR l.id < $10)
                       ORDER BY l.id DESC
                       LIMIT $11"#,
                    query.user.as_ref().map(AuditText::as_str),
                    query.action.as_ref().map(AuditText::as_str),
                    query.resource_type.as_ref().map(AuditText::as_str),
                    query.resource_id.as_ref().map(AuditText::as_str),
                    query.app.as_ref().map(AppName::as_str),
                    projects.as_deref(),
                    query.result.map(AuditResult::as_str),
                    query.from,
                    query.to,
                    query.after.map(|after| after.0),
                    i64::from(limit) + 1,
                )
                .fetch_all(connection)
                .await
            })
        }));
        let Page { entries, next } = Page::cut(rows.await?, limit.into(), |row: &Row| AuditPosition(row.id));
        Ok(Page { entries: entries.into_iter().map(AuditEntry::try_from).collect::<PortResult<_>>()?, next })
    }

    async fn verify(&self, call: &Call, from_seq: Option<i64>, limit: VerifyLimit) -> PortResult<Verification> {
        let (mut next, mut left) = (from_seq.unwrap_or(1).max(1), limit.get());
        let (mut checked_rows, mut first_broken_id) = (0, None);
        while left > 0 {
            let size = left.min(PIECE);
            let piece = self.verify_piece(call, next, size).await?;
            let checked = u32::try_from(piece.checked).unwrap_or(size);
            checked_rows += u64::from(checked);
            first_broken_id = first_broken_id.or(piece.first_broken_id);
            next = piece.last_seq.map_or(next, |last| last + 1);
            left -= checked.min(left);
            if checked < size {
                break;
            }
        }
        let (head, unchained) = self.ends(call).await?;
        Ok(Verification {
            ok: first_broken_id.is_none(),
            checked_rows,
            first_broken_id,
            unchained: unchained.unsigned_abs(),
            next_seq: head.as_ref().filter(|head| next <= head.seq).map(|_| next),
            head,
        })
    }
}
