//! Several assessments in one transaction: with one statement, or with one for each if that statement refuses a row.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::batch::Recorded;
use super::super::bounded::{Recommendation, TopFunctions};
use super::super::domain::ProfileTypes;
use super::{TABLE, insert, refused};
use crate::kernel::{Call, PortError, PortResult, RowId, Text255};
use crate::storage::{Db, DbError, Repeat, apart, begin};

/// What became of each key.
type Kept = HashMap<Uuid, PortResult<RowId>>;

/// Keeps entries whose keys differ.
pub(super) async fn insert_all(db: &Db, call: &Call, new: Arc<[Recorded]>) -> PortResult<Kept> {
    let together = db.run(Repeat::Safe, |connection| {
        let new = Arc::clone(&new);
        Box::pin(async move { insert_together(connection, &new).await })
    });
    match call.bound(together).await {
        Ok(ids) => Ok(ids.into_iter().map(|Keyed { key, id }| (key, row_id(id))).collect()),
        Err(DbError::Constraint(_) | DbError::Port(PortError::Internal(_))) => {
            let one_by_one = db.run(Repeat::Safe, |connection| {
                let new = Arc::clone(&new);
                Box::pin(async move { insert_one_by_one(connection, &new).await })
            });
            Ok(call.bound(one_by_one).await?)
        }
        Err(error) => Err(error.into()),
    }
}

fn row_id(id: i32) -> PortResult<RowId> {
    RowId::new(id.into()).ok_or_else(|| PortError::Internal(format!("{TABLE}: the id {id} is below 1")))
}

/// A row by its key.
struct Keyed {
    key: Uuid,
    id: i32,
}

async fn insert_together(connection: &mut PgConnection, new: &[Recorded]) -> Result<Vec<Keyed>, sqlx::Error> {
    let column = |of: fn(&Recorded) -> &str| new.iter().map(|new| of(new).to_owned()).collect::<Vec<_>>();
    let optional =
        |of: fn(&Recorded) -> Option<&str>| new.iter().map(|new| of(new).map(str::to_owned)).collect::<Vec<_>>();
    let profile_types: Vec<_> =
        new.iter().map(|new| ProfileTypes(new.entry.profile_types.clone()).to_string()).collect();
    let top_functions: Vec<_> =
        new.iter().map(|new| new.entry.top_functions.as_ref().map(TopFunctions::as_value).cloned()).collect();
    let assessed_at: Vec<_> = new.iter().map(|new| new.entry.assessed_at).collect();
    let keys: Vec<_> = new.iter().map(|new| new.key).collect();
    // Ids are given in the order of the entries. A key that is known changes nothing, and its row comes back.
    sqlx::query_as!(
        Keyed,
        r#"INSERT INTO public.triage_history AS h
               (app_name, profile_types, diagnosis, severity, top_functions, recommendation, requested_by, created_at,
                idempotency_key)
           SELECT app_name, profile_types, diagnosis, severity, top_functions, recommendation, requested_by,
                  coalesce(assessed_at, now()), key
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::text[], $7::text[],
                       $8::timestamptz[], $9::uuid[])
                WITH ORDINALITY AS new (app_name, profile_types, diagnosis, severity, top_functions, recommendation,
                                        requested_by, assessed_at, key, n)
           ORDER BY n
           ON CONFLICT (idempotency_key) DO UPDATE SET idempotency_key = excluded.idempotency_key
           RETURNING h.id, h.idempotency_key AS "key!""#,
        &column(|new| new.entry.app_name.as_str()),
        &profile_types,
        &column(|new| new.entry.diagnosis.as_str()),
        &column(|new| new.entry.severity.as_str()),
        &top_functions as &[Option<serde_json::Value>],
        &optional(|new| new.entry.recommendation.as_ref().map(Recommendation::as_str)) as &[Option<String>],
        &optional(|new| new.entry.requested_by.as_ref().map(Text255::as_str)) as &[Option<String>],
        &assessed_at as &[Option<DateTime<Utc>>],
        &keys,
    )
    .fetch_all(connection)
    .await
}

/// The same with one statement for each row, so that a refused row does not take back the others.
async fn insert_one_by_one(connection: &mut PgConnection, new: &[Recorded]) -> Result<Kept, sqlx::Error> {
    let mut transaction = begin(connection).await?;
    let mut kept = Kept::new();
    for new in new {
        let (key, new) = (new.key, new.clone().into_new());
        let row = apart(&mut transaction, |connection| Box::pin(insert(connection, new))).await?;
        kept.insert(key, row.map_err(refused).and_then(|row| row_id(row.id)));
    }
    transaction.commit().await?;
    Ok(kept)
}
