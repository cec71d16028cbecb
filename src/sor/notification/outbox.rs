//! The outbox as the courier sees it. A claim holds by the clock of the database.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::postgres::types::PgInterval;

use super::channels::ChannelName;
use super::domain::Message;
use super::rows::{Row, broken};
use crate::kernel::{Call, PortResult, RowId};
use crate::storage::{Db, Repeat, begin};

/// Messages of one turn.
const AT_ONCE: i32 = 50;
/// How long a claim holds.
const CLAIMED_FOR: Duration = Duration::from_mins(1);
/// How long a message may wait.
const GIVEN_UP_AFTER: Duration = Duration::from_hours(24);
/// For how long the incident of a channel stays open after the last message that was given up.
const QUIET_SECONDS: i32 = 3_600;
/// Days that settled messages are kept.
const KEPT_DAYS: i32 = 30;

/// The messages of a channel that one process delivers.
#[derive(Debug)]
pub(super) struct Claim {
    /// The channel.
    pub(super) channel: ChannelName,
    /// Until when no other process delivers to it.
    busy_until: DateTime<Utc>,
    /// How often it failed in a row.
    pub(super) failures: u32,
    /// The messages, the oldest first, and whether they have waited for a day.
    pub(super) messages: Vec<(Message, bool)>,
}

/// What became of a claim.
#[derive(Debug)]
pub(super) struct Settlement {
    /// The channel took something, or had nothing to take.
    pub(super) works: bool,
    /// It may take the same later.
    pub(super) later: bool,
    /// What it took.
    pub(super) delivered: Vec<RowId>,
    /// What is given up.
    pub(super) dead: Vec<RowId>,
    /// What was sent and waits.
    pub(super) waiting: Vec<RowId>,
    /// What went wrong.
    pub(super) error: Option<String>,
    /// How long the channel pauses.
    pub(super) next_in: Duration,
}

/// Messages and how their channels do.
#[derive(Debug, Clone)]
pub(super) struct Outbox {
    pub(super) db: Db,
}

struct Claimed {
    name: String,
    busy_until: DateTime<Utc>,
    failures: i32,
    sending: Vec<i32>,
}

fn interval(duration: Duration) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: duration.as_micros().try_into().unwrap_or(i64::MAX) }
}

fn numbers(ids: &[RowId]) -> Vec<i32> {
    ids.iter().map(|id| id.get()).collect()
}

impl Outbox {
    pub(super) fn new(db: Db) -> Self {
        Self { db }
    }

