//! Which apps and profile types a server has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures::{FutureExt, StreamExt, TryStreamExt};

use super::client::{Client, Piece};
use super::labels::{POPULATIONS, PROFILERS, selector_of};
use super::millis_window::MillisWindow;
use super::refusal::Refusal;
use crate::kernel::{AppName, Call, Clock, NoDataReason, PortResult, ProfileType, Selector, Tenant, TimeWindow};
use crate::sor::profile_data::ProfileQuery;
use crate::sor::profile_data::proto::querier::v1::SeriesRequest;
use crate::sor::profile_data::proto::types::v1::Labels;
use crate::sor::profile_data::resolve::kinds;
use crate::sor::profile_data::type_id::TypeId;
use crate::upstream::{Expiring, Flights, Recent};

/// How long a discovery that found something is remembered.
const HIT: TimeDelta = TimeDelta::seconds(60);
/// How long a discovery that found nothing is remembered.
const MISS: TimeDelta = TimeDelta::seconds(10);
/// How many calls one discovery makes at the same time.
const AT_ONCE: usize = 2;
/// How many days to look back for an app that has nothing in the window.
const DAYS_BACK: i32 = 7;

const SERVICE: &str = "service_name";
const TYPE: &str = "__profile_type__";

/// What one app has in a window.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The window that was searched.
    pub window: Option<TimeWindow>,
    /// The profile types of the window, sorted and each once. Empty: the app is known and has no profiles in the
    /// window.
    pub types: Vec<TypeId>,
    /// The kinds of profile that the app sends: those of these types; if there are none, those of its other series in the
    /// window, or else of the last day with profiles.
    pub kinds: Vec<ProfileType>,
    /// Why there are no types, if there are none.
    pub silence: Option<NoDataReason>,
    /// When its last profile came, to the minute. Only where the window has none of any series.
    pub last_profile_at: Option<DateTime<Utc>>,
    sets: Vec<LabelSet>,
}

/// A label set of the app: the profile type, and the labels by which populations and profilers differ.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct LabelSet {
    type_id: TypeId,
    labels: BTreeMap<&'static str, String>,
}

impl Seen {
    /// What a window holds, given its label sets.
    fn of(window: TimeWindow, sets: Vec<LabelSet>) -> Self {
        let types = types_of(&sets);
        Self { window: Some(window), kinds: kinds(&types), types, sets, ..Self::default() }
    }

    /// What a window holds if the selector matches none of what it has of the app.
    fn unmatched(of_app: &Self) -> Self {
        let &Self { window, last_profile_at, .. } = of_app;
        let silence = of_app.silence.or(Some(NoDataReason::NoSeriesMatches));
        Self { window, kinds: of_app.kinds.clone(), silence, last_profile_at, ..Self::default() }
    }

    /// Why there is no data of a kind whose types are not here. `None`: what the app has beside these series is not known.
    pub(super) fn no_data(&self, kind: ProfileType, selector: &Selector) -> Option<NoDataReason> {
        let may_have_others = !self.types.is_empty() && !selector.is_empty();
        if self.kinds.is_empty() || may_have_others {
            return None;
        }
        if self.kinds.contains(&kind) { self.silence } else { Some(NoDataReason::KindNeverSent) }
    }

    /// Those of these labels that have several values among the series of the types, with the values. A series without
    /// the label has the value "".
    pub(super) fn several(&self, labels: &[&'static str], types: &[TypeId]) -> Vec<(&'static str, BTreeSet<&str>)> {
        let values = |label: &&'static str| {
            let sets = self.sets.iter().filter(|set| types.contains(&set.type_id));
            (*label, sets.map(|set| set.labels.get(label).map_or("", String::as_str)).collect::<BTreeSet<_>>())
        };
        labels.iter().map(values).filter(|(_, values)| values.len() > 1).collect()
    }
}

/// An app of one tenant.
type TenantApp = (Option<Tenant>, AppName);
/// A selection of its series.
type Key = (TenantApp, Selector);

fn key_of(query: &ProfileQuery) -> Key {
    ((query.tenant.clone(), query.app.clone()), query.selector.clone())
}

/// Asks which profiles an app has, and remembers the answer: what an app has in a window and that an app is known for
/// 60 s, that it is unknown or that the window is empty for 10 s.
pub(super) struct Discovery {
    client: Arc<Client>,
    clock: Arc<dyn Clock>,
    windows: Recent<Key, Option<Arc<Seen>>>,
    known: Expiring<TenantApp, Option<Newest>>,
    flights: Flights<(Key, TimeWindow), Option<Arc<Seen>>>,
}

/// The window in which the newest profiles of an app were found.
#[derive(Debug, Clone)]
struct Newest {
    span: MillisWindow,
    type_id: TypeId,
    kinds: Vec<ProfileType>,
}

