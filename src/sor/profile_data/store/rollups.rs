//! Rollups: a closed hour of an app as one row for each name of its profiles, all of them merged.
//!
//! A rollup holds the merged stacks and not just a table of functions, because a verdict depends on the callers of a
//! function. So every question about a long window gets the answer that the profiles would give. It is never out of
//! date: a late profile deletes the rollups of its hour in its own transaction, and the next round of maintenance makes
//! them again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::codec::{self, Corrupt, HourBlock, Rollup, Tables};
use super::series::Series;
use super::sql::rollups::{self as sql, HourRow, RollupRow};
use super::survey::{self, Hours};
use super::tally::{HourTally, hour};
use super::{Shared, dictionaries, merging};
use crate::kernel::{PortError, PortResult, TimeWindow};

/// How long an hour has been over when it is rolled up. A push to an hour that is over deletes its rollups, so this is
/// how far the clocks of two servers may differ.
const CLOSED_AFTER: TimeDelta = TimeDelta::minutes(15);

/// The whole hours of a window: the starts of the first and the last.
pub(super) fn whole_hours(window: TimeWindow) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let first = hour(window.from());
    let first = if first < window.from() { first + TimeDelta::hours(1) } else { first };
    let last = hour(window.to()) - TimeDelta::hours(1);
    (first <= last).then_some((first, last))
}

/// What is known by rollups of the window's whole hours but `except`, without their stacks.
pub(super) async fn hours(
    shared: &Shared,
    app: i32,
    window: TimeWindow,
    except: Option<DateTime<Utc>>,
) -> PortResult<(BTreeSet<DateTime<Utc>>, Hours)> {
    let Some((first, last)) = whole_hours(window) else { return Ok(Default::default()) };
    let mut rows = sql::heads(&shared.db, app, first, last).await?;
    rows.retain(|(hour, _)| Some(*hour) != except);
    if rows.is_empty() {
        return Ok(Default::default());
    }
    merging(move || {
        let (mut rolled, mut hours) = (BTreeSet::new(), Hours::new());
        for (hour, heads) in rows {
            rolled.insert(hour);
            hours.extend(read_heads(&heads)?.into_iter().map(|(series, tally)| ((hour, series), tally)));
        }
        Ok((rolled, hours))
    })
    .await
}

/// Rolls up hours that are over and have not been, as many as are done at once. Answers how many.
pub(super) async fn roll(shared: &Shared, now: DateTime<Utc>) -> PortResult<usize> {
    let oldest = hour(now - shared.settings.retention);
    let newest = hour(now - CLOSED_AFTER) - TimeDelta::hours(1);
    let open = sql::open_hours(&shared.db, oldest, newest, shared.settings.rollups_at_once).await?;
    let mut rolled = 0;
    for (app, hour) in open {
        match roll_hour(shared, app, hour).await {
            Ok(done) => rolled += usize::from(done),
            // An hour that fails must not stop the others.
            Err(error @ (PortError::Internal(_) | PortError::Timeout(_))) => {
                tracing::warn!(app, %hour, %error, "an hour of the profile store cannot be rolled up");
            }
            Err(error) => return Err(error),
        }
    }
    metrics::counter!("profile_store_rolled_hours_total").increment(rolled as u64);
    Ok(rolled)
}

/// Rolls up an hour of an app; `false` where a late profile or another server came in between.
async fn roll_hour(shared: &Shared, app: i32, hour: DateTime<Utc>) -> PortResult<bool> {
    let blocks = sql::blocks(&shared.db, app, hour).await?;
    let count = blocks.len();
    let known = shared.series_of(app, blocks.iter().map(|block| block.head.series)).await?;
    let epochs = blocks.iter().map(|block| (block.epoch, hour.date_naive())).collect();
    let tables = dictionaries::once(&shared.db, &epochs).await?;
    let rows = merging(move || rows(&blocks, &known, &tables)).await?;
    sql::add(&shared.db, app, hour, rows, count).await
}

/// The rollups of an hour whose blocks come in order of time.
fn rows(
    blocks: &[HourRow],
    known: &BTreeMap<i32, Series>,
    tables: &HashMap<i64, Arc<Tables>>,
) -> Result<Vec<RollupRow>, Corrupt> {
    let mut by_name: BTreeMap<&str, (Hours, Vec<HourBlock<'_>>)> = BTreeMap::new();
    for HourRow { head, epoch, body } in blocks {
        let Some(series) = known.get(&head.series) else { continue };
        let (hours, blocks) = by_name.entry(&series.shape.name).or_default();
        survey::count(hours, head);
        blocks.push(HourBlock { series: head.series, epoch: *epoch, body });
    }
    let row = |(name, (hours, blocks)): (&str, (Hours, Vec<HourBlock<'_>>))| {
        let heads: BTreeMap<i32, HourTally> = hours.into_iter().map(|((_, series), tally)| (series, tally)).collect();
        let growing = |series: i32| {
            known.get(&series).is_some_and(|series| series.shape.cumulative)
                || heads.get(&series).is_some_and(|head| head.tally.may_grow())
        };
        let body = Rollup::merge(&blocks, tables, growing)?;
        Ok(RollupRow { name: name.to_owned(), heads: write_heads(&heads)?, body })
    };
    by_name.into_iter().map(row).collect()
}

fn write_heads(heads: &BTreeMap<i32, HourTally>) -> Result<Vec<u8>, Corrupt> {
    let json = serde_json::to_vec(heads).map_err(|_| Corrupt("its heads cannot be written"))?;
    Ok(codec::compress(&json))
}

fn read_heads(heads: &[u8]) -> Result<BTreeMap<i32, HourTally>, Corrupt> {
    serde_json::from_slice(&codec::decompress(heads)?).map_err(|_| Corrupt("its heads are no JSON of ours"))
}
