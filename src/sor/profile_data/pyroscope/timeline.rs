//! Reads a window step by step: totals with `SelectSeries`, stacks with one merge for each step.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt};

use super::client::Piece;
use super::discovery::Seen;
use super::fetch::{Cut, Fetched, Wanted};
use super::labels::selector_of;
use super::millis_window::MillisWindow;
use super::{Pyroscope, SNAPSHOT};
use crate::kernel::{Call, PortError, PortResult, TimeWindow};
use crate::profile::{Profile, aligned};
use crate::sor::profile_data::domain::{ProfileMeta, ProfileQuery};
use crate::sor::profile_data::resolve::resolve;
use crate::sor::profile_data::timeline::{MOST_TOTALS, StepWidth, Timeline};
use crate::sor::profile_data::type_id::TypeId;

/// The most steps whose stacks are read: each is a call.
const MOST_STACKS: i64 = 60;
/// Steps of one query that are read at the same time.
const AT_ONCE: usize = 4;
/// The longest window that servers answer.
const LONGEST: TimeDelta = TimeDelta::hours(24);

/// The types that were found for a query.
struct Found {
    seen: Arc<Seen>,
    wanted: Wanted,
}

impl Found {
    fn meta(&self) -> ProfileMeta {
        ProfileMeta {
            kinds: self.seen.kinds.clone(),
            sample_type: self.wanted.ids.first().map(TypeId::values),
            profile_types: self.wanted.ids.iter().map(ToString::to_string).collect(),
            ..ProfileMeta::default()
        }
    }
}

impl Pyroscope {
    /// The total of each step.
    pub(super) async fn totals_of(
        &self,
        call: &Call,
        query: &ProfileQuery,
        width: StepWidth,
    ) -> PortResult<Option<Timeline<i64>>> {
        width.at_most(query.window, MOST_TOTALS, "totals")?;
        let found = match self.found(call, query).await? {
            Ok(found) => found,
            Err(empty) => return Ok(empty.map(Timeline::empty)),
        };
        let steps = if query.kind.is_snapshot() {
            let last = self.last_snapshots(call, &found.wanted, width).await?;
            last.into_iter().map(|(start, (_, total))| (start, total)).collect()
        } else {
            self.points(call, &found.wanted, width.get()).await?.into_iter().collect()
        };
        Ok(Some(Timeline { meta: found.meta(), steps }))
    }

    /// The stacks of each step.
    pub(super) async fn stacks_of(
        &self,
        call: &Call,
        query: &ProfileQuery,
        width: StepWidth,
    ) -> PortResult<Option<Timeline<Profile>>> {
        width.at_most(query.window, MOST_STACKS, "stacks from a Pyroscope server")?;
        let found = match self.found(call, query).await? {
            Ok(found) => found,
            Err(empty) => return Ok(empty.map(Timeline::empty)),
        };
        // Only steps that have profiles are worth a call.
        let windows: Vec<_> = if query.kind.is_snapshot() {
            let last = self.last_snapshots(call, &found.wanted, width).await?;
            last.into_iter().map(|(start, (at, _))| Ok((start, window(at, SNAPSHOT)?))).collect::<PortResult<_>>()?
        } else {
            let points = self.points(call, &found.wanted, width.get()).await?;
            points.into_keys().map(|start| Ok((start, window(start, width.get())?))).collect::<PortResult<_>>()?
        };
        let read = |(start, window): (DateTime<Utc>, TimeWindow)| {
            let wanted = Wanted { window, ..found.wanted.clone() };
            async move { Ok::<_, PortError>((start, self.fetcher.fetch(call, wanted).await?)) }
        };
        let read = futures::stream::iter(windows).map(read).buffered(AT_ONCE).try_collect::<Vec<_>>().await?;
        let truncated = |sum: i64, (_, fetched): &(_, Fetched)| sum.saturating_add(fetched.truncated_ticks);
        let meta = ProfileMeta { truncated_ticks: read.iter().fold(0, truncated), ..found.meta() };
        let (starts, profiles): (Vec<_>, Vec<_>) =
            read.into_iter().map(|(start, fetched)| (start, Profile::clone(&fetched.profile))).unzip();
        Ok(Some(Timeline { meta, steps: starts.into_iter().zip(aligned(profiles)).collect() }))
    }