impl Discovery {
    pub(super) fn new(client: Arc<Client>, clock: Arc<dyn Clock>) -> Self {
        Self { client, clock, windows: Recent::default(), known: Expiring::default(), flights: Flights::default() }
    }

    /// All apps of a window, sorted, of a tenant or of the configured one. What the window has of each is remembered, so
    /// that reading them one after another needs no further discovery.
    pub(super) async fn apps(
        &self,
        call: &Call,
        tenant: Option<&Tenant>,
        window: TimeWindow,
    ) -> PortResult<Vec<AppName>> {
        let sets = self.series(call, tenant, Vec::new(), &labels(), MillisWindow::of(window), false).await?;
        let mut apps: BTreeMap<AppName, BTreeSet<LabelSet>> = BTreeMap::new();
        for set in sets {
            let name = set.labels.iter().find(|label| label.name == SERVICE).map(|label| label.value.clone());
            // A name that is not valid here, such as one of 600 bytes, cannot be asked for either.
            let Some(app) = name.and_then(|name| name.try_into().ok()) else { continue };
            apps.entry(app).or_default().extend(label_set(set));
        }
        let now = self.clock.now();
        for (app, sets) in &apps {
            if !sets.is_empty() {
                let seen = Arc::new(Seen::of(window, sets.iter().cloned().collect()));
                self.windows.put(((tenant.cloned(), app.clone()), Selector::default()), window, Some(seen), now, HIT);
            }
        }
        Ok(apps.into_keys().collect())
    }

    /// What the app has in the window, possibly as remembered. `None`: the app is unknown.
    pub(super) async fn seen(self: &Arc<Self>, call: &Call, query: &ProfileQuery) -> PortResult<Option<Arc<Seen>>> {
        match self.windows.get(&key_of(query), query.window, self.clock.now()) {
            Some(seen) => Ok(seen),
            None => self.look(call, query).await,
        }
    }

    /// The same, without what is remembered.
    pub(super) async fn look(self: &Arc<Self>, call: &Call, query: &ProfileQuery) -> PortResult<Option<Arc<Seen>>> {
        let (this, window) = (Arc::clone(self), query.window);
        let flight = (key_of(query), window);
        let key = flight.0.clone();
        let look = |call: Call| async move { this.discover(&call, key, window).await }.boxed();
        self.flights.join(call, &flight, look).await
    }

    /// The kinds that the app sent on the last day with profiles.
    pub(super) async fn kinds_lately(&self, call: &Call, query: &ProfileQuery) -> PortResult<Vec<ProfileType>> {
        let newest = self.newest(call, &(query.tenant.clone(), query.app.clone())).await?;
        Ok(newest.map(|newest| newest.kinds).unwrap_or_default())
    }

    async fn discover(&self, call: &Call, (app, selector): Key, window: TimeWindow) -> PortResult<Option<Arc<Seen>>> {
        let matched = self.in_window(call, &app, &selector, window).await?;
        if selector.is_empty() || matched.is_some() {
            return match matched {
                None => self.silent(call, app, window).await,
                matched => Ok(matched),
            };
        }
        let everything = (app.clone(), Selector::default());
        let of_app = match self.windows.get(&everything, window, self.clock.now()) {
            Some(seen) => seen,
            None => match self.in_window(call, &app, &everything.1, window).await? {
                None => self.silent(call, app.clone(), window).await?,
                seen => seen,
            },
        };
        let seen = of_app.map(|of_app| Arc::new(Seen::unmatched(&of_app)));
        self.windows.put((app, selector), window, seen.clone(), self.clock.now(), MISS);
        Ok(seen)
    }

    /// What the window has of an app's series. `None`: nothing.
    async fn in_window(
        &self,
        call: &Call,
        app: &TenantApp,
        selector: &Selector,
        window: TimeWindow,
    ) -> PortResult<Option<Arc<Seen>>> {
        let sets = self.sets(call, app, selector, MillisWindow::of(window)).await?;
        if sets.is_empty() {
            return Ok(None);
        }
        let seen = Some(Arc::new(Seen::of(window, sets)));
        self.windows.put((app.clone(), selector.clone()), window, seen.clone(), self.clock.now(), HIT);
        Ok(seen)
    }

    /// What is known of an app that has nothing in the window. `None`: nobody knows it.
    async fn silent(&self, call: &Call, app: TenantApp, window: TimeWindow) -> PortResult<Option<Arc<Seen>>> {
        let seen = match self.newest(call, &app).await? {
            None => None,
            Some(newest) => Some(Arc::new(Seen {
                window: Some(window),
                kinds: newest.kinds.clone(),
                silence: Some(NoDataReason::NoneInWindow),
                last_profile_at: self.last_profile_at(call, &app, &newest).await,
                ..Seen::default()
            })),
        };
        self.windows.put((app, Selector::default()), window, seen.clone(), self.clock.now(), MISS);
        Ok(seen)
    }

