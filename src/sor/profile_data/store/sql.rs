//! The statements of the store. Each is one call to the database; rows become domain types before they leave.

pub(super) mod rollups;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use futures::TryStreamExt;
use sqlx::types::Json;
use sqlx::{Connection, PgConnection};

use super::series::{Labels, Series, Shape};
use super::tally::BlockHead;
use crate::kernel::{AppName, PortError, PortResult, Tenant, TimeWindow};
use crate::storage::{Db, Repeat};

/// A new segment of a dictionary.
#[derive(Debug)]
pub(super) struct SegmentRow {
    pub(super) day: NaiveDate,
    pub(super) epoch: i64,
    pub(super) seq: i32,
    pub(super) body: Vec<u8>,
}

/// A new block.
#[derive(Debug)]
pub(super) struct BlockRow {
    pub(super) time: DateTime<Utc>,
    pub(super) duration_ms: i32,
    pub(super) series: i32,
    pub(super) epoch: i64,
    pub(super) samples: Option<i64>,
    pub(super) totals: Vec<i64>,
    pub(super) body: Vec<u8>,
}

/// A stored block with what is needed to merge it.
#[derive(Debug)]
pub(super) struct BlockBody {
    pub(super) time: DateTime<Utc>,
    pub(super) series: i32,
    pub(super) epoch: i64,
    pub(super) body: Vec<u8>,
}

/// The app's id; the app is made where it is new.
pub(super) async fn app_id(db: &Db, app: &(Tenant, AppName), now: DateTime<Utc>) -> PortResult<i32> {
    let app = app.clone();
    let id = db
        .run(Repeat::Safe, move |c| {
            let app = app.clone();
            Box::pin(async move {
                sqlx::query_scalar!(
                    "INSERT INTO profile_store.app (tenant, name, first_seen, last_seen) VALUES ($1, $2, $3, $3)
                     ON CONFLICT ON CONSTRAINT profile_store_app_tenant_name_key
                     DO UPDATE SET last_seen = greatest(app.last_seen, excluded.last_seen)
                     RETURNING app_id",
                    app.0.as_str(),
                    app.1.as_str(),
                    now,
                )
                .fetch_one(c)
                .await
            })
        })
        .await?;
    Ok(id)
}

/// The id of an app of a tenant, or of the default one, if it was ever seen.
pub(super) async fn find_app(db: &Db, tenant: Option<&Tenant>, app: &AppName) -> PortResult<Option<i32>> {
    let app = (tenant.cloned().unwrap_or_default(), app.clone());
    let id = db
        .run(Repeat::Safe, move |c| {
            let (tenant, app) = app.clone();
            Box::pin(async move {
                sqlx::query_scalar!(
                    "SELECT app_id FROM profile_store.app WHERE tenant = $1 AND name = $2",
                    tenant.as_str(),
                    app.as_str(),
                )
                .fetch_optional(c)
                .await
            })
        })
        .await?;
    Ok(id)
}

/// The apps of a tenant, or of the default one, with a block in the window, or a rollup of one of its whole hours: the
/// first and the last.
pub(super) async fn apps(
    db: &Db,
    tenant: Option<&Tenant>,
    window: TimeWindow,
    hours: Option<(DateTime<Utc>, DateTime<Utc>)>,
) -> PortResult<Vec<String>> {
    let (first, last) = hours.unzip();
    let tenant = tenant.cloned().unwrap_or_default();
    let names = db
        .run(Repeat::Safe, move |c| {
            let tenant = tenant.clone();
            Box::pin(async move {
                sqlx::query_scalar!(
                    "SELECT name FROM profile_store.app
                     WHERE tenant = $5
                       AND (EXISTS (SELECT FROM profile_store.block
                                    WHERE block.app_id = app.app_id AND block.ts >= $1 AND block.ts < $2)
                            OR EXISTS (SELECT FROM profile_store.rollup
                                       WHERE rollup.app_id = app.app_id AND rollup.hour >= $3 AND rollup.hour <= $4))",
                    window.from(),
                    window.to(),
                    first,
                    last,
                    tenant.as_str(),
                )
                .fetch_all(c)
                .await
            })
        })
        .await?;
    Ok(names)
}

/// When last blocks started.
#[derive(Debug)]
pub(super) struct LastBlocks {
    /// The last of some series before a time.
    pub(super) of_series: Option<DateTime<Utc>>,
    /// The last of the app at all.
    pub(super) of_app: Option<DateTime<Utc>>,
}

/// The start of the last block of these series before `before`, and of the app's last at all.
pub(super) async fn last_blocks(db: &Db, app: i32, before: DateTime<Utc>, series: &[i32]) -> PortResult<LastBlocks> {
    let series = series.to_vec();
    let row = db
        .run(Repeat::Safe, move |c| {
            let series = series.clone();
            Box::pin(async move {
                sqlx::query_as!(
                    LastBlocks,
                    "SELECT (SELECT max(ts) FROM profile_store.block
                             WHERE app_id = $1 AND ts < $2 AND series_id = ANY($3)) AS of_series,
                            (SELECT max(ts) FROM profile_store.block WHERE app_id = $1) AS of_app",
                    app,
                    before,
                    &series,
                )
                .fetch_one(c)
                .await
            })
        })
        .await?;
    Ok(row)
}

