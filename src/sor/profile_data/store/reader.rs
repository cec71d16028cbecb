//! Answers queries: a survey of the window, then the blocks of what was chosen, an hour's worth of epochs at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::super::domain::{MergedProfile, ProfileMeta, ProfileQuery, without_samples};
use super::super::resolve::{resolve, resolve_pair};
use super::super::type_id::TypeId;
use super::codec::{Block, Corrupt, EpochSum, Growth, Joined, Rollup, Tables};
use super::rollups;
use super::series::Conditions;
use super::series::Series;
use super::silence::{Silence, silence};
use super::sql::{self, BlockBody};
use super::survey::{self, Column, Hours, Plan, Run, Survey, plan};
use super::tally::hour;
use super::{Shared, merging};
use crate::kernel::{AppName, NoDataReason, PortError, PortResult, Selector, Tenant, TimeWindow};
use crate::profile::{Profile, SampleType};

/// Hours of blocks read at a time; an epoch never spans two.
const HOURS_AT_ONCE: i64 = 2;
/// Hours read at a time from rollups.
const ROLLUPS_AT_ONCE: i64 = 24;

/// Whether a window's first half is kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Nowhere,
    InHalves,
}

pub(super) type Known = Arc<BTreeMap<i32, Series>>;

/// The merged profile of a query; `None` where the app is unknown.
pub(super) async fn merged(shared: &Shared, query: &ProfileQuery) -> PortResult<Option<MergedProfile>> {
    let Some(app) = sql::find_app(&shared.db, query.tenant.as_ref(), &query.app).await? else { return Ok(None) };
    let (survey, known) = survey(shared, app, query.window, &query.selector, None).await?;
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
    let Some(app) = sql::find_app(&shared.db, query.tenant.as_ref(), &query.app).await? else { return Ok(None) };
    // If the hour of the split has no blocks any more, its rollup is better than nothing.
    let cut_hour = hour(middle(baseline));
    let divided = Some(cut_hour)
        .filter(|hour| *hour != middle(baseline) && *hour >= shared.clock.now() - shared.settings.retention);
    let (before, known_before) = survey(shared, app, baseline, baseline_selector, divided).await?;
    let (after, known_after) = survey(shared, app, query.window, &query.selector, None).await?;
    let (have_before, have_after) = (before.type_ids(&known_before), after.type_ids(&known_after));
    let alone = |have: &[TypeId]| resolve(query.kind, have).unwrap_or_default();
    let (types_before, types_after) = resolve_pair(query.kind, &have_before, &have_after)
        .unwrap_or_else(|| (alone(&have_before), alone(&have_after)));
    let earlier = ProfileQuery { window: baseline, selector: baseline_selector.clone(), ..query.clone() };
    let before = read(shared, app, &earlier, (&before, &known_before), &types_before, Cut::InHalves).await?;
    let after = read(shared, app, query, (&after, &known_after), &types_after, Cut::Nowhere).await?;
    Ok(before.zip(after))
}

/// The tenant's apps with a profile in the window, in order.
pub(super) async fn apps(shared: &Shared, tenant: Option<&Tenant>, window: TimeWindow) -> PortResult<Vec<AppName>> {
    let names = sql::apps(&shared.db, tenant, window, rollups::whole_hours(window)).await?;
    let parsed = names.into_iter().map(|name| {
        name.parse::<AppName>().map_err(|e| PortError::Internal(format!("the stored app name {name:?} {e}")))
    });
    let mut apps = parsed.collect::<PortResult<Vec<_>>>()?;
    apps.sort();
    Ok(apps)
}

/// What the selected series of the app have in the window. The hour that is to be divided is not read from rollups.
pub(super) async fn survey(
    shared: &Shared,
    app: i32,
    window: TimeWindow,
    selector: &Selector,
    divided: Option<DateTime<Utc>>,
) -> PortResult<(Survey, Known)> {
    let (rolled, of_rollups) = rollups::hours(shared, app, window, divided).await?;
    let mut hours: Hours = sql::heads(&shared.db, app, &gaps(window, &rolled)?, |hours: &mut Hours, head| {
        survey::count(hours, &head);
    })
    .await?;
    hours.extend(of_rollups);
    let mut survey = Survey::of(&hours, rolled);
    let known = shared.series_of(app, survey.series()).await?;
    let conditions = Conditions::of(selector).map_err(invalid_selector)?;
    survey.retain(|id| known.get(&id).is_some_and(|series| conditions.hold(&series.labels)));
    Ok((survey, known))
}

#[expect(clippy::needless_pass_by_value, reason = "maps errors")]
fn invalid_selector(error: regex::Error) -> PortError {
    PortError::Invalid(format!("selector: {error}"))
}

/// What is left of a window without these hours of it.
pub(super) fn gaps(window: TimeWindow, hours: &BTreeSet<DateTime<Utc>>) -> PortResult<Vec<TimeWindow>> {
    let mut gaps = Vec::new();
    let mut from = window.from();
    for (begin, end) in
        hours.iter().map(|hour| (*hour, *hour + TimeDelta::hours(1))).chain([(window.to(), window.to())])
    {
        if from < begin {
            gaps.push(part(from, begin)?);
        }
        from = end;
    }
    Ok(gaps)
}