    /// Where the app was seen last: in the last seven days, the newest first.
    async fn newest(&self, call: &Call, app: &TenantApp) -> PortResult<Option<Newest>> {
        let now = self.clock.now();
        if let Some(newest) = self.known.get(app, now) {
            return Ok(newest);
        }
        let day = |back: i32| (now - TimeDelta::days(1) * back).timestamp_millis();
        for span in (0..DAYS_BACK).map(|back| MillisWindow { start_ms: day(back + 1), end_ms: day(back) }) {
            let sets = self.sets(call, app, &Selector::default(), span).await?;
            if let Some(any) = sets.first() {
                // CPU profiles are the most frequent.
                let cpu = sets.iter().find(|set| set.type_id.is("process_cpu", "cpu"));
                let type_id = cpu.unwrap_or(any).type_id.clone();
                let newest = Some(Newest { span, type_id, kinds: kinds(&types_of(&sets)) });
                self.known.put(app.clone(), newest.clone(), now, HIT);
                return Ok(newest);
            }
        }
        self.known.put(app.clone(), None, now, MISS);
        Ok(None)
    }

    /// The end of the minute in which the last profile came. `None`: the server does not say.
    async fn last_profile_at(&self, call: &Call, (tenant, app): &TenantApp, newest: &Newest) -> Option<DateTime<Utc>> {
        let selector = selector_of(app, &Selector::default(), None);
        let (id, span) = (&newest.type_id, newest.span.last_day());
        let piece = Piece { tenant: tenant.as_ref(), id, selector: &selector, span };
        let totals = self.client.totals(call, piece, &[], 60.0).await.ok()?;
        let points = totals.series.iter().flat_map(|series| &series.points).filter(|point| point.value != 0.0);
        let last = points.map(|point| point.timestamp).max()?;
        DateTime::from_timestamp_millis(last.min(self.clock.now().timestamp_millis()))
    }

    /// The label sets of an app in a window, sorted, without repetition.
    async fn sets(
        &self,
        call: &Call,
        (tenant, app): &TenantApp,
        selector: &Selector,
        span: MillisWindow,
    ) -> PortResult<Vec<LabelSet>> {
        let matcher = selector_of(app, selector, None);
        let sets = self.series(call, tenant.as_ref(), vec![matcher], &labels(), span, !selector.is_empty()).await?;
        let sets: BTreeSet<_> = sets.into_iter().filter_map(label_set).collect();
        Ok(sets.into_iter().collect())
    }

    /// All label sets of a window, asked for in calls of at most a day each.
    async fn series(
        &self,
        call: &Call,
        tenant: Option<&Tenant>,
        matchers: Vec<String>,
        labels: &[&str],
        span: MillisWindow,
        selected: bool,
    ) -> PortResult<Vec<Labels>> {
        let request = |span: MillisWindow| SeriesRequest {
            matchers: matchers.clone(),
            label_names: labels.iter().map(|name| (*name).to_owned()).collect(),
            start: span.start_ms,
            end: span.end_ms,
        };
        let calls = span.days().into_iter().map(|day| {
            let request = request(day);
            async move { self.client.series(call, tenant, &request, selected).await.map(|answer| answer.labels_set) }
        });
        let days: Vec<_> =
            futures::stream::iter(calls).buffered(AT_ONCE).try_collect().await.map_err(Refusal::into_error)?;
        Ok(days.into_iter().flatten().collect())
    }
}

/// The types of label sets, sorted and each once.
fn types_of(sets: &[LabelSet]) -> Vec<TypeId> {
    let types: BTreeSet<_> = sets.iter().map(|set| set.type_id.clone()).collect();
    types.into_iter().collect()
}

/// The labels by which series differ.
fn labels() -> Vec<&'static str> {
    [SERVICE, TYPE].into_iter().chain(POPULATIONS).chain(PROFILERS).collect()
}

/// The parts of a label set that are used here. `None`: it has no profile type that can be read.
fn label_set(set: Labels) -> Option<LabelSet> {
    let mut type_id = None;
    let mut labels = BTreeMap::new();
    for label in set.labels {
        if label.name == TYPE {
            type_id = label.value.parse().ok();
        } else if let Some(name) = POPULATIONS.iter().chain(&PROFILERS).find(|name| **name == label.name) {
            labels.insert(*name, label.value);
        }
    }
    Some(LabelSet { type_id: type_id?, labels })
}
