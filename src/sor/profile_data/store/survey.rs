//! What a window contains, before its stacks are read: how much of each series, when, and whether it only ever grows.
//! Pure.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::super::coverage::{Coverage, Starts};
use super::super::domain::{LabelShare, ProfileMeta, VersionBegan};
use super::super::resolve::kinds;
use super::super::type_id::TypeId;
use super::series::{Labels, Series};
use super::tally::{BlockHead, HourTally, Tally, hour};
use crate::kernel::{ProfileType, TimeWindow};

/// Labels that tell populations apart.
const POPULATIONS: [&str; 5] = ["cluster", "deployment_environment", "env", "environment", "namespace"];

/// Labels that name the profiler, the most telling first.
const PROFILERS: [&str; 3] = ["otel.scope.name", "pyroscope_spy", "job"];

/// Labels that name what was deployed.
const VERSIONS: [&str; 3] = ["version", "service_version", "service_git_ref"];

/// What the series of an app have, hour by hour.
pub(super) type Hours = BTreeMap<(DateTime<Utc>, i32), HourTally>;

/// Counts a block of an hour. They must come in order of time.
pub(super) fn count(hours: &mut Hours, head: &BlockHead) {
    hours.entry((hour(head.time), head.series)).or_default().add(head);
}

/// All series of an app that have profiles in a window.
#[derive(Debug, Default)]
pub(super) struct Survey {
    series: BTreeMap<i32, Tally>,
    hours: BTreeSet<(DateTime<Utc>, i32)>,
    rolled: BTreeSet<DateTime<Utc>>,
    last_at: Option<DateTime<Utc>>,
}

/// Adjacent hours of a window that are read the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) from: DateTime<Utc>,
    pub(super) to: DateTime<Utc>,
    /// From rollups, or else from blocks.
    pub(super) rolled: bool,
}

impl Run {
    /// Whether these are all its hours.
    pub(super) fn is_covered_by(&self, hours: impl Iterator<Item = DateTime<Utc>>) -> bool {
        let covered: BTreeSet<_> = hours.collect();
        i64::try_from(covered.len()).is_ok_and(|covered| covered == (self.to - self.from).num_hours())
    }
}

impl Survey {
    /// What the hours of a window contain together. The hours in `rolled` are known from rollups.
    pub(super) fn of(hours: &Hours, rolled: BTreeSet<DateTime<Utc>>) -> Self {
        let mut series: BTreeMap<i32, Tally> = BTreeMap::new();
        for ((hour, id), of_hour) in hours {
            let known = series.entry(*id).or_default();
            known.append(&of_hour.tally);
            known.starts.extend(of_hour.starts(*hour));
        }
        let last_at = series.values().filter_map(|tally| tally.last_at).max();
        Self { series, hours: hours.keys().copied().collect(), rolled, last_at }
    }

    /// The series with profiles.
    pub(super) fn series(&self) -> impl Iterator<Item = i32> + '_ {
        self.series.keys().copied()
    }

    /// Leaves out the series that are not wanted.
    pub(super) fn retain(&mut self, wanted: impl Fn(i32) -> bool) {
        self.series.retain(|series, _| wanted(*series));
    }

    /// The types that there is data of: sorted, each once.
    pub(super) fn type_ids(&self, known: &BTreeMap<i32, Series>) -> Vec<TypeId> {
        let ids: BTreeSet<_> = self.series().filter_map(|id| known.get(&id)).flat_map(|s| s.shape.type_ids()).collect();
        ids.into_iter().collect()
    }

    /// Of each series the sample types that are wanted by their full ID and the labels.
    pub(super) fn columns(
        &self,
        known: &BTreeMap<i32, Series>,
        wanted: impl Fn(&TypeId, &Labels) -> bool,
    ) -> BTreeMap<i32, Column> {
        let column = |(id, tally): (&i32, &Tally)| {
            let series = known.get(id)?;
            let chosen = series.shape.type_ids().enumerate().filter(|(_, id)| wanted(id, &series.labels));
            let (sample_types, ids): (Vec<_>, Vec<_>) = chosen.unzip();
            let kinds = kinds(&ids);
            let grows = kinds.iter().copied().any(may_be_cumulative);
            let cumulative = grows && (series.shape.cumulative || tally.grows(&sample_types));
            (!sample_types.is_empty()).then_some((*id, Column { sample_types, cumulative }))
        };
        self.series.iter().filter_map(column).collect()
    }

    /// The hours in which these series have profiles, in order, at most as many at once as are given for blocks and for
    /// rollups.
    pub(super) fn runs(&self, columns: &BTreeMap<i32, Column>, blocks: i64, rollups: i64) -> Vec<Run> {
        let mut hours: Vec<_> = self.hours.iter().filter(|(_, id)| columns.contains_key(id)).map(|(h, _)| *h).collect();
        hours.dedup();
        let mut runs: Vec<Run> = Vec::new();
        for hour in hours {
            let (rolled, to) = (self.rolled.contains(&hour), hour + TimeDelta::hours(1));
            let longest = TimeDelta::hours(if rolled { rollups } else { blocks });
            match runs.last_mut() {
                Some(run) if run.rolled == rolled && run.to == hour && to - run.from <= longest => run.to = to,
                _ => runs.push(Run { from: hour, to, rolled }),
            }
        }
        runs
    }

    /// The start of the last profile, wanted or not.
    pub(super) fn last_at(&self) -> Option<DateTime<Utc>> {
        self.last_at
    }

    /// Whether the hour is read from its rollup.
    pub(super) fn is_rolled(&self, hour: DateTime<Utc>) -> bool {
        self.rolled.contains(&hour)
    }
}

