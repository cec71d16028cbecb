//! Ask for owners and apps, read a few apps at a time, add up what comes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::time::{Instant, sleep_until};

use super::domain::{
    AppFailure, AppTicks, FleetHotspots, FleetMatches, FleetQuery, HotspotsRequest, Scan, SearchRequest, fleet_app,
};
use crate::bor::Refusal;
use crate::bor::facts::passed_seconds;
use crate::bor::relational::{RelationalPorts, narrowed, tenant_of};
use crate::kernel::{AppName, Call, Clock, Phase, PortError, PortResult, ProfileType, Selector, offload};
use crate::sor::profile_data::{MergedProfile, ProfileDataSor, ProfileQuery};
use crate::upstream::{CallOutcome, Limiter};
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
    /// `Profiles` where apps could not be discovered, or none could be read.
    pub async fn search(&self, call: &Call, request: &SearchRequest) -> Result<FleetMatches, Refusal> {
        let needle = Needle::of(request.function.as_str());
        let reduce = move |kind, merged: &MergedProfile| {
            (AppMatches::of(&fleet_app(kind, merged), &needle), AppTicks::of(kind, &merged.meta))
        };
        let (mut matches, mut ticks) = (Matches::up_to(request.limit), HashMap::new());
        let take = |place, (of_app, counted): (AppMatches, AppTicks)| {
            let has_data = of_app.has_data();
            ticks.insert(place, counted);
            matches.add(place, of_app);
            has_data
        };
        let scan = call.unless_cancelled(self.scan(call, &request.fleet, reduce, take)).await?;
        let (match_count, matches) = matches.ranked();
        call.report(Phase::Analyze, 1, 1);
        Ok(FleetMatches { scan, match_count, matches, ticks })
    }

    /// Ranks the functions of all apps.
    ///
    /// # Errors
    /// As [`FleetService::search`].
    pub async fn hotspots(&self, call: &Call, request: &HotspotsRequest) -> Result<FleetHotspots, Refusal> {
        let (exclude, rules) = (request.exclude.clone(), Arc::clone(&self.parts.rules));
        let reduce = move |kind, merged: &MergedProfile| AppFunctions::of(&rules, &fleet_app(kind, merged), &exclude);
        let mut hotspots = Hotspots::default();
        let take = |place, of_app: AppFunctions| {
            let has_data = of_app.has_data();
            hotspots.add(place, of_app);
            has_data
        };
        let scan = call.unless_cancelled(self.scan(call, &request.fleet, reduce, take)).await?;
        let seconds = passed_seconds(request.fleet.window, self.clock().now());
        let hotspots = hotspots.ranked(request.sort, request.limit, Some(seconds));
        call.report(Phase::Analyze, 1, 1);
        Ok(FleetHotspots { scan, hotspots })
    }

    /// Reads every app of the query, reduces each profile as it comes, and hands it on with the app's place to `take`, which
    /// says whether it has data.
    async fn scan<T: Send + 'static>(
        &self,
        call: &Call,
        query: &FleetQuery,
        reduce: impl Fn(ProfileType, &MergedProfile) -> T + Clone + Send + 'static,
        mut take: impl FnMut(usize, T) -> bool,
    ) -> Result<Scan, Refusal> {
        let deadline = call.until(Instant::now() + self.in_all).urgency().deadline;
        let deadline = deadline.unwrap_or_else(|| Instant::now() + self.in_all);
        let call = &call.until(deadline).scanning();
        call.report(Phase::Resolve, 0, 1);
        let (apps, owners) = tokio::join!(self.apps(call, query), self.parts.relational.services(call));
        call.report(Phase::Resolve, 1, 1);
        let apps = apps?;
        let mut failures = vec![Some(AppFailure::NotReached(self.in_all)); apps.len()];
        let (mut with_data, mut done, mut read_as) = (0, 0, BTreeMap::new());
        {
            let reads = apps.iter().enumerate().map(|(place, app)| {
                let service = owners.known().and_then(|services| services.get(app));
                let selector = narrowed(&query.selector, service);
                let tenant = query.tenant.clone().or_else(|| tenant_of(service));
                let query = ProfileQuery { app: app.clone(), kind: query.kind, window: query.window, selector, tenant };
                let reduce = reduce.clone();
                let labels = Some(narrowed(&Selector::default(), service)).filter(|labels| !labels.is_empty());
                async move { (place, labels, self.read(call, &query, reduce).await) }
            });
            let mut reads = futures::stream::iter(reads).buffer_unordered(Limiter::MOST);
            loop {
                let (place, labels, read) = tokio::select! {
                    biased;
                    // The deadline of the reads too: who has it is not reached, rather than failed.
                    () = sleep_until(deadline) => break,
                    next = reads.next() => match next {
                        Some(next) => next,
                        None => break,
                    },
                };
                done += 1;
                call.report(Phase::Fetch, done, apps.len());
                let failure = match read {
                    Ok(Some((kind, reduced))) => {
                        let has_data = take(place, reduced);
                        with_data += usize::from(has_data);
                        if has_data && kind != query.kind {
                            read_as.insert(place, kind);
                        }
                        labels.filter(|_| !has_data).map(AppFailure::LabelsUnmatched)
                    }
                    Ok(None) => Some(AppFailure::Unknown),
                    Err(error) => Some(AppFailure::Failed(error)),
                };
                if let Some(slot) = failures.get_mut(place) {
                    *slot = failure;
                }
            }
        }
        let all = apps.len();
        let failures: Vec<_> =
            apps.iter().cloned().zip(failures).filter_map(|(app, failure)| Some((app, failure?))).collect();
        refuse_if_all_failed(all, &failures)?;
        Ok(Scan { apps, with_data, read_as, owners, failures })
    }

    /// The apps that are asked for, or all there are.
    async fn apps(&self, call: &Call, query: &FleetQuery) -> PortResult<Vec<AppName>> {
        match &query.apps {
            Some(apps) => Ok(apps.clone()),
            None => call.bound(self.parts.profiles.apps(call, query.tenant.as_ref(), query.window)).await,
        }
    }

    /// Reads one app when its turn comes, and reduces its profile, with the kind that was read. `None`: the app is unknown.
    async fn read<T: Send + 'static>(
        &self,
        call: &Call,
        query: &ProfileQuery,
        reduce: impl Fn(ProfileType, &MergedProfile) -> T + Send + 'static,
    ) -> PortResult<Option<(ProfileType, T)>> {
        let turn = self.turns.enter(call).await;
        let call = &call.until(Instant::now() + self.per_app);
        let read = call.bound(self.merged(call, query)).await;
        turn.end(match &read {
            Ok(_) => CallOutcome::Answered,
            Err(PortError::Timeout(_) | PortError::Overloaded { .. }) => CallOutcome::Busy,
            Err(_) => CallOutcome::Unknown,
        });
        let Some((kind, merged)) = read? else { return Ok(None) };
        if merged.profile.frame_count() <= SMALL_FRAMES {
            return Ok(Some((kind, reduce(kind, &merged))));
        }
        offload("reducing a profile", move || Some((kind, reduce(kind, &merged)))).await
    }

    /// The profile of an app, and its kind. An app that sends elapsed time and no CPU time is read by that in its place.
    async fn merged(&self, call: &Call, query: &ProfileQuery) -> PortResult<Option<(ProfileType, MergedProfile)>> {
        let Some(merged) = self.parts.profiles.merged(call, query).await? else { return Ok(None) };
        let sends = |kind| merged.meta.kinds.contains(&kind);
        if query.kind != ProfileType::Cpu || sends(ProfileType::Cpu) || !sends(ProfileType::Wall) {
            return Ok(Some((query.kind, merged)));
        }
        let wall = ProfileQuery { kind: ProfileType::Wall, ..query.clone() };
        Ok(self.parts.profiles.merged(call, &wall).await?.map(|merged| (ProfileType::Wall, merged)))
    }
}

/// Refuses where there is nothing else to say: no app was read, and the source failed for some.
fn refuse_if_all_failed(apps: usize, failures: &[(AppName, AppFailure)]) -> Result<(), Refusal> {
    let errors: Vec<_> = failures.iter().filter_map(|(_, failure)| failure.error()).collect();
    let Some(first) = errors.first() else { return Ok(()) };
    if failures.len() == apps {
        return Err(Refusal::all_failed(&errors.iter().collect::<Vec<_>>()));
    }
    tracing::warn!(apps, failed = errors.len(), %first, "not every app of a fleet could be read");
    Ok(())
}
