//! Messages in PostgreSQL. The channels are those of the settings of this process.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::channels::{Channel, ChannelName, ChannelSet, Resolved, resolve};
use super::courier::{NotificationParts, Sent};
use super::domain::{
    ChannelList, ChannelState, ChannelStatus, Enqueued, Message, MessageBody, MessagePage, MessagePosition,
    MessageQuery, MessageState, MirroredAlert, NewMessage, NoticeEvent, TestDelivery,
};
use super::port::NotificationSor;
use super::render::trial;
use super::rows::{Row, broken};
use super::send;
use crate::http::{Answer, NoAnswer};
use crate::kernel::{Call, Page, PortError, PortResult, RowId, Text255};
use crate::storage::{Db, DbError, Repeat, begin};

pub(super) struct PostgresNotification {
    db: Db,
    parts: NotificationParts,
}

impl PostgresNotification {
    pub(super) fn new(db: Db, parts: NotificationParts) -> Self {
        Self { db, parts }
    }
}

/// A message with its channel, ready to be inserted.
struct Addressed {
    key: String,
    channel: ChannelName,
    incident_id: i32,
    body: Value,
}

struct StateRow {
    name: String,
    failing_since: Option<DateTime<Utc>>,
    last_ok_at: Option<DateTime<Utc>>,
    last_error: Option<String>,
    pending: i64,
}

fn meant(set: &ChannelSet, message: &NewMessage) -> Resolved {
    let candidates: Vec<_> =
        set.channels.iter().map(|channel| (&channel.name, channel.kind, &channel.globs[..])).collect();
    resolve(message.meant_for.iter().map(Text255::as_str), &candidates, set.default.as_ref())
}

/// The channel as it is answered.
fn status(channel: &Channel, row: Option<&StateRow>) -> ChannelStatus {
    let used = row.filter(|row| row.failing_since.is_some() || row.last_ok_at.is_some());
    ChannelStatus {
        name: channel.name.clone(),
        kind: channel.kind,
        globs: channel.globs.clone(),
        state: match used {
            None => ChannelState::Unused,
            Some(row) if row.failing_since.is_some() => ChannelState::Failing,
            Some(_) => ChannelState::Ok,
        },
        failing_since: row.and_then(|row| row.failing_since),
        last_ok_at: row.and_then(|row| row.last_ok_at),
        last_error: row.and_then(|row| row.last_error.clone()),
        pending: row.map_or(0, |row| row.pending),
    }
}

#[async_trait]
impl NotificationSor for PostgresNotification {
    async fn enqueue(&self, call: &Call, messages: Vec<NewMessage>) -> PortResult<Vec<Enqueued>> {
        let set = self.parts.channels.now();
        let (mut answers, mut addressed, mut unresolved) = (Vec::new(), Vec::new(), Vec::new());
        for message in messages {
            message.check()?;
            let meant = meant(&set, &message);
            unresolved.extend(meant.unresolved.iter().cloned());
            answers.push(Enqueued {
                channel: meant.channel.as_ref().map(ToString::to_string),
                unresolved: meant.unresolved.clone(),
            });
            if let Some(channel) = meant.channel {
                let body = MessageBody { notice: message.notice, unresolved: meant.unresolved };
                let body = serde_json::to_value(body).map_err(broken)?;
                let (key, incident_id) = (message.key.as_str().to_owned(), message.incident_id.get());
                addressed.push(Addressed { key, channel, incident_id, body });
            }
        }
        unresolved.sort();
        unresolved.dedup();
        self.insert(call, addressed, unresolved).await?;
        self.parts.wake.notify_one();
        Ok(answers)
    }

    async fn mirror(&self, call: &Call, alerts: Vec<MirroredAlert>) -> PortResult<()> {
        let set = self.parts.channels.now();
        let sent = set.mirrors().map(|channel| async {
            let answer = send::mirror(call, channel, &alerts).await.transpose()?;
            let why = match Sent::of(channel.kind, &answer, self.parts.clock.now()) {
                Sent::Accepted => return None,
                Sent::Later { why, .. } | Sent::Refused { why } => why,
            };
            Some(format!("channel {}: {why}", channel.name))
        });
        let failed: Vec<_> = futures::future::join_all(sent).await.into_iter().flatten().collect();
        if failed.is_empty() { Ok(()) } else { Err(PortError::Unavailable(failed.join("; "))) }
    }