    /// The query's types; or, if there are none, what is known of the app, if it is known.
    async fn found(&self, call: &Call, query: &ProfileQuery) -> PortResult<Result<Found, Option<ProfileMeta>>> {
        let Some(seen) = self.discovery.seen(call, query).await? else { return Ok(Err(None)) };
        let Some(ids) = resolve(query.kind, &seen.types) else {
            return Ok(Err(Some(self.nothing(call, &seen, query).await.meta)));
        };
        let wanted = Wanted {
            tenant: query.tenant.clone(),
            ids: ids.into(),
            selector: selector_of(&query.app, &query.selector, None).into(),
            window: query.window,
            cut: Cut::Nowhere,
        };
        Ok(Ok(Found { seen, wanted }))
    }

    /// The start and the total of each step of this width whose total is not 0.
    async fn points(&self, call: &Call, wanted: &Wanted, width: TimeDelta) -> PortResult<BTreeMap<DateTime<Utc>, i64>> {
        let mut points: BTreeMap<DateTime<Utc>, i64> = BTreeMap::new();
        for span in spans(wanted.window, width) {
            for id in wanted.ids.iter() {
                let piece = Piece { tenant: wanted.tenant.as_ref(), id, selector: &wanted.selector, span };
                let step_s = width.num_milliseconds() as f64 / 1_000.0;
                let answer = self.client.totals(call, piece, &[], step_s).await;
                for point in
                    answer.map_err(super::refusal::Refusal::into_error)?.series.into_iter().flat_map(|s| s.points)
                {
                    // The first point is of the time before.
                    if point.value == 0.0 || point.timestamp <= span.start_ms {
                        continue;
                    }
                    let end = DateTime::from_timestamp_millis(point.timestamp + 1);
                    let Some(start) = end.map(|end| end - width) else { continue };
                    let total = points.entry(start).or_default();
                    #[expect(clippy::cast_possible_truncation, reason = "the source's sums are whole numbers in f64")]
                    let value = point.value as i64;
                    *total = total.saturating_add(value);
                }
            }
        }
        Ok(points)
    }

    /// For each step: the start of the last 15 s in which snapshots came, and the total of those snapshots.
    async fn last_snapshots(
        &self,
        call: &Call,
        wanted: &Wanted,
        width: StepWidth,
    ) -> PortResult<BTreeMap<DateTime<Utc>, (DateTime<Utc>, i64)>> {
        let points = self.points(call, wanted, SNAPSHOT).await?;
        // The last one of a step replaces those before it.
        Ok(points.into_iter().map(|(at, total)| (width.floor(at), (at, total))).collect())
    }

    /// The start of the last 15 s of the window's last day in which snapshots came, if the source tells.
    pub(super) async fn last_snapshot(&self, call: &Call, wanted: &Wanted) -> Option<DateTime<Utc>> {
        let quarter = StepWidth::new(SNAPSHOT)?.widened(wanted.window);
        let window = TimeWindow::new(quarter.from().max(quarter.to() - LONGEST), quarter.to()).ok()?;
        let points = self.points(call, &Wanted { window, ..wanted.clone() }, SNAPSHOT).await.ok()?;
        points.into_keys().next_back()
    }
}

fn window(start: DateTime<Utc>, width: TimeDelta) -> PortResult<TimeWindow> {
    TimeWindow::new(start, start + width).map_err(|e| PortError::Internal(e.to_string()))
}

/// Splits a window of whole steps into pieces of at most a day, and moves them a millisecond back. A server's step includes
/// its end and not its start, so without the move a profile that starts where a step begins would be counted in the step
/// before.
fn spans(window: TimeWindow, width: TimeDelta) -> Vec<MillisWindow> {
    let longest =
        width * i32::try_from(LONGEST.num_milliseconds() / width.num_milliseconds().max(1)).unwrap_or(1).max(1);
    let mut spans = Vec::new();
    let mut from = window.from();
    while from < window.to() {
        let to = (from + longest).min(window.to());
        spans.push(MillisWindow { start_ms: from.timestamp_millis() - 1, end_ms: to.timestamp_millis() - 1 });
        from = to;
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_read_in_days_of_whole_steps() {
        let at = |s| DateTime::from_timestamp(s, 0).unwrap();
        let of = |hours: i64| TimeWindow::new(at(360_000), at(360_000 + hours * 3_600)).unwrap();
        let spans = spans(of(40), TimeDelta::hours(5));
        // Four steps of five hours fit into a day.
        let ends: Vec<_> = spans.iter().map(|span| (span.start_ms, span.end_ms)).collect();
        assert_eq!(ends, [(359_999_999, 431_999_999), (431_999_999, 503_999_999)]);
        assert_eq!(super::spans(of(24), TimeDelta::minutes(1)).len(), 1);
    }
}