/// All series of the app.
pub(super) async fn series(db: &Db, app: i32) -> PortResult<BTreeMap<i32, Series>> {
    let rows = db
        .run(Repeat::Safe, move |c| {
            Box::pin(async move {
                sqlx::query!(
                    r#"SELECT series_id, type AS "shape: Json<Shape>", labels AS "labels: Json<Labels>"
                       FROM profile_store.series WHERE app_id = $1"#,
                    app,
                )
                .fetch_all(c)
                .await
            })
        })
        .await?;
    Ok(rows.into_iter().map(|row| (row.series_id, Series { shape: row.shape.0, labels: row.labels.0 })).collect())
}

/// The id of a series; it is made where it is new.
pub(super) async fn series_id(db: &Db, app: i32, series: &Series, hash: [u8; 32]) -> PortResult<i32> {
    let (shape, labels) = (to_json(&series.shape)?, to_json(&series.labels)?);
    let id = db
        .run(Repeat::Safe, move |c| {
            let (shape, labels) = (shape.clone(), labels.clone());
            Box::pin(async move {
                sqlx::query_scalar!(
                    "INSERT INTO profile_store.series (app_id, type, labels, hash) VALUES ($1, $2, $3, $4)
                     ON CONFLICT ON CONSTRAINT profile_store_series_hash_key DO UPDATE SET hash = excluded.hash
                     RETURNING series_id",
                    app,
                    shape,
                    labels,
                    &hash,
                )
                .fetch_one(c)
                .await
            })
        })
        .await?;
    Ok(id)
}

fn to_json(value: &impl serde::Serialize) -> PortResult<serde_json::Value> {
    serde_json::to_value(value).map_err(|e| PortError::Internal(e.to_string()))
}

/// A number that no epoch had before.
pub(super) async fn next_epoch(db: &Db) -> PortResult<i64> {
    let id = db
        .run(Repeat::Safe, move |c| {
            Box::pin(async move {
                sqlx::query_scalar!(r#"SELECT nextval('profile_store.epoch_id') AS "id!""#).fetch_one(c).await
            })
        })
        .await?;
    Ok(id)
}

/// The rows of a push, by column, as PostgreSQL takes them.
#[derive(Debug)]
struct Columns {
    segments: (Vec<NaiveDate>, Vec<i64>, Vec<i32>, Vec<Vec<u8>>),
    times: Vec<DateTime<Utc>>,
    durations: Vec<i32>,
    series: Vec<i32>,
    epochs: Vec<i64>,
    samples: Vec<Option<i64>>,
    totals: Vec<String>,
    bodies: Vec<Vec<u8>>,
}

impl Columns {
    fn of(segments: Vec<SegmentRow>, blocks: Vec<BlockRow>) -> Self {
        // PostgreSQL has no arrays of arrays of unlike lengths: totals travel as text.
        let array = |totals: &[i64]| {
            let numbers: Vec<_> = totals.iter().map(ToString::to_string).collect();
            format!("{{{}}}", numbers.join(","))
        };
        Self {
            times: blocks.iter().map(|b| b.time).collect(),
            durations: blocks.iter().map(|b| b.duration_ms).collect(),
            series: blocks.iter().map(|b| b.series).collect(),
            epochs: blocks.iter().map(|b| b.epoch).collect(),
            samples: blocks.iter().map(|b| b.samples).collect(),
            totals: blocks.iter().map(|b| array(&b.totals)).collect(),
            bodies: blocks.into_iter().map(|b| b.body).collect(),
            segments: (
                segments.iter().map(|s| s.day).collect(),
                segments.iter().map(|s| s.epoch).collect(),
                segments.iter().map(|s| s.seq).collect(),
                segments.into_iter().map(|s| s.body).collect(),
            ),
        }
    }
}

/// Appends segments and the blocks that need them, all of it or nothing: one statement. The rollups of hours that are
/// over, in order, are deleted in the same transaction.
pub(super) async fn append(
    db: &Db,
    app: i32,
    segments: Vec<SegmentRow>,
    blocks: Vec<BlockRow>,
    over: Vec<DateTime<Utc>>,
) -> PortResult<()> {
    let columns = Arc::new((Columns::of(segments, blocks), over));
    db.run(Repeat::Unsafe, move |c| {
        let columns = Arc::clone(&columns);
        Box::pin(async move {
            let (columns, over) = &*columns;
            if over.is_empty() {
                return insert(c, app, columns).await;
            }
            let mut transaction = c.begin().await?;
            rollups::remove(&mut transaction, app, over).await?;
            insert(&mut transaction, app, columns).await?;
            transaction.commit().await
        })
    })
    .await?;
    Ok(())
}

async fn insert(c: &mut PgConnection, app: i32, columns: &Columns) -> Result<(), sqlx::Error> {
    let (days, dictionaries, seqs, segments) = &columns.segments;
    sqlx::query!(
        "WITH added AS (
                     INSERT INTO profile_store.dict (day, epoch_id, seq, body)
                     SELECT * FROM unnest($1::date[], $2::bigint[], $3::integer[], $4::bytea[])
                 )
                 INSERT INTO profile_store.block (ts, dur_ms, app_id, series_id, epoch_id, samples, totals, body)
                 SELECT ts, dur_ms, $5, series_id, epoch_id, samples, totals::bigint[], body
                 FROM unnest($6::timestamptz[], $7::integer[], $8::integer[], $9::bigint[], $10::bigint[], $11::text[],
                             $12::bytea[])
                      AS new (ts, dur_ms, series_id, epoch_id, samples, totals, body)",
        days,
        dictionaries,
        seqs,
        segments,
        app,
        &columns.times,
        &columns.durations,
        &columns.series,
        &columns.epochs,
        &columns.samples as &[Option<i64>],
        &columns.totals,
        &columns.bodies,
    )
    .execute(c)
    .await?;
    Ok(())
}

