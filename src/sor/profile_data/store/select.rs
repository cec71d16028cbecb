//! Questions about exact profile types and labels, over all apps of a tenant: what Pyroscope's query service asks.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt};

use super::super::type_id::TypeId;
use super::Shared;
use super::reader::{Known, Merge, Part, apps, gaps, part, survey};
use super::rollups;
use super::sql;
use super::survey::{Column, Survey};
use super::tally::{BlockHead, hour};
use crate::kernel::{AppName, PortResult, Selector, Tenant, TimeWindow};
use crate::profile::{Profile, SampleType};

/// Apps that are surveyed at the same time.
const AT_ONCE: usize = 4;

/// One type of the profiles of a series.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TypedSeries<'s> {
    /// The app.
    pub(crate) app: &'s AppName,
    /// The full type ID.
    pub(crate) type_id: &'s TypeId,
    /// The other labels.
    pub(crate) labels: &'s BTreeMap<String, String>,
}

/// The same, as an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundSeries {
    app: AppName,
    type_id: TypeId,
    labels: BTreeMap<String, String>,
}

impl FoundSeries {
    /// What it is.
    pub(crate) fn as_ref(&self) -> TypedSeries<'_> {
        TypedSeries { app: &self.app, type_id: &self.type_id, labels: &self.labels }
    }
}

/// Which series are read.
pub(crate) trait SeriesFilter: Send + Sync {
    /// Whether some series of the app may pass.
    fn passes_app(&self, app: &AppName) -> bool;

    /// Whether this type of a series passes.
    fn passes(&self, series: TypedSeries<'_>) -> bool;
}

/// Equal steps of time. A step ends at its number times the width after the start, and holds what came since the end of
/// the step before it, its own end included. So step 0 holds what came at the start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steps {
    /// Where step 0 ends.
    pub(crate) start: DateTime<Utc>,
    /// The width, longer than nothing.
    pub(crate) width: TimeDelta,
}

impl Steps {
    /// The number of the step of an instant.
    fn of(&self, instant: DateTime<Utc>) -> i64 {
        let micros = |delta: TimeDelta| delta.num_microseconds().unwrap_or(i64::MAX);
        let (since, width) = (micros(instant - self.start), micros(self.width).max(1));
        // Rounded up: a step ends where it is counted.
        since.div_euclid(width) + i64::from(since.rem_euclid(width) > 0)
    }
}

/// What an app has of the series that are read.
struct OfApp {
    app: AppName,
    id: i32,
    survey: Survey,
    known: Known,
    columns: BTreeMap<i32, Column>,
}

/// Surveys the apps that may have series that pass, in order of their names.
async fn surveyed(
    shared: &Shared,
    tenant: &Tenant,
    window: TimeWindow,
    filter: &dyn SeriesFilter,
) -> PortResult<Vec<OfApp>> {
    let mut apps = apps(shared, Some(tenant), window).await?;
    apps.retain(|app| filter.passes_app(app));
    let of_app = |app: AppName| async move {
        let Some(id) = sql::find_app(&shared.db, Some(tenant), &app).await? else { return Ok(None) };
        let (survey, known) = survey(shared, id, window, &Selector::default(), None).await?;
        let columns = survey
            .columns(&known, |type_id, labels| filter.passes(TypedSeries { app: &app, type_id, labels: labels.all() }));
        Ok((!columns.is_empty()).then_some(OfApp { app, id, survey, known, columns }))
    };
    let surveys = futures::stream::iter(apps.into_iter().map(of_app)).buffered(AT_ONCE);
    surveys.try_filter_map(|found| async move { Ok(found) }).try_collect().await
}

/// The series that pass, once for each type.
pub(super) async fn series(
    shared: &Shared,
    tenant: &Tenant,
    window: TimeWindow,
    filter: &dyn SeriesFilter,
) -> PortResult<Vec<FoundSeries>> {
    let apps = surveyed(shared, tenant, window, filter).await?;
    Ok(apps.iter().flat_map(|of_app| of_app.columns.keys().flat_map(|id| found(of_app, *id))).collect())
}

/// The types of a series that are read.
fn found(of_app: &OfApp, id: i32) -> Vec<FoundSeries> {
    let (Some(series), Some(column)) = (of_app.known.get(&id), of_app.columns.get(&id)) else { return Vec::new() };
    let types = series.shape.type_ids().enumerate().filter(|(at, _)| column.sample_types.contains(at));
    types
        .map(|(_, type_id)| FoundSeries { app: of_app.app.clone(), type_id, labels: series.labels.all().clone() })
        .collect()
}