pub(super) fn part(from: DateTime<Utc>, to: DateTime<Utc>) -> PortResult<TimeWindow> {
    TimeWindow::new(from, to).map_err(|e| PortError::Internal(e.to_string()))
}

fn middle(window: TimeWindow) -> DateTime<Utc> {
    window.from() + window.duration() / 2
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
        return nothing(shared, app, query, survey, meta).await;
    }
    let sample_type = meta.sample_type.clone().unwrap_or_else(|| SampleType::new("", ""));
    // What grew between first and last says nothing of halves, and snapshots are no sums.
    let sums = !kind.is_snapshot() && columns.values().all(|column| !column.cumulative);
    let cut_at = Some(middle(window)).filter(|at| {
        let divides_rollup = survey.is_rolled(hour(*at)) && hour(*at) != *at;
        cut == Cut::InHalves && sums && !divides_rollup
    });
    let part = Part::of(app, survey, known, &columns);
    let merge = Merge { columns, cut_at, ..Merge::default() };
    let profile = merge.read(shared, query.window, &part).await?.into_profile(sample_type).await?;
    meta.no_data = without_samples(&profile);
    Ok(Some(MergedProfile { profile: Arc::new(profile), meta }))
}

/// The profiles of these types, merged. `None`: there are none.
pub(super) async fn read_types(
    shared: &Shared,
    app: i32,
    query: &ProfileQuery,
    types: &[TypeId],
) -> PortResult<Option<Profile>> {
    let (survey, known) = survey(shared, app, query.window, &query.selector, None).await?;
    let Plan { columns, .. } = plan(&survey, &known, query.kind, types, query.window, shared.clock.now());
    let Some(sample_type) = types.first().map(TypeId::values).filter(|_| !columns.is_empty()) else {
        return Ok(None);
    };
    let part = Part::of(app, &survey, &known, &columns);
    let merge = Merge::new(columns).read(shared, query.window, &part).await?;
    merge.into_profile(sample_type).await.map(Some)
}

/// The answer where the window has no profile of the kind from a selected series, and why it has none. `None`: the app
/// has no profiles any more.
pub(super) async fn nothing(
    shared: &Shared,
    app: i32,
    query: &ProfileQuery,
    survey: &Survey,
    mut meta: ProfileMeta,
) -> PortResult<Option<MergedProfile>> {
    // Read anew: series that the window does not need may have come since.
    let known = sql::series(&shared.db, app).await?;
    let conditions = Conditions::of(&query.selector).map_err(invalid_selector)?;
    let Silence { reason, kinds, series } = silence(&known, query.kind, &conditions);
    let last = sql::last_blocks(&shared.db, app, query.window.to(), &series).await?;
    if last.of_app.is_none() && survey.last_at().is_none() {
        return Ok(None);
    }
    if meta.kinds.is_empty() {
        meta.kinds = kinds;
    }
    meta.no_data = Some(reason);
    let in_window = survey.last_at().filter(|_| reason != NoDataReason::NoneInWindow);
    meta.last_profile_at = last.of_series.max(in_window);
    Ok(Some(MergedProfile { profile: Arc::default(), meta }))
}

/// What a merge reads of one app.
#[derive(Debug)]
pub(super) struct Part {
    app: i32,
    runs: Vec<Run>,
    /// The names of the profiles whose rollups are read.
    names: Vec<String>,
    series: Vec<i32>,
}

impl Part {
    pub(super) fn of(
        app: i32,
        survey: &Survey,
        known: &BTreeMap<i32, Series>,
        columns: &BTreeMap<i32, Column>,
    ) -> Self {
        let names: BTreeSet<_> = columns.keys().filter_map(|id| known.get(id)).map(|s| s.shape.name.clone()).collect();
        let runs = survey.runs(columns, HOURS_AT_ONCE, ROLLUPS_AT_ONCE);
        Self { app, runs, names: names.into_iter().collect(), series: columns.keys().copied().collect() }
    }
}

/// A merge under way.
#[derive(Debug, Default)]
pub(super) struct Merge {
    columns: BTreeMap<i32, Column>,
    joined: Joined,
    /// Where the second half begins, until a block of it comes.
    cut_at: Option<DateTime<Utc>>,
    /// The last block of each series that only ever grows, with its epoch.
    last: BTreeMap<i32, (Epoch, Block)>,
    rollups_read: i64,
}

/// What numbers the nodes of a block. Those of rollups have negative ids.
type Epoch = (i64, Arc<Tables>);

type Sums = BTreeMap<i64, (Arc<Tables>, EpochSum)>;

impl Merge {
    /// A merge of these sample types of series, which may be those of several apps.
    pub(super) fn new(columns: BTreeMap<i32, Column>) -> Self {
        Self { columns, ..Self::default() }
    }

