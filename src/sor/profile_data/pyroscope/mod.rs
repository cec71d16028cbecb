//! Profiles from a Grafana Pyroscope server, 1.x or 2.x, over HTTP.
//!
//! A query asks `Series` which profile types the app has. It takes those of the first alternative and reads them with
//! binary `SelectMergeProfile`, which leaves nothing out. The baseline of a pair is read in two calls, one for each
//! half of its window, whose sum is the whole. What is remembered between queries:
//!
//! | What | Key | For |
//! |---|---|---|
//! | profile types and labels of an app | app, selector, window (an open window may slide by a minute) | 60 s |
//! | that an app is known | app | 60 s |
//! | that an app is unknown, or has nothing in a window | app (selector, window) | 10 s |
//! | when profiles came, and their shares by label | types, selector, window (as above) | 60 s |
//! | merged profiles of closed windows (`to` ≤ now − 65 min) | types, selector, window, whether in halves | while they fit |
//! | that the server has no exact data | – | 10 min |
//!
//! All but the last is remembered separately for each tenant: those that queries name, and the configured one.
//!
//! A list of apps says what each has in the window, and a scan does not ask for coverage. So a scan of all apps is one
//! call, plus one for each app. A query for an app that was seen a moment ago is one call, and a new type is seen
//! within 60 s. Open windows are never answered from an earlier answer; identical queries at the same time share one
//! call.

mod client;
mod discovery;
mod fetch;
mod labels;
mod millis_window;
mod refusal;
#[cfg(test)]
pub(super) mod replay;
mod settings;
mod survey;
#[cfg(test)]
mod tests;
mod timeline;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use self::client::Client;
use self::discovery::{Discovery, Seen};
pub(super) use self::fetch::weight;
use self::fetch::{Cut, Fetched, Fetcher, Wanted};
use self::labels::{POPULATIONS, PROFILERS, selector_of};
pub use self::settings::{Credentials, InvalidSource, PyroscopeSettings};
use self::survey::{Survey, Surveyor};
use super::domain::{MergedProfile, ProfileMeta, ProfileQuery, without_samples};
use super::port::ProfileDataSor;
use super::resolve::{resolve, resolve_pair};
use super::timeline::{StepWidth, Timeline};
use super::type_id::TypeId;
use crate::kernel::{AppName, Call, Clock, NoDataReason, PortResult, ProfileType, Selector, Tenant, TimeWindow};
use crate::profile::Profile;

/// Snapshots are sent about this often.
const SNAPSHOT: TimeDelta = TimeDelta::seconds(15);
/// How much of a window is read for profiles that are snapshots.
const SNAPSHOTS: TimeDelta = TimeDelta::minutes(2);

/// The adapter.
pub(super) struct Pyroscope {
    client: Arc<Client>,
    clock: Arc<dyn Clock>,
    discovery: Arc<Discovery>,
    fetcher: Arc<Fetcher>,
    surveyor: Arc<Surveyor>,
}

impl Pyroscope {
    /// The adapter for a server.
    pub(super) fn new(settings: &PyroscopeSettings, clock: Arc<dyn Clock>) -> Result<Self, InvalidSource> {
        let client = Arc::new(Client::new(settings)?);
        Ok(Self {
            discovery: Arc::new(Discovery::new(Arc::clone(&client), Arc::clone(&clock))),
            fetcher: Arc::new(Fetcher::new(
                Arc::clone(&client),
                Arc::clone(&clock),
                settings.timeout,
                settings.cache_bytes,
            )),
            surveyor: Arc::new(Surveyor::new(Arc::clone(&client), Arc::clone(&clock))),
            client,
            clock,
        })
    }

