//! What evaluation and telling read and write, in PostgreSQL.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{PostgresIncidents, read, read_all, refused, row_of};
use crate::kernel::{Call, LimitSeverity, PortResult, RowId};
use crate::sor::incident::domain::{Findings, Incident, IncidentLevel};
use crate::sor::incident::port::AlertStateSor;
use crate::sor::incident::rounds::{Decided, IncidentWrite, RuleState, StandingIncidents, Told, Untold};
use crate::storage::{Repeat, acting, begin};

/// What an evaluation decided, as lists of rows.
#[derive(Debug, Clone, Default)]
struct Rows {
    opened: Vec<Value>,
    updated: Vec<Value>,
    removed: Vec<Value>,
    states: Vec<Value>,
}

impl Rows {
    fn of(decided: &Decided) -> PortResult<Self> {
        let mut rows = Self::default();
        for write in &decided.writes {
            match write {
                IncidentWrite::Open { found } => rows.opened.push(row_of(found)?),
                IncidentWrite::Update { id, version, found } => {
                    rows.updated.push(versioned(*id, *version, Some(found))?);
                }
                IncidentWrite::Remove { id, version } => rows.removed.push(versioned(*id, *version, None)?),
            }
        }
        rows.states = decided.states.iter().map(row_of).collect::<PortResult<_>>()?;
        Ok(rows)
    }
}

/// A row with the version that it was decided on.
fn versioned(id: RowId, version: i64, found: Option<&Findings>) -> PortResult<Value> {
    let mut row = found.map_or(Ok(json!({})), row_of)?;
    if let Some(members) = row.as_object_mut() {
        members.insert("id".to_owned(), json!(id));
        members.insert("version".to_owned(), json!(version));
    }
    Ok(row)
}

#[async_trait]
impl AlertStateSor for PostgresIncidents {
    async fn standing(&self, call: &Call) -> PortResult<StandingIncidents> {
        let rows = call.bound(self.db.run(Repeat::Safe, |connection| {
            Box::pin(async move {
                let mut transaction = begin(connection).await?;
                // A little longer than what may be reopened: the evaluation decides by its own times.
                let incidents = sqlx::query_scalar!(
                    r#"SELECT to_jsonb(i) || '{"silenced_by": null}' AS "row!" FROM core.incident AS i
                       WHERE i.source IN ('rule', 'baseline')
                         AND (i.state <> 'resolved' OR i.resolved_at > now() - interval '7 hours')
                       ORDER BY i.id"#,
                )
                .fetch_all(&mut *transaction)
                .await?;
                let evaluated = sqlx::query_scalar!(
                    r#"SELECT jsonb_build_object('rule_id', s.rule_id, 'evaluated_at', s.evaluated_at) AS "row!"
                       FROM core.rule_state AS s ORDER BY s.rule_id"#,
                )
                .fetch_all(&mut *transaction)
                .await?;
                transaction.commit().await?;
                Ok((incidents, evaluated))
            })
        }));
        let (incidents, evaluated) = rows.await?;
        Ok(StandingIncidents { incidents: read_all(incidents)?, evaluated: read_all(evaluated)? })
    }