    async fn page(&self, call: &Call, query: &MessageQuery) -> PortResult<MessagePage> {
        let limit = query.limit.clamp(1, MessageQuery::MAX_LIMIT);
        let query = query.clone();
        let rows = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let query = query.clone();
            Box::pin(async move {
                sqlx::query_as!(
                    Row,
                    "SELECT id, key, channel, incident_id, body, state, attempts, last_error, created_at, settled_at
                     FROM core.message
                     WHERE ($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR channel = $2)
                       AND ($3::integer IS NULL OR incident_id = $3) AND ($4::integer IS NULL OR id < $4)
                     ORDER BY id DESC LIMIT $5",
                    query.state.map(MessageState::as_str),
                    query.channel.as_ref().map(ChannelName::as_str),
                    query.incident_id.map(RowId::get),
                    query.after.map(|after| after.0),
                    i64::from(limit) + 1,
                )
                .fetch_all(connection)
                .await
            })
        }));
        let Page { entries, next } = Page::cut(rows.await?, limit.into(), |row: &Row| MessagePosition(row.id));
        Ok(Page { entries: entries.into_iter().map(Message::try_from).collect::<PortResult<_>>()?, next })
    }

    async fn retry(&self, call: &Call, id: RowId) -> PortResult<Option<Message>> {
        let done = call.bound(self.db.run(Repeat::Unsafe, move |connection| {
            Box::pin(async move {
                let mut transaction = begin(connection).await?;
                let row = sqlx::query_as!(
                    Row,
                    "UPDATE core.message SET state = 'pending', settled_at = NULL WHERE id = $1 AND state = 'dead'
                     RETURNING id, key, channel, incident_id, body, state, attempts, last_error, created_at, settled_at",
                    id.get(),
                )
                .fetch_optional(&mut *transaction)
                .await?;
                let state = match &row {
                    Some(row) => {
                        sqlx::query!(
                            "UPDATE core.channel_state SET next_at = clock_timestamp() WHERE name = $1",
                            row.channel
                        )
                        .execute(&mut *transaction)
                        .await?;
                        None
                    }
                    None => {
                        sqlx::query_scalar!("SELECT state FROM core.message WHERE id = $1", id.get())
                            .fetch_optional(&mut *transaction)
                            .await?
                    }
                };
                transaction.commit().await?;
                Ok((row, state))
            })
        }));
        let (row, state) = done.await.map_err(|error| match error {
            DbError::Constraint(name) if name == "core_message_pending_key" => {
                PortError::Conflict("a newer message about the same incident waits for the same channel".to_owned())
            }
            error => error.into(),
        })?;
        if let Some(state) = state {
            return Err(PortError::Conflict(format!("the notification is {state}; only a dead one is sent again")));
        }
        let message = row.map(Message::try_from).transpose()?;
        if message.is_some() {
            self.parts.wake.notify_one();
        }
        Ok(message)
    }

    async fn channels(&self, call: &Call) -> PortResult<ChannelList> {
        let rows = call.bound(self.db.run(Repeat::Safe, |connection| {
            Box::pin(async move {
                let mut transaction = begin(connection).await?;
                let states = sqlx::query_as!(
                    StateRow,
                    r#"SELECT s.name, s.failing_since, s.last_ok_at, s.last_error,
                              (SELECT count(*) FROM core.message AS m
                               WHERE m.channel = s.name AND m.state = 'pending') AS "pending!"
                       FROM core.channel_state AS s"#,
                )
                .fetch_all(&mut *transaction)
                .await?;
                let unresolved = sqlx::query_scalar!(
                    r#"SELECT name FROM core.channel_unresolved
                       WHERE meant_at > clock_timestamp() - interval '30 days' ORDER BY name COLLATE "C""#,
                )
                .fetch_all(&mut *transaction)
                .await?;
                transaction.commit().await?;
                Ok((states, unresolved))
            })
        }));
        let (states, mut unresolved) = rows.await?;
        let set = self.parts.channels.now();
        let candidates: Vec<_> =
            set.channels.iter().map(|channel| (&channel.name, channel.kind, &channel.globs[..])).collect();
        // It may have been defined since.
        unresolved.retain(|name| resolve([name.as_str()], &candidates, None).channel.is_none());
        let row = |channel: &Channel| states.iter().find(|row| row.name == channel.name.as_str());
        Ok(ChannelList {
            default: set.default.clone(),
            channels: set.channels.iter().map(|channel| status(channel, row(channel))).collect(),
            unresolved,
        })
    }

    async fn test(&self, call: &Call, channel: &ChannelName) -> PortResult<Option<TestDelivery>> {
        let set = self.parts.channels.now();
        let Some(channel) = set.get(channel) else { return Ok(None) };
        let answer = self.try_out(call, channel).await?;
        let error = match Sent::of(channel.kind, &answer, self.parts.clock.now()) {
            Sent::Accepted => None,
            Sent::Later { why, .. } | Sent::Refused { why } => Some(why),
        };
        let status = answer.ok().map(|answer| answer.status.as_u16());
        Ok(Some(TestDelivery { delivered: error.is_none(), status, error }))
    }
}