    /// Adds what an app has in the window.
    pub(super) async fn read(mut self, shared: &Shared, window: TimeWindow, of_app: &Part) -> PortResult<Self> {
        for run in &of_app.runs {
            let inside = part(run.from.max(window.from()), run.to.min(window.to()))?;
            if run.rolled {
                let rollups = sql::rollups::bodies(&shared.db, of_app.app, run.from, run.to, &of_app.names).await?;
                if run.is_covered_by(rollups.iter().map(|(hour, _)| *hour)) {
                    self = merging(move || self.rollups(&rollups)).await?;
                    continue;
                }
                // A late profile has just deleted a rollup.
            }
            let blocks = sql::bodies(&shared.db, of_app.app, inside, &of_app.series).await?;
            if blocks.is_empty() {
                continue;
            }
            let epochs = blocks.iter().map(|b| (b.epoch, b.time.date_naive())).collect();
            let tables = shared.dictionaries.of(&shared.db, &epochs).await?;
            self = merging(move || self.blocks(&blocks, &tables)).await?;
        }
        Ok(self)
    }

    /// The merged profile.
    pub(super) async fn into_profile(self, sample_type: SampleType) -> PortResult<Profile> {
        merging(move || Ok(self.finish(sample_type))).await
    }

    /// Adds the blocks of some hours.
    pub(super) fn blocks(mut self, blocks: &[BlockBody], tables: &HashMap<i64, Arc<Tables>>) -> Result<Self, Corrupt> {
        let mut sums = Sums::new();
        for stored in blocks {
            self.cut(stored.time, &mut sums);
            let (Some(column), Some(tables)) = (self.columns.get(&stored.series), tables.get(&stored.epoch)) else {
                continue;
            };
            let (epoch, block) = ((stored.epoch, Arc::clone(tables)), Block::decode(&stored.body)?);
            if column.cumulative {
                self.grow(stored.series, epoch, block, &mut sums);
            } else {
                self.sum(stored.series, &epoch, &block, 1, &mut sums);
            }
        }
        self.join(sums);
        Ok(self)
    }

    /// Adds rollups.
    fn rollups(mut self, rollups: &[(DateTime<Utc>, Vec<u8>)]) -> Result<Self, Corrupt> {
        for (hour, body) in rollups {
            let mut sums = Sums::new();
            self.cut(*hour, &mut sums);
            let Rollup { tables, series } = Rollup::decode(body)?;
            self.rollups_read += 1;
            let epoch = (-self.rollups_read, tables);
            for (series, rolled) in series {
                let Some(column) = self.columns.get(&series) else { continue };
                if !column.cumulative {
                    self.sum(series, &epoch, &rolled.sum, 1, &mut sums);
                } else if let Some(Growth { first, last, ended }) = rolled.growth {
                    self.grow(series, epoch.clone(), first, &mut sums);
                    self.sum(series, &epoch, &ended, 1, &mut sums);
                    self.last.insert(series, (epoch.clone(), last));
                }
            }
            self.join(sums);
        }
        Ok(self)
    }

    /// Ends the first half where it is over at that time.
    fn cut(&mut self, time: DateTime<Utc>, sums: &mut Sums) {
        if self.cut_at.is_some_and(|at| at <= time) {
            self.cut_at = None;
            self.join(std::mem::take(sums));
            self.joined.cut();
        }
    }

    /// Adds the next block of a series that only ever grows.
    fn grow(&mut self, series: i32, epoch: Epoch, block: Block, sums: &mut Sums) {
        let total = |block: &Block| {
            let (totals, column) = (block.totals(), self.columns.get(&series));
            let wanted = column.into_iter().flat_map(|column| &column.sample_types);
            wanted.fold(0, |sum: i64, at| sum.saturating_add(totals.get(*at).copied().unwrap_or(0)))
        };
        match self.last.get(&series) {
            None => self.sum(series, &epoch, &block, -1, sums),
            // The source began anew: what it had grown to until then stays, and it grows from nothing again.
            Some((epoch, last)) if total(&block) < total(last) => self.sum(series, epoch, last, 1, sums),
            Some(_) => {}
        }
        self.last.insert(series, (epoch, block));
    }

    /// The profile. What is left of growing series, their last blocks, is added first.
    pub(super) fn finish(mut self, sample_type: SampleType) -> Profile {
        let last = std::mem::take(&mut self.last);
        let mut sums = Sums::new();
        for (series, (epoch, block)) in &last {
            self.sum(*series, epoch, block, 1, &mut sums);
        }
        self.join(sums);
        self.joined.into_profile(sample_type, !last.is_empty())
    }

    fn sum(&self, series: i32, (epoch, tables): &Epoch, block: &Block, times: i64, sums: &mut Sums) {
        let (_, sum) = sums.entry(*epoch).or_insert_with(|| (Arc::clone(tables), EpochSum::default()));
        for sample_type in self.columns.get(&series).into_iter().flat_map(|column| &column.sample_types) {
            sum.add(block, *sample_type, times);
        }
    }

    fn join(&mut self, sums: Sums) {
        for (tables, sum) in sums.into_values() {
            self.joined.join(&sum, &tables);
        }
    }
}
