//! Ask for owners and apps, read a few apps at a time, add up what comes.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::time::{Instant, timeout, timeout_at};

use super::domain::{FleetQuery, HotspotsRequest, SearchRequest, fleet_app};
use super::wire::{AppErrorBody, AppTicks, HotspotsBody, Scanned, SearchBody};
use crate::bor::facts::passed_seconds;
use crate::bor::owners::Owners;
use crate::bor::relational::RelationalPorts;
use crate::bor::request::{all_failed, app_unknown};
use crate::http::{Code, Problem};
use crate::kernel::{AppName, Call, Clock, PortError, PortResult, offload};
use crate::sor::profile_data::{MergedProfile, ProfileDataSor, ProfileQuery};
use crate::upstream::{Limiter, Outcome as Showed};
use crate::verdict::{AppFunctions, AppMatches, Hotspots, Matches, Needle, Rules};

/// How long the profile of one app may take.
const PER_APP: Duration = Duration::from_secs(10);
/// How long one search may take in all.
const IN_ALL: Duration = Duration::from_mins(1);
/// Profiles of more frames than this are reduced on the threads for heavy work: a fraction of a millisecond's work.
const SMALL_FRAMES: usize = 2_000;

/// What the fleet search is made of.
#[derive(Clone)]
pub struct FleetParts {
    /// Where profiles come from.
    pub profiles: Arc<dyn ProfileDataSor>,
    /// The registry, and the present.
    pub relational: RelationalPorts,
    /// The catalogue.
    pub rules: Arc<Rules>,
}

/// Searches the fleet.
#[derive(Clone)]
pub struct FleetService {
    parts: FleetParts,
    /// Apps read at once, by all searches of this process: an app's time begins when its turn comes.
    turns: Arc<Limiter>,
    per_app: Duration,
    in_all: Duration,
}

/// What became of one app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Read,
    /// Nobody knows it.
    Unknown,
    /// The time was over.
    NotReached,
}

impl FleetService {
    /// A fleet search over these ports.
    pub fn new(parts: FleetParts) -> Self {
        Self { parts, turns: Arc::new(Limiter::of_reads()), per_app: PER_APP, in_all: IN_ALL }
    }

    /// The same with other deadlines.
    #[cfg(test)]
    pub(super) fn within(self, per_app: Duration, in_all: Duration) -> Self {
        Self { per_app, in_all, ..self }
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.parts.relational.clock
    }

    /// Finds a function in all apps.
    ///
    /// # Errors
    /// Where apps could not be discovered, or none could be read: `timeout` if all timed out, else
    /// `profile_source_denied`, `profile_source_busy` or `profile_source_failed`.
    pub async fn search(&self, call: &Call, request: &SearchRequest) -> Result<SearchBody, Problem> {
        let (kind, needle) = (request.fleet.kind, Needle::of(request.function.as_str()));
        let reduce = move |merged: &MergedProfile| {
            (AppMatches::of(&fleet_app(kind, merged), &needle), AppTicks::of(kind, &merged.meta))
        };
        let (mut matches, mut ticks, mut with_data) = (Matches::up_to(request.limit), Vec::new(), 0);
        let take = |place, (of_app, counted): (AppMatches, AppTicks)| {
            with_data += usize::from(of_app.has_data());
            ticks.push((place, counted));
            matches.add(place, of_app);
        };
        let scanned = self.scan(call, &request.fleet, reduce, take).await?;
        let ticks = ticks.into_iter().collect();
        Ok(SearchBody::of(request, matches, &ticks, scanned, with_data))
    }

    /// Ranks the functions of all apps.
    ///
    /// # Errors
    /// As [`FleetService::search`].
    pub async fn hotspots(&self, call: &Call, request: &HotspotsRequest) -> Result<HotspotsBody, Problem> {
        let (kind, exclude, rules) = (request.fleet.kind, request.exclude.clone(), Arc::clone(&self.parts.rules));
        let reduce = move |merged: &MergedProfile| AppFunctions::of(&rules, &fleet_app(kind, merged), &exclude);
        let (mut hotspots, mut with_data) = (Hotspots::default(), 0);
        let take = |place, of_app: AppFunctions| {
            with_data += usize::from(of_app.has_data());
            hotspots.add(place, of_app);
        };
        let scanned = self.scan(call, &request.fleet, reduce, take).await?;
        let seconds = passed_seconds(request.fleet.window, self.clock().now());
        let ranked = hotspots.ranked(request.sort, request.limit, Some(seconds));
        Ok(HotspotsBody::of(request, ranked, scanned, with_data))
    }

