//! Answers queries: a survey of the window, then the blocks of what was chosen, an hour's worth of epochs at a time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::super::domain::{MergedProfile, ProfileQuery};
use super::super::resolve::{resolve, resolve_pair};
use super::super::type_id::TypeId;
use super::Shared;
use super::codec::{Block, Corrupt, EpochSum, Joined, Tables};
use super::series::Conditions;
use super::sql::{self, BlockBody, Series};
use super::survey::{Column, Plan, Survey, plan};
use super::writer::hour;
use crate::kernel::{AppName, PortError, PortResult, Selector, TimeWindow, offload};
use crate::profile::{Profile, SampleType};

/// Hours of blocks read at a time; an epoch never spans two.
const HOURS_AT_ONCE: i64 = 2;

/// Whether a window's first half is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Nowhere,
    InHalves,
}

type Known = Arc<BTreeMap<i32, Series>>;

/// The merged profile of a query; `None` where the app is unknown.
pub(super) async fn merged(shared: &Shared, query: &ProfileQuery) -> PortResult<Option<MergedProfile>> {
    let Some(app) = sql::find_app(&shared.db, &query.app).await? else { return Ok(None) };
    let (survey, known) = survey(shared, app, query.window, &query.selector).await?;
    let types = resolve(query.kind, &survey.type_ids(&known)).unwrap_or_default();
    read(shared, app, query, (&survey, &known), &types, Cut::Nowhere).await
}

/// Two windows of an app under one sample type.
pub(super) async fn merged_pair(
    shared: &Shared,
    query: &ProfileQuery,
    baseline: TimeWindow,
    baseline_selector: &Selector,
) -> PortResult<Option<(MergedProfile, MergedProfile)>> {
    let Some(app) = sql::find_app(&shared.db, &query.app).await? else { return Ok(None) };
    let (before, known_before) = survey(shared, app, baseline, baseline_selector).await?;
    let (after, known_after) = survey(shared, app, query.window, &query.selector).await?;
    let (have_before, have_after) = (before.type_ids(&known_before), after.type_ids(&known_after));
    let alone = |have: &[TypeId]| resolve(query.kind, have).unwrap_or_default();
    let (types_before, types_after) = resolve_pair(query.kind, &have_before, &have_after)
        .unwrap_or_else(|| (alone(&have_before), alone(&have_after)));
    let earlier = ProfileQuery { window: baseline, ..query.clone() };
    let before = read(shared, app, &earlier, (&before, &known_before), &types_before, Cut::InHalves).await?;
    let after = read(shared, app, query, (&after, &known_after), &types_after, Cut::Nowhere).await?;
    Ok(before.zip(after))
}

/// The apps with a profile in the window, in order.
pub(super) async fn apps(shared: &Shared, window: TimeWindow) -> PortResult<Vec<AppName>> {
    let names = sql::apps(&shared.db, window).await?;
    let parsed = names.into_iter().map(|name| {
        name.parse::<AppName>().map_err(|e| PortError::Internal(format!("the stored app name {name:?} {e}")))
    });
    let mut apps = parsed.collect::<PortResult<Vec<_>>>()?;
    apps.sort();
    Ok(apps)
}

/// What the selected series of the app have in the window.
async fn survey(shared: &Shared, app: i32, window: TimeWindow, selector: &Selector) -> PortResult<(Survey, Known)> {
    let from = window.from();
    let mut survey: Survey =
        sql::heads(&shared.db, app, window, move |survey: &mut Survey, head| survey.add(&head, from)).await?;
    let known = shared.series_of(app, survey.series()).await?;
    let conditions = Conditions::of(selector).map_err(|e| PortError::Invalid(format!("selector: {e}")))?;
    survey.retain(|id| known.get(&id).is_some_and(|series| conditions.hold(&series.labels)));
    Ok((survey, known))
}

/// Reads these types of what was surveyed for the query's kind and window.
async fn read(
    shared: &Shared,
    app: i32,
    query: &ProfileQuery,
    (survey, known): (&Survey, &Known),
    types: &[TypeId],
    cut: Cut,
) -> PortResult<Option<MergedProfile>> {
    let (kind, window) = (query.kind, query.window);
    let Plan { columns, mut meta } = plan(survey, known, kind, types, window, shared.clock.now());
    if columns.is_empty() {
        let (before, last) = sql::last_blocks(&shared.db, app, window.to()).await?;
        if last.is_none() {
            return Ok(None);
        }
        meta.last_profile_at = before;
        return Ok(Some(MergedProfile { profile: Arc::default(), meta }));
    }
    let sample_type = meta.sample_type.clone().unwrap_or_else(|| SampleType::new("", ""));
    // What grew between first and last says nothing of halves, and snapshots are no sums.
    let sums = !kind.is_snapshot() && columns.values().all(|column| !column.cumulative);
    let cut_at = (cut == Cut::InHalves && sums).then(|| window.from() + window.duration() / 2);
    let merge = Merge { columns, cut_at, ..Merge::default() };
    let profile = merge.window(shared, app, window, sample_type).await?;
    Ok(Some(MergedProfile { profile: Arc::new(profile), meta }))
}