    /// Claims every channel that messages wait for and nobody else delivers to, and says how many messages wait in all.
    /// What a process claimed that did not say how it went is claimed together once more.
    pub(super) async fn claim(&self, call: &Call) -> PortResult<(Vec<Claim>, i64)> {
        let found = call.bound(self.db.run(Repeat::Safe, |connection| {
            Box::pin(async move {
                let mut transaction = begin(connection).await?;
                let claimed = sqlx::query_as!(
                    Claimed,
                    r#"WITH due AS (
                           SELECT s.name FROM core.channel_state AS s
                           WHERE coalesce(s.busy_until, '-infinity') <= clock_timestamp() AND s.next_at <= clock_timestamp()
                             AND EXISTS (SELECT FROM core.message AS m WHERE m.channel = s.name AND m.state = 'pending')
                           FOR UPDATE OF s SKIP LOCKED
                       )
                       UPDATE core.channel_state AS s
                       SET busy_until = clock_timestamp() + $1,
                           sending = coalesce(
                               (SELECT array_agg(m.id ORDER BY m.id) FROM core.message AS m
                                WHERE m.id = ANY (s.sending) AND m.state = 'pending'),
                               (SELECT array_agg(m.id ORDER BY m.id) FROM (
                                    SELECT id FROM core.message WHERE channel = s.name AND state = 'pending'
                                    ORDER BY id LIMIT $2) AS m))
                       FROM due WHERE s.name = due.name
                       RETURNING s.name, s.busy_until AS "busy_until!", s.failures,
                                 coalesce(s.sending, '{}') AS "sending!""#,
                    interval(CLAIMED_FOR),
                    i64::from(AT_ONCE),
                )
                .fetch_all(&mut *transaction)
                .await?;
                let ids: Vec<i32> = claimed.iter().flat_map(|claimed| claimed.sending.iter().copied()).collect();
                let rows = sqlx::query_as!(
                    Row,
                    "SELECT id, key, channel, incident_id, body, state, attempts, last_error, created_at, settled_at
                     FROM core.message WHERE id = ANY ($1) ORDER BY id",
                    &ids,
                )
                .fetch_all(&mut *transaction)
                .await?;
                let counted = sqlx::query!(
                    r#"SELECT count(*) AS "pending!", clock_timestamp() AS "now!" FROM core.message WHERE state = 'pending'"#,
                )
                .fetch_one(&mut *transaction)
                .await?;
                transaction.commit().await?;
                Ok((claimed, rows, counted.pending, counted.now))
            })
        }));
        let (claimed, rows, pending, now) = found.await?;
        let mut claims = Vec::with_capacity(claimed.len());
        for Claimed { name, busy_until, failures, .. } in claimed {
            let channel = name.parse().map_err(broken)?;
            claims.push(Claim { channel, busy_until, failures: failures.unsigned_abs(), messages: Vec::new() });
        }
        for row in rows {
            let message = Message::try_from(row)?;
            let old = message.created_at + GIVEN_UP_AFTER <= now;
            if let Some(claim) = claims.iter_mut().find(|claim| claim.channel == message.channel) {
                claim.messages.push((message, old));
            }
        }
        Ok((claims, pending))
    }

    /// Keeps what became of a claim. What is given up opens the incident of the channel. Nothing is changed where another
    /// process has claimed the channel since.
    pub(super) async fn settle(&self, call: &Call, claim: Claim, settlement: Settlement) -> PortResult<()> {
        let (claim, settlement) = (Arc::new(claim), Arc::new(settlement));
        let (of, what) = (Arc::clone(&claim), Arc::clone(&settlement));
        let done = call.bound(self.db.run(Repeat::Unsafe, move |connection| {
            let (claim, settlement) = (Arc::clone(&of), Arc::clone(&what));
            Box::pin(async move {
                let (delivered, dead) = (numbers(&settlement.delivered), numbers(&settlement.dead));
                let sent = [&delivered[..], &dead, &numbers(&settlement.waiting)].concat();
                let (name, error) = (claim.channel.as_str(), settlement.error.as_deref());
                let mut transaction = begin(connection).await?;
                let held = sqlx::query!(
                    "UPDATE core.channel_state
                     SET busy_until = NULL, sending = CASE WHEN $4 THEN sending END,
                         next_at = clock_timestamp() + $6,
                         failures = CASE WHEN $4 THEN failures + 1 ELSE 0 END,
                         failing_since = CASE WHEN $3 THEN NULL ELSE coalesce(failing_since, clock_timestamp()) END,
                         last_ok_at = CASE WHEN cardinality($7::integer[]) > 0 THEN clock_timestamp() ELSE last_ok_at END,
                         last_error = CASE WHEN $3 THEN NULL ELSE $5 END
                     WHERE name = $1 AND busy_until = $2",
                    name,
                    claim.busy_until,
                    settlement.works,
                    settlement.later,
                    error,
                    interval(settlement.next_in),
                    &delivered,
                )
                .execute(&mut *transaction)
                .await?;
                if held.rows_affected() == 0 {
                    transaction.rollback().await?;
                    return Ok(false);
                }
                sqlx::query!(
                    "UPDATE core.message
                     SET attempts = attempts + 1,
                         last_error = CASE WHEN id = ANY ($2) THEN NULL ELSE $4 END,
                         state = CASE WHEN id = ANY ($2) THEN 'delivered' WHEN id = ANY ($3) THEN 'dead' ELSE state END,
                         settled_at = CASE WHEN id = ANY ($2) OR id = ANY ($3) THEN clock_timestamp() END
                     WHERE id = ANY ($1) AND state = 'pending'",
                    &sent,
                    &delivered,
                    &dead,
                    error,
                )
                .execute(&mut *transaction)
                .await?;
                if !dead.is_empty() {
                    let error = error.unwrap_or("it is not known why");
                    let headline = format!("channel {name} does not take messages: {error}");
                    sqlx::query!(
                        "SELECT id FROM core.incident_observe(
                             fingerprint => $1, source => 'system', severity => 'critical', title => $2, detail => $3,
                             quiet_seconds => $4,
                             occurrences => (SELECT count(*) FROM core.message WHERE channel = $5 AND state = 'dead'))",
                        format!("system/channel/{name}"),
                        format!("channel {name} does not take messages"),
                        json!({"channel": name, "error": error, "headline": headline}),
                        QUIET_SECONDS,
                        name,
                    )
                    .fetch_one(&mut *transaction)
                    .await?;
                }
                transaction.commit().await?;
                Ok(true)
            })
        }));
        if !done.await? {
            tracing::warn!(channel = %claim.channel, "another process has delivered to this channel meanwhile");
            return Ok(());
        }
        let Settlement { delivered, dead, waiting, error, .. } = &*settlement;
        for (outcome, ids) in [("delivered", delivered), ("dead", dead), ("retried", waiting)] {
            let count = u64::try_from(ids.len()).unwrap_or(u64::MAX);
            let channel = claim.channel.to_string();
            metrics::counter!("notifications_total", "channel" => channel, "outcome" => outcome).increment(count);
        }
        if let Some(error) = error {
            let (dead, waiting) = (dead.len(), waiting.len());
            tracing::warn!(channel = %claim.channel, error, dead, waiting, "messages were not delivered");
        }
        Ok(())
    }

    /// How delivery does, for the check of health: which channels take nothing for so long, how many messages were given up
    /// in the last day, and how many wait.
    pub(super) async fn trouble(&self, call: &Call, failing_for: Duration) -> PortResult<(Vec<String>, i64, i64)> {
        let found = call.bound(self.db.run(Repeat::Safe, move |connection| {
            Box::pin(async move {
                sqlx::query!(
                    r#"SELECT coalesce((SELECT array_agg(s.name ORDER BY s.name COLLATE "C") FROM core.channel_state AS s
                                        WHERE s.failing_since <= clock_timestamp() - $1::interval), '{}') AS "failing!",
                              count(*) FILTER (WHERE m.state = 'dead' AND m.settled_at > clock_timestamp() - $2::interval) AS "dead!",
                              count(*) FILTER (WHERE m.state = 'pending') AS "pending!"
                       FROM core.message AS m WHERE m.state IN ('dead', 'pending')"#,
                    interval(failing_for),
                    interval(GIVEN_UP_AFTER),
                )
                .fetch_one(connection)
                .await
            })
        }));
        let found = found.await?;
        Ok((found.failing, found.dead, found.pending))
    }

    /// Removes what was settled 30 days ago.
    pub(super) async fn tidy(&self, call: &Call) -> PortResult<u64> {
        let done = call.bound(self.db.run(Repeat::Safe, |connection| {
            Box::pin(async move {
                let mut transaction = begin(connection).await?;
                sqlx::query!(
                    "DELETE FROM core.channel_unresolved WHERE meant_at < clock_timestamp() - make_interval(days => $1)",
                    KEPT_DAYS,
                )
                .execute(&mut *transaction)
                .await?;
                let removed = sqlx::query!(
                    "DELETE FROM core.message WHERE settled_at < clock_timestamp() - make_interval(days => $1)",
                    KEPT_DAYS,
                )
                .execute(&mut *transaction)
                .await?;
                transaction.commit().await?;
                Ok(removed)
            })
        }));
        Ok(done.await?.rows_affected())
    }
}
