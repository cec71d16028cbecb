//! Asks when profiles came and which populations they belong to. A merged profile does not say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::client::{Client, Piece};
use super::fetch::Wanted;
use super::millis_window::MillisWindow;
use crate::kernel::{Call, Clock, Tenant, TimeWindow};
use crate::sor::profile_data::LabelShare;
use crate::sor::profile_data::coverage::{Coverage, Starts};
use crate::sor::profile_data::type_id::TypeId;
use crate::upstream::{Flights, Recent};

/// How long a survey is remembered.
const LIFETIME: TimeDelta = TimeDelta::seconds(60);
/// How long a query waits for a survey. After that it is answered without one.
const PATIENCE: Duration = Duration::from_secs(5);
/// Width of a point. Agents push about this often.
const STEP_S: f64 = 15.0;
/// The longest window surveyed minute by minute.
const LONGEST: TimeDelta = TimeDelta::hours(24);

/// When profiles came, and ticks by label value.
#[derive(Debug, Default)]
pub(super) struct Survey {
    coverage: Option<Coverage>,
    ticks: BTreeMap<(String, String), i64>,
}

impl Survey {
    /// Which minutes of the window have profiles.
    pub(super) fn coverage(&self) -> Option<Coverage> {
        self.coverage
    }

    /// The values of labels. Those with the most ticks come first.
    pub(super) fn shares(&self, several: &[(&'static str, BTreeSet<&str>)]) -> Vec<LabelShare> {
        let mut shares = Vec::new();
        for (label, values) in several {
            let share = |value: &&str| LabelShare {
                label: (*label).to_owned(),
                value: (*value).to_owned(),
                ticks: self.ticks.get(&((*label).to_owned(), (*value).to_owned())).copied(),
            };
            let mut of_label: Vec<_> = values.iter().map(share).collect();
            of_label.sort_by(|a, b| b.ticks.cmp(&a.ticks).then_with(|| a.value.cmp(&b.value)));
            shares.extend(of_label);
        }
        shares
    }
}

type Key = (Option<Tenant>, Arc<[TypeId]>, Arc<str>, Vec<&'static str>);

/// Makes surveys and remembers them for a moment. A survey that fails is empty: checks that need it are skipped.
pub(super) struct Surveyor {
    client: Arc<Client>,
    clock: Arc<dyn Clock>,
    recent: Recent<Key, Arc<Survey>>,
    flights: Flights<(Key, TimeWindow), Arc<Survey>>,
}

impl Surveyor {
    pub(super) fn new(client: Arc<Client>, clock: Arc<dyn Clock>) -> Self {
        Self { client, clock, recent: Recent::default(), flights: Flights::default() }
    }

    /// A survey of what was fetched, grouped by these labels.
    pub(super) async fn survey(
        self: &Arc<Self>,
        call: &Call,
        wanted: &Wanted,
        labels: Vec<&'static str>,
    ) -> Arc<Survey> {
        let key: Key = (wanted.tenant.clone(), Arc::clone(&wanted.ids), Arc::clone(&wanted.selector), labels);
        let window = wanted.window;
        if let Some(survey) = self.recent.get(&key, window, self.clock.now()) {
            return survey;
        }
        let flight = (key, window);
        let begin = |call: Call| {
            let (this, key) = (Arc::clone(self), flight.0.clone());
            Box::pin(async move {
                let survey = Arc::new(this.survey_now(&call, &key, window).await);
                this.recent.put(key, window, Arc::clone(&survey), this.clock.now(), LIFETIME);
                Ok(survey)
            }) as futures::future::BoxFuture<'static, _>
        };
        let surveying = tokio::time::timeout(PATIENCE, self.flights.join(call, &flight, begin));
        surveying.await.ok().and_then(Result::ok).unwrap_or_default()
    }

    async fn survey_now(&self, call: &Call, (tenant, ids, selector, labels): &Key, window: TimeWindow) -> Survey {
        let minutely = window.duration() <= LONGEST;
        if !minutely && labels.is_empty() {
            return Survey::default();
        }
        let span = MillisWindow::of(window).last_day();
        let step = if minutely { STEP_S } else { 3_600.0 };
        let mut ticks = BTreeMap::new();
        let mut points = BTreeSet::new();
        for id in ids.iter() {
            let piece = Piece { tenant: tenant.as_ref(), id, selector, span };
            let Ok(answer) = self.client.totals(call, piece, labels, step).await else { return Survey::default() };
            for series in answer.series {
                let sum: f64 = series.points.iter().map(|point| point.value).sum();
                for label in labels {
                    let value = series.labels.iter().find(|pair| pair.name == *label).map_or("", |pair| &pair.value);
                    #[expect(clippy::cast_possible_truncation, reason = "a share needs no more than f64 holds")]
                    let whole = sum as i64;
                    *ticks.entry(((*label).to_owned(), value.to_owned())).or_insert(0) += whole;
                }
                points.extend(series.points.iter().filter(|p| p.value != 0.0).map(|p| p.timestamp));
            }
        }
        let coverage = if minutely { coverage(&points, window, self.clock.now()) } else { None };
        Survey { coverage, ticks }
    }
}

/// A point is at the end of its step, so a profile may have come up to one step earlier.
fn coverage(points: &BTreeSet<i64>, window: TimeWindow, now: DateTime<Utc>) -> Option<Coverage> {
    let (from, to) = (window.from().timestamp_millis(), window.to().min(now).timestamp_millis());
    let starts = points.iter().filter_map(|ms| DateTime::from_timestamp_millis((*ms).clamp(from, to.max(from))));
    starts.collect::<Starts>().coverage(window, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(s, 0).unwrap()
    }

    #[test]
    fn counts_the_minutes_in_which_profiles_came() {
        let window = TimeWindow::new(at(6_000), at(6_600)).unwrap();
        let points = [6_000_000, 6_015_000, 6_060_000, 6_075_000, 6_590_000].into();
        let coverage = coverage(&points, window, at(7_000)).unwrap();
        assert_eq!((coverage.minutes_with_data, coverage.minutes), (3, 10));
        assert_eq!((coverage.first_profile_at, coverage.last_profile_at), (at(6_000), at(6_590)));
    }

    #[test]
    fn only_minutes_that_have_passed_count() {
        let window = TimeWindow::new(at(6_000), at(9_600)).unwrap();
        let coverage = coverage(&[6_015_000].into(), window, at(6_150)).unwrap();
        assert_eq!((coverage.minutes_with_data, coverage.minutes), (1, 3));
    }

    #[test]
    fn without_points_nothing_is_known() {
        let window = TimeWindow::new(at(6_000), at(6_600)).unwrap();
        assert_eq!(coverage(&BTreeSet::new(), window, at(7_000)), None);
    }
}
