//! Reads a window step by step.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::super::domain::{MergedProfile, ProfileMeta, ProfileQuery};
use super::super::resolve::resolve;
use super::super::timeline::{MOST_STACKS, MOST_TOTALS, StepWidth, Timeline};
use super::super::type_id::TypeId;
use super::codec::Tables;
use super::reader::{Merge, nothing, part, read_types, survey};
use super::select::{Counting, by_series};
use super::sql::{self, BlockBody};
use super::survey::{Column, Plan, Survey, plan};
use super::tally::BlockHead;
use super::{Shared, merging};
use crate::kernel::{PortError, PortResult, TimeWindow};
use crate::profile::{Profile, SampleType, aligned};

/// Steps from this width on are read like any window, from rollups where there are some.
const LIKE_WINDOWS: TimeDelta = TimeDelta::hours(1);
/// Blocks of shorter steps are read for this long a time at once.
const AT_ONCE: TimeDelta = TimeDelta::minutes(30);

/// What the query's window has of its kind.
struct Found<'q> {
    query: &'q ProfileQuery,
    app: i32,
    survey: Survey,
    types: Vec<TypeId>,
    columns: BTreeMap<i32, Column>,
    meta: ProfileMeta,
}

impl<'q> Found<'q> {
    /// `None`: the app is unknown.
    async fn of(shared: &Shared, query: &'q ProfileQuery) -> PortResult<Option<Self>> {
        let Some(app) = sql::find_app(&shared.db, query.tenant.as_ref(), &query.app).await? else { return Ok(None) };
        let (survey, known) = survey(shared, app, query.window, &query.selector, None).await?;
        let types = resolve(query.kind, &survey.type_ids(&known)).unwrap_or_default();
        let Plan { columns, meta } = plan(&survey, &known, query.kind, &types, query.window, shared.clock.now());
        Ok(Some(Self { query, app, survey, types, columns, meta }))
    }

    async fn nothing<T>(self, shared: &Shared) -> PortResult<Option<Timeline<T>>> {
        let nothing = nothing(shared, self.app, self.query, &self.survey, self.meta).await?;
        Ok(nothing.map(|MergedProfile { meta, .. }| Timeline::empty(meta)))
    }

    fn sample_type(&self) -> SampleType {
        self.meta.sample_type.clone().unwrap_or_else(|| SampleType::new("", ""))
    }

    fn series(&self) -> Vec<i32> {
        self.columns.keys().copied().collect()
    }
}

/// The totals of each step. Hours that are only kept as rollups count at their start.
pub(super) async fn totals(
    shared: &Shared,
    query: &ProfileQuery,
    width: StepWidth,
) -> PortResult<Option<Timeline<i64>>> {
    width.at_most(query.window, MOST_TOTALS, "totals")?;
    let Some(found) = Found::of(shared, query).await? else { return Ok(None) };
    if found.columns.is_empty() {
        return found.nothing(shared).await;
    }
    let counting = if query.kind.is_snapshot() { Counting::Last } else { Counting::Sum };
    let start = move |at| width.floor(at).timestamp();
    let by_series = by_series(shared, (found.app, &found.columns), query.window, start, counting).await?;
    let mut steps: BTreeMap<i64, i64> = BTreeMap::new();
    for (start, total) in by_series.into_values().flatten() {
        let sum = steps.entry(start).or_default();
        *sum = sum.saturating_add(total);
    }
    let at = |(start, total)| Some((DateTime::from_timestamp(start, 0)?, total));
    Ok(Some(Timeline { meta: found.meta, steps: steps.into_iter().filter_map(at).collect() }))
}

/// The stacks of each step. All steps share their functions.
pub(super) async fn stacks(
    shared: &Shared,
    query: &ProfileQuery,
    width: StepWidth,
) -> PortResult<Option<Timeline<Profile>>> {
    width.at_most(query.window, MOST_STACKS, "stacks")?;
    let Some(found) = Found::of(shared, query).await? else { return Ok(None) };
    if found.columns.is_empty() {
        return found.nothing(shared).await;
    }
    if found.columns.values().any(|column| column.cumulative) {
        let why = "the values count since the process began: only their totals are known step by step";
        return Err(PortError::Invalid(why.to_owned()));
    }
    let steps = if query.kind.is_snapshot() {
        held(shared, &found, width).await?
    } else if width.get() < LIKE_WINDOWS {
        of_blocks(shared, &found, width).await?
    } else {
        like_windows(shared, &found, width).await?
    };
    let steps = merging(move || {
        let (starts, profiles): (Vec<_>, Vec<_>) = steps.into_iter().unzip();
        Ok(starts.into_iter().zip(aligned(profiles)).collect())
    });
    Ok(Some(Timeline { steps: steps.await?, meta: found.meta }))
}