/// What to read of one series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// Which of its sample types; the values of several are added.
    pub(super) sample_types: Vec<usize>,
    /// Its values only ever grow: what a window holds is the last less the first.
    pub(super) cumulative: bool,
}

/// What to read of a window, and what is known about it.
#[derive(Debug)]
pub(super) struct Plan {
    /// By series.
    pub(super) columns: BTreeMap<i32, Column>,
    /// Everything but what only reading can tell.
    pub(super) meta: ProfileMeta,
}

/// Decides what to read for these types.
pub(super) fn plan(
    survey: &Survey,
    known: &BTreeMap<i32, Series>,
    kind: ProfileType,
    types: &[TypeId],
    window: TimeWindow,
    now: DateTime<Utc>,
) -> Plan {
    let mut chosen: Vec<(i32, &Tally, &Series, Vec<usize>)> = Vec::new();
    for (id, tally) in &survey.series {
        let Some(series) = known.get(id) else { continue };
        let wanted = series.shape.type_ids().enumerate().filter(|(_, id)| types.contains(id)).map(|(at, _)| at);
        let columns: Vec<_> = wanted.collect();
        if !columns.is_empty() {
            chosen.push((*id, tally, series, columns));
        }
    }
    let profilers = profilers(kind, &mut chosen);
    let grows = may_be_cumulative(kind);
    let meta = ProfileMeta {
        kinds: kinds(&survey.type_ids(known)),
        sample_type: types.first().map(TypeId::values),
        profile_types: types.iter().map(ToString::to_string).collect(),
        sample_count: sample_count(kind, &chosen),
        contentions: (kind == ProfileType::Lock).then(|| contentions(&chosen)).flatten(),
        snapshots: snapshots(kind, &chosen),
        coverage: coverage(&chosen, window, now),
        populations: populations(&chosen),
        profilers,
        versions: versions(&chosen),
        labels_collapsed: chosen.iter().any(|(_, _, series, _)| series.shape.collapsed),
        ..ProfileMeta::default()
    };
    let column = |(id, tally, series, sample_types): (i32, &Tally, &Series, Vec<usize>)| {
        let cumulative = grows && (series.shape.cumulative || tally.grows(&sample_types));
        (id, Column { sample_types, cumulative })
    };
    Plan { columns: chosen.into_iter().map(column).collect(), meta }
}

/// Whether profilers send totals since the process began as this kind.
fn may_be_cumulative(kind: ProfileType) -> bool {
    matches!(kind, ProfileType::Alloc | ProfileType::Lock)
}

type Chosen<'a> = [(i32, &'a Tally, &'a Series, Vec<usize>)];