/// Merges the series that pass.
pub(super) async fn merged(
    shared: &Shared,
    tenant: &Tenant,
    window: TimeWindow,
    filter: &dyn SeriesFilter,
    sample_type: SampleType,
) -> PortResult<Profile> {
    let apps = surveyed(shared, tenant, window, filter).await?;
    let all = apps.iter().flat_map(|of_app| of_app.columns.iter().map(|(id, column)| (*id, column.clone())));
    let mut merge = Merge::new(all.collect());
    for of_app in &apps {
        let part = Part::of(of_app.id, &of_app.survey, &of_app.known, &of_app.columns);
        merge = merge.read(shared, window, &part).await?;
    }
    merge.into_profile(sample_type).await
}

/// One series while its steps are counted.
#[derive(Debug, Default)]
struct Counted {
    /// The totals of the last block.
    last: Option<Vec<i64>>,
    /// By step and sample type: the sum of the blocks, and by how much each was more than the one before it.
    steps: BTreeMap<i64, Vec<(i64, i64)>>,
}

/// What a step has of its blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counting {
    /// All of them.
    Sum,
    /// The last one of each series.
    Last,
}

impl Counted {
    fn add(&mut self, step: i64, totals: Vec<i64>, counting: Counting) {
        let sums = self.steps.entry(step).or_default();
        sums.resize(sums.len().max(totals.len()), (0, 0));
        for (at, ((sum, grown), total)) in sums.iter_mut().zip(&totals).enumerate() {
            *sum = match counting {
                Counting::Sum => sum.saturating_add(*total),
                Counting::Last => *total,
            };
            let before = self.last.as_ref().map(|last| last.get(at).copied().unwrap_or(0));
            *grown = grown.saturating_add(match before {
                // What it was before is not known.
                None => 0,
                Some(before) if *total >= before => total.saturating_sub(before),
                // The source began anew.
                Some(_) => *total,
            });
        }
        self.last = Some(totals);
    }
}

/// The totals of the series that pass, step by step.
pub(super) async fn totals(
    shared: &Shared,
    tenant: &Tenant,
    window: TimeWindow,
    filter: &dyn SeriesFilter,
    steps: Steps,
) -> PortResult<Vec<(FoundSeries, BTreeMap<i64, i64>)>> {
    let mut answer = Vec::new();
    for of_app in surveyed(shared, tenant, window, filter).await? {
        let app = (of_app.id, &of_app.columns);
        let mut by_series = by_series(shared, app, window, move |at| steps.of(at), Counting::Sum).await?;
        for id in of_app.columns.keys() {
            let mut points = by_series.remove(id).unwrap_or_default();
            points.retain(|_, total| *total != 0);
            answer.extend(found(&of_app, *id).into_iter().map(|series| (series, points.clone())));
        }
    }
    Ok(answer)
}

/// The totals of an app's series by step, whose number `step` tells. Rollups are only read where blocks are no longer
/// kept, since they have no steps.
pub(super) async fn by_series(
    shared: &Shared,
    (app, columns): (i32, &BTreeMap<i32, Column>),
    window: TimeWindow,
    step: impl Fn(DateTime<Utc>) -> i64 + Copy + Send + Sync + 'static,
    counting: Counting,
) -> PortResult<BTreeMap<i32, BTreeMap<i64, i64>>> {
    let kept_from = hour(shared.clock.now() - shared.settings.retention) + TimeDelta::hours(1);
    let (rolled, of_rollups) = match part(window.from(), window.to().min(kept_from)) {
        Ok(old) if window.from() < kept_from => rollups::hours(shared, app, old, None).await?,
        _ => Default::default(),
    };
    let mut by_series: BTreeMap<i32, BTreeMap<i64, i64>> = BTreeMap::new();
    let mut add = |series: i32, step: i64, value: i64| {
        let sum = by_series.entry(series).or_default().entry(step).or_default();
        *sum = if counting == Counting::Sum { sum.saturating_add(value) } else { value };
    };
    for ((hour, series), of_hour) in &of_rollups {
        let Some(Column { sample_types, cumulative }) = columns.get(series) else { continue };
        let tally = &of_hour.tally;
        let value = match counting {
            _ if *cumulative => tally.growth(sample_types),
            Counting::Sum => tally.total(sample_types),
            Counting::Last => tally.latest(sample_types),
        };
        add(*series, step(*hour), value);
    }
    let visit = move |counted: &mut BTreeMap<i32, Counted>, head: BlockHead| {
        counted.entry(head.series).or_default().add(step(head.time), head.totals, counting);
    };
    let counted: BTreeMap<i32, Counted> = sql::heads(&shared.db, app, &gaps(window, &rolled)?, visit).await?;
    for (series, counted) in &counted {
        let Some(Column { sample_types, cumulative }) = columns.get(series) else { continue };
        for (step, totals) in &counted.steps {
            let of_types = sample_types.iter().filter_map(|at| totals.get(*at));
            let sum = of_types.map(|(sum, grown)| if *cumulative { *grown } else { *sum });
            add(*series, *step, sum.fold(0, i64::saturating_add));
        }
    }
    Ok(by_series)
}