    /// Reads the types of one window.
    async fn read(
        &self,
        call: &Call,
        query: &ProfileQuery,
        ids: Vec<TypeId>,
        seen: &Seen,
        cut: Cut,
    ) -> PortResult<MergedProfile> {
        let populations = seen.several(&POPULATIONS, &ids);
        let profilers = seen.several(&PROFILERS, &ids);
        let labels = populations.iter().chain(&profilers).map(|(label, _)| *label).collect();
        let ids: Arc<[TypeId]> = ids.into();
        let wanted = |further| Wanted {
            tenant: query.tenant.clone(),
            ids: Arc::clone(&ids),
            selector: selector_of(&query.app, &query.selector, further).into(),
            window: query.window,
            cut,
        };
        let whole = wanted(None);
        let survey = async {
            // A scan reads stacks only. A second call for each of many apps would double the calls.
            if call.is_scan() && profilers.is_empty() {
                return Arc::default();
            }
            self.surveyor.survey(call, &whole, labels).await
        };
        let (fetched, survey) = if query.kind == ProfileType::Cpu && !profilers.is_empty() {
            // Several profilers of the same CPU would count its time twice. Only the one with the largest total is
            // read.
            let survey = survey.await;
            let heaviest = survey.shares(&profilers).into_iter().next().filter(|share| share.ticks.is_some());
            let one = heaviest.as_ref().map(|share| (share.label.as_str(), share.value.as_str()));
            (self.fetch(call, query.kind, wanted(one)).await, survey)
        } else {
            futures::join!(self.fetch(call, query.kind, whole.clone()), survey)
        };
        let Fetched { profile, truncated_ticks } = fetched?;
        let contentions = self.contentions(call, query, &ids, seen).await;
        let coverage = Survey::coverage(&survey);
        let no_data = coverage.and_then(|_| without_samples(&profile));
        Ok(MergedProfile {
            profile,
            meta: ProfileMeta {
                kinds: seen.kinds.clone(),
                no_data,
                sample_type: ids.first().map(TypeId::values),
                profile_types: ids.iter().map(ToString::to_string).collect(),
                truncated_ticks,
                contentions,
                coverage,
                populations: survey.shares(&populations),
                profilers: survey.shares(&profilers),
                ..ProfileMeta::default()
            },
        })
    }

    /// Fetches the window. A sum of snapshots has no meaning, so it fetches the last two minutes that have snapshots. An
    /// app that ended within the window still shows what it held.
    async fn fetch(&self, call: &Call, kind: ProfileType, wanted: Wanted) -> PortResult<Fetched> {
        if !kind.is_snapshot() {
            return self.fetcher.fetch(call, wanted).await;
        }
        let window = wanted.window;
        let until = |end: DateTime<Utc>| {
            let to = end.min(window.to()).max(window.from() + TimeDelta::seconds(1));
            let last = TimeWindow::new(window.from().max(to - SNAPSHOTS), to).unwrap_or(window);
            Wanted { window: last, cut: Cut::Nowhere, ..wanted.clone() }
        };
        let fetched = self.fetcher.fetch(call, until(self.clock.now())).await?;
        if fetched.profile.stack_count() > 0 {
            return Ok(fetched);
        }
        match self.last_snapshot(call, &wanted).await {
            Some(at) => self.fetcher.fetch(call, until(at + SNAPSHOT)).await,
            None => Ok(fetched),
        }
    }

    /// How many waits a lock profile stands for, if its profiler counts them.
    async fn contentions(&self, call: &Call, query: &ProfileQuery, ids: &[TypeId], seen: &Seen) -> Option<u64> {
        if query.kind != ProfileType::Lock {
            return None;
        }
        let counter = |id: &TypeId| match id.sample_type.to_ascii_lowercase().as_str() {
            "delay" => Some("contentions"),
            "lock_time" => Some("lock_count"),
            _ => None,
        };
        let counts = |other: &&TypeId| {
            ids.iter().any(|id| {
                counter(id).is_some_and(|counter| other.is(&id.name, counter)) && other.period_type == id.period_type
            })
        };
        let counters: Vec<_> = seen.types.iter().filter(counts).cloned().collect();
        if counters.is_empty() {
            return None;
        }
        let selector = selector_of(&query.app, &query.selector, None).into();
        let tenant = query.tenant.clone();
        let wanted = Wanted { tenant, ids: counters.into(), selector, window: query.window, cut: Cut::Nowhere };
        let fetched = self.fetcher.fetch(call, wanted).await.ok()?;
        u64::try_from(fetched.profile.total(0)).ok()
    }