    async fn apply(&self, call: &Call, decided: Decided) -> PortResult<()> {
        let (rows, acting) = (Rows::of(&decided)?, acting(call));
        // Sent twice, the second finds other versions and the same fingerprints, and changes nothing.
        let done = self.db.run(Repeat::Safe, move |connection| {
            let (rows, acting) = (rows.clone(), acting.clone());
            Box::pin(async move {
                let mut transaction = begin(connection).await?;
                sqlx::query!("SELECT core.acting($1)", acting).fetch_one(&mut *transaction).await?;
                sqlx::query!(
                    "INSERT INTO core.incident
                         (fingerprint, source, state, severity, title, app_name, rule_id, value, worst_value, threshold,
                          unit, occurrences, detail, active_since, fired_at, last_seen_at, clear_since, no_data_since,
                          resolved_at, resolve_reason, changed_at)
                     SELECT r.fingerprint, r.source, r.state, r.severity, r.title, r.app_name, r.rule_id, r.value,
                            r.worst_value, r.threshold, r.unit, r.occurrences, r.detail, r.active_since, r.fired_at,
                            r.last_seen_at, r.clear_since, r.no_data_since, r.resolved_at, r.resolve_reason,
                            coalesce(r.fired_at, r.active_since)
                     FROM jsonb_populate_recordset(NULL::core.incident, $1) AS r
                     ON CONFLICT (fingerprint) WHERE state <> 'resolved' DO NOTHING",
                    Value::Array(rows.opened),
                )
                .execute(&mut *transaction)
                .await?;
                // One that fired and is pending again keeps when it fired and was over, until it fires again.
                sqlx::query!(
                    "UPDATE core.incident AS i
                     SET source = r.source, state = r.state, severity = r.severity, title = r.title, value = r.value,
                         worst_value = r.worst_value, threshold = r.threshold, unit = r.unit,
                         occurrences = r.occurrences, detail = r.detail, active_since = r.active_since,
                         fired_at = coalesce(r.fired_at, i.fired_at), last_seen_at = r.last_seen_at,
                         clear_since = r.clear_since, no_data_since = r.no_data_since,
                         resolved_at = coalesce(r.resolved_at, i.resolved_at),
                         resolve_reason = coalesce(r.resolve_reason, i.resolve_reason)
                     FROM jsonb_populate_recordset(NULL::core.incident, $1) AS r
                     WHERE i.id = r.id AND i.version = r.version",
                    Value::Array(rows.updated),
                )
                .execute(&mut *transaction)
                .await?;
                sqlx::query!(
                    "DELETE FROM core.incident AS i USING jsonb_populate_recordset(NULL::core.incident, $1) AS r
                     WHERE i.id = r.id AND i.version = r.version AND i.state = 'pending' AND i.fired_at IS NULL",
                    Value::Array(rows.removed),
                )
                .execute(&mut *transaction)
                .await?;
                sqlx::query!(
                    "INSERT INTO core.rule_state AS s (rule_id, evaluated_at, body)
                     SELECT DISTINCT ON (r.rule_id) r.rule_id, r.evaluated_at, r.body
                     FROM jsonb_populate_recordset(NULL::core.rule_state, $1) AS r
                     ORDER BY r.rule_id, r.evaluated_at DESC
                     ON CONFLICT (rule_id) DO UPDATE SET evaluated_at = excluded.evaluated_at, body = excluded.body
                     WHERE s.evaluated_at <= excluded.evaluated_at",
                    Value::Array(rows.states),
                )
                .execute(&mut *transaction)
                .await?;
                transaction.commit().await
            })
        });
        call.bound(done).await.map_err(refused)
    }

    async fn untold(&self, call: &Call, which: Untold) -> PortResult<Vec<Incident>> {
        let rows = call.bound(self.db.run(Repeat::Safe, move |connection| {
            Box::pin(async move {
                sqlx::query_scalar!(
                    r#"SELECT to_jsonb(i) || jsonb_build_object('silenced_by', NULL) AS "row!"
                       FROM core.incident_untold($1, $2) AS i ORDER BY i.changed_at, i.id LIMIT $3"#,
                    which.repeated_before,
                    which.least.as_str(),
                    i64::from(Untold::MOST),
                )
                .fetch_all(connection)
                .await
            })
        }));
        read_all(rows.await?)
    }

    async fn told(&self, call: &Call, told: Vec<Told>) -> PortResult<()> {
        let acting = acting(call);
        let rows = told.iter().map(|told| {
            json!({"id": told.id, "state": IncidentLevel::as_str(told.state), "at": told.at,
                "severity": LimitSeverity::as_str(told.severity), "channel": told.channel, "known": told.last_told_at})
        });
        let rows = Value::Array(rows.collect());
        let done = self.db.run(Repeat::Safe, move |connection| {
            let (rows, acting) = (rows.clone(), acting.clone());
            Box::pin(async move {
                sqlx::query!(
                    "UPDATE core.incident AS i
                     SET told_state = r.state, told_severity = r.severity, told_at = r.at, told_channel = r.channel
                     FROM core.acting($2), jsonb_to_recordset($1) AS r (
                         id integer, state text, severity text, at timestamptz, channel text, known timestamptz)
                     WHERE i.id = r.id AND i.told_at IS NOT DISTINCT FROM r.known",
                    rows,
                    acting,
                )
                .execute(connection)
                .await
            })
        });
        call.bound(done).await.map(drop).map_err(refused)
    }

    async fn rule_state(&self, call: &Call, rule_id: RowId) -> PortResult<Option<RuleState>> {
        let row = call.bound(self.db.run(Repeat::Safe, move |connection| {
            Box::pin(async move {
                sqlx::query_scalar!(
                    r#"SELECT to_jsonb(s) AS "row!" FROM core.rule_state AS s WHERE s.rule_id = $1"#,
                    rule_id.get(),
                )
                .fetch_optional(connection)
                .await
            })
        }));
        row.await?.map(read).transpose()
    }
}
