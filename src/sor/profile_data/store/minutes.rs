//! Reads profiles minute by minute, those of a window and of the hour before it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use super::super::domain::{ByMinute, ProfileQuery};
use super::super::resolve::resolve;
use super::super::type_id::TypeId;
use super::codec::{Block, Corrupt, EpochSum, Joined, Tables};
use super::reader::{part, survey};
use super::sql::{self, BlockBody};
use super::survey::{Column, Plan, plan};
use super::{Shared, merging};
use crate::kernel::{PortResult, TimeWindow};
use crate::profile::{Profile, SampleType};

/// How much before a window is read too.
const BEFORE: TimeDelta = TimeDelta::hours(1);
/// Longer windows are not read by the minute: there would be too many profiles.
pub(super) const LONGEST: TimeDelta = TimeDelta::hours(2);
/// Profiles of the last seconds are still on their way.
const ON_THEIR_WAY: TimeDelta = TimeDelta::seconds(30);
/// Blocks read at a time.
const AT_ONCE: TimeDelta = TimeDelta::minutes(30);

/// The profiles of each minute that has any and is over. `None`: they cannot be had by the minute, because the window is
/// longer than two hours, its blocks are not kept any more, or the values are no sums.
pub(super) async fn by_minute(shared: &Shared, query: &ProfileQuery) -> PortResult<Option<ByMinute>> {
    let now = shared.clock.now();
    let from = query.window.from() - BEFORE;
    let to = floor(query.window.to().min(now - ON_THEIR_WAY));
    let is_kept = from >= now - shared.settings.retention;
    if query.window.duration() > LONGEST || query.kind.is_snapshot() || !is_kept || to <= from {
        return Ok(None);
    }
    let Some(app) = sql::find_app(&shared.db, query.tenant.as_ref(), &query.app).await? else { return Ok(None) };
    let window = part(from, to)?;
    let (survey, known) = survey(shared, app, window, &query.selector, None).await?;
    let types = resolve(query.kind, &survey.type_ids(&known)).unwrap_or_default();
    let Plan { columns, .. } = plan(&survey, &known, query.kind, &types, window, now);
    if columns.values().any(|column| column.cumulative) {
        return Ok(None);
    }
    let versions = survey.versions(&known, &columns);
    let minutes = read(shared, app, window, columns, types.first().map(TypeId::values)).await?;
    Ok(Some(ByMinute { minutes, versions }))
}

async fn read(
    shared: &Shared,
    app: i32,
    window: TimeWindow,
    columns: BTreeMap<i32, Column>,
    sample_type: Option<SampleType>,
) -> PortResult<Vec<(DateTime<Utc>, Profile)>> {
    let Some(sample_type) = sample_type else { return Ok(Vec::new()) };
    let series: Vec<_> = columns.keys().copied().collect();
    let columns = Arc::new(columns);
    let mut minutes = Vec::new();
    let mut from = window.from();
    while from < window.to() {
        let to = floor(from + AT_ONCE).min(window.to());
        let blocks = sql::bodies(&shared.db, app, part(from, to)?, &series).await?;
        let epochs = blocks.iter().map(|b| (b.epoch, b.time.date_naive())).collect();
        let tables = shared.dictionaries.of(&shared.db, &epochs).await?;
        let (columns, sample_type) = (Arc::clone(&columns), sample_type.clone());
        minutes.extend(merging(move || merged(&blocks, &tables, &columns, &sample_type)).await?);
        from = to;
    }
    Ok(minutes)
}

/// Merges blocks, which come in order of time, by the minute.
fn merged(
    blocks: &[BlockBody],
    tables: &HashMap<i64, Arc<Tables>>,
    columns: &BTreeMap<i32, Column>,
    sample_type: &SampleType,
) -> Result<Vec<(DateTime<Utc>, Profile)>, Corrupt> {
    let mut minutes = Vec::new();
    for of_minute in blocks.chunk_by(|a, b| floor(a.time) == floor(b.time)) {
        let mut sums: BTreeMap<i64, EpochSum> = BTreeMap::new();
        for stored in of_minute {
            let Some(column) = columns.get(&stored.series) else { continue };
            let block = Block::decode(&stored.body)?;
            let sum = sums.entry(stored.epoch).or_default();
            column.sample_types.iter().for_each(|sample_type| sum.add(&block, *sample_type, 1));
        }
        let mut joined = Joined::default();
        for (epoch, sum) in &sums {
            if let Some(tables) = tables.get(epoch) {
                joined.join(sum, tables);
            }
        }
        let at = of_minute.first().map(|block| floor(block.time));
        minutes.extend(at.map(|at| (at, joined.into_profile(sample_type.clone(), false))));
    }
    Ok(minutes)
}

/// The start of the minute of an instant.
fn floor(instant: DateTime<Utc>) -> DateTime<Utc> {
    instant.duration_trunc(TimeDelta::minutes(1)).unwrap_or(instant)
}