    /// Reads every app of the query, reduces each profile as it comes, and hands it on with the app's place.
    async fn scan<T: Send + 'static>(
        &self,
        call: &Call,
        query: &FleetQuery,
        reduce: impl Fn(&MergedProfile) -> T + Clone + Send + 'static,
        mut take: impl FnMut(usize, T),
    ) -> Result<Scanned, Problem> {
        let call = &call.scanning();
        let deadline = Instant::now() + self.in_all;
        let (apps, owners) = tokio::join!(self.apps(call, query, deadline), Owners::of(call, &self.parts.relational));
        let apps = apps.map_err(|error| Problem::of_profiles(&error))?;
        let mut outcomes: Vec<PortResult<Outcome>> = vec![Ok(Outcome::NotReached); apps.len()];
        {
            let reads = apps.iter().enumerate().map(|(place, app)| {
                let selector = owners.narrow(app, &query.selector);
                let (kind, window, tenant) = (query.kind, query.window, owners.tenant(app));
                let query = ProfileQuery { app: app.clone(), kind, window, selector, tenant };
                let reduce = reduce.clone();
                async move { (place, self.read(call, &query, reduce).await) }
            });
            let mut reads = futures::stream::iter(reads).buffer_unordered(Limiter::MOST);
            while let Ok(Some((place, read))) = timeout_at(deadline, reads.next()).await {
                let outcome = read.map(|reduced| match reduced {
                    Some(reduced) => {
                        take(place, reduced);
                        Outcome::Read
                    }
                    None => Outcome::Unknown,
                });
                if let Some(slot) = outcomes.get_mut(place) {
                    *slot = outcome;
                }
            }
        }
        let errors = self.errors(&apps, &outcomes)?;
        Ok(Scanned { apps, owners, errors })
    }

    /// What is said of the apps that could not be read; an error where there is nothing else to say.
    fn errors(&self, apps: &[AppName], outcomes: &[PortResult<Outcome>]) -> Result<Vec<AppErrorBody>, Problem> {
        let not_reached = self.not_reached();
        let failure = |outcome: &'_ PortResult<Outcome>| match outcome {
            Err(error) => Some(error.clone()),
            Ok(Outcome::NotReached) => Some(not_reached.clone()),
            Ok(Outcome::Read | Outcome::Unknown) => None,
        };
        let failed: Vec<_> = outcomes.iter().filter_map(failure).collect();
        if !failed.is_empty() && !outcomes.contains(&Ok(Outcome::Read)) {
            return Err(all_failed(&failed.iter().collect::<Vec<_>>()));
        }
        if let Some(first) = failed.first() {
            tracing::warn!(apps = apps.len(), failed = failed.len(), %first, "not every app of a fleet could be read");
        }
        let problem = |(app, outcome): (&AppName, &PortResult<Outcome>)| {
            let problem = match outcome {
                Ok(Outcome::Read) => return None,
                Ok(Outcome::Unknown) => app_unknown(app),
                Ok(Outcome::NotReached) => {
                    let seconds = self.in_all.as_secs();
                    let detail = format!("not reached within the {seconds} s of a search: ask for fewer apps at once");
                    Problem::new(Code::Timeout, detail)
                }
                Err(error) => Problem::of_profiles(error),
            };
            Some(AppErrorBody::of(app, &problem))
        };
        Ok(apps.iter().zip(outcomes).filter_map(problem).collect())
    }

    /// The apps that are asked for, or all there are.
    async fn apps(&self, call: &Call, query: &FleetQuery, deadline: Instant) -> PortResult<Vec<AppName>> {
        if let Some(apps) = &query.apps {
            return Ok(apps.clone());
        }
        let apps = self.parts.profiles.apps(call, query.window);
        timeout_at(deadline, apps).await.unwrap_or_else(|_| Err(self.not_reached()))
    }

    /// Reads one app when its turn comes, and reduces its profile; `None` where nobody knows the app.
    async fn read<T: Send + 'static>(
        &self,
        call: &Call,
        query: &ProfileQuery,
        reduce: impl Fn(&MergedProfile) -> T + Send + 'static,
    ) -> PortResult<Option<T>> {
        let turn = self.turns.enter(call).await;
        let read = timeout(self.per_app, self.parts.profiles.merged(call, query)).await;
        let read = read.unwrap_or_else(|_| Err(PortError::Timeout(format!("no profile within {:?}", self.per_app))));
        turn.end(match &read {
            Ok(_) => Showed::Answered,
            Err(PortError::Timeout(_) | PortError::Overloaded { .. }) => Showed::Busy,
            Err(_) => Showed::Unknown,
        });
        let Some(merged) = read? else { return Ok(None) };
        if merged.profile.frame_count() <= SMALL_FRAMES {
            return Ok(Some(reduce(&merged)));
        }
        offload("reducing a profile", move || reduce(&merged)).await.map(Some)
    }

    fn not_reached(&self) -> PortError {
        PortError::Timeout(format!("not reached within the {:?} of a fleet search", self.in_all))
    }
}