    /// The answer for a known app without a profile of the kind in the window. Where others are there, the app may send
    /// this kind at other times.
    async fn nothing(&self, call: &Call, seen: &Seen, query: &ProfileQuery) -> MergedProfile {
        let mut meta = ProfileMeta {
            kinds: seen.kinds.clone(),
            no_data: seen.no_data(query.kind, &query.selector),
            last_profile_at: seen.last_profile_at,
            ..ProfileMeta::default()
        };
        if meta.no_data == Some(NoDataReason::KindNeverSent)
            && let Ok(lately) = self.discovery.kinds_lately(call, query).await
            && lately.contains(&query.kind)
        {
            meta.no_data = Some(NoDataReason::NoneInWindow);
        }
        MergedProfile { meta, ..MergedProfile::default() }
    }
}

#[async_trait]
impl ProfileDataSor for Pyroscope {
    async fn apps<'a>(
        &'a self,
        call: &'a Call,
        tenant: Option<&'a Tenant>,
        window: TimeWindow,
    ) -> PortResult<Vec<AppName>> {
        self.discovery.apps(call, tenant, window).await
    }

    async fn merged(&self, call: &Call, query: &ProfileQuery) -> PortResult<Option<MergedProfile>> {
        let Some(seen) = self.discovery.seen(call, query).await? else {
            return Ok(None);
        };
        let ids = resolve(query.kind, &seen.types);
        let merged = match &ids {
            Some(ids) => self.read(call, query, ids.clone(), &seen, Cut::Nowhere).await?,
            None => self.nothing(call, &seen, query).await,
        };
        if merged.profile.stack_count() > 0 || seen.window == Some(query.window) {
            return Ok(Some(merged));
        }
        // Nothing has the types that were there a moment ago. The app may have others by now.
        let Some(seen) = self.discovery.look(call, query).await? else { return Ok(None) };
        match resolve(query.kind, &seen.types) {
            None => Ok(Some(self.nothing(call, &seen, query).await)),
            anew if anew == ids => Ok(Some(merged)),
            Some(anew) => self.read(call, query, anew, &seen, Cut::Nowhere).await.map(Some),
        }
    }

    async fn merged_pair(
        &self,
        call: &Call,
        query: &ProfileQuery,
        baseline: TimeWindow,
        baseline_selector: &Selector,
    ) -> PortResult<Option<(MergedProfile, MergedProfile)>> {
        let before = ProfileQuery { window: baseline, selector: baseline_selector.clone(), ..query.clone() };
        let (a, b) = futures::try_join!(self.discovery.seen(call, &before), self.discovery.seen(call, query))?;
        let (a, b) = match (a, b) {
            (None, None) => return Ok(None),
            (a, b) => (a.unwrap_or_default(), b.unwrap_or_default()),
        };
        let pair = match resolve_pair(query.kind, &a.types, &b.types) {
            Some((left, right)) => futures::try_join!(
                self.read(call, &before, left, &a, Cut::InHalves),
                self.read(call, query, right, &b, Cut::Nowhere)
            )?,
            // One window has no data. The other is read by itself, so that the answer can say which one is missing.
            None => match (resolve(query.kind, &a.types), resolve(query.kind, &b.types)) {
                (Some(left), None) => {
                    (self.read(call, &before, left, &a, Cut::Nowhere).await?, self.nothing(call, &b, query).await)
                }
                (None, Some(right)) => {
                    (self.nothing(call, &a, &before).await, self.read(call, query, right, &b, Cut::Nowhere).await?)
                }
                _ => (self.nothing(call, &a, &before).await, self.nothing(call, &b, query).await),
            },
        };
        Ok(Some(pair))
    }
    async fn totals(&self, call: &Call, query: &ProfileQuery, width: StepWidth) -> PortResult<Option<Timeline<i64>>> {
        self.totals_of(call, query, width).await
    }

    async fn stacks(
        &self,
        call: &Call,
        query: &ProfileQuery,
        width: StepWidth,
    ) -> PortResult<Option<Timeline<Profile>>> {
        self.stacks_of(call, query, width).await
    }
}