impl PostgresNotification {
    async fn insert(&self, call: &Call, addressed: Vec<Addressed>, unresolved: Vec<String>) -> PortResult<()> {
        let mut channels: Vec<_> = addressed.iter().map(|message| message.channel.as_str().to_owned()).collect();
        // All writers lock channels in the same order.
        channels.sort();
        channels.dedup();
        let given = Arc::new((addressed, channels, unresolved));
        let done = self.db.run(Repeat::Safe, move |connection| {
            let given = Arc::clone(&given);
            Box::pin(async move {
                let (addressed, channels, unresolved) = &*given;
                let mut transaction = begin(connection).await?;
                sqlx::query!(
                    "INSERT INTO core.channel_unresolved AS u (name, meant_at)
                     SELECT name, clock_timestamp() FROM unnest($1::text[]) AS name ORDER BY name
                     ON CONFLICT (name) DO UPDATE SET meant_at = excluded.meant_at",
                    &unresolved[..],
                )
                .execute(&mut *transaction)
                .await?;
                for channel in channels {
                    sqlx::query!(
                        "INSERT INTO core.channel_state (name) VALUES ($1)
                         ON CONFLICT (name) DO UPDATE SET name = excluded.name",
                        channel,
                    )
                    .execute(&mut *transaction)
                    .await?;
                }
                for Addressed { key, channel, incident_id, body } in addressed {
                    sqlx::query!(
                        "UPDATE core.message SET state = 'superseded', settled_at = clock_timestamp()
                         WHERE channel = $1 AND incident_id = $2 AND state = 'pending'
                           AND NOT EXISTS (SELECT FROM core.message AS same WHERE same.key = $3)",
                        channel.as_str(),
                        incident_id,
                        key,
                    )
                    .execute(&mut *transaction)
                    .await?;
                    sqlx::query!(
                        "INSERT INTO core.message (key, channel, incident_id, body) VALUES ($1, $2, $3, $4)
                         ON CONFLICT (key) DO NOTHING",
                        key,
                        channel.as_str(),
                        incident_id,
                        body,
                    )
                    .execute(&mut *transaction)
                    .await?;
                }
                transaction.commit().await
            })
        });
        Ok(call.bound(done).await?)
    }

    /// Sends a test. An Alertmanager is handed an alert that is over, and PagerDuty is told that the incident is over too.
    async fn try_out(&self, call: &Call, channel: &Channel) -> PortResult<Result<Answer, NoAnswer>> {
        use super::channels::ChannelKind::{Alertmanager, Pagerduty};
        let now = self.parts.clock.now();
        let id = RowId::new(1).ok_or_else(|| broken("an id below 1"))?;
        let message = |event| trial(id, channel.name.clone(), event, now);
        if channel.kind == Alertmanager {
            let labels = [("alertname", "FlamewardenTest"), ("severity", "info")];
            let alert = MirroredAlert {
                labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
                annotations: [("summary".to_owned(), message(NoticeEvent::Firing).body.notice.headline)].into(),
                starts_at: now - chrono::TimeDelta::seconds(1),
                ends_at: now,
                generator_url: String::new(),
            };
            let answer = send::mirror(call, channel, &[alert]).await.transpose();
            return answer.ok_or_else(|| broken("nothing was sent"));
        }
        let first = send::send(call, channel, &[&message(NoticeEvent::Firing)], now).await;
        if channel.kind == Pagerduty && first.is_ok() {
            return Ok(send::send(call, channel, &[&message(NoticeEvent::Resolved)], now).await);
        }
        Ok(first)
    }
}
