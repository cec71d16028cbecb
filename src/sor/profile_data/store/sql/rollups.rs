//! The statements on rollups.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Connection, PgConnection};

use crate::kernel::PortResult;
use crate::sor::profile_data::store::tally::BlockHead;
use crate::storage::{Db, Repeat};

/// Locks these hours of an app and their rollups against other writers until the transaction ends. No other lock of
/// this program has a key of two numbers.
const LOCK_HOURS: &str = "SELECT pg_advisory_xact_lock($1, late) FROM unnest($2::integer[]) AS late";

/// A stored block of an hour, whole.
#[derive(Debug)]
pub(in super::super) struct HourRow {
    pub(in super::super) head: BlockHead,
    pub(in super::super) epoch: i64,
    pub(in super::super) body: Vec<u8>,
}

/// The rollup of one name of profiles.
#[derive(Debug)]
pub(in super::super) struct RollupRow {
    pub(in super::super) name: String,
    pub(in super::super) heads: Vec<u8>,
    pub(in super::super) body: Vec<u8>,
}

/// The hours of apps that have blocks and no rollup, the oldest first.
pub(in super::super) async fn open_hours(
    db: &Db,
    first: DateTime<Utc>,
    last: DateTime<Utc>,
    limit: u32,
) -> PortResult<Vec<(i32, DateTime<Utc>)>> {
    let rows = db
        .run(Repeat::Safe, move |c| {
            Box::pin(async move {
                sqlx::query!(
                    r#"SELECT app.app_id, hours.hour AS "hour!"
                       FROM generate_series($1::timestamptz, $2::timestamptz, interval '1 hour') AS hours (hour)
                       CROSS JOIN profile_store.app
                       CROSS JOIN LATERAL (SELECT FROM profile_store.block
                                           WHERE block.app_id = app.app_id AND block.ts >= hours.hour
                                             AND block.ts < hours.hour + interval '1 hour' LIMIT 1) AS any_block
                       WHERE NOT EXISTS (SELECT FROM profile_store.rollup
                                         WHERE rollup.app_id = app.app_id AND rollup.hour = hours.hour
                                           AND rollup.hour >= $1 AND rollup.hour <= $2)
                       ORDER BY hours.hour, app.app_id LIMIT $3"#,
                    first,
                    last,
                    i64::from(limit),
                )
                .fetch_all(c)
                .await
            })
        })
        .await?;
    Ok(rows.into_iter().map(|row| (row.app_id, row.hour)).collect())
}

/// The blocks of an app in an hour, in order of time.
pub(in super::super) async fn blocks(db: &Db, app: i32, hour: DateTime<Utc>) -> PortResult<Vec<HourRow>> {
    let rows = db
        .run(Repeat::Safe, move |c| {
            Box::pin(async move {
                sqlx::query!(
                    "SELECT ts, series_id, epoch_id, samples, totals, body FROM profile_store.block
                     WHERE app_id = $1 AND ts >= $2 AND ts < $3 ORDER BY ts, epoch_id",
                    app,
                    hour,
                    hour + TimeDelta::hours(1),
                )
                .fetch_all(c)
                .await
            })
        })
        .await?;
    let row = rows.into_iter().map(|row| HourRow {
        head: BlockHead { time: row.ts, series: row.series_id, samples: row.samples, totals: row.totals },
        epoch: row.epoch_id,
        body: row.body,
    });
    Ok(row.collect())
}

/// Adds the rollups of an hour that has so many blocks; `false`, and nothing is added, where it has others by now or is
/// rolled up.
pub(in super::super) async fn add(
    db: &Db,
    app: i32,
    hour: DateTime<Utc>,
    rows: Vec<RollupRow>,
    blocks: usize,
) -> PortResult<bool> {
    let rows = Arc::new(rows);
    let added = db
        .run(Repeat::Safe, move |c| {
            let rows = Arc::clone(&rows);
            Box::pin(async move {
                let mut transaction = c.begin().await?;
                lock_hours(&mut transaction, app, &[hour]).await?;
                let now = sqlx::query_scalar!(
                    r#"SELECT count(*) AS "count!" FROM profile_store.block WHERE app_id = $1 AND ts >= $2 AND ts < $3"#,
                    app,
                    hour,
                    hour + TimeDelta::hours(1),
                )
                .fetch_one(&mut *transaction)
                .await?;
                if usize::try_from(now) != Ok(blocks) {
                    return Ok(false);
                }
                let mut added = 0;
                for row in rows.iter() {
                    added += sqlx::query!(
                        "INSERT INTO profile_store.rollup (hour, app_id, type, heads, body) VALUES ($1, $2, $3, $4, $5)
                         ON CONFLICT DO NOTHING",
                        hour,
                        app,
                        row.name,
                        row.heads,
                        row.body,
                    )
                    .execute(&mut *transaction)
                    .await?
                    .rows_affected();
                }
                transaction.commit().await?;
                Ok(added > 0)
            })
        })
        .await?;
    Ok(added)
}

/// Deletes the rollups of these hours, because profiles are added to the hours in the same transaction.
pub(super) async fn remove(
    transaction: &mut PgConnection,
    app: i32,
    hours: &[DateTime<Utc>],
) -> Result<(), sqlx::Error> {
    lock_hours(transaction, app, hours).await?;
    sqlx::query!("DELETE FROM profile_store.rollup WHERE app_id = $1 AND hour = ANY($2)", app, hours)
        .execute(transaction)
        .await?;
    Ok(())
}

/// The hours must be in order, so that two writers never wait for each other.
async fn lock_hours(transaction: &mut PgConnection, app: i32, hours: &[DateTime<Utc>]) -> Result<(), sqlx::Error> {
    let numbers: Vec<_> = hours.iter().map(|hour| i32::try_from(hour.timestamp() / 3_600).unwrap_or(0)).collect();
    sqlx::query(LOCK_HOURS).bind(app).bind(numbers).execute(transaction).await?;
    Ok(())
}

/// What is known of the rollups of these hours, without their stacks.
pub(in super::super) async fn heads(
    db: &Db,
    app: i32,
    first: DateTime<Utc>,
    last: DateTime<Utc>,
) -> PortResult<Vec<(DateTime<Utc>, Vec<u8>)>> {
    let rows = db
        .run(Repeat::Safe, move |c| {
            Box::pin(async move {
                sqlx::query!(
                    "SELECT hour, heads FROM profile_store.rollup
                     WHERE app_id = $1 AND hour >= $2 AND hour <= $3 ORDER BY hour",
                    app,
                    first,
                    last,
                )
                .fetch_all(c)
                .await
            })
        })
        .await?;
    Ok(rows.into_iter().map(|row| (row.hour, row.heads)).collect())
}

/// The rollups of these names from one hour to before another, in order of time.
pub(in super::super) async fn bodies(
    db: &Db,
    app: i32,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    names: &[String],
) -> PortResult<Vec<(DateTime<Utc>, Vec<u8>)>> {
    let names = names.to_vec();
    let rows = db
        .run(Repeat::Safe, move |c| {
            let names = names.clone();
            Box::pin(async move {
                sqlx::query!(
                    "SELECT hour, body FROM profile_store.rollup
                     WHERE app_id = $1 AND hour >= $2 AND hour < $3 AND type = ANY($4) ORDER BY hour, type",
                    app,
                    from,
                    to,
                    &names,
                )
                .fetch_all(c)
                .await
            })
        })
        .await?;
    Ok(rows.into_iter().map(|row| (row.hour, row.body)).collect())
}
