//! Answers with totals over time.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::super::proto::querier::v1::{SelectSeriesRequest, SelectSeriesResponse};
use super::super::proto::types::v1::{Point, Series};
use super::super::store::Steps;
use super::connect::invalid;
use super::labels::pairs;
use super::questions::Profiles;
use super::{Asker, Querier, selector};
use crate::http::Problem;

/// The most points of a series: 31 days have fewer minutes.
const MAX_POINTS: i64 = 50_000;

/// Labels and, by the number of the step, totals.
pub(super) type Totals = BTreeMap<Vec<(String, String)>, BTreeMap<i64, i64>>;

impl Querier {
    /// Totals by the values of labels, step by step. What came after the step `last` is part of it.
    pub(super) async fn totals(
        &self,
        asker: &Asker,
        asked: &Profiles,
        group_by: &[String],
        steps: Steps,
        last: i64,
    ) -> Result<Totals, Problem> {
        let Profiles { matchers, window, .. } = asked;
        if last >= MAX_POINTS {
            return Err(invalid(format!("the window has more than {MAX_POINTS} steps: ask for longer ones")));
        }
        let found = Box::pin(self.store.series_totals(&asker.call, &asker.tenant, *window, matchers, steps)).await;
        let mut totals = Totals::new();
        for (series, points) in found.map_err(|error| Problem::of_relational(&error))? {
            let label = |name: &String| (name.clone(), selector::value(&series.as_ref(), name).into_owned());
            let group = group_by.iter().map(label).filter(|(_, value)| !value.is_empty()).collect();
            let sums = totals.entry(group).or_default();
            for (step, value) in points {
                let sum = sums.entry(step.min(last)).or_default();
                *sum = sum.saturating_add(value);
            }
        }
        Ok(totals)
    }

    pub(super) async fn select_series(
        &self,
        asker: &Asker,
        asked: SelectSeriesRequest,
    ) -> Result<SelectSeriesResponse, Problem> {
        let profiles = Profiles::try_from(&asked)?;
        let width = step(asked.step)?;
        let steps = Steps { start: profiles.window.from(), width };
        let last = profiles.window.duration().num_milliseconds() / width.num_milliseconds().max(1);
        let totals = self.totals(asker, &profiles, &asked.group_by, steps, last).await?;
        let mut by_size: Vec<_> = totals.into_iter().filter(|(_, points)| !points.is_empty()).collect();
        if let Some(limit) = asked.limit.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0) {
            let size =
                |points: &BTreeMap<i64, i64>| points.values().fold(0, |sum: i64, value| sum.saturating_add(*value));
            by_size.sort_by_key(|(_, points)| std::cmp::Reverse(size(points)));
            by_size.truncate(limit);
        }
        let (start, width) = (profiles.window.from().timestamp_millis(), width.num_milliseconds());
        let point = |(step, value): (i64, i64)| Point { value: value as f64, timestamp: start + step * width };
        let series = by_size
            .into_iter()
            .map(|(labels, points)| Series { labels: pairs(labels), points: points.into_iter().map(point).collect() });
        Ok(SelectSeriesResponse { series: series.collect() })
    }
}

/// The width of a step, given in seconds.
fn step(seconds: f64) -> Result<TimeDelta, Problem> {
    if !(0.001..=1e9).contains(&seconds) {
        return Err(invalid(format!("step is {seconds}, must be 0.001 to 1000000000 seconds")));
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is at most 10^12 milliseconds")]
    let milliseconds = (seconds * 1_000.0).round() as i64;
    Ok(TimeDelta::milliseconds(milliseconds.max(1)))
}
