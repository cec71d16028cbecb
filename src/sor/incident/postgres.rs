//! Incidents in PostgreSQL. Rows are read and written as JSON: their columns are the members of [`Incident`].

mod rounds;
mod silences;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::PgConnection;

use super::domain::{
    Act, Incident, IncidentPage, IncidentPosition, IncidentQuery, IncidentSource, IncidentState, IncidentTimeline,
    Observation, Observed, ValueUnit,
};
use super::port::IncidentSor;
use crate::kernel::{AppName, Call, LimitSeverity, Note, Page, PortError, PortResult, RowId, Text255};
use crate::storage::{Db, DbError, Repeat, acting, begin, camel_keys, snake_keys};

/// The adapter of the room's three ports.
pub(super) struct PostgresIncidents {
    db: Db,
}

impl PostgresIncidents {
    pub(super) fn new(db: Db) -> Self {
        Self { db }
    }
}

/// Reads a row that the database answered as JSON.
fn read<T: DeserializeOwned>(row: Value) -> PortResult<T> {
    let read = serde_json::from_value(camel_keys(row));
    read.map_err(|error| PortError::Internal(format!("a row of schema core is not what is written: {error}")))
}

fn read_all<T: DeserializeOwned>(rows: Vec<Value>) -> PortResult<Vec<T>> {
    rows.into_iter().map(read).collect()
}

/// A value as the database reads it into a row.
fn row_of(value: &impl Serialize) -> PortResult<Value> {
    let body = serde_json::to_value(value);
    body.map(snake_keys)
        .map_err(|error| PortError::Internal(format!("a row of schema core cannot be written: {error}")))
}

/// What a write that a constraint of the tables refused means to the caller.
fn refused(error: DbError) -> PortError {
    match error {
        DbError::Constraint(name) if name == "core_incident_open_key" => {
            PortError::Conflict("another incident of the same fingerprint is open".to_owned())
        }
        DbError::Constraint(name) => PortError::Invalid(format!("{name} refuses it")),
        DbError::Port(error) => error,
    }
}

/// An incident as JSON, with the silence that it is under.
async fn incident(connection: &mut PgConnection, id: i32) -> Result<Option<Value>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT to_jsonb(i) || jsonb_build_object(
                      'silenced_by', core.silenced_by(i.app_name, i.source, i.rule_id, now())) AS "row!"
           FROM core.incident AS i WHERE i.id = $1"#,
        id,
    )
    .fetch_optional(connection)
    .await
}

#[async_trait]
impl IncidentSor for PostgresIncidents {
    async fn page(&self, call: &Call, query: &IncidentQuery) -> PortResult<IncidentPage> {
        let limit = query.limit.clamp(1, IncidentQuery::MAX_LIMIT);
        let query = query.clone();
        let rows = call.bound(self.db.run(Repeat::Safe, move |connection| {
            let query = query.clone();
            Box::pin(async move {
                sqlx::query_scalar!(
                    r#"SELECT to_jsonb(i) || jsonb_build_object(
                                  'silenced_by', core.silenced_by(i.app_name, i.source, i.rule_id, now())) AS "row!"
                       FROM core.incident AS i
                       WHERE ($1::text IS NULL OR i.state = $1) AND ($2::text IS NULL OR i.app_name = $2)
                         AND ($3::text IS NULL OR i.source = $3) AND ($4::text IS NULL OR i.severity = $4)
                         AND ($5::integer IS NULL OR i.rule_id = $5)
                         AND ($6::boolean IS NULL OR (i.acknowledged_at IS NOT NULL) = $6)
                         AND ($7::timestamptz IS NULL OR i.resolved_at IS NULL OR i.resolved_at >= $7)
                         AND ($8::timestamptz IS NULL OR i.active_since < $8)
                         AND ($9::integer IS NULL OR i.id < $9)
                       ORDER BY i.id DESC
                       LIMIT $10"#,
                    query.state.map(IncidentState::as_str),
                    query.app.as_ref().map(AppName::as_str),
                    query.source.map(IncidentSource::as_str),
                    query.severity.map(LimitSeverity::as_str),
                    query.rule_id,
                    query.acknowledged,
                    query.from,
                    query.to,
                    query.after.map(|after| after.0),
                    i64::from(limit) + 1,
                )
                .fetch_all(connection)
                .await
            })
        }));
        let incidents: Vec<Incident> = read_all(rows.await?)?;
        Ok(Page::cut(incidents, limit.into(), |incident| IncidentPosition(incident.id.get())))
    }

    async fn get(&self, call: &Call, id: RowId) -> PortResult<Option<IncidentTimeline>> {
        let rows = call.bound(self.db.run(Repeat::Safe, move |connection| {
            Box::pin(async move {
                let mut transaction = begin(connection).await?;
                let incident = incident(&mut transaction, id.get()).await?;
                let events = sqlx::query_scalar!(
                    r#"SELECT to_jsonb(e) AS "row!" FROM core.incident_event AS e
                       WHERE e.incident_id = $1 ORDER BY e.id DESC LIMIT 200"#,
                    id.get(),
                )
                .fetch_all(&mut *transaction)
                .await?;
                transaction.commit().await?;
                Ok((incident, events))
            })
        }));
        let (row, events) = rows.await?;
        row.map(|row| Ok(IncidentTimeline { incident: read(row)?, events: read_all(events)? })).transpose()
    }

    async fn act(&self, call: &Call, id: RowId, act: Act) -> PortResult<Option<Incident>> {
        let acting = acting(call);
        let done = self.db.run(Repeat::Unsafe, move |connection| {
            let (act, acting) = (act.clone(), acting.clone());
            Box::pin(async move {
                let mut transaction = begin(connection).await?;
                let done = carry_out(&mut transaction, id.get(), &act, &acting).await?;
                let row = incident(&mut transaction, id.get()).await?;
                transaction.commit().await?;
                Ok((done, row))
            })
        });
        let (done, row) = call.bound(done).await.map_err(refused)?;
        let Some(incident) = row.map(read::<Incident>).transpose()? else { return Ok(None) };
        if done { Ok(Some(incident)) } else { Err(PortError::Conflict(why_not(&incident))) }
    }

    async fn observe(&self, call: &Call, observation: Observation) -> PortResult<Observed> {
        let acting = acting(call);
        let done = self.db.run(Repeat::Safe, move |connection| {
            let (seen, acting) = (observation.clone(), acting.clone());
            Box::pin(async move {
                let mut transaction = begin(connection).await?;
                sqlx::query!("SELECT core.acting($1)", acting).fetch_one(&mut *transaction).await?;
                let row = sqlx::query!(
                    r#"SELECT o.id AS "id!", o.acknowledged AS "acknowledged!"
                       FROM core.incident_observe($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS o"#,
                    seen.fingerprint,
                    seen.source.as_str(),
                    seen.severity.as_str(),
                    seen.title,
                    seen.app_name.as_ref().map(AppName::as_str),
                    seen.value,
                    seen.threshold,
                    seen.unit.map(ValueUnit::as_str),
                    seen.occurrences,
                    seen.detail.as_value(),
                    seen.quiet_seconds,
                )
                .fetch_one(&mut *transaction)
                .await?;
                transaction.commit().await?;
                Ok((row.id, row.acknowledged))
            })
        });
        let (id, acknowledged) = call.bound(done).await.map_err(refused)?;
        let id = RowId::new(id.into()).ok_or_else(|| PortError::Internal(format!("core.incident has the id {id}")))?;
        Ok(Observed { id, acknowledged })
    }
}