/// Where several profilers push the CPU time of one app, it would be counted several times: the one with most stays.
fn profilers(kind: ProfileType, chosen: &mut Vec<(i32, &Tally, &Series, Vec<usize>)>) -> Vec<LabelShare> {
    if kind != ProfileType::Cpu {
        return Vec::new();
    }
    let of = |series: &Series| {
        PROFILERS.iter().map(|label| (*label, series.labels.get(label).to_owned())).find(|(_, v)| !v.is_empty())
    };
    let mut ticks: BTreeMap<(&str, String), i64> = BTreeMap::new();
    for (_, tally, series, columns) in chosen.iter() {
        if let Some(profiler) = of(series) {
            let sum = ticks.entry(profiler).or_default();
            *sum = sum.saturating_add(tally.total(columns));
        }
    }
    if ticks.len() < 2 {
        return Vec::new();
    }
    let mut shares: Vec<_> = ticks.into_iter().collect();
    shares.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    if let Some((most, _)) = shares.first() {
        chosen.retain(|(_, _, series, _)| of(series).as_ref() == Some(most));
    }
    shares
        .into_iter()
        .map(|((label, value), ticks)| LabelShare { label: label.to_owned(), value, ticks: Some(ticks) })
        .collect()
}

fn populations(chosen: &Chosen<'_>) -> Vec<LabelShare> {
    let mut shares = Vec::new();
    for label in POPULATIONS {
        let mut ticks: BTreeMap<&str, i64> = BTreeMap::new();
        for (_, tally, series, columns) in chosen {
            let value = series.labels.get(label);
            if !value.is_empty() {
                let sum = ticks.entry(value).or_default();
                *sum = sum.saturating_add(tally.total(columns));
            }
        }
        if ticks.len() > 1 {
            let mut of_label: Vec<_> = ticks.into_iter().collect();
            of_label.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
            shares.extend(of_label.into_iter().map(|(value, ticks)| LabelShare {
                label: label.to_owned(),
                value: value.to_owned(),
                ticks: Some(ticks),
            }));
        }
    }
    shares
}

/// Events seen, of CPU and wall profiles whose every series counted them.
fn sample_count(kind: ProfileType, chosen: &Chosen<'_>) -> Option<u64> {
    let counted = |(_, tally, series, _): &(i32, &Tally, &Series, Vec<usize>)| match kind {
        // The counter of a wall profile counts the time its threads slept as well.
        ProfileType::Cpu if series.shape.name != "wall" => tally.samples,
        ProfileType::Wall => tally.samples,
        _ => None,
    };
    let counts: Option<Vec<_>> = chosen.iter().map(counted).collect();
    let counts = counts.filter(|counts| !counts.is_empty())?;
    u64::try_from(counts.iter().fold(0, |sum: i64, count| sum.saturating_add(*count))).ok()
}

fn contentions(chosen: &Chosen<'_>) -> Option<u64> {
    let mut sum = None;
    for (_, tally, series, _) in chosen {
        for (at, sample_type) in series.shape.sample_types.iter().enumerate() {
            if ["contentions", "lock_count"].iter().any(|name| sample_type.name.eq_ignore_ascii_case(name)) {
                let total = u64::try_from(tally.total(&[at])).unwrap_or(0);
                sum = Some(sum.unwrap_or(0_u64).saturating_add(total));
            }
        }
    }
    sum
}

/// The values of labels that name versions, and when the first profile of each came. In order of the labels, then of
/// the values.
fn versions(chosen: &Chosen<'_>) -> Vec<VersionBegan> {
    let of_label = |label: &'static str| {
        let mut values: BTreeMap<&str, DateTime<Utc>> = BTreeMap::new();
        for (_, tally, series, _) in chosen {
            let value = series.labels.get(label);
            if let Some(first_at) = tally.first_at.filter(|_| !value.is_empty()) {
                values.entry(value).and_modify(|first| *first = first_at.min(*first)).or_insert(first_at);
            }
        }
        values.into_iter().map(move |(value, at)| VersionBegan { label: label.to_owned(), value: value.to_owned(), at })
    };
    VERSIONS.into_iter().flat_map(of_label).collect()
}

/// How many snapshots of the whole app the sum holds: where several instances send one each, those of one instance.
fn snapshots(kind: ProfileType, chosen: &Chosen<'_>) -> Option<u64> {
    kind.is_snapshot().then(|| chosen.iter().map(|(_, tally, _, _)| tally.blocks).max()).flatten()
}

fn coverage(chosen: &Chosen<'_>, window: TimeWindow, now: DateTime<Utc>) -> Option<Coverage> {
    let starts = Starts::union(chosen.iter().map(|(_, tally, _, _)| &tally.starts)).coverage(window, now)?;
    // Starts are known to the second, the first and the last one as they were sent.
    let first = chosen.iter().filter_map(|(_, tally, _, _)| tally.first_at).min();
    let last = chosen.iter().filter_map(|(_, tally, _, _)| tally.last_at).max();
    Some(Coverage { first_profile_at: first?, last_profile_at: last?, ..starts })
}