/// Hands the heads of the app's blocks in the windows to `visit`, in order of time, without holding them.
pub(super) async fn heads<S: Default + Send>(
    db: &Db,
    app: i32,
    windows: &[TimeWindow],
    visit: impl Fn(&mut S, BlockHead) + Copy + Send + Sync + 'static,
) -> PortResult<S> {
    let begins: Vec<_> = windows.iter().map(TimeWindow::from).collect();
    let ends: Vec<_> = windows.iter().map(TimeWindow::to).collect();
    let seen = db
        .run(Repeat::Safe, move |c| {
            let (begins, ends) = (begins.clone(), ends.clone());
            Box::pin(async move {
                let mut seen = S::default();
                let mut rows = sqlx::query_as!(
                    BlockHead,
                    "SELECT block.time, block.series, block.samples, block.totals
                     FROM unnest($2::timestamptz[], $3::timestamptz[]) AS part (since, until)
                     CROSS JOIN LATERAL (SELECT ts AS time, series_id AS series, samples, totals FROM profile_store.block
                                         WHERE app_id = $1 AND ts >= part.since AND ts < part.until
                                         ORDER BY ts, epoch_id) AS block",
                    app,
                    &begins,
                    &ends,
                )
                .fetch(c);
                while let Some(head) = rows.try_next().await? {
                    visit(&mut seen, head);
                }
                drop(rows);
                Ok(seen)
            })
        })
        .await?;
    Ok(seen)
}

/// The blocks of these series in the window, in order of time.
pub(super) async fn bodies(db: &Db, app: i32, window: TimeWindow, series: &[i32]) -> PortResult<Vec<BlockBody>> {
    let series = series.to_vec();
    let rows = db
        .run(Repeat::Safe, move |c| {
            let series = series.clone();
            Box::pin(async move {
                sqlx::query_as!(
                    BlockBody,
                    "SELECT ts AS time, series_id AS series, epoch_id AS epoch, body FROM profile_store.block
                     WHERE app_id = $1 AND ts >= $2 AND ts < $3 AND series_id = ANY($4) ORDER BY ts, epoch_id",
                    app,
                    window.from(),
                    window.to(),
                    &series,
                )
                .fetch_all(c)
                .await
            })
        })
        .await?;
    Ok(rows)
}

/// The segments of some dictionaries from a number of each on: epoch, sequence number and body, in order.
pub(super) async fn segments(db: &Db, wanted: &[(NaiveDate, i64, i32)]) -> PortResult<Vec<(i64, i32, Vec<u8>)>> {
    let days: Vec<_> = wanted.iter().map(|w| w.0).collect();
    let epochs: Vec<_> = wanted.iter().map(|w| w.1).collect();
    let seqs: Vec<_> = wanted.iter().map(|w| w.2).collect();
    let rows = db
        .run(Repeat::Safe, move |c| {
            let (days, epochs, seqs) = (days.clone(), epochs.clone(), seqs.clone());
            Box::pin(async move {
                sqlx::query!(
                    "SELECT dict.epoch_id, dict.seq, dict.body
                     FROM unnest($1::date[], $2::bigint[], $3::integer[]) AS wanted (day, epoch_id, seq)
                     JOIN profile_store.dict
                       ON dict.day = wanted.day AND dict.epoch_id = wanted.epoch_id AND dict.seq >= wanted.seq
                     ORDER BY dict.epoch_id, dict.seq",
                    &days,
                    &epochs,
                    &seqs,
                )
                .fetch_all(c)
                .await
            })
        })
        .await?;
    Ok(rows.into_iter().map(|row| (row.epoch_id, row.seq, row.body)).collect())
}