/// Does what somebody asks for, if the state of the incident allows it. An act on an incident and its row in the audit log
/// are of one transaction.
async fn carry_out(connection: &mut PgConnection, id: i32, act: &Act, acting: &Value) -> Result<bool, sqlx::Error> {
    sqlx::query!("SELECT core.acting($1)", acting).fetch_one(&mut *connection).await?;
    match act {
        Act::Acknowledge { note, by } => {
            let done = sqlx::query_scalar!(
                "SELECT core.incident_acknowledge($1, $2, $3)",
                id,
                by.as_ref().map(Text255::as_str),
                note.as_ref().map(Note::as_str),
            );
            Ok(done.fetch_one(connection).await?.unwrap_or(false))
        }
        Act::Snooze { minutes, reason } => {
            let done = sqlx::query!(
                "WITH snoozed AS (
                     UPDATE core.incident AS i
                     SET snoozed_until = now() + make_interval(mins => $2), snoozed_by = $4::jsonb ->> 'actor',
                         snoozed_reason = $3
                     WHERE i.id = $1 AND i.state <> 'resolved'
                     RETURNING i.id, i.app_name, i.snoozed_until
                 )
                 SELECT core.audit_append('alert.snooze', 'alert', s.id::text, s.app_name, after => jsonb_build_object(
                            'until', s.snoozed_until, 'reason', $3::text))
                 FROM snoozed AS s",
                id,
                minutes.get(),
                reason.as_str(),
                acting,
            );
            Ok(done.fetch_optional(connection).await?.is_some())
        }
        Act::Unsnooze => {
            let done = sqlx::query!(
                "WITH was AS (
                     SELECT i.id, i.snoozed_until FROM core.incident AS i WHERE i.id = $1 FOR UPDATE
                 ), awake AS (
                     UPDATE core.incident AS i SET snoozed_until = NULL, snoozed_by = NULL, snoozed_reason = NULL
                     FROM was WHERE i.id = was.id AND i.state <> 'resolved'
                     RETURNING i.id, i.app_name, was.snoozed_until
                 )
                 SELECT CASE WHEN a.snoozed_until IS NOT NULL
                             THEN core.audit_append('alert.unsnooze', 'alert', a.id::text, a.app_name) END
                 FROM awake AS a",
                id,
            );
            Ok(done.fetch_optional(connection).await?.is_some())
        }
    }
}

/// Why an act was not carried out on an incident that stands so.
fn why_not(incident: &Incident) -> String {
    match (incident.found.state, incident.acknowledged_at) {
        (IncidentState::Resolved, _) => "the alert is resolved".to_owned(),
        (IncidentState::Pending, _) => "the alert does not fire yet".to_owned(),
        (IncidentState::Firing, Some(at)) => {
            let who = incident.acknowledged_by.as_deref().unwrap_or("somebody");
            format!("{who} acknowledged the alert before, at {}", at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
        }
        (IncidentState::Firing, None) => "the alert has changed meanwhile; try again".to_owned(),
    }
}