type Steps = Vec<(DateTime<Utc>, Profile)>;

/// Reads each step as a window of its own.
async fn like_windows(shared: &Shared, found: &Found<'_>, width: StepWidth) -> PortResult<Steps> {
    let mut steps = Vec::new();
    let mut start = width.floor(found.query.window.from());
    while start < found.query.window.to() {
        let query = ProfileQuery { window: width.window(start)?, ..found.query.clone() };
        let read = read_types(shared, found.app, &query, &found.types).await?;
        steps.extend(read.filter(|profile| profile.stack_count() > 0).map(|profile| (start, profile)));
        start += width.get();
    }
    Ok(steps)
}

/// Reads short steps from blocks, many at once. Older profiles are only kept by the hour.
async fn of_blocks(shared: &Shared, found: &Found<'_>, width: StepWidth) -> PortResult<Steps> {
    let Found { app, query, .. } = *found;
    let retention = shared.settings.retention;
    if query.window.from() < shared.clock.now() - retention {
        let days = retention.num_days();
        return Err(PortError::Invalid(format!("step: after {days} days, profiles are only kept by the hour")));
    }
    let series = found.series();
    let mut steps = Vec::new();
    let mut from = query.window.from();
    while from < query.window.to() {
        let to = (width.floor(from + AT_ONCE)).max(from + width.get()).min(query.window.to());
        let blocks = sql::bodies(&shared.db, app, part(from, to)?, &series).await?;
        let (tables, columns) = (tables(shared, &blocks).await?, found.columns.clone());
        let sample_type = found.sample_type();
        let of_step = move || {
            let by_step = blocks.chunk_by(|a, b| width.floor(a.time) == width.floor(b.time));
            let merged = by_step.filter_map(|blocks| Some((width.floor(blocks.first()?.time), blocks)));
            let merged = merged.map(|(start, blocks)| {
                let merge = Merge::new(columns.clone()).blocks(blocks, &tables)?;
                Ok((start, merge.finish(sample_type.clone())))
            });
            merged.collect::<Result<Vec<_>, _>>()
        };
        steps.extend(merging(of_step).await?);
        from = to;
    }
    Ok(steps)
}

/// Reads the last snapshot of each series in each step.
async fn held(shared: &Shared, found: &Found<'_>, width: StepWidth) -> PortResult<Steps> {
    type Last = BTreeMap<DateTime<Utc>, HashMap<i32, DateTime<Utc>>>;
    let visit = move |last: &mut Last, head: BlockHead| {
        last.entry(width.floor(head.time)).or_default().insert(head.series, head.time);
    };
    let last: Last = sql::heads(&shared.db, found.app, &[found.query.window], visit).await?;
    let series = found.series();
    let mut steps = Vec::new();
    for (start, mut last) in last {
        last.retain(|id, _| found.columns.contains_key(id));
        let (Some(first), Some(end)) = (last.values().min(), last.values().max()) else { continue };
        let window: TimeWindow = part(*first, *end + TimeDelta::milliseconds(1))?;
        let mut blocks = sql::bodies(&shared.db, found.app, window, &series).await?;
        blocks.retain(|block| last.get(&block.series) == Some(&block.time));
        let (tables, columns) = (tables(shared, &blocks).await?, found.columns.clone());
        let sample_type = found.sample_type();
        let merged = move || Ok(Merge::new(columns).blocks(&blocks, &tables)?.finish(sample_type));
        steps.push((start, merging(merged).await?));
    }
    Ok(steps)
}

/// The dictionaries of blocks.
async fn tables(shared: &Shared, blocks: &[BlockBody]) -> PortResult<HashMap<i64, Arc<Tables>>> {
    let epochs = blocks.iter().map(|b| (b.epoch, b.time.date_naive())).collect();
    shared.dictionaries.of(&shared.db, &epochs).await
}