/// A merge under way.
#[derive(Debug, Default)]
struct Merge {
    columns: BTreeMap<i32, Column>,
    joined: Joined,
    /// Where the second half begins, until a block of it comes.
    cut_at: Option<DateTime<Utc>>,
    /// The last block of each series that only ever grows, with its epoch and when it came.
    last: BTreeMap<i32, (i64, DateTime<Utc>, Block)>,
}

type Sums = BTreeMap<i64, EpochSum>;

impl Merge {
    async fn window(
        mut self,
        shared: &Shared,
        app: i32,
        window: TimeWindow,
        sample_type: SampleType,
    ) -> PortResult<Profile> {
        let series: Vec<_> = self.columns.keys().copied().collect();
        let mut from = window.from();
        while from < window.to() {
            let to = (hour(from) + TimeDelta::hours(HOURS_AT_ONCE)).min(window.to());
            let part = TimeWindow::new(from, to).map_err(|e| PortError::Internal(e.to_string()))?;
            let blocks = sql::bodies(&shared.db, app, part, &series).await?;
            if !blocks.is_empty() {
                self = self.part(shared, blocks).await?;
            }
            from = to;
        }
        self.finish(shared, sample_type).await
    }

    /// Adds the blocks of some hours.
    async fn part(mut self, shared: &Shared, blocks: Vec<BlockBody>) -> PortResult<Self> {
        let mut epochs: BTreeMap<_, _> = blocks.iter().map(|b| (b.epoch, b.time.date_naive())).collect();
        epochs.extend(self.last.values().map(|(epoch, time, _)| (*epoch, time.date_naive())));
        let tables = shared.dictionaries.of(&shared.db, &epochs).await?;
        let work = move || {
            let mut sums = Sums::new();
            for block in &blocks {
                if self.cut_at.is_some_and(|at| at <= block.time) {
                    self.cut_at = None;
                    self.join(&std::mem::take(&mut sums), &tables);
                    self.joined.cut();
                }
                self.add(block, &mut sums)?;
            }
            self.join(&sums, &tables);
            Ok(self)
        };
        merging(work).await
    }

    /// The profile. What is left of growing series, their last blocks, is added first.
    async fn finish(mut self, shared: &Shared, sample_type: SampleType) -> PortResult<Profile> {
        let grew = !self.last.is_empty();
        let epochs = self.last.values().map(|(epoch, time, _)| (*epoch, time.date_naive())).collect();
        let tables = if grew { shared.dictionaries.of(&shared.db, &epochs).await? } else { HashMap::new() };
        let work = move || {
            let mut sums = Sums::new();
            for (series, (epoch, _, block)) in std::mem::take(&mut self.last) {
                self.sum(series, epoch, &block, 1, &mut sums);
            }
            self.join(&sums, &tables);
            Ok(self.joined.into_profile(sample_type, grew))
        };
        merging(work).await
    }

    fn add(&mut self, stored: &BlockBody, sums: &mut Sums) -> Result<(), Corrupt> {
        let Some(column) = self.columns.get(&stored.series) else { return Ok(()) };
        let block = Block::decode(&stored.body)?;
        if !column.cumulative {
            self.sum(stored.series, stored.epoch, &block, 1, sums);
            return Ok(());
        }
        let total = |block: &Block| {
            let totals = block.totals();
            column.sample_types.iter().fold(0, |sum: i64, at| sum.saturating_add(totals.get(*at).copied().unwrap_or(0)))
        };
        match self.last.get(&stored.series) {
            None => self.sum(stored.series, stored.epoch, &block, -1, sums),
            // The source began anew: what it had grown to until then stays, and it grows from nothing again.
            Some((epoch, _, last)) if total(&block) < total(last) => self.sum(stored.series, *epoch, last, 1, sums),
            Some(_) => {}
        }
        self.last.insert(stored.series, (stored.epoch, stored.time, block));
        Ok(())
    }

    fn sum(&self, series: i32, epoch: i64, block: &Block, times: i64, sums: &mut Sums) {
        let sum = sums.entry(epoch).or_default();
        for sample_type in self.columns.get(&series).into_iter().flat_map(|column| &column.sample_types) {
            sum.add(block, *sample_type, times);
        }
    }

    fn join(&mut self, sums: &Sums, tables: &HashMap<i64, Arc<Tables>>) {
        for (epoch, sum) in sums {
            if let Some(tables) = tables.get(epoch) {
                self.joined.join(sum, tables);
            }
        }
    }
}

async fn merging<T: Send + 'static>(work: impl FnOnce() -> Result<T, Corrupt> + Send + 'static) -> PortResult<T> {
    offload("merging profiles", work).await?.map_err(|e| PortError::Internal(e.to_string()))
}
